/* aside_job — the index as a file.
 *
 * Purpose: an index that is damaged is never deleted, and never written over:
 * whoever wants to look into it finds it as index.db.damaged-DATE, its log
 * beside it. A new one is made under another name, so what is called index.db
 * is whole or is not there.
 *
 * The log. What was committed last is in index.db-wal alone. Without it the
 * index is an older one, or (a checkpoint was under way) pages of two: it may
 * claim what was evicted. It is there while the store is open, from before the
 * word "open" is in `lock` until after that is taken back and synced; if it
 * cannot be, the log stays. So "open" without it means that somebody has
 * removed it.
 *
 * Order: the log goes aside before the index, for a log without an index would
 * be taken for the next one's.
 *
 * Threads: store. */
#include "cache/aside_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/home_job.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/worker.h"

enum { FILE_MODE = 0600, TRIES = 1000 };

static const char index_name[] = "index.db";
/* The index itself last. */
static const char *const suffixes[] = {"-wal", "-journal", "-shm", ""};

enum { N_SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

/* ---- what is there ---- */

bool aside_job_has_index(const struct home *h)
{
	struct stat sb;

	ASSERT_WORKER();
	return fstatat(h->dir_fd, index_name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (!S_ISREG(sb.st_mode) || sb.st_size > 0);
}

int aside_job_may_write(const struct home *h)
{
	return faccessat(h->dir_fd, index_name, R_OK | W_OK, AT_EACCESS) == 0
		       ? 0
		       : errno;
}

bool aside_job_lacks_log(const struct home *h)
{
	return h->was_open &&
	       faccessat(h->dir_fd, "index.db-wal", F_OK,
			 AT_SYMLINK_NOFOLLOW) != 0 &&
	       errno == ENOENT;
}

void aside_job_note_open(const struct home *h)
{
	ASSERT_WORKER();
	/* The log's name first. */
	if (fsync(h->dir_fd) != 0 || home_job_write_lock(h, true) != 0)
		log_debug("store: cannot note that it is open");
}

int aside_job_note_closed(const struct home *h)
{
	int err = home_job_write_lock(h, false);

	ASSERT_WORKER();
	if (err == 0 && fdatasync(h->lock_fd) != 0)
		err = errno;
	if (err != 0)
		log_debug("store: cannot note that it is closed: %s",
			  err_text(err));
	return err;
}

/* ---- aside ---- */

static int move_one(const struct home *h, const char *suffix, const char *to)
{
	char from[ASIDE_NAME_BYTES], heir[ASIDE_NAME_BYTES + 16];

	(void)snprintf(from, sizeof(from), "%s%s", index_name, suffix);
	(void)snprintf(heir, sizeof(heir), "%s%s", to, suffix);
	return renameat2(h->dir_fd, from, h->dir_fd, heir, RENAME_NOREPLACE) ==
			       0
		       ? 0
		       : errno;
}

/* Is any of the names taken? */
static bool is_free(const struct home *h, const char *name)
{
	char path[ASIDE_NAME_BYTES + 16];

	for (unsigned i = 0; i < N_SUFFIXES; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", name, suffixes[i]);
		if (faccessat(h->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) ==
			    0 ||
		    errno != ENOENT)
			return false;
	}
	return true;
}

static int find_name(const struct home *h, char name[ASIDE_NAME_BYTES])
{
	time_t now = (time_t)clock_wall_s();
	char date[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &tm);
	for (unsigned i = 0; i < TRIES; i++) {
		if (i == 0)
			(void)snprintf(name, ASIDE_NAME_BYTES, "%s.damaged-%s",
				       index_name, date);
		else
			(void)snprintf(name, ASIDE_NAME_BYTES,
				       "%s.damaged-%s.%u", index_name, date, i);
		if (is_free(h, name))
			return 0;
	}
	return EEXIST;
}

int aside_job_put(const struct home *h, char name[ASIDE_NAME_BYTES])
{
	bool is_any = false;
	int err;

	ASSERT_WORKER();
	err = find_name(h, name);
	for (unsigned i = 0; i < N_SUFFIXES && err == 0; i++) {
		if (suffixes[i][0] == '\0' && !aside_job_has_index(h))
			continue; /* an empty one is written over */
		err = move_one(h, suffixes[i], name);
		is_any |= err == 0;
		if (err == ENOENT)
			err = 0;
	}
	if (err == 0 && is_any && fsync(h->dir_fd) != 0)
		err = errno;
	if (!is_any)
		name[0] = '\0';
	return err;
}

/* ---- a new one ---- */

int aside_job_make_new(const struct home *h)
{
	char name[ASIDE_NAME_BYTES];
	int fd;

	ASSERT_WORKER();
	/* Of a process that was killed. */
	for (unsigned i = 0; i < N_SUFFIXES; i++) {
		(void)snprintf(name, sizeof(name), ASIDE_NEW "%s", suffixes[i]);
		if (unlinkat(h->dir_fd, name, 0) != 0 && errno != ENOENT)
			return errno;
	}
	/* SQLite gives its files the mode of the first. */
	fd = openat(h->dir_fd, ASIDE_NEW,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    FILE_MODE);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

int aside_job_take_new(const struct home *h)
{
	int err = 0;

	ASSERT_WORKER();
	if (renameat(h->dir_fd, ASIDE_NEW, h->dir_fd, index_name) != 0 ||
	    fsync(h->dir_fd) != 0)
		err = errno;
	return err;
}
