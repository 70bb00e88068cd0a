/* files_job — hash trees of files that are kept by their v2 root.
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
