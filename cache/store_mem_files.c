/* store_mem_files — files that the memory store keeps by their v2 root.
 *
 * Purpose: what of joint.h the memory store has to do. A record uses its files
 * as long as it lives, open or not; the last one takes them with it.
 *
 * Words. Cell: a leaf, a part of some blk. A put replaces all cells of its
 * range, unless they are all there, so that a blk is not kept for a few of its
 * leaves. Nodes of hash trees lie in slabs, by where they would lie in a file.
 *
 * The v1 hash of a hybrid's piece that others brought is made on the loop, some
 * of it a turn, for this store has no workers.
 *
 * Failure modes: ENOMEM and ENOSPC leave of a put nothing that can be read.
 *
 * Threads: loop. */
#include "cache/store_mem_internal.h"

#include <errno.h>
#include <string.h>

#include "cache/files_job.h"
#include "cache/mem_piece.h"
#include "core/blk.h"
#include "core/hash.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	CHECK_TURN_BYTES = 256 << 10,
	SLAB_BYTES = 64 * HASH_SHA256_BYTES,
	SLABS_PART = 8, /* of the room */
};

struct cell {
	struct blk *blk;
	uint32_t at_bytes;
	uint32_t len_bytes;
};

struct mem_file {
	struct joint_file base;
	struct mem_units units; /* no store: nothing was ever kept */
	struct hmap *cells;	/* leaf -> struct cell */
	struct hmap *slabs;	/* number -> SLAB_BYTES */
};

static struct mem_file *file_of(const struct joint_use *use)
{
	return CONTAINER_OF(use->file, struct mem_file, base);
}

static struct record *record_of_joint(struct joint_torrent *t)
{
	return CONTAINER_OF(t, struct record, joint);
}

/* ---- cells ---- */

static void cell_free(struct cell *c)
{
	blk_drop(c->blk);
	mem_free(c);
}

static void file_fini(struct joint_file *jf)
{
	struct mem_file *f = CONTAINER_OF(jf, struct mem_file, base);
	struct cell *c;
	void *slab;
	size_t pos = 0;

	while (f->cells != NULL && (c = hmap_next(f->cells, &pos)) != NULL)
		cell_free(c);
	pos = 0;
	while (f->slabs != NULL && (slab = hmap_next(f->slabs, &pos)) != NULL) {
		f->units.store->used_bytes -= SLAB_BYTES;
		f->units.store->slab_bytes -= SLAB_BYTES;
		mem_free(slab);
	}
	mem_units_fini(&f->units);
	hmap_free(f->cells);
	hmap_free(f->slabs);
}

struct mem_units *mem_file_units(struct joint_file *jf)
{
	return &CONTAINER_OF(jf, struct mem_file, base)->units;
}

static int make_maps(struct mem_file *f, const struct record *r)
{
	int err = 0;

	if (f->units.store == NULL)
		mem_units_init_file(&f->units, r->store, &f->base,
				    r->piece_bytes);
	if (f->cells == NULL)
		err = hmap_new(sizeof(uint32_t), &f->cells);
	if (err == 0 && f->slabs == NULL)
		err = hmap_new(sizeof(uint64_t), &f->slabs);
	return err;
}

static void drop_cell(struct mem_file *f, uint32_t leaf)
{
	struct cell *c = hmap_del(f->cells, &leaf);

	if (c == NULL)
		return;
	mem_units_sub(&f->units, leaf / f->units.unit_leaves, c->len_bytes);
	cell_free(c);
}

/* A hybrid's blk goes on behind the file's end with a pad's zeros. */
static uint32_t leaf_bytes(const struct mem_file *f, uint32_t leaf)
{
	uint64_t left = f->base.bytes - (uint64_t)leaf * MERKLE_LEAF_BYTES;

	return left < MERKLE_LEAF_BYTES ? (uint32_t)left : MERKLE_LEAF_BYTES;
}

static int put_cell(struct mem_file *f, uint32_t leaf, struct blk *data,
		    uint32_t at)
{
	struct cell *c = mem_new(struct cell);

	if (c == NULL)
		return ENOMEM;
	drop_cell(f, leaf);
	c->at_bytes = at;
	c->len_bytes = leaf_bytes(f, leaf);
	if (hmap_put(f->cells, &leaf, c) != 0) {
		mem_free(c);
		return ENOMEM;
	}
	if (mem_units_add(&f->units, leaf / f->units.unit_leaves,
			  c->len_bytes) != 0) {
		hmap_del(f->cells, &leaf);
		mem_free(c);
		return ENOMEM;
	}
	c->blk = blk_hold(data);
	return 0;
}

