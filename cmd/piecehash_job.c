/* piecehash_job — read a run of pieces and hash them while what was read is in
 * the cache.
 *
 * Up to sixteen pieces go side by side, a part of each at a time, for messages
 * that do not depend on each other are hashed much faster so (core/hash_row.h):
 * v1's hashes run over the pieces, one lane each; v2's leaves, which are whole
 * within a part, fill rows across the pieces. Where rows do not pay, a piece
 * goes alone, and its parts are longer.
 *
 * Parts side by side are no order for a disk. So what is not in memory yet is
 * asked for before, in order (ask_for).
 *
 * A file is kept open while a piece is in it, and serves all pieces that are: a
 * cache of descriptors shared by workers would need a lock. */
#include "cmd/piecehash_job.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cmd/content.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/hash_row.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	ASK_BYTES = 512 << 10,
	/* So much the kernel reads ahead at the first read of a file. */
	ASK_MIN_BYTES = 64 << 10,
};

/* A piece under way. */
struct lane {
	uint64_t off, end; /* what is left of it */
	const uint8_t *at; /* the part at hand, of `len` bytes */
	size_t len;
	size_t v2_len; /* so many of them, the first ones, have leaves */
	uint32_t file; /* the last that was read */
	uint32_t open_file;
	int fd; /* of open_file, or -1 */
	struct merkle tree;
};

/* One run, on its thread. */
struct run {
	const struct piecehash_shared *sh;
	uint8_t *buf; /* PIECEHASH_BUF_BYTES, shared out among the lanes */
	struct hasher *hasher; /* of leaves */
	struct hasher *v1;     /* of a piece that goes alone, or NULL */
	struct hash_row row;   /* of those that do not */
	unsigned n;	       /* lanes */
	size_t part_bytes;
	struct lane lanes[HASH_ROW_MAX];
	uint32_t err_file;
	/* leaves that wait for a row, in the order of each tree */
	const uint8_t *leaf[HASH_ROW_MAX];
	struct merkle *tree_of[HASH_ROW_MAX];
	unsigned n_leaves;
};

/* The longest part; never written. */
static uint8_t zeros[PIECEHASH_BUF_BYTES / 2];

/* ---- reading ---- */

