/* store_disk_member — see store_disk_member.h.
 *
 * Purpose: of a million files an index of rows would be 200 MB and half a
 * minute of the store thread, and say that there is nothing.
 *
 * What is known to whom. A torrent that is opened looks for its files in the
 * index, and becomes a member of those that it finds (store_disk_job.c). One
 * that is open when the file comes has a use of it, and so becomes one here.
 * One that sleeps does not hear of it until it is opened: should the last
 * member be removed before, the file goes.
 *
 * Failure modes: the commit fails: the rows are to be written still, and go
 * with the next; nodes that waited are dropped, for they are a cache. No
 * memory: the same; a put finds or makes the row of its own file itself
 * (batch_job.c).
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <string.h>

#include "cache/files_job.h"
#include "core/hmap.h"
#include "core/mem.h"

void disk_member_init(struct disk *d)
{
	TAILQ_INIT(&d->members.unknown);
	STAILQ_INIT(&d->members.nodes);
}

/* ---- what is to be written ---- */

static void list(struct disk_file *f)
{
	if (f->is_listed || !f->is_kept)
		return;
	f->is_listed = true;
	TAILQ_INSERT_TAIL(&f->disk->members.unknown, f, unknown);
}

static void unlist(struct disk_file *f)
{
	if (f->is_listed)
		TAILQ_REMOVE(&f->disk->members.unknown, f, unknown);
	f->is_listed = false;
}

static uint32_t count_unknown(const struct disk_file *f)
{
	const struct joint_use *use;
	uint32_t n = 0;

	LIST_FOREACH (use, &f->base.uses, link)
		n += !use->is_known;
	return n;
}

void disk_member_keep(struct disk_file *f)
{
	f->is_kept = true;
	if (count_unknown(f) > 0)
		list(f);
}

void disk_member_on_use(struct joint_use *use)
{
	list(disk_file_of(use));
}

void disk_member_end(struct disk_file *f)
{
	unlist(f);
}

void disk_member_found(struct joint_use *use, int64_t row)
{
	struct disk_file *f = disk_file_of(use);
	struct joint_use *its;

	f->row = row;
	LIST_FOREACH (its, &f->base.uses, link)
		its->is_known |= its->t == use->t;
	disk_member_keep(f);
}

/* ---- with a commit ---- */

static void take(struct disk_file *f, struct member_rows *rows)
{
	struct joint_use *use;

	LIST_FOREACH (use, &f->base.uses, link) {
		struct member_row *r = &rows->v[rows->n];

		if (use->is_known)
			continue;
		memcpy(r->id, f->base.id, sizeof(r->id));
		r->torrent =
			CONTAINER_OF(use->t, struct disk_torrent, joint)->row;
		use->is_known = true;
		rows->n++;
	}
}

void disk_member_take(struct disk *d, struct member_rows *rows)
{
	struct disk_file *f;
	uint32_t n = 0;

	*rows = (struct member_rows){0};
	TAILQ_FOREACH (f, &d->members.unknown, unknown)
		n += count_unknown(f);
	if (n > 0)
		rows->v = mem_zalloc(n, sizeof(*rows->v));
	if (rows->v == NULL)
		return;
	while ((f = TAILQ_FIRST(&d->members.unknown)) != NULL) {
		take(f, rows);
		unlist(f);
	}
}

static void untake(struct disk_file *f, int64_t torrent)
{
	struct joint_use *use;

	LIST_FOREACH (use, &f->base.uses, link)
		if (CONTAINER_OF(use->t, struct disk_torrent, joint)->row ==
		    torrent)
			use->is_known = false;
	list(f);
}

static void nodes_go(struct disk *d, bool is_written)
{
	struct files_nodes_list nodes = STAILQ_HEAD_INITIALIZER(nodes);
	struct files_nodes *n;

	STAILQ_CONCAT(&nodes, &d->members.nodes);
	while ((n = STAILQ_FIRST(&nodes)) != NULL) {
		STAILQ_REMOVE_HEAD(&nodes, wait);
		if (n->file->row != 0)
			workers_submit(d->workers, &n->job);
		else if (!is_written || !n->file->is_listed)
			n->job.done(&n->job); /* they come again */
		else
			STAILQ_INSERT_TAIL(&d->members.nodes, n, wait);
	}
}

void disk_member_done(struct disk *d, struct member_rows *rows, int err)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		const struct member_row *r = &rows->v[i];
		struct disk_file *f = hmap_get(d->joints.files, r->id);

		if (f == NULL)
			continue; /* who had it is closed */
		if (err == 0)
			f->row = r->file;
		else
			untake(f, r->torrent);
	}
	mem_free(rows->v);
	*rows = (struct member_rows){0};
	nodes_go(d, err == 0);
}

void disk_member_wait(struct files_nodes *n TAKES)
{
	struct disk *d = n->file->disk;

	disk_member_keep(n->file);
	STAILQ_INSERT_TAIL(&d->members.nodes, n, wait);
	batch_on_room(d); /* a commit is wanted */
}
