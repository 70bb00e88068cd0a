/* blob_job — files of pieces: opened, read, written, synced by a worker.
 *
 * Thread: workers and the store thread. Errors: EIO when a blob is not what
 * it must be (missing, short, no plain file); else what the system said. */
#ifndef SHOAL_CACHE_BLOB_JOB_H
#define SHOAL_CACHE_BLOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/sight.h"
#include "core/hash.h"
#include "core/metainfo.h"
#include "core/queue.h"
#include "core/worker.h"

struct blob;
struct blob_set;
struct lend_door;
struct piececheck;
struct shared_blob;

/* Where blobs lie. Read only while jobs run. */
struct blob_home {
	int dir_fd;	 /* names below are relative to this */
	const char *sub; /* "SUB/<file index>", or "." when they have names of
			    their own; or NULL, and then … */
	/* … these are foreign files, never written to. */
	const char *const *paths;
	/* NULL, or how these are opened (store_lend.h). */
	const struct lend_door *door;
};

enum blob_fd {
	BLOB_FD_NONE,  /* no file: the bytes are zeros */
	BLOB_FD_LOST,  /* it is not kept: EIO */
	BLOB_FD_LENT,  /* open already; the loop keeps it so */
	BLOB_FD_KEEP,  /* the job opens it, the loop takes it over */
	BLOB_FD_BRIEF, /* the job opens, syncs what it wrote, and closes */
};

/* The part of a read or a write that lies in one blob. */
struct blob_run {
	/* set before hand-over, then read only */
	uint64_t file_bytes;
	uint64_t off_bytes;
	uint32_t pos_bytes; /* in the caller's memory */
	uint32_t len_bytes;
	uint32_t file_ix;
	const struct blob_home *home;
	const char *name; /* of a shared blob; NULL: it is called by file_ix */
	enum blob_fd how;
	bool is_write;
	bool may_make; /* nothing in it is held, so it may be made or cut */
	/* loop only */
	struct blob_set *set;
	struct shared_blob *shared;
	struct blob *blob; /* for LENT and KEEP */
	/* reply */
	bool was_made;
	int fd; /* LENT: set before; KEEP: the reply, or -1 */
	struct glance look;
};

STAILQ_HEAD(vet_queue, blob_io);

/* A read or a write of one stretch of piece space; or a piece that is read to
 * be hashed (vet_job.h); or one that goes from a blob into
 * another. */
struct blob_io {
	struct job job;
	/* set before hand-over, then read only */
	uint8_t *dst;		  /* a read, or NULL: */
	const uint8_t *src;	  /* a write, or NULL: */
	struct piececheck *check; /* what the piece must be; of a vet, … */
	/* … of which this part goes to dst, if there is one. */
	uint32_t dst_at_bytes, dst_len_bytes;
	bool has_root; /* known: */
	uint8_t root[HASH_SHA256_BYTES];
	bool is_copy;	      /* runs[0] is read, and runs[1] written */
	bool is_hurried;      /* somebody waits */
	uint32_t len_bytes;   /* of all runs */
	struct vet_queue row; /* what goes with it (vet_job.h) */
	/* loop only */
	struct blob_set *set;	   /* held */
	STAILQ_ENTRY(blob_io) vet; /* in a queue, then in a row */
	void (*done)(struct blob_io *io);
	void (*read_done)(void *arg, int err); /* blobs_read's */
	void (*vetted)(void *arg, int err, enum piece_verdict verdict);
	void *arg;
	/* reply */
	int err;
	enum piece_verdict verdict; /* of a vet, when err is 0 */
	bool is_sync_lost; /* err is a sync's: others may have lost too */
	/* set before hand-over */
	uint32_t n_runs;
	struct blob_run runs[];
};

/* blob_job_run — job.run of a blob_io that is a read, a write or a copy. */
void blob_job_run(struct job *job, struct worker_env *env);

/* The same in steps, of a run that is read. blob_run_open … blob_run_read (from
 * its start on, wherever) … blob_run_close, which takes what became of it so
 * far, and says what did; it is not for one that could not be opened. */
int blob_run_open(struct blob_run *run);
int blob_run_read(const struct blob_run *run, uint32_t at_bytes, uint8_t *dst,
		  uint32_t len_bytes);
int blob_run_close(struct blob_run *run, int err);

/* blob_job_sync_dir — make the names in the directory durable. */
int blob_job_sync_dir(const struct blob_home *home);

/* blob_job_look — the stamp of a blob, called `name` or (NULL) by `file_ix`;
 * EIO when it is not there. */
int blob_job_look(const struct blob_home *home, const char *name,
		  uint32_t file_ix, struct stamp *out);

/* blob_job_is_free — has nobody the blob open? (whole_is_free) */
bool blob_job_is_free(const struct blob_home *home, const char *name,
		      uint32_t file_ix);

/* blob_job_punch — give back whole blocks of a blob, [off, off + len). 0 also
 * when it is not there; EBUSY: the kernel may read it (whole_job.h). `look`
 * was begun for a change. */
int blob_job_punch(const struct blob_home *home, const char *name,
		   uint32_t file_ix, uint64_t off_bytes, uint64_t len_bytes,
		   struct glance *look);

#endif