static uint32_t put_bytes(const struct mem_file *f, const struct joint_piece *p)
{
	uint64_t left = f->base.bytes - (uint64_t)p->first * MERKLE_LEAF_BYTES;
	uint64_t n = (uint64_t)p->n * MERKLE_LEAF_BYTES;

	return (uint32_t)(left < n ? left : n);
}

static void drop_cells(struct mem_file *f, const struct joint_piece *p)
{
	if (f->cells == NULL)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		drop_cell(f, p->first + i);
}

static int end_keep(struct mem_file *f, const struct joint_piece *p, int err)
{
	if (err != 0) {
		drop_cells(f, p);
		joint_drop(p);
	}
	return err;
}

int mem_files_keep(struct record *r, const struct joint_piece *p,
		   struct blk *data)
{
	struct mem_file *f = file_of(p->use);
	struct mem_store *m = r->store;
	int err;

	if (data == NULL || joint_has_all(p))
		return 0;
	if (!mem_room_fits(m, put_bytes(f, p)))
		return ENOSPC;
	err = make_maps(f, r);
	for (uint32_t i = 0; i < p->n && err == 0; i++)
		err = put_cell(f, p->first + i, data, i * MERKLE_LEAF_BYTES);
	return end_keep(f, p, err);
}

int mem_files_keep_parts(struct record *r, const struct joint_piece *p,
			 const struct mem_piece *parts)
{
	struct mem_file *f = file_of(p->use);
	int err = make_maps(f, r);

	for (uint32_t i = 0; i < p->n && err == 0; i++) {
		uint32_t at;
		struct blk *blk =
			mem_piece_lend(parts, i * MERKLE_LEAF_BYTES, &at);

		err = blk != NULL ? put_cell(f, p->first + i, blk, at) : EIO;
	}
	return end_keep(f, p, err);
}

int mem_files_add(struct record *r, const struct joint_piece *p, uint32_t ix,
		  bool is_piece)
{
	int err = is_piece ? joint_add(p) : joint_add_some(&r->joint, ix, p);

	if (err != 0) {
		drop_cells(file_of(p->use), p);
		return err;
	}
	if (!is_piece)
		return 0;
	if (r->mi->has_v1)
		bits_set(&r->joint.agreed, ix);
	joint_kept(&r->joint, ix);
	return 0;
}

void mem_files_forget(struct record *r, uint32_t ix)
{
	struct joint_piece p;

	if (!joint_piece(&r->joint, ix, &p))
		return;
	joint_lost(&r->joint, ix);
	drop_cells(file_of(p.use), &p);
	joint_drop(&p);
}

void mem_files_evict(struct joint_file *jf, uint32_t first, uint32_t n)
{
	const struct joint_piece p = {
		.first = first,
		.n = n < jf->n_leaves - first ? n : jf->n_leaves - first};

	drop_cells(CONTAINER_OF(jf, struct mem_file, base), &p);
	joint_evict(jf, first, p.n);
}

bool mem_files_is_for(struct record *r, uint32_t ix, bool has_data,
		      struct joint_piece *out)
{
	if (joint_place(&r->joint, ix, 0, r->piece_bytes, out) != 0)
		return false;
	return has_data ? joint_is_proven(out, ix) : joint_has_all(out);
}

static uint32_t read_leaf(const struct record *r, uint64_t off_bytes,
			  uint32_t len_bytes, uint8_t *dst)
{
	uint32_t ix = (uint32_t)(off_bytes / r->piece_bytes);
	uint32_t at = (uint32_t)(off_bytes % r->piece_bytes);
	uint32_t skip = at % MERKLE_LEAF_BYTES, leaf;
	struct joint_piece p;
	const struct cell *c;

	if (!joint_piece(&r->joint, ix, &p))
		return 0;
	if (at >= put_bytes(file_of(p.use), &p)) {
		memset(dst, 0, len_bytes);
		return len_bytes;
	}
	leaf = p.first + at / MERKLE_LEAF_BYTES;
	if (!joint_has_leaf(p.use->file, leaf))
		return 0;
	c = hmap_get(file_of(p.use)->cells, &leaf);
	if (len_bytes > c->len_bytes - skip)
		len_bytes = c->len_bytes - skip;
	memcpy(dst, c->blk->data + c->at_bytes + skip, len_bytes);
	return len_bytes;
}

/* ---- reading ---- */

/* How much of the piece is kept: behind it are zeros. */
static uint32_t piece_len(const struct record *r, uint32_t ix)
{
	return r->mi != NULL ? metainfo_body_bytes(r->mi, ix) : r->piece_bytes;
}

