/* store_disk_heal — a disk that failed, until it works again. Thread: loop. */
#ifndef SHOAL_CACHE_STORE_DISK_HEAL_H
#define SHOAL_CACHE_STORE_DISK_HEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

struct disk;
struct home;
struct index_db;
struct loop_timer;

struct disk_heal {
	struct job job;
	struct loop_timer *timer;
	uint64_t wait_ms; /* until it is tried (again) */
	bool is_ailing;	  /* said, and nothing was kept since */
	/* set before hand-over */
	struct index_db *index;
	const struct home *home;
	/* reply */
	int err;
};

int disk_heal_init(struct disk *d);
void disk_heal_fini(struct disk *d);

/* disk_fail — an error of unknown effect: nothing that is not durable is
 * believed, and nothing taken, until the disk works again. Said once. */
void disk_fail(struct disk *d, const char *what, int err);

/* disk_kept — a batch was synced and committed. */
void disk_kept(struct disk *d);

/* heal_job — does the disk work? The index is made certain. */
void heal_job(struct job *job, struct worker_env *env);

#endif
