/* files_job — v1 hashes and hash trees of files that are kept by their v2 root.
 *
 * Purpose: a hybrid must match both its hashes, and leaves that another torrent
 * brought have been proven by one of them. So the piece is read, and hashed for
 * the other.
 *
 * The tree of a file is a sparse file of its own, made by the first nodes that
 * are put. It is a cache: nothing in it is synced, or believed when it is read.
 *
 * Threads: workers. */
#include "cache/files_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/blob_job.h"
#include "cache/cache_limits.h"
#include "cache/home_job.h"
#include "core/mem.h"
#include "core/merkle.h"

enum { TREE_MODE = 0600, NAME_BYTES = 128 };

/* ---- the v1 hash ---- */

static int add_file(struct hasher *h, int fd, uint8_t *buf, uint64_t off,
		    uint64_t end)
{
	while (off < end) {
		size_t want = end - off < STORE_SLICE_BYTES
				      ? (size_t)(end - off)
				      : STORE_SLICE_BYTES;
		ssize_t n = pread(fd, buf, want, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		hasher_add(h, buf, (size_t)n);
		off += (uint64_t)n;
	}
	return 0;
}

static void add_zeros(struct hasher *h, uint8_t *buf, uint32_t n)
{
	memset(buf, 0, STORE_SLICE_BYTES);
	while (n > 0) {
		uint32_t part = n < STORE_SLICE_BYTES ? n : STORE_SLICE_BYTES;

		hasher_add(h, buf, part);
		n -= part;
	}
}

static int hash_piece(const struct files_check *c, struct hasher *h, int fd,
		      uint8_t *buf)
{
	uint8_t got[HASH_SHA1_BYTES];
	uint64_t left = c->file_bytes - c->off_bytes;
	uint32_t n = left < c->piece_bytes ? (uint32_t)left : c->piece_bytes;
	int err;

	hasher_begin(h, HASH_SHA1);
	err = add_file(h, fd, buf, c->off_bytes, c->off_bytes + n);
	if (err == 0)
		add_zeros(h, buf, c->piece_bytes - n);
	hasher_end(h, got);
	if (err != 0)
		return err;
	return memcmp(got, c->want, sizeof(got)) == 0 ? 0 : EBADMSG;
}

void files_job_check(struct job *job, struct worker_env *env)
{
	struct files_check *c = CONTAINER_OF(job, struct files_check, job);
	uint8_t *buf = mem_alloc(STORE_SLICE_BYTES);
	int fd;

	ASSERT_WORKER();
	if (buf == NULL) {
		c->err = ENOMEM;
		return;
	}
	fd = openat(c->dir_fd, c->name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		c->err = errno;
	} else {
		c->err = hash_piece(c, env->hasher, fd, buf);
		blob_job_stat(fd, c->file_bytes, &c->look);
		close(fd);
	}
	mem_free(buf);
}

/* ---- hash trees ---- */

static uint64_t level_width(uint32_t n_leaves, unsigned level)
{
	return (((uint64_t)n_leaves - 1) >> level) + 1;
}

bool files_tree_at(uint32_t n_leaves, const struct files_range *range,
		   uint64_t *off_bytes)
{
	uint64_t width, at = range->index;

	if (n_leaves == 0 || range->level > merkle_height(n_leaves))
		return false;
	width = level_width(n_leaves, range->level);
	if (range->n == 0 || range->n > width || at > width - range->n)
		return false;
	for (unsigned level = 0; level < range->level; level++)
		at += level_width(n_leaves, level);
	*off_bytes = at * HASH_SHA256_BYTES;
	return true;
}

/* Zeros where nothing was put. */
static int read_nodes(const struct files_nodes *n, int fd)
{
	size_t at = 0;

	memset(n->dst, 0, n->len_bytes);
	while (at < n->len_bytes) {
		ssize_t got = pread(fd, n->dst + at, n->len_bytes - at,
				    (off_t)(n->off_bytes + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0)
			return 0;
		at += (size_t)got;
	}
	return 0;
}

static uint64_t blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static int write_nodes(const struct files_nodes *n, int fd)
{
	size_t at = 0;

	while (at < n->len_bytes) {
		ssize_t put = pwrite(fd, n->src + at, n->len_bytes - at,
				     (off_t)(n->off_bytes + at));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? errno : EIO;
		at += (size_t)put;
	}
	return 0;
}

void files_job_nodes(struct job *job, struct worker_env *env)
{
	struct files_nodes *n = CONTAINER_OF(job, struct files_nodes, job);
	int flags =
		O_NONBLOCK | (n->dst != NULL ? O_RDONLY : O_WRONLY | O_CREAT);
	char name[NAME_BYTES];
	int fd;

	ASSERT_WORKER();
	snprintf(name, sizeof(name), "%s" HOME_TREE, n->name);
	fd = openat(n->dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, TREE_MODE);
	if (fd < 0) {
		n->err = errno;
		if (n->dst != NULL && errno == ENOENT) {
			memset(n->dst, 0, n->len_bytes);
			n->err = 0;
		}
		return;
	}
	if (n->dst != NULL) {
		n->err = read_nodes(n, fd);
	} else {
		uint64_t before = blocks_of(fd), after;

		n->err = write_nodes(n, fd);
		after = blocks_of(fd);
		n->grown_bytes = after > before ? after - before : 0;
	}
	close(fd);
}
