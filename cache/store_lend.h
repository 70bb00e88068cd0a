/* store_lend — a store over another one, which adds what lies in directories of
 * the user's: their files are lent, that is read and never written, not
 * counted, not evicted, and not removed.
 *
 * A directory is lent to one torrent. What of the torrent's files is there, as
 * long as it must be, is *offered* (store_next_offer): whoever has the torrent
 * open hashes it where it lies (store_vet), and what is right is held from then
 * on. All else is as in the store below, which gets what is put.
 *
 * Directories, and which of their bytes were right, are remembered by the store
 * below. A file that has changed meanwhile is offered anew, one that changes
 * while the torrent is open is doubtful, and one that is gone is lost
 * (store_watch), as is what the store below loses.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_STORE_LEND_H
#define SHOAL_CACHE_STORE_LEND_H

#include "cache/store.h"
#include "core/own.h"

struct loop;
struct torrent_id;
struct workers;

/* How a file below a directory is opened: to be read from only, no symbolic
 * link followed, `path` relative and without "..". A descriptor, or -1 and
 * errno. Thread: workers. */
struct lend_door {
	int (*open)(void *ctx, int dir_fd, const char *path);
	void *ctx;
};

struct store_lend_cfg {
	struct loop *loop;	 /* kept */
	struct workers *workers; /* kept */
	struct workers *thread;	 /* kept: where `below` has its notes read */
	struct store *below;
	struct lend_door door;
};

/* store_lend_new — takes cfg->below if it says 0. What was lent in earlier runs
 * is so again, as far as its directory can be opened. Blocks: for the start. 0
 * or ENOMEM. */
int store_lend_new(const struct store_lend_cfg *cfg, struct store **out);

/* store_lend_add — lend the directory `dir` (absolute; for later runs), which
 * `dir_fd` is open on, to a torrent, whether that is open, remembered, or not
 * yet known: the folder in which its file or its top directory lies, or that
 * directory itself. The same one again: it is looked through again. 0, and
 * `done` says when it is durable; EBUSY: it has another directory; ENOENT: it
 * is lent, but the store below does not outlive the process; ENOMEM.
 * store_remove takes it back. No cancel. */
int store_lend_add(struct store *s, const struct torrent_id *id,
		   const char *dir, int dir_fd TAKES, store_done_fn *done,
		   void *arg);

#endif
