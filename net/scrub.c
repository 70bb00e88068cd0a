/* scrub — held pieces hashed again.
 *
 * Purpose: a store is read years after it was written. What others changed in
 * it is found by their traces (cache/DESIGN.md); bits that rot leave none, and
 * what a lost index had is not known at all. So pieces are hashed again: those
 * that somebody asks for (shoalctl verify), all that is doubtful after a crash
 * or a lost index, and, slowly, everything else.
 *
 * How: pieces in order, SCRUB_WIDTH of them at a time, so that every core has
 * a row of them to hash side by side (core/hash_row.h). Jobs that somebody
 * waits for go before them, and have a thread of their own (core/worker.h). A
 * slow one hashes a piece, then rests for as long as it may take at SCRUB_BPS;
 * while others read from the store it rests SCRUB_REST_MS.
 *
 * A vet cannot be taken back: what was cancelled is freed when the last of them
 * has come.
 *
 * Threads: loop. */
#include "net/scrub.h"

#include "cache/pieces.h"
#include "cache/store.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/torrent_internal.h"

enum {
	/* Held pieces that are hashed again at a time: a row of 16 for each of
	 * eight cores; of four for more. A slow scrub does 4 MiB a second, a
	 * quarter of a percent of a core, a TB in three days; it rests for so
	 * long when somebody reads. */
	SCRUB_WIDTH = 128,
	SCRUB_BPS = 4 << 20,
	SCRUB_REST_MS = 5000,
};

struct scrub_vet {
	struct vet_wait wait;
	struct scrub *s;
	uint32_t ix;
	bool is_busy;
};

struct scrub {
	LIST_ENTRY(scrub) link;
	struct torrent *t; /* Owner: */
	struct bits pieces;
	bool only_doubtful, is_slow, is_over;
	uint32_t at;
	unsigned n_busy;
	uint64_t reads; /* of the store, as it was last */
	struct scrub_sums sums;
	struct loop_timer *timer;
	scrub_fn *done;
	void *arg;
	struct scrub_vet vets[SCRUB_WIDTH];
};

static void scrub_free(struct scrub *s)
{
	loop_timer_free(s->timer);
	bits_fini(&s->pieces);
	mem_free(s);
}

static void leave(struct scrub *s)
{
	s->is_over = true;
	LIST_REMOVE(s, link);
	loop_timer_stop(s->timer);
}

static void end(struct scrub *s, int err)
{
	leave(s);
	s->done(s->arg, err, &s->sums);
	if (s->n_busy == 0)
		scrub_free(s);
}

static uint64_t store_reads(const struct scrub *s)
{
	struct store_stats stats;

	store_stats(s->t->e->cfg.store, &stats);
	return stats.reads;
}

/* When the next piece may be hashed. */
static void rest(struct scrub *s, uint32_t ix)
{
	uint64_t us = (uint64_t)metainfo_piece_bytes(s->t->mi, ix) * 1000000 /
		      SCRUB_BPS;
	uint64_t reads = store_reads(s);

	if (reads != s->reads)
		us = (uint64_t)SCRUB_REST_MS * 1000;
	s->reads = reads;
	loop_timer_start(s->timer, us);
}

static bool is_due(const struct scrub *s, uint32_t ix)
{
	const struct pieces *ps = s->t->ps;

	return pieces_state(ps, ix) == PIECE_CLEAN &&
	       metainfo_piece_content(s->t->mi, ix) > 0 &&
	       (!s->only_doubtful || pieces_is_doubtful(ps, ix));
}

static void pump(struct scrub *s);

static void count(struct scrub *s, uint32_t ix, int err)
{
	if (err != 0 && err != EIO)
		return; /* it is not held any more */
	s->sums.pieces++;
	s->sums.bytes += metainfo_piece_content(s->t->mi, ix);
	s->sums.bad += err == EIO;
}

static void on_vetted(void *arg, int err)
{
	struct scrub_vet *v = arg;
	struct scrub *s = v->s;

	v->is_busy = false;
	s->n_busy--;
	if (s->is_over) {
		if (s->n_busy == 0)
			scrub_free(s);
		return;
	}
	if (err == ESTALE || err == ENOTSUP || err == ENOMEM) {
		end(s, err);
		return;
	}
	count(s, v->ix, err);
	if (s->is_slow)
		rest(s, v->ix);
	else
		pump(s);
}

static int begin(struct scrub *s, uint32_t ix)
{
	struct scrub_vet *v = s->vets;
	int err;

	while (v->is_busy)
		v++;
	v->s = s;
	v->ix = ix;
	v->wait.fn = on_vetted;
	v->wait.arg = v;
	err = pieces_vet(s->t->ps, ix, false, &v->wait);
	if (err != 0)
		return err == ENOENT ? 0 : err;
	v->is_busy = true;
	s->n_busy++;
	return 0;
}

static void pump(struct scrub *s)
{
	unsigned width = s->is_slow ? 1 : SCRUB_WIDTH;
	int err = 0;

	while (s->n_busy < width && err == 0) {
		s->at = bits_next(&s->pieces, s->at);
		if (s->at == s->pieces.n)
			break;
		if (is_due(s, s->at))
			err = begin(s, s->at);
		s->at++;
	}
	if (err != 0)
		end(s, err);
	else if (s->n_busy == 0)
		end(s, 0);
}

static void on_timer(void *arg)
{
	struct scrub *s = arg;
	uint64_t reads = store_reads(s);

	if (s->is_slow && reads > s->reads) {
		s->reads = reads;
		loop_timer_start(s->timer, (uint64_t)SCRUB_REST_MS * 1000);
		return;
	}
	s->reads = reads + s->is_slow; /* its own is one */
	pump(s);
}

int scrub_start(struct torrent *t, const struct scrub_cfg *cfg,
		struct scrub **out)
{
	struct scrub *s;
	int err;

	if (t->state != TORRENT_READY)
		return ESTALE;
	s = mem_new(struct scrub);
	if (s == NULL)
		return ENOMEM;
	err = bits_init(&s->pieces, t->mi->n_pieces);
	if (err == 0)
		err = loop_timer_new(t->e->cfg.loop, on_timer, s, &s->timer);
	if (err != 0) {
		scrub_free(s);
		return err;
	}
	if (cfg->pieces != NULL)
		for (uint32_t ix = bits_next(cfg->pieces, 0); ix < s->pieces.n;
		     ix = bits_next(cfg->pieces, ix + 1))
			bits_set(&s->pieces, ix);
	else
		bits_set_all(&s->pieces);
	s->t = t;
	s->only_doubtful = cfg->only_doubtful;
	s->is_slow = cfg->is_slow;
	s->done = cfg->done;
	s->arg = cfg->arg;
	s->reads = store_reads(s);
	LIST_INSERT_HEAD(&t->scrubs, s, link);
	loop_timer_start(s->timer, 0);
	*out = s;
	return 0;
}

void scrub_cancel(struct scrub *s)
{
	leave(s);
	if (s->n_busy == 0)
		scrub_free(s);
}

void scrub_look(const struct scrub *s, struct scrub_sums *out)
{
	*out = s->sums;
}

void scrub_end_all(struct torrent *t)
{
	struct scrub *s;

	while ((s = LIST_FIRST(&t->scrubs)) != NULL)
		end(s, ESTALE);
}
