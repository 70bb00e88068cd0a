/* home_job — the store's directory: whose it is, who has it, and the info
 * dictionaries in it.
 *
 * Thread: store. Errors: see store_disk_new. */
#ifndef SHOAL_CACHE_HOME_JOB_H
#define SHOAL_CACHE_HOME_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct home {
	char *path;	 /* absolute, without links */
	int dir_fd;	 /* DIR */
	int torrents_fd; /* DIR/torrents */
	int lock_fd;	 /* DIR/lock; holds the lock */
};

/* home_job_open — make it when it is missing, check whose it is, lock it.
 * `why` gets the reason for a person, without the directory. */
int home_job_open(const char *dir, struct home *h, char why[160]);
void home_job_close(struct home *h);

/* home_job_read_info — the info dictionary kept under `hex`; gives. ENOENT. */
int home_job_read_info(const struct home *h, const char *hex, uint8_t **out,
		       size_t *len);

/* home_job_keep_info — make sure that directory `hex` has it; durable. */
int home_job_keep_info(const struct home *h, const char *hex, struct span info);

#endif
