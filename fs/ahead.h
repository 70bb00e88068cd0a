/* ahead — the read-ahead window of one place in an open file, from what was
 * read there. Pure: positions and time in, a window in bytes out. Contract and
 * growth rules are in ahead.c's essay; positions are in the file. */
#ifndef SHOAL_FS_AHEAD_H
#define SHOAL_FS_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
	AHEAD_MIN_BYTES = 1 << 20, /* the first window after evidence */
	AHEAD_MAX_BYTES = 64 << 20,
	AHEAD_REORDER_BYTES = 2 << 20, /* the kernel sends its reads in this
					  much disorder */
	AHEAD_QUIET_BYTES = 8 << 20,   /* more than who only looks reads in one
					  place: ffprobe's 5 MB */
};

struct ahead {
	uint64_t next_bytes;   /* where a sequential reader goes on */
	uint64_t run_bytes;    /* read in sequence up to now */
	uint64_t window_bytes; /* its present length */
	uint64_t from_bytes;   /* its present start */
	/* Before next_bytes, and not given yet; the same: nothing. */
	uint64_t owed_bytes, owed_end_bytes;
};

void ahead_init(struct ahead *a);

/* What is known of the network: the window is at least rate × (rtt + slack).
 * And of the reader. */
struct ahead_net {
	uint64_t rate_Bps;
	uint32_t rtt_us;
	uint32_t piece_bytes;
	/* What of the window can be kept until it is read; 0: all of it. */
	uint64_t room_bytes;
	/* 0 once he read what was not here, else AHEAD_QUIET_BYTES. */
	uint64_t quiet_bytes;
};

/* ahead_on_read — a read of [off, off + len) of a file of `size` bytes. True
 * when the window changed: [a->from_bytes, + a->window_bytes), clipped to the
 * file, 0 for none. */
bool ahead_on_read(struct ahead *a, uint64_t off_bytes, uint32_t len_bytes,
		   uint64_t size_bytes, const struct ahead_net *net);

/* ahead_continues — a read at `off` goes on with the run, in front of it or
 * behind, `within_bytes` of the place that is expected. */
bool ahead_continues(const struct ahead *a, uint64_t off_bytes,
		     uint64_t within_bytes);

/* ahead_owe — a read of [off, off + len) was not answered, and its bytes will
 * be asked for again, in smaller reads: they are in the window until they are.
 * True when the window changed. */
bool ahead_owe(struct ahead *a, uint64_t off_bytes, uint32_t len_bytes);

/* ahead_drop — no window until the run goes on; what is known of the run
 * stays. True when there was one. */
bool ahead_drop(struct ahead *a);

#endif
