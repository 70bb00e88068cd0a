/* store_disk_job — the jobs of the store thread for the life of a disk store
 * and of its torrents: what each is given, and what it replies.
 *
 * Thread: store; the structs are the loop's before and after. */
#ifndef SHOAL_CACHE_STORE_DISK_JOB_H
#define SHOAL_CACHE_STORE_DISK_JOB_H

#include "cache/doubt_job.h"
#include "cache/store_disk_internal.h"

struct disk_start {
	struct job job;
	const char *dir;
	char *why;
	bool is_done;
	/* reply */
	struct home home;
	struct index_db *index;
	uint64_t held_bytes;
	uint64_t blob_bytes; /* what blobs and hash trees take */
	uint64_t free_bytes, index_bytes;
	struct tally_rows tallies;
	struct traffic departed;
	bool is_made_anew;
	int err;
};

struct disk_held {
	struct torrent_id id;
	uint64_t bytes;
};

struct disk_each_held {
	struct job job;
	struct index_db *index;
	bool is_done;
	/* reply */
	struct disk_held *held;
	size_t n, room;
	int err;
};

struct disk_stop {
	struct job job;
	struct home *home;
	struct index_db *index;
	struct tally_rows tallies;
	bool is_done;
};

struct disk_load_info {
	struct job job;
	struct index_db *index;
	const struct home *home;
	struct torrent_id id;
	store_info_fn *done;
	void *arg;
	/* reply */
	uint8_t *info;
	size_t len;
	int err;
};

/* A file with a root, as the index has it. */
struct opened_file {
	int64_t row;
	struct bits leaves; /* no data: none */
	bool is_loaded;	    /* set before hand-over: others have it open */
	bool may_sweep;	    /* the same: nobody else writes to its blob */
	bool is_adopted;    /* the torrent's own blob is everybody's now */
};

struct disk_open {
	struct job job;
	struct disk *disk;
	struct index_db *index;
	const struct home *home;
	struct disk_torrent *t;
	int64_t now_s;
	store_open_fn *done;
	void *arg;
	STAILQ_ENTRY(disk_open) parked;
	/* reply */
	struct bits own;
	struct bits agreed;	   /* of a hybrid */
	struct opened_file *files; /* one a file, if the torrent has v2 */
	struct opened_blob *blobs; /* those in which something is held */
	uint32_t n_blobs, blobs_room;
	uint64_t dropped_bytes;
	uint64_t added_bytes;
	uint64_t swept_bytes;
	bool may_sweep; /* set before hand-over: its own blobs likewise */
	int err;	/* set before hand-over: there is nothing to do */
};

struct disk_remove {
	struct job job;
	struct disk *disk;
	struct index_db *index;
	const struct home *home;
	struct torrent_id id;
	store_done_fn *done;
	void *arg;
	struct tally_row tally; /* all that was counted */
	bool has_tally;
	STAILQ_ENTRY(disk_remove) waiting;
	/* reply */
	uint64_t dropped_bytes;
	int err; /* set before hand-over: there is nothing to do */
};

struct disk_forget {
	struct job job;
	struct disk *disk;
	struct disk_torrent *t; /* held */
	struct index_db *index;
	int64_t row;
	uint32_t piece_ix;
	uint32_t piece_bytes;
	bool is_own;
	struct joint_piece leaves; /* n 0: none */
	struct index_file file;	   /* theirs */
	/* reply */
	uint64_t dropped_bytes;
	int err;
};

struct disk_keep_pins {
	struct job job;
	struct disk *disk;
	struct index_db *index;
	const struct home *home;
	char hex[TORRENT_HEX_BYTES];
	int64_t row;
	uint32_t n_files;
	uint8_t *bits; /* NULL: none */
	int err;       /* reply */
};

struct disk_note {
	struct job job;
	const struct home *home;
	const char *name;
	store_info_fn *done; /* of a load */
	store_done_fn *kept; /* NULL: nobody asks */
	void *arg;
	/* a load's reply, or what is to be kept */
	uint8_t *bytes;
	size_t len;
	int err;
};

/* store_disk_note.c */
int disk_load_note(struct store *s, const char *name, store_info_fn *done,
		   void *arg);
int disk_keep_note(struct store *s, const char *name, struct span note,
		   store_done_fn *done, void *arg);

void store_disk_job_load_note(struct job *job, struct worker_env *env);
void store_disk_job_keep_note(struct job *job, struct worker_env *env);
void store_disk_job_each_held(struct job *job, struct worker_env *env);
void store_disk_job_load_info(struct job *job, struct worker_env *env);
void store_disk_job_open(struct job *job, struct worker_env *env);
void store_disk_job_remove(struct job *job, struct worker_env *env);
void store_disk_job_forget(struct job *job, struct worker_env *env);
void store_disk_job_keep_pins(struct job *job, struct worker_env *env);

/* ---- start_job.c ---- */

void start_job(struct job *job, struct worker_env *env);
void stop_job(struct job *job, struct worker_env *env);

/* start_job_finish_leaving — remove, or rename, what is written down as
 * leaving; what cannot go stays written down for the next start. */
int start_job_finish_leaving(struct index_db *index, const struct home *home);

/* ---- adopt_job.c ---- */

/* adopt_job — give a v2-only torrent's own blobs to whoever has the files. */
int adopt_job(struct disk_open *o);

/* ---- sweep_job.c ---- */

/* sweep_job — the blobs of a torrent that is being opened. What is punched is
 * added to o->swept_bytes. Failures leave things as they are. */
void sweep_job(struct disk_open *o);

#endif
