/* pieces — the states of pieces, and the moves between them.
 *
 * Purpose: everything above asks here what of a torrent may be read; everything
 * below is told from here what to keep. The states, their fields and the moves
 * are the table in pieces.h; `may_go_to` is that table for the machine, and
 * pieces_internal.h has the fields of a slot.
 *
 * Happy path
 *   1. pieces_wait: a reader waits; the piece is WANTED.
 *   2. pieces_begin (pieces_fill.c): a buffer; FETCHING. net/ fills it.
 *   3. pieces_filled: a worker hashes it; CHECKING.
 *   4. It is right. have has it; the put is on its way; on_verified,
 *      then the waiters are called. All before a byte reaches the disk.
 *   5. WRITTEN: its memory is no longer counted, but kept for a while.
 *   6. DURABLE: CLEAN. The slot lives as long as its buffer.
 *
 * Memory: a torrent may have two million pieces, so a piece nobody works on is
 * one byte. Waits hang in PIECES_WAIT_LISTS lists by their piece's number, so
 * that waiting never needs memory.
 *
 * Calls upward (ops, waiters) may call back into here, pieces_close included.
 * So each is the last thing done with what it may change, and what is looked
 * at after it is looked at afresh; the struct itself lives to the end of the
 * turn.
 *
 * Failure modes: see the table. A piece that is lost while its put is under
 * way leaves its slot adrift: out of the table of slots, freed when the put
 * has ended, and its outcome does not matter any more.
 *
 * A staged piece that is given up leaves its slot adrift as well, until nobody
 * writes to the store for it.
 *
 * Closing: waiters go first, then slots without a job; `gone` follows the last
 * job. A hash that ends after that is not looked at. */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <errno.h>

#include "cache/stage.h"
#include "cache/store.h"
#include "core/blk.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

#define BIT(state) (1u << (state))

static const uint8_t may_go_to[] = {
	[PIECE_ABSENT] =
		BIT(PIECE_WANTED) | BIT(PIECE_FETCHING) | BIT(PIECE_CLEAN),
	[PIECE_WANTED] =
		BIT(PIECE_ABSENT) | BIT(PIECE_FETCHING) | BIT(PIECE_CLEAN),
	[PIECE_FETCHING] =
		BIT(PIECE_ABSENT) | BIT(PIECE_WANTED) | BIT(PIECE_CHECKING),
	[PIECE_CHECKING] = BIT(PIECE_FETCHING) | BIT(PIECE_SETTLING),
	[PIECE_SETTLING] = BIT(PIECE_CLEAN) | BIT(PIECE_ABSENT),
	[PIECE_CLEAN] = BIT(PIECE_ABSENT),
};

void pieces_move(struct pieces *ps, uint32_t ix, enum piece_state to)
{
	assert(may_go_to[piece_state(ps, ix)] & BIT(to));
	ps->marks[ix] = (uint8_t)((ps->marks[ix] & (uint8_t)~MARK_STATE) | to);
	pieces_gain_on_move(ps, ix);
}

bool pieces_is_waited(const struct pieces *ps, uint32_t ix)
{
	return (ps->marks[ix] & MARK_WAITED) != 0;
}

/* ---- slots ---- */

struct slot *pieces_slot(const struct pieces *ps, uint32_t ix)
{
	return hmap_get(ps->slots, &ix);
}

static void slot_drop_blk(struct slot *s)
{
	piece_mem_uncount_slot(s);
	piece_mem_forget(s);
	blk_drop(s->blk);
	s->blk = NULL;
}

static void slot_free(struct slot *s)
{
	if (s->blk != NULL)
		slot_drop_blk(s);
	mem_free(s->digests);
	mem_free(s->leaf_hashes);
	mem_free(s);
}

/* Its stage has gone: with a verdict, or because the piece was given up. */
void pieces_on_stage_gone(struct slot *s)
{
	struct pieces *ps = s->ps;

	s->stage = NULL;
	if (!s->is_adrift)
		return;
	LIST_REMOVE(s, drift);
	if (ps->st != NULL)
		store_unstage(ps->st, s->ix);
	slot_free(s);
	if (ps->is_barred && !ps->is_closed)
		loop_defer(ps->cfg.loop, &ps->room_task);
	ps->is_barred = false;
}

/* Out of the table; freed now, or by the end of its job. */
void pieces_slot_release(struct slot *s)
{
	pieces_leaf_free(s);
	if (!s->is_adrift)
		hmap_del(s->ps->slots, &s->ix);
	s->is_adrift = true;
	if (s->stage != NULL) {
		LIST_INSERT_HEAD(&s->ps->drift, s, drift);
		stage_free(s->stage);
	} else if (!s->has_job) {
		slot_free(s);
	}
}

