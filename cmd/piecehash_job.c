/* piecehash_job — read one piece's span from the files it lies in, hash it.
 * A file is opened for each job that needs it: pieces are large, and a cache
 * of descriptors shared by workers would need a lock. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/content.h"
#include "cmd/piecehash_job.h"
#include "core/err.h"
#include "core/hash.h"

static int read_file(const struct content *c, const struct content_file *f,
		     uint64_t off, uint8_t *dst, size_t len)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, r = 0;

	if (snprintf(path, sizeof(path), c->is_single ? "%s" : "%s/%s", c->root,
		     f->rel) >= PATH_MAX)
		return ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno;
	while (len > 0 && r == 0) {
		n = pread(fd, dst, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n < 0 ? errno : EIO;
			break;
		}
		dst += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	(void)close(fd);
	return r;
}

/* The last file that begins at or before `off`. */
static uint32_t file_at(const struct content *c, uint64_t off)
{
	uint32_t lo = 0, hi = c->n_files;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->files[mid].off_bytes <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

void piecehash_job_run(struct job *job, struct worker_env *env)
{
	struct piecehash_job *pj = (struct piecehash_job *)job;
	const struct content *c = pj->content;
	uint64_t off = (uint64_t)pj->piece_ix * pj->piece_bytes;
	uint64_t end = off + pj->piece_bytes;
	uint8_t *dst = pj->buf;
	uint32_t i;

	ASSERT_WORKER();
	if (end > c->total_bytes)
		end = c->total_bytes;
	pj->err = 0;
	for (i = file_at(c, off); off < end && pj->err == 0; i++) {
		const struct content_file *f = &c->files[i];
		uint64_t f_end = f->off_bytes + f->len_bytes;
		uint64_t len = (f_end < end ? f_end : end) - off;

		if (f_end <= off)
			continue;
		pj->err_file = i;
		pj->err = read_file(c, f, off - f->off_bytes, dst, len);
		dst += len;
		off += len;
	}
	if (pj->err == 0)
		hasher_once(env->hasher, HASH_SHA1, pj->buf,
			    (size_t)(dst - pj->buf), pj->digest);
}
