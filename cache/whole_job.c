/* whole_job — opens a blob that is all of a file.
 *
 * Purpose: the kernel reads such a file by itself then, and nobody looks at the
 * bytes again. So what can be seen of a blob without reading it is looked at
 * here: it is a plain file of ours, exactly as long as the file, and has no
 * hole (verified bytes were all written). A file system that compresses
 * has fewer blocks than bytes, and looks the same as one with holes: its blobs
 * are read through the daemon.
 *
 * Who asked for it compares the blob's stamp with the last one that was seen,
 * so one that somebody rewrote before it was opened is not given away.
 *
 * Failure modes: EIO when the blob is not what it must be. The piece is not
 * given up for that: whoever reads it through the daemon finds out. */
#include "cache/whole_job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/blob_job.h"
#include "cache/path_job.h"
#include "core/torrent_id.h"

enum {
	NAME_BYTES = TORRENT_HEX_BYTES + 12,
	STAT_BLOCK_BYTES = 512,
};

bool whole_is_marked(mode_t mode)
{
	return (mode & (mode_t)WHOLE_MARK) != 0;
}

/* Who opens the file while there is a lease waits until it is given back, and
 * we get a signal: one that does nothing. */
bool whole_is_free(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) != 0 ||
	    fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return false;
	return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

int whole_unmark(int fd, mode_t mode)
{
	return fchmod(fd, mode & 0777) != 0 ? errno : 0;
}

static int mark(int fd, const struct stat *sb)
{
	if (whole_is_marked(sb->st_mode))
		return 0;
	return fchmod(fd, (sb->st_mode & 0777) | WHOLE_MARK) != 0 ? errno : 0;
}

static int check(int fd, struct whole *w)
{
	struct stat sb;
	int err;

	err = look_before(&w->look, fd, false, &sb);
	if (err != 0)
		return err;
	if (!S_ISREG(sb.st_mode) || sb.st_uid != geteuid() ||
	    (uint64_t)sb.st_size != w->file_bytes ||
	    (uint64_t)sb.st_blocks * STAT_BLOCK_BYTES < w->file_bytes)
		return EIO;
	return mark(fd, &sb);
}

void whole_job_open(struct job *job, struct worker_env *env)
{
	struct whole *w = CONTAINER_OF(job, struct whole, job);
	char buf[NAME_BYTES];
	const char *name = w->name;

	ASSERT_WORKER();
	if (name == NULL) {
		snprintf(buf, sizeof(buf), "%s/%u", w->sub, w->file_ix);
		name = buf;
	}
	w->fd = path_job_open(w->dir_fd, name, O_RDONLY | O_NONBLOCK, 0);
	if (w->fd < 0) {
		w->err = errno == ENOMEM || errno == EMFILE || errno == ENFILE
				 ? errno
				 : EIO;
		return;
	}
	look_turn(&w->look);
	w->err = check(w->fd, w);
	look_turn_end(&w->look, w->fd, w->file_bytes);
	if (w->err == 0 && w->look.is_lost)
		w->err = EIO;
	if (w->err != 0) {
		close(w->fd);
		w->fd = -1;
	}
}
