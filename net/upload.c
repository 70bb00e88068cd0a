/* upload — serving others: a queue of requests for each peer, blocks read from
 * pieces.
 *
 * Happy path: an unchoked peer's REQUEST goes to its queue; `pump` turns the
 * queue into PIECE messages while less than PEER_UPLOAD_QUEUE_BYTES wait in
 * its socket queue: from memory if the piece is there (one reference to the
 * whole piece), else from the page cache, else by a worker. Bytes that left
 * call pump again. Requests that wait and follow each other without a gap are
 * a run, and read at once: one system call, or one job and one long read of a
 * cold disk, in the place of many. Its memory goes with its last block: a peer
 * that cancels all others holds UPLOAD_RUN_BLOCKS times what it has queued, at
 * most.
 *
 * A request that cannot be served (choked, queue full, senseless, cancelled,
 * the store failed) is answered with REJECT where BEP 6 is spoken, as it
 * wants each request answered once; else it is dropped, as BEP 3 wants.
 *
 * Under a limit (throttle.h) each run is asked for before it leaves the queue,
 * so that what waits for its turn is here and not in the socket queue, where it
 * would hold up what we have to say; and the socket queue is short, since what
 * is in it is counted, and leaves when the peer likes. Turns are shared between
 * torrents, then between a torrent's peers by their up_weight.
 *
 * Who is unchoked, slots.c says. With no_seed nothing is granted.
 *
 * A worker's read outlives its peer if it must: `p` is NULL then. */
#include "net/upload.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/blk.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/hashserve.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/slots.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

/* In the socket queue of a peer, under a limit. */
enum { LIMITED_QUEUE_BYTES = 4 * WIRE_BLOCK_BYTES };

/* Zeros. The padding at a piece's end (BEP 47) is known to all, and kept by
 * nobody. And past a file's end: in a torrent of v2 alone files begin at
 * pieces, and the gap before the next belongs to nobody; BEP 52 has requests
 * end with the file, but libtorrent takes the gap for zeros that are part of
 * the piece, and asks for its last block as if it were whole. It gets the
 * zeros.
 */

/* Blocks of one piece that lie one behind the other and were asked for in that
 * order: read at once, into one blk. */
struct run {
	struct wire_block v[UPLOAD_RUN_BLOCKS];
	unsigned n;
	uint32_t len_bytes;
};

/* A run on its way from the store. */
struct upload_read {
	LIST_ENTRY(upload_read) link; /* in p->reads while p is there */
	struct peer *p;		      /* Owner: NULL once it has ended */
	struct run run;
	struct blk *data;
	bool is_cancelled[UPLOAD_RUN_BLOCKS];
};

static void refuse(struct peer *p, const struct wire_block *b)
{
	if (p->has_fast)
		wire_put_block(peerio_out(p->io), WIRE_REJECT, b);
}

/* ---- the queue ---- */

static struct wire_block *at(struct peer *p, uint32_t i)
{
	return &p->serves.v[p->serves.head + i];
}

static void take_at(struct peer *p, uint32_t i)
{
	struct peer_serves *q = &p->serves;

	for (; i > 0; i--)
		*at(p, i) = *at(p, i - 1);
	q->head++;
	q->n--;
	if (q->n == 0)
		q->head = 0;
}

/* At most PEER_REQQ long; slides down instead of growing when it can. */
static int push(struct peer *p, const struct wire_block *b)
{
	struct peer_serves *q = &p->serves;
	uint32_t room = q->room == 0 ? 32 : q->room * 2;
	struct wire_block *v;

	if (q->head + q->n == q->room && q->head > 0) {
		memmove(q->v, q->v + q->head, q->n * sizeof(*q->v));
		q->head = 0;
	}
	if (q->n == q->room) {
		v = mem_grow(q->v, room, sizeof(*v));
		if (v == NULL)
			return ENOMEM;
		q->v = v;
		q->room = room;
	}
	q->n++;
	*at(p, q->n - 1) = *b;
	return 0;
}

