/* store_disk_job — what the store thread does for the life of a store and of
 * its torrents.
 *
 * Purpose: each function here is one job's `run`, and puts together what
 * home_job (the directory), index_job (the rows) and blob_job (the files) do.
 * The first and the last job of a store are in start_job.c.
 *
 * Opening a torrent
 *   1. look for its row; when there is none, keep its info dictionary first
 *      and write the row then: a row never lacks its dictionary.
 *   2. look which of its files have rows: those of which something is kept, or
 *      was. It is a member of them from now on.
 *      load its bits, and which files are pinned.
 *   3. look at each blob in which something is held. One that is missing or
 *      short loses all its pieces: the rows go before anybody hears of them.
 *      Nothing is hashed: what was committed was synced before, and a blob that
 *      is not as the index knows it is told to be doubtful.
 *   4. blobs of a v2-only torrent's own become everybody's (adopt_job.c).
 *
 * Removing one: the rows go, and in the same transaction it is written down
 * which files go with them; then these. What a crash leaves of them is removed
 * at the next start.
 *
 * Failure modes: a start that fails lets go of everything it took. An info
 * dictionary without a row is found again by the next open.
 *
 * Threads: store. */
#include "cache/store_disk_job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/extent.h"
#include "cache/index_job.h"
#include "cache/pins_job.h"
#include "cache/traffic_job.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- the store ---- */

static int take_held(void *arg, const struct torrent_id *id, uint64_t bytes)
{
	struct disk_each_held *h = arg;

	if (h->n == h->room) {
		size_t room = h->room != 0 ? 2 * h->room : 64;
		struct disk_held *grown =
			mem_grow(h->held, room, sizeof(*h->held));

		if (grown == NULL)
			return ENOMEM;
		h->held = grown;
		h->room = room;
	}
	h->held[h->n++] = (struct disk_held){.id = *id, .bytes = bytes};
	return 0;
}

void store_disk_job_each_held(struct job *job, struct worker_env *env)
{
	struct disk_each_held *h =
		CONTAINER_OF(job, struct disk_each_held, job);

	h->err = index_job_each_held(h->index, take_held, h);
}

/* ---- a torrent ---- */

void store_disk_job_load_info(struct job *job, struct worker_env *env)
{
	struct disk_load_info *l =
		CONTAINER_OF(job, struct disk_load_info, job);
	char hex[TORRENT_HEX_BYTES];
	struct index_torrent known;

	ASSERT_WORKER();
	l->err = index_job_find(l->index, &l->id, &known);
	if (l->err == ENOENT) /* the index may be new and the files not */
		known.id = l->id;
	else if (l->err != 0)
		return;
	l->err = home_job_read_info(l->home, torrent_id_hex(&known.id, hex),
				    &l->info, &l->len);
}

struct opened_file *store_disk_job_add_file(struct disk_open *o,
					    uint32_t file_ix, int64_t row)
{
	uint32_t room = o->files_room == 0 ? 8 : o->files_room * 2;
	struct opened_file *f;

	if (o->n_files == o->files_room) {
		f = mem_grow(o->files, room, sizeof(*f));
		if (f == NULL)
			return NULL;
		o->files = f;
		o->files_room = room;
	}
	f = &o->files[o->n_files++];
	*f = (struct opened_file){.file_ix = file_ix, .row = row};
	return f;
}

static const struct mi_file *file_at(const struct disk_open *o, uint32_t place)
{
	return &o->t->mi->files[o->t->mi->by_root[place]];
}

/* The files of which the index has a row. Both lists are in the same order, so
 * each is asked for the next that the other may have: that takes as many steps
 * as the shorter is long. */
static int find_files(struct disk_open *o)
{
	const struct metainfo *mi = o->t->mi;
	uint32_t place = 0;
	int err = 0;

	while (place < mi->n_by_root && err == 0) {
		const struct mi_file *f = file_at(o, place);
		uint8_t root[HASH_SHA256_BYTES];
		uint64_t bytes = f->len_bytes;
		int64_t row;

		memcpy(root, f->root, sizeof(root));
		err = index_job_file_from(o->index, root, &bytes, &row);
		if (err == 0 && !metainfo_root_is(mi, place, root, bytes)) {
			place = metainfo_root_from(mi, root, bytes);
			continue;
		}
		if (err == 0 &&
		    store_disk_job_add_file(o, mi->by_root[place], row) == NULL)
			err = ENOMEM;
		while (err == 0 && metainfo_root_is(mi, place, root, bytes))
			place++;
	}
	return err == ENOENT ? 0 : err;
}

