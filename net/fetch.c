/* fetch — demand, piece by piece.
 *
 * A piece is wanted while at least one read is parked on it (urgent), one
 * cursor's window covers it (read-ahead) or it is pinned (background). The
 * counts make the class, which goes to the picker, and the swarm is kicked.
 * Verified: the read takes itself out; the window's count stays, so that a
 * piece that gets lost is fetched again.
 *
 * Parts. Of a v2 torrent a read wants its own blocks and no more, if that is
 * worth a question (is_worth_it): where a piece comes within LEAF_WORTH_US at
 * the rate of the moment, the whole of it is as good, and the loop has fewer
 * leaves to hash. The question (hashget) leaves with the first block's request.
 * If nobody answers it, the piece is wanted whole (fetch_on_no_leaves).
 *
 * Due: when the first read began, or a window's reader may come (cursor.c).
 *
 * Pins are a count a piece. A pinned piece that gets lost is wanted again, but
 * the torrent's pins rest after a loss, longer each time: there may be no room.
 *
 * Nobody wants it any more: requests are cancelled, what has arrived stays
 * while memory allows (intake_unwant, intake_reclaim). */
#include "net/fetch.h"

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/giveway.h"
#include "net/hashget.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

enum { LEAF_WORTH_US = 40000 };

TAILQ_HEAD(fetch_parts, fetch_part);

struct want {
	uint32_t ix;
	uint32_t n_reads, n_windows; /* not both 0 */
	uint32_t n_edges;	     /* of the windows, those of a part */
	struct fetch_parts
		parts; /* the reads', and those edges; oldest first */
	bool is_leafy; /* parts can be right before the piece is */
	bool has_no_leaves;
	bool must_ask; /* nobody who has it is there to be asked for hashes */
	uint64_t read_us, window_us; /* deadlines */
	uint64_t progress_us;
	uint32_t n_hung; /* so many of its blocks were there, and some lost */
	bool is_missing;
};

struct fetch {
	struct torrent *t; /* Owner: */
	struct hmap *wants;
	unsigned n_missing;    /* of wants */
	unsigned n_must_ask;   /* the same */
	uint32_t *pins;	       /* a count a piece; NULL: never any */
	uint32_t n_background; /* pinned and not held */
	uint64_t rest_until_us;
	uint32_t rest_ms; /* the last rest; 0: none */
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
	mem_free(f->pins);
	mem_free(f);
}

bool fetch_is_pinned(const struct fetch *f, uint32_t piece_ix)
{
	return f->pins != NULL && f->pins[piece_ix] > 0;
}

static bool is_held(const struct fetch *f, uint32_t ix)
{
	return bits_has(pieces_have(f->t->ps), ix);
}

/* What is wanted of a piece without readers. */
static enum want_class calm_class(const struct fetch *f, uint32_t ix)
{
	return fetch_is_pinned(f, ix) ? WANT_BACKGROUND : WANT_NONE;
}

static struct want *find(const struct fetch *f, uint32_t ix)
{
	return hmap_get(f->wants, &ix);
}

static void set_must_ask(struct fetch *f, struct want *w, bool must_ask)
{
	if (w->must_ask == must_ask)
		return;
	w->must_ask = must_ask;
	f->n_must_ask += must_ask ? 1u : UINT32_MAX;
}

static void set_missing(struct fetch *f, struct want *w, bool is_missing)
{
	if (w->is_missing == is_missing)
		return;
	w->is_missing = is_missing;
	f->n_missing += is_missing ? 1u : UINT32_MAX;
}