/* ---- from the queue into the socket ---- */

static void on_read(void *arg, int err);

/* It was counted, and does not leave after all. */
static void take_back(struct peer *p, const struct wire_block *b)
{
	throttle_settle(p->sw->e->up, &p->up_turn, b->len_bytes, 0);
	refuse(p, b);
}

static void take_back_run(struct peer *p, const struct run *run)
{
	unsigned i;

	for (i = 0; i < run->n; i++)
		take_back(p, &run->v[i]);
}

/* Block `i` of the run, whose first byte is at `off_bytes` in `data`. */
static void send_one(struct peer *p, const struct run *run, unsigned i,
		     struct blk *data, size_t off_bytes)
{
	const struct wire_block *b = &run->v[i];
	size_t at_bytes = b->begin_bytes - run->v[0].begin_bytes;

	if (peerio_send_block(p->io, b, data, off_bytes + at_bytes) != 0)
		take_back(p, b);
}

static void send_run(struct peer *p, const struct run *run, struct blk *data,
		     size_t off_bytes)
{
	unsigned i;

	for (i = 0; i < run->n; i++)
		send_one(p, run, i, data, off_bytes);
}

/* The head of the queue, and what follows it without a gap, up to `most_bytes`
 * in all. */
static struct run take_run(struct peer *p, uint32_t most_bytes)
{
	struct run run = {.n = 0};

	do {
		run.v[run.n] = *at(p, 0);
		run.len_bytes += run.v[run.n].len_bytes;
		run.n++;
		take_at(p, 0);
	} while (p->serves.n > 0 && run.n < UPLOAD_RUN_BLOCKS &&
		 run.len_bytes < most_bytes &&
		 at(p, 0)->piece_ix == run.v[0].piece_ix &&
		 at(p, 0)->begin_bytes ==
			 run.v[0].begin_bytes + run.len_bytes &&
		 at(p, 0)->len_bytes <= most_bytes - run.len_bytes);
	return run;
}

/* Of few lengths, whatever others ask for, because the pool keeps few; and not
 * twice as long as the run, because they may ask for many small ones. */
static struct blk *run_blk(struct peer *p, const struct run *run)
{
	size_t len = 1;

	while (len < run->len_bytes)
		len *= 2;
	return blk_new(p->sw->e->cfg.pool, len);
}

/* Bytes of the run that lie past the end of what is kept of its piece. */
static uint32_t gap_bytes(const struct peer *p, const struct run *run)
{
	uint32_t len = metainfo_body_bytes(p->sw->t->mi, run->v[0].piece_ix);
	uint32_t end = run->v[0].begin_bytes + run->len_bytes;

	if (end <= len)
		return 0;
	return end - len < run->len_bytes ? end - len : run->len_bytes;
}

static int read_by_worker(struct peer *p, const struct run *run,
			  uint64_t off_bytes, struct blk *data)
{
	struct upload_read *ur = mem_new(struct upload_read);
	int r;

	if (ur == NULL)
		return ENOMEM;
	ur->p = p;
	ur->run = *run;
	ur->data = blk_hold(data);
	r = pieces_read(p->sw->t->ps, off_bytes,
			run->len_bytes - gap_bytes(p, run), data->data, on_read,
			ur);
	if (r != 0) {
		blk_drop(ur->data);
		mem_free(ur);
		return r;
	}
	LIST_INSERT_HEAD(&p->reads, ur, link);
	p->reading_bytes += run->len_bytes;
	return 0;
}

