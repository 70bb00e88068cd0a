/* intake — from the socket into the piece.
 *
 * Words. Segment: a run of blocks that has its memory together; most pieces are
 * one (cache/pieces.h). Place: a block's own bytes in the memory of its
 * segment. Holder: the peer to which a place was last handed out. Copy: a block
 * that is asked of several peers because the first is late.
 *
 * Happy path
 *   1. The picker opens a segment: its memory is made (intake_open).
 *   2. A peer is about to read and asks where the next blocks go: in place.
 *   3. A block is whole: the picker is told, copies elsewhere are cancelled,
 *      the sender is noted.
 *   4. The last block of a segment came: nobody writes into its memory any
 *      more, and it is handed over, to be hashed or to be staged; the one that
 *      makes the piece whole at once or in its turn (custody.c).
 *   5. Verified: the record goes. Bad: intake_verdict.c.
 *
 * Invariants
 *   1. At most one peer is half way through a block with its bytes going to
 *      the block's place, and that peer is the block's holder: a place is
 *      handed out anew only if its holder is not receiving that very block,
 *      or has fallen silent in the middle of it and is made to forget it.
 *      Else a second peer gets its scratch block, copied into place at the
 *      end if the block is still missing then.
 *   2. Once a block has arrived no place is handed out for it, and who was
 *      half way through it is made to forget its place first.
 *   3. So when a segment is whole no peer writes into it; all are told to
 *      forget it all the same before pieces_filled.
 *   4. Memory is given up (abandon, shut) only after every peer forgot it.
 *
 * Failure modes. No memory, or the cap on unverified bytes is reached:
 * is_short, the pass has others give some back (reclaim.c) and tries again,
 * else waits for pieces' on_room. The store cannot stage a piece: it is given
 * up; for a while nothing is begun in its place, and nobody says when that
 * ends. A block that nobody asked for is dropped and counted; too many end the
 * peer.
 */
#include "net/intake.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/blame.h"
#include "net/custody.h"
#include "net/fetch.h"
#include "net/hashget.h"
#include "net/intake_joint.h"
#include "net/intake_piece.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/slots.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"

int intake_new(struct swarm *sw, struct intake **out)
{
	struct intake *in = mem_new(struct intake);
	int r;

	if (in == NULL)
		return ENOMEM;
	in->sw = sw;
	LIST_INIT(&in->pieces);
	TAILQ_INIT(&in->held);
	r = hmap_new(sizeof(uint32_t), &in->by_ix);
	if (r != 0) {
		mem_free(in);
		return r;
	}
	*out = in;
	return 0;
}

void intake_free(struct intake *in)
{
	struct intake_piece *ip;

	if (in == NULL)
		return;
	intake_hold_none(in);
	while ((ip = LIST_FIRST(&in->pieces)) != NULL) {
		LIST_REMOVE(ip, link);
		intake_piece_free(ip);
	}
	hmap_free(in->by_ix);
	mem_free(in);
}

struct intake_piece *intake_find(const struct intake *in, uint32_t piece_ix)
{
	return hmap_get(in->by_ix, &piece_ix);
}

static struct pieces *pieces_of(const struct intake *in)
{
	return in->sw->t->ps;
}

/* ---- opening and giving up ---- */

/* EAGAIN is what others can help with, and ENOMEM maybe. EBUSY passes by
 * itself. Whatever else the store says, only time will tell. */
static void note_failure(struct intake *in, uint32_t piece_ix, int err)
{
	enum want_class c;

	if (err == EBUSY)
		return;
	if (err != EAGAIN)
		in->is_nomem = true;
	if (err != EAGAIN && err != ENOMEM)
		return;
	in->is_short = true;
	c = picker_class(in->sw->picker, piece_ix);
	if (c > in->short_for)
		in->short_for = c;
}

static int begin(struct intake *in, uint32_t piece_ix, uint32_t at_bytes)
{
	struct intake_piece *ip = intake_piece_new(in, piece_ix);
	int r;

	if (ip == NULL)
		return ENOMEM;
	r = pieces_begin(pieces_of(in), piece_ix);
	if (r != 0) {
		intake_piece_drop(in, ip);
		return r;
	}
	r = pieces_open(pieces_of(in), piece_ix, at_bytes);
	if (r != 0) {
		intake_piece_drop(in, ip);
		pieces_abandon(pieces_of(in), piece_ix);
	}
	return r;
}

