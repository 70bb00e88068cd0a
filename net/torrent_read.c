/* torrent_read — reads of a torrent's bytes that may have to wait.
 *
 *   WAITING ──last missing piece verified──> replied from memory
 *      ^  └──all held, some not in memory──> STORE ──0──> replied
 *      └───────────EIO, tries left─────────────┘
 *
 * Happy path: each piece of which something is missing that the read needs gets
 * a piece_wait and counts as urgent demand. When that is verified, be it with
 * the piece or leaf by leaf (cache/pieces.h), its bytes are in memory, and the
 * read holds on to them, so that the reply is made of references the moment the
 * last hash matches: no copy, no disk.
 *
 * What is held but not in memory is read by the store into one buffer of the
 * read's. If the store cannot read what it claimed, the piece is lost, which
 * makes it wanted again; that is tried STORE_TRIES times.
 *
 * Failure modes: torrent closed (the waits end with ESTALE, engine_stop with
 * ESHUTDOWN); no memory; the store's EIO. There is no deadline here.
 *
 * Cancel while the store is reading: the struct stays until it is done, for
 * the buffer is being written (is_orphan). */
#include <string.h>

#include "cache/pieces.h"
#include "core/blk.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/torrent_internal.h"

/* The kernel asks for 512 KiB at a time: with pieces of 16 KiB, 33 parts. */
enum { STORE_TRIES = 6, NOW_PARTS = 40 };

struct read_piece {
	struct piece_wait wait;
	struct torrent_read *rd; /* Owner: */
	struct fetch_part part;	 /* what of it is read */
	struct blk *data;	 /* our reference, once it is verified … */
	uint8_t *at;		 /* … and where the part is in it */
	bool is_missing;
};

struct torrent_read {
	struct torrent *t; /* Owner: */
	TAILQ_ENTRY(torrent_read) link;
	uint64_t off_bytes;
	uint32_t len_bytes;
	torrent_read_fn *done;
	void *arg;
	uint64_t start_us, progress_us;

	uint32_t first_ix, n_pieces, n_missing;
	struct read_piece *pieces;
	struct iovec *iov;
	struct blk *buffer;
	bool is_reading, is_orphan, is_linked;
	unsigned tries;
	int err; /* known at the start */
	struct loop_task task;
};

/* A v2 torrent has gaps behind its files, which are nobody's bytes: there a
 * range lies in one file. */
static bool has_range(const struct metainfo *mi, uint64_t off_bytes,
		      uint32_t len_bytes)
{
	const struct mi_file *file;
	uint32_t ix;

	if (len_bytes == 0 || len_bytes > mi->total_bytes ||
	    off_bytes > mi->total_bytes - len_bytes)
		return false;
	if (mi->has_v1)
		return true;
	ix = metainfo_file_at(mi, off_bytes);
	if (ix == mi->n_files)
		return false;
	file = &mi->files[ix];
	return off_bytes + len_bytes <= file->off_bytes + file->len_bytes;
}

/* One piece's part of a read that must not wait: where it lies if that is in
 * memory, and then `*held` keeps it there; else copied to `dst`. */
static int part_now(struct torrent *t, uint64_t off_bytes, struct iovec *part,
		    uint8_t *dst, struct blk **held)
{
	uint32_t piece_bytes = t->mi->piece_bytes;
	uint8_t *at;

	*held = pieces_lend(t->ps, (uint32_t)(off_bytes / piece_bytes),
			    (uint32_t)(off_bytes % piece_bytes),
			    (uint32_t)part->iov_len, &at);
	if (*held != NULL) {
		part->iov_base = at;
		return 0;
	}
	part->iov_base = dst;
	return pieces_read_now(t->ps, off_bytes, (uint32_t)part->iov_len, dst);
}

