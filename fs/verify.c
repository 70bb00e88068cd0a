/* verify — rounds over what is held.
 *
 * A round has a list of torrents, by their node numbers, for they may go
 * meanwhile. Of each: it is woken, and looked at again when one is READY, or
 * after VERIFY_POLL_MS, for it may never be; then net/scrub does the rest. What
 * is not to be had (its metadata is gone) is passed over.
 *
 * Rounds of the mount's own: after a start over an index that was made anew, or
 * that the last process did not close, what is doubtful, as fast as the workers
 * hash. Then, VERIFY_REST_S after the last, everything, slowly. Torrents are
 * woken for it only after a lost index: to wake a large library would announce
 * all of it. Others are looked at when they are awake.
 *
 * A round that somebody asked for goes on if he does not ask again, and its
 * result is kept until he does, VERIFY_ROUNDS_MAX of them at most.
 *
 * Threads: loop. */
#include "fs/verify.h"

#include <errno.h>
#include <inttypes.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "net/engine.h"
#include "net/torrent.h"

struct verify_round {
	LIST_ENTRY(verify_round) link;
	struct mount *m;
	uint64_t id;
	bool is_own, is_slow, only_doubtful;
	bool may_wake;	 /* what is not awake */
	bool is_waiting; /* for a torrent to be READY */
	bool is_done;
	struct bits pieces; /* of the one torrent; no data: all */
	struct scrub *scrub;
	struct scrub_sums sums; /* of those that are done */
	struct loop_timer *timer;
	uint32_t at, n;
	uint64_t bases[];
};

static void round_free(struct verify_round *r)
{
	if (r->scrub != NULL)
		scrub_cancel(r->scrub);
	LIST_REMOVE(r, link);
	if (r->m->verifies.own == r)
		r->m->verifies.own = NULL;
	else
		r->m->verifies.n_asked--;
	loop_timer_free(r->timer);
	bits_fini(&r->pieces);
	mem_free(r);
}

static void add_sums(struct scrub_sums *to, const struct scrub_sums *sums)
{
	to->pieces += sums->pieces;
	to->bytes += sums->bytes;
	to->bad += sums->bad;
}

/* ---- one torrent after the other ---- */

static void again(struct verify_round *r, uint64_t ms)
{
	loop_timer_start(r->timer, ms * 1000);
}

static void finish(struct verify_round *r)
{
	struct verifies *all = &r->m->verifies;

	r->is_done = true;
	add_sums(&all->sums, &r->sums);
	if (r->sums.bad > 0)
		log_warn("verify: %" PRIu64 " of %" PRIu64
			 " pieces were wrong: they are fetched anew",
			 r->sums.bad, r->sums.pieces);
	else if (r->is_own && r->only_doubtful)
		log_info("verify: %" PRIu64
			 " pieces were doubtful, and are right",
			 r->sums.pieces);
	if (r->is_own) {
		loop_timer_start(all->next, (uint64_t)VERIFY_REST_S * 1000000);
		round_free(r);
	}
}

/* On any turn, also while the torrent is closed. */
static void on_scrubbed(void *arg, int err, const struct scrub_sums *sums)
{
	struct verify_round *r = arg;

	r->scrub = NULL;
	add_sums(&r->sums, sums);
	r->at++;
	again(r, 0);
}

/* 0: it is being hashed; EAGAIN: later; else: it is passed over. */
static int begin_one(struct verify_round *r, struct shown *s)
{
	struct scrub_cfg cfg = {
		.pieces = r->pieces.data != NULL ? &r->pieces : NULL,
		.only_doubtful = r->only_doubtful,
		.is_slow = r->is_slow,
		.done = on_scrubbed,
		.arg = r,
	};
	int err;

	if (s == NULL || s->is_leaving ||
	    (s->torrent == NULL && (s->held_bytes == 0 || !r->may_wake)))
		return ENOENT;
	err = warmth_wake(r->m, s);
	if (err != 0)
		return err == ENOMEM ? EAGAIN : err;
	switch (torrent_state(s->torrent)) {
	case TORRENT_READY:
		return scrub_start(s->torrent, &cfg, &r->scrub);
	case TORRENT_OPENING:
	case TORRENT_META:
		return EAGAIN;
	case TORRENT_FAILED:
	case TORRENT_CLOSED:
		break;
	}
	return ESTALE;
}

