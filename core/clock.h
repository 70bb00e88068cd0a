/* clock — the two clocks. Intervals are always monotonic; wall time is for
 * people and for TLS. Thread: any. Loop code asks loop_now_us instead. */
#ifndef SHOAL_CORE_CLOCK_H
#define SHOAL_CORE_CLOCK_H

#include <stdint.h>

struct timespec;

/* clock_mono_us — microseconds of CLOCK_MONOTONIC (stops in suspend). */
uint64_t clock_mono_us(void);

/* clock_wall_s — seconds since 1970. */
int64_t clock_wall_s(void);

/* clock_wall — the same, as finely as the system has it. */
void clock_wall(struct timespec *out);

#endif
