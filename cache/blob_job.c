/* blob_job — what workers do with blobs.
 *
 * Purpose: every system call that touches the data of pieces, but for the one
 * that never waits (blobs_read_now).
 *
 * Names: a blob is called by its file's number in the torrent, in a directory
 * called by the info-hash, or by the file's v2 root and length; no name that
 * came from the network reaches the file system. Foreign files (store_place)
 * have the user's own paths.
 *
 * Making: a blob is made, at its full length and sparse, by the first write to
 * it, and only as long as the index claims nothing in it (`may_make`). Once
 * something is claimed, a blob that is missing or short has lost bytes: making
 * it anew would turn the loss into zeros that look held. So that is EIO, and
 * each write looks first: one behind a cut would stretch the blob again.
 *
 * Failure modes: a write that fails leaves bytes that no row speaks of. The
 * first error ends the job; what was opened is closed or handed over as for
 * success.
 *
 * Invariants: a blob_run that is BRIEF has no descriptor left at the end; what
 * it wrote is synced when the job says 0. */
#include "cache/blob_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "cache/path_job.h"
#include "cache/whole_job.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/piececheck.h"
#include "core/torrent_id.h"

enum {
	NAME_BYTES = TORRENT_HEX_BYTES + 12,
	BLOB_MODE = 0600,
	BLOB_FLAGS = O_RDWR | O_NONBLOCK,
	FOREIGN_FLAGS = O_RDONLY | O_NOCTTY | O_CLOEXEC,
};

/* ---- opening ---- */

/* Lends `buf`, or a name that has one. */
static const char *blob_name(const struct blob_home *home, const char *name,
			     uint32_t file_ix, char buf[NAME_BYTES])
{
	if (name != NULL)
		return name;
	if (home->paths != NULL)
		return home->paths[file_ix];
	snprintf(buf, NAME_BYTES, "%s/%u", home->sub, file_ix);
	return buf;
}

/* What was held is gone, whatever the system calls it. */
static int as_loss(int err)
{
	return err == ENOENT || err == ELOOP || err == ENOTDIR ? EIO : err;
}

static int open_name(const struct blob_run *run)
{
	const struct blob_home *home = run->home;
	char buf[NAME_BYTES];
	const char *name = blob_name(home, run->name, run->file_ix, buf);
	int fd;

	if (home->paths != NULL)
		return openat(home->dir_fd, name, FOREIGN_FLAGS);
	fd = path_job_open(home->dir_fd, name, BLOB_FLAGS, 0);
	if (fd < 0 && errno == ENOENT && run->may_make)
		fd = path_job_open(home->dir_fd, name, BLOB_FLAGS | O_CREAT,
				   BLOB_MODE);
	return fd;
}

/* Somebody cut it, or took its name away. */
static bool is_cut(const struct stat *sb, uint64_t file_bytes)
{
	return sb->st_nlink == 0 || (uint64_t)sb->st_size < file_bytes;
}

/* The blob has its full length, or gets it. */
static int check_size(int fd, struct blob_run *run)
{
	struct stat sb;

	if (fstat(fd, &sb) != 0)
		return errno;
	if (!S_ISREG(sb.st_mode))
		return EIO;
	if (run->may_make && sb.st_nlink > 0) {
		if ((uint64_t)sb.st_size != run->file_bytes &&
		    ftruncate(fd, (off_t)run->file_bytes) != 0)
			return errno;
		run->was_made = true;
		return 0;
	}
	stamp_of(&sb, &run->look.before);
	run->look.has_before = true;
	run->look.is_lost = is_cut(&sb, run->file_bytes);
	return run->look.is_lost ? EIO : 0;
}

void blob_job_stat(int fd, uint64_t file_bytes, struct glance *look)
{
	struct stat sb;

	look->after_us = clock_mono_us();
	if (fstat(fd, &sb) != 0)
		return;
	stamp_of(&sb, &look->after);
	look->has_after = true;
	look->is_lost |= is_cut(&sb, file_bytes);
}

static int open_blob(struct blob_run *run)
{
	int fd = open_name(run);
	int err;

	if (fd < 0) {
		err = as_loss(errno);
		run->look.is_lost = err == EIO;
		return err;
	}
	err = check_size(fd, run);
	if (err != 0) {
		close(fd);
		return err;
	}
	run->fd = fd;
	return 0;
}

int blob_job_look(const struct blob_home *home, const char *name,
		  uint32_t file_ix, struct stamp *out)
{
	char buf[NAME_BYTES];
	struct stat sb;

	ASSERT_WORKER();
	if (path_job_stat(home->dir_fd, blob_name(home, name, file_ix, buf),
			  &sb) != 0)
		return as_loss(errno);
	if (!S_ISREG(sb.st_mode))
		return EIO;
	stamp_of(&sb, out);
	return 0;
}

bool blob_job_is_free(const struct blob_home *home, const char *name,
		      uint32_t file_ix)
{
	char buf[NAME_BYTES];
	bool is_free;
	int fd;

	ASSERT_WORKER();
	fd = path_job_open(home->dir_fd, blob_name(home, name, file_ix, buf),
			   BLOB_FLAGS, 0);
	if (fd < 0)
		return errno == ENOENT;
	is_free = whole_is_free(fd);
	close(fd);
	return is_free;
}