/* It has all that was found. */
static int add_members(struct disk_open *o)
{
	int err = index_job_begin(o->index);

	for (uint32_t i = 0; i < o->n_files && err == 0; i++) {
		const struct mi_file *f = &o->t->mi->files[o->files[i].file_ix];

		err = index_job_add_member(o->index, f->root, f->len_bytes,
					   o->t->row, &o->files[i].row);
	}
	if (err == 0)
		err = index_job_commit(o->index);
	if (err != 0)
		index_job_rollback(o->index);
	return err;
}

static int join_files(struct disk_open *o)
{
	bool is_any_missing = false;
	int err = find_files(o);

	for (uint32_t i = 0; i < o->n_files && err == 0; i++) {
		const struct mi_file *f = &o->t->mi->files[o->files[i].file_ix];
		bool is_member;

		err = index_job_find_file(o->index, f->root, f->len_bytes,
					  o->t->row, &o->files[i].row,
					  &is_member);
		is_any_missing |= err == 0 && !is_member;
	}
	return err == 0 && is_any_missing ? add_members(o) : err;
}

static int add(struct disk_open *o)
{
	char path[INDEX_PATH_BYTES];
	int err = index_job_begin(o->index);

	snprintf(path, sizeof(path), "torrents/%s", o->t->hex);
	if (err == 0)
		err = index_job_stay(o->index, path);
	if (err == 0)
		err = index_job_add(o->index, o->t->mi, o->now_s, &o->t->row);
	if (err == 0)
		err = index_job_commit(o->index);
	if (err != 0)
		index_job_rollback(o->index);
	return err;
}

static int find_or_add(struct disk_open *o)
{
	struct disk_torrent *t = o->t;
	struct index_torrent known;
	int err;

	err = home_job_keep_info(o->home, t->hex, t->mi->info);
	if (err != 0)
		return err;
	t->base.added_s = o->now_s;
	err = index_job_find(o->index, &t->id, &known);
	if (err == ENOENT)
		return add(o);
	if (err != 0)
		return err;
	if (!torrent_id_matches(&known.id, &t->id))
		return EBADMSG;
	t->row = known.row;
	t->base.added_s = known.added_s;
	return 0;
}

typedef int load_fn(struct index_db *db, int64_t row, uint32_t n,
		    uint8_t *bits);

/* Into `out`, of which the size is set. */
static int load(struct index_db *db, load_fn *fn, int64_t row, struct bits *out)
{
	size_t len = bits_bytes(out->n);
	uint8_t *bits = mem_alloc(len);
	int err;

	if (bits == NULL)
		return ENOMEM;
	err = fn(db, row, out->n, bits);
	if (err == 0)
		err = bits_load(out, bits, len);
	mem_free(bits);
	return err;
}

static int load_leaves(struct disk_open *o, struct opened_file *f)
{
	const struct mi_file *mf = &o->t->mi->files[f->file_ix];
	int err = bits_init(&f->leaves, index_file_leaves(mf->len_bytes));

	if (err == 0)
		err = load(o->index, index_job_load_leaves, f->row, &f->leaves);
	if (f->leaves.n_set == 0)
		bits_fini(&f->leaves);
	return err;
}

static int load_bits(struct disk_open *o)
{
	int err = load(o->index, index_job_load, o->t->row, &o->own);

	if (err == 0 && o->agreed.data != NULL)
		err = load(o->index, index_job_load_agreed, o->t->row,
			   &o->agreed);
	for (uint32_t i = 0; i < o->n_files && err == 0; i++)
		err = load_leaves(o, &o->files[i]);
	return err;
}

/* The row counts; a process that was killed may have left another set there. */
static void keep_pins_beside(struct disk_open *o, const uint8_t *bits)
{
	int err = pins_job_keep(o->home, o->t->hex, o->t->mi->n_files, bits);

	if (err != 0)
		log_debug("store: %s: its pins are in the index alone: %s",
			  o->t->hex, err_text(err));
}

/* No row is the usual case. */
static int load_pins(struct disk_open *o)
{
	struct bits *pinned = &o->t->base.pinned;
	uint32_t n = o->t->mi->n_files;
	uint8_t *bits = mem_alloc(bits_bytes(n));
	int err;

	if (bits == NULL)
		return ENOMEM;
	err = index_job_load_pins(o->index, o->t->row, n, bits);
	if (err == 0)
		err = bits_init(pinned, n);
	if (err == 0 && bits_load(pinned, bits, bits_bytes(n)) != 0)
		log_warn("store: %s: its pins make no sense, skipped",
			 o->t->hex);
	if (err == 0 || err == ENOENT)
		keep_pins_beside(o, err == 0 ? bits : NULL);
	mem_free(bits);
	return err == ENOENT ? 0 : err;
}

/* How the blob is, and whether that is how the index knows it. ENOENT: it is
 * missing or short. */
