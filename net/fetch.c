/* fetch — demand, piece by piece.
 *
 * Only what is read is fetched: a piece is wanted while at least one read is
 * parked on it (urgent) or one cursor's window covers it (read-ahead), and by
 * nothing else. Looking at a torrent costs no payload.
 *
 * Happy path: a read adds itself to each piece it misses, a cursor to each
 * piece of its window; the counts make the class, the class goes to the
 * picker, the swarm is kicked. Verified: the read takes itself out; the
 * window's count stays, so that a piece that gets lost is fetched again.
 *
 * Deadlines. Urgent pieces are due when their first read began. A window piece
 * is due when a reader of READER_BYTES_PER_US will get there; it keeps that
 * deadline while it is in some window, so moving a window touches only the
 * pieces at its two ends.
 *
 * Nobody wants it any more: outstanding requests are cancelled; what has
 * arrived stays while memory allows (intake_unwant, intake_reclaim). */
#include "net/fetch.h"

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/intake.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

enum { READER_BYTES_PER_US = 8 };

struct want {
	uint32_t ix;
	uint32_t n_reads, n_windows; /* not both 0 */
	uint64_t read_us, window_us; /* deadlines */
	uint64_t progress_us;
	bool is_missing;
};

struct fetch {
	struct torrent *t; /* Owner: */
	struct hmap *wants;
	unsigned n_missing;
};

int fetch_new(struct torrent *t, struct fetch **out)
{
	struct fetch *f = mem_new(struct fetch);
	int r;

	if (f == NULL)
		return ENOMEM;
	f->t = t;
	r = hmap_new(sizeof(uint32_t), &f->wants);
	if (r != 0) {
		mem_free(f);
		return r;
	}
	*out = f;
	return 0;
}

void fetch_free(struct fetch *f)
{
	struct want *w;
	size_t pos = 0;

	if (f == NULL)
		return;
	while ((w = hmap_next(f->wants, &pos)) != NULL)
		mem_free(w);
	hmap_free(f->wants);
	mem_free(f);
}

static struct want *find(const struct fetch *f, uint32_t ix)
{
	return hmap_get(f->wants, &ix);
}

static void set_missing(struct fetch *f, struct want *w, bool is_missing)
{
	if (w->is_missing == is_missing)
		return;
	w->is_missing = is_missing;
	f->n_missing += is_missing ? 1u : UINT32_MAX;
}

static struct want *find_or_add(struct fetch *f, uint32_t ix)
{
	struct want *w = find(f, ix);

	if (w != NULL)
		return w;
	w = mem_new(struct want);
	if (w == NULL)
		return NULL;
	w->ix = ix;
	if (hmap_put(f->wants, &ix, w) != 0) {
		mem_free(w);
		return NULL;
	}
	set_missing(f, w, !bits_has(pieces_have(f->t->ps), ix));
	return w;
}

/* The picker hears what the counts say; a want without counts goes. */
static int apply(struct fetch *f, struct want *w)
{
	struct swarm *sw = f->t->swarm;
	int r = 0;

	if (w->n_reads == 0 && w->n_windows == 0) {
		if (w->is_missing) {
			(void)picker_want(sw->picker, w->ix, WANT_NONE, 0);
			intake_unwant(sw->intake, w->ix);
		}
		set_missing(f, w, false);
		(void)hmap_del(f->wants, &w->ix);
		mem_free(w);
		return 0;
	}
	if (!w->is_missing)
		return 0;
	if (w->n_reads > 0)
		r = picker_want(sw->picker, w->ix, WANT_URGENT, w->read_us);
	else
		r = picker_want(sw->picker, w->ix, WANT_WINDOW, w->window_us);
	swarm_kick(sw);
	return r;
}

int fetch_add_read(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find_or_add(f, piece_ix);
	int r;

	if (w == NULL)
		return ENOMEM;
	if (w->n_reads++ > 0)
		return 0;
	w->read_us = loop_now_us(f->t->swarm->loop);
	r = apply(f, w);
	if (r != 0) {
		w->n_reads--;
		(void)apply(f, w);
	}
	return r;
}

void fetch_del_read(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (--w->n_reads == 0)
		(void)apply(f, w); /* no more memory than before */
}

int fetch_add_window(struct fetch *f, uint32_t piece_ix, uint64_t ahead_bytes)
{
	struct want *w = find_or_add(f, piece_ix);
	int r;

	if (w == NULL)
		return ENOMEM;
	if (w->n_windows++ > 0)
		return 0;
	w->window_us = loop_now_us(f->t->swarm->loop) +
		       ahead_bytes / READER_BYTES_PER_US;
	r = w->n_reads > 0 ? 0 : apply(f, w);
	if (r != 0) {
		w->n_windows--;
		(void)apply(f, w);
	}
	return r;
}

void fetch_del_window(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (--w->n_windows == 0 && w->n_reads == 0)
		(void)apply(f, w);
}

void fetch_on_verified(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (w != NULL)
		set_missing(f, w, false);
}

void fetch_on_lost(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (w == NULL)
		return;
	set_missing(f, w, true);
	/* Without memory a window's piece is left to the read that comes for
	 * it; a read that needs it now adds itself again and is told. */
	(void)apply(f, w);
}

void fetch_on_block(struct fetch *f, uint32_t piece_ix, uint64_t now_us)
{
	struct want *w = find(f, piece_ix);

	if (w != NULL)
		w->progress_us = now_us;
}

uint64_t fetch_progress_us(const struct fetch *f, uint32_t piece_ix)
{
	const struct want *w = find(f, piece_ix);

	return w == NULL ? 0 : w->progress_us;
}

bool fetch_is_hungry(const struct fetch *f)
{
	return f->n_missing > 0;
}
