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
#include "cache/store_lend.h"
#include "cache/whole_job.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
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

/* The user's files may fail in any way: only what is our own lack says nothing
 * about the bytes. */
static int as_loss_of(const struct blob_run *run, int err)
{
	if (run->home->door == NULL)
		return err;
	return err == ENOMEM || err == EMFILE || err == ENFILE ? err : EIO;
}

/* Who reads has no turn: if he meets one of ours, he waits for its end. */
static int open_own(struct blob_run *run, const char *name)
{
	int dir_fd = run->home->dir_fd;
	int fd = path_job_open(dir_fd, name, BLOB_FLAGS, 0);

	if (fd < 0 && errno == EWOULDBLOCK && !run->is_write) {
		look_wait(&run->look);
		fd = path_job_open(dir_fd, name, BLOB_FLAGS, 0);
	}
	if (fd < 0 && errno == ENOENT && run->may_make)
		fd = path_job_open(dir_fd, name, BLOB_FLAGS | O_CREAT,
				   BLOB_MODE);
	return fd;
}

static int open_name(struct blob_run *run)
{
	const struct blob_home *home = run->home;
	char buf[NAME_BYTES];
	const char *name = blob_name(home, run->name, run->file_ix, buf);

	if (home->door != NULL)
		return home->door->open(home->door->ctx, home->dir_fd, name);
	if (home->paths != NULL)
		return openat(home->dir_fd, name, FOREIGN_FLAGS);
	return open_own(run, name);
}

/* The blob has its full length, or gets it. */
static int check_size(struct blob_run *run, const struct stat *sb)
{
	if (!S_ISREG(sb->st_mode))
		return EIO;
	if (run->may_make && sb->st_nlink > 0) {
		if ((uint64_t)sb->st_size != run->file_bytes &&
		    ftruncate(run->fd, (off_t)run->file_bytes) != 0)
			return errno;
		run->was_made = true;
		return 0;
	}
	run->look.is_lost = look_is_cut(sb, run->file_bytes);
	return run->look.is_lost ? EIO : 0;
}

static int open_fd(struct blob_run *run)
{
	int err;

	run->fd = open_name(run);
	if (run->fd >= 0)
		return 0;
	err = as_loss_of(run, as_loss(errno));
	run->look.is_lost = err == EIO;
	return err;
}

static void close_fd(struct blob_run *run)
{
	close(run->fd);
	run->fd = -1;
}

static int open_to_read(struct blob_run *run)
{
	struct stat sb;
	int err = open_fd(run);

	if (err != 0)
		return err;
	err = fstat(run->fd, &sb) != 0 ? errno : check_size(run, &sb);
	if (err != 0)
		close_fd(run);
	return err;
}

/* Has the turn if it says 0. */
static int open_to_write(struct blob_run *run)
{
	struct stat sb;
	int err;

	look_turn(&run->look);
	err = run->how == BLOB_FD_LENT ? 0 : open_fd(run);
	if (err == 0)
		err = look_before(&run->look, run->fd,
				  run->how != BLOB_FD_BRIEF, &sb);
	if (err == 0)
		err = check_size(run, &sb);
	if (err == 0)
		return 0;
	look_turn_end(&run->look, run->fd, run->file_bytes);
	if (run->how != BLOB_FD_LENT && run->fd >= 0)
		close_fd(run);
	return err;
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
	int fd, err;

	ASSERT_WORKER();
	look_turn(look);
	fd = path_job_open(home->dir_fd, blob_name(home, name, file_ix, buf),
			   BLOB_FLAGS, 0);
	if (fd < 0) {
		err = errno == ENOENT ? 0 : errno;
	} else {
		err = look_before(look, fd, false, &sb);
		if (err == 0 && whole_is_marked(sb.st_mode))
			err = look->is_alone ? whole_unmark(fd, sb.st_mode)
					     : EBUSY;
		if (err == 0 &&
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)off_bytes, (off_t)len_bytes) != 0)
			err = errno;
	}
	look_turn_end(look, fd, 0);
	if (fd >= 0)
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

