/* adopt_job — a v2-only torrent's own blobs become those of all who have the
 * file.
 *
 * Purpose: format 2 kept every file in the directory of its torrent, and what
 * was staged is still put there. All that a v2-only torrent holds is proven by
 * the file's root, so when it is opened, and nothing of the file is kept in
 * common yet, its blob is given a new name, and nothing is copied.
 *
 *   1. one transaction: the pieces' rows become rows of leaves, and it is
 * written down that the blob is to be called otherwise.
 *   2. it is.
 *   3. that note is taken back.
 *
 * A crash between them leaves the note, and the store's next start does what it
 * says before anybody looks. When the name is taken after all (another torrent
 * is just writing), 1 is undone.
 *
 * A hybrid's own pieces may be proven by v1 alone; they stay where they are.
 *
 * Threads: store. */
#include "cache/store_disk_job.h"

#include <errno.h>
#include <stdio.h>

#include "cache/extent.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"

struct adopt {
	struct disk_open *o;
	uint32_t file_ix;
	uint32_t first, last; /* pieces of the file */
	struct index_file file;
	uint64_t dropped_bytes, added_bytes;
	char from[INDEX_PATH_BYTES];
	char to[INDEX_PATH_BYTES];
};

/* Has the index leaves of the file? What others have open is on its way there,
 * but then its blob is there already. */
static int has_leaves(const struct disk_open *o, uint32_t ix, bool *out)
{
	const struct mi_file *f = &o->t->mi->files[ix];
	uint32_t n = index_file_leaves(f->len_bytes);
	uint8_t *bits = mem_alloc(bits_bytes(n));
	int64_t row;
	bool ignored;
	int err;

	if (bits == NULL)
		return ENOMEM;
	*out = false;
	err = index_job_find_file(o->index, f->root, f->len_bytes, 0, &row,
				  &ignored);
	if (err == 0)
		err = index_job_load_leaves(o->index, row, n, bits);
	for (size_t i = 0; i < bits_bytes(n) && err == 0; i++)
		*out |= bits[i] != 0;
	mem_free(bits);
	return err == ENOENT ? 0 : err;
}

static bool has_own(const struct disk_open *o, uint32_t ix)
{
	uint32_t first, last;

	if (!joint_is_rooted(&o->t->mi->files[ix]))
		return false;
	first = extent_pieces(o->t->mi, ix, &last);
	return bits_next(&o->own, first) <= last &&
	       bits_next(&o->own, first) < o->own.n;
}

static uint32_t leaves_per_piece(const struct adopt *a)
{
	return a->o->t->mi->piece_bytes / MERKLE_LEAF_BYTES;
}

static uint32_t piece_leaves(const struct adopt *a, uint32_t ix)
{
	uint32_t n = metainfo_piece_bytes(a->o->t->mi, ix);

	return (n + MERKLE_LEAF_BYTES - 1) / MERKLE_LEAF_BYTES;
}

/* Rows of pieces into rows of leaves. */
static int turn_rows(struct adopt *a)
{
	struct disk_open *o = a->o;
	const struct mi_file *f = &o->t->mi->files[a->file_ix];
	int err = index_job_add_member(o->index, f->root, f->len_bytes,
				       o->t->row, &a->file.row);

	for (uint32_t ix = bits_next(&o->own, a->first);
	     ix <= a->last && ix < o->own.n && err == 0;
	     ix = bits_next(&o->own, ix + 1)) {
		err = index_job_drop(o->index, o->t->row, ix,
				     metainfo_piece_bytes(o->t->mi, ix),
				     &a->dropped_bytes);
		if (err == 0)
			err = index_job_hold_leaves(
				o->index, &a->file,
				(ix - a->first) * leaves_per_piece(a),
				piece_leaves(a, ix), &a->added_bytes);
	}
	return err != 0 ? err : index_job_leave(o->index, a->from, a->to);
}

