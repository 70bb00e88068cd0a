/* intake_joint — what other torrents with the same file bring, and have
 * brought.
 *
 * Purpose: a file with a v2 root is kept once whichever torrents have it, and
 * so it is fetched once, too, even if several of them want it at a time. Their
 * pieces may differ in length, and lie in each other.
 *
 * 1. Held back. A piece is not begun while another that has bytes of it is
 * under way and about to be here, be it of another torrent or the same one
 * (equal files). The store tells when it is (pieces_ops.on_verified, or
 * leaves), and who waits is served as ever. Nobody waits for what stands still,
 * or for long: whoever has it under way may have no good peers, or no room.
 * What is begun goes on, so two never wait for each other.
 * 2. Filled. Of a piece that is begun, blocks that the store has by then are
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
#include "net/intake.h"
#include "net/intake_piece.h"
#include "net/picker.h"
#include "net/picker_parts.h"
#include "net/rate.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

enum {
	SOURCE_STORE = 0x7fffffff, /* not a peer's id, nor a web seed's */
	/* What others have under way: who waits for a read, or is ahead of one,
	 * waits for it if it is expected within so long. It is not any more
	 * when so long nothing came, or when it was whole so long ago. */
	READ_MS = 2000,
	AHEAD_MS = 5000,
	SILENT_MS = 1000,
	LATE_MS = 2000,
	LOOK_MS = 100,
	MOMENT_US = 50000, /* from a block to the pass that asks for more */
};

/* ---- held back ---- */

/* So long somebody who wants it as much waits for what others bring. */
static uint64_t patience_us(enum want_class c)
{
	return c == WANT_URGENT ? (uint64_t)READ_MS * 1000
				: (uint64_t)AHEAD_MS * 1000;
}

static uint64_t coming_us(const struct intake *in, uint32_t piece_ix)
{
	uint32_t body = metainfo_body_bytes(in->sw->t->mi, piece_ix);
	uint32_t n = (body + WIRE_BLOCK_BYTES - 1) / WIRE_BLOCK_BYTES;
	uint32_t first, end, at;

	picker_wanted(in->sw->picker, piece_ix, &first, &end);
	at = first * WIRE_BLOCK_BYTES;
	return pieces_coming_us(in->sw->t->ps, piece_ix, at,
				end < n ? (end - first) * WIRE_BLOCK_BYTES
					: body - at);
}

bool intake_may_begin(struct intake *in, uint32_t piece_ix)
{
	uint64_t now_us = loop_now_us(in->sw->loop);
	uint64_t us = coming_us(in, piece_ix);
	enum want_class c = picker_class(in->sw->picker, piece_ix);

	if (us == UINT64_MAX || us > now_us + patience_us(c) ||
	    now_us > us + (uint64_t)LATE_MS * 1000)
		return true;
	in->has_held_back = true;
	return false;
}

uint64_t intake_look_us(const struct intake *in, uint64_t now_us)
{
	return in->has_held_back ? now_us + (uint64_t)LOOK_MS * 1000
				 : UINT64_MAX;
}

/* What its peers can do, whatever they were asked for lately; 0: not known. */
static uint64_t rate_Bps(const struct swarm *sw)
{
	uint64_t sum = 0;
	const struct webseed *ws;
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (!p->choked_us && !p->is_snubbed)
			sum += p->window.rate_Bps;
	TAILQ_FOREACH (ws, &sw->webs, link)
		sum += ws->window.rate_Bps;
	return sum;
}

uint64_t intake_coming_us(const struct intake *in, uint32_t piece_ix,
			  uint32_t at_bytes, uint32_t len_bytes)
{
	const struct intake_piece *ip = intake_find(in, piece_ix);
	uint32_t i = at_bytes / WIRE_BLOCK_BYTES;
	uint32_t end = (at_bytes + len_bytes - 1) / WIRE_BLOCK_BYTES + 1;
	uint64_t now_us = loop_now_us(in->sw->loop), left = 0, rate;

	if (ip == NULL)
		return UINT64_MAX;
	if (ip->n_arrived == ip->n_blocks)
		return ip->came_us;
	if (!picker_is_coming(in->sw->picker, piece_ix, i, end,
			      now_us < ip->came_us + MOMENT_US) ||
	    now_us > ip->came_us + (uint64_t)SILENT_MS * 1000)
		return UINT64_MAX;
	for (; i < end && i < ip->n_blocks; i++)
		left += ip->sender[i].id == 0 ? WIRE_BLOCK_BYTES : 0;
	rate = rate_Bps(in->sw);
	return now_us + (rate > 0 ? left * 1000000 / rate : 0);
}

/* ---- filled ---- */

bool intake_is_filled(const struct intake_piece *ip, uint32_t i)
{
	return ip->sender[i].is_web && ip->sender[i].id == SOURCE_STORE;
}

bool intake_fill(struct intake *in, const struct wire_block *b)
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
