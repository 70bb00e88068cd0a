/* keeper — who remembers the mount's torrents: calls that were handed down, for
 * fs/ does not know where things are kept. As cache/ledger.h has them: records
 * and what they were added by, durable when `done` says so. Thread: loop. */
#ifndef SHOAL_FS_KEEPER_H
#define SHOAL_FS_KEEPER_H

#include <stdint.h>

#include "core/own.h"
#include "core/record.h"

struct job;

/* `r` has the place of its source. */
typedef void keeper_fn(void *arg, int err, const struct record *r);
typedef void keeper_each_fn(void *arg, const struct record *r,
			    struct span link);

typedef void keeper_lent_fn(void *arg, int err);
typedef void keeper_held_fn(void *arg, const struct torrent_id *id,
			    uint64_t bytes);

struct keeper {
	void *ctx; /* the first argument of each */
	/* How many each will give, about. */
	uint32_t (*count)(void *ctx);
	/* What was remembered when the mount was made, in the order of adding;
	 * once. `link` is lent: the source of those that are magnet links, and
	 * nothing of others. May block: the loop does not run yet. */
	void (*each)(void *ctx, keeper_each_fn *fn, void *arg);
	/* Of every torrent of which something is held, remembered or not: about
	 * how many bytes. 0 or an error. May block, as each. */
	int (*each_held)(void *ctx, keeper_held_fn *fn, void *arg);
	/* `source` is lent until `done`; an empty one: where `r` says. STYLE
	 * habit 21; no cancel. */
	int (*keep)(void *ctx, const struct record *r, struct span source,
		    keeper_fn *done, void *arg);
	int (*forget)(void *ctx, const struct record *r, keeper_fn *done,
		      void *arg);
	/* A directory of the user's, which `dir_fd` is open on, has files of
	 * this torrent: they are read where they lie. 0, and `done` says when
	 * that is durable; EBUSY: it has another one; ENOMEM. No cancel. */
	int (*lend)(void *ctx, const struct torrent_id *id, const char *dir,
		    int dir_fd TAKES, keeper_lent_fn *done, void *arg);
	/* The source: EAGAIN: it would wait; EIO: it is not there. */
	int (*read_now)(void *ctx, const struct record *r, uint8_t *dst);
	int (*read)(void *ctx, const struct record *r, uint8_t *dst,
		    keeper_fn *done, void *arg);
	/* The sources that lie there are to be read soon: nobody hears what
	 * came of it, but read_now may not have to wait. */
	void (*soon)(void *ctx, const struct record_place *places, unsigned n);
	/* By the worker that reads (core/worker.h). */
	void (*work)(void *ctx, struct job *job TAKES);
};

#endif
