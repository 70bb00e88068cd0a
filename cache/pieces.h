/* pieces — the pieces of one torrent as the loop sees them: what state each is
 * in, the memory of those under way, who waits for one, who must not lose one.
 * Between net/, which fills that memory, and the store, which keeps them. The
 * only place where a piece turns from received into verified.
 *
 *   state      in have  memory           waiters  unverified  job under way
 *   ABSENT     no       none             none     no          none
 *   WANTED     no       none             >= 1     no          none
 *   FETCHING   no       being filled     any      yes         staged: any
 *   CHECKING   no       whole            any      yes         hash
 *   SETTLING   yes      whole; once      none     until       store_put
 *                       WRITTEN: recent           WRITTEN
 *   CLEAN      yes      recent, if the   none     no          none
 *                       store has it;
 *                       whole, if not
 *
 *   ABSENT  -> WANTED    somebody waits for it
 *   WANTED  -> ABSENT    the last waiter left
 *   ABSENT, WANTED -> FETCHING   pieces_begin: its first block was asked for
 *   FETCHING -> WANTED, ABSENT   pieces_abandon
 *   FETCHING -> CHECKING         pieces_filled: its last block came
 *   CHECKING -> SETTLING         the hash matched; waiters are called
 *   CHECKING -> FETCHING         it did not; on_bad, on_failed, on_disputed; or
 *                                its v2 hash did not come to be known in time
 *   ABSENT, WANTED -> CLEAN      its kept leaves are all of it, or another
 *                                torrent brought it, or the user has it;
 *                                on_verified; waiters are called
 *   SETTLING -> CLEAN            the store says DURABLE
 *   SETTLING -> CLEAN            the store failed, the bytes are in memory: the
 *                                piece is there only (unkept)
 *   SETTLING -> ABSENT           the store failed after WRITTEN and they are
 *                                not; or a read of it failed; on_lost
 *   CLEAN    -> ABSENT           evicted (the store needs room); or a read of
 *                                it failed, here or in another torrent; or it
 *                                was unkept and made room; on_lost
 *
 * Whole and staged. A piece of ordinary length has one run of memory. A long
 * one is staged: it has memory for a few segments at a time, and what is full
 * goes to the store, unverified, to be hashed as it goes (stage.h). Once it is
 * in have, it is read from the store. Both look the same from outside: memory
 * is asked for by segment (pieces_open), and a whole piece is one segment.
 *
 * All of a piece is its body (metainfo_body_bytes): padding at its end is read
 * as zeros. A piece of padding alone is CLEAN from the start.
 *
 * "have" is what may be read by anybody and announced to peers: SETTLING and
 * CLEAN.
 *
 * Leaves. Of a v2 torrent, or a hybrid, each block of 16 KiB has a hash of its
 * own, a leaf, and where that is known (core/layers.h) the block can be right
 * before its piece is whole. So readers, and they alone, may have right or kept
 * leaves of a piece that is not in have; nothing else ever leaves this module.
 *
 *   leaf    its bytes                    the piece is
 *   absent  not there                    any
 *   here    in place, or staged          FETCHING, CHECKING
 *   right   the same, and verified       FETCHING, CHECKING
 *   kept    in the store, verified       not in have; over a restart too
 *
 *   absent -> here    pieces_took
 *   here   -> right   somebody waits for it, its hash is known, and matches
 *   here   -> absent  its hash does not match: on_bad_leaf
 *   right  -> (have)  the piece was verified
 *   right  -> kept    nobody wants more of the piece (pieces_keep), or its
 *                     memory is given up (pieces_shut, pieces_abandon,
 *                     pieces_close): the store has written it
 *   here   -> absent  the same, of those that are not right
 *   right  -> absent  the store would not take it (no room, no memory); or its
 *                     staged segment is given up (pieces_empty). Nothing else
 *                     loses a right leaf: where a piece is wrong they stay
 *   kept   -> absent  a read of it failed, or another torrent's did
 *   any    -> kept    another torrent with the same file brought it
 *
 * Leaves that readers wait for are hashed on the loop, LEAVES_A_TURN at most.
 *
 * "unverified" is what piece_mem's cap counts: bytes in memory that are neither
 * right nor on their way out of it. "recent" is a buffer that may be dropped at
 * any time, the longest unused first; an unkept piece ends with it.
 *
 * Thread: loop. Life: pieces_open_start … pieces_close. */
