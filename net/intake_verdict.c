/* intake_verdict — what becomes of blocks when more is known of them.
 *
 * A hash that matches ends a piece's record and credits who sent it. One that
 * does not: where it is known which block is wrong, its sender lied and is
 * banned, and that block alone is fetched again; where it is not, blame.c finds
 * out. A block whose leaf is right stays, whoever brought it and whatever
 * becomes of its piece.
 *
 * What can be taken back. A block whose segment is in memory, alone. Of a long
 * piece what is full is staged, and stays there until the piece is judged; if
 * it is wrong the segments that are not believed are given up, and the others
 * stay (empty_staged). */
#include "net/intake.h"

#include "cache/pieces.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metainfo.h"
#include "net/blame.h"
#include "net/custody.h"
#include "net/hashget.h"
#include "net/intake_joint.h"
#include "net/intake_piece.h"
#include "net/peer.h"
#include "net/slots.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static struct pieces *pieces_of(const struct intake *in)
{
	return in->sw->t->ps;
}

/* ---- what is not believed ---- */

bool intake_is_same(const struct intake_sender *a,
		    const struct intake_sender *b)
{
	if (a->is_web != b->is_web)
		return false;
	return a->is_web ? a->id == b->id : addr_eq(&a->addr, &b->addr);
}

bool intake_is_right(const struct intake *in, const struct intake_piece *ip,
		     uint32_t i)
{
	return pieces_is_right(pieces_of(in), ip->ix, i * WIRE_BLOCK_BYTES, 1);
}

static struct wire_block nth_block(const struct intake *in,
				   const struct intake_piece *ip, uint32_t i)
{
	uint32_t at = i * WIRE_BLOCK_BYTES;
	uint32_t left = metainfo_body_bytes(in->sw->t->mi, ip->ix) - at;

	return (struct wire_block){
		.piece_ix = ip->ix,
		.begin_bytes = at,
		.len_bytes = left < WIRE_BLOCK_BYTES ? left : WIRE_BLOCK_BYTES,
	};
}

/* What was proven needs no belief. */
static void disbelieve(struct intake *in, struct intake_piece *ip, uint32_t i)
{
	struct wire_block b = nth_block(in, ip, i);

	if (picker_is_missing(in->sw->picker, &b) || intake_is_right(in, ip, i))
		return;
	picker_take_back(in->sw->picker, &b);
	pieces_took_back(pieces_of(in), ip->ix, b.begin_bytes);
	ip->sender[i] = (struct intake_sender){.id = 0};
	ip->n_arrived--;
	ip->n_missing[i / ip->segment_blocks]++;
	custody_leave(in, ip);
	in->sw->waste_bytes += b.len_bytes;
}

/* The block that was not staged yet can be replaced: its segment lacks another,
 * or is the last one of a piece that is held. */
static bool is_at_hand(const struct intake *in, const struct intake_piece *ip,
		       uint32_t i)
{
	if (ip->n_missing[i / ip->segment_blocks] > 0)
		return true;
	return ip->is_held && pieces_place(pieces_of(in), ip->ix,
					   i * WIRE_BLOCK_BYTES) != NULL;
}

void intake_disbelieve(struct intake *in, const struct intake_sender *from)
{
	struct intake_piece *ip;
	uint32_t i;

	in->has_news = true;
	LIST_FOREACH (ip, &in->pieces, link) {
		/* What is being hashed its hash will tell of, and of what is
		 * likely to be right. */
		if (ip->is_held && custody_is_likely(in, ip))
			continue;
		for (i = 0; i < ip->n_blocks; i++)
			if (ip->sender[i].id != 0 &&
			    intake_is_same(&ip->sender[i], from) &&
			    is_at_hand(in, ip, i))
				disbelieve(in, ip, i);
	}
}

/* ---- what the hash said ---- */

/* Who sent it has given us something. */
static void credit(struct intake *in, const struct intake_piece *ip)
{
	uint32_t left = metainfo_body_bytes(in->sw->t->mi, ip->ix), i;
	struct peer *p = NULL;

	for (i = 0; i < ip->n_blocks; i++) {
		const struct intake_sender *from = &ip->sender[i];
		uint32_t len =
			left < WIRE_BLOCK_BYTES ? left : WIRE_BLOCK_BYTES;

		left -= len;
		if (from->is_web)
			continue;
		if (p == NULL || p->id != from->id)
			p = swarm_peer(in->sw, from->id);
		if (p != NULL)
			slots_on_gift(p, len);
	}
}

void intake_on_verified(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip != NULL) {
		custody_on_hashed(in, ip, true);
		blame_on_good(in, ip);
		credit(in, ip);
		intake_piece_drop(in, ip);
	}
	picker_drop(in->sw->picker, piece_ix);
}

