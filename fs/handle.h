/* handle — one open file: of a torrent, with its read-ahead; or a status file,
 * with the text as it was when it was opened.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_HANDLE_H
#define SHOAL_FS_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/own.h"
#include "core/queue.h"
#include "fs/ahead.h"
#include "fs/fuse_api.h"
#include "fs/runs.h"

struct cursor;
struct mount;
struct node;
struct shown;

/* A read that was nudged (readop.c), for what is asked next of its range. */
struct handle_nudge {
	uint64_t off_bytes; /* in the file */
	uint32_t len_bytes; /* 0: none was */
	uint64_t first_us, since_us;
	uint64_t at_us;
};

struct handle {
	LIST_ENTRY(handle) link; /* the mount's */
	struct mount *m;
	uint64_t fh;	     /* its name to the kernel: no other one's, ever */
	uint64_t number;     /* of its node */
	int32_t note;	     /* of a twin: its place in the mount's notes */
	struct shown *shown; /* NULL: a status file, or is_gone */
	bool is_gone;	     /* its torrent was removed */
	bool is_bare;	     /* adopted; handle_dress is due */
	uint32_t file_ix;
	/* of a torrent's file */
	struct runs runs;
	struct cursor *cursor[RUNS_MAX]; /* NULL: no window was needed yet */
	struct cursor *end[2];		 /* of the file, if they matter */
	struct ahead_net net;
	uint64_t net_us; /* when `net` was asked for; 0: never */
	bool has_missed; /* something that was read was not here */
	/* the read that last ran into its deadline; late_us 0: none did */
	uint64_t late_us;
	uint64_t late_off;
	uint32_t late_len;
	struct handle_nudge nudge; /* the last one */
	/* of a status file */
	struct buf text;
	bool is_sample; /* of the network: survey.h has its text */
};

/* handle_open — for a node that is a file. 0 or ENOMEM. */
int handle_open(struct mount *m, const struct node *n, struct handle **out);
void handle_close(struct handle *h TAKES);
void handle_close_all(struct mount *m);

/* handle_find — by the name the kernel has for it; NULL. */
struct handle *handle_find(const struct mount *m, uint64_t fh);

/* handle_adopt — the predecessor opened the node under this name. As node_find;
 * ENOMEM. _note — its notes say so, of a twin; it is bare: 0 or ENOMEM.
 * handle_dress — before it is read from. As node_find. */
int handle_adopt(struct mount *m, uint64_t number, uint64_t fh,
		 struct handle **out);
int handle_adopt_note(struct mount *m, uint64_t number, uint64_t fh,
		      int32_t note);
int handle_dress(struct handle *h);

/* handle_number — of the node that it was opened as. */
uint64_t handle_number(const struct handle *h);

/* handle_on_removed — files of `s` are stale from now on. */
void handle_on_removed(struct mount *m, struct shown *s);

/* handle_file — the torrent's file. */
const struct mi_file *handle_file(const struct handle *h);

/* handle_on_wait — a read of the file is not answered at once; from the first
 * on that is for want of bytes its reader is read ahead for. */
void handle_on_wait(struct handle *h, uint64_t off_bytes, uint32_t len_bytes);

/* handle_on_late — a read of the file has just run into its deadline. */
void handle_on_late(struct handle *h, uint64_t off_bytes, uint32_t len_bytes);

/* handle_on_nudge — a read was nudged. handle_nudge_of — the one that the range
 * lies in, or NULL. */
void handle_on_nudge(struct handle *h, const struct handle_nudge *n);
const struct handle_nudge *handle_nudge_of(const struct handle *h,
					   uint64_t off_bytes,
					   uint32_t len_bytes);

/* handle_read — answer a read. Takes req. `is_direct`: with O_DIRECT. */
void handle_read(struct handle *h, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes, bool is_direct);

#endif