int blob_run_read(const struct blob_run *run, uint32_t at_bytes, uint8_t *dst,
		  uint32_t len_bytes)
{
	uint64_t off = run->off_bytes + at_bytes;
	size_t left = len_bytes;

	if (run->how == BLOB_FD_NONE) {
		memset(dst, 0, left);
		return 0;
	}
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

int blob_run_open(struct blob_run *run)
{
	if (run->how == BLOB_FD_LOST)
		return EIO;
	if (run->how == BLOB_FD_NONE || run->how == BLOB_FD_LENT)
		return 0;
	return open_to_read(run);
}

static int or_lost(const struct blob_run *run, int err)
{
	return err == 0 && run->look.is_lost ? EIO : err;
}

int blob_run_close(struct blob_run *run, int err)
{
	if (run->how == BLOB_FD_NONE)
		return err;
	look_behind(&run->look, run->fd, run->file_bytes);
	err = or_lost(run, err);
	if (err != 0)
		err = as_loss_of(run, err);
	if (run->how == BLOB_FD_BRIEF)
		close_fd(run);
	return err;
}

static int read_all(struct blob_run *run, uint8_t *dst)
{
	int err = blob_run_open(run);

	if (err != 0)
		return err;
	return blob_run_close(run, blob_run_read(run, 0, dst, run->len_bytes));
}

static int close_written(struct blob_io *io, struct blob_run *run, int err)
{
	look_turn_end(&run->look, run->fd, run->file_bytes);
	err = or_lost(run, err);
	if (run->how != BLOB_FD_BRIEF)
		return err;
	if (err == 0 && fdatasync(run->fd) != 0) {
		err = errno;
		io->is_sync_lost = true;
	}
	close_fd(run);
	return err;
}

static int write_all(struct blob_io *io, struct blob_run *run)
{
	int err = open_to_write(run);

	if (err != 0)
		return err;
	return close_written(io, run, write_run(run, io->src + run->pos_bytes));
}

/* ---- from one blob into another ---- */

static int copy_bytes(const struct blob_run *from, struct blob_run to)
{
	uint32_t len = from->len_bytes, at = 0;
	uint8_t *buf = mem_alloc(STORE_SLICE_BYTES);
	int err = buf != NULL ? 0 : ENOMEM;

	while (at < len && err == 0) {
		to.len_bytes = len - at < STORE_SLICE_BYTES ? len - at
							    : STORE_SLICE_BYTES;
		err = blob_run_read(from, at, buf, to.len_bytes);
		if (err == 0)
			err = write_run(&to, buf);
		to.off_bytes += to.len_bytes;
		at += to.len_bytes;
	}
	mem_free(buf);
	return err;
}

static int copy(struct blob_io *io)
{
	struct blob_run *from = &io->runs[0], *to = &io->runs[1];
	int err = blob_run_open(from);

	if (err != 0)
		return err;
	err = open_to_write(to);
	if (err == 0)
		err = close_written(io, to, copy_bytes(from, *to));
	return blob_run_close(from, err);
}

static void read_or_write(struct blob_io *io)
{
	for (uint32_t i = 0; i < io->n_runs && io->err == 0; i++) {
		struct blob_run *run = &io->runs[i];

		io->err = io->src == NULL
				  ? read_all(run, io->dst + run->pos_bytes)
				  : write_all(io, run);
		if (io->err != 0)
			log_debug("blob %u: %s: %s", run->file_ix,
				  io->src == NULL ? "read" : "write",
				  err_text(io->err));
	}
}

void blob_job_run(struct job *job, struct worker_env *env)
{
	struct blob_io *io = CONTAINER_OF(job, struct blob_io, job);

	ASSERT_WORKER();
	if (!io->is_copy)
		read_or_write(io);
	else if (io->n_runs > 0)
		io->err = copy(io);
}
