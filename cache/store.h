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
 *
 * A file with a v2 root is kept once, whichever torrents have it: a file's root
 * and its length are its identity. What is kept of it are leaves (16 KiB; the
 * file's last one may be short), so torrents of different piece sizes share
 * them, also while they are open (store_watch). In a v2-only torrent a piece is
 * held when its leaves are. In a hybrid its v1 hash must have matched too;
 * where leaves came from another torrent the store finds that out by itself,
 * and never holds a piece on which the two sides disagree. Thread: loop. What
 * blocks is done by jobs inside. Errors: ENOENT not held; EIO the store failed
 * (see store_err); ENOMEM; EROFS the store takes nothing; EBUSY another
 * process has it. */
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

/* `fd` is the callee's now; on an error it is -1. */
typedef void store_blob_fn(void *arg, int err, int fd TAKES);

/* ---- the whole store ---- */

struct store_stats {
	uint64_t held_bytes;	/* verified and committed; shared ones once */
	uint64_t pending_bytes; /* put, not yet durable */
	uint64_t reads, puts, commits, syncs;
	uint64_t limit_bytes;	/* what it may take; 0: no limit */
	uint64_t used_bytes;	/* what it takes, whatever is on its way too */
	uint64_t evicted_bytes; /* to make room, since it was opened */
	bool was_open;		/* the process that had it last was killed */
	bool is_made_anew; /* its index was: all that is held is doubtful */
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

/* store_remove — forget a torrent: its record and its rows first, durably, then
 * the bytes that no other torrent has. `done`: 0 when the rows are gone; EBUSY
 * it is open; ENOENT there is none; or an error, and all is as it was. Bytes
 * that could not be removed are removed at the next start. */
int store_remove(struct store *s, const struct torrent_id *id,
		 store_done_fn *done, void *arg);

/* store_flush — sync and commit everything put so far. */
int store_flush(struct store *s, store_done_fn *done, void *arg);

/* store_load_note — what store_keep_note kept under this name, in this run or
 * an earlier one; `done` says ENOENT when there is nothing. ENOENT at once: the
 * store does not outlive the process; ENOMEM. No cancel. */
int store_load_note(struct store *s, const char *name, store_info_fn *done,
		    void *arg);

/* store_keep_note — remember a few bytes that no torrent owns, at most
 * STORE_NOTE_MAX; none: forget it. `name` is a word of the program's, kept
 * until that is done. 0: `done` (NULL: nobody asks) will say when that is
 * durable; ENOENT: the store does not outlive the process; EFBIG, ENOMEM. No
 * cancel. */
enum { STORE_NOTE_MAX = 16 << 20 };
int store_keep_note(struct store *s, const char *name, struct span note,
		    store_done_fn *done, void *arg);

/* store_err — 0, or EIO: the disk failed, and is tried again by and by. */
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

/* store_read — the same by a worker; `dst` is kept until `done`. No cancel: an
 * owner that goes away keeps `dst` alive. ENOENT: see store_vet.h. */
int store_read(struct store_torrent *st, uint64_t off_bytes, uint32_t len_bytes,
	       uint8_t *dst, store_read_fn *done, void *arg);

/* store_stage — write `data`, not verified, to byte `at` of a piece, where
 * store_read finds it: for pieces that memory is too small for. Nothing claims
 * these bytes; a crash leaves them as garbage. Parts of a piece do not overlap,
 * and the same part comes anew only when its last `done` has run. Holds its own
 * reference to `data` until `done`: ENOSPC, or an error as above. No cancel. */
int store_stage(struct store_torrent *st, uint32_t piece_ix, uint32_t at_bytes,
		struct blk *data, store_done_fn *done, void *arg);

/* store_read_staged — what was staged there, by a worker; store_read may find
 * what others have put in its place. As store_read. */
int store_read_staged(struct store_torrent *st, uint32_t piece_ix,
		      uint32_t at_bytes, uint32_t len_bytes, uint8_t *dst,
		      store_read_fn *done, void *arg);

/* store_unstage — what was staged of the piece is needed no more. None of its
 * store_stage is under way. */
void store_unstage(struct store_torrent *st, uint32_t piece_ix);

/* store_put — keep a verified piece: by every hash it has, but a hybrid's may
 * lack its v2 hash as long as nobody vouched for it. Holds its own reference to
 * `data`; NULL: all of it was staged, or put as leaves. */
int store_put(struct store_torrent *st, uint32_t piece_ix, struct blk *data,
	      store_put_fn *done, void *arg);

/* store_put_leaves — keep verified leaves of a piece that is not whole: bytes
 * [at, at + data->len) of it, proven by the v2 root of their file; `at` a
 * multiple of 16 KiB, the end too, or the file's. The phases are store_put's.
 * When all leaves of the piece are there it is held, as if another torrent had
 * brought it (store_watch). EINVAL: no v2 file lies there. */
int store_put_leaves(struct store_torrent *st, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_put_fn *done,
		     void *arg);

/* store_vouch — whatever is put of piece `piece_ix` of a hybrid from now on was
 * checked by its v2 hash too: that is known, and stays so until store_close.
 * Needs not be said of files of one piece, and those whose layer the metainfo
 * has. Pieces that were checked by v1 alone are kept for their torrent only. */
void store_vouch(struct store_torrent *st, uint32_t piece_ix);

/* store_forget — the piece's bytes turned out not to be there or not to be
 * right, nor are those of its leaves: the row goes first. Fire and forget;
 * failures are logged. */
void store_forget(struct store_torrent *st, uint32_t piece_ix);

/* store_leaves — verified leaves of pieces that were not held when the torrent
 * was opened: bit i is the leaf at byte 16 KiB × i of piece space. NULL: none.
 * Lends until store_close. */
const struct bits *store_leaves(const struct store_torrent *st);

/* What others do to what it has: store_share.h. */

/* ---- hash trees of v2 files ---- */

/* store_put_nodes — remember `n` nodes of 32 bytes of a file's tree, from
 * `index` on, at `level` (0: the leaves). Copied. Fire and forget. A file
 * without a root, or nodes out of its tree: nothing happens. */
void store_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		     uint64_t index, uint32_t n, const uint8_t *hashes);

/* store_read_nodes — them, into `dst`, which is kept until `done`; zeros where
 * nothing was put. Not to be trusted: who reads them proves them. EINVAL: no
 * such nodes. */
int store_read_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		     uint64_t index, uint32_t n, uint8_t *dst,
		     store_read_fn *done, void *arg);

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

/* store_blob — a descriptor, to be read from only, of the one file on disk that
 * is all of the torrent's file `file_ix`: position for position, at its full
 * length, without a hole. The caller knows that its pieces are held and their
 * rows committed. From then on, in later runs too, nothing of it goes as long
 * as anybody has it open, or has it mapped, through this descriptor or a copy
 * of it. ENOENT: there is no such file (memory; one's own files; bytes in two
 * blobs), perhaps by `done`; EIO: it is not what it must be. No cancel. */
int store_blob(struct store_torrent *st, uint32_t file_ix, store_blob_fn *done,
	       void *arg);

/* store_close — no call is under way but puts, stages and reads whose `done`
 * still runs. The handle is dead after this; memory goes when the last of them
 * is through. */
void store_close(struct store_torrent *st TAKES);

#endif
