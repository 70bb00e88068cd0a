/* sweep_job — see sweep_job.h.
 *
 * Purpose: a power cut between the row and the hole of an eviction, or between
 * a write and its row, leaves bytes that nobody can use, and that count. They
 * are found when their torrent is opened: then its rows are all there is to
 * know, and nobody writes.
 *
 * Nobody writes, because
 *   own blobs     a handle of the torrent that was closed has no put and no
 *                 stage under way (o->may_sweep)
 *   shared blobs  no other torrent has the file open, or is being opened with
 *                 it (o->busy_files), and no closed handle of any torrent has
 *                 anything under way (o->may_sweep_files); who is opened
 *                 later is behind this job
 *   evictions     run on this thread
 * and blobs that the kernel may read by itself (whole_job.h) are left alone.
 *
 * How: what a blob takes is compared with the blocks that its claims touch;
 * only where that is too much the gaps between them are looked into
 * (SEEK_DATA), and their whole blocks punched. So a store in order costs one
 * stat a blob.
 *
 * A blob is stamped by what the sweep does; if it was as the index knows it
 * before, it is so again, and if somebody else changed it meanwhile it is
 * doubtful.
 *
 * Threads: store. */
#include "cache/sweep_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/index_job.h"
#include "cache/path_job.h"
#include "cache/store_disk_job.h"
#include "cache/whole_job.h"
#include "core/log.h"
#include "core/merkle.h"
#include "core/metainfo.h"

enum {
	BLOCK_BYTES = 4096,
	STAT_BLOCK = 512,
	/* By which a file system's own accounts may differ: blocks, and a part
	 * of what is claimed. */
	SLACK_BYTES = 4 * BLOCK_BYTES,
	SLACK_PART = 512,
};

/* ---- what is claimed ---- */

bool sweep_next(const struct sweep_claims *c, uint64_t at, uint64_t *from,
		uint64_t *to)
{
	uint64_t start, end, unit = (at + c->off_bytes) / c->unit_bytes;
	uint32_t ix;

	if (c->bits == NULL || c->bits->data == NULL || at >= c->len_bytes ||
	    unit >= c->bits->n)
		return false;
	ix = bits_next(c->bits, (uint32_t)unit);
	if (ix >= c->bits->n)
		return false;
	start = ix * c->unit_bytes;
	end = bits_next_clear(c->bits, ix) * c->unit_bytes;
	*from = start > c->off_bytes ? start - c->off_bytes : 0;
	*to = end - c->off_bytes;
	if (*to > c->len_bytes)
		*to = c->len_bytes;
	return *from < c->len_bytes;
}

static uint64_t block_down(uint64_t at)
{
	return at - at % BLOCK_BYTES;
}

static uint64_t block_up(uint64_t at)
{
	return block_down(at + BLOCK_BYTES - 1);
}

static uint64_t claimed_bytes(const struct sweep_claims *c)
{
	uint64_t from, to = 0, sum = 0;

	while (sweep_next(c, to, &from, &to))
		sum += block_up(to) - block_down(from);
	return sum;
}

/* ---- one blob ---- */

static bool has_data(int fd, uint64_t from, uint64_t to)
{
	off_t at = lseek(fd, (off_t)from, SEEK_DATA);

	return at >= 0 && (uint64_t)at < to;
}

/* [from, to) is nobody's. */
static int punch_gap(int fd, uint64_t from, uint64_t to)
{
	if (from >= to || !has_data(fd, from, to))
		return 0;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)from, (off_t)(to - from)) != 0
		       ? errno
		       : 0;
}

static int punch_gaps(int fd, const struct sweep_claims *c, uint64_t size)
{
	uint64_t from, to = 0, at = 0;
	int err = 0;

	while (err == 0 && sweep_next(c, to, &from, &to)) {
		err = punch_gap(fd, at, block_down(from));
		at = block_up(to);
	}
	return err != 0 ? err : punch_gap(fd, at, block_up(size));
}

