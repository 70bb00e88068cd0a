/* room_whole — files that the kernel reads by itself, and when it does not any
 * more.
 *
 * Such a file is whole, and its blob's descriptor was given away (store_blob).
 * Who has that, or has mapped it, cannot be seen from here, and nothing may be
 * punched while he has: he would read zeros. So its units are FIXED. While room
 * is being made, the kernel is asked by and by which of these blobs nobody has
 * open now; those are the policy's again. Before anything is punched it
 * is asked once more (whole_unmark).
 *
 * A descriptor that is given away while a look is under way is none that it
 * has seen: that file stays (new_wholes). One that was asked for before and is
 * opened behind it makes its file whole once more; what left meanwhile is not
 * given away (store_disk_whole.c).
 *
 * Failure modes: no memory, no leases on this file system: what was given away
 * stays until its torrent goes.
 *
 * Threads: loop; the look is a job of the store thread. */
#include "cache/room_internal.h"

#include <errno.h>

#include "cache/blob_job.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* One of the files that are looked at. */
struct seen {
	struct disk_torrent *t; /* held */
	uint32_t file_ix;
	/* of its blob */
	const struct blob_home *home;
	const char *name;
	bool is_free; /* reply */
};

struct look {
	struct job job;
	struct disk *disk;
	struct seen v[ROOM_LOOK_FILES];
	unsigned n;
};

void room_add_whole(struct disk_torrent *t, uint32_t file_ix)
{
	bits_set(&t->new_wholes, file_ix);
	if (bits_has(&t->wholes, file_ix))
		return;
	bits_set(&t->wholes, file_ix);
	t->disk->room.n_wholes++;
	room_look_pins(t);
}

static void del_whole(struct disk_torrent *t, uint32_t file_ix)
{
	bits_clear(&t->wholes, file_ix);
	t->disk->room.n_wholes--;
}

void room_forget_wholes(struct disk_torrent *t)
{
	t->disk->room.n_wholes -= t->wholes.n_set;
	bits_fini(&t->wholes);
	bits_fini(&t->new_wholes);
}

/* ---- a look ---- */

static void job_look(struct job *job, struct worker_env *env)
{
	struct look *l = CONTAINER_OF(job, struct look, job);

	ASSERT_WORKER();
	for (unsigned i = 0; i < l->n; i++)
		l->v[i].is_free = blob_job_is_free(l->v[i].home, l->v[i].name,
						   l->v[i].file_ix);
}

static void on_looked(struct job *job)
{
	struct look *l = CONTAINER_OF(job, struct look, job);
	struct disk *d = l->disk;

	d->room.is_looking = false;
	for (unsigned i = 0; i < l->n; i++) {
		struct seen *s = &l->v[i];
		struct disk_torrent *t = s->t;

		if (s->is_free && t->mi != NULL &&
		    bits_has(&t->wholes, s->file_ix) &&
		    !bits_has(&t->new_wholes, s->file_ix)) {
			del_whole(t, s->file_ix);
			room_look_pins(t); /* and then for room */
		}
		blobs_set_drop(&t->blobs);
	}
	mem_free(l);
}

static void add(struct look *l, struct disk_torrent *t, uint32_t file_ix)
{
	struct seen *s = &l->v[l->n++];
	const struct joint_use *use = joint_use_of(&t->joint, file_ix);
	struct disk_file *f = use != NULL ? disk_file_of(use) : NULL;

	*s = (struct seen){.t = t, .file_ix = file_ix, .home = &t->blobs.home};
	if (f != NULL && f->files != NULL) {
		s->home = &f->files->home;
		s->name = f->name;
		blobs_let_go(f->files, f->blob.key);
	} else {
		blobs_let_go(&t->blobs, file_ix);
	}
	bits_clear(&t->new_wholes, file_ix);
	blobs_set_hold(&t->blobs);
}

/* So many of them, from the place on where the last look ended. */
static void add_all(struct look *l)
{
	struct room *r = &l->disk->room;
	struct disk_torrent *t;
	uint32_t n = 0;

	if (r->at_whole >= r->n_wholes)
		r->at_whole = 0;
	LIST_FOREACH (t, &l->disk->torrents, link) {
		uint32_t ix = bits_next(&t->wholes, 0);

		for (; ix < t->wholes.n; ix = bits_next(&t->wholes, ix + 1))
			if (n++ >= r->at_whole && l->n < ROOM_LOOK_FILES &&
			    t->mi != NULL)
				add(l, t, ix);
	}
	r->at_whole += ROOM_LOOK_FILES;
}

void room_look_wholes(struct disk *d)
{
	struct room *r = &d->room;
	uint64_t now = loop_now_us(d->loop);
	struct look *l;

	if (r->n_wholes == 0 || r->is_looking || now < r->wholes_us)
		return;
	l = mem_new(struct look);
	if (l == NULL)
		return;
	r->wholes_us = now + (uint64_t)ROOM_LOOK_MS * 1000;
	r->is_looking = true;
	l->disk = d;
	add_all(l);
	l->job = (struct job){.run = job_look, .done = on_looked};
	workers_submit(d->thread, &l->job);
}
