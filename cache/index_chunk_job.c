/* index_chunk_job — which pieces and which leaves are held.
 *
 * Shape: bitmaps of INDEX_CHUNK_PIECES a row, in wire order, with the sum of
 * their bytes beside them. So the index stays small enough to be checked whole
 * at each start. A chunk is read, changed and written back; within a batch
 * SQLite's page cache makes that cheap. Three tables have this shape: `held`
 * and `agreed` by torrent and piece, `leaf` by file and leaf. A chunk of leaves
 * is no longer than its file, for most files are short.
 *
 * Failure modes: a row of the wrong size or place is treated as absent: its
 * pieces are fetched again.
 *
 * Threads: store. */
#include "cache/index_internal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "core/bits.h"
#include "core/log.h"
#include "core/merkle.h"
#include "core/worker.h"

enum { CHUNK_BYTES = INDEX_CHUNK_PIECES / 8 };

/* ---- loading ---- */

/* The chunk in a row as it must be, else NULL. Lends until the next step. */
static const uint8_t *column_chunk(sqlite3_stmt *st, int at, size_t len)
{
	const uint8_t *bits = sqlite3_column_blob(st, at);

	return (size_t)sqlite3_column_bytes(st, at) == len ? bits : NULL;
}

/* How long a row of a set of `n` is: always whole, or no longer than the set.
 */
static size_t chunk_len(uint32_t n, int64_t chunk, bool is_whole)
{
	uint64_t at = (uint64_t)chunk * CHUNK_BYTES;
	size_t len = bits_bytes(n);

	if (is_whole)
		return CHUNK_BYTES;
	if (chunk < 0 || at >= len)
		return 0;
	return len - at < CHUNK_BYTES ? len - (size_t)at : CHUNK_BYTES;
}

/* Copy a chunk into its place among `len` bytes; false when it has none. */
static bool place_chunk(uint8_t *bits, size_t len, int64_t chunk,
			const uint8_t *from)
{
	uint64_t at = (uint64_t)chunk * CHUNK_BYTES;
	size_t n;

	if (chunk < 0 || from == NULL || at >= len)
		return false;
	n = len - at < CHUNK_BYTES ? len - (size_t)at : CHUNK_BYTES;
	memcpy(bits + at, from, n);
	return true;
}

static int load(struct index_db *db, const struct index_table *table,
		int64_t row, uint32_t n, uint8_t *bits)
{
	enum { COL_CHUNK, COL_BITS };
	bool is_whole = table != &db->leaf;
	size_t len = bits_bytes(n);
	sqlite3_stmt *st = table->load;
	int rc;

	ASSERT_WORKER();
	memset(bits, 0, len);
	sqlite3_bind_int64(st, 1, row);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t chunk = sqlite3_column_int64(st, COL_CHUNK);
		size_t want = chunk_len(n, chunk, is_whole);

		if (!place_chunk(bits, len, chunk,
				 column_chunk(st, COL_BITS, want)))
			log_warn("index: row %lld: chunk %lld makes no sense, "
				 "skipped",
				 (long long)row, (long long)chunk);
	}
	if (n % 8 != 0)
		bits[len - 1] &= (uint8_t) ~(0xffu >> (n % 8));
	index_finish(st);
	return index_fail(db, rc, "load");
}

int index_job_load(struct index_db *db, int64_t row, uint32_t n_pieces,
		   uint8_t *bits)
{
	return load(db, &db->held, row, n_pieces, bits);
}

int index_job_load_agreed(struct index_db *db, int64_t row, uint32_t n_pieces,
			  uint8_t *bits)
{
	return load(db, &db->agreed, row, n_pieces, bits);
}

int index_job_load_leaves(struct index_db *db, int64_t row, uint32_t n_leaves,
			  uint8_t *bits)
{
	return load(db, &db->leaf, row, n_leaves, bits);
}

/* ---- one chunk ---- */

struct chunk {
	const struct index_table *table;
	int64_t row;
	int64_t ix;
	size_t len;
	int64_t bytes;
	uint8_t bits[CHUNK_BYTES];
};

/* The chunk, empty when there is none. */
static int chunk_get(struct index_db *db, struct chunk *c)
{
	enum { COL_BYTES, COL_BITS };
	sqlite3_stmt *st = c->table->get;
	const uint8_t *bits;
	int err;

	c->bytes = 0;
	memset(c->bits, 0, sizeof(c->bits));
	sqlite3_bind_int64(st, 1, c->row);
	sqlite3_bind_int64(st, 2, c->ix);
	err = index_first_row(db, st, "read a chunk");
	bits = err == 0 ? column_chunk(st, COL_BITS, c->len) : NULL;
	if (bits != NULL) {
		c->bytes = sqlite3_column_int64(st, COL_BYTES);
		memcpy(c->bits, bits, c->len);
	}
	index_finish(st);
	return err == ENOENT ? 0 : err;
}

static int chunk_put(struct index_db *db, const struct chunk *c)
{
	sqlite3_stmt *st = c->bytes > 0 ? c->table->put : c->table->del;

	sqlite3_bind_int64(st, 1, c->row);
	sqlite3_bind_int64(st, 2, c->ix);
	if (c->bytes > 0) {
		sqlite3_bind_int64(st, 3, c->bytes);
		sqlite3_bind_blob(st, 4, c->bits, (int)c->len, SQLITE_STATIC);
	}
	return index_run(db, st, "write a chunk");
}