struct slot *pieces_slot_new(struct pieces *ps, uint32_t ix)
{
	uint32_t len = metainfo_body_bytes(ps->cfg.mi, ix);
	struct slot *s = mem_new(struct slot);

	if (s == NULL)
		return NULL;
	s->ps = ps;
	s->ix = ix;
	s->digests = mem_alloc((len / VERIFY_BLOCK_BYTES + 1) *
			       sizeof(s->digests[0]));
	if (hmap_put(ps->slots, &ix, s) != 0) {
		slot_free(s);
		return NULL;
	}
	return s;
}

void pieces_drop_digests(struct slot *s)
{
	mem_free(s->digests);
	s->digests = NULL;
}

void pieces_job_begin(struct pieces *ps)
{
	ps->n_jobs++;
}

void pieces_slot_job_begin(struct slot *s)
{
	s->has_job = true;
	pieces_job_begin(s->ps);
}

static void on_gone(void *arg)
{
	struct pieces *ps = arg;
	void (*gone)(void *) = ps->gone;
	void *gone_arg = ps->gone_arg;

	piece_mem_part(ps->cfg.mem);
	pieces_vet_fini(ps);
	hasher_free(ps->hasher);
	bits_fini(&ps->have);
	bits_fini(&ps->kept);
	hmap_free(ps->slots);
	mem_free(ps->marks);
	mem_free(ps);
	if (gone != NULL)
		gone(gone_arg);
}

void pieces_job_end(struct pieces *ps)
{
	assert(ps->n_jobs > 0);
	if (--ps->n_jobs == 0 && ps->is_closed)
		loop_defer(ps->cfg.loop, &ps->gone_task);
}

void pieces_slot_job_end(struct slot *s)
{
	s->has_job = false;
	pieces_job_end(s->ps);
}

/* ---- losing ---- */

void pieces_drop_have(struct pieces *ps, uint32_t ix)
{
	bits_clear(&ps->have, ix);
	pieces_move(ps, ix, PIECE_ABSENT);
	pieces_check_piece(ps, ix);
	ps->cfg.ops->on_lost(ps->cfg.arg, ix);
}

void pieces_lose(struct pieces *ps, uint32_t ix)
{
	struct slot *s = pieces_slot(ps, ix);

	if (!bits_has(&ps->have, ix) || (s != NULL && s->blk != NULL))
		return;
	log_debug("piece %u cannot be read any more", ix);
	store_forget(ps->st, ix);
	if (s != NULL)
		pieces_slot_release(s);
	pieces_drop_have(ps, ix);
}

void pieces_drop_recent(struct slot *s)
{
	struct pieces *ps = s->ps;
	uint32_t ix = s->ix;
	bool is_lost = s->is_unkept;

	slot_drop_blk(s);
	if (s->has_job)
		return; /* SETTLING: the slot is the put's */
	pieces_slot_release(s);
	if (is_lost)
		pieces_drop_have(ps, ix);
}

/* ---- settling ---- */

static void on_put_failed(struct slot *s, int err)
{
	struct pieces *ps = s->ps;
	uint32_t ix = s->ix;

	log_debug("piece %u is not kept: %s", ix, err_text(err));
	ps->put_err = err;
	if (s->blk == NULL) {
		pieces_slot_release(s);
		pieces_drop_have(ps, ix);
		return;
	}
	s->is_unkept = true;
	pieces_move(ps, ix, PIECE_CLEAN);
	piece_mem_uncount_slot(s);
	if (!s->is_recent)
		piece_mem_keep(s);
	piece_mem_trim(ps->cfg.mem);
}

static void on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	struct slot *s = arg;
	struct pieces *ps = s->ps;

	pieces_check_piece(ps, ix);
	if (err != 0 || phase == STORE_DURABLE)
		pieces_slot_job_end(s);
	if (s->is_adrift) {
		if (!s->has_job)
			pieces_slot_release(s);
		return;
	}
	if (err != 0) {
		on_put_failed(s, err);
	} else if (phase == STORE_WRITTEN) {
		if (s->blk == NULL)
			return; /* it was staged */
		piece_mem_uncount_slot(s);
		piece_mem_keep(s);
		piece_mem_trim(ps->cfg.mem);
	} else {
		ps->put_err = 0;
		pieces_move(ps, ix, PIECE_CLEAN);
		if (s->blk == NULL)
			pieces_slot_release(s);
	}
}

/* Nobody waits for it any more, though the waiters are called last. */
static void begin_settling(struct slot *s)
{
	struct pieces *ps = s->ps;

	pieces_move(ps, s->ix, PIECE_SETTLING);
	ps->marks[s->ix] &= (uint8_t)~MARK_WAITED;
	bits_set(&ps->have, s->ix);
	pieces_leaf_free(s);
}