static void serve(struct peer *p, const struct run *run)
{
	struct torrent *t = p->sw->t;
	const struct wire_block *b = &run->v[0];
	uint64_t off =
		(uint64_t)b->piece_ix * t->mi->piece_bytes + b->begin_bytes;
	uint32_t gap = gap_bytes(p, run);
	struct blk *data = gap == 0 ? pieces_peek(t->ps, b->piece_ix) : NULL;
	int r = ENOMEM;

	if (data != NULL) {
		send_run(p, run, data, b->begin_bytes);
		blk_drop(data);
		return;
	}
	data = run_blk(p, run);
	if (data != NULL) {
		memset(data->data + run->len_bytes - gap, 0, gap);
		r = gap == run->len_bytes
			    ? 0
			    : pieces_read_now(t->ps, off, run->len_bytes - gap,
					      data->data);
	}
	if (r == 0)
		send_run(p, run, data, 0);
	else if (r == EAGAIN)
		r = read_by_worker(p, run, off, data);
	if (r != 0)
		take_back_run(p, run);
	blk_drop(data);
}

static uint64_t most_queued(const struct peer *p)
{
	uint64_t Bps = throttle_Bps(p->sw->e->up), most = Bps / 8;

	if (Bps == 0 || most > PEER_UPLOAD_QUEUE_BYTES)
		return PEER_UPLOAD_QUEUE_BYTES;
	return most > LIMITED_QUEUE_BYTES ? most : LIMITED_QUEUE_BYTES;
}

static bool may_send(const struct peer *p)
{
	return p->serves.n > 0 &&
	       peerio_queued_bytes(p->io) + p->reading_bytes < most_queued(p);
}

static void send_some(struct peer *p, uint32_t given_bytes)
{
	struct run run = take_run(p, given_bytes);

	throttle_settle(p->sw->e->up, &p->up_turn, given_bytes, run.len_bytes);
	serve(p, &run);
}

static void pump(struct peer *p)
{
	uint32_t bytes;

	while (may_send(p)) {
		p->up_turn.share.weight = p->up_weight;
		bytes = throttle_ask(p->sw->e->up, &p->up_turn,
				     WIRE_BLOCK_BYTES, UPLOAD_RUN_BYTES,
				     THROTTLE_CALM);
		if (bytes == 0)
			return;
		send_some(p, bytes);
	}
}

static void on_turn(void *arg, uint32_t bytes)
{
	struct peer *p = arg;

	if (may_send(p))
		send_some(p, bytes);
	else
		throttle_settle(p->sw->e->up, &p->up_turn, bytes, 0);
	pump(p);
}

void upload_init(struct swarm *sw)
{
	shares_init(&sw->up_group, throttle_root(sw->e->up));
	choker_init(&sw->choker);
}

void upload_init_peer(struct peer *p)
{
	throttle_user_init(&p->up_turn, &p->sw->up_group, on_turn, p);
}

static void on_read(void *arg, int err)
{
	struct upload_read *ur = arg;
	struct peer *p = ur->p;
	unsigned i;

	if (p != NULL) {
		LIST_REMOVE(ur, link);
		p->reading_bytes -= ur->run.len_bytes;
		for (i = 0; i < ur->run.n; i++)
			if (err != 0 || ur->is_cancelled[i])
				take_back(p, &ur->run.v[i]);
			else
				send_one(p, &ur->run, i, ur->data, 0);
		pump(p);
	}
	blk_drop(ur->data);
	mem_free(ur);
}

void upload_on_sent(struct peer *p, uint32_t bytes)
{
	uint64_t now_us = loop_now_us(p->sw->loop);

	p->up_bytes += bytes;
	p->sw->up_bytes += bytes;
	account_note(p->sw);
	rate_meter_add(&p->up, bytes, now_us);
	rate_meter_add(&p->sw->up, bytes, now_us);
	slots_on_sent(p, bytes);
	pump(p);
}

/* ---- messages ---- */

