/* drive — see drive.h.
 *
 * Operations that change something are done under one lock, so that the
 * record's order is the order in which they happened.
 *
 * Whether a file is watched is asked of /proc: where a descriptor leads to. So
 * descriptors need no bookkeeping. A file is called by a number of its own, for
 * inode numbers come again. */
#include "tests/lib/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/rng.h"

enum {
	MAX_FILES = 4096,
	MAX_FDS = 1024,
	NAME_BYTES = 128,
	SECTOR = 512,
	BLOCK = 4096
};

enum { ROOT, NONE = -1 };

struct event {
	enum drive_op op;
	int file;	/* what it is done to */
	int dir, to;	/* where its name is; the new one's */
	bool is_dir;	/* what is made */
	bool is_failed; /* a sync */
	char name[NAME_BYTES], new_name[NAME_BYTES];
	uint64_t off, len;
	uint8_t *data;
};

static struct {
	pthread_mutex_t lock;
	char root[PATH_MAX];
	size_t root_len; /* 0: nothing is watched */
	atomic_bool is_on;
	bool records;
	/* by our number */
	uint64_t inodes[MAX_FILES];
	int n_files;
	struct event *events;
	size_t n_events, n_room;
	/* faults */
	unsigned fail_ops;
	uint64_t fail_in;
	int fail_err;
	bool fails_for_ever;
	uint64_t n_failed;
	uint64_t told[MAX_FDS]; /* an inode whose error it has yet to hear of */
} drive = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what)
{
	perror(what);
	abort();
}

static void lock(void)
{
	pthread_mutex_lock(&drive.lock);
}

static void unlock(void)
{
	int err = errno;

	pthread_mutex_unlock(&drive.lock);
	errno = err;
}

/* ---- what is watched ---- */

static bool is_under(const char *path)
{
	return strncmp(path, drive.root, drive.root_len) == 0 &&
	       (path[drive.root_len] == '/' || path[drive.root_len] == '\0');
}

static bool fd_path(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool sees_fd(int fd)
{
	char path[PATH_MAX];
	int err = errno;
	bool is = atomic_load(&drive.is_on) && fd_path(fd, path) &&
		  is_under(path);

	errno = err;
	return is;
}

/* Where a name is. */
static bool sees_at(int dir_fd, const char *name)
{
	char path[PATH_MAX];
	int err = errno;
	bool is;

	if (!atomic_load(&drive.is_on))
		return false;
	is = name[0] == '/' ? is_under(name)
			    : dir_fd != AT_FDCWD && fd_path(dir_fd, path) &&
				      is_under(path);
	errno = err;
	return is;
}

/* ---- faults; locked ---- */

static bool must_fail(enum drive_op op)
{
	if (drive.fail_err == 0 || (drive.fail_ops & op) == 0)
		return false;
	if (drive.fail_in > 0) {
		drive.fail_in--;
		return false;
	}
	errno = drive.fail_err;
	drive.n_failed++;
	if (!drive.fails_for_ever)
		drive.fail_err = 0;
	return true;
}

/* For what is not recorded. */
static bool fails(enum drive_op op)
{
	bool is;

	lock();
	is = must_fail(op);
	unlock();
	return is;
}

/* ---- the record; locked ---- */

static int number_of(uint64_t inode)
{
	for (int i = drive.n_files - 1; i >= 0; i--)
		if (drive.inodes[i] == inode)
			return i;
	return NONE;
}

static int file_of(int fd)
{
	struct stat sb;

	return fstat(fd, &sb) == 0 ? number_of(sb.st_ino) : NONE;
}

static int new_file(int dir_fd, const char *name)
{
	struct stat sb;

	if (fstatat(dir_fd, name, &sb, AT_SYMLINK_NOFOLLOW) != 0 ||
	    drive.n_files == MAX_FILES)
		die("drive: a file that was made is not there");
	drive.inodes[drive.n_files] = sb.st_ino;
	return drive.n_files++;
}

static bool exists(int dir_fd, const char *name)
{
	int err = errno;
	bool is = faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	errno = err;
	return is;
}

static struct event *add(enum drive_op op, int file)
{
	struct event *e;

	if (drive.n_events == drive.n_room) {
		drive.n_room = drive.n_room * 2 + 256;
		drive.events = realloc(drive.events,
				       drive.n_room * sizeof(*drive.events));
		if (drive.events == NULL)
			die("drive");
	}
	e = &drive.events[drive.n_events++];
	*e = (struct event){.op = op, .file = file, .dir = NONE, .to = NONE};
	return e;
}

/* The directory that a path leads into, and the name in it. */
static int split(int dir_fd, const char *path, char name[NAME_BYTES])
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	struct stat sb;

	snprintf(name, NAME_BYTES, "%s", slash != NULL ? slash + 1 : path);
	if (slash != NULL)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	if (fstatat(dir_fd, dir, &sb, 0) != 0)
		die("drive: no such directory");
	return number_of(sb.st_ino);
}