/* Copy what lies in one part of one piece; `*n` gets how much that was. */
static int read_piece(const struct record *r, uint64_t off_bytes,
		      uint32_t len_bytes, uint8_t *dst, uint32_t *n)
{
	uint32_t ix = (uint32_t)(off_bytes / r->piece_bytes);
	uint32_t at = (uint32_t)(off_bytes % r->piece_bytes);
	const struct mem_piece *p = hmap_get(r->pieces, &ix);

	if (len_bytes > r->piece_bytes - at)
		len_bytes = r->piece_bytes - at;
	if (p == NULL) {
		*n = read_leaf(r, off_bytes, len_bytes, dst);
		if (*n > 0)
			return 0;
		p = hmap_get(r->staged, &ix);
	}
	if (p == NULL)
		return EIO;
	*n = mem_piece_read(p, at, len_bytes, dst);
	if (*n > 0)
		return 0;
	if (at < piece_len(r, ix))
		return EIO;
	memset(dst, 0, len_bytes); /* padding, or behind a v2 file's end */
	*n = len_bytes;
	return 0;
}

int mem_read_now(struct store_torrent *st, uint64_t off_bytes,
		 uint32_t len_bytes, uint8_t *dst)
{
	struct record *r = record_of(st);
	uint32_t n;
	int err;

	ASSERT_LOOP(r->store->loop);
	mem_room_use(r, off_bytes);
	while (len_bytes > 0) {
		err = read_piece(r, off_bytes, len_bytes, dst, &n);
		if (err != 0)
			return EAGAIN; /* mem_read says what it is */
		off_bytes += n;
		dst += n;
		len_bytes -= n;
	}
	r->store->stats.reads++;
	return 0;
}

/* ---- the v1 side of a hybrid ---- */

static void end_check(struct record *r)
{
	loop_task_cancel(r->store->loop, &r->check.task);
	hasher_free(r->check.hasher);
	r->check.hasher = NULL;
}

static int check_step(struct record *r, uint32_t len)
{
	struct mem_check *c = &r->check;
	uint64_t off = (uint64_t)c->piece_ix * r->piece_bytes + c->at_bytes;
	uint8_t *buf = mem_alloc(len);
	int err;

	if (buf == NULL)
		return ENOMEM;
	err = mem_read_now(&r->handle, off, len, buf);
	if (err == 0)
		hasher_add(c->hasher, buf, len);
	c->at_bytes += len;
	mem_free(buf);
	return err;
}

static int check_end(struct record *r)
{
	const uint8_t *want =
		r->mi->v1_hashes + (size_t)r->check.piece_ix * HASH_SHA1_BYTES;
	uint8_t got[HASH_SHA1_BYTES];

	hasher_end(r->check.hasher, got);
	return memcmp(got, want, sizeof(got)) == 0 ? 0 : EBADMSG;
}

static void on_check(void *arg)
{
	struct record *r = arg;
	struct mem_check *c = &r->check;
	uint32_t all = metainfo_piece_bytes(r->mi, c->piece_ix);
	uint32_t left = all - c->at_bytes;
	int err;

	err = check_step(r, left < CHECK_TURN_BYTES ? left : CHECK_TURN_BYTES);
	if (err == 0 && c->at_bytes < all) {
		loop_defer(r->store->loop, &c->task);
		return;
	}
	if (err == 0)
		err = check_end(r);
	end_check(r);
	joint_checked(&r->joint, c->piece_ix, err);
}

static int check(struct joint_torrent *t, uint32_t piece_ix)
{
	struct record *r = record_of_joint(t);

	if (hasher_new(&r->check.hasher) != 0)
		return ENOMEM;
	hasher_begin(r->check.hasher, HASH_SHA1);
	r->check.piece_ix = piece_ix;
	r->check.at_bytes = 0;
	loop_defer(r->store->loop, &r->check.task);
	return 0;
}

void mem_vouch(struct store_torrent *st, uint32_t piece_ix)
{
	joint_vouch(&record_of(st)->joint, piece_ix);
}

void mem_watch(struct store_torrent *st, const struct store_share_ops *ops,
	       void *arg)
{
	joint_watch(&record_of(st)->joint, ops, arg);
}

uint64_t mem_coming_us(struct store_torrent *st, uint32_t piece_ix,
		       uint32_t at_bytes, uint32_t len_bytes, bool only_asked)
{
	return joint_coming_us(&record_of(st)->joint, piece_ix, at_bytes,
			       len_bytes, only_asked);
}

/* ---- hash trees ---- */