void pieces_settle(struct slot *s)
{
	struct pieces *ps = s->ps;
	int err;

	begin_settling(s);
	pieces_slot_job_begin(s);
	if (s->verify.root.is_known)
		store_vouch(ps->st, s->ix);
	err = store_put(ps->st, s->ix, s->blk, on_put, s);
	if (err == 0)
		return;
	/* The piece must outlive the calls to its waiters: the cap on recent
	 * bytes is looked at when the next one comes. */
	pieces_slot_job_end(s);
	s->is_unkept = true;
	pieces_move(ps, s->ix, PIECE_CLEAN);
	piece_mem_uncount_slot(s);
	piece_mem_keep(s);
}

int pieces_settle_staged(struct slot *s)
{
	int err;

	pieces_slot_job_begin(s);
	err = store_put(s->ps->st, s->ix, NULL, on_put, s);
	if (err != 0) {
		pieces_slot_job_end(s);
		return err;
	}
	begin_settling(s);
	stage_free(s->stage); /* no job of it is under way: it is gone */
	return 0;
}

/* ---- waiting ---- */

static struct piece_waits *waits_of(struct pieces *ps, uint32_t ix)
{
	return &ps->waits[ix % PIECES_WAIT_LISTS];
}

struct piece_wait *pieces_wait_of(struct pieces *ps, uint32_t ix,
				  struct piece_wait *w)
{
	w = w == NULL ? LIST_FIRST(waits_of(ps, ix)) : LIST_NEXT(w, link);
	while (w != NULL && w->piece_ix != ix)
		w = LIST_NEXT(w, link);
	return w;
}

static void wait_remove(struct pieces *ps, struct piece_wait *w)
{
	uint32_t ix = w->piece_ix;

	LIST_REMOVE(w, link);
	w->waiting = false;
	if (ps->is_closed || pieces_wait_of(ps, ix, NULL) != NULL)
		return;
	ps->marks[ix] &= (uint8_t)~MARK_WAITED;
	if (piece_state(ps, ix) == PIECE_WANTED)
		pieces_move(ps, ix, PIECE_ABSENT);
	pieces_check_piece(ps, ix);
}

void pieces_wait_end(struct pieces *ps, struct piece_wait *w, int err)
{
	wait_remove(ps, w);
	w->fn(w->arg, err, w->piece_ix);
}

/* Each waiter may end others, or close everything. */
void pieces_call_waiters(struct pieces *ps, uint32_t ix, int err)
{
	struct piece_wait *w;

	while ((w = pieces_wait_of(ps, ix, NULL)) != NULL)
		pieces_wait_end(ps, w, err);
}

void pieces_wait(struct pieces *ps, uint32_t ix, struct piece_wait *w)
{
	struct slot *s = pieces_slot(ps, ix);

	ASSERT_LOOP(ps->cfg.loop);
	pieces_check_piece(ps, ix);
	assert(!bits_has(&ps->have, ix) && !w->waiting && !ps->is_closed);
	w->piece_ix = ix;
	w->waiting = true;
	LIST_INSERT_HEAD(waits_of(ps, ix), w, link);
	ps->marks[ix] |= MARK_WAITED;
	if (piece_state(ps, ix) == PIECE_ABSENT)
		pieces_move(ps, ix, PIECE_WANTED);
	else if (piece_state(ps, ix) == PIECE_CHECKING)
		verify_queue_hurry(&ps->cfg.mem->to_verify);
	(void)pieces_offer_bars(ps, ix);
	if (s != NULL)
		pieces_leaf_look(s);
}

void pieces_wait_cancel(struct pieces *ps, struct piece_wait *w)
{
	ASSERT_LOOP(ps->cfg.loop);
	if (w->waiting)
		wait_remove(ps, w);
}

static void on_room(void *arg)
{
	struct pieces *ps = arg;

	if (!ps->is_closed)
		ps->cfg.ops->on_room(ps->cfg.arg);
}

/* ---- looking ---- */

enum piece_state pieces_state(const struct pieces *ps, uint32_t ix)
{
	pieces_check_piece(ps, ix);
	return piece_state(ps, ix);
}

const struct bits *pieces_have(const struct pieces *ps)
{
	return &ps->have;
}

int64_t pieces_added_s(const struct pieces *ps)
{
	return store_added_s(ps->st);
}

const struct bits *pieces_pinned(const struct pieces *ps)
{
	return store_pinned(ps->st);
}

int pieces_keep_pins(struct pieces *ps, const struct bits *files)
{
	return store_keep_pins(ps->st, files);
}

struct store_torrent *pieces_store(const struct pieces *ps)
{
	return ps->st;
}

uint64_t pieces_hashed(const struct pieces *ps)
{
	return ps->n_hashed;
}

