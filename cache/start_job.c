/* start_job — the first job of a store, and its last.
 *
 * Starting
 *   1. the directory is looked at and locked (home_job.c).
 *   2. the index is opened. One that is damaged, or lacks its log, is put aside
 *      (aside_job.c), and then there is none.
 *   3. there is none: another is made under another name (rebuild_job.c), and
 *      renamed when it is whole; a process that is killed meanwhile begins
 *      again. A new store's is made in the same way, of nothing.
 *   4. what was on its way out goes; and, if the process before was killed,
 * what it had written to and no row speaks of (orphan_job.c).
 *
 * Stopping: that it has ended is written down, and then the log goes. If it
 * cannot be, on a disk that is full, the log stays, and the next start is one
 * after a kill: it loses nothing. The same when a start fails, for the process
 * before it may have been killed.
 *
 * Failure modes: a start that fails lets go of everything it took. An index
 * that cannot be opened for another reason (locked, read-only, newer) is left
 * as it is, and the reason told.
 *
 * Threads: store. */
#include "cache/store_disk_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/aside_job.h"
#include "cache/index_job.h"
#include "cache/orphan_job.h"
#include "cache/rebuild_job.h"
#include "cache/store_disk_tally.h"
#include "cache/traffic_job.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"

enum { WHY_BYTES = 160 };

static int open_index(struct disk_start *s, const char *name, bool is_new,
		      struct index_db **out)
{
	size_t len = strlen(s->home.path) + strlen(name) + 2;
	char *path = mem_alloc(len);
	int err;

	if (path == NULL)
		return ENOMEM;
	snprintf(path, len, "%s/%s", s->home.path, name);
	err = index_job_open(path, is_new, out, s->why);
	mem_free(path);
	return err;
}

/* ---- another one ---- */

/* One line of what happened; of a store that is new there is nothing to say. */
static void tell(const struct disk_start *s, const char *aside,
		 const struct rebuilt *sum)
{
	char kept[ASIDE_NAME_BYTES + 16] = "";

	if (aside[0] != '\0')
		snprintf(kept, sizeof(kept), ", and kept as %s", aside);
	if (sum->torrents == 0 && aside[0] == '\0' && s->why[0] == '\0')
		return;
	log_warn("store %s: %s%s: made anew from what lies beside it: %" PRIu64
		 " torrents; %" PRIu64 " MiB are hashed before they are used",
		 s->home.path, s->why[0] != '\0' ? s->why : "there is no index",
		 kept, sum->torrents, (sum->held_bytes + (1 << 20) - 1) >> 20);
}

static int fill_new(struct disk_start *s, struct hasher *hasher,
		    struct rebuilt *sum)
{
	struct index_db *db;
	int err = aside_job_make_new(&s->home);

	if (err == 0)
		err = open_index(s, ASIDE_NEW, true, &db);
	if (err != 0)
		return err;
	err = rebuild_job(db, &s->home, hasher, sum);
	index_job_close(db);
	return err != 0 ? err : aside_job_take_new(&s->home);
}

/* `s->why`: what was wrong with the old one. */
static int make_index(struct disk_start *s, struct hasher *hasher)
{
	char aside[ASIDE_NAME_BYTES], wrong[WHY_BYTES];
	struct rebuilt sum;
	int err = aside_job_put(&s->home, aside);

	snprintf(wrong, sizeof(wrong), "%s", s->why);
	s->why[0] = '\0';
	if (err == 0)
		err = fill_new(s, hasher, &sum);
	if (err != 0) {
		if (s->why[0] == '\0')
			snprintf(s->why, WHY_BYTES,
				 "the index cannot be made anew: %s",
				 err_text(err));
		return err == EBADMSG ? EIO : err;
	}
	snprintf(s->why, WHY_BYTES, "%s", wrong);
	tell(s, aside, &sum);
	s->is_remade = true;
	s->is_made_anew = sum.held_bytes > 0;
	s->why[0] = '\0';
	return open_index(s, "index.db", false, &s->index);
}

static int find_index(struct disk_start *s, struct hasher *hasher)
{
	int err;

	if (!aside_job_has_index(&s->home))
		return make_index(s, hasher);
	err = aside_job_may_write(&s->home);
	if (err != 0) {
		snprintf(s->why, WHY_BYTES, "index.db cannot be written: %s",
			 err_text(err));
		return err;
	}
	err = EBADMSG;
	if (aside_job_lacks_log(&s->home))
		snprintf(s->why, WHY_BYTES,
			 "the index is damaged: index.db-wal was removed");
	else
		err = open_index(s, "index.db", false, &s->index);
	return err == EBADMSG ? make_index(s, hasher) : err;
}

/* ---- the jobs ---- */

int start_job_finish_leaving(struct index_db *index, const struct home *home)
{
	char path[INDEX_PATH_BYTES] = "", heir[INDEX_PATH_BYTES];
	int err;

	while ((err = index_job_next_leaving(index, path, heir)) == 0) {
		if (heir[0] != '\0')
			err = home_job_move(home, path, heir, true);
		else
			err = home_job_remove(home, path);
		if (err == 0 || err == ENOENT)
			err = index_job_stay(index, path);
		if (err != 0)
			log_warn("store: %s cannot go: %s", path,
				 err_text(err));
	}
	return err == ENOENT ? 0 : err;
}

void start_job(struct job *job, struct worker_env *env)
{
	struct disk_start *s = CONTAINER_OF(job, struct disk_start, job);

	ASSERT_WORKER();
	s->err = home_job_open(s->dir, &s->home, s->why);
	if (s->err != 0)
		return;
	s->err = find_index(s, env->hasher);
	if (s->err != 0)
		goto close_home;
	if (s->home.was_open && !s->is_remade)
		orphan_job(s->index, &s->home);
	s->err = start_job_finish_leaving(s->index, &s->home);
	if (s->err == 0)
		s->err = index_job_held_bytes(s->index, &s->held_bytes);
	if (s->err == 0)
		s->err = tally_job_load(s->index, &s->tallies, &s->departed);
	if (s->err != 0)
		goto close_index;
	traffic_job_agree(&s->home, &s->tallies, &s->departed);
	aside_job_note_open(&s->home);
	s->blob_bytes = room_job_blob_bytes(&s->home);
	room_job_measure(&s->home, &s->free_bytes, &s->index_bytes);
	return;
close_index:
	index_job_keep_log(s->index);
	index_job_close(s->index);
close_home:
	home_job_close(&s->home);
}

void stop_job(struct job *job, struct worker_env *env)
{
	struct disk_stop *s = CONTAINER_OF(job, struct disk_stop, job);

	ASSERT_WORKER();
	(void)tally_job_write(s->index, s->home, &s->tallies);
	if (aside_job_note_closed(s->home) != 0)
		index_job_keep_log(s->index);
	index_job_close(s->index);
	home_job_close(s->home);
}