static void add_name(enum drive_op op, int dir_fd, const char *path, int file,
		     bool is_dir)
{
	int err = errno;

	if (drive.records) {
		struct event *e = add(op, file);

		e->dir = split(dir_fd, path, e->name);
		e->is_dir = is_dir;
	}
	errno = err;
}

static void add_data(enum drive_op op, int fd, const void *data, uint64_t len,
		     uint64_t off)
{
	int err = errno;

	if (drive.records) {
		struct event *e = add(op, file_of(fd));

		e->off = off;
		e->len = len;
		if (data != NULL) {
			e->data = malloc(len + 1);
			if (e->data == NULL)
				die("drive");
			memcpy(e->data, data, len);
		}
	}
	errno = err;
}

/* ---- what programs call ---- */

static int do_open(int dir_fd, const char *path, int flags, mode_t mode)
{
	bool is_new;
	int fd = -1;

	if (!sees_at(dir_fd, path))
		return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
	lock();
	is_new = (flags & O_CREAT) && !exists(dir_fd, path);
	if (!must_fail(is_new ? DRIVE_MAKE : DRIVE_OPEN))
		fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
	if (fd >= 0 && is_new && drive.records)
		add_name(DRIVE_MAKE, dir_fd, path, new_file(dir_fd, path),
			 false);
	else if (fd >= 0 && (flags & O_TRUNC))
		add_data(DRIVE_RESIZE, fd, NULL, 0, 0);
	if (fd >= 0 && fd < MAX_FDS)
		drive.told[fd] = 0;
	unlock();
	return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
	return (flags & O_CREAT) ? (mode_t)va_arg(ap, int) : 0;
}

/* All of them are their variants for large files (_FILE_OFFSET_BITS), which
 * SQLite uses too. */
int open(const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = do_open(AT_FDCWD, path, flags, mode_of(flags, ap));
	va_end(ap);
	return fd;
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = do_open(dir_fd, path, flags, mode_of(flags, ap));
	va_end(ap);
	return fd;
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	int r = -1;

	if (!sees_at(dir_fd, path))
		return (int)syscall(SYS_mkdirat, dir_fd, path, mode);
	lock();
	if (!must_fail(DRIVE_MAKE))
		r = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
	if (r == 0 && drive.records)
		add_name(DRIVE_MAKE, dir_fd, path, new_file(dir_fd, path),
			 true);
	unlock();
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	struct stat sb;
	int r = -1;

	if (!sees_at(dir_fd, path))
		return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
	lock();
	if (!must_fail(DRIVE_UNLINK)) {
		bool is = fstatat(dir_fd, path, &sb, AT_SYMLINK_NOFOLLOW) == 0;

		r = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
		if (r == 0 && is)
			add_name(DRIVE_UNLINK, dir_fd, path,
				 number_of(sb.st_ino), false);
	}
	unlock();
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
	      unsigned flags)
{
	int r = -1;

	if (!sees_at(from_fd, from))
		return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to,
				    flags);
	lock();
	if (!must_fail(DRIVE_RENAME))
		r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to,
				 flags);
	if (r == 0 && drive.records) {
		struct stat sb;
		struct event *e;

		if (fstatat(to_fd, to, &sb, AT_SYMLINK_NOFOLLOW) != 0)
			die("drive: rename");
		e = add(DRIVE_RENAME, number_of(sb.st_ino));
		e->dir = split(from_fd, from, e->name);
		e->to = split(to_fd, to, e->new_name);
	}
	unlock();
	return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static ssize_t do_write(int fd, const void *buf, size_t len, off_t off)
{
	ssize_t n = -1;

	lock();
	if (!must_fail(DRIVE_WRITE))
		n = (ssize_t)syscall(SYS_pwrite64, fd, buf, len, off);
	if (n > 0)
		add_data(DRIVE_WRITE, fd, buf, (uint64_t)n, (uint64_t)off);
	unlock();
	return n;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	if (!sees_fd(fd))
		return (ssize_t)syscall(SYS_pwrite64, fd, buf, len, off);
	return do_write(fd, buf, len, off);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	off_t at;
	ssize_t n;

	if (!sees_fd(fd))
		return (ssize_t)syscall(SYS_write, fd, buf, len);
	at = lseek(fd, 0, SEEK_CUR);
	n = do_write(fd, buf, len, at);
	if (n > 0)
		(void)lseek(fd, at + n, SEEK_SET);
	return n;
}

