/* handle — one open file: of a torrent, with its read-ahead; or a status file,
 * with the text as it was when it was opened.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_HANDLE_H
#define SHOAL_FS_HANDLE_H

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

struct handle {
	LIST_ENTRY(handle) link; /* the mount's */
	struct mount *m;
	struct shown *shown; /* NULL: a status file */
	uint32_t file_ix;
	/* of a torrent's file */
	struct runs runs;
	struct cursor *cursor[RUNS_MAX]; /* NULL: no window was needed yet */
	struct cursor *end[2];		 /* of the file, if they matter */
	struct ahead_net net;
	uint64_t net_us; /* when `net` was asked for; 0: never */
	/* the read that last ran into its deadline; late_us 0: none did */
	uint64_t late_us;
	uint64_t late_off;
	uint32_t late_len;
	/* of a status file */
	struct buf text;
};

/* handle_open — for a node that is a file. 0 or ENOMEM. */
int handle_open(struct mount *m, const struct node *n, struct handle **out);
void handle_close(struct handle *h TAKES);
void handle_close_all(struct mount *m);

/* handle_file — the torrent's file. */
const struct mi_file *handle_file(const struct handle *h);

/* handle_on_late — a read of the file has just run into its deadline. */
void handle_on_late(struct handle *h, uint64_t off_bytes, uint32_t len_bytes);

/* handle_read — answer a read. Takes req. */
void handle_read(struct handle *h, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes);

#endif
