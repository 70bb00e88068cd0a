/* content_job — a run of files, in their order, so that mostly many of one
 * directory come one after the other. That directory is opened, and they are
 * asked for by their last element: the kernel looks up one name instead of as
 * many as the path has. */
#include "cmd/content_job.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/content.h"
#include "core/err.h"
#include "core/metainfo.h"

/* The directory at hand. */
struct dir {
	int top_fd;
	int fd;		 /* of it, or top_fd */
	const char *rel; /* some file's in it */
	size_t len;	 /* so much of `rel` is the directory's */
};

static void leave(struct dir *d)
{
	if (d->fd != d->top_fd)
		(void)close(d->fd);
	d->fd = d->top_fd;
	d->len = 0;
}

/* Makes `d` the directory of the file `rel`. */
static int enter(struct dir *d, const char *rel)
{
	const char *slash = strrchr(rel, '/');
	size_t len = slash ? (size_t)(slash - rel) : 0;
	char path[PATH_MAX];
	int fd;

	if (len == d->len && (len == 0 || memcmp(rel, d->rel, len) == 0))
		return 0;
	leave(d);
	if (len == 0)
		return 0;
	if (len >= sizeof(path))
		return ENAMETOOLONG;
	memcpy(path, rel, len);
	path[len] = '\0';
	fd = openat(d->top_fd, path,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	d->fd = fd;
	d->rel = rel;
	d->len = len;
	return 0;
}

void content_job_note(struct content_file *f, const struct stat *sb,
		      bool wants_exec)
{
	f->len_bytes = (uint64_t)sb->st_size;
	if (wants_exec && (sb->st_mode & S_IXUSR))
		f->attr |= MI_ATTR_EXEC;
}

static int ask(struct content_job *cj, struct dir *d, struct content_file *f)
{
	struct stat sb;
	int r;

	if (f->attr & MI_ATTR_SYMLINK)
		return 0;
	r = enter(d, f->rel);
	if (r != 0)
		return r;
	if (fstatat(d->fd, f->path[f->n_path - 1], &sb, AT_SYMLINK_NOFOLLOW) !=
	    0)
		return errno;
	if (!S_ISREG(sb.st_mode))
		return ENOENT;
	content_job_note(f, &sb, cj->wants_exec);
	return 0;
}

void content_job_run(struct job *job, struct worker_env *env)
{
	struct content_job *cj = (struct content_job *)job;
	struct dir d = {.top_fd = cj->top_fd, .fd = cj->top_fd};

	ASSERT_WORKER();
	cj->err = 0;
	for (uint32_t i = 0; i < cj->n && cj->err == 0; i++) {
		cj->err = ask(cj, &d, &cj->files[i]);
		cj->err_rel = cj->files[i].rel;
	}
	leave(&d);
}
