/* pieces_read — verified bytes, out of memory or out of the store.
 *
 * Purpose: a reader sees one address space; whether a piece lies in a buffer or
 * in a blob is found here, piece by piece. A buffer goes first: it costs a
 * copy, and between the hash and the blob's write it is the only place.
 *
 * How: each piece that is in no buffer is a store_read of its own, so that one
 * that cannot be read is known by its number and nobody else loses anything.
 *
 * A piece that somebody else may have changed where it lies (store_is_doubtful)
 * is hashed, and what is wanted of it are the bytes that were hashed. Kept
 * leaves of such a piece are given up.
 *
 * Of a piece that is not in have its right leaves are read the same way; the
 * store has them once they were staged. If right leaves were lost while it read
 * them (n_losses), other bytes may have been written there: ENOENT.
 *
 * Failure modes: the store's EIO means that the bytes are not there: the piece
 * is lost, and the read says EIO, upon which its owner fetches it again. Other
 * errors (no memory, no descriptors) say nothing about the piece.
 *
 * A read is under way until all its parts are, however early one fails: they
 * write into the caller's memory. */
#include "cache/pieces_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "cache/stage.h"
#include "cache/store.h"
#include "cache/store_vet.h"
#include "core/blk.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* What of a range lies in one piece. */
struct part {
	uint32_t ix;
	uint32_t at_bytes; /* in the piece */
	uint32_t len_bytes;
	uint64_t off_bytes; /* in piece space */
	uint8_t *dst;
};

struct read {
	struct pieces *ps;
	unsigned n_pending;
	int err;
	void (*done)(void *arg, int err);
	void *arg;
	struct loop_task task; /* when no part needs the store */
};

/* One store_read of a read. */
struct part_read {
	struct read *rd; /* Owner */
	uint32_t ix;
	struct part part;
	struct vet_wait vet; /* it is doubtful */
	bool is_leaf;	     /* the piece is not in have */
	uint64_t n_losses;   /* at the start */
};

/* Of a piece that is not in have: how far from here on the leaves are in one
 * place, its slot's or the store's. */
static uint32_t run_bytes(const struct pieces *ps, uint32_t ix, uint32_t at)
{
	uint32_t i = at / VERIFY_BLOCK_BYTES, end = ps->cfg.mi->piece_bytes;
	const struct slot *s;
	bool is_right;

	if (bits_has(&ps->have, ix))
		return end - at;
	s = pieces_slot(ps, ix);
	if (s != NULL && s->stage != NULL) {
		uint32_t segment = stage_segment_bytes(s->stage);

		end = at - at % segment + segment;
	}
	is_right = pieces_leaf_is_right(s, i);
	while ((uint64_t)++i * VERIFY_BLOCK_BYTES < end)
		if (pieces_leaf_is_right(s, i) != is_right)
			return i * VERIFY_BLOCK_BYTES - at;
	return end - at;
}

static bool next_part(const struct pieces *ps, struct part *p,
		      uint32_t *left_bytes)
{
	uint32_t piece_bytes = ps->cfg.mi->piece_bytes;

	p->off_bytes += p->len_bytes;
	if (p->dst != NULL)
		p->dst += p->len_bytes;
	*left_bytes -= p->len_bytes;
	if (*left_bytes == 0)
		return false;
	p->ix = (uint32_t)(p->off_bytes / piece_bytes);
	p->at_bytes = (uint32_t)(p->off_bytes % piece_bytes);
	p->len_bytes = run_bytes(ps, p->ix, p->at_bytes);
	if (p->len_bytes > *left_bytes)
		p->len_bytes = *left_bytes;
	return true;
}

static struct part first_part(uint64_t off_bytes, uint8_t *dst)
{
	return (struct part){.off_bytes = off_bytes, .dst = dst};
}

/* May all of it be read? */
static bool all_held(const struct pieces *ps, uint64_t off_bytes,
		     uint32_t len_bytes)
{
	struct part p = first_part(off_bytes, NULL);

	while (next_part(ps, &p, &len_bytes))
		if (p.ix >= ps->have.n ||
		    !pieces_is_right(ps, p.ix, p.at_bytes, p.len_bytes))
			return false;
	return true;
}