static int look_at(struct disk_open *o, const struct blob_home *home,
		   const char *name, struct stamp_row *known, uint32_t found)
{
	struct opened_blob b = {.file_ix = known->file_ix,
				.found = found,
				.is_shared = known->is_shared};
	uint32_t room = o->blobs_room == 0 ? 8 : o->blobs_room * 2;
	int err = blob_job_look(home, name, known->file_ix, &b.stamp);

	if (err != 0 ||
	    b.stamp.size_bytes < o->t->mi->files[known->file_ix].len_bytes)
		return ENOENT;
	err = index_job_load_stamp(o->index, known);
	if (err != 0 && err != ENOENT)
		return EIO;
	b.is_kept = err == 0 && stamp_is_equal(&known->stamp, &b.stamp);
	b.is_doubtful = !b.is_kept;
	if (b.is_doubtful && err == 0 &&
	    !(b.is_shared && bits_has(&o->busy_files, b.file_ix)))
		log_info("store: %s: the blob of file %u is not as it was "
			 "left: it is checked before it is used",
			 o->t->hex, known->file_ix);
	if (o->n_blobs == o->blobs_room) {
		struct opened_blob *more =
			mem_grow(o->blobs, room, sizeof(*more));

		if (more == NULL)
			return ENOMEM;
		o->blobs = more;
		o->blobs_room = room;
	}
	o->blobs[o->n_blobs++] = b;
	return 0;
}

/* In the transaction that drops what was lost; `*any` says if it is open. */
static int begin_once(struct disk_open *o, bool *any)
{
	int err = *any ? 0 : index_job_begin(o->index);

	*any |= err == 0;
	return err;
}

/* The rows of what file `ix` has lost. */
static int drop_pieces(struct disk_open *o, uint32_t first, uint32_t last,
		       bool *any)
{
	int err = begin_once(o, any);

	for (uint32_t ix = bits_next(&o->own, first); ix <= last && err == 0;
	     ix = bits_next(&o->own, ix + 1)) {
		if (ix >= o->own.n)
			break;
		bits_clear(&o->own, ix);
		err = index_job_drop(o->index, o->t->row, ix,
				     metainfo_body_bytes(o->t->mi, ix),
				     &o->dropped_bytes);
	}
	return err;
}

static int check_own(struct disk_open *o, uint32_t file_ix, bool *any)
{
	const struct mi_file *f = &o->t->mi->files[file_ix];
	struct stamp_row known = {.row = o->t->row, .file_ix = file_ix};
	uint32_t first, last;
	int err;

	if (f->len_bytes == 0 || (f->attr & MI_ATTR_PAD))
		return 0;
	first = extent_pieces(o->t->mi, file_ix, &last);
	if (bits_next(&o->own, first) > last)
		return 0;
	err = look_at(o, &o->t->blobs.home, NULL, &known, 0);
	if (err == 0)
		bits_set(&o->t->blobs.made, file_ix);
	if (err != ENOENT)
		return err;
	return drop_pieces(o, first, last, any);
}

/* For all torrents that have the file: what they need of it, they need of these
 * rows. Whoever has it open sees to that himself. */
static int check_shared(struct disk_open *o, uint32_t at, bool *any)
{
	struct blob_home home = {.dir_fd = o->home->files_fd, .sub = "."};
	struct opened_file *f = &o->files[at];
	const struct mi_file *mf = &o->t->mi->files[f->file_ix];
	struct stamp_row known = {
		.row = f->row, .is_shared = true, .file_ix = f->file_ix};
	char path[INDEX_PATH_BYTES];
	int err;

	if (f->leaves.n_set == 0)
		return 0;
	index_file_path(mf->root, mf->len_bytes, path);
	err = look_at(o, &home, path + strlen("files/"), &known, at);
	if (err != ENOENT)
		return err;
	bits_fini(&f->leaves);
	if (bits_has(&o->busy_files, f->file_ix))
		return 0;
	err = begin_once(o, any);
	if (err == 0)
		err = index_job_drop_file(o->index, f->row, &o->dropped_bytes);
	return err;
}

static int check_blobs(struct disk_open *o)
{
	bool any = false;
	int err = 0;

	for (uint32_t ix = 0;
	     ix < o->t->mi->n_files && o->own.n_set > 0 && err == 0; ix++)
		err = check_own(o, ix, &any);
	for (uint32_t i = 0; i < o->n_files && err == 0; i++)
		err = check_shared(o, i, &any);
	if (!any)
		return err;
	if (err == 0)
		err = index_job_commit(o->index);
	if (err != 0) {
		index_job_rollback(o->index);
		return err;
	}
	log_warn("store: %s: blobs are missing or short: %llu bytes forgotten",
		 o->t->hex, (unsigned long long)o->dropped_bytes);
	return 0;
}

