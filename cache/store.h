/* store — where verified pieces are kept. One interface, three stores behind
 * it: store_disk (sparse blob per file, SQLite index), store_mem (no file at
 * all), store_place (files the user already has, read-only). Whoever builds
 * the program picks one; nobody above knows which.
 *
 * The promise (all stores): a piece is reported held only if its bytes were
 * verified before store_put, and are where store_read finds them. The disk
 * store's order is: write the blobs, sync them, commit the rows, so that the
 * index never claims bytes that a crash could lose.
 *
 * Positions are in the torrent's piece space (core/metainfo.h).
 * Thread: loop. What blocks is done by jobs inside.
 * Errors: ENOENT not held; EIO the store failed (sticky, see store_err);
 * ENOMEM; EROFS the store takes nothing; EBUSY another process has it. */
#ifndef SHOAL_CACHE_STORE_H
#define SHOAL_CACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bits.h"
#include "core/metainfo.h"
#include "core/own.h"
#include "core/span.h"

struct blk;
struct store;
struct store_torrent;

/* ---- completions; each runs exactly once, later, on the loop ---- */

/* `info` is lent during the call; err ENOENT: the store does not know it. */
typedef void store_info_fn(void *arg, int err, struct span info);

/* `st` is the torrent's handle, `held` (lent during the call) its verified
 * pieces. On an error both are NULL. */
typedef void store_open_fn(void *arg, int err, struct store_torrent *st,
			   const struct bits *held);

typedef void store_read_fn(void *arg, int err);

enum store_phase {
	STORE_WRITTEN, /* store_read finds it; the caller may drop the blk */
	STORE_DURABLE, /* it survives power loss: the row is committed */
};

/* Called once with WRITTEN and once with DURABLE, in that order; or once with
 * an error, after which the piece is not held. */
typedef void store_put_fn(void *arg, uint32_t piece_ix, enum store_phase phase,
			  int err);

typedef void store_done_fn(void *arg, int err);

/* ---- the whole store ---- */

struct store_stats {
	uint64_t held_bytes;	/* verified and committed */
	uint64_t pending_bytes; /* put, not yet durable */
	uint64_t reads, puts, commits, syncs;
};

/* store_load_info — the info dictionary remembered for a torrent (a magnet's
 * metadata after a restart). */
int store_load_info(struct store *s, const struct torrent_id *id,
		    store_info_fn *done, void *arg);

/* store_open — the torrent's handle and what is held of it. Makes its record
 * when it is new. `mi` is kept until store_close. A torrent can be open once:
 * EEXIST. */
int store_open(struct store *s, const struct metainfo *mi, store_open_fn *done,
	       void *arg);

/* store_flush — sync and commit everything put so far. */
int store_flush(struct store *s, store_done_fn *done, void *arg);

/* store_err — 0, or the error that made the store stop believing itself. */
int store_err(const struct store *s);
void store_stats(const struct store *s, struct store_stats *out);

/* store_free — every torrent was closed. Waits for the jobs under way, and
 * commits what was written. NULL is fine. */
void store_free(struct store *s);

/* ---- one torrent ---- */

/* store_read_now — copy [off, off + len) into `dst` if that needs no wait: the
 * bytes are in memory or in the page cache. EAGAIN otherwise. The caller
 * knows that the pieces are held. */
int store_read_now(struct store_torrent *st, uint64_t off_bytes,
		   uint32_t len_bytes, uint8_t *dst);

/* store_read — the same by a worker; `dst` is kept until `done`. There is no
 * cancel: an owner that goes away keeps `dst` alive until then. */
int store_read(struct store_torrent *st, uint64_t off_bytes, uint32_t len_bytes,
	       uint8_t *dst, store_read_fn *done, void *arg);

/* store_stage — write `data`, not verified, to byte `at` of a piece, where
 * store_read finds it: for pieces that memory is too small for. Nothing claims
 * these bytes; a crash leaves them as garbage. Parts of a piece do not overlap,
 * and the same part comes anew only when its last `done` has run. Holds its own
 * reference to `data` until `done`: ENOSPC, or an error as above. No cancel. */
int store_stage(struct store_torrent *st, uint32_t piece_ix, uint32_t at_bytes,
		struct blk *data, store_done_fn *done, void *arg);

/* store_unstage — what was staged of the piece is needed no more. None of its
 * store_stage is under way. */
void store_unstage(struct store_torrent *st, uint32_t piece_ix);

/* store_put — keep a verified piece. Holds its own reference to `data`; NULL:
 * all of it was staged. */
int store_put(struct store_torrent *st, uint32_t piece_ix, struct blk *data,
	      store_put_fn *done, void *arg);

/* store_forget — the piece's bytes turned out not to be there or not to be
 * right: the row goes first. Fire and forget; failures are logged. */
void store_forget(struct store_torrent *st, uint32_t piece_ix);

/* store_added_s — wall time at which the torrent first came into the store; 0
 * when the store does not outlive the process and so cannot say. */
int64_t store_added_s(const struct store_torrent *st);

/* store_pinned — the files that store_keep_pins named last, before the torrent
 * was opened; NULL when there are none, or the store does not outlive the
 * process. Lends until store_close. */
const struct bits *store_pinned(const struct store_torrent *st);

/* store_keep_pins — remember this set of files for the next store_open. 0; EIO
 * when the store has failed; ENOMEM. What fails later is logged. */
int store_keep_pins(struct store_torrent *st, const struct bits *files);

/* store_close — no call is under way but puts, stages and reads whose `done`
 * still runs. The handle is dead after this; memory goes when the last of them
 * is through. */
void store_close(struct store_torrent *st TAKES);

#endif
