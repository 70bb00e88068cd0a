/* room_job — one eviction, on the store thread: the rows first, then the bytes.
 *
 * Failure modes: the transaction fails: nothing else is done. A blob that is
 * not there has nothing to punch.
 *
 * Threads: store. */
#include "cache/room_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache/blob_job.h"
#include "cache/index_job.h"
#include "cache/path_job.h"
#include "core/err.h"
#include "core/log.h"

static int drop_row(struct eviction *ev, const struct leaving_row *row)
{
	if (row->row != 0)
		return index_job_drop(ev->index, row->row, row->piece_ix,
				      row->bytes, &ev->dropped_bytes);
	return index_job_drop_leaves(ev->index, &row->file, row->first, row->n,
				     &ev->dropped_bytes);
}

static int drop_rows(struct eviction *ev)
{
	int err = index_job_begin(ev->index);

	for (unsigned i = 0; i < ev->n && err == 0; i++)
		err = drop_row(ev, &ev->rows[i]);
	if (err == 0)
		err = index_job_commit(ev->index);
	if (err != 0) {
		index_job_rollback(ev->index);
		ev->dropped_bytes = 0;
	}
	return err;
}

static void punch(struct eviction *ev, struct cut *c)
{
	c->err = blob_job_punch(c->home, c->name, c->file_ix, c->off_bytes,
				c->len_bytes, &c->look);
	if (c->err != 0 && ev->punch_err == 0)
		ev->punch_err = c->err;
}

static uint64_t blocks_of(const struct home *home, const char *name)
{
	struct stat sb;

	if (path_job_stat(home->dir_fd, name, &sb) != 0)
		return 0;
	return (uint64_t)sb.st_blocks * 512;
}

void room_job_measure(const struct home *home, uint64_t *free_bytes,
		      uint64_t *index_bytes)
{
	struct statvfs fs;
	uint64_t log;

	*free_bytes = UINT64_MAX / 2;
	if (fstatvfs(home->dir_fd, &fs) == 0)
		*free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	log = blocks_of(home, "index.db-wal");
	*index_bytes = blocks_of(home, "index.db") +
		       blocks_of(home, "traffic") + ROOM_FIXED_BYTES +
		       (log > ROOM_LOG_BYTES ? log : ROOM_LOG_BYTES);
}

/* What lies in a directory, and in those in it, of which there is one level. */
static uint64_t blocks_in(int dir_fd, const char *name, unsigned depth)
{
	int fd = path_job_open(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat sb;
	uint64_t sum = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' ||
		    fstatat(fd, e->d_name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		sum += (uint64_t)sb.st_blocks * 512;
		if (S_ISDIR(sb.st_mode) && depth > 0)
			sum += blocks_in(fd, e->d_name, depth - 1);
	}
	closedir(d);
	return sum;
}

uint64_t room_job_path_bytes(const struct home *home, const char *path)
{
	char tree[INDEX_PATH_BYTES + sizeof(HOME_TREE)];

	if (strncmp(path, "torrents/", 9) == 0)
		return blocks_in(home->dir_fd, path, 0);
	snprintf(tree, sizeof(tree), "%s" HOME_TREE, path);
	return blocks_of(home, path) + blocks_of(home, tree);
}

uint64_t room_job_blob_bytes(const struct home *home)
{
	ASSERT_WORKER();
	return blocks_in(home->torrents_fd, ".", 1) +
	       blocks_in(home->files_fd, ".", 0);
}

void room_job_evict(struct job *job, struct worker_env *env)
{
	struct eviction *ev = CONTAINER_OF(job, struct eviction, job);

	ASSERT_WORKER();
	ev->err = drop_rows(ev);
	if (ev->err != 0)
		return;
	for (uint32_t i = 0; i < ev->n_cuts; i++)
		punch(ev, &ev->cuts[i]);
	room_job_measure(ev->home, &ev->free_bytes, &ev->index_bytes);
}