/* Nobody writes into the memory of segment `i` any more. */
static void forget_segment(struct intake *in, const struct intake_piece *ip,
			   uint32_t i)
{
	uint32_t at = i * ip->segment_blocks * WIRE_BLOCK_BYTES;
	uint32_t len = metainfo_body_bytes(in->sw->t->mi, ip->ix) - at;
	const uint8_t *place = pieces_place(pieces_of(in), ip->ix, at);
	struct peer *p;

	if (place == NULL)
		return;
	if (len > ip->segment_blocks * WIRE_BLOCK_BYTES)
		len = ip->segment_blocks * WIRE_BLOCK_BYTES;
	TAILQ_FOREACH (p, &in->sw->peers, link)
		peerio_forget_dst(p->io, place, len);
}

/* Of blocks [i, end) those that came, and go with their memory. What is right
 * has served its reader, and the store keeps it. */
static void count_loss(struct intake *in, const struct intake_piece *ip,
		       uint32_t i, uint32_t end)
{
	for (; i < end && i < ip->n_blocks; i++)
		if (ip->sender[i].id != 0 && !intake_is_right(in, ip, i))
			in->sw->waste_bytes += WIRE_BLOCK_BYTES;
}

static void cancel_everywhere(struct intake *in, uint32_t piece_ix)
{
	struct peer *p;

	TAILQ_FOREACH (p, &in->sw->peers, link)
		peer_ask_cancel_piece(p, piece_ix);
	webseed_cancel_piece(in->sw, piece_ix);
}

void intake_abandon(struct intake *in, struct intake_piece *ip)
{
	uint32_t ix = ip->ix, i;

	if (pieces_state(pieces_of(in), ix) != PIECE_FETCHING)
		return; /* being hashed: too late, and no harm */
	cancel_everywhere(in, ix);
	for (i = 0; i < intake_segments(ip); i++)
		forget_segment(in, ip, i);
	intake_piece_drop(in, ip);
	picker_close(in->sw->picker, ix);
	pieces_abandon(pieces_of(in), ix);
}

/* Of a staged piece, what is in memory and not full. False: nothing is. */
static bool shut(struct intake *in, struct intake_piece *ip)
{
	uint32_t n = ip->segment_blocks, i;
	bool any = false;

	if (intake_segments(ip) == 1)
		return false;
	for (i = 0; i < intake_segments(ip); i++)
		any = any || picker_is_hot(in->sw->picker, ip->ix,
					   i * n * WIRE_BLOCK_BYTES);
	if (!any)
		return false;
	cancel_everywhere(in, ip->ix);
	for (i = 0; i < intake_segments(ip); i++) {
		if (ip->n_missing[i] == 0)
			continue;
		forget_segment(in, ip, i);
		count_loss(in, ip, i * n, (i + 1) * n);
		intake_empty_segment(ip, i);
	}
	picker_shut(in->sw->picker, ip->ix);
	pieces_shut(pieces_of(in), ip->ix);
	return true;
}

/* Of a long piece, the open segments of which nobody wants more. */
static bool shut_idle(struct intake *in, struct intake_piece *ip)
{
	uint32_t n = ip->segment_blocks, bytes = n * WIRE_BLOCK_BYTES, i;
	bool any = false;

	for (i = 0; i < intake_segments(ip) && n < ip->n_blocks; i++) {
		if (!picker_is_hot(in->sw->picker, ip->ix, i * bytes) ||
		    picker_is_busy(in->sw->picker, ip->ix, i * bytes))
			continue;
		forget_segment(in, ip, i);
		count_loss(in, ip, i * n, (i + 1) * n);
		intake_empty_segment(ip, i);
		picker_shut_segment(in->sw->picker, ip->ix, i * bytes);
		pieces_shut_segment(pieces_of(in), ip->ix, i * bytes);
		any = true;
	}
	return any;
}

static int open_more(struct intake *in, uint32_t piece_ix, uint32_t at_bytes)
{
	struct intake_piece *ip = intake_find(in, piece_ix);
	int r = pieces_open(pieces_of(in), piece_ix, at_bytes);

	if ((r == EBUSY || r == EAGAIN) && ip != NULL && shut_idle(in, ip))
		r = pieces_open(pieces_of(in), piece_ix, at_bytes);
	return r;
}

/* Of a torrent with v2 alone, when nobody tells the piece's hash: what came of
 * it would be good for nothing. */
static bool is_unprovable(const struct intake *in, uint32_t piece_ix)
{
	const struct torrent *t = in->sw->t;

	return !t->mi->has_v1 && !hashget_want_piece(t->hashget, piece_ix);
}