#ifndef SHOAL_CACHE_PIECES_H
#define SHOAL_CACHE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/pieces_read.h"
#include "core/bits.h"
#include "core/own.h"

struct layers;
struct loop;
struct metainfo;
struct piece_mem;
struct store;
struct store_torrent;
struct workers;

enum piece_state {
	PIECE_ABSENT,
	PIECE_WANTED,
	PIECE_FETCHING,
	PIECE_CHECKING,
	PIECE_SETTLING,
	PIECE_CLEAN,
};

struct pieces_ops {
	/* It may be read and announced now; before its waiters hear. */
	void (*on_verified)(void *arg, uint32_t piece_ix);
	/* The bytes do not match the hash; the piece is FETCHING again. They
	 * are where they were, to be replaced: in memory (pieces_place), or
	 * staged, and then pieces_empty is due before this returns.
	 * pieces_digests tells them from others. */
	void (*on_bad)(void *arg, uint32_t piece_ix);
	/* That block of a FETCHING piece is wrong, which is proven, whatever
	 * becomes of the piece. It must be taken back before this returns
	 * (pieces_took_back) if there is a place for another; else the hash of
	 * the whole piece will say it again. */
	void (*on_bad_leaf)(void *arg, uint32_t piece_ix, uint32_t at_bytes);
	/* The piece's bytes match one of a hybrid's hashes and not the other:
	 * nothing can be done for it. */
	void (*on_disputed)(void *arg, uint32_t piece_ix);
	/* It is whole, and its v2 hash is not known: pieces_on_hashes or
	 * pieces_on_no_hash is due, not from in here. */
	void (*on_lacking)(void *arg, uint32_t piece_ix);
	/* The store cannot stage the piece, or its v2 hash is not to be had. It
	 * is FETCHING, and must be abandoned before this returns. Who waits for
	 * it gets the error then, unless memory can take it whole next time. */
	void (*on_failed)(void *arg, uint32_t piece_ix, int err);
	/* The store has all of it; it is FETCHING, and to be given up. */
	void (*on_brought)(void *arg, uint32_t piece_ix);
	void (*on_leaves)(void *arg, uint32_t ix); /* others put some of it */
	/* What pieces_begin or pieces_open said EAGAIN for may be there now,
	 * or EBUSY of pieces_begin. Always on a turn of its own. */
	void (*on_room)(void *arg);
	/* A held piece cannot be read, or kept: it is ABSENT now. */
	void (*on_lost)(void *arg, uint32_t piece_ix);
	/* As store_share_ops; the second of FETCHING ones. */
	uint64_t (*due_us)(void *arg, uint32_t piece_ix);
	uint64_t (*coming_us)(void *arg, uint32_t piece_ix, uint32_t at_bytes,
			      uint32_t len_bytes, bool only_asked);
};

struct pieces_cfg {
	struct loop *loop;	      /* kept */
	struct workers *workers;      /* kept: hashing */
	struct store *store;	      /* kept */
	struct piece_mem *mem;	      /* kept */
	const struct metainfo *mi;    /* kept until pieces_close has ended */
	struct layers *layers;	      /* kept until pieces_close; NULL: no v2 */
	const struct pieces_ops *ops; /* kept */
	void *arg;
};

/* pieces_open_start — load what the store holds; `done` as STYLE habit 21 has
 * it, with the struct, or with an error and NULL: the struct is then freed.
 * No cancel: see pieces_close. */
typedef void pieces_open_fn(void *arg, int err, struct pieces *ps);
int pieces_open_start(const struct pieces_cfg *cfg, pieces_open_fn *done,
		      void *arg, struct pieces **out);

/* pieces_close — end every waiter with ESTALE (on this turn, so only from a
 * place that expects it), call none of the ops any more, let the jobs under way
 * finish by themselves. A pieces_read under way still ends, with ESTALE, when
 * nobody writes into its `dst` any more. Also cancels an open that is not
 * done. The metainfo must live until `gone` runs, on a later turn. */