/* A descriptor that some lane has, or a new one for this lane. */
static int fd_of(struct run *run, struct lane *lane, uint32_t ix, int *out)
{
	const struct content *c = run->sh->content;

	for (unsigned i = 0; i < run->n; i++) {
		if (run->lanes[i].fd >= 0 && run->lanes[i].open_file == ix) {
			*out = run->lanes[i].fd;
			return 0;
		}
	}
	if (lane->fd >= 0)
		(void)close(lane->fd);
	lane->fd = openat(run->sh->dir_fd,
			  c->is_single ? c->root : c->files[ix].rel,
			  O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	lane->open_file = ix;
	*out = lane->fd;
	return lane->fd >= 0 ? 0 : errno;
}

static int read_at(int fd, uint8_t *dst, uint64_t off, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = pread(fd, dst, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENODATA;
		dst += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* What of file `f` is in [off, end). */
static uint64_t share_of(const struct content_file *f, uint64_t off,
			 uint64_t end)
{
	uint64_t f_end = f->off_bytes + f->len_bytes;

	return (f_end < end ? f_end : end) - off;
}

/* Unless the piece begins in memory, have all of it read that is in the file
 * in which it begins: the kernel does so in its own time, and in order. */
static void ask_for(struct run *run, struct lane *lane)
{
	const struct content_file *f = &run->sh->content->files[lane->file];
	uint64_t off = lane->off - f->off_bytes;
	uint64_t len = share_of(f, lane->off, lane->end);
	uint8_t byte;
	struct iovec to = {.iov_base = &byte, .iov_len = 1};
	int fd;

	if (f->attr & MI_ATTR_PAD || len <= ASK_MIN_BYTES ||
	    fd_of(run, lane, lane->file, &fd) != 0 ||
	    preadv2(fd, &to, 1, (off_t)off, RWF_NOWAIT) >= 0 || errno != EAGAIN)
		return;
	for (uint64_t at = 0; at < len; at += ASK_BYTES)
		(void)posix_fadvise(
			fd, (off_t)(off + at),
			(off_t)(len - at < ASK_BYTES ? len - at : ASK_BYTES),
			POSIX_FADV_WILLNEED);
}

/* Padding that goes on to `end`. */
static bool is_padding(const struct content_file *f, uint64_t end)
{
	return f->attr & MI_ATTR_PAD && f->off_bytes + f->len_bytes >= end;
}

static int fill_from(struct run *run, struct lane *lane, uint32_t ix,
		     uint64_t off, size_t len, uint8_t *dst)
{
	const struct content_file *f = &run->sh->content->files[ix];
	int fd, r;

	lane->file = ix;
	if (f->attr & MI_ATTR_PAD) {
		if (lane->at != zeros)
			memset(dst, 0, len);
		return 0;
	}
	lane->v2_len += len;
	r = fd_of(run, lane, ix, &fd);
	return r ? r : read_at(fd, dst, off - f->off_bytes, len);
}

/* The next part of the lane's piece, from all files that are in it. */
static int fill(struct run *run, struct lane *lane, uint8_t *dst)
{
	const struct content *c = run->sh->content;
	uint64_t off = lane->off, end = off + run->part_bytes;
	int r = 0;

	if (end > lane->end)
		end = lane->end;
	lane->len = (size_t)(end - off);
	lane->v2_len = 0;
	lane->at = is_padding(&c->files[lane->file], end) ? zeros : dst;
	for (uint32_t i = lane->file;
	     r == 0 && i < c->n_files && c->files[i].off_bytes < end; i++) {
		const struct content_file *f = &c->files[i];
		size_t len;

		if (f->off_bytes + f->len_bytes <= off)
			continue;
		len = (size_t)share_of(f, off, end);
		r = fill_from(run, lane, i, off, len, dst);
		dst += len;
		off += len;
	}
	lane->off = end;
	if (r != 0)
		run->err_file = lane->file;
	return r;
}

/* ---- hashing ---- */

static void flush_leaves(struct run *run)
{
	uint8_t hash[HASH_ROW_MAX * HASH_SHA256_BYTES];

	hash_all(run->hasher, HASH_SHA256, run->leaf, MERKLE_LEAF_BYTES,
		 run->n_leaves, hash);
	for (unsigned i = 0; i < run->n_leaves; i++)
		merkle_add(run->tree_of[i], hash + i * HASH_SHA256_BYTES);
	run->n_leaves = 0;
}

/* The leaves of all parts at hand, the lanes' first ones first. The last leaf
 * of a file may be short, and comes after those before it. */
static void hash_leaves(struct run *run)
{
	for (size_t at = 0; at < run->part_bytes; at += MERKLE_LEAF_BYTES) {
		for (unsigned i = 0; i < run->n; i++) {
			struct lane *lane = &run->lanes[i];

			if (lane->v2_len < at + MERKLE_LEAF_BYTES)
				continue;
			run->leaf[run->n_leaves] = lane->at + at;
			run->tree_of[run->n_leaves++] = &lane->tree;
			if (run->n_leaves == HASH_ROW_MAX)
				flush_leaves(run);
		}
	}
	flush_leaves(run);
	for (unsigned i = 0; i < run->n; i++) {
		struct lane *lane = &run->lanes[i];
		size_t last = lane->v2_len % MERKLE_LEAF_BYTES;

		if (last > 0)
			merkle_add_data(&lane->tree,
					lane->at + lane->v2_len - last, last);
	}
}

/* All v1 pieces of a row are of one length, so their parts are too. */
static void hash_v1(struct run *run)
{
	const uint8_t *at[HASH_ROW_MAX];

	if (run->n == 1) {
		hasher_add(run->v1, run->lanes[0].at, run->lanes[0].len);
		return;
	}
	for (unsigned i = 0; i < run->n; i++)
		at[i] = run->lanes[i].at;
	hash_row_add(&run->row, at, run->lanes[0].len);
}

static bool is_done(const struct run *run)
{
	for (unsigned i = 0; i < run->n; i++)
		if (run->lanes[i].off < run->lanes[i].end)
			return false;
	return true;
}

/* The next part of every lane. */
static int step(struct run *run)
{
	int r = 0;

	for (unsigned i = 0; i < run->n && r == 0; i++)
		r = fill(run, &run->lanes[i], run->buf + i * run->part_bytes);
	if (r != 0)
		return r;
	if (run->v1)
		hash_v1(run);
	if (run->sh->v2)
		hash_leaves(run);
	return 0;
}

/* ---- a row ---- */

/* The last file that begins at or before `off`: of several that begin there,
 * only the last can be longer than nothing. */
static uint32_t file_at(const struct content *c, uint64_t off)
{
	uint32_t lo = 0, hi = c->n_files;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->files[mid].off_bytes <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Where piece `ix` ends: with its file if there is only v2. */
static uint64_t piece_end(const struct run *run, uint32_t ix, uint32_t file)
{
	const struct content *c = run->sh->content;
	uint64_t end = ((uint64_t)ix + 1) * run->sh->piece_bytes;
	uint64_t stop = c->total_bytes;

	if (!run->v1)
		stop = c->files[file].off_bytes + c->files[file].len_bytes;
	return stop < end ? stop : end;
}

static void begin_lane(struct run *run, struct lane *lane, uint32_t ix)
{
	const struct piecehash_shared *sh = run->sh;

	lane->off = (uint64_t)ix * sh->piece_bytes;
	lane->file = file_at(sh->content, lane->off);
	lane->end = piece_end(run, ix, lane->file);
	if (sh->v2)
		merkle_begin(&lane->tree, run->hasher, 0);
	ask_for(run, lane);
}

/* A file that is shorter than a piece has a tree of its own height. */
static unsigned tree_height(const struct run *run, uint32_t ix)
{
	const struct content *c = run->sh->content;
	uint64_t off = (uint64_t)ix * run->sh->piece_bytes;
	uint64_t n = c->files[file_at(c, off)].len_bytes;

	if (n > run->sh->piece_bytes)
		n = run->sh->piece_bytes;
	return merkle_height((n + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES);
}

static void end_row(struct run *run, uint32_t first)
{
	const struct piecehash_shared *sh = run->sh;
	uint8_t *to[HASH_ROW_MAX];

	for (unsigned i = 0; i < run->n && run->v1; i++)
		to[i] = sh->v1 + ((size_t)first + i) * HASH_SHA1_BYTES;
	if (run->v1 && run->n == 1)
		hasher_end(run->v1, to[0]);
	else if (run->v1)
		hash_row_end(&run->row, to);
	for (unsigned i = 0; i < run->n && sh->v2; i++)
		merkle_root(&run->lanes[i].tree, tree_height(run, first + i),
			    sh->v2 + ((size_t)first + i) * HASH_SHA256_BYTES);
}

/* `n` pieces side by side. */
static int hash_pieces(struct run *run, uint32_t first, unsigned n)
{
	int r = 0;

	run->n = n;
	run->part_bytes = n == 1 ? PIECEHASH_BUF_BYTES / 2
				 : PIECEHASH_BUF_BYTES / HASH_ROW_MAX;
	for (unsigned i = 0; i < n; i++)
		begin_lane(run, &run->lanes[i], first + i);
	if (run->v1 && n == 1)
		hasher_begin(run->v1, HASH_SHA1);
	else if (run->v1)
		hash_row_begin(&run->row, HASH_SHA1, n);
	while (r == 0 && !is_done(run))
		r = step(run);
	if (r == 0)
		end_row(run, first);
	return r;
}

/* How many of the next `n` pieces go side by side. */
static unsigned row_of(const struct run *run, uint32_t first, uint32_t n)
{
	const struct piecehash_shared *sh = run->sh;

	if (n > sh->row)
		n = sh->row;
	if (!run->v1)
		return n;
	/* The last piece is shorter than the others, if it is. */
	if (n > 1 &&
	    ((uint64_t)first + n) * sh->piece_bytes > sh->content->total_bytes)
		n--;
	return hash_row_pays(HASH_SHA1, n) ? n : 1;
}

void piecehash_job_run(struct job *job, struct worker_env *env)
{
	struct piecehash_job *pj = (struct piecehash_job *)job;
	const struct piecehash_shared *sh = pj->shared;
	struct run run;

	ASSERT_WORKER();
	run.sh = sh;
	run.buf = sh->bufs + (size_t)env->ix * PIECEHASH_BUF_BYTES;
	run.hasher = env->hasher;
	run.v1 = sh->v1 ? sh->v1_hashers[env->ix] : NULL;
	run.n_leaves = 0;
	run.err_file = UINT32_MAX;
	for (unsigned i = 0; i < HASH_ROW_MAX; i++)
		run.lanes[i].fd = -1;
	pj->err = 0;
	for (uint32_t i = 0; i < pj->n && pj->err == 0;) {
		unsigned n = row_of(&run, pj->first + i, pj->n - i);

		pj->err = hash_pieces(&run, pj->first + i, n);
		i += n;
	}
	pj->err_file = run.err_file;
	for (unsigned i = 0; i < HASH_ROW_MAX; i++)
		if (run.lanes[i].fd >= 0)
			(void)close(run.lanes[i].fd);
}
