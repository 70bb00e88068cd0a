/* store_place — files that lie where they are.
 *
 * Purpose: seeding what the user already has. Nothing is copied and nothing is
 * written; all pieces are held, because whoever made this store has hashed the
 * files. That they may change later is the user's business: a peer that gets
 * wrong bytes finds out by its own hash.
 *
 * How: reads go the way the disk store's go (blobs.c), with the user's paths
 * in the place of blob names. store_place_new looks at every file once, so
 * that a wrong path is said early; what is opened later is a blob's business.
 *
 * Failure modes: a file that vanished or was cut is EIO to the reader.
 * store_put and store_stage are EROFS, and a forget does nothing.
 *
 * Threads: loop; answers that need no job take the way through a worker all
 * the same, so that they come later, and in order. */
#include "cache/store_place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/blobs.h"
#include "cache/store_ops.h"
#include "cache/store_share.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "core/worker.h"

struct place {
	struct store base;
	struct store_torrent handle; /* the one torrent */
	struct loop *loop;
	struct workers *workers;
	int dir_fd;
	char **paths;	 /* a pad's or symlink's is NULL */
	uint64_t *sizes; /* as store_place_new saw them */
	uint32_t n_paths;
	struct blobs blobs;
	struct blob_set set;
	const struct metainfo *mi; /* while is_open */
	bool is_open;
	bool has_set;	  /* from the first open to the last job's end */
	unsigned n_calls; /* answers on their way */
	struct store_stats stats;
};

/* An answer on its way. */
struct answer {
	struct job job;
	struct place *place;
	void (*say)(struct answer *a);
	int err;
	uint32_t piece_ix;
	struct bits held;
	void *arg;
	union {
		store_info_fn *info;
		store_open_fn *open;
		store_put_fn *put;
		store_done_fn *done;
	} done;
};

static struct place *place_of(struct store *s)
{
	return CONTAINER_OF(s, struct place, base);
}

/* ---- answers ---- */

static void no_work(struct job *job, struct worker_env *env)
{
}

static void on_answer(struct job *job)
{
	struct answer *a = CONTAINER_OF(job, struct answer, job);
	struct place *p = a->place;

	a->say(a);
	p->n_calls--;
	bits_fini(&a->held);
	mem_free(a);
}

static struct answer *answer_new(struct place *p, void (*say)(struct answer *a),
				 void *arg)
{
	struct answer *a = mem_new(struct answer);

	ASSERT_LOOP(p->loop);
	if (a == NULL)
		return NULL;
	a->job = (struct job){.run = no_work, .done = on_answer};
	a->place = p;
	a->say = say;
	a->arg = arg;
	return a;
}

static void answer_send(struct answer *a)
{
	a->place->n_calls++;
	workers_submit(a->place->workers, &a->job);
}

/* ---- the torrent ---- */

static void on_set_idle(struct blob_set *set)
{
	struct place *p = CONTAINER_OF(set, struct place, set);

	blobs_set_fini(set);
	p->has_set = false;
}

static int check_sizes(const struct place *p, const struct metainfo *mi)
{
	if (mi->n_files != p->n_paths)
		return EPROTO;
	for (uint32_t ix = 0; ix < mi->n_files; ix++) {
		const unsigned nowhere = MI_ATTR_PAD | MI_ATTR_SYMLINK;
		bool has_path = (mi->files[ix].attr & nowhere) == 0;

		if (has_path != (p->paths[ix] != NULL))
			return EPROTO;
		if (has_path && mi->files[ix].len_bytes != p->sizes[ix])
			return EPROTO;
	}
	return 0;
}

static int open_set(struct place *p, const struct metainfo *mi)
{
	struct blob_home home = {
		.dir_fd = p->dir_fd,
		.paths = (const char *const *)p->paths,
	};
	int err;

	if (p->has_set)
		return EEXIST;
	err = check_sizes(p, mi);
	if (err == 0)
		err = blobs_set_init(&p->set, &p->blobs, &home, mi->n_files);
	if (err != 0)
		return err;
	p->set.on_idle = on_set_idle;
	p->has_set = true;
	p->is_open = true;
	p->mi = mi;
	return 0;
}

static void say_open(struct answer *a)
{
	if (a->err == 0)
		a->done.open(a->arg, 0, &a->place->handle, &a->held);
	else
		a->done.open(a->arg, a->err, NULL, NULL);
}

