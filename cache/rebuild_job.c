/* rebuild_job — an index from what lies beside the blobs.
 *
 * Purpose: an index that is lost or damaged costs no byte that was fetched.
 * Each torrent's directory has its info dictionary, the set of its pinned
 * files, and its blobs; a file that has a root lies by its name in files/. What
 * in a blob is right only hashing tells. But a blob is sparse: where it has a
 * hole nothing was ever put, or it was evicted. So all that has none is written
 * down as held, and nothing is read.
 *
 * There are no stamps, so all of it is doubtful (store_disk_doubt.c): hashed
 * before anybody gets it, when he wants it or by and by (net/scrub), and what
 * is wrong goes then. So a start does not wait for 500 GB to be hashed.
 *
 * How, torrent by torrent
 *   1. its dictionary is parsed, and must have the hash that its directory is
 *      called by. Without one nothing is known of what lies there, as before.
 *   2. own pieces: all those without a hole in any of its own blobs.
 *   3. leaves, the same of its files in files/. What is there in both ways is
 *      not its own: a row of its own would hide the other.
 *   4. its rows, its pins, and what was sent and received of it, which is in
 *      a log (traffic_job.c).
 *
 * A blob that is too short (the power was cut while it was made) gets its
 * length. That a hybrid's leaves match its v1 hashes is found out when it is
 * opened, as if another torrent had brought them (joint.c).
 *
 * Failure modes: a torrent whose dictionary cannot be read is left out, with a
 * line in the log; what fails on the index fails it all.
 *
 * Threads: store. */
#include "cache/rebuild_job.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_limits.h"
#include "cache/extent.h"
#include "cache/home_job.h"
#include "cache/index_job.h"
#include "cache/path_job.h"
#include "cache/pins_job.h"
#include "cache/traffic_job.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "core/torrent_id.h"
#include "core/worker.h"

enum {
	NAME_BYTES = TORRENT_HEX_BYTES + 16,
	BLOB_FLAGS = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
};

struct rebuild {
	struct index_db *db;
	const struct home *h;
	struct hasher *hasher;
	struct rebuilt *sum;
	struct traffic_log *traffic;
};

/* One torrent. */
struct find {
	const struct rebuild *r;
	const struct metainfo *mi;
	const char *hex;
	int64_t row;
	struct bits own;
};

/* ---- holes ---- */

/* A blob: which of its units (pieces or leaves) have no hole. */
struct span_of {
	struct bits *there;
	uint64_t off_bytes; /* of the blob, in units' space */
	uint64_t unit_bytes;
};

static void take_out(const struct span_of *s, uint64_t from, uint64_t to)
{
	uint64_t first = (s->off_bytes + from) / s->unit_bytes;
	uint64_t last = (s->off_bytes + to - 1) / s->unit_bytes;

	for (uint64_t i = first; i <= last && i < s->there->n; i++)
		bits_clear(s->there, (uint32_t)i);
}

