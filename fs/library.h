/* library — the torrents of the mount: how they come, are remembered, and go.
 * Every way of adding one leads here: the command line, a watched directory, a
 * file that is copied in, the control socket, a hash that is named.
 *
 * A torrent whose metadata is known is shown at once; a magnet link is a *wish*
 * until then. What a caller is told is durable. Thread: loop. */
#ifndef SHOAL_FS_LIBRARY_H
#define SHOAL_FS_LIBRARY_H

#include <stdbool.h>

#include "core/own.h"
#include "core/queue.h"
#include "core/record.h"
#include "core/span.h"
#include "fs/library_source.h"

struct library_op;
struct mount;
struct shown;
struct torrent;
struct wish;

TAILQ_HEAD(library_ops, library_op);
TAILQ_HEAD(wish_list, wish);

struct library {
	struct library_ops ops; /* adding and removing, not answered yet */
	struct wish_list wishes;
};

/* library_load — show what is remembered, and look for what is wished. */
int library_load(struct mount *m);

/* library_end — the mount is over: what is under way is answered by nobody. */
void library_end(struct mount *m);

/* library_add — `src` is taken. `done` says 0, with the name in the root, or
 * of a wish what it is known by until then; EEXIST, with the same: it was there
 * before (and got the source's trackers); EINVAL: it is no .torrent; or another
 * error, with a line for a person. A long file is looked at by a worker. STYLE
 * habit 21. */
int library_add(struct mount *m, struct library_source *src TAKES,
		enum record_by by, library_fn *done, void *arg,
		struct library_op **out);

/* What may be removed: a torrent that is shown, or one that is wished. */
struct library_target {
	struct shown *shown;
	struct torrent *wished;
};

/* library_remove — forget it, durably; then its name is gone, its open files
 * are stale, and what of its data no other torrent has goes by and by. EBUSY:
 * that is going on already. STYLE habit 21. */
int library_remove(struct mount *m, struct library_target what,
		   library_fn *done, void *arg, struct library_op **out);

/* library_op_id — of which torrent it is: known to `done`. Lends. */
const struct torrent_id *library_op_id(const struct library_op *op);

/* library_op_take — the bytes that it was added by, for `done` to have back;
 * whose they were before. They are a metainfo's now if they are a torrent's.
 * Gives one or the other, or, without memory, neither. */
struct library_bytes {
	uint8_t *raw;
	struct metainfo *mi;
};

struct library_bytes library_op_take(struct library_op *op);

/* library_cancel — `done` will not run; it is done all the same. */
void library_cancel(struct library_op *op);

/* library_on_ready / _on_failed — the engine's word of a torrent. */
int library_on_ready(struct mount *m, struct torrent *t);
void library_on_failed(struct mount *m, struct torrent *t);

/* library_n_wishes — wishes that may still come true. library_n_opening —
 * torrents that are awake and not READY yet. */
unsigned library_n_wishes(const struct mount *m);
unsigned library_n_opening(const struct mount *m);

#endif