static int place_open(struct store *s, const struct metainfo *mi,
		      store_open_fn *done, void *arg)
{
	struct place *p = place_of(s);
	struct answer *a = answer_new(p, say_open, arg);

	if (a == NULL)
		return ENOMEM;
	if (bits_init(&a->held, mi->n_pieces) != 0) {
		mem_free(a);
		return ENOMEM;
	}
	bits_set_all(&a->held);
	a->done.open = done;
	a->err = open_set(p, mi);
	if (a->err == 0)
		p->stats.held_bytes = mi->total_bytes;
	answer_send(a);
	return 0;
}

static void place_close(struct store_torrent *st)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);

	ASSERT_LOOP(p->loop);
	p->is_open = false;
	p->mi = NULL;
	blobs_set_close(&p->set);
}

static int place_read_now(struct store_torrent *st, uint64_t off_bytes,
			  uint32_t len_bytes, uint8_t *dst)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);
	struct spot_map map = {.mi = p->mi, .own = &p->set};
	int err = blobs_read_now(&map, off_bytes, len_bytes, dst);

	ASSERT_LOOP(p->loop);
	p->stats.reads += err == 0;
	return err;
}

static int place_read(struct store_torrent *st, uint64_t off_bytes,
		      uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		      void *arg)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);
	struct spot_map map = {.mi = p->mi, .own = &p->set};

	ASSERT_LOOP(p->loop);
	p->stats.reads++;
	return blobs_read(&map, SPOT_READ, off_bytes, len_bytes, dst, done,
			  arg);
}

static void say_done(struct answer *a)
{
	a->done.done(a->arg, a->err);
}

static int place_stage(struct store_torrent *st, uint32_t piece_ix,
		       uint32_t at_bytes, struct blk *data, store_done_fn *done,
		       void *arg)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);
	struct answer *a = answer_new(p, say_done, arg);

	if (a == NULL)
		return ENOMEM;
	a->done.done = done;
	a->err = EROFS;
	answer_send(a);
	return 0;
}

static int place_read_staged(struct store_torrent *st, uint32_t piece_ix,
			     uint32_t at_bytes, uint32_t len_bytes,
			     uint8_t *dst, store_read_fn *done, void *arg)
{
	return EROFS; /* nothing ever was */
}

static void place_unstage(struct store_torrent *st, uint32_t piece_ix)
{
}

static void say_put(struct answer *a)
{
	a->done.put(a->arg, a->piece_ix, STORE_DURABLE, EROFS);
}

static int place_put(struct store_torrent *st, uint32_t piece_ix,
		     struct blk *data, store_put_fn *done, void *arg)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);
	struct answer *a = answer_new(p, say_put, arg);

	if (a == NULL)
		return ENOMEM;
	a->done.put = done;
	a->piece_ix = piece_ix;
	p->stats.puts++;
	answer_send(a);
	return 0;
}

static int place_put_leaves(struct store_torrent *st, uint32_t piece_ix,
			    uint32_t at_bytes, struct blk *data,
			    store_put_fn *done, void *arg)
{
	return place_put(st, piece_ix, data, done, arg);
}

static void place_vouch(struct store_torrent *st, uint32_t piece_ix)
{
}

static void place_forget(struct store_torrent *st, uint32_t piece_ix)
{
}

/* Whatever is held was so from the start. */
static void place_watch(struct store_torrent *st,
			const struct store_share_ops *ops, void *arg)
{
}

/* ---- hash trees: none are kept ---- */

static void place_put_nodes(struct store_torrent *st, uint32_t file_ix,
			    unsigned level, uint64_t index, uint32_t n,
			    const uint8_t *hashes)
{
}

static int place_read_nodes(struct store_torrent *st, uint32_t file_ix,
			    unsigned level, uint64_t index, uint32_t n,
			    uint8_t *dst, store_read_fn *done, void *arg)
{
	struct place *p = CONTAINER_OF(st, struct place, handle);
	struct answer *a = answer_new(p, say_done, arg);

	if (a == NULL)
		return ENOMEM;
	memset(dst, 0, (size_t)n * HASH_SHA256_BYTES);
	a->done.done = done;
	answer_send(a);
	return 0;
}

/* ---- the whole store ---- */

static void say_info(struct answer *a)
{
	a->done.info(a->arg, ENOENT, (struct span){NULL, 0});
}

static int place_load_info(struct store *s, const struct torrent_id *id,
			   store_info_fn *done, void *arg)
{
	struct answer *a = answer_new(place_of(s), say_info, arg);

	if (a == NULL)
		return ENOMEM;
	a->done.info = done;
	answer_send(a);
	return 0;
}

