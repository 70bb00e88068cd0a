/* webseed_run — blocks that lie one behind the other, from a web seed. For
 * webseed.c. Thread: loop. */
#ifndef SHOAL_NET_WEBSEED_RUN_H
#define SHOAL_NET_WEBSEED_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "net/wire.h"

struct webseed;
struct webseed_run;

/* webseed_run_block — the block that begins at this byte of piece space. */
struct wire_block webseed_run_block(const struct webseed *ws,
				    uint64_t at_bytes);

/* webseed_run_start — get [at, end), which begins and ends with a block and
 * has no gap. What goes wrong goes to webseed_fail. */
void webseed_run_start(struct webseed_run *run, uint64_t at_bytes,
		       uint64_t end_bytes);

bool webseed_run_is_active(const struct webseed_run *run);

/* webseed_run_is_wanted — does anybody wait for anything it still brings? */
bool webseed_run_is_wanted(const struct webseed_run *run);

/* webseed_run_end — what it still owes is free for others. Not from libcurl's
 * stack. */
void webseed_run_end(struct webseed_run *run);

#endif
