/* verify_job — hash a piece by a worker, whole or part by part.
 *
 * Digests: of each 16 KiB of a piece, keyed (core/siphash.h); what tells later
 * which of two versions' blocks differ. They are made while the bytes are warm.
 *
 * Thread: verify_…_start loop; the rest a worker. */
#ifndef SHOAL_CACHE_VERIFY_JOB_H
#define SHOAL_CACHE_VERIFY_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/metainfo.h"
#include "core/queue.h"
#include "core/siphash.h"
#include "core/worker.h"

struct piececheck;

enum { VERIFY_BLOCK_BYTES = 16 << 10 };

/* Where digests go, one a block; or NULL for none. */
struct verify_digests {
	uint64_t *out;
	struct siphash_key key;
	bool also_if_right;
};

/* The hash that a v2 piece must have. */
struct verify_root {
	bool is_known; /* else as the metainfo itself has it */
	uint8_t hash[HASH_SHA256_BYTES];
};

STAILQ_HEAD(verify_list, verify_job);

/* Embedded in its owner. */
struct verify_job {
	struct job job;
	/* set before hand-over, then read only */
	const struct metainfo *mi; /* kept until `done` */
	const uint8_t *data;	   /* kept until `done` */
	uint32_t piece_ix;
	struct verify_digests digests;
	struct verify_root root;
	uint8_t *leaves; /* where the hashes of its v2 leaves go; NULL */
	/* verify_queue.c's own */
	void (*done)(struct job *job);
	struct verify_queue *queue;
	uint32_t row_bytes;	/* of those it may go with; 0: of none */
	struct verify_list row; /* with it, itself at the head */
	STAILQ_ENTRY(verify_job) link;
	/* reply */
	enum piece_verdict verdict;
};

/* verify_job_start — hash `data`, the whole of piece `ix`; `done` gets the job
 * back. Never fails. */
void verify_job_start(struct verify_job *v, struct workers *w,
		      void (*done)(struct job *job));

/* verify_row_run — job.run of the first of a row: those whose row_bytes are the
 * same, at most HASH_ROW_MAX, hashed side by side (core/hash_row.h). */
void verify_row_run(struct job *job, struct worker_env *env);

/* A part of a piece. Parts are multiples of 16 KiB but for the last, and come
 * in order, one at a time. */
struct verify_part {
	struct job job;
	/* set before hand-over, then read only */
	struct piececheck *check; /* NULL: digests only */
	const uint8_t *data;	  /* kept until `done` */
	uint32_t len_bytes;
	bool is_first;
	bool is_last;
	struct verify_digests
		digests;	 /* of this part; made if there is `out` */
	struct verify_root root; /* for the last one */
	/* reply, to the last one */
	enum piece_verdict verdict;
};

void verify_part_start(struct verify_part *v, struct workers *w,
		       void (*done)(struct job *job));

#endif