/* A segment of a staged piece that was wrong is filled anew. */
static void empty_staged(struct intake *in, struct intake_piece *ip,
			 uint32_t segment)
{
	uint32_t first = segment * ip->segment_blocks;
	uint32_t end = first + ip->segment_blocks;

	if (end > ip->n_blocks)
		end = ip->n_blocks;
	in->sw->waste_bytes += (uint64_t)(end - first) * WIRE_BLOCK_BYTES;
	intake_empty_segment(ip, segment);
	picker_empty(in->sw->picker, ip->ix, first * WIRE_BLOCK_BYTES);
	pieces_empty(pieces_of(in), ip->ix, first * WIRE_BLOCK_BYTES);
}

/* Block `i` of a piece that was wrong, and what cannot be told from it. */
static void give_up(struct intake *in, struct intake_piece *ip, uint32_t i)
{
	if (intake_segments(ip) == 1)
		disbelieve(in, ip, i);
	else if (ip->n_missing[i / ip->segment_blocks] == 0)
		empty_staged(in, ip, i / ip->segment_blocks);
}

/* Only what a convict brought of it: the others may well be right, and they are
 * still there. */
static bool take_out_convicts(struct intake *in, struct intake_piece *ip)
{
	bool had_any = false;
	uint32_t i;

	if (ip->is_suspect)
		return false;
	for (i = 0; i < ip->n_blocks; i++) {
		if (ip->sender[i].id == 0 || intake_is_right(in, ip, i) ||
		    !blame_is_convict(in, &ip->sender[i]))
			continue;
		give_up(in, ip, i);
		had_any = true;
	}
	return had_any;
}

/* What we put into it ourselves is suspect first. False: nothing, or it is
 * proven. */
static bool take_out_filled(struct intake *in, struct intake_piece *ip)
{
	uint32_t i, n_before = ip->n_arrived;

	if (ip->n_filled == 0)
		return false;
	ip->n_filled = 0;
	pieces_doubt_kept(pieces_of(in), ip->ix);
	for (i = 0; i < ip->n_blocks; i++)
		if (intake_is_filled(ip, i) && !intake_is_right(in, ip, i))
			give_up(in, ip, i);
	return ip->n_arrived < n_before;
}

/* All of it again, but for what is known to be right. */
static void restart(struct intake *in, struct intake_piece *ip)
{
	uint32_t i;

	for (i = 0; i < ip->n_blocks; i++)
		if (!intake_is_right(in, ip, i))
			give_up(in, ip, i);
	/* Every block is, and all together are not: then nothing is. */
	for (i = 0; i < ip->n_blocks && ip->n_arrived == ip->n_blocks; i++)
		if (intake_segments(ip) > 1)
			give_up(in, ip, i);
}

void intake_on_bad(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL)
		return;
	log_debug("%s: piece %u is wrong", torrent_name(in->sw->t), piece_ix);
	custody_on_hashed(in, ip, false);
	swarm_kick(in->sw);
	if (take_out_filled(in, ip) || take_out_convicts(in, ip))
		return;
	blame_on_bad(in, ip);
	restart(in, ip);
}

void intake_on_bad_leaf(struct intake *in, uint32_t piece_ix, uint32_t at_bytes)
{
	struct intake_piece *ip = intake_find(in, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;
	struct intake_sender liar;

	if (ip == NULL)
		return;
	liar = ip->sender[i];
	if (intake_is_filled(ip, i)) {
		pieces_doubt_kept(pieces_of(in), piece_ix);
		liar.id = 0;
	}
	log_debug("%s: block %u of piece %u is wrong", torrent_name(in->sw->t),
		  i, piece_ix);
	/* What was handed over the piece's own verdict brings back. */
	if (intake_segments(ip) == 1 || is_at_hand(in, ip, i))
		disbelieve(in, ip, i);
	if (liar.id != 0)
		blame_on_bad_leaf(in, &liar, piece_ix);
	swarm_kick(in->sw);
}

void intake_find_hashes(struct intake *in)
{
	struct hashget *hg = in->sw->t->hashget;
	struct intake_piece *ip, *next;

	if (!in->is_lacking)
		return;
	in->is_lacking = false;
	LIST_FOREACH_SAFE (ip, &in->pieces, link, next)
		if (pieces_lacks_hash(pieces_of(in), ip->ix) &&
		    !hashget_want_piece(hg, ip->ix))
			pieces_on_no_hash(pieces_of(in), ip->ix);
}

void intake_on_failed(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL) {
		pieces_abandon(pieces_of(in), piece_ix);
		return;
	}
	in->sw->waste_bytes += (uint64_t)ip->n_arrived * WIRE_BLOCK_BYTES;
	intake_abandon(in, ip);
	swarm_kick(in->sw);
}

void intake_on_brought(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);
	uint32_t i;

	if (ip == NULL) {
		pieces_abandon(pieces_of(in), piece_ix);
		return;
	}
	for (i = 0; i < ip->n_blocks; i++) {
		struct wire_block b = nth_block(in, ip, i);

		if (!picker_is_missing(in->sw->picker, &b) &&
		    !intake_is_right(in, ip, i))
			in->sw->waste_bytes += b.len_bytes;
	}
	intake_abandon(in, ip);
	swarm_kick(in->sw);
}