int torrent_read_now(struct torrent *t, uint64_t off_bytes, uint32_t len_bytes,
		     uint8_t *scratch, torrent_read_fn *fn, void *arg)
{
	struct iovec iov[NOW_PARTS];
	struct blk *held[NOW_PARTS];
	uint32_t at = 0;
	unsigned n = 0;
	int r = 0;

	if (t->state != TORRENT_READY)
		return ESTALE;
	if (!has_range(t->mi, off_bytes, len_bytes))
		return EINVAL;
	while (r == 0 && at < len_bytes && n < NOW_PARTS) {
		uint64_t off = off_bytes + at;
		size_t len = t->mi->piece_bytes - off % t->mi->piece_bytes;

		if (len > len_bytes - at)
			len = len_bytes - at;
		iov[n].iov_len = len;
		r = part_now(t, off, &iov[n], scratch + at, &held[n]);
		n++;
		at += (uint32_t)len;
	}
	if (r == 0 && at < len_bytes)
		r = EAGAIN; /* many tiny pieces: the way that allocates */
	if (r == 0)
		fn(arg, 0, iov, n);
	while (n > 0)
		blk_drop(held[--n]);
	return r == ENOENT ? EAGAIN : r;
}

/* ---- the end of a read ---- */

static void read_free(struct torrent_read *rd)
{
	uint32_t i;

	for (i = 0; rd->pieces != NULL && i < rd->n_pieces; i++)
		blk_drop(rd->pieces[i].data);
	blk_drop(rd->buffer);
	mem_free(rd->pieces);
	mem_free(rd->iov);
	mem_free(rd);
}

static void stop_waiting(struct read_piece *rp)
{
	struct torrent_read *rd = rp->rd;

	if (!rp->is_missing)
		return;
	rp->is_missing = false;
	rd->n_missing--;
	if (rp->wait.waiting)
		pieces_wait_cancel(rd->t->ps, &rp->wait);
	fetch_del_read(rd->t->fetch, rd->first_ix + (uint32_t)(rp - rd->pieces),
		       &rp->part);
}

/* Out of the torrent: it waits for nothing any more. */
static void detach(struct torrent_read *rd)
{
	uint32_t i;

	if (!rd->is_linked)
		return;
	rd->is_linked = false;
	TAILQ_REMOVE(&rd->t->reads, rd, link);
	rd->t->n_reads--;
	loop_task_cancel(rd->t->e->cfg.loop, &rd->task);
	for (i = 0; rd->n_missing > 0 && i < rd->n_pieces; i++)
		stop_waiting(&rd->pieces[i]);
}

static void let_go(struct torrent_read *rd)
{
	if (rd->is_reading)
		rd->is_orphan = true;
	else
		read_free(rd);
}

static void end(struct torrent_read *rd, int err, const struct iovec *iov,
		unsigned n_iov)
{
	detach(rd);
	rd->done(rd->arg, err, iov, n_iov);
	let_go(rd);
}

void torrent_read_cancel(struct torrent_read *rd)
{
	if (rd == NULL)
		return;
	detach(rd);
	let_go(rd);
}

void torrent_read_end_all(struct torrent *t, int err)
{
	struct torrent_read *rd;

	while ((rd = TAILQ_FIRST(&t->reads)) != NULL)
		end(rd, err, NULL, 0);
}

/* ---- everything is held ---- */

static void reply_from_memory(struct torrent_read *rd)
{
	uint32_t i;

	for (i = 0; i < rd->n_pieces; i++)
		rd->iov[i] =
			(struct iovec){.iov_base = rd->pieces[i].at,
				       .iov_len = rd->pieces[i].part.len_bytes};
	end(rd, 0, rd->iov, rd->n_pieces);
}

static void reply_from_buffer(struct torrent_read *rd)
{
	struct iovec iov = {.iov_base = rd->buffer->data,
			    .iov_len = rd->len_bytes};

	end(rd, 0, &iov, 1);
}

static int gather(struct torrent_read *rd);
static void finish(struct torrent_read *rd);

