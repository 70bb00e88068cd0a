/* readop — one read() from the kernel that has to wait for the swarm.
 *
 * Life: readop_start → (waiting) → exactly one reply → freed. The kernel's
 *       request belongs to the readop from start to reply.
 * Thread: loop.
 * Not here: which pieces to fetch (net/), read-ahead (fs/ahead.h). */
#ifndef SHOAL_FS_READOP_H
#define SHOAL_FS_READOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/own.h"
#include "fs/fuse_api.h"

struct handle;
struct mount;
struct readop;
struct shown;

/* readop_start — serve [off, off + len) of the file that `h` is open on, which
 * lies within the file. Takes req: whatever happens, it is answered once, with
 * the whole range or with an error. Keeps `h` until then. Parks until the
 * bytes are there, but no longer than DESIGN.md says. `is_direct`: the reader
 * opened with O_DIRECT. */
void readop_start(struct mount *m, struct handle *h, fuse_req_t req TAKES,
		  uint64_t off_bytes, uint32_t len_bytes, bool is_direct);

/* readop_on_ready — the torrent of `s` is READY: reads that wait for it begin.
 * readop_end_of — every parked read of `s` ends with `err`. */
void readop_on_ready(struct mount *m, struct shown *s);
void readop_end_of(struct mount *m, const struct shown *s, int err);

/* readop_let_go — `h`, which no request of the kernel uses any more, ends. */
void readop_let_go(struct mount *m, const struct handle *h);

/* readop_end_all — answer every parked read of the mount with EIO. */
void readop_end_all(struct mount *m);

/* readop_why — what the first read that waits for this file waits for; NULL
 * when none does. Lent until the next call. */
const char *readop_why(const struct mount *m, const struct shown *s,
		       uint32_t file_ix);

/* For status. */
struct readop_view {
	const struct shown *shown;
	uint32_t file_ix;
	uint64_t off_bytes; /* in the file */
	uint32_t len_bytes;
	uint64_t waited_us;
	const char *why; /* lent until the next view */
};

/* readop_next — walk the parked reads: NULL begins and ends. */
const struct readop *readop_next(const struct mount *m,
				 const struct readop *op);
void readop_view(const struct readop *op, struct readop_view *out);

#endif