/* From the piece's buffer; false when it has none. */
static bool copy_part(struct pieces *ps, const struct part *p)
{
	struct slot *s = pieces_slot(ps, p->ix);
	size_t n;

	pieces_check_piece(ps, p->ix);
	if (s != NULL && !bits_has(&ps->have, p->ix)) {
		uint8_t *data;

		if (!pieces_leaf_is_right(s,
					  p->at_bytes / VERIFY_BLOCK_BYTES) ||
		    pieces_leaf_lend(s, p->at_bytes, p->len_bytes, &data) ==
			    NULL)
			return false;
		memcpy(p->dst, data, p->len_bytes);
		return true;
	}
	if (s == NULL || s->blk == NULL)
		return false;
	n = p->at_bytes < s->blk->len ? s->blk->len - p->at_bytes : 0;
	if (n > p->len_bytes)
		n = p->len_bytes;
	memcpy(p->dst, s->blk->data + p->at_bytes, n);
	memset(p->dst + n, 0, p->len_bytes - n); /* behind a v2 file's end */
	piece_mem_use(s);
	return true;
}

struct blk *pieces_peek(struct pieces *ps, uint32_t ix)
{
	struct slot *s;

	ASSERT_LOOP(ps->cfg.loop);
	pieces_check_piece(ps, ix);
	if (!bits_has(&ps->have, ix))
		return NULL;
	s = pieces_slot(ps, ix);
	if (s == NULL || s->blk == NULL)
		return NULL;
	piece_mem_use(s);
	return blk_hold(s->blk);
}

struct blk *pieces_lend(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
			uint32_t len_bytes, uint8_t **data)
{
	struct blk *found;
	struct blk *b = pieces_peek(ps, ix);
	struct slot *s;

	if (b != NULL && at_bytes + len_bytes <= b->len) {
		*data = b->data + at_bytes;
		return b;
	}
	blk_drop(b);
	s = pieces_slot(ps, ix);
	if (s == NULL || bits_has(&ps->have, ix) ||
	    !pieces_is_right(ps, ix, at_bytes, len_bytes))
		return NULL;
	for (uint32_t i = at_bytes / VERIFY_BLOCK_BYTES;
	     i <= (at_bytes + len_bytes - 1) / VERIFY_BLOCK_BYTES; i++)
		if (!pieces_leaf_is_right(s, i))
			return NULL; /* the store has it, not the slot */
	found = pieces_leaf_lend(s, at_bytes, len_bytes, data);
	return found != NULL ? blk_hold(found) : NULL;
}