static uint32_t blocks_of(uint32_t bytes)
{
	return (bytes + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
}

bool fetch_takes_parts(const struct fetch *f)
{
	return f->t->layers != NULL;
}

/* Would a reader notice that he gets all of the piece, and not his blocks? */
static bool is_worth_it(const struct fetch *f, const struct want *w)
{
	struct swarm *sw = f->t->swarm;
	uint64_t rate_Bps;

	if (!fetch_takes_parts(f) || w->has_no_leaves ||
	    blocks_of(metainfo_v2_bytes(f->t->mi, w->ix)) < 2)
		return false;
	rate_Bps = rate_meter_Bps(&sw->down, loop_now_us(sw->loop));
	return metainfo_v2_bytes(f->t->mi, w->ix) * UINT64_C(1000000) >
	       rate_Bps * LEAF_WORTH_US;
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
	TAILQ_INIT(&w->parts);
	w->is_leafy = is_worth_it(f, w);
	if (hmap_put(f->wants, &ix, w) != 0) {
		mem_free(w);
		return NULL;
	}
	set_missing(f, w, !is_held(f, ix));
	return w;
}

/* Readers do not want it (any more); it is not held. */
static void calm_down(struct fetch *f, uint32_t ix)
{
	struct swarm *sw = f->t->swarm;
	enum want_class c = calm_class(f, ix);

	(void)picker_want(sw->picker, ix, c, 0); /* needs no memory */
	if (c == WANT_NONE)
		intake_unwant(sw->intake, ix);
	else
		swarm_kick(sw);
}

/* One range more, or as far as there is no room for it, the last one longer. */
static void add_range(struct pick_range *ranges, unsigned *n, unsigned max,
		      struct pick_range r)
{
	struct pick_range *last;

	if (*n < max) {
		ranges[(*n)++] = r;
		return;
	}
	last = &ranges[max - 1];
	last->first = r.first < last->first ? r.first : last->first;
	last->end = r.end > last->end ? r.end : last->end;
}

static struct pick_range range_of(const struct fetch_part *part, uint32_t n)
{
	uint32_t first = part->at_bytes / WIRE_BLOCK_BYTES;
	uint32_t end = blocks_of(part->at_bytes + part->len_bytes);

	return (struct pick_range){.first = first < n ? first : n,
				   .end = end < n ? end : n,
				   .class = part->is_read ? WANT_URGENT
							  : WANT_WINDOW};
}

/* What of the piece is wanted; 0: all of it. */
static unsigned ranges_of(const struct fetch *f, const struct want *w,
			  struct pick_range *ranges)
{
	uint32_t n_blocks = blocks_of(metainfo_body_bytes(f->t->mi, w->ix));
	const struct fetch_part *part;
	unsigned n = 0, max = PICKER_RANGES_MAX / 2;

	if (!w->is_leafy || (w->n_reads == 0 && w->n_edges < w->n_windows))
		return 0;
	TAILQ_FOREACH (part, &w->parts, link)
		if (part->is_read)
			add_range(ranges, &n, max, range_of(part, n_blocks));
	if (w->n_edges < w->n_windows) {
		ranges[n++] = (struct pick_range){.end = n_blocks,
						  .class = WANT_WINDOW};
		return n;
	}
	max += n;
	TAILQ_FOREACH (part, &w->parts, link)
		if (!part->is_read)
			add_range(ranges, &n, max, range_of(part, n_blocks));
	return n;
}

static int apply_ranges(struct fetch *f, const struct want *w)
{
	struct pick_range ranges[PICKER_RANGES_MAX];
	unsigned n = ranges_of(f, w, ranges);

	return picker_want_only(f->t->swarm->picker, w->ix, ranges, n);
}

/* The picker hears what the counts say; a want without counts goes. */
static int apply(struct fetch *f, struct want *w)
{
	struct swarm *sw = f->t->swarm;
	int r = 0;

	if (w->n_reads == 0 && w->n_windows == 0) {
		if (w->is_missing)
			calm_down(f, w->ix);
		set_missing(f, w, false);
		set_must_ask(f, w, false);
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
	if (r == 0)
		r = apply_ranges(f, w);
	swarm_kick(sw);
	return r;
}

/* ---- reads ---- */

int fetch_add_read(struct fetch *f, uint32_t piece_ix, struct fetch_part *part)
{
	struct want *w = find_or_add(f, piece_ix);
	int r;

	if (w == NULL)
		return ENOMEM;
	part->is_read = true;
	TAILQ_INSERT_TAIL(&w->parts, part, link);
	if (w->n_reads++ == 0) {
		w->read_us = loop_now_us(f->t->swarm->loop);
		w->is_leafy = is_worth_it(f, w);
	}
	r = apply(f, w);
	if (r != 0) {
		fetch_del_read(f, piece_ix, part);
		return r;
	}
	if (w->is_missing) {
		giveway_on_read(f->t->swarm);
		/* The question leaves right behind the blocks' requests. */
		if (w->is_leafy &&
		    !hashget_want(f->t->hashget, piece_ix, part->at_bytes,
				  part->len_bytes))
			fetch_on_no_leaves(f, piece_ix);
	}
	return 0;
}

void fetch_del_read(struct fetch *f, uint32_t piece_ix, struct fetch_part *part)
{
	struct want *w = find(f, piece_ix);

	TAILQ_REMOVE(&w->parts, part, link);
	w->n_reads--;
	if (w->n_reads == 0 || w->is_leafy)
		(void)apply(f, w); /* no more memory than before */
}

static bool somebody_has(const struct fetch *f, uint32_t ix)
{
	const struct peer *p;

	TAILQ_FOREACH (p, &f->t->swarm->peers, link)
		if (p->is_up && p->have.data != NULL && bits_has(&p->have, ix))
			return true;
	return false;
}

/* Without peers nobody has refused: neither will the blocks come. */
void fetch_on_no_leaves(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (w == NULL || !w->is_leafy)
		return;
	set_must_ask(f, w, !somebody_has(f, piece_ix));
	if (w->must_ask)
		return;
	w->has_no_leaves = true;
	w->is_leafy = false;
	(void)apply(f, w);
}

static bool ask_again(struct fetch *f, const struct want *w)
{
	const struct fetch_part *part;
	bool is_good = true;

	TAILQ_FOREACH (part, &w->parts, link)
		if (part->is_read)
			is_good =
				hashget_want(f->t->hashget, w->ix,
					     part->at_bytes, part->len_bytes) &&
				is_good;
	return is_good;
}

void fetch_ask_again(struct fetch *f)
{
	struct want *w;
	size_t pos = 0;

	if (f->n_must_ask == 0)
		return;
	while ((w = hmap_next(f->wants, &pos)) != NULL) {
		if (!w->must_ask || !somebody_has(f, w->ix))
			continue;
		set_must_ask(f, w, false);
		hashget_renew(f->t->hashget);
		if (!ask_again(f, w))
			fetch_on_no_leaves(f, w->ix);
		swarm_kick(f->t->swarm);
	}
}

/* ---- windows ---- */

static int add_window(struct fetch *f, struct want *w, uint64_t due_us)
{
	if (w->n_windows++ == 0)
		w->window_us = due_us;
	else if (!w->is_leafy)
		return 0;
	return w->n_reads > 0 && !w->is_leafy ? 0 : apply(f, w);
}

static void del_window(struct fetch *f, struct want *w)
{
	w->n_windows--;
	if (w->n_reads == 0 || w->is_leafy)
		if (w->n_windows == 0 || w->is_leafy)
			(void)apply(f, w);
}

int fetch_add_window(struct fetch *f, uint32_t piece_ix, uint64_t due_us)
{
	struct want *w = find_or_add(f, piece_ix);
	int r;

	if (w == NULL)
		return ENOMEM;
	r = add_window(f, w, due_us);
	if (r != 0)
		del_window(f, w);
	return r;
}

void fetch_del_window(struct fetch *f, uint32_t piece_ix)
{
	del_window(f, find(f, piece_ix));
}

int fetch_add_edge(struct fetch *f, uint32_t piece_ix, struct fetch_part *part,
		   uint64_t due_us)
{
	struct want *w = find_or_add(f, piece_ix);
	int r;

	if (w == NULL)
		return ENOMEM;
	part->is_read = false;
	TAILQ_INSERT_TAIL(&w->parts, part, link);
	w->n_edges++;
	r = add_window(f, w, due_us);
	if (r != 0)
		fetch_del_edge(f, piece_ix, part);
	return r;
}

void fetch_move_edge(struct fetch *f, uint32_t piece_ix,
		     struct fetch_part *part, uint32_t at_bytes,
		     uint32_t len_bytes)
{
	struct want *w = find(f, piece_ix);

	if (part->at_bytes == at_bytes && part->len_bytes == len_bytes)
		return;
	part->at_bytes = at_bytes;
	part->len_bytes = len_bytes;
	(void)apply(f, w); /* without memory: as it was */
}

void fetch_del_edge(struct fetch *f, uint32_t piece_ix, struct fetch_part *part)
{
	struct want *w = find(f, piece_ix);

	TAILQ_REMOVE(&w->parts, part, link);
	w->n_edges--;
	del_window(f, w);
}

/* ---- pins ---- */

static void count_background(struct fetch *f, bool is_more)
{
	f->n_background += is_more ? 1u : UINT32_MAX;
	if (f->n_background == (is_more ? 1 : 0))
		giveway_on_background(f->t->swarm, is_more);
}

static int make_pins(struct fetch *f)
{
	if (f->pins == NULL)
		f->pins = mem_zalloc(f->t->mi->n_pieces, sizeof(*f->pins));
	return f->pins == NULL ? ENOMEM : giveway_start(f->t->swarm);
}

int fetch_pin(struct fetch *f, uint32_t first, uint32_t end)
{
	uint32_t ix;
	int r = make_pins(f);

	if (r != 0)
		return r;
	for (ix = first; ix < end; ix++) {
		if (f->pins[ix]++ > 0 || is_held(f, ix))
			continue;
		count_background(f, true);
		if (find(f, ix) == NULL)
			calm_down(f, ix);
	}
	f->rest_until_us = 0;
	f->rest_ms = 0;
	swarm_kick(f->t->swarm);
	return 0;
}

void fetch_unpin(struct fetch *f, uint32_t first, uint32_t end)
{
	uint32_t ix;

	for (ix = first; ix < end; ix++) {
		if (--f->pins[ix] > 0 || is_held(f, ix))
			continue;
		count_background(f, false);
		if (find(f, ix) == NULL)
			calm_down(f, ix);
	}
}

static void rest(struct fetch *f)
{
	uint64_t now_us = loop_now_us(f->t->swarm->loop);

	if (now_us < f->rest_until_us)
		return;
	f->rest_ms = f->rest_ms == 0 ? PIN_REST_MS : f->rest_ms * 2;
	if (f->rest_ms > PIN_REST_MAX_MS)
		f->rest_ms = PIN_REST_MAX_MS;
	f->rest_until_us = now_us + (uint64_t)f->rest_ms * 1000;
}

static void on_pin_lost(struct fetch *f, uint32_t ix)
{
	count_background(f, true);
	rest(f);
	if (find(f, ix) == NULL)
		calm_down(f, ix);
}

bool fetch_is_calm(const struct fetch *f)
{
	return f->n_missing == 0 || !picker_lacks(f->t->swarm->picker);
}

bool fetch_has_background(const struct fetch *f)
{
	return f->n_background > 0;
}

uint64_t fetch_rests_until_us(const struct fetch *f, uint64_t now_us)
{
	return now_us < f->rest_until_us ? f->rest_until_us : 0;
}

/* ---- what came and went ---- */

void fetch_on_verified(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (w != NULL)
		set_missing(f, w, false);
	if (fetch_is_pinned(f, piece_ix))
		count_background(f, false);
}

void fetch_on_lost(struct fetch *f, uint32_t piece_ix)
{
	struct want *w = find(f, piece_ix);

	if (fetch_is_pinned(f, piece_ix))
		on_pin_lost(f, piece_ix);
	if (w == NULL)
		return;
	set_missing(f, w, true);
	/* Without memory a window's piece is left to the read that comes. */
	(void)apply(f, w);
}

void fetch_on_block(struct fetch *f, uint32_t piece_ix, uint32_t n_arrived,
		    uint64_t now_us)
{
	struct want *w = find(f, piece_ix);

	if (w != NULL && n_arrived > w->n_hung)
		w->progress_us = now_us;
}

void fetch_on_hung(struct fetch *f, uint32_t piece_ix, uint32_t n_arrived)
{
	struct want *w = find(f, piece_ix);

	if (w != NULL && n_arrived > w->n_hung)
		w->n_hung = n_arrived;
}

uint64_t fetch_progress_us(const struct fetch *f, uint32_t piece_ix)
{
	const struct want *w = find(f, piece_ix);

	return w == NULL ? 0 : w->progress_us;
}

uint64_t fetch_due_us(const struct fetch *f, uint32_t piece_ix)
{
	const struct want *w = find(f, piece_ix);

	if (w == NULL)
		return UINT64_MAX;
	return w->n_reads > 0 ? 0 : w->window_us;
}

bool fetch_is_hungry(const struct fetch *f)
{
	return f->n_background > 0 || !fetch_is_calm(f);
}
