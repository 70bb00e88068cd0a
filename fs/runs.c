/* runs — the places at which one open file is being read.
 *
 * A player reads on from one place and seeks now and then: the window of the
 * place he left must go at once, or it takes the line from what he waits for
 * now. A program that goes to and fro (an AVI whose index lies gigabytes
 * from its frames, several threads with one descriptor) reads on at each of
 * several places, and windows that go with each jump would never grow. What
 * tells them apart is that the second one comes back.
 *
 * Rules
 *   1. A read belongs to the run of the read before it, if it continues that as
 *      ahead.h has it; else to the run that it continues within
 *      RUNS_RETURN_BYTES: less, or a reader at random would return to
 *      somewhere all the time. That run is *resumed* from then on.
 *   2. Else it begins a run, in the place of the one that was read longest ago.
 *   3. Who goes elsewhere drops the window of the run he leaves, unless it is
 *      a resumed one. The run is remembered: should he come back, the
 *      window is at once as large as it was.
 *   4. A resumed run that was not read for RUNS_IDLE_READS reads is resumed no
 *      more, and drops its window. */
#include "fs/runs.h"

#include <string.h>

enum {
	RUNS_RETURN_BYTES = 512 << 10, /* two reads of 256 KiB, disordered */
	RUNS_IDLE_READS = 64,
};

void runs_init(struct runs *rs)
{
	memset(rs, 0, sizeof(*rs));
}

static bool goes_on(const struct runs *rs, unsigned i, uint64_t off)
{
	return ahead_continues(&rs->run[i].ahead, off,
			       i == rs->at ? (uint64_t)AHEAD_REORDER_BYTES
					   : (uint64_t)RUNS_RETURN_BYTES);
}

static unsigned find(const struct runs *rs, uint64_t off)
{
	if (goes_on(rs, rs->at, off))
		return rs->at;
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (goes_on(rs, i, off))
			return i;
	return RUNS_MAX;
}

static unsigned oldest(const struct runs *rs)
{
	unsigned found = 0;

	for (unsigned i = 1; i < RUNS_MAX; i++)
		if (rs->run[i].used < rs->run[found].used)
			found = i;
	return found;
}

static unsigned drop(struct runs *rs, unsigned i)
{
	rs->run[i].is_resumed = false;
	return ahead_drop(&rs->run[i].ahead) ? 1u << i : 0;
}

static unsigned drop_idle(struct runs *rs)
{
	unsigned changed = 0;

	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (rs->n_reads - rs->run[i].used > RUNS_IDLE_READS)
			changed |= drop(rs, i);
	return changed;
}

/* Run `i` is where the reads are from here on. */
static unsigned go_to(struct runs *rs, unsigned i)
{
	unsigned left = rs->at;

	if (i == left)
		return 0;
	rs->at = i;
	return rs->run[left].is_resumed ? 0 : drop(rs, left);
}

unsigned runs_on_read(struct runs *rs, uint64_t off_bytes, uint32_t len_bytes,
		      uint64_t size_bytes, const struct ahead_net *net)
{
	unsigned i = find(rs, off_bytes), changed = 0;

	rs->n_reads++;
	if (i == RUNS_MAX) {
		i = oldest(rs);
		changed = drop(rs, i);
		ahead_init(&rs->run[i].ahead);
	} else if (i != rs->at) {
		rs->run[i].is_resumed = true;
	}
	changed |= go_to(rs, i);
	rs->run[i].used = rs->n_reads;
	changed |= drop_idle(rs);
	if (ahead_on_read(&rs->run[i].ahead, off_bytes, len_bytes, size_bytes,
			  net))
		changed |= 1u << i;
	return changed;
}

unsigned runs_owe(struct runs *rs, uint64_t off_bytes, uint32_t len_bytes)
{
	return ahead_owe(&rs->run[rs->at].ahead, off_bytes, len_bytes)
		       ? 1u << rs->at
		       : 0;
}