ssize_t pread(int fd, void *buf, size_t len, off_t off)
{
	if (sees_fd(fd) && fails(DRIVE_READ))
		return -1;
	return (ssize_t)syscall(SYS_pread64, fd, buf, len, off);
}

/* Linux tells each descriptor that was open of the error, once. They are
 * others' who may be closing them: by its number, so that no sanitizer takes
 * that for a use of theirs. */
static void tell_others(int fd)
{
	struct stat sb, other;
	int err = errno;

	if (fstat(fd, &sb) != 0)
		die("drive: sync");
	for (int i = 0; i < MAX_FDS; i++)
		if (i != fd && syscall(SYS_fstat, i, &other) == 0 &&
		    other.st_ino == sb.st_ino && other.st_dev == sb.st_dev)
			drive.told[i] = sb.st_ino;
	errno = err;
}

static bool has_yet_to_hear(int fd)
{
	struct stat sb;
	bool is;

	if (fd >= MAX_FDS || drive.told[fd] == 0 || fstat(fd, &sb) != 0)
		return false;
	is = drive.told[fd] == sb.st_ino;
	drive.told[fd] = 0;
	if (is)
		errno = EIO;
	return is;
}

static int do_sync(int fd, long call)
{
	int r = -1;

	if (!sees_fd(fd))
		return (int)syscall(call, fd);
	lock();
	if (must_fail(DRIVE_SYNC))
		tell_others(fd);
	else if (!has_yet_to_hear(fd))
		r = (int)syscall(call, fd);
	add_data(DRIVE_SYNC, fd, NULL, 0, 0);
	if (drive.records)
		drive.events[drive.n_events - 1].is_failed = r != 0;
	unlock();
	return r;
}

int fsync(int fd)
{
	return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return do_sync(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t len)
{
	int r = -1;

	if (!sees_fd(fd))
		return (int)syscall(SYS_ftruncate, fd, len);
	lock();
	if (!must_fail(DRIVE_RESIZE))
		r = (int)syscall(SYS_ftruncate, fd, len);
	if (r == 0)
		add_data(DRIVE_RESIZE, fd, NULL, (uint64_t)len, 0);
	unlock();
	return r;
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
	int r = -1;

	if (!sees_fd(fd))
		return (int)syscall(SYS_fallocate, fd, mode, off, len);
	lock();
	if (!must_fail(DRIVE_PUNCH))
		r = (int)syscall(SYS_fallocate, fd, mode, off, len);
	if (r == 0)
		add_data(DRIVE_PUNCH, fd, NULL, (uint64_t)len, (uint64_t)off);
	unlock();
	return r;
}

/* ---- the interface ---- */

void drive_watch(const char *dir, bool records)
{
	struct stat sb;

	drive_unwatch();
	if (realpath(dir, drive.root) == NULL || stat(dir, &sb) != 0)
		die("drive: watch");
	drive.root_len = strlen(drive.root);
	drive.records = records;
	drive.inodes[ROOT] = sb.st_ino;
	drive.n_files = 1;
	atomic_store(&drive.is_on, true);
}

void drive_stop(void)
{
	atomic_store(&drive.is_on, false);
	drive_fail(0, 0, 0, false);
}

void drive_unwatch(void)
{
	drive_stop();
	for (size_t i = 0; i < drive.n_events; i++)
		free(drive.events[i].data);
	free(drive.events);
	drive.events = NULL;
	drive.n_events = drive.n_room = 0;
}

size_t drive_len(void)
{
	size_t n;

	lock();
	n = drive.n_events;
	unlock();
	return n;
}

void drive_fail(unsigned ops, uint64_t n, int err, bool for_ever)
{
	lock();
	drive.fail_ops = ops;
	drive.fail_in = n;
	drive.fail_err = err;
	drive.fails_for_ever = for_ever;
	if (err != 0)
		drive.n_failed = 0;
	unlock();
}

uint64_t drive_n_failed(void)
{
	uint64_t n;

	lock();
	n = drive.n_failed;
	unlock();
	return n;
}

static const char *op_name(enum drive_op op)
{
	switch (op) {
	case DRIVE_OPEN:
		return "open";
	case DRIVE_MAKE:
		return "make";
	case DRIVE_READ:
		return "read";
	case DRIVE_WRITE:
		return "write";
	case DRIVE_SYNC:
		return "sync";
	case DRIVE_RESIZE:
		return "resize";
	case DRIVE_PUNCH:
		return "punch";
	case DRIVE_RENAME:
		return "rename";
	case DRIVE_UNLINK:
		return "unlink";
	case DRIVE_STAT:
		return "stat";
	case DRIVE_ANY:
		break;
	}
	return "?";
}

const char *drive_name(size_t ix, char buf[160])
{
	const struct event *e = &drive.events[ix];

	snprintf(buf, 160, "%s%s of file %d %.40s %.40s at %llu, %llu bytes",
		 op_name(e->op), e->is_failed ? " (failed)" : "", e->file,
		 e->name, e->new_name, (unsigned long long)e->off,
		 (unsigned long long)e->len);
	return buf;
}

/* ---- after the cut ---- */

struct image { /* a file */
	uint8_t *bytes;
	uint64_t len, room;
	bool is_dir;
};

struct entry {
	int dir, file; /* NONE: the name is free again */
	const char *name;
	bool is_stuck; /* a change of it was lost: so are those behind it */
};

struct building {
	struct rng rng;
	unsigned keeps_of_8; /* of what is not certain */
	size_t in_order;     /* what comes before is kept */
	bool is_dirty;	     /* what was never written may be anything */
	bool *is_certain;
	struct image *images;
	struct entry *entries;
	size_t n_entries;
};

static bool is_of_name(const struct event *e)
{
	return e->op == DRIVE_MAKE || e->op == DRIVE_UNLINK ||
	       e->op == DRIVE_RENAME;
}

/* What a sync has made certain. */
static void find_certain(struct building *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct event *e = &drive.events[i];

		for (size_t k = i + 1; k < n && !b->is_certain[i]; k++) {
			const struct event *s = &drive.events[k];

			if (s->op != DRIVE_SYNC)
				continue;
			/* What it should have made certain is lost or is not,
			 * and no later one speaks of it. */
			if (s->is_failed && s->file == e->file &&
			    !is_of_name(e))
				break;
			if (s->is_failed)
				continue;
			b->is_certain[i] =
				is_of_name(e)
					? s->file == e->dir || s->file == e->to
					: s->file == e->file;
		}
	}
}

