/* closed_job — room made by what is kept of torrents that nobody has open: all
 * of a torrent's own pieces, or of a file, at once.
 *
 * Nobody reads it, so it goes before anything of those that are open; but not
 * what is pinned. The torrent itself stays remembered. As everywhere, the rows
 * go first; blobs that a crash leaves behind go when the torrent is opened.
 *
 * Threads: store. */
#include "cache/room_internal.h"

#include <errno.h>
#include <string.h>

#include "core/be.h"
#include "core/err.h"
#include "core/log.h"

static bool has_row(const int64_t *rows, uint32_t n, int64_t row)
{
	for (uint32_t i = 0; i < n; i++)
		if (rows[i] == row)
			return true;
	return false;
}

/* Its row was not known when the job was given out. */
static bool is_open_file(const struct room_closed *c, const char *path)
{
	char other[INDEX_PATH_BYTES];

	for (uint32_t i = 0; i < c->n_ids; i++)
		if (strcmp(index_file_path(
				   c->ids[i],
				   be64_get(c->ids[i] + HASH_SHA256_BYTES),
				   other),
			   path) == 0)
			return true;
	return false;
}

static int drop(struct room_closed *c, int64_t row, bool is_file)
{
	uint64_t change = 0;
	int err = index_job_begin(c->index);

	if (err == 0)
		err = is_file ? index_job_drop_file(c->index, row, &change)
			      : index_job_drop_held(c->index, row, &change);
	if (err == 0)
		err = index_job_commit(c->index);
	if (err == 0)
		c->dropped_bytes += change;
	else
		index_job_rollback(c->index);
	return err;
}

/* The rows of one owner, and what it has. */
static int let_go(struct room_closed *c, int64_t row, const char *path,
		  bool is_file)
{
	uint64_t before = room_job_path_bytes(c->home, path);
	int err = drop(c, row, is_file);

	if (err == 0)
		err = is_file ? home_job_remove(c->home, path)
			      : home_job_empty(c->home, path);
	if (err == 0)
		c->freed_bytes += before - room_job_path_bytes(c->home, path);
	return err;
}

static int go_on(struct room_closed *c, bool is_file)
{
	const int64_t *open = is_file ? c->files : c->torrents;
	uint32_t n = is_file ? c->n_files : c->n_torrents;
	char path[INDEX_PATH_BYTES];
	int64_t row = 0;
	int err = 0;

	while (err == 0 && c->freed_bytes < c->want_bytes) {
		err = is_file ? index_job_next_kept_file(c->index, &row, path)
			      : index_job_next_holder(c->index, &row, path);
		if (err == 0 && !has_row(open, n, row) &&
		    !(is_file && is_open_file(c, path)))
			err = let_go(c, row, path, is_file);
	}
	return err;
}

void room_job_closed(struct job *job, struct worker_env *env)
{
	struct room_closed *c = CONTAINER_OF(job, struct room_closed, job);

	ASSERT_WORKER();
	c->err = go_on(c, false);
	if (c->err == ENOENT)
		c->err = go_on(c, true);
	c->is_dry = c->err == ENOENT;
	if (c->is_dry)
		c->err = 0;
	if (c->err != 0)
		log_debug("store: what is not open cannot go: %s",
			  err_text(c->err));
	room_job_measure(c->home, &c->free_bytes, &c->index_bytes);
}