static void on_timer(void *arg)
{
	struct verify_round *r = arg;
	int err = ENOENT;

	r->is_waiting = false;
	for (; r->at < r->n; r->at++) {
		err = begin_one(r,
				roster_by_base(&r->m->roster, r->bases[r->at]));
		if (err == 0)
			return;
		if (err == EAGAIN || err == ENOMEM) {
			r->is_waiting = true;
			again(r, VERIFY_POLL_MS);
			return;
		}
	}
	finish(r);
}

void verify_on_ready(struct mount *m)
{
	struct verify_round *r;

	LIST_FOREACH (r, &m->verifies.rounds, link)
		if (r->is_waiting)
			again(r, 0);
}

static int round_new(struct mount *m, const struct shown *s,
		     struct verify_round **out)
{
	uint32_t n = s != NULL ? 1 : m->roster.n;
	struct verify_round *r =
		mem_zalloc(1, sizeof(*r) + n * sizeof(r->bases[0]));
	int err;

	if (r == NULL)
		return ENOMEM;
	err = loop_timer_new(m->loop, on_timer, r, &r->timer);
	if (err != 0) {
		mem_free(r);
		return err;
	}
	r->m = m;
	r->n = n;
	for (uint32_t i = 0; i < n; i++)
		r->bases[i] = s != NULL ? s->base : m->roster.listed[i].base;
	LIST_INSERT_HEAD(&m->verifies.rounds, r, link);
	*out = r;
	return 0;
}

/* ---- those that are asked for ---- */

/* What is done, and nobody asked for, makes room. */
static bool has_room(struct mount *m)
{
	struct verify_round *r, *last = NULL;

	if (m->verifies.n_asked < VERIFY_ROUNDS_MAX)
		return true;
	LIST_FOREACH (r, &m->verifies.rounds, link)
		if (r->is_done)
			last = r;
	if (last == NULL)
		return false;
	round_free(last);
	return true;
}

int verify_start(struct mount *m, const struct shown *s, struct bits *pieces,
		 uint64_t *id)
{
	struct verify_round *r;
	int err;

	if (!has_room(m))
		return EBUSY;
	err = round_new(m, s, &r);
	if (err != 0)
		return err;
	m->verifies.n_asked++;
	r->may_wake = true;
	r->pieces = *pieces;
	*pieces = (struct bits){0};
	r->id = *id = ++m->verifies.last_id;
	again(r, 0);
	return 0;
}

bool verify_view(struct mount *m, uint64_t id, struct verify_view *out)
{
	struct verify_round *r;
	struct scrub_sums now = {0};

	LIST_FOREACH (r, &m->verifies.rounds, link)
		if (!r->is_own && r->id == id)
			break;
	if (r == NULL)
		return false;
	if (r->scrub != NULL)
		scrub_look(r->scrub, &now);
	add_sums(&now, &r->sums);
	*out = (struct verify_view){.sums = now,
				    .torrents = r->n,
				    .torrents_done = r->at,
				    .is_done = r->is_done};
	if (r->is_done)
		round_free(r);
	return true;
}

/* ---- the mount's own ---- */

static void begin_own(struct mount *m, enum engine_doubts doubts)
{
	struct verify_round *r;

	if (round_new(m, NULL, &r) != 0) {
		loop_timer_start(m->verifies.next,
				 (uint64_t)VERIFY_REST_S * 1000000);
		return;
	}
	m->verifies.own = r;
	r->is_own = true;
	r->is_slow = doubts == ENGINE_SURE;
	r->only_doubtful = !r->is_slow;
	r->may_wake = doubts == ENGINE_DOUBTS_ALL;
	again(r, 0);
}

static void on_next(void *arg)
{
	struct mount *m = arg;

	if (!m->is_over && m->verifies.own == NULL)
		begin_own(m, ENGINE_SURE);
}

void verify_begin(struct mount *m)
{
	enum engine_doubts doubts = engine_doubts(m->engine);

	if (doubts != ENGINE_SURE)
		begin_own(m, doubts);
	else
		loop_timer_start(m->verifies.next,
				 (uint64_t)VERIFY_REST_S * 1000000);
}

int verify_init(struct mount *m)
{
	LIST_INIT(&m->verifies.rounds);
	return loop_timer_new(m->loop, on_next, m, &m->verifies.next);
}

void verify_end(struct mount *m)
{
	struct verify_round *r;

	while ((r = LIST_FIRST(&m->verifies.rounds)) != NULL)
		round_free(r);
	loop_timer_free(m->verifies.next);
	m->verifies.next = NULL;
}
