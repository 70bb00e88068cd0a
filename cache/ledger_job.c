/* ledger_job — the ledger's two files.
 *
 * One commit: sources are written behind the last one and synced; then the
 * entries behind the last entry, and synced; then holes are made where sources
 * lay that nobody speaks of any more. A crash before the second sync leaves
 * bytes behind the end of either file, or a torn entry, which the next start
 * takes for what it is.
 *
 * Thread: store; loads: workers. */
#include "cache/ledger_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"

static const uint8_t head[LEDGER_HEAD_BYTES] = {
	's', 'h', 'o', 'a', 'l', 'l', 'i', 'b', 0, 0, 0, 1,
};

enum { HEAD_FORMAT_AT = 8, FILE_MODE = 0600 };

/* ---- plain reads and writes ---- */

static int write_at(int fd, const uint8_t *p, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* EIO: the file ends before. */
static int read_at(int fd, uint8_t *p, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int size_of(int fd, uint64_t *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EIO;
	*out = (uint64_t)st.st_size;
	return 0;
}

/* ---- opening ---- */

static int open_file(int dir_fd, const char *name, int *fd, uint64_t *size)
{
	*fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		     FILE_MODE);
	return *fd < 0 ? errno : size_of(*fd, size);
}

static int read_log(struct ledger_files *f, uint8_t **image, size_t *len)
{
	int err;

	if (f->log_end > LEDGER_LOG_MAX)
		return EFBIG;
	*image = mem_alloc((size_t)f->log_end);
	*len = (size_t)f->log_end;
	if (*image == NULL)
		return ENOMEM;
	err = read_at(f->log_fd, *image, *len, 0);
	if (err == 0 && memcmp(*image, head, HEAD_FORMAT_AT) != 0)
		err = EIO;
	else if (err == 0 && memcmp(*image, head, sizeof(head)) != 0)
		err = EPROTO;
	return err;
}

int ledger_job_open(struct ledger_files *f, const char *dir, uint8_t **image,
		    size_t *len)
{
	int err;

	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0)
		return errno;
	err = open_file(f->dir_fd, "sources", &f->source_fd, &f->source_end);
	if (err == 0)
		err = open_file(f->dir_fd, "library", &f->log_fd, &f->log_end);
	/* It is new, or a crash cut it short while it was made: there was
	 * nothing to remember yet. By a rename, so that there is never one of
	 * the right length that is not ours. */
	if (err == 0 && f->log_end < sizeof(head))
		err = ledger_job_rewrite(f, span_of(head, sizeof(head)));
	return err != 0 ? err : read_log(f, image, len);
}

int ledger_job_rewrite(struct ledger_files *f, struct span log)
{
	int fd = openat(f->dir_fd, "library.new",
			O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			FILE_MODE);
	int err;

	if (fd < 0)
		return errno;
	err = write_at(fd, log.ptr, log.len, 0);
	if (err == 0 && fsync(fd) != 0)
		err = errno;
	if (err == 0 &&
	    (renameat(f->dir_fd, "library.new", f->dir_fd, "library") != 0 ||
	     fsync(f->dir_fd) != 0))
		err = errno;
	if (err != 0) {
		(void)close(fd);
		return err;
	}
	(void)close(f->log_fd);
	f->log_fd = fd;
	f->log_end = log.len;
	return 0;
}

void ledger_job_close(struct ledger_files *f)
{
	int *const fds[] = {&f->log_fd, &f->source_fd, &f->dir_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			(void)close(*fds[i]);
		*fds[i] = -1;
	}
}

/* ---- a commit ---- */

struct hole {
	uint64_t at;
	uint32_t len;
};

/* What the request makes useless: the source of one that is forgotten, or the
 * older one of one that gets another. */
static struct hole hole_of(const struct ledger_request *q)
{
	if (!q->is_forget && q->source == NULL)
		return (struct hole){0};
	return (struct hole){.at = q->r.source_at, .len = q->r.source_len};
}