int blob_job_punch(const struct blob_home *home, const char *name,
		   uint32_t file_ix, uint64_t off_bytes, uint64_t len_bytes,
		   struct glance *look)
{
	char buf[NAME_BYTES];
	struct stat sb;
	int fd, err = 0;

	ASSERT_WORKER();
	fd = path_job_open(home->dir_fd, blob_name(home, name, file_ix, buf),
			   BLOB_FLAGS, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (fstat(fd, &sb) != 0) {
		err = errno;
	} else {
		stamp_of(&sb, &look->before);
		look->has_before = true;
		if (whole_is_marked(sb.st_mode) &&
		    !whole_unmark(fd, sb.st_mode))
			err = EBUSY;
		else if (fallocate(fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (off_t)off_bytes, (off_t)len_bytes) != 0)
			err = errno;
		blob_job_stat(fd, 0, look);
	}
	close(fd);
	return err;
}

int blob_job_sync_dir(const struct blob_home *home)
{
	int fd, err = 0;

	ASSERT_WORKER();
	fd = openat(home->dir_fd, home->sub,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fsync(fd) != 0)
		err = errno;
	close(fd);
	return err;
}

/* ---- reading and writing ---- */

static int read_run(const struct blob_run *run, uint8_t *dst)
{
	uint64_t off = run->off_bytes;
	size_t left = run->len_bytes;

	while (left > 0) {
		ssize_t n = pread(run->fd, dst, left, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0) /* the blob was cut: what was held is gone */
			return EIO;
		dst += n;
		off += (uint64_t)n;
		left -= (size_t)n;
	}
	return 0;
}

static int write_run(const struct blob_run *run, const uint8_t *src)
{
	uint64_t off = run->off_bytes;
	size_t left = run->len_bytes;

	while (left > 0) {
		size_t slice =
			left < STORE_SLICE_BYTES ? left : STORE_SLICE_BYTES;
		ssize_t n = pwrite(run->fd, src, slice, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		src += n;
		off += (uint64_t)n;
		left -= (size_t)n;
	}
	return 0;
}

/* All of it through the check's hash, a slice at a time. */
static int hash_run(const struct blob_io *io, struct blob_run *run,
		    struct hasher *h, uint8_t *buf)
{
	uint32_t left = run->len_bytes;
	struct blob_run part = *run;

	while (left > 0) {
		uint32_t n =
			left < STORE_SLICE_BYTES ? left : STORE_SLICE_BYTES;
		int err = 0;

		part.len_bytes = n;
		if (run->how == BLOB_FD_NONE)
			memset(buf, 0, n);
		else
			err = read_run(&part, buf);
		if (err != 0)
			return err;
		piececheck_add(io->check, h, buf, n);
		part.off_bytes += n;
		left -= n;
	}
	return 0;
}

static int end_brief(struct blob_io *io, struct blob_run *run, int err)
{
	if (err == 0 && io->src != NULL && fdatasync(run->fd) != 0) {
		err = errno;
		io->is_sync_lost = true;
	}
	close(run->fd);
	run->fd = -1;
	return err;
}

static int move_bytes(const struct blob_io *io, struct blob_run *run,
		      struct hasher *h, uint8_t *buf)
{
	int err;

	if (io->check != NULL)
		err = hash_run(io, run, h, buf);
	else if (io->dst != NULL)
		err = read_run(run, io->dst + run->pos_bytes);
	else
		err = write_run(run, io->src + run->pos_bytes);
	blob_job_stat(run->fd, run->file_bytes, &run->look);
	if (err == 0 && run->look.is_lost)
		err = EIO;
	return err;
}

static int do_run(struct blob_io *io, struct blob_run *run, struct hasher *h,
		  uint8_t *buf)
{
	int err = 0;

	if (run->how == BLOB_FD_NONE) {
		if (io->check != NULL)
			return hash_run(io, run, h, buf);
		memset(io->dst + run->pos_bytes, 0, run->len_bytes);
		return 0;
	}
	if (run->how == BLOB_FD_LOST)
		return EIO;
	if (run->how != BLOB_FD_LENT)
		err = open_blob(run);
	else if (io->src != NULL)
		err = check_size(run->fd, run);
	if (err != 0)
		return err;
	err = move_bytes(io, run, h, buf);
	if (run->how == BLOB_FD_BRIEF)
		err = end_brief(io, run, err);
	return err;
}

static void judge(struct blob_io *io, struct hasher *h)
{
	if (io->check != NULL && io->err == 0 &&
	    piececheck_end(io->check, h, io->root) != PIECE_RIGHT)
		io->err = EBADMSG;
}

void blob_job_run(struct job *job, struct worker_env *env)
{
	struct blob_io *io = CONTAINER_OF(job, struct blob_io, job);
	uint8_t *buf = NULL;

	ASSERT_WORKER();
	if (io->check != NULL) {
		buf = mem_alloc(STORE_SLICE_BYTES);
		io->err = buf == NULL ? ENOMEM : 0;
	}
	for (uint32_t i = 0; i < io->n_runs && io->err == 0; i++) {
		io->err = do_run(io, &io->runs[i], env->hasher, buf);
		if (io->err != 0)
			log_debug("blob %u: %s: %s", io->runs[i].file_ix,
				  io->src == NULL ? "read" : "write",
				  err_text(io->err));
	}
	judge(io, env->hasher);
	mem_free(buf);
}
