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
	bool is_remade; /* the index was lost, or is new */
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
	uint32_t file_ix; /* the first that is this one */
	int64_t row;
	struct bits leaves; /* no data: none */
	bool is_adopted;    /* the torrent's own blob is everybody's now */
	bool was_there;	    /* loop only: others have it open */
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
	struct opened_file *files; /* of which the index has a row */
	uint32_t n_files, files_room;
	struct opened_blob *blobs; /* those in which something is held */
	uint32_t n_blobs, blobs_room;
	uint64_t dropped_bytes;
	uint64_t added_bytes;
	uint64_t swept_bytes;
	int err; /* set before hand-over: there is nothing to do */
	/* set before hand-over: */
	bool may_sweep;		/* nobody else writes to its own blobs, */
	bool may_sweep_files;	/* or to those of its files … */
	struct bits busy_files; /* … but these; no data: v1 alone */
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
	struct member_rows members; /* of others, which stay */
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
	struct index_file file;	   /* theirs; row 0: not known */
	uint8_t root[HASH_SHA256_BYTES];
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

/* ---- store_disk_job.c ---- */

/* store_disk_job_add_file — one more in o->files; NULL: no memory. */
struct opened_file *store_disk_job_add_file(struct disk_open *o,
					    uint32_t file_ix, int64_t row);

/* ---- adopt_job.c ---- */

/* adopt_job — give a v2-only torrent's own blobs to whoever has the files. */
int adopt_job(struct disk_open *o);

/* ---- sweep_job.c ---- */

/* sweep_job — the blobs of a torrent that is being opened. What is punched is
 * added to o->swept_bytes. Failures leave things as they are. */
void sweep_job(struct disk_open *o);

#endif
