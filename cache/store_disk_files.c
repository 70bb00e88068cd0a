/* store_disk_files — files that the disk store keeps by their v2 root.
 *
 * Purpose: what of joint.h the disk store has to do: names and descriptors of
 * the blobs, the v1 hash of what came from another torrent, and hash trees.
 *
 * A hybrid's check is a vet (blobs_vet.c) by both its hashes, if v2's is known:
 * so after a lost index each of its bytes is hashed once, and not for v1 first.
 * If it matches, a put with nothing to write takes the fact to the index.
 *
 * Hash trees are a cache of what peers said: they are not synced, no row speaks
 * of them, and who reads them proves them.
 *
 * Threads: loop. */
#include "cache/store_disk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/files_job.h"
#include "cache/store_vet.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

static struct disk_torrent *torrent_of(struct joint_torrent *joint)
{
	return CONTAINER_OF(joint, struct disk_torrent, joint);
}

/* ---- blobs ---- */

/* The name and the key are made when somebody first asks. */
static struct shared_blob *blob_of(const struct joint_torrent *joint,
				   uint32_t file_ix)
{
	struct disk_file *f = disk_file_of(joint_use_of(joint, file_ix));
	char path[INDEX_PATH_BYTES];

	if (f->files == NULL) {
		struct disk *d = CONTAINER_OF(joint->all, struct disk, joints);

		index_file_path(f->base.id, f->base.bytes, path);
		snprintf(f->name, sizeof(f->name), "%.*s",
			 (int)sizeof(f->name) - 1, path + strlen("files/"));
		f->blob.name = f->name;
		f->blob.key = d->next_key++;
		f->files = &d->files;
		blobs_set_admit(f->files, &f->blob);
	}
	return &f->blob;
}

struct spot_map disk_files_map(struct disk_torrent *t)
{
	return (struct spot_map){
		.mi = t->mi,
		.own = &t->blobs,
		.shared = &t->disk->files,
		.joint = &t->joint,
		.staged = &t->staged,
		.blob_of = blob_of,
	};
}

static int file_init(struct joint_file *f, const struct joint_use *use)
{
	struct disk *d = CONTAINER_OF(use->t->all, struct disk, joints);

	return room_file_init(d, CONTAINER_OF(f, struct disk_file, base),
			      use->t->mi->piece_bytes);
}

static void file_fini(struct joint_file *f)
{
	struct disk_file *df = CONTAINER_OF(f, struct disk_file, base);

	if (df->files != NULL)
		blobs_set_evict(df->files, &df->blob);
	disk_member_end(df);
	doubt_fini(&df->doubt);
	if (df->disk != NULL)
		room_file_fini(df->disk, df);
}

/* ---- the v1 side of a hybrid ---- */

static void on_agreement_kept(void *arg, uint32_t piece_ix,
			      enum store_phase phase, int err)
{
}

static bool has_all(const struct disk_torrent *t, uint32_t piece_ix)
{
	struct joint_piece p;

	return t->mi != NULL && joint_piece(&t->joint, piece_ix, &p) &&
	       joint_has_all(&p);
}

struct disk_agree {
	struct disk_torrent *t;
	struct joint_piece p;
	uint32_t piece_ix;
	unsigned era;
};

/* What the answer is worth. Of bytes that are wrong v1 says nothing: they went
 * while they were read, or may be somebody else's, or rot; what matches one of
 * two hashes is right by that one. */
static int agreement(const struct disk_agree *a, enum piece_verdict verdict)
{
	switch (verdict) {
	case PIECE_RIGHT:
		return 0;
	case PIECE_DISPUTED:
		return EBADMSG;
	case PIECE_WRONG:
		break;
	}
	if (a->p.use->is_vouched || !has_all(a->t, a->piece_ix) ||
	    disk_is_doubtful(&a->t->base, a->piece_ix))
		return ENOENT;
	return EBADMSG;
}

static void on_checked(void *arg, int err, enum piece_verdict verdict)
{
	struct disk_agree *a = arg;
	struct disk_torrent *t = a->t;

	if (err == 0)
		err = agreement(a, verdict);
	if (err == 0 && a->p.use->is_vouched)
		disk_doubt_clear_leaves(disk_file_of(a->p.use), a->p.first,
					a->p.n);
	room_read_end(t->disk, a->era);
	joint_checked(&t->joint, a->piece_ix, err);
	if (err == 0 && !t->is_closed)
		(void)batch_put(t, a->piece_ix, NULL, on_agreement_kept, NULL);
	mem_free(a);
}

static int check(struct joint_torrent *joint, uint32_t piece_ix)
{
	struct disk_torrent *t = torrent_of(joint);
	struct spot_map map = disk_files_map(t);
	struct disk_agree *a = mem_new(struct disk_agree);
	const struct vet_ask ask = {0};
	int err;

	if (a == NULL || !joint_piece(joint, piece_ix, &a->p)) {
		mem_free(a);
		return ENOMEM;
	}
	a->t = t;
	a->piece_ix = piece_ix;
	err = blobs_vet(&map, piece_ix, &ask, on_checked, a);
	if (err != 0) {
		mem_free(a);
		return err;
	}
	a->era = room_read_begin(t->disk);
	return 0;
}

