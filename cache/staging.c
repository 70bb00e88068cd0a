/* staging — bytes that nobody has verified, on their way into blobs.
 *
 * Purpose: a piece that memory is too small for waits for its hash where it
 * will stay if it is right (store_stage). That nothing claims such bytes is
 * the whole of the art:
 *
 *   1. No row speaks of them: rows are written by puts.
 *   2. No row speaks of the place. A piece that was held and got lost has a row
 *      until its forget is through; so whoever comes for a claimed piece waits
 *      for his turn on the store thread, behind that forget, and looks again.
 *   3. They are nobody else's: they go to blobs of the torrent's own, also of
 *      files that other torrents have (batch.c).
 *   4. They do not come late. An owner does not stage a part anew before he
 *      heard of the last write (store.h), and a torrent is not opened again
 *      while its closed handle writes (disk_open parks it).
 *
 * What was staged is synced with the batch of its put: the writes have made
 * its blobs dirty, and they stay so, or were synced by a batch that has ended.
 *
 *   5. There is room for the whole piece before its first part is written;
 *      until then parts are parked (room.h).
 *
 * Failure modes: a write fails: that part gets the error, what it wrote is
 * garbage. The store is FAILED: EIO, nothing is written. The piece is still
 * claimed after its turn (its forget failed): EIO, for good.
 *
 * How fast: a worker waits where the kernel throttles who dirties pages, and
 * its owner's memory waits with it. */
#include "cache/store_disk_internal.h"

#include <errno.h>

#include "core/blk.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

struct staging {
	struct job turn; /* on the store thread */
	struct disk_torrent *t;
	struct blk *blk;
	struct blob_io *io;
	store_done_fn *done;
	void *arg;
	uint32_t piece_ix;
	int err;
	uint64_t since_us;
	STAILQ_ENTRY(staging) parked;
};

static void on_written(struct blob_io *io)
{
	struct staging *g = io->arg;
	struct disk_torrent *t = g->t;
	struct disk *d = t->disk;
	int err;

	if (io->is_sync_lost)
		disk_fail(d, "a sync", io->err);
	err = g->err != 0 ? g->err : io->err != 0 ? io->err : d->err;
	t->n_staging--;
	g->done(g->arg, err);
	blk_drop(g->blk);
	mem_free(g);
	mem_free(io);
	if (t->is_closed && t->n_staging == 0)
		disk_unpark(d);
}

/* The answer comes by the same way when there is nothing to write. */
static void write_now(struct staging *g, int err)
{
	g->err = err;
	if (err != 0)
		g->io->n_runs = 0;
	blobs_io_start(g->io);
}

static void on_turn(struct job *job)
{
	struct staging *g = CONTAINER_OF(job, struct staging, turn);
	struct disk_torrent *t = g->t;
	bool is_claimed = bits_has(&t->claimed, g->piece_ix);

	if (is_claimed)
		log_debug("store: piece %u has a row, and is not written to",
			  g->piece_ix);
	write_now(g, is_claimed ? EIO : t->disk->err);
	blobs_set_drop(&t->blobs);
}

static struct staging *staging_new(struct disk_torrent *t, uint32_t piece_ix,
				   uint32_t at_bytes, uint32_t len_bytes)
{
	struct spot_map map = disk_files_map(t);
	struct staging *g = mem_new(struct staging);

	if (g == NULL)
		return NULL;
	g->io = blobs_io_new(&map, SPOT_OWN,
			     (uint64_t)piece_ix * t->mi->piece_bytes + at_bytes,
			     len_bytes);
	if (g->io == NULL) {
		mem_free(g);
		return NULL;
	}
	return g;
}

/* Now, or behind a forget, or when there is room. */
static void go(struct staging *g)
{
	struct disk_torrent *t = g->t;
	int err = t->disk->err != 0 ? t->disk->err : room_stage(t, g->piece_ix);

	if (err == EAGAIN) {
		blobs_set_hold(&t->blobs);
		STAILQ_INSERT_TAIL(&t->disk->parked_stagings, g, parked);
		return;
	}
	if (err != 0 || !bits_has(&t->claimed, g->piece_ix)) {
		write_now(g, err);
		return;
	}
	blobs_set_hold(&t->blobs);
	g->turn = (struct job){.run = batch_job_nothing, .done = on_turn};
	workers_submit(t->disk->thread, &g->turn);
}

int staging_start(struct disk_torrent *t, uint32_t piece_ix, uint32_t at_bytes,
		  struct blk *data, store_done_fn *done, void *arg)
{
	struct staging *g =
		staging_new(t, piece_ix, at_bytes, (uint32_t)data->len);

	if (g == NULL)
		return ENOMEM;
	g->t = t;
	g->blk = blk_hold(data);
	g->io->src = data->data;
	g->io->done = on_written;
	g->io->arg = g;
	g->done = done;
	g->arg = arg;
	g->piece_ix = piece_ix;
	g->since_us = loop_now_us(t->disk->loop);
	t->n_staging++;
	if (joint_is_any(&t->joint))
		bits_set(&t->staged, piece_ix);
	go(g);
	return 0;
}

/* ---- when there is no room ---- */

uint64_t staging_needs(const struct disk *d)
{
	const struct staging *g = STAILQ_FIRST(&d->parked_stagings);

	return g != NULL ? room_put_cost(g->t, g->piece_ix) : 0;
}

void staging_on_room(struct disk *d)
{
	struct staging_list all = STAILQ_HEAD_INITIALIZER(all);
	struct staging *g;

	STAILQ_CONCAT(&all, &d->parked_stagings);
	while ((g = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, parked);
		go(g);
		blobs_set_drop(&g->t->blobs);
	}
}

void staging_refuse(struct disk *d, uint64_t for_us)
{
	uint64_t now_us = loop_now_us(d->loop);
	struct staging *g;

	while ((g = STAILQ_FIRST(&d->parked_stagings)) != NULL &&
	       now_us - g->since_us >= for_us) {
		STAILQ_REMOVE_HEAD(&d->parked_stagings, parked);
		write_now(g, ENOSPC);
		blobs_set_drop(&g->t->blobs);
	}
}

void staging_end_parked(struct disk_torrent *t)
{
	struct staging_list all = STAILQ_HEAD_INITIALIZER(all);
	struct disk *d = t->disk;
	struct staging *g;

	STAILQ_CONCAT(&all, &d->parked_stagings);
	while ((g = STAILQ_FIRST(&all)) != NULL) {
		STAILQ_REMOVE_HEAD(&all, parked);
		if (g->t != t) {
			STAILQ_INSERT_TAIL(&d->parked_stagings, g, parked);
			continue;
		}
		write_now(g, ENOSPC);
		blobs_set_drop(&t->blobs);
	}
}
