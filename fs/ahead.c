/* ahead — the read-ahead window of one place in an open file.
 *
 * Words. Run: reads that follow each other. Window: what is fetched before it
 * is asked for, right after `next_bytes`, or from what is owed on.
 *
 * What the kernel sends for a plain sequential reader: 16 KiB or 128 KiB at
 * the start, then pairs of 128 KiB (256 KiB after POSIX_FADV_SEQUENTIAL), the
 * two of a pair in either order; for a page fault, 64 KiB on both sides of it,
 * so that successive requests overlap. It keeps 256 to 512 KiB in flight and
 * no more, which at 50 ms is 5 MB/s: the window is ours to keep.
 *
 * Rules
 *   1. A read that begins within AHEAD_REORDER_BYTES of the expected place
 *      continues the run, before it or after it; only bytes beyond that place
 *      make the run longer.
 *   2. Any other read is a seek: a new run, no window. So the first read of a
 *      file, and the first after a seek, fetch what they ask and nothing else.
 *   3. The second read of a run is the evidence. The window is then
 *      GROWTH times the run, so that it grows exponentially while the
 *      reader goes through it and stays in proportion to what was really
 *      read: a program that looks at a header gets its header and a little.
 *   4. It is at least AHEAD_MIN_BYTES and one piece, and at most what the
 *      network brings in twice (round trip + SLACK), but never held below
 *      START_CAP by a rate: the rate seen is small because the window was.
 *   5. AHEAD_MAX_BYTES, the end of the file, and what can be kept bound it in
 *      any case. If that is not two pieces, it is what the kernel asks for
 *      next: more would drive out what is being read.
 *   6. What is owed is in the window as well, until it was asked for again or
 *      the run is OWED_BEHIND_BYTES further.
 *   7. A run that is not longer than `quiet_bytes` has none: its reader found
 *      here all that he read. He may be one who only looks, as somebody did
 *      before him, and his run ends where that one's did.
 *
 * A change is reported when the window's end moves by a step, when it first
 * appears, reaches the end of the file, or vanishes. The step is a quarter of
 * the window, but at most STEP_MAX or a piece. What a step brings comes as fast
 * as the network can: in large steps a slow reader of a fast network would have
 * nothing done for him for a while, and then everything at once, and whoever
 * reads something else at that moment waits for the processors.
 *
 * One run: who reads at several places through one descriptor has several of
 * these (runs.c). */
#include "fs/ahead.h"

#include <string.h>

enum {
	GROWTH = 4,
	START_CAP_BYTES = 16 << 20,
	SLACK_US = 1000000,
	STEP_PART = 4,
	STEP_MAX_BYTES = 1 << 20,
	AHEAD_TIGHT_BYTES = 256 << 10,
	OWED_BEHIND_BYTES = 2 * AHEAD_REORDER_BYTES,
};

/* A rate above this (64 GB/s) is nonsense and would overflow. */
#define RATE_MAX_BPS (UINT64_C(1) << 36)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void ahead_init(struct ahead *a)
{
	memset(a, 0, sizeof(*a));
}

static uint64_t room_for(const struct ahead_net *net)
{
	if (net->room_bytes < 2 * (uint64_t)net->piece_bytes)
		return AHEAD_TIGHT_BYTES;
	return net->room_bytes;
}

/* Rules 3 to 5 and 7, before the end of the file. */
static uint64_t window_for(const struct ahead *a, const struct ahead_net *net)
{
	uint64_t least = max_u64(AHEAD_MIN_BYTES, net->piece_bytes);
	uint64_t rate = min_u64(net->rate_Bps, RATE_MAX_BPS);
	uint64_t trip_us = (uint64_t)net->rtt_us + SLACK_US;
	uint64_t cap = 2 * (rate / 1000) * (trip_us / 1000);
	uint64_t want = GROWTH * min_u64(a->run_bytes, AHEAD_MAX_BYTES);

	if (a->run_bytes <= net->quiet_bytes)
		return 0;
	cap = max_u64(cap, START_CAP_BYTES);
	want = max_u64(min_u64(want, cap), least);
	if (net->room_bytes != 0)
		want = min_u64(want, room_for(net));
	return min_u64(want, AHEAD_MAX_BYTES);
}

