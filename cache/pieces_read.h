/* pieces_read — the memory that pieces have, and the waiting for them and
 * reading of them: the part of pieces.h that is not about how they are filled.
 * Its table is there. Thread: loop. */
#ifndef SHOAL_CACHE_PIECES_READ_H
#define SHOAL_CACHE_PIECES_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/store.h"
#include "core/queue.h"

struct blk;
struct blk_pool;
struct piece_mem;
struct pieces;

/* ---- memory shared by all torrents ---- */

struct piece_mem_cfg {
	struct blk_pool *pool; /* kept: buffers come from it */
	/* At most so much is unverified at once (one piece always may), … */
	uint64_t unverified_bytes;
	/* … and so much of verified pieces is kept for readers close behind;
	 * of long ones two, up to `recent_long_bytes` (0: no more). */
	uint64_t recent_bytes;
	uint64_t recent_long_bytes;
	/* Longer pieces are staged, in segments of so many bytes, a multiple
	 * of 16 KiB. 0: as cache_limits.h has it. */
	uint32_t whole_max_bytes;
	uint32_t segment_bytes;
};

/* piece_mem_new — every pieces must have gone before piece_mem_free. 0 or
 * ENOMEM. */
int piece_mem_new(const struct piece_mem_cfg *cfg, struct piece_mem **out);
void piece_mem_free(struct piece_mem *pm);
uint64_t piece_mem_unverified_bytes(const struct piece_mem *pm);
uint64_t piece_mem_recent_bytes(const struct piece_mem *pm);

/* pieces_may_begin — to be asked before anything is made ready for a piece.
 * False: more pieces are full than the workers can hash and write, and no
 * reader waits for this one; on_room will come. */
bool pieces_may_begin(struct pieces *ps, uint32_t ix);

/* ---- waiting and reading ---- */

/* A wait for one piece, or for `len` bytes from `at` on in it (0: for all of
 * it). Embedded in its owner. */
struct piece_wait {
	void (*fn)(void *arg, int err, uint32_t piece_ix);
	void *arg;
	uint32_t at_bytes, len_bytes;
	/* pieces.c's own */
	LIST_ENTRY(piece_wait) link;
	uint32_t piece_ix;
	bool waiting;
};

/* pieces_wait — call w->fn when the piece is in have or its range is right (err
 * 0), the torrent is closed (ESTALE), or the store cannot stage it (its error).
 * Neither is so now. Never fails. The wait is over when w->fn runs; in it, the
 * bytes are in memory (pieces_peek) unless the piece was staged, or another
 * torrent brought it.
 * pieces_wait_cancel of a wait that is over does nothing. */
void pieces_wait(struct pieces *ps, uint32_t ix, struct piece_wait *w);
void pieces_wait_cancel(struct pieces *ps, struct piece_wait *w);
bool pieces_is_waited(const struct pieces *ps, uint32_t ix);

/* pieces_is_right — the range of the piece may be read: the piece is in have,
 * or all its leaves there are right. len_bytes > 0. */
bool pieces_is_right(const struct pieces *ps, uint32_t ix, uint32_t at_bytes,
		     uint32_t len_bytes);

/* pieces_is_kept — the leaf at byte `at` of a piece that is not in have is in
 * the store, verified. _doubt_kept: they may not be right; none is, from now
 * on. */
bool pieces_is_kept(const struct pieces *ps, uint32_t ix, uint32_t at_bytes);
void pieces_doubt_kept(struct pieces *ps, uint32_t ix);

/* pieces_coming_us — when this part of the piece will be there, for it comes to
 * a piece of another torrent with the same file: to fetch it is to fetch it
 * twice. UINT64_MAX: it does not, or, of `only_asked`, not all of it is there
 * or asked for. */
uint64_t pieces_coming_us(const struct pieces *ps, uint32_t ix,
			  uint32_t at_bytes, uint32_t len_bytes,
			  bool only_asked);

/* pieces_lend — pieces_peek for a range of a piece: NULL unless it is right and
 * lies in memory in one run, and then `data` is where. */
struct blk *pieces_lend(struct pieces *ps, uint32_t ix, uint32_t at_bytes,
			uint32_t len_bytes, uint8_t **data);

/* pieces_peek — the verified piece's bytes, if they are in memory: a reference
 * that the caller drops; else NULL. Counts as use for "recent". */
struct blk *pieces_peek(struct pieces *ps, uint32_t ix);

/* pieces_read_now — copy from held pieces without waiting: memory, else the
 * page cache. EAGAIN when that needs a worker, ENOENT when some of it is not
 * right. */
int pieces_read_now(struct pieces *ps, uint64_t off_bytes, uint32_t len_bytes,
		    uint8_t *dst);

/* pieces_blob — store_blob of a file; EAGAIN unless the store has all its
 * pieces for good. */
int pieces_blob(struct pieces *ps, uint32_t file_ix, store_blob_fn *done,
		void *arg);

/* A wait for a held piece to be hashed where it lies. Embedded in its owner. */
struct vet_wait {
	void (*fn)(void *arg, int err);
	void *arg;
	/* A part of the piece that is wanted; dst NULL: none. */
	uint8_t *dst;
	uint32_t at_bytes, len_bytes;
	/* The reply: it is there, of the bytes that were hashed. Not so for
	 * whoever came when the piece was being hashed already. */
	bool is_read;
	/* pieces_vet.c's own */
	LIST_ENTRY(vet_wait) link;
};

/* pieces_vet — hash a held piece where the store has it, whether it is doubtful
 * or not; or one that it offers, which is held then. w->fn, later: 0, it was
 * what it must be (pieces_is_doubtful: somebody changed the file since); EIO:
 * it is not, or is gone, and is ABSENT now (on_lost), unless memory still has
 * it (and then alone); ENOENT: it was not held any more; ENOTSUP: the store has
 * nothing to look at; ESTALE: closed; ENOMEM, which may also be said at once,
 * as ENOENT: memory alone has it. `is_hurried`: somebody waits. No cancel. */
int pieces_vet(struct pieces *ps, uint32_t ix, bool is_hurried,
	       struct vet_wait *w);

/* pieces_is_doubtful — held, and to be hashed before the store is read. */
bool pieces_is_doubtful(const struct pieces *ps, uint32_t ix);

/* pieces_is_offered — files that the user has of it are being hashed. */
bool pieces_is_offered(const struct pieces *ps);

/* pieces_bad — how many were found wrong or gone, since pieces_open. */
uint64_t pieces_bad(const struct pieces *ps);

/* pieces_read — by a worker; `dst` is kept until `done`. When the store cannot
 * read what it claimed, the pieces concerned become ABSENT (on_lost) and
 * `done` says EIO. ENOENT and ENOMEM are said at once, and nothing is started;
 * ENOENT by `done` when right leaves were lost meanwhile: try again. Other
 * errors of the system leave the pieces as they are. */
int pieces_read(struct pieces *ps, uint64_t off_bytes, uint32_t len_bytes,
		uint8_t *dst, void (*done)(void *arg, int err), void *arg);

#endif
