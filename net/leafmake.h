/* leafmake — the leaves of a piece that we hold, read and hashed a part at a
 * time, by workers. Thread: loop; leafmake_job_run: worker. */
#ifndef SHOAL_NET_LEAFMAKE_H
#define SHOAL_NET_LEAFMAKE_H

#include <stdint.h>

#include "core/worker.h"

struct leafmake;
struct metainfo;
struct pieces;

/* How it ended: 0 and the `n` leaves, lent; ENOMEM; or what pieces_read said.
 */
typedef void leafmake_fn(void *arg, int err, const uint8_t *leaves, uint32_t n);

struct leafmake {
	struct job job;
	/* set before hand-over, then read only */
	const uint8_t *data; /* the part at hand */
	uint32_t data_bytes;
	uint8_t *out; /* its leaves; worker only while it has it */
	/* loop only */
	struct pieces *ps;
	struct workers *workers;
	uint64_t off_bytes; /* of the piece, in piece space */
	uint32_t len_bytes; /* of it, as far as its file goes */
	uint32_t at_bytes;
	uint8_t *part, *leaves;
	leafmake_fn *done;
	void *arg; /* NULL: nobody wants to know any more */
};

/* leafmake_start — of a piece in have; `done` as STYLE habit 21 has it. 0, or
 * ENOENT, ENOMEM. The metainfo is only read now. */
int leafmake_start(struct pieces *ps, struct workers *workers,
		   const struct metainfo *mi, uint32_t piece_ix,
		   leafmake_fn *done, void *arg, struct leafmake **out);

/* leafmake_cancel — done will not run; it ends by itself. */
void leafmake_cancel(struct leafmake *lm);

void leafmake_job_run(struct job *job, struct worker_env *env);

#endif
