/* store_disk_heal — a disk that failed, until it works again.
 *
 * Purpose: a failed sync says that bytes are lost, once, and not which; the
 * kernel takes their pages for clean, so a second sync says nothing about them.
 * The same goes for a commit of the index. So nothing is believed that such a
 * sync should have made durable, and nothing is synced again: what is wanted is
 * fetched again and written again.
 *
 *   KEEPING  -> FAILED   disk_fail: a sync or a commit failed. Every put that
 *                        is under way ends with EIO, what was staged is spoilt,
 *                        new puts get EIO; one line in the log
 *   FAILED   -> FAILED   the disk is tried and does not work: twice as long
 *                        until the next time
 *   FAILED   -> AILING   it works (heal_job): puts are taken
 *   AILING   -> FAILED   as above, and nothing is said
 *   AILING   -> KEEPING  a batch was committed; one line in the log
 *
 * FAILED is d->err; AILING, not yet said to work, is heal.is_ailing alone.
 *
 * What becomes of that which failed: a put's owner hears EIO and has the piece
 * in memory, or fetches it again. Its units are DOOMED (room.h), so the next
 * eviction drops a row that may have got into the index in spite of its error,
 * and punches the bytes; before that nobody writes there. A blob's name whose
 * sync failed is synced again with the next batch (blobs_synced).
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <errno.h>

#include "cache/cache_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"

static void try_later(struct disk *d)
{
	struct disk_heal *h = &d->heal;

	loop_timer_start(h->timer, h->wait_ms * 1000);
	h->wait_ms *= 2;
	if (h->wait_ms > STORE_HEAL_MAX_MS)
		h->wait_ms = STORE_HEAL_MAX_MS;
}

static void end_puts(struct disk *d)
{
	struct put *p;

	TAILQ_FOREACH (p, &d->puts, link)
		if (p->stage != PUT_COMMITTING && p->err == 0)
			p->err = EIO;
}

/* Nobody will know which of it reached the disk. */
static void spoil_staged(struct disk *d)
{
	struct disk_torrent *t;

	LIST_FOREACH (t, &d->torrents, link)
		for (uint32_t i = 0; i < t->units.n; i++)
			t->units.units[i].is_spoilt =
				t->units.units[i].is_staged;
}

void disk_fail(struct disk *d, const char *what, int err)
{
	struct disk_heal *h = &d->heal;

	end_puts(d);
	spoil_staged(d);
	if (d->err != 0)
		return;
	d->err = EIO;
	if (!h->is_ailing)
		log_err("store %s: %s failed (%s): nothing more is kept until "
			"the disk works",
			d->home.path, what, err_text(err));
	h->is_ailing = true;
	try_later(d);
}

void disk_kept(struct disk *d)
{
	struct disk_heal *h = &d->heal;

	if (!h->is_ailing || d->err != 0)
		return;
	log_warn("store %s: the disk works again", d->home.path);
	h->is_ailing = false;
	h->wait_ms = STORE_HEAL_MS;
}

static void on_healed(struct job *job)
{
	struct disk_heal *h = CONTAINER_OF(job, struct disk_heal, job);
	struct disk *d = CONTAINER_OF(h, struct disk, heal);

	if (h->err != 0) {
		try_later(d);
		return;
	}
	d->err = 0;
	room_look(d);
	batch_on_room(d);
}

static void on_timer(void *arg)
{
	struct disk *d = arg;
	struct disk_heal *h = &d->heal;

	h->index = d->index;
	h->home = &d->home;
	h->job = (struct job){.run = heal_job, .done = on_healed};
	workers_submit(d->thread, &h->job);
}

int disk_heal_init(struct disk *d)
{
	d->heal.wait_ms = STORE_HEAL_MS;
	return loop_timer_new(d->loop, on_timer, d, &d->heal.timer);
}

void disk_heal_fini(struct disk *d)
{
	loop_timer_free(d->heal.timer);
}
