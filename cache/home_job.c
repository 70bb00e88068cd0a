/* home_job — a directory that is nobody else's.
 *
 * Purpose: before a byte of the store is believed or written, make sure that
 * its directory belongs to this user, can be written by nobody else, was made
 * by this program, and is used by no other process.
 *
 * Life: make missing directories (0700) · open · look at owner and mode · look
 * for strangers' files · lock · make `torrents`, `files` and `index.db`. The
 * lock is flock's: the kernel lets go of it when the process ends, however it
 * ends. The number in it is for people.
 *
 * Info dictionaries are written under another name, synced, renamed, and the
 * directories synced: there is a whole one or none.
 *
 * Failure modes: an interrupted home_job_keep_info leaves "info.new", which
 * the next one overwrites. A directory made and then refused stays.
 *
 * What it does not do: judge an info dictionary. Who reads one parses it
 * against the info-hash. */
#include "cache/home_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/torrent_id.h"
#include "core/worker.h"

enum {
	WHY_BYTES = 160,
	DIR_MODE = 0700,
	FILE_MODE = 0600,
	DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
	NAME_BYTES = TORRENT_HEX_BYTES + 16,
};

/* ---- whose it is ---- */

static int say(char *why, int err, const char *text)
{
	snprintf(why, WHY_BYTES, "%s", text);
	return err;
}

/* mkdir -p */
static int make_dirs(const char *dir)
{
	char *path = mem_strdup(dir);
	int err = 0;

	if (path == NULL)
		return ENOMEM;
	for (char *p = path + 1; err == 0; p++) {
		char end = *p;

		if (end != '/' && end != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
			err = errno;
		*p = end;
		if (end == '\0')
			break;
	}
	mem_free(path);
	return err;
}

static int check_owner(int fd, char *why)
{
	struct stat sb;

	if (fstat(fd, &sb) != 0)
		return say(why, errno, err_text(errno));
	if (sb.st_uid != geteuid())
		return say(why, EPERM, "it belongs to another user");
	if (sb.st_mode & (S_IWGRP | S_IWOTH))
		return say(why, EPERM,
			   "others may write to it (chmod go-w it)");
	return 0;
}

static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		".",	    "..",    "lock",	     "index.db",
		"torrents", "files", "index.db-wal", "lost+found"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	return false;
}

/* A directory without an index, but with other people's files, was meant for
 * something else. */
