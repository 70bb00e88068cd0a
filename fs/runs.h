/* runs — the places at which one open file is being read, each with its own
 * read-ahead window (ahead.h). Pure. Which read belongs where, and when a place
 * is given up, is in runs.c's essay. */
#ifndef SHOAL_FS_RUNS_H
#define SHOAL_FS_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/ahead.h"

enum { RUNS_MAX = 4 };

struct run {
	struct ahead ahead;
	uint64_t used; /* number of the last read here; 0: the place is free */
	bool is_resumed;
};

struct runs {
	struct run run[RUNS_MAX];
	uint64_t n_reads;
	unsigned at; /* where the last read was */
};

void runs_init(struct runs *rs);

/* runs_on_read — a read of [off, off + len) of a file of `size` bytes. A bit
 * for each run whose window changed. */
unsigned runs_on_read(struct runs *rs, uint64_t off_bytes, uint32_t len_bytes,
		      uint64_t size_bytes, const struct ahead_net *net);

/* runs_owe — the last read of [off, off + len) was not answered (ahead_owe). A
 * bit for each run whose window changed. */
unsigned runs_owe(struct runs *rs, uint64_t off_bytes, uint32_t len_bytes);

#endif