/* Something that was held is gone, or the store failed. */
static void again(struct torrent_read *rd, int err)
{
	if (++rd->tries >= STORE_TRIES) {
		end(rd, err == ENOENT ? EIO : err, NULL, 0);
		return;
	}
	err = gather(rd);
	if (err != 0)
		end(rd, err, NULL, 0);
	else if (rd->n_missing == 0)
		loop_defer(rd->t->e->cfg.loop, &rd->task);
}

static void on_store_read(void *arg, int err)
{
	struct torrent_read *rd = arg;

	rd->is_reading = false;
	if (rd->is_orphan)
		read_free(rd);
	else if (err == 0)
		reply_from_buffer(rd);
	else if (err == EIO || err == ENOENT)
		again(rd, err);
	else
		end(rd, err, NULL, 0);
}

static void read_store(struct torrent_read *rd)
{
	struct pieces *ps = rd->t->ps;
	int r;

	if (rd->buffer == NULL)
		rd->buffer = blk_new(rd->t->e->cfg.pool, rd->len_bytes);
	if (rd->buffer == NULL) {
		end(rd, ENOMEM, NULL, 0);
		return;
	}
	r = pieces_read_now(ps, rd->off_bytes, rd->len_bytes, rd->buffer->data);
	if (r == 0) {
		reply_from_buffer(rd);
		return;
	}
	if (r == EAGAIN) {
		r = pieces_read(ps, rd->off_bytes, rd->len_bytes,
				rd->buffer->data, on_store_read, rd);
		rd->is_reading = r == 0;
	}
	if (r == EIO || r == ENOENT)
		again(rd, r);
	else if (r != 0)
		end(rd, r, NULL, 0);
}

static void hold(struct read_piece *rp, uint32_t ix)
{
	if (rp->data == NULL)
		rp->data = pieces_lend(rp->rd->t->ps, ix, rp->part.at_bytes,
				       rp->part.len_bytes, &rp->at);
}

static void finish(struct torrent_read *rd)
{
	bool in_memory = true;
	uint32_t i;

	for (i = 0; i < rd->n_pieces; i++) {
		hold(&rd->pieces[i], rd->first_ix + i);
		in_memory = in_memory && rd->pieces[i].data != NULL;
	}
	if (in_memory)
		reply_from_memory(rd);
	else
		read_store(rd);
}

/* ---- waiting ---- */

static void on_piece(void *arg, int err, uint32_t piece_ix)
{
	struct read_piece *rp = arg;
	struct torrent_read *rd = rp->rd;

	if (err != 0) {
		end(rd, err, NULL, 0);
		return;
	}
	rd->progress_us = loop_now_us(rd->t->e->cfg.loop);
	hold(rp, piece_ix);
	stop_waiting(rp);
	if (rd->n_missing == 0)
		finish(rd);
}

/* Wait for every part that is not verified and not in our hands. */
static int gather(struct torrent_read *rd)
{
	uint32_t i;
	int r;

	for (i = 0; i < rd->n_pieces; i++) {
		struct read_piece *rp = &rd->pieces[i];
		uint32_t ix = rd->first_ix + i;

		if (rp->is_missing || rp->data != NULL ||
		    pieces_is_right(rd->t->ps, ix, rp->part.at_bytes,
				    rp->part.len_bytes))
			continue;
		r = fetch_add_read(rd->t->fetch, ix, &rp->part);
		if (r != 0)
			return r;
		rp->is_missing = true;
		rd->n_missing++;
		pieces_wait(rd->t->ps, ix, &rp->wait);
	}
	return 0;
}

static void on_task(void *arg)
{
	struct torrent_read *rd = arg;
	int err = rd->err;

	if (err == 0)
		err = gather(rd); /* a piece may have been lost since */
	if (err != 0)
		end(rd, err, NULL, 0);
	else if (rd->n_missing == 0)
		finish(rd);
}