static int tree_at(const struct record *r, uint32_t file_ix,
		   const struct files_range *range, uint64_t *off)
{
	const struct mi_file *f;

	if (file_ix >= r->joint.n_files)
		return EINVAL;
	f = &r->mi->files[file_ix];
	if (!joint_is_rooted(f) ||
	    !files_tree_at((uint32_t)((f->len_bytes + MERKLE_LEAF_BYTES - 1) /
				      MERKLE_LEAF_BYTES),
			   range, off))
		return EINVAL;
	return 0;
}

/* The slab of byte `off`, made for `r` if that is given and there is room; or
 * NULL. They are not evicted, so they have a part of the room and no more. */
static uint8_t *slab_of(struct mem_file *f, uint64_t off, struct record *r)
{
	struct mem_store *m = r != NULL ? r->store : NULL;
	uint64_t ix = off / SLAB_BYTES;
	uint8_t *slab =
		f != NULL && f->slabs != NULL ? hmap_get(f->slabs, &ix) : NULL;

	if (slab != NULL || m == NULL)
		return slab;
	if (!mem_room_fits(m, SLAB_BYTES) ||
	    SLAB_BYTES > m->max_bytes / SLABS_PART - m->slab_bytes ||
	    make_maps(f, r) != 0)
		return NULL;
	slab = mem_zalloc(1, SLAB_BYTES);
	if (slab == NULL || hmap_put(f->slabs, &ix, slab) != 0) {
		mem_free(slab);
		return NULL;
	}
	m->used_bytes += SLAB_BYTES;
	m->slab_bytes += SLAB_BYTES;
	return slab;
}

void mem_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		   uint64_t index, uint32_t n, const uint8_t *hashes)
{
	struct record *r = record_of(st);
	struct files_range range = {level, index, n};
	struct joint_use *use;
	uint64_t off;

	if (tree_at(r, file_ix, &range, &off) != 0 ||
	    joint_use(&r->joint, file_ix, &use) != 0)
		return;
	for (uint32_t i = 0; i < n; i++, off += HASH_SHA256_BYTES) {
		uint8_t *slab = slab_of(file_of(use), off, r);

		if (slab == NULL)
			return;
		memcpy(slab + off % SLAB_BYTES,
		       hashes + (size_t)i * HASH_SHA256_BYTES,
		       HASH_SHA256_BYTES);
	}
}

int mem_nodes(const struct record *r, uint32_t file_ix, unsigned level,
	      uint64_t index, uint32_t n, uint8_t *dst)
{
	struct files_range range = {level, index, n};
	const struct joint_use *use = joint_use_of(&r->joint, file_ix);
	uint64_t off;
	int err = tree_at(r, file_ix, &range, &off);

	for (uint32_t i = 0; i < n && err == 0; i++) {
		uint8_t *to = dst + (size_t)i * HASH_SHA256_BYTES;
		const uint8_t *slab =
			slab_of(use != NULL ? file_of(use) : NULL, off, NULL);

		memset(to, 0, HASH_SHA256_BYTES);
		if (slab != NULL)
			memcpy(to, slab + off % SLAB_BYTES, HASH_SHA256_BYTES);
		off += HASH_SHA256_BYTES;
	}
	return err;
}

/* ---- life ---- */

int mem_files_new(struct record *r, const struct metainfo *mi)
{
	loop_task_init(&r->check.task, on_check, r);
	return joint_init(&r->joint, &r->store->joints, mi, &r->own);
}

int mem_files_begin(struct record *r, struct bits *held)
{
	int err = bits_init(held, r->mi->n_pieces);

	bits_fini(&r->handle.leaves);
	if (err == 0)
		err = joint_join(&r->joint);
	if (err != 0)
		return err;
	if (joint_is_any(&r->joint))
		return joint_begin(&r->joint, held, &r->handle.leaves);
	return bits_load(held, r->own.data, bits_bytes(r->own.n));
}

void mem_files_close(struct record *r)
{
	end_check(r);
	joint_close(&r->joint);
	r->joint.n_checking = 0;
}

void mem_files_free(struct record *r)
{
	bits_fini(&r->handle.leaves);
	if (r->joint.all != NULL)
		joint_fini(&r->joint);
}

/* What it has is made with its first byte. */
static int file_init(struct joint_file *jf, const struct joint_use *use)
{
	return 0;
}

static void nothing(struct joint_torrent *t)
{
}

int mem_files_init(struct mem_store *m)
{
	struct joint_cfg cfg = {
		.loop = m->loop,
		.file_bytes = sizeof(struct mem_file),
		.file_init = file_init,
		.file_fini = file_fini,
		.check = check,
		.checks_at_once = 1, /* record.check */
		.hold = nothing,
		.drop = nothing,
	};

	return joints_init(&m->joints, &cfg);
}

void mem_files_fini(struct mem_store *m)
{
	joints_fini(&m->joints);
}