void store_disk_job_open(struct job *job, struct worker_env *env)
{
	struct disk_open *o = CONTAINER_OF(job, struct disk_open, job);

	ASSERT_WORKER();
	if (o->err != 0)
		return;
	o->err = find_or_add(o);
	if (o->err == 0)
		o->err = join_files(o);
	if (o->err == 0)
		o->err = load_bits(o);
	if (o->err == 0)
		o->err = load_pins(o);
	if (o->err == 0)
		o->err = check_blobs(o);
	if (o->err == 0)
		sweep_job(o);
	if (o->err == 0 && !o->t->mi->has_v1)
		o->err = adopt_job(o);
}

/* ---- removing one ---- */

static int remove_rows(struct disk_remove *r, int64_t row, const char *dir)
{
	const struct tally_rows last = {.v = &r->tally, .n = r->has_tally};
	int err = index_job_begin(r->index);

	if (err == 0)
		err = disk_member_job(r->index, &r->members);
	if (err == 0)
		err = index_job_keep_tallies(r->index, &last);
	if (err == 0)
		err = index_job_depart(r->index, row);
	if (err == 0)
		err = index_job_remove(r->index, row, dir, &r->dropped_bytes);
	if (err == 0)
		err = index_job_commit(r->index);
	if (err != 0) {
		index_job_rollback(r->index);
		r->dropped_bytes = 0;
	}
	return err;
}

void store_disk_job_remove(struct job *job, struct worker_env *env)
{
	struct disk_remove *r = CONTAINER_OF(job, struct disk_remove, job);
	char dir[INDEX_PATH_BYTES], hex[TORRENT_HEX_BYTES];
	struct index_torrent known;
	struct traffic departed;

	ASSERT_WORKER();
	if (r->err != 0)
		return;
	r->err = index_job_find(r->index, &r->id, &known);
	if (r->err == ENOENT) { /* its adding has failed, or was cut short */
		snprintf(dir, sizeof(dir), "torrents/%s",
			 torrent_id_hex(&r->id, hex));
		(void)home_job_remove(r->home, dir);
	}
	if (r->err != 0)
		return;
	snprintf(dir, sizeof(dir), "torrents/%s",
		 torrent_id_hex(&known.id, hex));
	r->err = remove_rows(r, known.row, dir);
	if (r->err == 0 && index_job_departed(r->index, &departed) == 0)
		traffic_job_depart(r->home, &known.id, &departed);
	if (r->err == 0 && start_job_finish_leaving(r->index, r->home) != 0)
		log_debug("store: what was removed is tried again at the next "
			  "start");
}

/* A torrent may be gone that had the file, but not while this one holds it. */
static int drop_leaves(struct disk_forget *f)
{
	bool ignored;
	int err = index_job_begin(f->index);

	if (err == 0 && f->file.row == 0)
		err = index_job_find_file(f->index, f->root, f->file.bytes, 0,
					  &f->file.row, &ignored);
	if (err == ENOENT)
		err = 0; /* then it has none */
	if (err == 0)
		err = index_job_drop_leaves(f->index, &f->file, f->leaves.first,
					    f->leaves.n, &f->dropped_bytes);
	if (err == 0)
		err = index_job_commit(f->index);
	if (err != 0) {
		index_job_rollback(f->index);
		f->dropped_bytes = 0;
	}
	return err;
}

void store_disk_job_forget(struct job *job, struct worker_env *env)
{
	struct disk_forget *f = CONTAINER_OF(job, struct disk_forget, job);

	ASSERT_WORKER();
	if (f->is_own)
		f->err = index_job_drop(f->index, f->row, f->piece_ix,
					f->piece_bytes, &f->dropped_bytes);
	else if (f->leaves.n > 0)
		f->err = drop_leaves(f);
}

void store_disk_job_keep_pins(struct job *job, struct worker_env *env)
{
	struct disk_keep_pins *k =
		CONTAINER_OF(job, struct disk_keep_pins, job);

	ASSERT_WORKER();
	k->err = index_job_keep_pins(k->index, k->row, k->n_files, k->bits);
	if (k->err == 0)
		k->err = pins_job_keep(k->home, k->hex, k->n_files, k->bits);
}

void store_disk_job_load_note(struct job *job, struct worker_env *env)
{
	struct disk_note *n = CONTAINER_OF(job, struct disk_note, job);

	ASSERT_WORKER();
	n->err = home_job_read_note(n->home, n->name, &n->bytes, &n->len);
}

void store_disk_job_keep_note(struct job *job, struct worker_env *env)
{
	struct disk_note *n = CONTAINER_OF(job, struct disk_note, job);

	ASSERT_WORKER();
	n->err =
		home_job_keep_note(n->home, n->name, span_of(n->bytes, n->len));
}
