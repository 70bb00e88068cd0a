/* joint_use — which files there are, and which torrents use them.
 *
 * Purpose: a torrent may have a million files, and of most of them a store has
 * nothing. So a file is here, with what is known of it, only if something of it
 * is there or was asked for; then all torrents that have joined use it that
 * have it. Which those are each can tell by its list of roots (metainfo.h), and
 * so who joins later finds the files that are here. What a torrent without
 * anything costs is a few bits a piece.
 *
 * Failure modes: ENOMEM, and nothing has changed; of a torrent that was
 * joining, it goes with it.
 *
 * Threads: loop. */
#include "cache/joint_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/be.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

/* ---- files ---- */

int joints_init(struct joints *all, const struct joint_cfg *cfg)
{
	all->cfg = *cfg;
	LIST_INIT(&all->torrents);
	return hmap_new_within(JOINT_ID_BYTES, offsetof(struct joint_file, id),
			       &all->files);
}

void joints_fini(struct joints *all)
{
	assert(hmap_count(all->files) == 0);
	hmap_free(all->files);
}

static void file_free(struct joints *all, struct joint_file *f)
{
	hmap_del(all->files, f->id);
	all->cfg.file_fini(f);
	bits_fini(&f->leaves);
	mem_free(f);
}

static uint64_t count_leaves(uint64_t bytes)
{
	return (bytes + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES;
}

bool joint_is_rooted(const struct mi_file *mf)
{
	return mf->root != NULL && mf->len_bytes > 0 &&
	       count_leaves(mf->len_bytes) < UINT32_MAX;
}

static void id_of(const struct mi_file *mf, uint8_t id[JOINT_ID_BYTES])
{
	memcpy(id, mf->root, HASH_SHA256_BYTES);
	be64_put(id + HASH_SHA256_BYTES, mf->len_bytes);
}

struct joint_file *joint_file_of(const struct joints *all,
				 const struct mi_file *mf)
{
	uint8_t id[JOINT_ID_BYTES];

	if (!joint_is_rooted(mf))
		return NULL;
	id_of(mf, id);
	return hmap_get(all->files, id);
}

static struct joint_file *file_new(struct joints *all, const struct mi_file *mf)
{
	struct joint_file *f = mem_zalloc(1, all->cfg.file_bytes);

	if (f == NULL)
		return NULL;
	id_of(mf, f->id);
	f->bytes = mf->len_bytes;
	f->n_leaves = (uint32_t)count_leaves(mf->len_bytes);
	LIST_INIT(&f->uses);
	if (hmap_put(all->files, f->id, f) != 0) {
		mem_free(f);
		return NULL;
	}
	return f;
}

/* ---- uses ---- */

static struct joint_use *use_new(struct joint_torrent *t, uint32_t ix,
				 struct joint_file *f)
{
	const struct mi_file *mf = &t->mi->files[ix];
	struct joint_use *use = mem_new(struct joint_use);

	if (use == NULL)
		return NULL;
	use->file = f;
	use->t = t;
	use->file_ix = ix;
	use->is_vouched = !t->mi->has_v1 || mf->layer != NULL ||
			  mf->len_bytes <= t->mi->piece_bytes;
	t->uses[ix] = use;
	LIST_INSERT_HEAD(&f->uses, use, link);
	LIST_INSERT_HEAD(&t->list, use, of_torrent);
	return use;
}

/* Its last use takes the file with it. */
static void use_free(struct joint_use *use)
{
	struct joint_torrent *t = use->t;
	struct joint_file *f = use->file;

	LIST_REMOVE(use, link);
	LIST_REMOVE(use, of_torrent);
	t->uses[use->file_ix] = NULL;
	mem_free(use);
	if (LIST_EMPTY(&f->uses))
		file_free(t->all, f);
}

/* All files of `t` that are this one: those are side by side in by_root. */
static int use_all(struct joint_torrent *t, struct joint_file *f)
{
	const struct metainfo *mi = t->mi;
	uint32_t at = metainfo_root_from(mi, f->id, f->bytes);

	for (; metainfo_root_is(mi, at, f->id, f->bytes); at++) {
		uint32_t ix = mi->by_root[at];
		struct joint_use *use;

		if (t->uses[ix] != NULL)
			continue;
		use = use_new(t, ix, f);
		if (use == NULL)
			return ENOMEM;
		if (t->all->cfg.on_use != NULL)
			t->all->cfg.on_use(use);
	}
	return 0;
}

static void file_undo(struct joints *all, struct joint_file *f)
{
	struct joint_use *use;

	while ((use = LIST_FIRST(&f->uses)) != NULL) {
		if (LIST_NEXT(use, link) == NULL) {
			use_free(use);
			return;
		}
		use_free(use);
	}
	file_free(all, f);
}

static int file_make(struct joint_torrent *t, uint32_t file_ix)
{
	struct joints *all = t->all;
	struct joint_file *f = file_new(all, &t->mi->files[file_ix]);
	struct joint_torrent *other;
	int err;

	if (f == NULL)
		return ENOMEM;
	err = use_all(t, f);
	if (err == 0)
		err = all->cfg.file_init(f, t->uses[file_ix]);
	LIST_FOREACH (other, &all->torrents, link)
		if (err == 0)
			err = use_all(other, f);
	if (err != 0)
		file_undo(all, f);
	return err;
}

int joint_use(struct joint_torrent *t, uint32_t file_ix, struct joint_use **out)
{
	int err;

	if (t->uses == NULL || !joint_is_rooted(&t->mi->files[file_ix]))
		return ENOENT;
	if (t->uses[file_ix] == NULL) {
		struct joint_file *f =
			joint_file_of(t->all, &t->mi->files[file_ix]);

		err = f != NULL ? use_all(t, f) : file_make(t, file_ix);
		if (err != 0)
			return err;
	}
	*out = t->uses[file_ix];
	return 0;
}

/* ---- who joins finds what is there ---- */

/* By whichever is shorter: the files that are here, or the torrent's. */
int joint_each_open(const struct joints *all, const struct metainfo *mi,
		    joint_place_fn *fn, void *arg)
{
	const struct joint_file *f;
	size_t pos = 0;
	int err = 0;

	if (hmap_count(all->files) >= mi->n_by_root) {
		for (uint32_t i = 0; i < mi->n_by_root && err == 0; i++)
			if (joint_file_of(all, &mi->files[mi->by_root[i]]) !=
			    NULL)
				err = fn(arg, i);
		return err;
	}
	while (err == 0 && (f = hmap_next(all->files, &pos)) != NULL) {
		uint32_t i = metainfo_root_from(mi, f->id, f->bytes);

		for (; err == 0 && metainfo_root_is(mi, i, f->id, f->bytes);
		     i++)
			err = fn(arg, i);
	}
	return err;
}

static int use_open(void *arg, uint32_t place)
{
	struct joint_torrent *t = arg;
	uint32_t ix = t->mi->by_root[place];

	return use_all(t, joint_file_of(t->all, &t->mi->files[ix]));
}

int joint_join(struct joint_torrent *t)
{
	if (!joint_is_any(t) || t->has_joined)
		return 0;
	LIST_INSERT_HEAD(&t->all->torrents, t, link);
	t->has_joined = true;
	return joint_each_open(t->all, t->mi, use_open, t);
}

static void leave(struct joint_torrent *t)
{
	if (t->has_joined)
		LIST_REMOVE(t, link);
	t->has_joined = false;
}

/* ---- a torrent ---- */

static int init_bits(struct joint_torrent *t)
{
	uint32_t n = t->mi->n_pieces;
	int err = bits_init(&t->agreed, n);

	if (err == 0)
		err = bits_init(&t->vouched, n);
	if (err == 0)
		err = bits_init(&t->told, n);
	if (err == 0)
		err = bits_init(&t->changed, n);
	if (err == 0)
		err = bits_init(&t->lossy, n);
	return err != 0 ? err : bits_init(&t->unsure, n);
}

int joint_init(struct joint_torrent *t, struct joints *all,
	       const struct metainfo *mi, const struct bits *own)
{
	int err;

	*t = (struct joint_torrent){.all = all, .mi = mi, .own = own};
	LIST_INIT(&t->list);
	loop_task_init(&t->task, joint_on_turn, t);
	if (!mi->has_v2)
		return 0;
	t->uses = mem_zalloc(mi->n_files, sizeof(struct joint_use *));
	if (t->uses == NULL)
		return ENOMEM;
	t->n_files = mi->n_files;
	err = init_bits(t);
	if (err != 0)
		joint_fini(t);
	return err;
}

void joint_reopen(struct joint_torrent *t, const struct metainfo *mi)
{
	struct joint_use *use;

	t->mi = mi;
	LIST_FOREACH (use, &t->list, of_torrent)
		use->is_vouched |= mi->files[use->file_ix].layer != NULL;
}

void joint_close(struct joint_torrent *t)
{
	loop_task_cancel(t->all->cfg.loop, &t->task);
	leave(t);
	t->mi = NULL;
	t->ops = NULL;
	if (!joint_is_any(t))
		return;
	bits_clear_all(&t->vouched);
	bits_clear_all(&t->changed);
	bits_clear_all(&t->lossy);
	bits_clear_all(&t->unsure);
}

void joint_fini(struct joint_torrent *t)
{
	struct joint_use *use;

	loop_task_cancel(t->all->cfg.loop, &t->task);
	leave(t);
	while ((use = LIST_FIRST(&t->list)) != NULL)
		use_free(use);
	mem_free(t->uses);
	bits_fini(&t->agreed);
	bits_fini(&t->vouched);
	bits_fini(&t->told);
	bits_fini(&t->changed);
	bits_fini(&t->lossy);
	bits_fini(&t->unsure);
	t->uses = NULL;
	t->n_files = 0;
}
