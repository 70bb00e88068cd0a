/* traffic_job — what was sent and received outlives the index.
 *
 * Purpose: hashing does not find it again, and figures that a person sees must
 * not go back because an index was lost. So they are in a log of their own
 * (`traffic`), which is an index's equal but for one thing: it is written
 * first. What is shown is in both.
 *
 * An entry is ENTRY_BYTES long, so a damaged one is passed over, and a torn one
 * at the end is written over by the next. Its numbers have the high byte first.
 *
 *    0  8  a checksum of what follows
 *    8  1  1: the format
 *    9  1  1: sums of a torrent; 2: it was removed, these are of all that were
 *   10  1  1: v1's hash is there, 2: v2's
 *   11  5  zeros
 *   16 20  v1's info-hash, or zeros
 *   36 32  v2's
 *   68  4  zeros
 *   72 24  bytes that came, went, and came in vain
 *
 * Of a torrent the largest sums count. The index counts as long as it is whole:
 * each start makes the log agree with it. Torrents of the log that an index
 * which is made anew does not have were removed: theirs are `departed`.
 *
 * Threads: store. */
#include "cache/traffic_job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "cache/home_job.h"
#include "cache/path_job.h"
#include "cache/store_disk_tally.h"
#include "core/be.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/siphash.h"
#include "core/worker.h"

enum {
	AT_FORMAT = 8,
	AT_KIND = 9,
	AT_SIDES = 10,
	AT_V1 = 16,
	AT_V2 = 36,
	AT_SUMS = 72,
	ENTRY_BYTES = 96,
	SUM_BYTES = 8,
	FORMAT = 1,
	HAS_V1 = 1,
	HAS_V2 = 2,
	FILE_MODE = 0600,
};

enum kind { KIND_SUMS = 1, KIND_DEPARTED };

static const char log_name[] = "traffic";

/* ---- entries ---- */

static uint64_t sum_of(const uint8_t *entry)
{
	static const struct siphash_key key = {0x53686f616c667321,
					       0x74726166666963};

	return siphash(&key, entry + SUM_BYTES, ENTRY_BYTES - SUM_BYTES);
}

static void put(uint8_t *entry, enum kind kind, const struct torrent_id *id,
		const struct traffic *t)
{
	memset(entry, 0, ENTRY_BYTES);
	entry[AT_FORMAT] = FORMAT;
	entry[AT_KIND] = (uint8_t)kind;
	if (id->v1.len > 0) {
		entry[AT_SIDES] |= HAS_V1;
		memcpy(entry + AT_V1, id->v1.bytes, HASH_SHA1_BYTES);
	}
	if (id->v2.len > 0) {
		entry[AT_SIDES] |= HAS_V2;
		memcpy(entry + AT_V2, id->v2.bytes, HASH_SHA256_BYTES);
	}
	be64_put(entry + AT_SUMS, t->down_bytes);
	be64_put(entry + AT_SUMS + 8, t->up_bytes);
	be64_put(entry + AT_SUMS + 16, t->waste_bytes);
	be64_put(entry, sum_of(entry));
}

static bool take(const uint8_t *entry, enum kind *kind, struct tally_row *row)
{
	*row = (struct tally_row){0};
	if (be64_get(entry) != sum_of(entry) || entry[AT_FORMAT] != FORMAT)
		return false;
	*kind = (enum kind)entry[AT_KIND];
	if ((entry[AT_SIDES] & HAS_V1) != 0) {
		row->id.v1.len = HASH_SHA1_BYTES;
		memcpy(row->id.v1.bytes, entry + AT_V1, HASH_SHA1_BYTES);
	}
	if ((entry[AT_SIDES] & HAS_V2) != 0) {
		row->id.v2.len = HASH_SHA256_BYTES;
		memcpy(row->id.v2.bytes, entry + AT_V2, HASH_SHA256_BYTES);
	}
	row->counted.down_bytes = be64_get(entry + AT_SUMS);
	row->counted.up_bytes = be64_get(entry + AT_SUMS + 8);
	row->counted.waste_bytes = be64_get(entry + AT_SUMS + 16);
	return true;
}

/* ---- writing ---- */

/* Behind the last whole entry. */
static int append(const struct home *h, const uint8_t *entries, size_t len)
{
	int fd = path_job_open(h->dir_fd, log_name,
			       O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK |
				       O_CLOEXEC,
			       FILE_MODE);
	struct stat sb;
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return errno;
	if (fstat(fd, &sb) != 0)
		err = errno;
	else if (!S_ISREG(sb.st_mode))
		err = EIO;
	if (err == 0) {
		off_t end = sb.st_size / ENTRY_BYTES * ENTRY_BYTES;

		n = pwrite(fd, entries, len, end);
		if (n != (ssize_t)len || fdatasync(fd) != 0)
			err = n < 0 || n == (ssize_t)len ? errno : ENOSPC;
		if (err == 0 && sb.st_size == 0 && fsync(h->dir_fd) != 0)
			err = errno;
	}
	close(fd);
	return err;
}

static uint8_t *list(const struct tally_rows *rows, uint8_t *entries)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		put(entries, KIND_SUMS, &rows->v[i].id, &rows->v[i].counted);
		entries += ENTRY_BYTES;
	}
	return entries;
}

