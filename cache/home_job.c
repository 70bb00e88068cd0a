/* home_job — a directory that is nobody else's.
 *
 * Purpose: before a byte of the store is believed or written, make sure that
 * its directory belongs to this user, can be written by nobody else, was made
 * by this program, and is used by no other process.
 *
 * Life: make missing directories (0700) · open · look at owner and mode · look
 * for strangers' files · lock · make `torrents` and `files`. The lock is
 * flock's: the kernel lets go of it when the process ends, however it
 * ends. The number in it is for people.
 *
 * Info dictionaries are written under another name, synced, renamed, and the
 * directories synced: there is a whole one or none.
 *
 * Failure modes: an interrupted home_job_keep_info leaves "info.new", which
 * the next one overwrites. A directory made and then refused stays.
 *
 * It does not judge an info dictionary: who reads one parses it. */
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

#include "cache/path_job.h"
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
	/* A link is not followed, and a pipe not waited for. */
	PLAIN_FLAGS = O_NONBLOCK,
	NAME_BYTES = TORRENT_HEX_BYTES + 16,
	LOCK_TEXT_BYTES = 48,
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
	char *path;
	int err = 0;

	if (dir[0] == '\0')
		return ENOENT;
	path = mem_strdup(dir);
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
		".",	   "..",	  "lock",    "torrents",   "files",
		"library", "library.new", "sources", "control",	   "dht",
		"dht.new", "lost+found",  "traffic", "traffic.new"};

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

/* The text has one length: it is written in one piece. */
static const char open_word[] = " open  ", closed_word[] = " closed";

static bool says_open(int fd)
{
	char text[LOCK_TEXT_BYTES] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	       strstr(text, open_word) != NULL;
}

static int take_lock(struct home *h, const char *dir, char *why)
{
	int fd = openat(h->dir_fd, "lock",
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
	int err = 0;

	if (fd < 0)
		return say(why, errno, err_text(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err = errno == EWOULDBLOCK ? say_locked(fd, why)
					   : say(why, errno, err_text(errno));
	if (err != 0) {
		close(fd);
		return err;
	}
	h->lock_fd = fd;
	h->was_open = says_open(fd);
	if (home_job_write_lock(h, h->was_open) != 0)
		log_debug("store %s: cannot write the lock's text", dir);
	return 0;
}

int home_job_write_lock(const struct home *h, bool is_open)
{
	char text[LOCK_TEXT_BYTES];
	int len = snprintf(text, sizeof(text), "%-20ld%s\n", (long)getpid(),
			   is_open ? open_word : closed_word);

	return pwrite(h->lock_fd, text, (size_t)len, 0) == len ? 0 : errno;
}

int home_job_try(const struct home *h)
{
	int err = home_job_write_lock(h, true);

	ASSERT_WORKER();
	if (err == 0 && fdatasync(h->lock_fd) != 0)
		err = errno;
	return err;
}

static int open_dir(struct home *h, const char *name, int *fd)
{
	if (mkdirat(h->dir_fd, name, DIR_MODE) != 0 && errno != EEXIST)
		return errno;
	*fd = openat(h->dir_fd, name, DIR_FLAGS | O_NOFOLLOW);
	if (*fd >= 0)
		path_job_spare_atime(*fd);
	return *fd >= 0 ? 0 : errno;
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

int home_job_read_file(int dir_fd, const char *name, uint8_t **out, size_t *len)
{
	int fd = path_job_open(dir_fd, name, O_RDONLY | PLAIN_FLAGS, 0);
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
	return home_job_read_file(h->torrents_fd, info_name(hex, "info", buf),
				  out, len);
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
	int fd = path_job_open(dir_fd, name,
			       O_WRONLY | O_CREAT | O_TRUNC | PLAIN_FLAGS,
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

static int place_beside(const struct home *h, const char *hex, const char *leaf,
			struct span data)
{
	char tmp[NAME_BYTES + 4], name[NAME_BYTES];
	int err;

	info_name(hex, leaf, name);
	snprintf(tmp, sizeof(tmp), "%s.new", name);
	err = write_file(h->torrents_fd, tmp, data);
	if (err != 0)
		return err;
	return path_job_rename(h->torrents_fd, tmp, name, 0) != 0 ? errno : 0;
}

static int place_info(const struct home *h, const char *hex, struct span info)
{
	if (mkdirat(h->torrents_fd, hex, DIR_MODE) != 0 && errno != EEXIST)
		return errno;
	return place_beside(h, hex, "info", info);
}

int home_job_keep_beside(const struct home *h, const char *hex,
			 const char *name, struct span data)
{
	int err = place_beside(h, hex, name, data);

	ASSERT_WORKER();
	return err != 0 ? err : sync_dir(h->torrents_fd, hex);
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

int home_job_remove_beside(const struct home *h, const char *hex,
			   const char *name)
{
	char path[NAME_BYTES];
	int err = unlink_name(h->torrents_fd, info_name(hex, name, path), 0);

	ASSERT_WORKER();
	return err != 0 ? err : sync_dir(h->torrents_fd, hex);
}

static bool is_blob(const char *name)
{
	return name[strspn(name, "0123456789")] == '\0';
}

/* What lies in a torrent's directory, which has no directories; only its blobs
 * if that is all that is to go. Closes fd. */
static int empty_dir(int fd, bool only_blobs)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (d == NULL) {
		err = errno;
		close(fd);
		return err;
	}
	while (err == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    (!only_blobs || is_blob(e->d_name)))
			err = unlink_name(dirfd(d), e->d_name, 0);
	closedir(d);
	return err;
}

/* The info dictionary goes first: without it nothing is known of the torrent.
 */
static int remove_torrent(const struct home *h, const char *hex)
{
	int fd = openat(h->torrents_fd, hex, DIR_FLAGS | O_NOFOLLOW);
	int err;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	err = unlink_name(fd, "info", 0);
	if (err == 0)
		err = empty_dir(fd, false);
	else
		close(fd);
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

int home_job_empty(const struct home *h, const char *path)
{
	int fd;

	ASSERT_WORKER();
	fd = path_job_open(h->dir_fd, path, DIR_FLAGS, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	return empty_dir(fd, true);
}

int home_job_move(const struct home *h, const char *path, const char *heir,
		  bool may_replace)
{
	unsigned flags = may_replace ? 0 : RENAME_NOREPLACE;
	int err = 0;

	ASSERT_WORKER();
	if (path_job_rename(h->dir_fd, path, heir, flags) != 0)
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
	return home_job_read_file(h->dir_fd, name, out, len);
}

int home_job_keep_note(const struct home *h, const char *name, struct span note)
{
	char tmp[NAME_BYTES];
	int err;

	ASSERT_WORKER();
	if (note.len == 0) {
		err = unlink_name(h->dir_fd, name, 0);
		return err != 0 ? err : sync_dir(h->dir_fd, ".");
	}
	(void)snprintf(tmp, sizeof(tmp), "%s.new", name);
	err = write_file(h->dir_fd, tmp, note);
	if (err == 0 && renameat(h->dir_fd, tmp, h->dir_fd, name) != 0)
		err = errno;
	return err != 0 ? err : sync_dir(h->dir_fd, ".");
}