/* Was it the other way before? */
static bool chunk_flip(struct chunk *c, uint32_t at, int64_t bytes, bool to)
{
	uint8_t mask = (uint8_t)(0x80u >> (at & 7));

	if (((c->bits[at >> 3] & mask) != 0) == to)
		return false;
	c->bits[at >> 3] ^= mask;
	c->bytes += to ? bytes : -bytes;
	return true;
}

/* ---- pieces ---- */

static int flip(struct index_db *db, const struct index_table *table,
		int64_t row, uint32_t ix, uint32_t bytes, bool to,
		uint64_t *change)
{
	struct chunk c = {
		.table = table,
		.row = row,
		.ix = ix / INDEX_CHUNK_PIECES,
		.len = CHUNK_BYTES,
	};
	int err;

	ASSERT_WORKER();
	err = chunk_get(db, &c);
	if (err != 0 || !chunk_flip(&c, ix % INDEX_CHUNK_PIECES, bytes, to))
		return err;
	err = chunk_put(db, &c);
	if (err == 0)
		*change += bytes;
	return err;
}

int index_job_hold(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change)
{
	return flip(db, &db->held, row, ix, bytes, true, change);
}

int index_job_drop(struct index_db *db, int64_t row, uint32_t ix,
		   uint32_t bytes, uint64_t *change)
{
	return flip(db, &db->held, row, ix, bytes, false, change);
}

int index_job_agree(struct index_db *db, int64_t row, uint32_t ix,
		    uint32_t bytes)
{
	uint64_t ignored = 0;

	return flip(db, &db->agreed, row, ix, bytes, true, &ignored);
}

/* `len` bytes from the chunk's place among the bits. */
static int hold_chunk(struct index_db *db, struct chunk *c,
		      const struct bits *held,
		      uint32_t (*bytes_of)(const void *arg, uint32_t piece_ix),
		      const void *arg)
{
	uint32_t first = (uint32_t)c->ix * INDEX_CHUNK_PIECES;
	size_t len = bits_bytes(held->n) - first / 8;

	memset(c->bits, 0, sizeof(c->bits));
	memcpy(c->bits, held->data + first / 8,
	       len < CHUNK_BYTES ? len : CHUNK_BYTES);
	c->bytes = 0;
	for (uint32_t i = bits_next(held, first);
	     i < held->n && i - first < INDEX_CHUNK_PIECES;
	     i = bits_next(held, i + 1))
		c->bytes += bytes_of(arg, i);
	return chunk_put(db, c);
}

int index_job_hold_all(struct index_db *db, int64_t row,
		       const struct bits *held,
		       uint32_t (*bytes_of)(const void *arg, uint32_t piece_ix),
		       const void *arg, uint64_t *change)
{
	struct chunk c = {.table = &db->held, .row = row, .len = CHUNK_BYTES};
	uint32_t at = bits_next(held, 0);
	int err = 0;

	ASSERT_WORKER();
	while (at < held->n && err == 0) {
		c.ix = at / INDEX_CHUNK_PIECES;
		err = hold_chunk(db, &c, held, bytes_of, arg);
		*change += (uint64_t)c.bytes;
		if ((uint64_t)(c.ix + 1) * INDEX_CHUNK_PIECES >= held->n)
			break;
		at = bits_next(held, (uint32_t)(c.ix + 1) * INDEX_CHUNK_PIECES);
	}
	return err;
}

/* ---- leaves ---- */

static uint32_t leaf_bytes(uint64_t file_bytes, uint32_t leaf)
{
	uint64_t left = file_bytes - (uint64_t)leaf * MERKLE_LEAF_BYTES;

	return left < MERKLE_LEAF_BYTES ? (uint32_t)left : MERKLE_LEAF_BYTES;
}

/* Those of [first, end) that are in the chunk of `first`. */
static int flip_in_chunk(struct index_db *db, const struct index_file *f,
			 uint32_t first, uint32_t end, bool to,
			 uint64_t *change)
{
	struct chunk c = {
		.table = &db->leaf,
		.row = f->row,
		.ix = first / INDEX_CHUNK_PIECES,
	};
	int64_t before;
	bool any = false;
	int err;

	c.len = chunk_len(index_file_leaves(f->bytes), c.ix, false);
	err = chunk_get(db, &c);
	before = c.bytes;
	for (uint32_t i = first; i < end; i++)
		any |= chunk_flip(&c, i % INDEX_CHUNK_PIECES,
				  leaf_bytes(f->bytes, i), to);
	if (err != 0 || !any)
		return err;
	err = chunk_put(db, &c);
	if (err == 0)
		*change += (uint64_t)(to ? c.bytes - before : before - c.bytes);
	return err;
}

static int flip_leaves(struct index_db *db, const struct index_file *f,
		       uint32_t first, uint32_t n, bool to, uint64_t *change)
{
	uint32_t end = first + n;
	int err = 0;

	ASSERT_WORKER();
	while (first < end && err == 0) {
		uint64_t stop = first / INDEX_CHUNK_PIECES;

		stop = (stop + 1) * INDEX_CHUNK_PIECES;
		if (stop > end)
			stop = end;
		err = flip_in_chunk(db, f, first, (uint32_t)stop, to, change);
		first = (uint32_t)stop;
	}
	return err;
}

int index_job_hold_leaves(struct index_db *db, const struct index_file *f,
			  uint32_t first, uint32_t n, uint64_t *change)
{
	return flip_leaves(db, f, first, n, true, change);
}

int index_job_drop_leaves(struct index_db *db, const struct index_file *f,
			  uint32_t first, uint32_t n, uint64_t *change)
{
	return flip_leaves(db, f, first, n, false, change);
}