static struct opened_blob *find_opened(struct disk_open *o, uint32_t file_ix,
				       bool is_shared)
{
	for (uint32_t i = 0; i < o->n_blobs; i++)
		if (o->blobs[i].file_ix == file_ix &&
		    o->blobs[i].is_shared == is_shared)
			return &o->blobs[i];
	return NULL;
}

/* The blob is open, and takes too much. */
static void clear(struct disk_open *o, int fd, const struct sweep_claims *c,
		  struct opened_blob *b)
{
	struct stat before, after;
	struct stamp found;
	int err;

	if (fstat(fd, &before) != 0 || !S_ISREG(before.st_mode) ||
	    whole_is_marked(before.st_mode))
		return;
	err = punch_gaps(fd, c, (uint64_t)before.st_size);
	if (err != 0)
		log_debug("store: what no row speaks of stays: %d", err);
	if (fstat(fd, &after) != 0)
		return;
	if (after.st_blocks < before.st_blocks)
		o->swept_bytes +=
			(uint64_t)(before.st_blocks - after.st_blocks) *
			STAT_BLOCK;
	if (b == NULL)
		return;
	stamp_of(&before, &found);
	b->is_doubtful |= !stamp_is_equal(&found, &b->stamp);
	stamp_of(&after, &b->stamp);
	b->is_kept = false;
}

static void sweep_one(struct disk_open *o, int dir_fd, const char *name,
		      const struct sweep_claims *c, uint32_t file_ix,
		      bool is_shared)
{
	uint64_t claimed = claimed_bytes(c);
	struct stat sb;
	int fd;

	if (path_job_stat(dir_fd, name, &sb) != 0 || !S_ISREG(sb.st_mode) ||
	    sb.st_nlink != 1 ||
	    (uint64_t)sb.st_blocks * STAT_BLOCK <=
		    claimed + SLACK_BYTES + claimed / SLACK_PART)
		return;
	fd = path_job_open(dir_fd, name, O_RDWR | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	clear(o, fd, c, find_opened(o, file_ix, is_shared));
	close(fd);
}

/* ---- all of a torrent ---- */

/* A blob's name is its file's number. */
static bool is_number(const char *name, uint32_t n_files, uint32_t *out)
{
	char *end;
	unsigned long x;

	if (name[0] < '0' || name[0] > '9')
		return false;
	x = strtoul(name, &end, 10);
	*out = (uint32_t)x;
	return *end == '\0' && x < n_files;
}

static void sweep_own(struct disk_open *o)
{
	const struct metainfo *mi = o->t->mi;
	int fd = path_job_open(o->home->torrents_fd, o->t->hex,
			       O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	uint32_t ix;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL) {
		struct sweep_claims c = {.bits = &o->own,
					 .unit_bytes = mi->piece_bytes};

		if (!is_number(e->d_name, mi->n_files, &ix))
			continue;
		c.off_bytes = mi->files[ix].off_bytes;
		c.len_bytes = mi->files[ix].len_bytes;
		sweep_one(o, fd, e->d_name, &c, ix, false);
	}
	closedir(d);
}

static void sweep_shared(struct disk_open *o, const struct opened_file *of)
{
	const struct mi_file *f = &o->t->mi->files[of->file_ix];
	const struct sweep_claims c = {.bits = &of->leaves,
				       .unit_bytes = MERKLE_LEAF_BYTES,
				       .len_bytes = f->len_bytes};
	char path[INDEX_PATH_BYTES];

	index_file_path(f->root, f->len_bytes, path);
	sweep_one(o, o->home->files_fd, path + strlen("files/"), &c,
		  of->file_ix, true);
}

void sweep_job(struct disk_open *o)
{
	if (o->may_sweep)
		sweep_own(o);
	for (uint32_t i = 0; o->may_sweep_files && i < o->n_files; i++)
		if (!bits_has(&o->busy_files, o->files[i].file_ix))
			sweep_shared(o, &o->files[i]);
	if (o->swept_bytes > 0)
		log_info("store: %s: %llu bytes that no row speaks of are "
			 "given back",
			 o->t->hex, (unsigned long long)o->swept_bytes);
}