/* A file system that does not know its holes says that there are none. */
static int take_out_holes(const struct span_of *s, int fd, uint64_t len)
{
	off_t at = 0, end = (off_t)len;

	while (at < end) {
		off_t data = lseek(fd, at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return errno == EINVAL ? 0 : errno;
		if (data < 0 || data > end)
			data = end;
		if (data > at)
			take_out(s, (uint64_t)at, (uint64_t)data);
		if (data == end)
			return 0;
		at = lseek(fd, data, SEEK_HOLE);
		if (at < 0)
			return errno;
	}
	return 0;
}

/* A disk that does not answer is not one that has nothing. */
static int open_blob(int dir_fd, const char *name, uint64_t len, int *out)
{
	int fd = openat(dir_fd, name, BLOB_FLAGS);
	struct stat sb;
	int err = 0;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? ENOENT : errno;
	if (fstat(fd, &sb) != 0)
		err = errno;
	else if (!S_ISREG(sb.st_mode))
		err = ENOENT;
	else if ((uint64_t)sb.st_size < len && ftruncate(fd, (off_t)len) != 0)
		err = errno;
	if (err != 0)
		close(fd);
	else
		*out = fd;
	return err;
}

static int look(const struct span_of *s, int dir_fd, const char *name,
		uint64_t len)
{
	int fd = -1, err = open_blob(dir_fd, name, len, &fd);

	if (err == ENOENT)
		take_out(s, 0, len);
	if (err != 0)
		return err == ENOENT ? 0 : err;
	err = take_out_holes(s, fd, len);
	close(fd);
	return err;
}

/* ---- what a torrent has ---- */

static bool has_bytes(const struct mi_file *f)
{
	return f->len_bytes > 0 && (f->attr & MI_ATTR_PAD) == 0;
}

static bool is_shared(const struct mi_file *f)
{
	return has_bytes(f) && f->root != NULL &&
	       index_file_leaves(f->len_bytes) > 0;
}

static int find_own(struct find *t)
{
	const struct metainfo *mi = t->mi;
	char name[NAME_BYTES];
	int err = bits_init(&t->own, mi->n_pieces);

	if (err != 0)
		return err;
	for (uint32_t ix = 0; ix < mi->n_pieces; ix++)
		if (metainfo_piece_content(mi, ix) > 0)
			bits_set(&t->own, ix);
	for (uint32_t i = 0; i < mi->n_files && err == 0; i++) {
		const struct mi_file *f = &mi->files[i];
		struct span_of s = {.there = &t->own,
				    .off_bytes = f->off_bytes,
				    .unit_bytes = mi->piece_bytes};

		if (!has_bytes(f) || t->own.n_set == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%u", t->hex, i);
		err = look(&s, t->r->h->torrents_fd, name, f->len_bytes);
	}
	return err;
}

/* What all have is nobody's own. */
static void prefer_leaves(struct find *t, const struct mi_file *f,
			  const struct bits *leaves)
{
	uint32_t per_piece = t->mi->piece_bytes / MERKLE_LEAF_BYTES;
	uint32_t ix = (uint32_t)(f->off_bytes / t->mi->piece_bytes);

	for (uint32_t at = 0; at < leaves->n; at += per_piece, ix++) {
		uint32_t end =
			leaves->n - at < per_piece ? leaves->n : at + per_piece;

		if (bits_has(&t->own, ix) && bits_next_clear(leaves, at) >= end)
			bits_clear(&t->own, ix);
	}
}

static int hold_leaves(const struct rebuild *r, const struct index_file *file,
		       const struct bits *leaves)
{
	uint32_t at = bits_next(leaves, 0);
	int err = 0;

	while (at < leaves->n && err == 0) {
		uint32_t end = bits_next_clear(leaves, at);

		err = index_job_hold_leaves(r->db, file, at, end - at,
					    &r->sum->held_bytes);
		at = bits_next(leaves, end);
	}
	return err;
}

/* A row for what nothing is held of, so that it goes with its torrents. */
static bool lies_there(const struct rebuild *r, const char *path)
{
	char tree[INDEX_PATH_BYTES + sizeof(HOME_TREE)];
	struct stat sb;

	path += strlen("files/");
	snprintf(tree, sizeof(tree), "%s" HOME_TREE, path);
	return path_job_stat(r->h->files_fd, path, &sb) == 0 ||
	       path_job_stat(r->h->files_fd, tree, &sb) == 0;
}

static int find_shared(struct find *t, const struct mi_file *f)
{
	const struct rebuild *r = t->r;
	struct index_file file = {.bytes = f->len_bytes};
	struct bits leaves;
	struct span_of s = {.there = &leaves, .unit_bytes = MERKLE_LEAF_BYTES};
	char path[INDEX_PATH_BYTES];
	bool is_member, is_new;
	int err = bits_init(&leaves, index_file_leaves(f->len_bytes));

	if (err != 0)
		return err;
	bits_set_all(&leaves);
	index_file_path(f->root, f->len_bytes, path);
	err = look(&s, r->h->files_fd, path + strlen("files/"), f->len_bytes);
	prefer_leaves(t, f, &leaves);
	if (err != 0 || (leaves.n_set == 0 && !lies_there(r, path)))
		goto done;
	err = index_job_find_file(r->db, f->root, f->len_bytes, t->row,
				  &file.row, &is_member);
	is_new = err == ENOENT;
	if (err == 0 || is_new)
		err = index_job_add_member(r->db, f->root, f->len_bytes, t->row,
					   &file.row);
	if (err == 0 && is_new)
		err = hold_leaves(r, &file, &leaves);
done:
	bits_fini(&leaves);
	return err;
}

static uint32_t bytes_of(const void *arg, uint32_t piece_ix)
{
	return metainfo_body_bytes(arg, piece_ix);
}

static int restore_pins(struct find *t)
{
	uint8_t *bits = mem_alloc(bits_bytes(t->mi->n_files));
	int err;

	if (bits == NULL)
		return ENOMEM;
	err = pins_job_load(t->r->h, t->hex, t->mi->n_files, bits);
	if (err == 0)
		err = index_job_keep_pins(t->r->db, t->row, t->mi->n_files,
					  bits);
	else if (err != ENOMEM)
		err = 0; /* none, or none that make sense */
	mem_free(bits);
	return err;
}

/* What is left of the log in the end is of torrents that were removed. */
static int restore_traffic(struct find *t)
{
	struct tally *log = &t->r->traffic->tally;
	struct tally_row row = {.id = t->mi->id};
	const struct tally_rows rows = {.v = &row, .n = 1};

	if (!tally_counted(log, &row.id, &row.counted))
		return 0;
	tally_forget(log, &row.id);
	return index_job_keep_tallies(t->r->db, &rows);
}

static int fill(struct find *t)
{
	int err = find_own(t);

	for (uint32_t i = 0; i < t->mi->n_files && err == 0; i++)
		if (is_shared(&t->mi->files[i]))
			err = find_shared(t, &t->mi->files[i]);
	if (err == 0)
		err = index_job_hold_all(t->r->db, t->row, &t->own, bytes_of,
					 t->mi, &t->r->sum->held_bytes);
	if (err == 0)
		err = restore_pins(t);
	if (err == 0)
		err = restore_traffic(t);
	bits_fini(&t->own);
	return err;
}

/* ---- torrents ---- */

/* It was written when the torrent was added, and never again. */
static int64_t added_s(const struct rebuild *r, const char *hex)
{
	char name[NAME_BYTES];
	struct stat sb;

	snprintf(name, sizeof(name), "%.64s/info", hex);
	if (fstatat(r->h->torrents_fd, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return sb.st_mtime;
}

static int add(const struct rebuild *r, const char *hex,
	       const struct metainfo *mi)
{
	struct find t = {.r = r, .mi = mi, .hex = hex};
	struct index_torrent known;
	int err = index_job_find(r->db, &mi->id, &known);

	if (err != ENOENT)
		return err; /* another directory has it */
	err = index_job_add(r->db, mi, added_s(r, hex), &t.row);
	if (err == 0)
		err = fill(&t);
	if (err == 0)
		r->sum->torrents++;
	return err;
}

/* Which torrent a directory is called by. */
static bool id_of(const char *hex, struct torrent_id *out)
{
	struct info_hash h;
	size_t len = strlen(hex);

	*out = (struct torrent_id){0};
	if ((len != 2 * HASH_SHA1_BYTES && len != 2 * HASH_SHA256_BYTES) ||
	    info_hash_parse(&h, hex, len) != 0)
		return false;
	if (h.len == HASH_SHA1_BYTES)
		out->v1 = h;
	else
		out->v2 = h;
	return true;
}

/* Nothing that another try would change. */
static bool is_no_torrent(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ELOOP ||
	       err == EBADMSG || err == EFBIG;
}

static int add_dir(const struct rebuild *r, const char *hex)
{
	struct mi_error why = {.text = "out of memory"};
	struct torrent_id id;
	struct metainfo *mi;
	uint8_t *info;
	size_t len;
	int err;

	if (!id_of(hex, &id))
		return 0;
	err = home_job_read_info(r->h, hex, &info, &len);
	if (err == 0) {
		err = metainfo_parse_info(info, len, &id, r->hasher, &mi, &why);
		mem_free(info);
	} else {
		snprintf(why.text, sizeof(why.text), "%s", err_text(err));
	}
	if (err != 0 && !is_no_torrent(err))
		return err;
	if (err != 0) {
		if (err != ENOENT && err != ENOTDIR)
			log_warn("store: torrents/%s: what it is cannot be "
				 "read (%s): left as it is",
				 hex, why.text);
		return 0;
	}
	err = add(r, hex, mi);
	metainfo_free(mi);
	return err;
}

static int next_batch(const struct rebuild *r)
{
	int err = index_job_commit(r->db);

	return err != 0 ? err : index_job_begin(r->db);
}

static int restore_departed(const struct rebuild *r)
{
	struct traffic all = r->traffic->departed;

	traffic_add(&all, &r->traffic->tally.all);
	return index_job_set_departed(r->db, &all);
}

static int add_all(const struct rebuild *r, DIR *d)
{
	struct dirent *e;
	unsigned n = 0;
	int err = index_job_begin(r->db);

	errno = 0;
	while (err == 0 && (e = readdir(d)) != NULL) {
		err = add_dir(r, e->d_name);
		if (err == 0 && ++n % REBUILD_BATCH == 0)
			err = next_batch(r);
		errno = 0;
	}
	if (err == 0)
		err = errno;
	if (err == 0)
		err = restore_departed(r);
	if (err == 0)
		err = index_job_commit(r->db);
	if (err != 0)
		index_job_rollback(r->db);
	return err;
}

int rebuild_job(struct index_db *db, const struct home *h,
		struct hasher *hasher, struct rebuilt *out)
{
	struct traffic_log traffic;
	struct rebuild r = {.db = db,
			    .h = h,
			    .hasher = hasher,
			    .sum = out,
			    .traffic = &traffic};
	int fd, err;
	DIR *d;

	ASSERT_WORKER();
	*out = (struct rebuilt){0};
	fd = openat(h->torrents_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	d = fdopendir(fd);
	if (d == NULL) {
		err = errno;
		close(fd);
		return err;
	}
	err = traffic_job_load(h, &traffic);
	if (err == 0) {
		err = add_all(&r, d);
		traffic_log_fini(&traffic);
	}
	closedir(d);
	return err;
}
