/* clock — the two clocks of core/clock.h.
 *
 * CLOCK_MONOTONIC stops while the machine sleeps: a peer's time-out then does
 * not fall due at the moment of waking. Neither clock can fail on Linux, and
 * both are answered without a system call. The only reader of <time.h>'s
 * clocks beside worker.c's waits. */
#include "core/clock.h"

#include <time.h>

uint64_t clock_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t clock_wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

void clock_wall(struct timespec *out)
{
	clock_gettime(CLOCK_REALTIME, out);
}
