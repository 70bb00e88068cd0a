/* verify_queue — whole pieces that wait to be hashed, so that as many go side
 * by side as there are (core/hash_row.h). A value of its owner's, who lives
 * until every `done` has run. Thread: loop. */
#ifndef SHOAL_CACHE_VERIFY_QUEUE_H
#define SHOAL_CACHE_VERIFY_QUEUE_H

#include "cache/verify_job.h"

enum { VERIFY_COMPANY = 4 };

struct verify_queue {
	/* kept, from the first that is added; NULL: none was yet */
	struct loop *loop;
	struct workers *workers;
	struct loop_timer *timer;
	struct verify_list waiting;
	unsigned n_waiting, n_jobs;
	bool is_hurried; /* all that wait may go */
	/* When the last ones were added, in a ring. */
	uint64_t added_us[VERIFY_COMPANY];
	unsigned n_added;
};

void verify_queue_init(struct verify_queue *q);
void verify_queue_fini(struct verify_queue *q);

/* verify_queue_add — as verify_job_start; the loop and the pool are always the
 * same ones. verify_queue_hurry — somebody waits for one that was added. */
void verify_queue_add(struct verify_queue *q, struct verify_job *v,
		      struct loop *loop, struct workers *w,
		      void (*done)(struct job *job));
void verify_queue_hurry(struct verify_queue *q);

#endif