static int write_sources(struct ledger_commit *c, struct hole *holes)
{
	struct ledger_files *f = c->files;
	uint64_t end = f->source_end;
	struct ledger_request *q;
	size_t n = 0;
	int err = 0;

	STAILQ_FOREACH (q, &c->requests, link) {
		holes[n++] = hole_of(q);
		if (q->source == NULL)
			continue;
		err = write_at(f->source_fd, q->source, q->source_len, end);
		if (err != 0)
			return err;
		q->r.source_at = end;
		q->r.source_len = q->source_len;
		end += q->source_len;
	}
	if (end == f->source_end)
		return 0;
	if (fdatasync(f->source_fd) != 0)
		return EIO; /* the next ones come to the same place */
	f->source_end = end;
	return 0;
}

/* What a commit that failed has left behind the end is not to be believed one
 * day, behind shorter entries that were written over it. */
static int cut_end(struct ledger_files *f)
{
	if (!f->is_ragged)
		return 0;
	if (ftruncate(f->log_fd, (off_t)f->log_end) != 0)
		return errno;
	f->is_ragged = false;
	return 0;
}

static int write_entries(struct ledger_commit *c)
{
	struct ledger_files *f = c->files;
	struct ledger_request *q;
	struct buf log = {0};
	int err;

	STAILQ_FOREACH (q, &c->requests, link) {
		if (q->is_forget)
			record_put_forget(&log, &q->r.id);
		else
			record_put(&log, &q->r);
	}
	err = buf_err(&log);
	if (err == 0)
		err = cut_end(f);
	if (err == 0)
		err = write_at(f->log_fd, log.data, log.len, f->log_end);
	if (err == 0 && fdatasync(f->log_fd) != 0)
		err = EIO;
	if (err == 0)
		f->log_end += log.len;
	else
		f->is_ragged = true;
	buf_fini(&log);
	if (err != 0)
		(void)cut_end(f);
	return err;
}

/* A file system that knows no holes keeps the bytes. */
static void give_back(const struct ledger_files *f, const struct hole *holes,
		      size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (holes[i].len > 0)
			(void)fallocate(f->source_fd,
					FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE,
					(off_t)holes[i].at, holes[i].len);
}

void ledger_job_commit(struct job *job, struct worker_env *env)
{
	struct ledger_commit *c = CONTAINER_OF(job, struct ledger_commit, job);
	struct ledger_request *q;
	struct hole *holes;
	size_t n = 0;

	ASSERT_WORKER();
	STAILQ_FOREACH (q, &c->requests, link)
		n++;
	holes = mem_zalloc(n, sizeof(*holes));
	c->err = holes == NULL ? ENOMEM : 0;
	if (c->err == 0)
		c->err = write_sources(c, holes);
	if (c->err == 0)
		c->err = write_entries(c);
	if (c->err == 0)
		give_back(c->files, holes, n);
	else
		log_err("the library cannot be written: %s", err_text(c->err));
	mem_free(holes);
}

int ledger_job_read(int fd, const struct record *r, uint8_t *dst)
{
	if (r->source_at > (uint64_t)INT64_MAX - r->source_len)
		return EIO;
	return read_at(fd, dst, r->source_len, r->source_at);
}

void ledger_job_load(struct job *job, struct worker_env *env)
{
	struct ledger_load *q = CONTAINER_OF(job, struct ledger_load, job);

	ASSERT_WORKER();
	q->err = ledger_job_read(q->fd, &q->r, q->dst);
}

void ledger_job_advise(struct job *job, struct worker_env *env)
{
	struct ledger_advice *a = CONTAINER_OF(job, struct ledger_advice, job);

	ASSERT_WORKER();
	for (unsigned i = 0; i < a->n; i++)
		(void)posix_fadvise(a->fd, (off_t)a->places[i].at,
				    a->places[i].len, POSIX_FADV_WILLNEED);
}