static bool keeps(struct building *b, size_t i)
{
	if (b->is_certain[i] || i < b->in_order)
		return true;
	return rng_below(&b->rng, 8) < b->keeps_of_8;
}

static struct entry *entry_of(struct building *b, int dir, const char *name)
{
	struct entry *e;

	for (size_t i = 0; i < b->n_entries; i++)
		if (b->entries[i].dir == dir &&
		    strcmp(b->entries[i].name, name) == 0)
			return &b->entries[i];
	e = &b->entries[b->n_entries++];
	*e = (struct entry){.dir = dir, .file = NONE, .name = name};
	return e;
}

static void apply_name(struct building *b, size_t i)
{
	const struct event *e = &drive.events[i];
	struct entry *old = entry_of(b, e->dir, e->name);
	struct entry *new =
		e->op == DRIVE_RENAME ? entry_of(b, e->to, e->new_name) : NULL;
	bool is_stuck = old->is_stuck || (new != NULL &&new->is_stuck);

	if (!b->is_certain[i] && (is_stuck || !keeps(b, i))) {
		old->is_stuck = true;
		if (new != NULL)
			new->is_stuck = true;
		return;
	}
	old->file = e->op == DRIVE_MAKE ? e->file : NONE;
	if (new != NULL)
		new->file = e->file;
	if (e->op == DRIVE_MAKE)
		b->images[e->file].is_dir = e->is_dir;
}

static void resize(struct building *b, struct image *m, uint64_t len)
{
	if (len > m->room) {
		m->room = len * 2;
		m->bytes = realloc(m->bytes, m->room);
		if (m->bytes == NULL)
			die("drive");
	}
	if (len > m->len)
		memset(m->bytes + m->len, 0, len - m->len);
	m->len = len;
}

/* Sectors that the write has put where nothing was, and that were lost, may be
 * whatever the disk had there. */
static void apply_write(struct building *b, size_t i, bool is_torn)
{
	const struct event *e = &drive.events[i];
	struct image *m = &b->images[e->file];
	uint64_t end = e->off + e->len, old_len = m->len, step;
	uint64_t at = e->off;

	if (end > m->len)
		resize(b, m, end);
	for (; at < end; at += step) {
		step = SECTOR - at % SECTOR;
		if (step > end - at)
			step = end - at;
		if (!is_torn || keeps(b, i))
			memcpy(m->bytes + at, e->data + (at - e->off), step);
		else if (b->is_dirty && at >= old_len)
			memset(m->bytes + at, 0xa5, step);
	}
}