/* Nothing is remembered, and what lies there is the user's. */
static int place_remove(struct store *s, const struct torrent_id *id,
			store_done_fn *done, void *arg)
{
	struct place *p = place_of(s);
	struct answer *a = answer_new(p, say_done, arg);

	if (a == NULL)
		return ENOMEM;
	a->done.done = done;
	a->err = ENOENT;
	if (p->is_open && torrent_id_matches(&p->mi->id, id))
		a->err = EBUSY;
	answer_send(a);
	return 0;
}

static int place_flush(struct store *s, store_done_fn *done, void *arg)
{
	struct answer *a = answer_new(place_of(s), say_done, arg);

	if (a == NULL)
		return ENOMEM;
	a->done.done = done;
	answer_send(a);
	return 0;
}

static int place_err(const struct store *s)
{
	return 0;
}

static void place_stats(const struct store *s, struct store_stats *out)
{
	*out = CONTAINER_OF(s, const struct place, base)->stats;
}

static void free_paths(struct place *p)
{
	for (uint32_t i = 0; p->paths != NULL && i < p->n_paths; i++)
		mem_free(p->paths[i]);
	mem_free(p->paths);
	mem_free(p->sizes);
}

static void place_free(struct store *s)
{
	struct place *p = place_of(s);

	ASSERT_LOOP(p->loop);
	assert(!p->is_open);
	while (p->has_set || p->n_calls > 0)
		workers_drain(p->workers, UINT32_MAX);
	blobs_fini(&p->blobs);
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	free_paths(p);
	mem_free(p);
}

static const struct store_ops place_ops = {
	.load_info = place_load_info,
	.open = place_open,
	.remove = place_remove,
	.flush = place_flush,
	.err = place_err,
	.stats = place_stats,
	.free = place_free,
	.read_now = place_read_now,
	.read = place_read,
	.stage = place_stage,
	.read_staged = place_read_staged,
	.unstage = place_unstage,
	.put = place_put,
	.put_leaves = place_put_leaves,
	.vouch = place_vouch,
	.forget = place_forget,
	.watch = place_watch,
	.put_nodes = place_put_nodes,
	.read_nodes = place_read_nodes,
	.close = place_close,
};

/* ---- birth ---- */

/* A single file's path is relative to where the process is; another torrent's
 * files are relative to its top directory. */
static int open_top(struct place *p, const struct store_place_cfg *cfg)
{
	p->dir_fd = open(cfg->rel_paths != NULL ? cfg->path : ".",
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p->dir_fd >= 0 ? 0 : errno;
}

static int copy_paths(struct place *p, const struct store_place_cfg *cfg)
{
	p->n_paths = cfg->rel_paths != NULL ? cfg->n_rel_paths : 1;
	p->paths = mem_zalloc(p->n_paths, sizeof(*p->paths));
	p->sizes = mem_zalloc(p->n_paths, sizeof(*p->sizes));
	if (p->paths == NULL || p->sizes == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < p->n_paths; i++) {
		const char *path =
			cfg->rel_paths != NULL ? cfg->rel_paths[i] : cfg->path;

		if (path == NULL)
			continue;
		p->paths[i] = mem_strdup(path);
		if (p->paths[i] == NULL)
			return ENOMEM;
	}
	return 0;
}

static int look_at_files(struct place *p)
{
	for (uint32_t i = 0; i < p->n_paths; i++) {
		struct stat sb;

		if (p->paths[i] == NULL)
			continue;
		if (fstatat(p->dir_fd, p->paths[i], &sb, 0) != 0)
			return errno;
		if (!S_ISREG(sb.st_mode))
			return EISDIR;
		if (faccessat(p->dir_fd, p->paths[i], R_OK, AT_EACCESS) != 0)
			return errno;
		p->sizes[i] = (uint64_t)sb.st_size;
	}
	return 0;
}

int store_place_new(const struct store_place_cfg *cfg, struct store **out)
{
	struct place *p = mem_new(struct place);
	int err;

	if (p == NULL)
		return ENOMEM;
	p->base.ops = &place_ops;
	p->handle.store = &p->base;
	p->loop = cfg->loop;
	p->workers = cfg->workers;
	blobs_init(&p->blobs, cfg->workers);
	err = open_top(p, cfg);
	if (err == 0)
		err = copy_paths(p, cfg);
	if (err == 0)
		err = look_at_files(p);
	if (err != 0)
		goto free_place;
	*out = &p->base;
	return 0;
free_place:
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	free_paths(p);
	mem_free(p);
	return err;
}
