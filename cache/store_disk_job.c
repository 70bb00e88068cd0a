/* store_disk_job — what the store thread does for the life of a store and of
 * its torrents.
 *
 * Purpose: each function here is one job's `run`, and puts together what
 * home_job (the directory), index_job (the rows) and blob_job (the files) do.
 *
 * Opening a torrent
 *   1. look for its row; when there is none, keep its info dictionary first
 *      and write the row then: a row never lacks its dictionary.
 *   2. load its bits, and which files are pinned.
 *   3. look at each blob in which something is held. One that is missing or
 *      short loses all its pieces: the rows go before anybody hears of them.
 *      Nothing is hashed: what was committed was synced before.
 *
 * Failure modes: a start that fails lets go of everything it took. An info
 * dictionary without a row is found again by the next open.
 *
 * Threads: store. */
#include "cache/store_disk_internal.h"

#include <errno.h>
#include <stdio.h>

#include "cache/extent.h"
#include "cache/index_job.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* ---- the store ---- */

static int open_index(struct disk_start *s)
{
	size_t len = strlen(s->home.path) + sizeof("/index.db");
	char *path = mem_alloc(len);
	int err;

	if (path == NULL)
		return ENOMEM;
	snprintf(path, len, "%s/index.db", s->home.path);
	err = index_job_open(path, &s->index, s->why);
	mem_free(path);
	return err;
}

void store_disk_job_start(struct job *job, struct worker_env *env)
{
	struct disk_start *s = CONTAINER_OF(job, struct disk_start, job);

	ASSERT_WORKER();
	s->err = home_job_open(s->dir, &s->home, s->why);
	if (s->err != 0)
		return;
	s->err = open_index(s);
	if (s->err != 0)
		goto close_home;
	s->err = index_job_held_bytes(s->index, &s->held_bytes);
	if (s->err != 0)
		goto close_index;
	return;
close_index:
	index_job_close(s->index);
close_home:
	home_job_close(&s->home);
}

void store_disk_job_stop(struct job *job, struct worker_env *env)
{
	struct disk_stop *s = CONTAINER_OF(job, struct disk_stop, job);

	ASSERT_WORKER();
	index_job_close(s->index);
	home_job_close(s->home);
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
		return index_job_add(o->index, t->mi, o->now_s, &t->row);
	if (err != 0)
		return err;
	if (!torrent_id_matches(&known.id, &t->id))
		return EBADMSG;
	t->row = known.row;
	t->base.added_s = known.added_s;
	return 0;
}

static int load_bits(struct disk_open *o)
{
	size_t len = bits_bytes(o->held.n);
	uint8_t *bits = mem_alloc(len);
	int err;

	if (bits == NULL)
		return ENOMEM;
	err = index_job_load(o->index, o->t->row, o->held.n, bits);
	if (err == 0)
		err = bits_load(&o->held, bits, len);
	mem_free(bits);
	return err;
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
	mem_free(bits);
	return err == ENOENT ? 0 : err;
}

static bool is_whole(const struct disk_open *o, uint32_t file_ix)
{
	uint64_t size;

	return blob_job_size(&o->t->blobs.home, file_ix, &size) == 0 &&
	       size >= o->t->mi->files[file_ix].len_bytes;
}

/* The rows of what file `ix` has lost; `*any` says if a transaction is open. */
static int drop_pieces(struct disk_open *o, uint32_t first, uint32_t last,
		       bool *any)
{
	int err = 0;

	if (!*any)
		err = index_job_begin(o->index);
	if (err != 0)
		return err;
	*any = true;
	for (uint32_t ix = bits_next(&o->held, first); ix <= last && err == 0;
	     ix = bits_next(&o->held, ix + 1)) {
		if (ix >= o->held.n)
			break;
		bits_clear(&o->held, ix);
		err = index_job_drop(o->index, o->t->row, ix,
				     metainfo_piece_bytes(o->t->mi, ix),
				     &o->dropped_bytes);
	}
	return err;
}

static int check_file(struct disk_open *o, uint32_t file_ix, bool *any)
{
	const struct mi_file *f = &o->t->mi->files[file_ix];
	uint32_t first, last;

	if (f->len_bytes == 0 || (f->attr & MI_ATTR_PAD))
		return 0;
	first = extent_pieces(o->t->mi, file_ix, &last);
	if (bits_next(&o->held, first) > last)
		return 0;
	if (is_whole(o, file_ix)) {
		bits_set(&o->t->blobs.made, file_ix);
		return 0;
	}
	return drop_pieces(o, first, last, any);
}

static int check_blobs(struct disk_open *o)
{
	uint32_t before = o->held.n_set;
	bool any = false;
	int err = 0;

	for (uint32_t ix = 0; ix < o->t->mi->n_files && err == 0; ix++)
		err = check_file(o, ix, &any);
	if (!any)
		return err;
	if (err == 0)
		err = index_job_commit(o->index);
	if (err != 0) {
		index_job_rollback(o->index);
		return err;
	}
	log_warn("store: %s: blobs are missing or short: %u pieces forgotten",
		 o->t->hex, before - o->held.n_set);
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
		o->err = load_bits(o);
	if (o->err == 0)
		o->err = load_pins(o);
	if (o->err == 0)
		o->err = check_blobs(o);
}

void store_disk_job_forget(struct job *job, struct worker_env *env)
{
	struct disk_forget *f = CONTAINER_OF(job, struct disk_forget, job);

	ASSERT_WORKER();
	f->err = index_job_drop(f->index, f->row, f->piece_ix, f->piece_bytes,
				&f->dropped_bytes);
}

void store_disk_job_keep_pins(struct job *job, struct worker_env *env)
{
	struct disk_keep_pins *k =
		CONTAINER_OF(job, struct disk_keep_pins, job);

	ASSERT_WORKER();
	k->err = index_job_keep_pins(k->index, k->row, k->n_files, k->bits);
}
