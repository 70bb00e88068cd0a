/* webseed_tail — what becomes of runs that nobody wants any more, and of the
 * connections that they are on. For webseed.c. Thread: loop. */
#ifndef SHOAL_NET_WEBSEED_TAIL_H
#define SHOAL_NET_WEBSEED_TAIL_H

#include <stdbool.h>
#include <stdint.h>

struct webseed;

/* webseed_tail_bytes — what tails still bring. */
uint64_t webseed_tail_bytes(const struct webseed *ws);

/* webseed_tail_active — runs, tails or not. */
unsigned webseed_tail_active(const struct webseed *ws);

/* webseed_tail_settle — runs that nobody wants are tails from now on, or end.
 * How many are active then. */
unsigned webseed_tail_settle(struct webseed *ws);

/* webseed_tail_may_start — a run may start now: it has a connection, or none
 * will be free soon. webseed_tail_on_start — it did. */
bool webseed_tail_may_start(const struct webseed *ws, bool is_urgent);
void webseed_tail_on_start(struct webseed *ws);

/* webseed_tail_has_lines — it has connections that are up to speed. */
bool webseed_tail_has_lines(const struct webseed *ws);

/* webseed_tail_wake_us — when to look at its tails again; UINT64_MAX. */
uint64_t webseed_tail_wake_us(const struct webseed *ws);

#endif
