/* intake_joint — what other torrents with the same file bring, and have
 * brought.
 *
 * Purpose: a file with a v2 root is kept once whichever torrents have it, and
 * so it is fetched once, too, even if several of them want it at a time. Their
 * pieces may differ in length, and lie in each other.
 *
 * 1. Held back. A piece is not begun while another that has bytes of it is
 *    under way and about to be here, be it of another torrent or the same one
 *    (equal files). The store tells when it is (pieces_ops.on_verified, or
 *    leaves), and who waits is served as ever. Nobody waits for what stands
 *    still, or for long (coming.c): whoever has it under way hears that nobody
 *    is at work for it any more in the pass that follows, and then those who
 *    are held back do (intake_note_progress).
 * 2. Left to others. Of a piece that is begun, the blocks that another torrent
 *    has asked for, or has, and that are about to be here. What it only wants
 *    is not left to it: so two never wait for each other.
 * 3. Filled. Of a piece that is begun, blocks that the store has by then are
 *    asked of nobody but read from there, at the moment when they would be
 *    asked for, if that needs no wait. They are hashed with the piece as all
 *    others.
 *
 * Failure modes. A piece with such blocks is wrong: those are not believed any
 * more, and nobody is blamed for it (intake_verdict.c); should it be wrong once
 * more, it was the peers. A block that cannot be read now is asked for. */
#include "net/intake_joint.h"

#include "cache/pieces.h"
#include "core/loop.h"
#include "core/metainfo.h"
#include "net/coming.h"
#include "net/engine_internal.h"
#include "net/intake.h"
#include "net/intake_piece.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/picker_parts.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"

enum {
	SOURCE_STORE = 0x7fffffff, /* not a peer's id, nor a web seed's */
	LOOK_MS = 100,
};

/* ---- held back ---- */

static bool is_worth(struct intake *in, uint32_t piece_ix, uint64_t us)
{
	enum want_class c = picker_class(in->sw->picker, piece_ix);

	if (!coming_is_worth(us, c == WANT_URGENT, loop_now_us(in->sw->loop)))
		return false;
	if (!in->has_held_back)
		LIST_INSERT_HEAD(&in->sw->e->held_back, in, held_back);
	in->has_held_back = true;
	return true;
}

void intake_hold_none(struct intake *in)
{
	if (in->has_held_back)
		LIST_REMOVE(in, held_back);
	in->has_held_back = false;
}

static uint64_t wanted_us(const struct intake *in, uint32_t piece_ix)
{
	uint32_t body = metainfo_body_bytes(in->sw->t->mi, piece_ix);
	uint32_t n = (body + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
	uint32_t first, end, at;

	picker_wanted(in->sw->picker, piece_ix, &first, &end);
	at = first * WIRE_BLOCK_BYTES;
	return pieces_coming_us(
		in->sw->t->ps, piece_ix, at,
		end < n ? (end - first) * WIRE_BLOCK_BYTES : body - at, false);
}

enum picker_begin intake_may_begin(struct intake *in, uint32_t piece_ix)
{
	if (!pieces_may_begin(in->sw->t->ps, piece_ix))
		return PICKER_BEGIN_NONE;
	return is_worth(in, piece_ix, wanted_us(in, piece_ix))
		       ? PICKER_BEGIN_NOT
		       : PICKER_BEGIN;
}

uint64_t intake_look_us(const struct intake *in, uint64_t now_us)
{
	return in->has_held_back ? now_us + (uint64_t)LOOK_MS * 1000
				 : UINT64_MAX;
}

/* ---- what others wait for ---- */

/* Who could be asked for more. `*rate`: what they can do, whatever they were
 * asked for lately; 0: not known. */
static bool can_ask(const struct swarm *sw, uint64_t now_us, uint64_t *rate_Bps)
{
	const struct webseed *ws;
	const struct peer *p;
	bool any = false;

	*rate_Bps = 0;
	TAILQ_FOREACH (p, &sw->peers, link) {
		if (!p->is_up || p->choked_us || p->is_snubbed ||
		    now_us < p->hold_until_us)
			continue;
		any = true;
		*rate_Bps += p->window.rate_Bps;
	}
	TAILQ_FOREACH (ws, &sw->webs, link) {
		if (!webseed_is_usable(ws))
			continue;
		any = true;
		*rate_Bps += ws->window.rate_Bps;
	}
	return any;
}

/* Somebody owes us blocks, and is believed to bring them. */
static bool is_owed(const struct swarm *sw, uint64_t now_us)
{
	const struct webseed *ws;
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->asks.n > p->n_released && !p->choked_us &&
		    !peer_ask_is_doubtful(p, now_us))
			return true;
	TAILQ_FOREACH (ws, &sw->webs, link)
		if (ws->since_us != 0 && webseed_is_usable(ws) &&
		    !webseed_is_late(ws))
			return true;
	return false;
}