static bool makes_sense(const struct peer *p, const struct wire_block *b)
{
	const struct torrent *t = p->sw->t;
	uint32_t len;

	if (t->state != TORRENT_READY || b->piece_ix >= t->mi->n_pieces ||
	    b->len_bytes == 0 || b->len_bytes > PEERIO_BLOCK_MAX)
		return false;
	len = metainfo_piece_bytes(t->mi, b->piece_ix);
	if (b->begin_bytes >= len)
		return false;
	if (!t->mi->has_v1)
		len = t->mi->piece_bytes;
	return b->len_bytes <= len - b->begin_bytes &&
	       bits_has(pieces_have(t->ps), b->piece_ix);
}

/* A grant is for the piece once: it is to start a newcomer, and no way around
 * the choker. */
static bool takes_favour(struct peer *p, const struct wire_block *b)
{
	uint32_t i;

	for (i = 0; i < p->n_fast && p->fast[i] != b->piece_ix; i++)
		;
	if (i == p->n_fast ||
	    b->len_bytes > metainfo_piece_bytes(p->sw->t->mi, b->piece_ix) -
				   p->fast_bytes[i])
		return false;
	p->fast_bytes[i] += b->len_bytes;
	return true;
}

static bool is_granted(const struct peer *p, uint32_t piece_ix)
{
	uint32_t i;

	for (i = 0; i < p->n_fast; i++)
		if (p->fast[i] == piece_ix)
			return true;
	return false;
}

void upload_on_request(struct peer *p, const struct wire_block *b)
{
	if (!makes_sense(p, b)) {
		refuse(p, b);
		if (++p->senseless > PEER_INVALID_MAX)
			peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	if (p->serves.n >= PEER_REQQ ||
	    (p->choked_them && !takes_favour(p, b)) || push(p, b) != 0) {
		refuse(p, b);
		return;
	}
	hashserve_on_block(p, b);
	pump(p);
}

/* It is refused when the read is done. */
static bool cancel_read(struct peer *p, const struct wire_block *b)
{
	struct upload_read *ur;
	unsigned i;

	LIST_FOREACH (ur, &p->reads, link)
		for (i = 0; i < ur->run.n; i++)
			if (!ur->is_cancelled[i] &&
			    wire_block_eq(&ur->run.v[i], b)) {
				ur->is_cancelled[i] = true;
				return true;
			}
	return false;
}

void upload_on_cancel(struct peer *p, const struct wire_block *b)
{
	uint32_t i;

	for (i = 0; i < p->serves.n; i++) {
		if (!wire_block_eq(at(p, i), b))
			continue;
		take_at(p, i);
		refuse(p, b);
		return;
	}
	if (cancel_read(p, b))
		return;
	if (peerio_drop_block(p->io, b)) {
		take_back(p, b);
		pump(p);
	}
}

void upload_forget(struct peer *p)
{
	struct upload_read *ur;

	while ((ur = LIST_FIRST(&p->reads)) != NULL) {
		LIST_REMOVE(ur, link);
		ur->p = NULL;
	}
	throttle_leave(p->sw->e->up, &p->up_turn);
	mem_free(p->serves.v);
	p->serves = (struct peer_serves){0};
}

void upload_grant(struct peer *p)
{
	const struct torrent *t = p->sw->t;
	uint32_t i;

	if (!p->has_fast || p->sw->e->cfg.no_seed)
		return;
	p->n_fast =
		wire_allowed_fast(&p->addr, torrent_id_side(&t->id, p->side),
				  t->mi->n_pieces, PEER_ALLOWED_FAST, p->fast);
	for (i = 0; i < p->n_fast; i++)
		wire_put_ix(peerio_out(p->io), WIRE_ALLOWED_FAST, p->fast[i]);
}

/* BEP 6: the queue is refused but for what is allowed while choked; BEP 3: it
 * is dropped. */
void upload_refuse_choked(struct peer *p)
{
	uint32_t i = 0;

	while (i < p->serves.n) {
		struct wire_block b = *at(p, i);

		if (is_granted(p, b.piece_ix)) {
			i++;
			continue;
		}
		take_at(p, i);
		refuse(p, &b);
	}
}
