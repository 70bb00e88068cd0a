/* wall_jumps — a wall clock that jumps by up to ten years, forward or back,
 * each time anybody looks at it, for whoever includes this: defines
 * clock_gettime for the whole program. What is not about the wall clock is as
 * it was. */
#ifndef SHOAL_TESTS_WALL_JUMPS_H
#define SHOAL_TESTS_WALL_JUMPS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_uint wall_n_looks;

/* ± ten years in seconds, by chance but always the same for the same x. */
static inline int64_t wall_jump(uint64_t x)
{
	const int64_t years = INT64_C(10) * 365 * 86400;

	x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
	x ^= x >> 29;
	return (int64_t)(x % (uint64_t)(2 * years)) - years;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (r == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += wall_jump(atomic_fetch_add(&wall_n_looks, 1));
	return r;
}

#endif