uint64_t intake_coming_us(const struct intake *in, uint32_t piece_ix,
			  uint32_t at_bytes, uint32_t len_bytes,
			  bool only_asked)
{
	const struct swarm *sw = in->sw;
	const struct intake_piece *ip = intake_find(in, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;
	uint32_t end = (at_bytes + len_bytes - 1) / WIRE_BLOCK_BYTES + 1;
	struct coming_facts f = {.now_us = loop_now_us(sw->loop)};

	if (ip == NULL)
		return UINT64_MAX;
	f.came_us = ip->came_us;
	f.is_whole = ip->n_arrived == ip->n_blocks;
	f.is_promised =
		picker_is_promised(sw->picker, piece_ix, i, end, only_asked);
	if (f.is_promised && !f.is_whole) {
		f.can_ask = can_ask(sw, f.now_us, &f.rate_Bps);
		f.is_owed = picker_is_asked(sw->picker, piece_ix) &&
			    is_owed(sw, f.now_us);
	}
	for (; i < end && i < ip->n_blocks; i++)
		f.left_bytes += ip->sender[i].id == 0 ? WIRE_BLOCK_BYTES : 0;
	f.is_judged = f.left_bytes == 0 &&
		      picker_class(sw->picker, piece_ix) == WANT_URGENT;
	return coming_us(&f);
}

void intake_note_progress(struct intake *in, uint64_t now_us)
{
	bool is_at_work = is_owed(in->sw, now_us);
	struct intake *other;

	if (in->was_at_work && !is_at_work)
		LIST_FOREACH (other, &in->sw->e->held_back, held_back)
			if (other != in)
				swarm_kick(other->sw);
	in->was_at_work = is_at_work;
}

/* ---- filled ---- */

bool intake_is_filled(const struct intake_piece *ip, uint32_t i)
{
	return ip->sender[i].is_web && ip->sender[i].id == SOURCE_STORE;
}

/* Of a piece that is begun: what somebody else was asked for, or has, and does
 * not know to be right yet. Nobody waits for what is only wanted: so two never
 * wait for each other. */
static bool is_with_others(struct intake *in, const struct wire_block *b)
{
	return is_worth(in, b->piece_ix,
			pieces_coming_us(in->sw->t->ps, b->piece_ix,
					 b->begin_bytes, b->len_bytes, true));
}

static bool fill(struct intake *in, const struct wire_block *b)
{
	struct pieces *ps = in->sw->t->ps;
	struct intake_piece *ip = intake_find(in, b->piece_ix);
	uint32_t i = b->begin_bytes / WIRE_BLOCK_BYTES;
	uint8_t *place;

	if (ip == NULL || !pieces_is_kept(ps, b->piece_ix, b->begin_bytes))
		return false;
	place = pieces_place(ps, b->piece_ix, b->begin_bytes);
	if (place == NULL ||
	    pieces_read_now(ps,
			    (uint64_t)b->piece_ix * in->sw->t->mi->piece_bytes +
				    b->begin_bytes,
			    b->len_bytes, place) != 0)
		return false;
	ip->holder[i] = 0;
	ip->sender[i] =
		(struct intake_sender){.id = SOURCE_STORE, .is_web = true};
	ip->n_filled++;
	ip->n_arrived++;
	ip->n_missing[i / ip->segment_blocks]--;
	in->has_filled = true;
	pieces_took(ps, b->piece_ix, b->begin_bytes);
	return true;
}

enum picker_fill intake_fill(struct intake *in, const struct wire_block *b)
{
	if (fill(in, b))
		return PICKER_FILL_DONE;
	return is_with_others(in, b) ? PICKER_FILL_WAIT : PICKER_FILL_NOT;
}

/* Segment `i` is full, and still here. */
static bool is_due(const struct intake *in, const struct intake_piece *ip,
		   uint32_t i)
{
	return ip->n_missing[i] == 0 && !ip->is_held &&
	       pieces_place(in->sw->t->ps, ip->ix,
			    i * ip->segment_blocks * WIRE_BLOCK_BYTES) != NULL;
}

/* The one that makes the piece whole comes last. */
static void hand_over(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);
	uint32_t n = intake_segments(ip), n_due = 0, i;

	for (i = 0; i < n; i++)
		n_due += is_due(in, ip, i);
	for (i = 0; i < n && n_due > 0; i++) {
		if (!is_due(in, ip, i))
			continue;
		if (--n_due > 0)
			pieces_filled(in->sw->t->ps, piece_ix,
				      i * ip->segment_blocks *
					      WIRE_BLOCK_BYTES);
		else
			intake_on_segment(in, ip, i * ip->segment_blocks);
		ip = intake_find(in, piece_ix);
		if (ip == NULL)
			return;
	}
}

void intake_on_filled(struct intake *in)
{
	struct intake_piece *ip, *next;

	if (!in->has_filled)
		return;
	in->has_filled = false;
	LIST_FOREACH_SAFE (ip, &in->pieces, link, next)
		if (ip->n_filled > 0)
			hand_over(in, ip->ix);
}
