/* intake_verdict — what becomes of blocks when more is known of them.
 *
 * A hash that matches ends a piece's record and credits who sent it. One that
 * does not: where it is known which block is wrong, its sender lied and is
 * banned, and that block alone is fetched again; where it is not, blame.c finds
 * out. A block whose leaf is right stays, whoever brought it and whatever
 * becomes of its piece. */
#include "net/intake.h"

#include "cache/pieces.h"
#include "core/err.h"
#include "core/log.h"
#include "core/metainfo.h"
#include "net/blame.h"
#include "net/custody.h"
#include "net/hashget.h"
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

/* What was proven needs no belief. */
static void disbelieve(struct intake *in, struct intake_piece *ip, uint32_t i)
{
	uint32_t len = metainfo_piece_bytes(in->sw->t->mi, ip->ix);
	struct wire_block b = {.piece_ix = ip->ix,
			       .begin_bytes = i * WIRE_BLOCK_BYTES};

	len -= b.begin_bytes;
	b.len_bytes = len < WIRE_BLOCK_BYTES ? len : WIRE_BLOCK_BYTES;
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

void intake_disbelieve(struct intake *in, const struct intake_sender *from)
{
	struct intake_piece *ip;
	uint32_t i;

	LIST_FOREACH (ip, &in->pieces, link) {
		/* What is full is staged, or the hash will tell; but what is
		 * held is not hashed yet. */
		bool any = ip->is_held && !custody_is_likely(in, ip);

		for (i = 0; i < ip->n_blocks; i++)
			if ((any ||
			     ip->n_missing[i / ip->segment_blocks] > 0) &&
			    ip->sender[i].id != 0 &&
			    intake_is_same(&ip->sender[i], from))
				disbelieve(in, ip, i);
	}
}

/* ---- what the hash said ---- */

/* Who sent it has given us something. */
static void credit(struct intake *in, const struct intake_piece *ip)
{
	uint32_t left = metainfo_piece_bytes(in->sw->t->mi, ip->ix), i;
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

/* Only what a convict brought of it: the others may well be right, and unless
 * it was staged they are still there. */
static bool take_out_convicts(struct intake *in, struct intake_piece *ip)
{
	bool had_any = false;
	uint32_t i;

	if (ip->is_suspect || pieces_place(pieces_of(in), ip->ix, 0) == NULL)
		return false;
	for (i = 0; i < ip->n_blocks; i++) {
		if (!blame_is_convict(in, &ip->sender[i]))
			continue;
		disbelieve(in, ip, i);
		had_any = true;
	}
	return had_any;
}

/* All of it again, but for what is known to be right. */
static void restart(struct intake *in, struct intake_piece *ip)
{
	uint32_t i;

	if (intake_segments(ip) == 1) {
		for (i = 0; i < ip->n_blocks; i++)
			disbelieve(in, ip, i);
		return;
	}
	in->sw->waste_bytes += metainfo_piece_bytes(in->sw->t->mi, ip->ix);
	picker_restart(in->sw->picker, ip->ix);
	for (i = 0; i < intake_segments(ip); i++)
		intake_empty_segment(ip, i);
	for (i = 0; i < ip->n_blocks; i++)
		ip->sender[i] = (struct intake_sender){.id = 0};
}

void intake_on_bad(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL)
		return;
	log_debug("%s: piece %u is wrong", torrent_name(in->sw->t), piece_ix);
	custody_on_hashed(in, ip, false);
	swarm_kick(in->sw);
	if (take_out_convicts(in, ip))
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
	log_debug("%s: block %u of piece %u is wrong", torrent_name(in->sw->t),
		  i, piece_ix);
	/* A segment that is full was handed over: the piece's own verdict
	 * brings it back. */
	if (intake_segments(ip) == 1 ||
	    ip->n_missing[i / ip->segment_blocks] > 0)
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
