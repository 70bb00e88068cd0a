/* piecehash_job — read a run of pieces, chunk by chunk, and hash what was read
 * while it is in the cache.
 *
 * v1's hash runs over a whole piece and the files in it; v2's leaves are whole
 * within a chunk, for a v2 piece begins with its file and a chunk is a multiple
 * of a leaf. Both are under way at once, so v1's has a hasher of its own.
 *
 * A file is kept open while the run is in it: a cache of descriptors shared by
 * workers would need a lock. */
#include "cmd/piecehash_job.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cmd/content.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum { ZEROS_BYTES = 64 << 10 };

/* One run, on its thread. */
struct run {
	const struct piecehash_shared *sh;
	uint8_t *buf;
	struct hasher *hasher; /* of leaves */
	struct hasher *v1;     /* of the piece, or NULL */
	struct merkle tree;    /* of the piece */
	uint32_t file;	       /* the last that was read */
	uint32_t open_file;
	int fd; /* of open_file, or -1 */
};

/* ---- reading ---- */

static int open_file(struct run *run, uint32_t ix)
{
	const struct content *c = run->sh->content;

	if (run->fd >= 0 && run->open_file == ix)
		return 0;
	if (run->fd >= 0)
		(void)close(run->fd);
	run->fd = openat(run->sh->dir_fd,
			 c->is_single ? c->root : c->files[ix].rel,
			 O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	run->open_file = ix;
	return run->fd >= 0 ? 0 : errno;
}

static int read_at(struct run *run, uint64_t off, size_t len)
{
	uint8_t *dst = run->buf;
	ssize_t n;

	while (len > 0) {
		n = pread(run->fd, dst, len, (off_t)off);
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

/* ---- hashing ---- */

static void hash_zeros(struct run *run, uint64_t len)
{
	static const uint8_t zeros[ZEROS_BYTES];

	while (len > 0) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		hasher_add(run->v1, zeros, n);
		len -= n;
	}
}

/* `len` bytes of file `ix`, from `off` in it. */
static int hash_file(struct run *run, uint32_t ix, uint64_t off, uint64_t len)
{
	int r = open_file(run, ix);

	while (r == 0 && len > 0) {
		size_t n = len < PIECEHASH_CHUNK_BYTES ? (size_t)len
						       : PIECEHASH_CHUNK_BYTES;

		r = read_at(run, off, n);
		if (r != 0)
			break;
		if (run->v1)
			hasher_add(run->v1, run->buf, n);
		if (run->sh->v2)
			merkle_add_data(&run->tree, run->buf, n);
		off += n;
		len -= n;
	}
	return r;
}

/* A file that is shorter than a piece has a tree of its own height. */
static unsigned tree_height(const struct run *run, const struct content_file *f)
{
	uint64_t n = f->len_bytes < run->sh->piece_bytes ? f->len_bytes
							 : run->sh->piece_bytes;

	return merkle_height((n + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES);
}

/* All of the files that are in the piece from `off` to `end`. */
static int hash_span(struct run *run, uint64_t off, uint64_t end)
{
	const struct content *c = run->sh->content;
	int r = 0;

	for (uint32_t i = run->file;
	     r == 0 && i < c->n_files && c->files[i].off_bytes < end; i++) {
		const struct content_file *f = &c->files[i];
		uint64_t f_end = f->off_bytes + f->len_bytes;
		uint64_t len = (f_end < end ? f_end : end) - off;

		if (f_end <= off)
			continue;
		run->file = i;
		if (f->attr & MI_ATTR_PAD)
			hash_zeros(run, len);
		else
			r = hash_file(run, i, off - f->off_bytes, len);
		off += len;
	}
	return r;
}

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

static int hash_piece(struct run *run, uint32_t ix)
{
	const struct piecehash_shared *sh = run->sh;
	uint64_t off = (uint64_t)ix * sh->piece_bytes;
	uint64_t end = off + sh->piece_bytes;
	const struct content_file *f;
	int r;

	if (end > sh->content->total_bytes)
		end = sh->content->total_bytes;
	run->file = file_at(sh->content, off);
	f = &sh->content->files[run->file];
	if (run->v1)
		hasher_begin(run->v1, HASH_SHA1);
	if (sh->v2)
		merkle_begin(&run->tree, run->hasher, 0);
	r = hash_span(run, off, end);
	if (run->v1)
		hasher_end(run->v1, sh->v1 + (size_t)ix * HASH_SHA1_BYTES);
	if (sh->v2 && r == 0)
		merkle_root(&run->tree, tree_height(run, f),
			    sh->v2 + (size_t)ix * HASH_SHA256_BYTES);
	return r;
}

void piecehash_job_run(struct job *job, struct worker_env *env)
{
	struct piecehash_job *pj = (struct piecehash_job *)job;
	const struct piecehash_shared *sh = pj->shared;
	struct run run = {
		.sh = sh,
		.buf = sh->bufs + (size_t)env->ix * PIECEHASH_CHUNK_BYTES,
		.hasher = env->hasher,
		.v1 = sh->v1 ? sh->v1_hashers[env->ix] : NULL,
		.fd = -1,
	};

	ASSERT_WORKER();
	pj->err = 0;
	for (uint32_t i = 0; i < pj->n && pj->err == 0; i++)
		pj->err = hash_piece(&run, pj->first + i);
	pj->err_file = run.file;
	if (run.fd >= 0)
		(void)close(run.fd);
}