void pieces_close(struct pieces *ps TAKES, void (*gone)(void *arg), void *arg);

enum piece_state pieces_state(const struct pieces *ps, uint32_t ix);
/* pieces_have — may be read and announced. Lends. _keep_err — of the store. */
int pieces_keep_err(const struct pieces *ps);
const struct bits *pieces_have(const struct pieces *ps);

/* pieces_store — its handle there. Lends until pieces_close; NULL: given up. */
struct store_torrent *pieces_store(const struct pieces *ps);

/* pieces_added_s, pieces_pinned, pieces_keep_pins — the store's. _hashed — how
 * many were, since pieces_open. */
int64_t pieces_added_s(const struct pieces *ps);
const struct bits *pieces_pinned(const struct pieces *ps);
int pieces_keep_pins(struct pieces *ps, const struct bits *files);
uint64_t pieces_hashed(const struct pieces *ps);

/* ---- filling ---- */

/* pieces_begin — ABSENT or WANTED -> FETCHING. 0; EAGAIN when the cap on
 * unverified bytes or the torrent's part of it is reached, EBUSY when it was
 * given up and is still being written to, or is just looked for in the user's
 * files (on_room will come after all three); ENOMEM; for a piece that would be
 * staged also why the store did not take one lately: try later. */
int pieces_begin(struct pieces *ps, uint32_t ix);

/* pieces_segment_bytes — how long the segments of a FETCHING piece are, or
 * would be if it began now: a multiple of 16 KiB, or the piece's length. */
uint32_t pieces_segment_bytes(const struct pieces *ps, uint32_t ix);

/* pieces_open — memory for the segment of byte `at` of a FETCHING piece. 0:
 * there is some, or it is full already. EAGAIN and ENOMEM as pieces_begin;
 * EBUSY: when another segment of the piece is full; or why it has failed. */
int pieces_open(struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_place — where byte `at` of a piece goes; NULL unless the piece is
 * FETCHING and its segment open and not full. Lends until it is. */
uint8_t *pieces_place(const struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_filled — the segment of byte `at` is full and nobody writes into it
 * any more. The last one makes the piece CHECKING. */
void pieces_filled(struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_took — the block at byte `at` of a FETCHING piece is in its place.
 * pieces_took_back — it is not believed any more; it is not right
 * (pieces_is_right). Both before the segment is pieces_filled. */
void pieces_took(struct pieces *ps, uint32_t ix, uint32_t at_bytes);
void pieces_took_back(struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_on_hashes — more is known of the piece's hashes. _on_no_hash: its v2
 * hash is not to be had: a hybrid is judged by the other one, of v2 alone it is
 * given up (on_failed) if it is whole and waits for that. */
void pieces_on_hashes(struct pieces *ps, uint32_t ix);
void pieces_on_no_hash(struct pieces *ps, uint32_t ix);

/* pieces_lacks_hash — it is whole, and cannot be judged yet. */
bool pieces_lacks_hash(const struct pieces *ps, uint32_t ix);

/* pieces_keep — nobody wants more of it for now: its right leaves are kept. */
void pieces_keep(struct pieces *ps, uint32_t ix);

/* pieces_shut — take the memory of all segments of a staged FETCHING piece that
 * are open and not full; nobody writes into them any more. pieces_shut_segment
 * — the same of the segment of byte `at`. */
void pieces_shut(struct pieces *ps, uint32_t ix);
void pieces_shut_segment(struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_empty — of a staged piece, in on_bad: the segment of byte `at` must be
 * filled anew. At least one must. */
void pieces_empty(struct pieces *ps, uint32_t ix, uint32_t at_bytes);

/* pieces_abandon — a FETCHING piece, into which nobody writes any more. */
void pieces_abandon(struct pieces *ps, uint32_t ix);

/* pieces_digests — a keyed hash of each 16 KiB: in on_bad of what was wrong, in
 * on_verified of such a piece of what is right. Lends for the call; or NULL. */
const uint64_t *pieces_digests(const struct pieces *ps, uint32_t ix);

/* pieces_check — assert every line of the table above, for every piece. */
void pieces_check(const struct pieces *ps);

#endif
