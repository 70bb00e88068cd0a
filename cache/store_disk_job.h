/* store_disk_job — the jobs of the store thread for the life of a disk store
 * and of its torrents: what each is given, and what it replies.
 *
 * Thread: store; the structs are the loop's before and after. */
#ifndef SHOAL_CACHE_STORE_DISK_JOB_H
#define SHOAL_CACHE_STORE_DISK_JOB_H

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
	int err;
};

struct disk_stop {
	struct job job;
	struct home *home;
	struct index_db *index;
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
	uint64_t dropped_bytes;
	uint64_t added_bytes;
	int err; /* set before hand-over: there is nothing to do */
};

struct disk_remove {
	struct job job;
	struct disk *disk;
	struct index_db *index;
	const struct home *home;
	struct torrent_id id;
	store_done_fn *done;
	void *arg;
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
	void *arg;
	/* a load's reply, or what is to be kept */
	uint8_t *bytes;
	size_t len;
	int err;
};

/* store_disk_note.c */
int disk_load_note(struct store *s, const char *name, store_info_fn *done,
		   void *arg);
int disk_keep_note(struct store *s, const char *name, struct span note);

void store_disk_job_load_note(struct job *job, struct worker_env *env);
void store_disk_job_keep_note(struct job *job, struct worker_env *env);
void store_disk_job_start(struct job *job, struct worker_env *env);
void store_disk_job_stop(struct job *job, struct worker_env *env);
void store_disk_job_load_info(struct job *job, struct worker_env *env);
void store_disk_job_open(struct job *job, struct worker_env *env);
void store_disk_job_remove(struct job *job, struct worker_env *env);
void store_disk_job_forget(struct job *job, struct worker_env *env);
void store_disk_job_keep_pins(struct job *job, struct worker_env *env);

/* ---- adopt_job.c ---- */

/* adopt_job — give a v2-only torrent's own blobs to whoever has the files. */
int adopt_job(struct disk_open *o);

#endif
