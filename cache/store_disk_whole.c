/* store_disk_whole — the one blob that has all of a file.
 *
 * A file with a v2 root lies in the blob that all torrents share when all its
 * leaves are there and no piece of it is this torrent's alone; a file
 * without one in the torrent's own. What lies in two blobs has none.
 *
 * The blob must be as it was last seen (sight.h): bytes that the kernel reads
 * by itself are not looked at again.
 *
 * It is looked at twice: before a worker opens the blob, and when it has. What
 * the index forgot meanwhile may be on its way out of the blob, so its
 * descriptor goes no further; and who removes bytes later finds the mark.
 *
 * Threads: loop. */
#include <errno.h>
#include <unistd.h>

#include "cache/store_disk_internal.h"
#include "cache/whole_job.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* Are the file's pieces all in `bits` — or is any? */
static bool are_in(const struct metainfo *mi, uint32_t file_ix,
		   const struct bits *bits, bool all)
{
	const struct mi_file *f = &mi->files[file_ix];
	uint64_t end = f->off_bytes + f->len_bytes - 1;
	uint32_t ix = (uint32_t)(f->off_bytes / mi->piece_bytes);

	for (; ix <= end / mi->piece_bytes; ix++)
		if (bits_has(bits, ix) != all)
			return !all;
	return all;
}

/* 0 with the blob's place, or ENOENT. */
static int find(struct disk_torrent *t, uint32_t file_ix, struct whole *w)
{
	const struct joint_use *use = joint_use_of(&t->joint, file_ix);

	if (!joint_is_any(&t->joint) ||
	    !joint_is_rooted(&t->mi->files[file_ix])) {
		if (!are_in(t->mi, file_ix, &t->claimed, true))
			return ENOENT;
		w->dir_fd = t->blobs.home.dir_fd;
		w->sub = t->blobs.home.sub;
		return 0;
	}
	if (use == NULL || use->file->leaves.data == NULL ||
	    !bits_is_full(&use->file->leaves) ||
	    are_in(t->mi, file_ix, t->joint.own, false))
		return ENOENT;
	w->dir_fd = t->disk->files.home.dir_fd;
	w->name = disk_files_map(t).blob_of(&t->joint, file_ix)->name;
	return 0;
}

static struct watched *watched(struct disk_torrent *t, const struct whole *w)
{
	struct shared_blob *shared = NULL;

	if (w->name != NULL)
		shared = disk_files_map(t).blob_of(&t->joint, w->file_ix);
	return blobs_find_watched(shared != NULL ? &t->disk->files : &t->blobs,
				  shared, w->file_ix);
}

static void on_opened(struct job *job)
{
	struct whole *w = CONTAINER_OF(job, struct whole, job);
	struct disk_torrent *t = w->t;
	enum look_end look = blobs_look_end(&w->look);
	struct whole again;

	if (w->err == 0 && (look != LOOK_SAME || t->is_closed ||
			    find(t, w->file_ix, &again) != 0)) {
		close(w->fd);
		w->fd = -1;
		w->err = ENOENT;
	}
	if (w->err == 0)
		room_add_whole(t, w->file_ix); /* it was not open before */
	w->done(w->arg, w->err, w->fd);
	mem_free(w);
	blobs_set_drop(&t->blobs);
}

int disk_blob(struct store_torrent *st, uint32_t file_ix, store_blob_fn *done,
	      void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct whole *w;
	int r;

	ASSERT_LOOP(t->disk->loop);
	if (t->disk->err != 0)
		return EIO;
	w = mem_new(struct whole);
	if (w == NULL)
		return ENOMEM;
	r = find(t, file_ix, w);
	if (r != 0) {
		mem_free(w);
		return r;
	}
	w->file_ix = file_ix;
	w->file_bytes = t->mi->files[file_ix].len_bytes;
	w->t = t;
	w->done = done;
	w->arg = arg;
	w->job = (struct job){.run = whole_job_open, .done = on_opened};
	room_add_whole(t, file_ix);
	blobs_look_begin(&w->look, watched(t, w), true);
	blobs_set_hold(&t->blobs);
	workers_submit(t->disk->workers, &w->job);
	return 0;
}
