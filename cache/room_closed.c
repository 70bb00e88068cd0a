/* room_closed — which torrents and files are open, for closed_job.c, and what
 * its answer means for the accounts.
 *
 * It does not run while a torrent is being opened: what that has loaded must
 * not go. One that is opened later is behind it on the store thread.
 *
 * Threads: loop. */
#include "cache/room_internal.h"

#include <string.h>

#include "core/hmap.h"
#include "core/mem.h"

static void closed_free(struct room_closed *c)
{
	mem_free(c->torrents);
	mem_free(c->files);
	mem_free(c->ids);
	mem_free(c);
}

static void on_closed(struct job *job)
{
	struct room_closed *c = CONTAINER_OF(job, struct room_closed, job);
	struct disk *d = c->disk;
	struct room *r = &d->room;
	uint64_t freed = c->freed_bytes;

	if (freed > r->closed_bytes)
		freed = r->closed_bytes;
	r->closed_bytes -= freed;
	r->used_bytes -= freed;
	r->evicted_bytes += freed;
	r->is_closed_dry = c->is_dry || c->err != 0;
	r->is_closing = false;
	d->stats.held_bytes -= c->dropped_bytes;
	room_set_free(d, c->free_bytes, c->index_bytes);
	closed_free(c);
	room_look(d);
	batch_on_room(d);
}

static struct room_closed *closed_new(struct disk *d)
{
	struct room_closed *c = mem_new(struct room_closed);
	const struct disk_torrent *t;
	const struct disk_file *f;
	uint32_t n = 0;
	size_t pos = 0, n_files = hmap_count(d->joints.files);

	if (c == NULL)
		return NULL;
	LIST_FOREACH (t, &d->torrents, link)
		n++;
	c->torrents = mem_zalloc(n + 1, sizeof(*c->torrents));
	c->files = mem_zalloc(n_files + 1, sizeof(*c->files));
	c->ids = mem_zalloc(n_files + 1, sizeof(*c->ids));
	if (c->torrents == NULL || c->files == NULL || c->ids == NULL) {
		closed_free(c);
		return NULL;
	}
	LIST_FOREACH (t, &d->torrents, link)
		c->torrents[c->n_torrents++] = t->row;
	while ((f = hmap_next(d->joints.files, &pos)) != NULL)
		if (f->row != 0)
			c->files[c->n_files++] = f->row;
		else
			memcpy(c->ids[c->n_ids++], f->base.id,
			       sizeof(f->base.id));
	return c;
}

bool room_close_some(struct disk *d, uint64_t want_bytes)
{
	struct room *r = &d->room;
	struct room_closed *c;

	if (r->is_closing)
		return true;
	if (want_bytes == 0 || r->closed_bytes == 0 || r->is_closed_dry ||
	    d->n_opening > 0)
		return false;
	c = closed_new(d);
	if (c == NULL)
		return false;
	c->disk = d;
	c->index = d->index;
	c->home = &d->home;
	c->want_bytes = want_bytes;
	c->job = (struct job){.run = room_job_closed, .done = on_closed};
	r->is_closing = true;
	workers_submit(d->thread, &c->job);
	return true;
}