int pieces_read_now(struct pieces *ps, uint64_t off_bytes, uint32_t len_bytes,
		    uint8_t *dst)
{
	struct part p = first_part(off_bytes, dst);
	int err;

	ASSERT_LOOP(ps->cfg.loop);
	if (!all_held(ps, off_bytes, len_bytes))
		return ENOENT;
	while (next_part(ps, &p, &len_bytes)) {
		if (copy_part(ps, &p))
			continue;
		if (store_is_doubtful(ps->st, p.ix))
			return EAGAIN;
		err = store_read_now(ps->st, p.off_bytes, p.len_bytes, p.dst);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- by a worker ---- */

static void read_end(struct read *rd)
{
	struct pieces *ps = rd->ps;

	rd->done(rd->arg, ps->is_closed ? ESTALE : rd->err);
	mem_free(rd);
	pieces_job_end(ps);
}

static void on_task(void *arg)
{
	read_end(arg);
}

/* What was staged will be missed when the piece is hashed. */
static void lose_leaves(struct pieces *ps, uint32_t ix)
{
	struct slot *s = pieces_slot(ps, ix);

	pieces_kept_forget(ps, ix);
	if (!bits_has(&ps->have, ix) && (s == NULL || s->stage == NULL))
		store_forget(ps->st, ix);
}

static void on_part(void *arg, int err)
{
	struct part_read *part = arg;
	struct read *rd = part->rd;
	struct pieces *ps = rd->ps;
	uint32_t ix = part->ix;

	if (err == 0 && part->is_leaf && part->n_losses != ps->n_losses)
		err = ENOENT;
	else if (err == EIO && part->is_leaf) {
		if (!ps->is_closed)
			lose_leaves(ps, ix);
		err = ENOENT;
	}
	mem_free(part);
	if (err != 0 && rd->err == 0)
		rd->err = err;
	if (err == EIO && !ps->is_closed)
		pieces_lose(ps, ix);
	if (--rd->n_pending == 0)
		read_end(rd);
}

static int read_part(struct part_read *part)
{
	const struct part *p = &part->part;

	return store_read(part->rd->ps->st, p->off_bytes, p->len_bytes, p->dst,
			  on_part, part);
}

static int start_read(struct part_read *part);

/* It was hashed where it lies. */
static void on_vetted(void *arg, int err)
{
	struct part_read *part = arg;

	if (err == 0 && !part->vet.is_read)
		err = start_read(part);
	else if (err == EIO)
		err = ENOENT; /* it is lost already */
	else
		assert(err != ENOTSUP);
	if (err != 0 || part->vet.is_read)
		on_part(part, err);
}

/* Doubtful: a piece is hashed first, for leaves there is nothing to do. */
static int vet_part(struct part_read *part)
{
	struct pieces *ps = part->rd->ps;

	if (part->is_leaf) {
		lose_leaves(ps, part->ix);
		return ENOENT;
	}
	part->vet = (struct vet_wait){.fn = on_vetted,
				      .arg = part,
				      .dst = part->part.dst,
				      .at_bytes = part->part.at_bytes,
				      .len_bytes = part->part.len_bytes};
	return pieces_vet(ps, part->ix, true, &part->vet);
}

static int start_read(struct part_read *part)
{
	struct pieces *ps = part->rd->ps;

	if (ps->is_closed)
		return ESTALE;
	return store_is_doubtful(ps->st, part->ix) ? vet_part(part)
						   : read_part(part);
}

static int start_part(struct read *rd, const struct part *p)
{
	struct part_read *part = mem_new(struct part_read);
	int err;

	if (part == NULL)
		return ENOMEM;
	part->part = *p;
	part->rd = rd;
	part->ix = p->ix;
	part->is_leaf = !bits_has(&rd->ps->have, p->ix);
	part->n_losses = rd->ps->n_losses;
	err = start_read(part);
	if (err != 0) {
		mem_free(part);
		return err;
	}
	rd->n_pending++;
	return 0;
}

int pieces_read(struct pieces *ps, uint64_t off_bytes, uint32_t len_bytes,
		uint8_t *dst, void (*done)(void *arg, int err), void *arg)
{
	struct part p = first_part(off_bytes, dst);
	struct read *rd;

	ASSERT_LOOP(ps->cfg.loop);
	if (!all_held(ps, off_bytes, len_bytes))
		return ENOENT;
	rd = mem_new(struct read);
	if (rd == NULL)
		return ENOMEM;
	rd->ps = ps;
	rd->done = done;
	rd->arg = arg;
	loop_task_init(&rd->task, on_task, rd);
	while (rd->err == 0 && next_part(ps, &p, &len_bytes))
		if (!copy_part(ps, &p))
			rd->err = start_part(rd, &p);
	if (rd->err != 0 && rd->n_pending == 0) {
		int err = rd->err;

		mem_free(rd);
		return err;
	}
	ps->n_jobs++;
	if (rd->n_pending == 0)
		loop_defer(ps->cfg.loop, &rd->task);
	return 0;
}

/* ---- the file itself ---- */

static bool is_kept(const struct pieces *ps, uint32_t ix)
{
	const struct slot *s = pieces_slot(ps, ix);

	return piece_state(ps, ix) == PIECE_CLEAN &&
	       !store_is_doubtful(ps->st, ix) && (s == NULL || !s->is_unkept);
}

int pieces_blob(struct pieces *ps, uint32_t file_ix, store_blob_fn *done,
		void *arg)
{
	const struct mi_file *f = &ps->cfg.mi->files[file_ix];
	uint64_t piece_bytes = ps->cfg.mi->piece_bytes;
	uint64_t end = f->off_bytes + f->len_bytes;

	ASSERT_LOOP(ps->cfg.loop);
	if (ps->st == NULL)
		return ESTALE;
	for (uint64_t ix = f->off_bytes / piece_bytes; ix * piece_bytes < end;
	     ix++)
		if (!is_kept(ps, (uint32_t)ix))
			return EAGAIN;
	return store_blob(ps->st, file_ix, done, arg);
}