static int check_content(int dir_fd, char *why)
{
	int fd, err = 0;
	DIR *d;
	struct dirent *e;

	if (faccessat(dir_fd, "index.db", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	fd = openat(dir_fd, ".", DIR_FLAGS);
	if (fd < 0)
		return say(why, errno, err_text(errno));
	d = fdopendir(fd);
	if (d == NULL) {
		err = errno;
		close(fd);
		return say(why, err, err_text(err));
	}
	while (err == 0 && (e = readdir(d)) != NULL)
		if (!is_ours(e->d_name) && strncmp(e->d_name, "index.db", 8))
			err = say(why, EPERM,
				  "it is not empty, and not a store");
	closedir(d);
	return err;
}

/* Locks and syncs are not to be relied on over a network or through FUSE. */
static void warn_remote(int fd, const char *dir)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return;
	if (fs.f_type == NFS_SUPER_MAGIC || fs.f_type == FUSE_SUPER_MAGIC)
		log_warn("store %s: on a network or FUSE file system: its "
			 "promises are only as good as that one's",
			 dir);
}

/* ---- who has it ---- */

static int say_locked(int fd, char *why)
{
	char pid[16] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	snprintf(why, WHY_BYTES, "in use by process %s",
		 pid[0] != '\0' ? pid : "(unknown)");
	return EBUSY;
}

static int take_lock(struct home *h, const char *dir, char *why)
{
	int fd = openat(h->dir_fd, "lock",
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	char pid[16];
	int len, err = 0;

	if (fd < 0)
		return say(why, errno, err_text(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err = errno == EWOULDBLOCK ? say_locked(fd, why)
					   : say(why, errno, err_text(errno));
	if (err != 0) {
		close(fd);
		return err;
	}
	len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len)
		log_debug("store %s: cannot write the lock's text", dir);
	h->lock_fd = fd;
	return 0;
}

static int open_dir(struct home *h, const char *name, int *fd)
{
	if (mkdirat(h->dir_fd, name, DIR_MODE) != 0 && errno != EEXIST)
		return errno;
	*fd = openat(h->dir_fd, name, DIR_FLAGS | O_NOFOLLOW);
	return *fd < 0 ? errno : 0;
}

static int open_dirs(struct home *h, char *why)
{
	int err = open_dir(h, "torrents", &h->torrents_fd);

	if (err == 0)
		err = open_dir(h, "files", &h->files_fd);
	if (err == 0 && fsync(h->dir_fd) != 0)
		err = errno;
	return err != 0 ? say(why, err, err_text(err)) : 0;
}

/* SQLite gives its files the mode of the first; nobody has them open yet. */
static int make_index(struct home *h, char *why)
{
	int fd = openat(h->dir_fd, "index.db",
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);

	if (fd < 0)
		return say(why, errno, err_text(errno));
	close(fd);
	return 0;
}

static const struct home no_home = {
	.dir_fd = -1, .torrents_fd = -1, .files_fd = -1, .lock_fd = -1};

int home_job_open(const char *dir, struct home *h, char why[160])
{
	char path[PATH_MAX];
	int err;

	ASSERT_WORKER();
	*h = no_home;
	err = make_dirs(dir);
	if (err != 0)
		return say(why, err, err_text(err));
	h->dir_fd = open(dir, DIR_FLAGS);
	if (h->dir_fd < 0)
		return say(why, errno, err_text(errno));
	err = check_owner(h->dir_fd, why);
	if (err == 0)
		err = check_content(h->dir_fd, why);
	if (err == 0)
		err = take_lock(h, dir, why);
	if (err == 0)
		err = open_dirs(h, why);
	if (err == 0)
		err = make_index(h, why);
	if (err != 0)
		goto close_home;
	warn_remote(h->dir_fd, dir);
	if (realpath(dir, path) == NULL) {
		err = say(why, errno, err_text(errno));
		goto close_home;
	}
	h->path = mem_strdup(path);
	if (h->path != NULL)
		return 0;
	err = ENOMEM;
close_home:
	home_job_close(h);
	return err;
}

void home_job_close(struct home *h)
{
	if (h->torrents_fd >= 0)
		close(h->torrents_fd);
	if (h->files_fd >= 0)
		close(h->files_fd);
	if (h->lock_fd >= 0)
		close(h->lock_fd);
	if (h->dir_fd >= 0)
		close(h->dir_fd);
	mem_free(h->path);
	*h = no_home;
}

/* ---- info dictionaries ---- */

static const char *info_name(const char *hex, const char *leaf,
			     char buf[NAME_BYTES])
{
	snprintf(buf, NAME_BYTES, "%s/%s", hex, leaf);
	return buf;
}

static int read_all(int fd, uint8_t *dst, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = pread(fd, dst + at, len - at, (off_t)at);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n == 0)
			return EIO;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int read_file(int fd, uint8_t **out, size_t *len)
{
	struct stat sb;
	int err;

	if (fstat(fd, &sb) != 0)
		return errno;
	if (!S_ISREG(sb.st_mode) || sb.st_size == 0)
		return ENOENT;
	if (sb.st_size > METAINFO_MAX_BYTES)
		return EFBIG;
	*len = (size_t)sb.st_size;
	*out = mem_alloc(*len);
	if (*out == NULL)
		return ENOMEM;
	err = read_all(fd, *out, *len);
	if (err != 0) {
		mem_free(*out);
		*out = NULL;
	}
	return err;
}

static int read_at(int dir_fd, const char *name, uint8_t **out, size_t *len)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0)
		return errno;
	err = read_file(fd, out, len);
	close(fd);
	return err;
}

int home_job_read_info(const struct home *h, const char *hex, uint8_t **out,
		       size_t *len)
{
	char buf[NAME_BYTES];

	ASSERT_WORKER();
	return read_at(h->torrents_fd, info_name(hex, "info", buf), out, len);
}

static bool has_info(const struct home *h, const char *hex, struct span info)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	bool same;

	if (home_job_read_info(h, hex, &bytes, &len) != 0)
		return false;
	same = len == info.len && memcmp(bytes, info.ptr, len) == 0;
	mem_free(bytes);
	return same;
}