bool intake_open(struct intake *in, uint32_t piece_ix, uint32_t at_bytes)
{
	enum piece_state state = pieces_state(pieces_of(in), piece_ix);
	int r;

	if ((state == PIECE_ABSENT || state == PIECE_WANTED) &&
	    is_unprovable(in, piece_ix))
		return false;
	if (state == PIECE_ABSENT || state == PIECE_WANTED)
		r = begin(in, piece_ix, at_bytes);
	else if (state == PIECE_FETCHING)
		r = open_more(in, piece_ix, at_bytes);
	else
		return false;
	if (r != 0)
		note_failure(in, piece_ix, r);
	return r == 0;
}

bool intake_give_back(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL ||
	    pieces_state(pieces_of(in), piece_ix) != PIECE_FETCHING)
		return false;
	/* Of a long piece that is held little is in memory, and soon none. */
	if (ip->is_held && intake_segments(ip) > 1) {
		custody_let_go(in, ip);
		return false;
	}
	if (shut(in, ip))
		return true;
	count_loss(in, ip, 0, ip->n_blocks);
	intake_abandon(in, ip);
	return true;
}

void intake_unwant(struct intake *in, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL)
		return;
	if (ip->n_arrived == 0)
		intake_abandon(in, ip);
	else
		cancel_everywhere(in, piece_ix);
	pieces_keep(pieces_of(in), piece_ix);
}

/* ---- where the bytes go ---- */

static uint8_t *place_of(struct intake *in, const struct wire_block *b)
{
	return pieces_place(pieces_of(in), b->piece_ix, b->begin_bytes);
}

void intake_begin_slots(struct peer *p)
{
	struct wire_block now;

	p->scratch_taken = p->scratch_taken && peerio_receiving(p->io, &now) &&
			   wire_block_eq(&now, &p->scratch_for);
}

static uint8_t *use_scratch(struct peer *p, const struct wire_block *b)
{
	if (p->scratch_taken)
		return NULL;
	if (p->scratch == NULL)
		p->scratch = mem_alloc(WIRE_BLOCK_BYTES);
	if (p->scratch == NULL)
		return NULL;
	p->scratch_taken = true;
	p->scratch_for = *b;
	return p->scratch;
}

/* Is somebody else's socket filling the block's place right now? */
static struct peer *writer_of(struct intake *in, const struct intake_piece *ip,
			      const struct wire_block *b, uint32_t but_id)
{
	uint32_t id = ip->holder[b->begin_bytes / WIRE_BLOCK_BYTES];
	struct wire_block now;
	struct peer *p;

	if (id == 0 || id == but_id)
		return NULL;
	p = swarm_peer(in->sw, id);
	if (p == NULL || !peerio_receiving(p->io, &now) ||
	    !wire_block_eq(&now, b))
		return NULL;
	return p;
}

uint8_t *intake_place(struct peer *p, const struct wire_block *b)
{
	struct intake *in = p->sw->intake;
	struct intake_piece *ip;
	struct peer *writer;
	uint8_t *place;

	if (in == NULL || !picker_is_missing(p->sw->picker, b))
		return NULL;
	if (p->scratch_taken && wire_block_eq(b, &p->scratch_for))
		return p->scratch;
	ip = intake_find(in, b->piece_ix);
	place = place_of(in, b);
	if (ip == NULL || place == NULL)
		return NULL;
	writer = writer_of(in, ip, b, p->id);
	if (writer != NULL) {
		if (!peer_ask_is_doubtful(writer, loop_now_us(p->sw->loop)))
			return use_scratch(p, b);
		peerio_forget_dst(writer->io, place, b->len_bytes);
	}
	ip->holder[b->begin_bytes / WIRE_BLOCK_BYTES] = p->id;
	return place;
}

/* ---- arrival ---- */

static void drop(struct peer *p, const struct wire_block *b,
		 enum peer_ask_was was)
{
	p->sw->waste_bytes += b->len_bytes;
	if (was != PEER_ASK_NOT || p->credit > 0)
		picker_on_waste(p->sw->picker, b->len_bytes);
	if (was == PEER_ASK_OUT) {
		picker_on_gone(p->sw->picker, p->id, b);
		swarm_kick(p->sw);
	} else if (was == PEER_ASK_NOT) {
		if (p->credit > 0)
			p->credit--;
		else if (++p->unasked > PEER_UNASKED_MAX)
			peer_end(p, PEER_END_PROTOCOL);
	}
}

/* The copies that others were asked for, and the releases of stalled peers
 * that the picker does not know of any more. */
