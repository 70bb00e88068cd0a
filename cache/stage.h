/* stage — a piece that memory is too small for: its segments, from the first
 * byte to the verdict. For pieces.c, whose slot owns it.
 *
 *   segment   memory        counted  write under way  in the store
 *   EMPTY     none          no       no               no
 *   HOT       being filled  yes      no               no
 *   WRITING   whole         yes      yes              no
 *   STAGED    until it is   iff      no               yes
 *             hashed, maybe memory
 *
 *   EMPTY   -> HOT      stage_open
 *   HOT     -> EMPTY    stage_shut
 *   HOT     -> WRITING  stage_filled
 *   WRITING -> STAGED   the store has written it
 *   STAGED  -> EMPTY    stage_empty: the piece was wrong
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_STAGE_H
#define SHOAL_CACHE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

struct blk;
struct slot;
struct stage;

/* What a stage tells its owner, always on a turn of its own. */
struct stage_ops {
	/* All of it is in the store, and right. */
	void (*on_right)(struct slot *s);
	/* It is not. All segments are STAGED; before this returns some must be
	 * emptied (stage_empty), to be filled anew, or the piece given up. Once
	 * all are STAGED again it is hashed again from its first byte. */
	void (*on_wrong)(struct slot *s, bool is_disputed);
	/* It cannot be staged: nothing more happens to it until stage_free. */
	void (*on_failed)(struct slot *s, int err);
	/* After stage_free: the last job is over and the memory gone. */
	void (*on_gone)(struct slot *s);
};

/* stage_new — EAGAIN when the cap on unverified bytes is reached, ENOMEM. `s`
 * and `ops` are kept. */
int stage_new(struct slot *s, const struct stage_ops *ops, struct stage **out);

/* stage_free — drop its memory as soon as no job needs it; then on_gone, from
 * inside this call if there is none. */
void stage_free(struct stage *g);

/* stage_open — memory for the segment of byte `at`. 0, also when it has some
 * or needs none; EAGAIN (the cap; see pieces_open), EBUSY (too many segments
 * of this piece are HOT), ENOMEM. */
int stage_open(struct stage *g, uint32_t at_bytes);

/* stage_place — where byte `at` goes; NULL when its segment is not HOT. */
uint8_t *stage_place(const struct stage *g, uint32_t at_bytes);

/* stage_filled — the segment of byte `at`, HOT, is whole. True: so is the
 * piece. */
bool stage_filled(struct stage *g, uint32_t at_bytes);

/* stage_knows_root — what is right was hashed for v2, too. */
bool stage_knows_root(const struct stage *g);

/* stage_shut — all HOT segments are EMPTY again, and what is STAGED has no
 * memory. */
void stage_shut(struct stage *g);

/* stage_shut_segment — the same of the one of byte `at`, if it is HOT. */
void stage_shut_segment(struct stage *g, uint32_t at_bytes);

/* stage_empty — the segment of byte `at`, STAGED, is EMPTY. From within
 * on_wrong only. */
void stage_empty(struct stage *g, uint32_t at_bytes);

/* stage_lend — where a stretch of it lies, whatever its bytes are worth; NULL
 * unless it is in memory in one run. stage_is_staged: byte `at` is in the
 * store.
 */
struct blk *stage_lend(const struct stage *g, uint32_t at_bytes,
		       uint32_t len_bytes, uint8_t **data);
bool stage_is_staged(const struct stage *g, uint32_t at_bytes);

/* stage_lacks_root — all but the last part was hashed, and pieces_knows_root
 * says no. stage_on_root: ask again. */
bool stage_lacks_root(const struct stage *g);
void stage_on_root(struct stage *g);

uint32_t stage_segment_bytes(const struct stage *g);

/* stage_check — the table. `is_whole`: every segment was filled. */
void stage_check(const struct stage *g, bool is_whole);

#endif