static int make_pieces(struct torrent_read *rd)
{
	uint64_t piece_bytes = rd->t->mi->piece_bytes;
	uint64_t last = (rd->off_bytes + rd->len_bytes - 1) / piece_bytes;
	uint32_t left = rd->len_bytes, i;

	rd->first_ix = (uint32_t)(rd->off_bytes / piece_bytes);
	rd->n_pieces = (uint32_t)last - rd->first_ix + 1;
	rd->pieces = mem_zalloc(rd->n_pieces, sizeof(*rd->pieces));
	rd->iov = mem_zalloc(rd->n_pieces, sizeof(*rd->iov));
	if (rd->pieces == NULL || rd->iov == NULL)
		return ENOMEM;
	for (i = 0; i < rd->n_pieces; i++) {
		struct read_piece *rp = &rd->pieces[i];

		rp->rd = rd;
		rp->wait.fn = on_piece;
		rp->wait.arg = rp;
		rp->part.at_bytes =
			i > 0 ? 0 : (uint32_t)(rd->off_bytes % piece_bytes);
		rp->part.len_bytes = (uint32_t)piece_bytes - rp->part.at_bytes;
		if (rp->part.len_bytes > left)
			rp->part.len_bytes = left;
		left -= rp->part.len_bytes;
		rp->wait.at_bytes = rp->part.at_bytes;
		rp->wait.len_bytes = rp->part.len_bytes;
	}
	return gather(rd);
}

int torrent_read_start(struct torrent *t, uint64_t off_bytes,
		       uint32_t len_bytes, torrent_read_fn *done, void *arg,
		       struct torrent_read **out)
{
	struct torrent_read *rd;
	int r = 0;

	if (len_bytes > TORRENT_READ_MAX ||
	    (t->state == TORRENT_READY &&
	     !has_range(t->mi, off_bytes, len_bytes)))
		return EINVAL;
	rd = mem_new(struct torrent_read);
	if (rd == NULL)
		return ENOMEM;
	rd->t = t;
	rd->off_bytes = off_bytes;
	rd->len_bytes = len_bytes;
	rd->done = done;
	rd->arg = arg;
	rd->start_us = loop_now_us(t->e->cfg.loop);
	rd->progress_us = rd->start_us;
	loop_task_init(&rd->task, on_task, rd);
	rd->is_linked = true;
	TAILQ_INSERT_TAIL(&t->reads, rd, link);
	t->n_reads++;
	if (t->state == TORRENT_READY)
		r = make_pieces(rd);
	else
		rd->err = t->state == TORRENT_FAILED ? EIO : ESTALE;
	if (r != 0) {
		detach(rd);
		read_free(rd);
		return r;
	}
	if (rd->n_missing == 0)
		loop_defer(t->e->cfg.loop, &rd->task);
	*out = rd;
	return 0;
}

uint64_t torrent_read_progress_us(const struct torrent_read *rd)
{
	uint64_t latest_us = rd->progress_us;
	uint32_t i;

	for (i = 0; i < rd->n_pieces; i++) {
		uint64_t us;

		if (!rd->pieces[i].is_missing)
			continue;
		us = fetch_progress_us(rd->t->fetch, rd->first_ix + i);
		if (us > latest_us)
			latest_us = us;
	}
	return latest_us;
}

uint32_t torrent_read_first_missing(const struct torrent_read *rd)
{
	uint32_t i;

	for (i = 0; i < rd->n_pieces; i++)
		if (rd->pieces[i].is_missing)
			return rd->first_ix + i;
	return UINT32_MAX;
}

struct torrent *torrent_read_torrent(const struct torrent_read *rd)
{
	return rd->t;
}

/* ---- the file itself ---- */

int torrent_file_blob(struct torrent *t, uint32_t file_ix,
		      torrent_blob_fn *done, void *arg)
{
	if (t->state != TORRENT_READY || file_ix >= t->mi->n_files)
		return ESTALE;
	if (t->mi->files[file_ix].len_bytes == 0)
		return ENOENT;
	return pieces_blob(t->ps, file_ix, done, arg);
}

uint64_t torrent_due_us(void *arg, uint32_t piece_ix)
{
	const struct torrent *t = arg;

	return t->fetch != NULL ? fetch_due_us(t->fetch, piece_ix) : UINT64_MAX;
}