static void cancel_copies(struct swarm *sw, uint32_t id,
			  const struct wire_block *b, const uint32_t *others,
			  unsigned n_others)
{
	struct webseed *ws;
	struct peer *o;
	unsigned i;

	for (i = 0; i < n_others; i++) {
		o = swarm_peer(sw, others[i]);
		ws = o == NULL ? webseed_find(sw, others[i]) : NULL;
		if (o != NULL)
			peer_ask_cancel(o, b);
		else if (ws != NULL)
			webseed_cancel(ws, b);
	}
	TAILQ_FOREACH (o, &sw->peers, link)
		if (o->id != id && o->n_released > 0)
			peer_ask_cancel(o, b);
}

void intake_on_segment(struct intake *in, struct intake_piece *ip,
		       uint32_t block)
{
	forget_segment(in, ip, block / ip->segment_blocks);
	if (ip->n_arrived == ip->n_blocks)
		custody_on_whole(in, ip, block * WIRE_BLOCK_BYTES);
	else
		pieces_filled(pieces_of(in), ip->ix, block * WIRE_BLOCK_BYTES);
}

static void count_block(struct intake *in, struct intake_piece *ip,
			uint32_t block)
{
	ip->n_arrived++;
	ip->came_us = loop_now_us(in->sw->loop);
	if (--ip->n_missing[block / ip->segment_blocks] == 0)
		intake_on_segment(in, ip, block);
}

/* The bytes are at `dst` and the block is missing: it is ours. */
static void take_block(struct intake *in, const struct intake_sender *from,
		       struct intake_piece *ip, const struct wire_block *b,
		       const uint8_t *dst)
{
	struct swarm *sw = in->sw;
	uint8_t *place = place_of(in, b);
	uint32_t block = b->begin_bytes / WIRE_BLOCK_BYTES;
	struct peer *writer = writer_of(in, ip, b, from->id);
	uint32_t others[PICKER_COPIES_MAX];
	unsigned n_others = 0;

	if (writer != NULL)
		peerio_forget_dst(writer->io, place, b->len_bytes);
	if (dst != place)
		memcpy(place, dst, b->len_bytes);
	ip->holder[block] = 0;
	ip->sender[block] = *from;
	(void)picker_on_arrived(sw->picker, from->id, b, others, &n_others);
	cancel_copies(sw, from->id, b, others, n_others);
	fetch_on_block(sw->t->fetch, b->piece_ix, ip->n_arrived + 1,
		       loop_now_us(sw->loop));
	pieces_took(pieces_of(in), b->piece_ix, b->begin_bytes);
	count_block(in, ip, block);
}

void intake_on_block(struct peer *p, const struct wire_block *b, uint8_t *dst)
{
	struct swarm *sw = p->sw;
	struct intake_piece *ip;
	enum peer_ask_was was;

	if (sw->intake == NULL) {
		drop(p, b, PEER_ASK_NOT);
		return;
	}
	was = peer_ask_on_arrival(p, b);
	if (was == PEER_ASK_NUDGE) {
		sw->waste_bytes += b->len_bytes;
		return;
	}
	if (was != PEER_ASK_NOT)
		peer_ask_on_promise(p);
	ip = intake_find(sw->intake, b->piece_ix);
	if (dst == NULL || ip == NULL || !picker_is_missing(sw->picker, b) ||
	    place_of(sw->intake, b) == NULL ||
	    (was == PEER_ASK_NOT && p->credit == 0)) {
		drop(p, b, was);
	} else {
		if (was == PEER_ASK_NOT)
			p->credit--;
		p->hold_ms = 0;
		p->hold_until_us = 0;
		take_block(
			sw->intake,
			&(struct intake_sender){.id = p->id, .addr = p->addr},
			ip, b, dst);
	}
	if (dst != NULL && dst == p->scratch)
		p->scratch_taken = false;
	swarm_kick(sw);
}

void intake_on_web_block(struct webseed *ws, const struct wire_block *b,
			 const uint8_t *bytes)
{
	struct swarm *sw = ws->sw;
	struct intake_piece *ip = intake_find(sw->intake, b->piece_ix);

	if (ip == NULL || !picker_is_missing(sw->picker, b) ||
	    place_of(sw->intake, b) == NULL) {
		sw->waste_bytes += b->len_bytes;
		picker_on_gone(sw->picker, ws->id, b);
	} else {
		take_block(
			sw->intake,
			&(struct intake_sender){.id = ws->id, .is_web = true},
			ip, b, bytes);
	}
	swarm_kick(sw);
}