/* ---- life ---- */

static void take_held(struct pieces *ps, const struct bits *held)
{
	/* Same universe and no spare bit: cannot fail. */
	bits_load(&ps->have, held->data, bits_bytes(held->n));
	for (uint32_t ix = bits_next(held, 0); ix < held->n;
	     ix = bits_next(held, ix + 1))
		ps->marks[ix] = PIECE_CLEAN;
}

void pieces_opened(struct pieces *ps)
{
	bool is_closed = ps->is_closed;

	pieces_job_end(ps);
	if (!is_closed)
		ps->open_done(ps->open_arg, 0, ps);
}

static void on_opened(void *arg, int err, struct store_torrent *st,
		      const struct bits *held)
{
	struct pieces *ps = arg;

	if (ps->is_closed) {
		if (err == 0)
			store_close(st);
		pieces_job_end(ps);
		return;
	}
	if (err == 0) {
		ps->st = st;
		take_held(ps, held);
		pieces_kept_open(ps);
		pieces_gain_watch(ps);
		if (!pieces_pad_start(ps))
			pieces_opened(ps);
		return;
	}
	pieces_open_fn *done = ps->open_done;
	void *done_arg = ps->open_arg;

	on_gone(ps);
	done(done_arg, err, NULL);
}

static struct pieces *pieces_new(const struct pieces_cfg *cfg)
{
	struct pieces *ps = mem_new(struct pieces);

	if (ps == NULL)
		return NULL;
	ps->cfg = *cfg;
	for (unsigned i = 0; i < PIECES_WAIT_LISTS; i++)
		LIST_INIT(&ps->waits[i]);
	LIST_INIT(&ps->drift);
	TAILQ_INIT(&ps->due);
	TAILQ_INIT(&ps->vets.list);
	pieces_gain_init(ps);
	loop_task_init(&ps->room_task, on_room, ps);
	loop_task_init(&ps->gone_task, on_gone, ps);
	ps->marks = mem_zalloc(cfg->mi->n_pieces, 1);
	if (ps->marks == NULL)
		goto free_pieces;
	if (bits_init(&ps->have, cfg->mi->n_pieces) != 0)
		goto free_pieces;
	if (hmap_new(sizeof(uint32_t), &ps->slots) != 0)
		goto free_have;
	if (pieces_leaf_open(ps) != 0)
		goto free_slots;
	piece_mem_join(cfg->mem);
	return ps;
free_slots:
	hmap_free(ps->slots);
free_have:
	bits_fini(&ps->have);
free_pieces:
	mem_free(ps->marks);
	mem_free(ps);
	return NULL;
}

int pieces_open_start(const struct pieces_cfg *cfg, pieces_open_fn *done,
		      void *arg, struct pieces **out)
{
	struct pieces *ps;
	int err;

	ASSERT_LOOP(cfg->loop);
	ps = pieces_new(cfg);
	if (ps == NULL)
		return ENOMEM;
	ps->open_done = done;
	ps->open_arg = arg;
	ps->n_jobs = 1;
	err = store_open(cfg->store, cfg->mi, on_opened, ps);
	if (err != 0) {
		on_gone(ps);
		return err;
	}
	*out = ps;
	return 0;
}

static void end_waiters(struct pieces *ps)
{
	for (unsigned i = 0; i < PIECES_WAIT_LISTS; i++) {
		struct piece_wait *w;

		while ((w = LIST_FIRST(&ps->waits[i])) != NULL)
			pieces_wait_end(ps, w, ESTALE);
	}
}

/* What a job still reads stays, but is not counted any more; a stage counts
 * what it has to the end. */
static void slot_close(struct slot *s)
{
	pieces_keep(s->ps, s->ix);
	piece_mem_uncount_slot(s);
	piece_mem_forget(s);
	pieces_slot_release(s);
}

void pieces_close(struct pieces *ps TAKES, void (*gone)(void *arg), void *arg)
{
	struct slot *s;
	size_t pos = 0;

	ASSERT_LOOP(ps->cfg.loop);
	assert(!ps->is_closed);
	ps->is_closed = true;
	ps->gone = gone;
	ps->gone_arg = arg;
	ps->n_jobs++; /* this call */
	end_waiters(ps);
	pieces_vet_close(ps);
	while ((s = hmap_next(ps->slots, &pos)) != NULL)
		slot_close(s);
	verify_queue_hurry(&ps->cfg.mem->to_verify);
	piece_mem_unstarve(ps);
	pieces_leaf_close(ps);
	loop_task_cancel(ps->cfg.loop, &ps->room_task);
	loop_task_cancel(ps->cfg.loop, &ps->gain_task);
	if (ps->st != NULL)
		store_close(ps->st);
	ps->st = NULL;
	pieces_job_end(ps);
}