/* The one that the cut has met: some of its sectors. */
static void tear(struct building *b, size_t i)
{
	unsigned of_8 = b->keeps_of_8;

	b->keeps_of_8 = 4;
	b->in_order = i;
	apply_write(b, i, true);
	b->keeps_of_8 = of_8;
	b->in_order = i + 1;
}

static void apply_data(struct building *b, size_t i, size_t n)
{
	const struct event *e = &drive.events[i];
	struct image *m = &b->images[e->file];

	if (e->op == DRIVE_WRITE && !b->is_certain[i] && i + 1 == b->in_order) {
		tear(b, i);
		return;
	}
	if (e->op == DRIVE_WRITE &&
	    (b->is_certain[i] || i < b->in_order || b->keeps_of_8 > 0)) {
		apply_write(b, i, !b->is_certain[i] && i >= b->in_order);
		return;
	}
	if (e->op == DRIVE_WRITE || e->op == DRIVE_SYNC || !keeps(b, i))
		return;
	if (e->op == DRIVE_RESIZE)
		resize(b, m, e->len);
	else if (e->op == DRIVE_PUNCH && e->off < m->len)
		memset(m->bytes + e->off, 0,
		       e->len < m->len - e->off ? e->len : m->len - e->off);
}

static void choose(struct building *b, size_t n, uint64_t seed)
{
	static const unsigned of_8[] = {1, 4, 7};

	rng_seed(&b->rng, seed * 1000003 + n);
	b->in_order = 0;
	b->keeps_of_8 = 0;
	if (seed == 0)
		b->in_order = n;
	else if (seed % 4 == 2)
		b->in_order = n > 0 ? rng_below(&b->rng, (uint32_t)n) + 1 : 0;
	else if (seed > 1)
		b->keeps_of_8 = of_8[rng_below(&b->rng, 3)];
	b->is_dirty = seed % 4 == 3;
}

static bool is_zero(const uint8_t *p, uint64_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* Blocks of zeros become holes. */
static void write_file(int dir_fd, const char *name, const struct image *m)
{
	int fd = (int)syscall(SYS_openat, dir_fd, name,
			      O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || syscall(SYS_ftruncate, fd, m->len) != 0)
		die("drive: cannot build");
	for (uint64_t at = 0; at < m->len; at += BLOCK) {
		uint64_t len = m->len - at < BLOCK ? m->len - at : BLOCK;

		if (!is_zero(m->bytes + at, len) &&
		    syscall(SYS_pwrite64, fd, m->bytes + at, len, at) !=
			    (long)len)
			die("drive: cannot build");
	}
	close(fd);
}

static void write_dir(struct building *b, int dir, int dir_fd)
{
	for (size_t i = 0; i < b->n_entries; i++) {
		const struct entry *e = &b->entries[i];
		int fd;

		if (e->dir != dir || e->file == NONE)
			continue;
		if (!b->images[e->file].is_dir) {
			write_file(dir_fd, e->name, &b->images[e->file]);
			continue;
		}
		if (syscall(SYS_mkdirat, dir_fd, e->name, 0700) != 0)
			die("drive: cannot build");
		fd = (int)syscall(SYS_openat, dir_fd, e->name,
				  O_RDONLY | O_DIRECTORY, 0);
		write_dir(b, e->file, fd);
		close(fd);
	}
}

void drive_build(const char *dir, size_t n, uint64_t seed)
{
	struct building b = {0};
	int fd;

	b.is_certain = calloc(n + 1, sizeof(*b.is_certain));
	b.images = calloc((size_t)drive.n_files, sizeof(*b.images));
	b.entries = calloc(2 * n + 1, sizeof(*b.entries));
	if (b.is_certain == NULL || b.images == NULL || b.entries == NULL)
		die("drive");
	choose(&b, n, seed);
	find_certain(&b, n);
	for (size_t i = 0; i < n; i++) {
		if (is_of_name(&drive.events[i]))
			apply_name(&b, i);
		else if (drive.events[i].file != NONE)
			apply_data(&b, i, n);
	}
	fd = (int)syscall(SYS_openat, AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		die("drive: cannot build");
	write_dir(&b, ROOT, fd);
	close(fd);
	for (int i = 0; i < drive.n_files; i++)
		free(b.images[i].bytes);
	free(b.images);
	free(b.entries);
	free(b.is_certain);
}