void disk_vouch(struct store_torrent *st, uint32_t piece_ix)
{
	joint_vouch(&disk_torrent_of(st)->joint, piece_ix);
}

void disk_watch(struct store_torrent *st, const struct store_share_ops *ops,
		void *arg)
{
	joint_watch(&disk_torrent_of(st)->joint, ops, arg);
}

uint64_t disk_coming_us(struct store_torrent *st, uint32_t piece_ix,
			uint32_t at_bytes, uint32_t len_bytes, bool only_asked)
{
	return joint_coming_us(&disk_torrent_of(st)->joint, piece_ix, at_bytes,
			       len_bytes, only_asked);
}

/* ---- hash trees ---- */

static void on_nodes_done(struct job *job)
{
	struct files_nodes *n = CONTAINER_OF(job, struct files_nodes, job);
	struct disk_torrent *t = n->owner;

	room_end_nodes(t->disk, n->reserved_bytes, n->grown_bytes);
	if (n->done != NULL)
		n->done(n->arg, n->err);
	blobs_set_drop(&t->blobs);
	mem_free(n);
}

/* The job, with room for `extra` bytes behind it; NULL with why. */
static struct files_nodes *nodes_new(struct disk_torrent *t, uint32_t file_ix,
				     const struct files_range *range,
				     size_t extra, int *err)
{
	struct joint_use *use;
	struct files_nodes *n;
	uint64_t off;

	*err = EINVAL;
	if (file_ix >= t->joint.n_files)
		return NULL;
	*err = joint_use(&t->joint, file_ix, &use);
	if (*err == ENOENT ||
	    (*err == 0 && !files_tree_at(use->file->n_leaves, range, &off)))
		*err = EINVAL;
	if (*err != 0)
		return NULL;
	*err = ENOMEM;
	n = mem_zalloc(1, sizeof(*n) + extra);
	if (n == NULL)
		return NULL;
	n->file = disk_file_of(use);
	n->dir_fd = t->disk->home.files_fd;
	n->name = blob_of(&t->joint, file_ix)->name;
	n->off_bytes = off;
	n->len_bytes = range->n * (size_t)HASH_SHA256_BYTES;
	n->owner = t;
	return n;
}

static void nodes_start(struct files_nodes *n)
{
	struct disk_torrent *t = n->owner;

	blobs_set_hold(&t->blobs);
	n->job = (struct job){.run = files_job_nodes, .done = on_nodes_done};
	if (n->src != NULL && n->file->row == 0)
		disk_member_wait(n);
	else
		workers_submit(t->disk->workers, &n->job);
}

void disk_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		    uint64_t index, uint32_t n, const uint8_t *hashes)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct files_range range = {level, index, n};
	size_t len = n * (size_t)HASH_SHA256_BYTES;
	struct files_nodes *job;
	int err;

	ASSERT_LOOP(t->disk->loop);
	if (t->disk->err != 0)
		return;
	job = nodes_new(t, file_ix, &range, len, &err);
	if (job == NULL)
		return;
	if (!room_begin_nodes(t->disk, len, &job->reserved_bytes)) {
		mem_free(job); /* they come again, or are asked for again */
		return;
	}
	memcpy(job->copy, hashes, len);
	job->src = job->copy;
	nodes_start(job);
}

int disk_read_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		    uint64_t index, uint32_t n, uint8_t *dst,
		    store_read_fn *done, void *arg)
{
	struct disk_torrent *t = disk_torrent_of(st);
	struct files_range range = {level, index, n};
	struct files_nodes *job;
	int err;

	ASSERT_LOOP(t->disk->loop);
	job = nodes_new(t, file_ix, &range, 0, &err);
	if (job == NULL)
		return err;
	job->dst = dst;
	job->done = done;
	job->arg = arg;
	nodes_start(job);
	return 0;
}

/* ---- life ---- */

static void hold(struct joint_torrent *joint)
{
	blobs_set_hold(&torrent_of(joint)->blobs);
}

static void drop(struct joint_torrent *joint)
{
	blobs_set_drop(&torrent_of(joint)->blobs);
}

int disk_files_init(struct disk *d)
{
	struct joint_cfg cfg = {
		.loop = d->loop,
		.file_bytes = sizeof(struct disk_file),
		.file_init = file_init,
		.file_fini = file_fini,
		.on_use = disk_member_on_use,
		.check = check,
		.checks_at_once = AGREE_AT_ONCE,
		.hold = hold,
		.drop = drop,
	};
	struct blob_home home = {.dir_fd = -1, .sub = "."};
	int err = joints_init(&d->joints, &cfg);

	if (err != 0)
		return err;
	err = blobs_set_init(&d->files, &d->blobs, &home, 0);
	if (err != 0)
		joints_fini(&d->joints);
	d->files.on_idle = blobs_set_fini;
	return err;
}

void disk_files_fini(struct disk *d)
{
	joints_fini(&d->joints);
	blobs_set_close(&d->files);
}
