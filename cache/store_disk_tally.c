/* store_disk_tally — what was sent and received, into the index.
 *
 * Purpose: figures are worth no sync of their own while there are others. What
 * was counted goes with the next commit of pieces; if none comes (who only
 * seeds has none) with a transaction of its own after TALLY_WRITE_MS; at the
 * end with the last job of the store; and with its torrent's removal.
 *
 * Failure modes: what could not be written is written with the next ones. A
 * failed disk is waited for. kill -9 costs what was counted in the last
 * seconds, and nobody has seen that (tally.h).
 *
 * Threads: loop; the job is tally_job.c's. */
#include "cache/store_disk_internal.h"

#include <errno.h>

#include "cache/cache_limits.h"
#include "core/log.h"
#include "core/loop.h"

static void arm(struct disk *d)
{
	struct disk_tally *t = &d->tally;

	if (t->tally.n_dirty > 0 && !loop_timer_is_armed(t->timer))
		loop_timer_start(t->timer, (uint64_t)TALLY_WRITE_MS * 1000);
}

void disk_count(struct store *s, const struct torrent_id *id,
		const struct traffic *more)
{
	struct disk *d = disk_of(s);

	ASSERT_LOOP(d->loop);
	if (tally_count(&d->tally.tally, id, more) != 0)
		log_debug("store: no memory to count what was sent");
	arm(d);
}

void disk_traffic(const struct store *s, const struct torrent_id *id,
		  struct traffic *out)
{
	const struct disk *d = CONTAINER_OF(s, const struct disk, base);

	if (id != NULL)
		tally_get(&d->tally.tally, id, out);
	else
		*out = d->tally.tally.all;
}

void disk_tally_written(struct disk *d, struct tally_rows *rows, int err)
{
	if (err == 0)
		tally_kept(&d->tally.tally, rows);
	else
		tally_back(&d->tally.tally, rows);
	arm(d);
}

static void on_written(struct job *job)
{
	struct disk_tally *t = CONTAINER_OF(job, struct disk_tally, job);
	struct disk *d = CONTAINER_OF(t, struct disk, tally);

	t->is_writing = false;
	if (t->err == EIO)
		disk_fail(d, "a commit", t->err);
	disk_tally_written(d, &t->rows, t->err);
}

void disk_tally_flush(struct disk *d)
{
	struct disk_tally *t = &d->tally;

	if (d->err != 0 || t->is_writing) {
		arm(d);
		return;
	}
	tally_take(&t->tally, &t->rows);
	if (t->rows.n == 0)
		return;
	t->is_writing = true;
	t->index = d->index;
	t->home = &d->home;
	t->job = (struct job){.run = tally_job, .done = on_written};
	workers_submit(d->thread, &t->job);
}

static void on_timer(void *arg)
{
	disk_tally_flush(arg);
}

int disk_tally_init(struct disk *d)
{
	int err = tally_init(&d->tally.tally);

	if (err == 0)
		err = loop_timer_new(d->loop, on_timer, d, &d->tally.timer);
	if (err != 0)
		tally_fini(&d->tally.tally);
	return err;
}

void disk_tally_fini(struct disk *d)
{
	loop_timer_free(d->tally.timer);
	tally_fini(&d->tally.tally);
}