int traffic_job_append(const struct home *h, const struct tally_rows *rows)
{
	uint8_t *entries;
	int err;

	ASSERT_WORKER();
	if (rows->n == 0)
		return 0;
	entries = mem_zalloc(rows->n, ENTRY_BYTES);
	if (entries == NULL)
		return ENOMEM;
	(void)list(rows, entries);
	err = append(h, entries, (size_t)rows->n * ENTRY_BYTES);
	mem_free(entries);
	if (err != 0)
		log_debug("store: traffic is not written down: %s",
			  err_text(err));
	return err;
}

void traffic_job_depart(const struct home *h, const struct torrent_id *id,
			const struct traffic *departed)
{
	uint8_t entry[ENTRY_BYTES];

	ASSERT_WORKER();
	put(entry, KIND_DEPARTED, id, departed);
	if (append(h, entry, sizeof(entry)) != 0)
		log_debug("store: traffic is not written down");
}

static int write_anew(const struct home *h, const struct tally_rows *rows,
		      const struct traffic *departed)
{
	static const struct torrent_id nobody = {0};
	size_t len = ((size_t)rows->n + 1) * ENTRY_BYTES;
	uint8_t *entries = mem_zalloc(rows->n + 1, ENTRY_BYTES);
	int err;

	if (entries == NULL)
		return ENOMEM;
	put(list(rows, entries), KIND_DEPARTED, &nobody, departed);
	err = home_job_keep_note(h, log_name, span_of(entries, len));
	mem_free(entries);
	return err;
}

/* How many entries it has; 0: none, or it cannot be told. */
static uint64_t length(const struct home *h)
{
	struct stat sb;

	if (fstatat(h->dir_fd, log_name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)sb.st_size / ENTRY_BYTES;
}

static bool is_long(const struct home *h, uint32_t n_rows)
{
	return length(h) > TRAFFIC_SPARE_ENTRIES + 2 * (uint64_t)n_rows;
}

void traffic_job_tidy(const struct home *h, struct index_db *index,
		      uint32_t n_new)
{
	uint64_t n = length(h), before = n > n_new ? n - n_new : 0;
	struct tally_rows rows;
	struct traffic departed;

	ASSERT_WORKER();
	/* The index is asked now and then only. */
	if (n / TRAFFIC_SPARE_ENTRIES == before / TRAFFIC_SPARE_ENTRIES ||
	    tally_job_load(index, &rows, &departed) != 0)
		return;
	if (is_long(h, rows.n))
		(void)write_anew(h, &rows, &departed);
	mem_free(rows.v);
}

/* ---- reading ---- */

static int replay(struct traffic_log *log, const uint8_t *entry)
{
	struct tally_row row;
	enum kind kind;

	if (!take(entry, &kind, &row))
		return 0;
	if (kind == KIND_SUMS)
		return tally_load(&log->tally, &row);
	if (kind == KIND_DEPARTED) {
		tally_forget(&log->tally, &row.id);
		log->departed = row.counted;
	}
	return 0;
}

int traffic_job_load(const struct home *h, struct traffic_log *out)
{
	uint8_t *image = NULL;
	size_t len = 0;
	int err = tally_init(&out->tally);

	ASSERT_WORKER();
	out->departed = (struct traffic){0};
	if (err != 0)
		return err;
	err = home_job_read_note(h, log_name, &image, &len);
	if (err != 0 && err != ENOMEM) {
		if (err != ENOENT)
			log_warn("store: what was sent and received cannot be "
				 "read: %s",
				 err_text(err));
		return 0;
	}
	for (size_t at = 0; at + ENTRY_BYTES <= len && err == 0;
	     at += ENTRY_BYTES)
		err = replay(out, image + at);
	mem_free(image);
	if (err != 0)
		traffic_log_fini(out);
	return err;
}

void traffic_log_fini(struct traffic_log *log)
{
	tally_fini(&log->tally);
}

static bool is_same(const struct traffic *a, const struct traffic *b)
{
	return a->down_bytes == b->down_bytes && a->up_bytes == b->up_bytes &&
	       a->waste_bytes == b->waste_bytes;
}

/* All of its rows, and no others: the sums of all would differ. */
static bool agrees(const struct traffic_log *log, const struct tally_rows *rows,
		   const struct traffic *departed)
{
	struct traffic one, all = {0};

	for (uint32_t i = 0; i < rows->n; i++) {
		tally_get(&log->tally, &rows->v[i].id, &one);
		if (!is_same(&one, &rows->v[i].counted))
			return false;
		traffic_add(&all, &one);
	}
	return is_same(&all, &log->tally.all) &&
	       is_same(departed, &log->departed);
}

void traffic_job_agree(const struct home *h, const struct tally_rows *rows,
		       const struct traffic *departed)
{
	struct traffic_log log;
	int err = 0;

	ASSERT_WORKER();
	if (traffic_job_load(h, &log) != 0)
		return;
	if (!agrees(&log, rows, departed) || is_long(h, rows->n))
		err = write_anew(h, rows, departed);
	if (err != 0)
		log_debug("store: traffic is not written down: %s",
			  err_text(err));
	traffic_log_fini(&log);
}