static int write_file(int dir_fd, const char *name, struct span data)
{
	int fd = openat(dir_fd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			FILE_MODE);
	size_t at = 0;
	int err = 0;

	if (fd < 0)
		return errno;
	while (at < data.len && err == 0) {
		ssize_t n = write(fd, data.ptr + at, data.len - at);

		if (n < 0 && errno != EINTR)
			err = errno;
		at += n > 0 ? (size_t)n : 0;
	}
	if (err == 0 && fsync(fd) != 0)
		err = errno;
	close(fd);
	return err;
}

static int sync_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, DIR_FLAGS | O_NOFOLLOW);
	int err = 0;

	if (fd < 0)
		return errno;
	if (fsync(fd) != 0)
		err = errno;
	close(fd);
	return err;
}

static int place_info(const struct home *h, const char *hex, struct span info)
{
	char tmp[NAME_BYTES], name[NAME_BYTES];
	int err;

	if (mkdirat(h->torrents_fd, hex, DIR_MODE) != 0 && errno != EEXIST)
		return errno;
	info_name(hex, "info.new", tmp);
	info_name(hex, "info", name);
	err = write_file(h->torrents_fd, tmp, info);
	if (err != 0)
		return err;
	return renameat(h->torrents_fd, tmp, h->torrents_fd, name) != 0 ? errno
									: 0;
}

/* The directories are synced also when the file is there: a process that was
 * killed between the rename and the sync has left it. */
int home_job_keep_info(const struct home *h, const char *hex, struct span info)
{
	int err = 0;

	ASSERT_WORKER();
	if (!has_info(h, hex, info))
		err = place_info(h, hex, info);
	if (err == 0)
		err = sync_dir(h->torrents_fd, hex);
	return err != 0 ? err : sync_dir(h->torrents_fd, ".");
}

/* ---- what goes ---- */

static int unlink_name(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
		return 0;
	return errno;
}

/* All that lies in a torrent's directory, which has no directories. The info
 * dictionary goes first: without it nothing is known of the torrent. */
static int empty_dir(int fd)
{
	int err = unlink_name(fd, "info", 0);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		close(fd);
		return errno;
	}
	while (err == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = unlink_name(dirfd(d), e->d_name, 0);
	closedir(d);
	return err;
}

static int remove_torrent(const struct home *h, const char *hex)
{
	int fd = openat(h->torrents_fd, hex, DIR_FLAGS | O_NOFOLLOW);
	int err;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	err = empty_dir(fd);
	if (err == 0)
		err = unlink_name(h->torrents_fd, hex, AT_REMOVEDIR);
	return err != 0 ? err : sync_dir(h->torrents_fd, ".");
}

static int remove_file(const struct home *h, const char *name)
{
	char tree[NAME_BYTES + 32];
	int err = unlink_name(h->files_fd, name, 0);

	snprintf(tree, sizeof(tree), "%s" HOME_TREE, name);
	if (err == 0)
		err = unlink_name(h->files_fd, tree, 0);
	return err != 0 ? err : sync_dir(h->files_fd, ".");
}

int home_job_remove(const struct home *h, const char *path)
{
	ASSERT_WORKER();
	if (strstr(path, "..") != NULL)
		return EINVAL;
	if (strncmp(path, "files/", 6) == 0)
		return remove_file(h, path + 6);
	if (strncmp(path, "torrents/", 9) == 0)
		return remove_torrent(h, path + 9);
	return EINVAL;
}

int home_job_move(const struct home *h, const char *path, const char *heir,
		  bool may_replace)
{
	unsigned flags = may_replace ? 0 : RENAME_NOREPLACE;
	int err = 0;

	ASSERT_WORKER();
	if (renameat2(h->dir_fd, path, h->dir_fd, heir, flags) != 0)
		err = errno;
	/* A process that was killed behind the renaming may have left that. */
	if (err == 0 || err == ENOENT) {
		int sync_err = sync_dir(h->files_fd, ".");

		err = err == 0 ? sync_err : err;
	}
	return err;
}

/* ---- notes ---- */

int home_job_read_note(const struct home *h, const char *name, uint8_t **out,
		       size_t *len)
{
	ASSERT_WORKER();
	return read_at(h->dir_fd, name, out, len);
}

int home_job_keep_note(const struct home *h, const char *name, struct span note)
{
	char tmp[NAME_BYTES];
	int err;

	ASSERT_WORKER();
	(void)snprintf(tmp, sizeof(tmp), "%s.new", name);
	err = write_file(h->dir_fd, tmp, note);
	if (err != 0)
		return err;
	return renameat(h->dir_fd, tmp, h->dir_fd, name) != 0 ? errno : 0;
}