bool ahead_continues(const struct ahead *a, uint64_t off_bytes,
		     uint64_t within_bytes)
{
	return a->run_bytes > 0 && off_bytes <= a->next_bytes + within_bytes &&
	       off_bytes + within_bytes >= a->next_bytes;
}

static void owe_nothing(struct ahead *a)
{
	a->owed_bytes = a->owed_end_bytes = a->next_bytes;
}

static uint64_t start_of_window(const struct ahead *a)
{
	return a->owed_bytes < a->owed_end_bytes ? a->owed_bytes
						 : a->next_bytes;
}

bool ahead_owe(struct ahead *a, uint64_t off_bytes, uint32_t len_bytes)
{
	uint64_t end = off_bytes + len_bytes;
	uint64_t window_end = a->window_bytes != 0
				      ? a->from_bytes + a->window_bytes
				      : a->next_bytes;

	if (a->run_bytes == 0 || end > a->next_bytes ||
	    off_bytes + OWED_BEHIND_BYTES < a->next_bytes)
		return false;
	if (a->owed_bytes >= a->owed_end_bytes)
		a->owed_bytes = off_bytes;
	a->owed_bytes = min_u64(a->owed_bytes, off_bytes);
	a->owed_end_bytes = max_u64(a->owed_end_bytes, end);
	a->from_bytes = a->owed_bytes;
	a->window_bytes = window_end - a->from_bytes;
	return true;
}

/* The read [off, end) is a part of it, or shows that nobody wants it. */
static void pay(struct ahead *a, uint64_t off, uint64_t end)
{
	if (a->owed_bytes >= a->owed_end_bytes)
		return;
	if (off <= a->owed_bytes && end > a->owed_bytes)
		a->owed_bytes = end;
	if (a->owed_bytes >= a->owed_end_bytes ||
	    a->owed_bytes + OWED_BEHIND_BYTES < a->next_bytes)
		owe_nothing(a);
}

bool ahead_drop(struct ahead *a)
{
	bool had_window = a->window_bytes != 0;

	owe_nothing(a);
	a->from_bytes = a->next_bytes;
	a->window_bytes = 0;
	return had_window;
}

/* A new run, which has no window. */
static bool start_run(struct ahead *a, uint64_t off, uint32_t len)
{
	bool had_window = a->window_bytes != 0;

	a->next_bytes = off + len;
	a->run_bytes = len;
	owe_nothing(a);
	a->from_bytes = a->next_bytes;
	a->window_bytes = 0;
	return had_window;
}

static bool report(struct ahead *a, uint64_t want, uint64_t size,
		   uint32_t piece_bytes)
{
	uint64_t most = max_u64(STEP_MAX_BYTES, piece_bytes);
	uint64_t step = min_u64(want / STEP_PART, most);
	uint64_t old_end = a->from_bytes + a->window_bytes;
	uint64_t end = a->next_bytes + want;

	if (a->window_bytes == 0 && want == 0)
		return false;
	if (a->window_bytes != 0 && want != 0 && end < old_end + step &&
	    (end < size || old_end >= size))
		return false;
	a->from_bytes = start_of_window(a);
	a->window_bytes = end - a->from_bytes;
	return true;
}

bool ahead_on_read(struct ahead *a, uint64_t off_bytes, uint32_t len_bytes,
		   uint64_t size_bytes, const struct ahead_net *net)
{
	uint64_t end = off_bytes + len_bytes;
	uint64_t left;

	if (!ahead_continues(a, off_bytes, AHEAD_REORDER_BYTES))
		return start_run(a, off_bytes, len_bytes);
	pay(a, off_bytes, end);
	if (end <= a->next_bytes)
		return false;
	a->run_bytes += min_u64(end - a->next_bytes, len_bytes);
	a->next_bytes = end;
	left = size_bytes > end ? size_bytes - end : 0;
	return report(a, min_u64(window_for(a, net), left), size_bytes,
		      net->piece_bytes);
}