/* And back. */
static int turn_rows_back(struct adopt *a)
{
	struct disk_open *o = a->o;
	uint64_t ignored = 0;
	int err = index_job_drop_file(o->index, a->file.row, &ignored);

	for (uint32_t ix = bits_next(&o->own, a->first);
	     ix <= a->last && ix < o->own.n && err == 0;
	     ix = bits_next(&o->own, ix + 1))
		err = index_job_hold(o->index, o->t->row, ix,
				     metainfo_piece_bytes(o->t->mi, ix),
				     &ignored);
	return err != 0 ? err : index_job_stay(o->index, a->from);
}

static int in_transaction(struct adopt *a, int (*fn)(struct adopt *a))
{
	struct index_db *db = a->o->index;
	int err = index_job_begin(db);

	if (err == 0)
		err = fn(a);
	if (err == 0)
		err = index_job_commit(db);
	if (err != 0)
		index_job_rollback(db);
	return err;
}

/* It has another place in the index now, and a new name is a change. What was
 * doubtful is so still. */
static void look_again(struct adopt *a, uint32_t found)
{
	struct disk_open *o = a->o;
	struct blob_home home = {.dir_fd = o->home->files_fd, .sub = "."};

	for (uint32_t i = 0; i < o->n_blobs; i++) {
		struct opened_blob *b = &o->blobs[i];

		if (b->file_ix != a->file_ix || b->is_shared)
			continue;
		b->is_shared = true;
		b->found = found;
		b->is_kept = false;
		if (blob_job_look(&home, a->to + sizeof("files/") - 1, 0,
				  &b->stamp) != 0)
			b->is_doubtful = true;
	}
}

/* It may have a row already, of which nothing was left. */
static struct opened_file *found(struct adopt *a)
{
	struct disk_open *o = a->o;

	for (uint32_t i = 0; i < o->n_files; i++)
		if (o->files[i].row == a->file.row)
			return &o->files[i];
	return store_disk_job_add_file(o, a->file_ix, a->file.row);
}

/* What the reply says of it. */
static int note_adopted(struct adopt *a)
{
	struct disk_open *o = a->o;
	struct opened_file *f = found(a);
	int err = ENOMEM;

	if (f != NULL)
		err = bits_init(&f->leaves, index_file_leaves(a->file.bytes));
	if (err != 0)
		return err;
	for (uint32_t ix = bits_next(&o->own, a->first);
	     ix <= a->last && ix < o->own.n; ix = bits_next(&o->own, ix + 1)) {
		uint32_t at = (ix - a->first) * leaves_per_piece(a);

		for (uint32_t i = 0; i < piece_leaves(a, ix); i++)
			bits_set(&f->leaves, at + i);
		bits_clear(&o->own, ix);
	}
	bits_clear(&o->t->blobs.made, a->file_ix);
	f->is_adopted = true;
	look_again(a, (uint32_t)(f - o->files));
	o->dropped_bytes += a->dropped_bytes;
	o->added_bytes += a->added_bytes;
	return 0;
}

static int adopt(struct adopt *a)
{
	int err = in_transaction(a, turn_rows);

	if (err != 0)
		return err;
	err = home_job_move(a->o->home, a->from, a->to, false);
	if (err != 0) {
		log_debug("store: %s stays where it is: %s", a->from,
			  err_text(err));
		return in_transaction(a, turn_rows_back);
	}
	err = index_job_stay(a->o->index, a->from);
	return err != 0 ? err : note_adopted(a);
}

int adopt_job(struct disk_open *o)
{
	int err = 0;

	for (uint32_t ix = 0;
	     ix < o->t->mi->n_files && o->own.n_set > 0 && err == 0; ix++) {
		struct adopt a = {.o = o, .file_ix = ix};
		bool is_there = false;

		if (!has_own(o, ix))
			continue;
		err = has_leaves(o, ix, &is_there);
		if (err != 0 || is_there)
			continue;
		a.first = extent_pieces(o->t->mi, ix, &a.last);
		a.file.bytes = o->t->mi->files[ix].len_bytes;
		index_file_path(o->t->mi->files[ix].root, a.file.bytes, a.to);
		snprintf(a.from, sizeof(a.from), "torrents/%s/%u", o->t->hex,
			 ix);
		err = adopt(&a);
	}
	return err;
}
