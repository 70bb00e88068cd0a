/* store_lend_internal — for store_lend*.c. */
#ifndef SHOAL_CACHE_STORE_LEND_INTERNAL_H
#define SHOAL_CACHE_STORE_LEND_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/blobs.h"
#include "cache/stamp.h"
#include "cache/store_lend.h"
#include "cache/store_ops.h"
#include "core/bits.h"
#include "core/loop.h"
#include "core/queue.h"
#include "core/torrent_id.h"
#include "core/worker.h"

struct lend_torrent;

/* A directory, for as long as the store is: torrents have it in common. */
struct lend_dir {
	LIST_ENTRY(lend_dir) link;
	char *path;
	int fd; /* -1: it could not be opened */
};

/* That a torrent has one, whether it is open or not. */
struct lent {
	TAILQ_ENTRY(lent) link;
	struct torrent_id id;
	struct lend_dir *dir;
	uint64_t bytes; /* that were right when its note was written last */
};

struct lend {
	struct store base;
	struct store_ops ops; /* without those that `below` lacks */
	struct loop *loop;
	struct workers *workers, *thread;
	struct store *below;
	struct lend_door door;
	struct blobs blobs; /* the user's files that are open */
	LIST_HEAD(, lend_dir) dirs;
	TAILQ_HEAD(, lent) lents;
	LIST_HEAD(, lend_torrent) torrents; /* that are open */
	unsigned n_sets;		    /* of torrents, not yet idle */
	bool is_listed;			    /* the list was read */
};

/* A file as the user has it. */
struct lend_file {
	char *path; /* below the folder; NULL: no such file is looked for */
	uint64_t len_bytes;
	struct stamp looked; /* as it was at the last look */
};

/* A torrent that is open. The lists of pieces: `right` are read from the user's
 * files, and none of them was put into the store below; `doubtful` are some of
 * these; `offered` are none of them. */
struct lend_torrent {
	struct store_torrent base;
	LIST_ENTRY(lend_torrent) link;
	struct lend *l; /* Owner */
	struct store_torrent *below;
	const struct metainfo *mi;
	const struct store_share_ops *share; /* NULL: nobody watches */
	void *share_arg;
	store_open_fn *open_done; /* NULL: it was told */
	void *open_arg;
	struct bits held; /* the store below's, until then */
	bool is_closed;
	/* if there is a directory */
	struct lent *lent;
	struct blob_set set;
	bool has_set;
	struct lend_file *files; /* n_files */
	uint32_t n_files;
	const char **paths; /* of them, as the set wants them */
	uint32_t skip;	    /* a path begins so far in: the top's own */
	uint32_t note_skip; /* … as it was noted */
	struct bits there;  /* files */
	struct bits gone;   /* files that were lost since the last turn */
	struct bits right, doubtful, offered; /* pieces */
	bool is_looking;
	bool is_look_due; /* once more, when that is over */
	bool is_dirty;	  /* the note is not as it should be */
	uint32_t look_ms; /* how long to wait before the next look */
	struct loop_task lost_task;
	struct loop_timer *look_timer;
	struct loop_timer *note_timer;
};

static inline struct lend_torrent *lend_torrent_of(struct store_torrent *st)
{
	return CONTAINER_OF(st, struct lend_torrent, base);
}

/* ---- store_lend_files.c: the files of one torrent ---- */

/* lend_files_open — its directory is t->lent's; when it was looked through,
 * lend_opened. 0 or ENOMEM, and then nothing was begun. */
int lend_files_open(struct lend_torrent *t);
void lend_opened(struct lend_torrent *t);

/* lend_files_look — look again. _close: no more calls; the set's on_idle
 * follows. _fini: free what it has. */
void lend_files_look(struct lend_torrent *t);
void lend_files_close(struct lend_torrent *t);
void lend_files_fini(struct lend_torrent *t);

/* lend_files_on_changed — as blobs has it. */
void lend_files_on_changed(struct watched *w, bool is_lost);

int lend_files_vet(struct lend_torrent *t, uint32_t piece_ix,
		   const struct vet_ask *ask, store_read_fn *done, void *arg);

/* lend_files_drop — a piece is lent no more, nor offered. */
void lend_files_drop(struct lend_torrent *t, uint32_t piece_ix);

/* ---- store_lend_note.c: what is remembered ---- */

/* lend_note_load — `done` says what was known of the files when they were seen
 * last: t->right, t->skip, and of each file `looked`, and `there`. 0 or ENOMEM.
 * lend_note_keep — write it down. _dirty: by and by. */
int lend_note_load(struct lend_torrent *t,
		   void (*done)(struct lend_torrent *t));
void lend_note_keep(struct lend_torrent *t);
void lend_note_dirty(struct lend_torrent *t);

/* lend_list_load — at the start, and it blocks. 0 or ENOMEM. _keep: as
 * store_keep_note. */
int lend_list_load(struct lend *l);
int lend_list_keep(struct lend *l, store_done_fn *done, void *arg);

/* lend_note_forget — what was noted of this torrent. */
void lend_note_forget(struct lend *l, const struct torrent_id *id);

/* ---- store_lend_below.c ---- */

/* Those that are not about what is lent; the others are NULL. */
extern const struct store_ops lend_below_ops;

/* ---- store_lend.c ---- */

struct lent *lend_find(const struct lend *l, const struct torrent_id *id);

/* lend_enter — one more in the list. NULL: no memory. */
struct lent *lend_enter(struct lend *l, const struct torrent_id *id,
			const char *dir);

/* ---- lend_job.c ---- */

struct lend_look {
	struct job job;
	/* set before hand-over, then read only */
	struct lend_torrent *t; /* its files, dir; and held by its set */
	uint32_t n_files;
	int dir_fd;
	uint32_t top_bytes; /* lend_top_bytes */
	/* reply */
	uint32_t skip;
	struct bits there;
	struct stamp *now;
};

/* lend_job_look — job.run: which of the files are there, and how they are. */
void lend_job_look(struct job *job, struct worker_env *env);

#endif
