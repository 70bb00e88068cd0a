/* pins_job — the set of a torrent's pinned files, in a file beside its blobs:
 * what the index says of it, should that be lost. Thread: store. */
#ifndef SHOAL_CACHE_PINS_JOB_H
#define SHOAL_CACHE_PINS_JOB_H

#include <stdint.h>

struct home;

/* pins_job_keep — that set, in wire order; NULL: none. Durable. Does nothing
 * when the file says so already. */
int pins_job_keep(const struct home *h, const char *hex, uint32_t n_files,
		  const uint8_t *bits);

/* pins_job_load — ENOENT: none; EBADMSG: it makes no sense. */
int pins_job_load(const struct home *h, const char *hex, uint32_t n_files,
		  uint8_t *bits);

#endif
