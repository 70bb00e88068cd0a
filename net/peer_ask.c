/* peer_ask — what we ask of one peer: the queue of requests that are out, the
 * window that says how many may be, and what happens when the peer does not
 * deliver.
 *
 * Words. Out: asked and not settled. Released: out, but so late that the
 * picker was told the block is free again; should it come it is used all the
 * same. Credit: blocks that may still come though they are not in the queue,
 * because our CANCEL or the peer's choke crossed them on the way.
 *
 * Happy path: the swarm's pass calls peer_ask_block for each pick; the
 * requests leave in one write. `expect` names them in order, the peer sends
 * in that order, and each is taken out at the head of the queue.
 *
 * Failure modes
 *   blind        asked before its handshake came, and not unchoked after two
 *                round trips and PEER_OPENING_MS: released
 *   choke        without BEP 6 every request is gone; with it, rejects follow
 *   deaf         a limit holds us back from reading: its clocks begin anew
 *   reject       gone; a peer that rejects while it does not choke us is left
 *                alone for PEER_HOLD_MS, doubling: else request and reject
 *                would run in a circle
 *   stall        nothing came for rate_window_timeout_us: all is released, the
 *                window shrinks, and nothing urgent is asked until it delivers
 *   silence      doubtful: others are asked for what it owes. Their blocks
 *                cancel it here, and it stays doubtful until bytes come
 *   lost         blocks come in the order of asking, so one that was passed for
 *                as long as a stall takes will not come; nor will any, when
 *                nothing came for PEER_FORGET_MS: they are forgotten, with
 *                credit, and may be asked for again
 *   nudge        nobody misses it: it is never asked for again
 *   end          gone
 *
 * Invariants: a block is in a peer's queue at most once; the picker counts as
 * out exactly those that are not released. */
#include "net/peer.h"

#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/pace.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"

enum {
	/* More than a segment, and seldom two. */
	NUDGE_BYTES = 1500,
	NUDGE_RTT_US = 5000, /* of whom is nearer nothing is gained */
	NUDGE_SHARE = 16,    /* it leaves that part of a delay later */
};

static struct peer_ask *at(struct peer *p, uint32_t i)
{
	return &p->asks.v[p->asks.head + i];
}

/* The place in the queue, counted from its head; n when it is not in. */
static uint32_t find(const struct peer *p, const struct wire_block *b)
{
	const struct peer_asks *q = &p->asks;
	uint32_t i;

	for (i = 0; i < q->n; i++)
		if (wire_block_eq(&q->v[q->head + i].block, b))
			break;
	return i;
}

/* It owes nothing any more, as far as the picker knows. */
static void settle(struct peer *p)
{
	if (p->asks.n > p->n_released || p->asked_us == 0)
		return;
	p->fruitless_us += loop_now_us(p->sw->loop) - p->asked_us;
	p->asked_us = 0;
}

/* The head is the usual case and costs nothing. */
static void take_at(struct peer *p, uint32_t i)
{
	struct peer_asks *q = &p->asks;
	struct peer_ask *a = at(p, i);
	bool was_head = i == 0;

	p->out_bytes -= a->block.len_bytes;
	if (a->is_released)
		p->n_released--;
	for (; i > 0; i--)
		*at(p, i) = *at(p, i - 1);
	q->head++;
	q->n--;
	if (q->n == 0) {
		q->head = 0;
		pace_on_idle(p->sw->e, &p->paid_bytes);
	}
	if (q->n == 0 || !at(p, 0)->is_passed)
		p->passed_us = 0;
	else if (was_head)
		p->passed_us = loop_now_us(p->sw->loop);
	settle(p);
}

static int make_room(struct peer_asks *q)
{
	uint32_t room = q->room == 0 ? 64 : q->room * 2;
	struct peer_ask *v;
	uint32_t i;

	if (q->head + q->n < q->room)
		return 0;
	if (q->head > 0 && q->head >= q->room / 2) {
		for (i = 0; i < q->n; i++)
			q->v[i] = q->v[q->head + i];
		q->head = 0;
		return 0;
	}
	v = mem_grow(q->v, room, sizeof(*v));
	if (v == NULL)
		return ENOMEM;
	q->v = v;
	q->room = room;
	return 0;
}

static uint32_t window_now(const struct peer *p)
{
	return p->sw->is_calm ? rate_window_calm_bytes(&p->window)
			      : p->window.window_bytes;
}

uint32_t peer_ask_room(const struct peer *p, uint64_t now_us)
{
	uint32_t most =
		p->reqq < PEER_REQUESTS_MAX ? p->reqq : PEER_REQUESTS_MAX;
	uint32_t window = window_now(p), room;

	if (now_us < p->hold_until_us || p->asks.n >= most ||
	    p->out_bytes >= window)
		return 0;
	room = (window - p->out_bytes + WIRE_BLOCK_BYTES - 1) /
	       WIRE_BLOCK_BYTES;
	return room < most - p->asks.n ? room : most - p->asks.n;
}

static void ask_kernel_rtt(struct peer *p, uint64_t now_us)
{
	uint32_t rtt_us;

	if (now_us < p->rtt_asked_us + (uint64_t)PEER_RTT_EVERY_MS * 1000)
		return;
	p->rtt_asked_us = now_us;
	rtt_us = peerio_rtt_us(p->io);
	if (rtt_us > 0)
		rate_window_on_rtt(&p->window, rtt_us);
}

/* Known to us, but not to the picker any more: now it is its turn again. */
static bool take_back(struct peer *p, const struct wire_block *b)
{
	uint32_t i = p->n_released > 0 ? find(p, b) : p->asks.n;

	if (i == p->asks.n)
		return false;
	if (at(p, i)->is_released) {
		at(p, i)->is_released = false;
		p->n_released--;
	}
	return true;
}

void peer_ask_block(struct peer *p, const struct wire_block *b, uint64_t now_us)
{
	pace_on_ask(p->sw->e, &p->paid_bytes, b->len_bytes);
	if (p->asks.n == p->n_released)
		p->payload_us = p->asked_us = now_us; /* the first owed */
	if (take_back(p, b))
		return;
	if (make_room(&p->asks) != 0) {
		pace_on_gone(p->sw->e, &p->paid_bytes, b->len_bytes);
		picker_on_gone(p->sw->picker, p->id, b);
		return;
	}
	if (!p->is_up && p->blind_until_us == 0)
		p->blind_until_us = now_us + 2 * (uint64_t)p->window.delay_us +
				    (uint64_t)PEER_OPENING_MS * 1000;
	if (p->asks.n == 0) {
		p->probe_us = now_us;
		p->owed_us = now_us;
		ask_kernel_rtt(p, now_us);
	}
	p->asks.n++;
	*at(p, p->asks.n - 1) = (struct peer_ask){
		.block = *b, .ahead_bytes = p->out_bytes, .asked_us = now_us};
	p->out_bytes += b->len_bytes;
	wire_put_block(peerio_out(p->io), WIRE_REQUEST, b);
}

/* Who knows that it is not needed, or would pay for it with what matters more.
 */
static bool needs_no_nudge(const struct peer *p)
{
	uint32_t most =
		p->reqq < PEER_REQUESTS_MAX ? p->reqq : PEER_REQUESTS_MAX;

	return !p->is_up || p->choked_us || p->asks.n >= most ||
	       p->window.delay_us < NUDGE_RTT_US || pace_is_on(p->sw->e) ||
	       strncmp(p->client, "shoalfs", 7) == 0;
}

void peer_ask_plan_nudge(struct peer *p, bool is_urgent, uint64_t now_us)
{
	p->nudge_us = is_urgent && !needs_no_nudge(p)
			      ? now_us + p->window.delay_us / NUDGE_SHARE
			      : 0;
}

void peer_ask_nudge(struct peer *p, uint64_t now_us)
{
	struct wire_block b;

	p->nudge_us = 0;
	if (p->asks.n == 0 || needs_no_nudge(p) ||
	    p->out_bytes >= window_now(p) || make_room(&p->asks) != 0)
		return;
	b = at(p, p->asks.n - 1)->block;
	if (b.len_bytes <= NUDGE_BYTES)
		return;
	b.len_bytes = NUDGE_BYTES;
	if (find(p, &b) < p->asks.n)
		return;
	p->asks.n++;
	p->n_released++;
	*at(p, p->asks.n - 1) = (struct peer_ask){.block = b,
						  .ahead_bytes = p->out_bytes,
						  .asked_us = now_us,
						  .is_released = true,
						  .is_nudge = true};
	p->out_bytes += b.len_bytes;
	wire_put_block(peerio_out(p->io), WIRE_REQUEST, &b);
}

static enum peer_ask_was take(struct peer *p, uint32_t i)
{
	bool was_released, was_nudge;

	if (i == p->asks.n)
		return PEER_ASK_NOT;
	was_released = at(p, i)->is_released;
	was_nudge = at(p, i)->is_nudge;
	take_at(p, i);
	if (was_nudge)
		return PEER_ASK_NUDGE;
	return was_released ? PEER_ASK_RELEASED : PEER_ASK_OUT;
}

/* A block that we cancelled may come all the same, and would pass for a very
 * quick answer to what was asked after it. */
static bool tells_delay(const struct peer *p, uint64_t asked_us)
{
	return asked_us >= p->cancel_us + 2 * (uint64_t)p->window.delay_us;
}

enum peer_ask_was peer_ask_on_arrival(struct peer *p,
				      const struct wire_block *b)
{
	uint64_t now_us = loop_now_us(p->sw->loop);
	uint32_t i = find(p, b), k;

	if (i < p->asks.n && !at(p, i)->is_released &&
	    tells_delay(p, at(p, i)->asked_us))
		rate_window_on_answer(&p->window, now_us - at(p, i)->asked_us,
				      at(p, i)->ahead_bytes, now_us);
	for (k = i < p->asks.n ? i : 0; k > 0; k--) {
		if (at(p, k - 1)->is_passed)
			break;
		at(p, k - 1)->is_passed = true;
		p->passed_us = now_us;
	}
	return take(p, i);
}

void peer_ask_on_promise(struct peer *p)
{
	p->is_proven = true;
	p->fruitless_us = 0;
}

/* With the last CANCEL nothing is owed any more; silence stays silence. */
static void keep_doubt(struct peer *p)
{
	if (!p->choked_us && loop_now_us(p->sw->loop) >= peer_ask_doubt_us(p))
		p->is_doubted = true;
}

void peer_ask_cancel(struct peer *p, const struct wire_block *b)
{
	enum peer_ask_was was;
	struct wire_block now;

	keep_doubt(p);
	was = take(p, find(p, b));
	if (was == PEER_ASK_NOT)
		return;
	if (was == PEER_ASK_OUT)
		pace_on_gone(p->sw->e, &p->paid_bytes, b->len_bytes);
	/* What is asked for in its stead goes in the same write, behind it. */
	swarm_kick(p->sw);
	p->credit++;
	p->cancel_us = loop_now_us(p->sw->loop);
	if (peerio_receiving(p->io, &now) && wire_block_eq(&now, b))
		return; /* too late for a CANCEL */
	wire_put_block(peerio_out(p->io), WIRE_CANCEL, b);
}

static void release(struct peer *p, struct peer_ask *a)
{
	if (a->is_released)
		return;
	a->is_released = true;
	p->n_released++;
	pace_on_gone(p->sw->e, &p->paid_bytes, a->block.len_bytes);
	settle(p);
	picker_on_gone(p->sw->picker, p->id, &a->block);
}

typedef bool is_it_fn(const struct peer *p, uint32_t piece_ix, uint32_t arg);

static void cancel_all(struct peer *p, is_it_fn *is_it, uint32_t arg)
{
	struct wire_block now = {.piece_ix = UINT32_MAX};
	uint32_t i = 0;

	keep_doubt(p);
	(void)peerio_receiving(p->io, &now);
	while (i < p->asks.n) {
		struct wire_block b = at(p, i)->block;

		if (!is_it(p, b.piece_ix, arg)) {
			i++;
			continue;
		}
		release(p, at(p, i));
		if (wire_block_eq(&b, &now))
			i++;
		else
			peer_ask_cancel(p, &b);
	}
}

static bool is_piece(const struct peer *p, uint32_t piece_ix, uint32_t arg)
{
	return piece_ix == arg;
}

void peer_ask_cancel_piece(struct peer *p, uint32_t piece_ix)
{
	cancel_all(p, is_piece, piece_ix);
}

static bool is_of_class(const struct peer *p, uint32_t piece_ix, uint32_t arg)
{
	return picker_class(p->sw->picker, piece_ix) == (enum want_class)arg;
}

void peer_ask_cancel_background(struct peer *p)
{
	cancel_all(p, is_of_class, WANT_BACKGROUND);
}

void peer_ask_release(struct peer *p, const struct wire_block *b)
{
	uint32_t i = find(p, b);

	if (i < p->asks.n)
		release(p, at(p, i));
}

/* Out of the queue, but should it come it is welcome. */
static void forget_head(struct peer *p)
{
	release(p, at(p, 0));
	p->credit++;
	take_at(p, 0);
}

void peer_ask_drop_all(struct peer *p)
{
	while (p->asks.n > 0)
		forget_head(p);
	p->probe_us = 0;
}

/* ---- what is late ---- */

static uint64_t stall_us(const struct peer *p)
{
	if (p->asks.n == p->n_released)
		return UINT64_MAX;
	return p->payload_us + rate_window_timeout_us(&p->window, p->out_bytes);
}

/* What was asked blindly is owed by one who unchokes us. */
static uint64_t blind_us(const struct peer *p)
{
	if (p->blind_until_us == 0 || !p->choked_us ||
	    p->asks.n == p->n_released)
		return UINT64_MAX;
	return p->blind_until_us;
}

uint64_t peer_ask_doubt_us(const struct peer *p)
{
	uint64_t wait_us = rate_window_doubt_us(&p->window), us, since_us;

	if (p->is_doubted)
		return 0;
	if (p->asks.n == p->n_released || pace_is_deaf(p->sw->e))
		return UINT64_MAX;
	us = p->payload_us + wait_us;
	if (p->is_proven)
		return us;
	/* A few bytes now and then are not yet a block; and who is asked over
	 * and over does not begin anew each time. */
	since_us = p->asked_us + wait_us;
	if (p->fruitless_us < PEER_FIRST_BLOCK_US)
		since_us += PEER_FIRST_BLOCK_US - p->fruitless_us;
	return us < since_us ? us : since_us;
}

bool peer_ask_is_doubtful(const struct peer *p, uint64_t now_us)
{
	return p->is_snubbed || now_us >= peer_ask_doubt_us(p);
}

static uint64_t forget_us(const struct peer *p)
{
	if (p->asks.n == 0 || !p->is_snubbed)
		return UINT64_MAX;
	return p->owed_us + (uint64_t)PEER_FORGET_MS * 1000;
}

/* In that time all that is out should have come, twice. */
static uint64_t passed_us(const struct peer *p)
{
	if (p->passed_us == 0)
		return UINT64_MAX;
	return p->passed_us + rate_window_timeout_us(&p->window, p->out_bytes);
}

uint64_t peer_ask_late_us(const struct peer *p)
{
	uint64_t us = stall_us(p);

	if (pace_is_deaf(p->sw->e))
		return UINT64_MAX; /* who knows what has come */
	if (blind_us(p) < us)
		us = blind_us(p);
	if (forget_us(p) < us)
		us = forget_us(p);
	return passed_us(p) < us ? passed_us(p) : us;
}

static void release_all(struct peer *p)
{
	uint32_t i;

	for (i = 0; i < p->asks.n; i++)
		release(p, at(p, i));
}

static void on_stall(struct peer *p, uint64_t now_us)
{
	release_all(p);
	p->is_snubbed = true;
	p->is_proven = false;
	p->probe_us = 0;
	p->payload_us = now_us;
	rate_window_on_stall(&p->window, now_us);
}

void peer_ask_on_late(struct peer *p, uint64_t now_us)
{
	if (forget_us(p) <= now_us) {
		peer_ask_drop_all(p);
		return;
	}
	if (blind_us(p) <= now_us)
		release_all(p); /* no offence: it never said it would */
	if (passed_us(p) <= now_us)
		while (p->asks.n > 0 && at(p, 0)->is_passed)
			forget_head(p);
	if (stall_us(p) <= now_us)
		on_stall(p, now_us);
}

void peer_ask_on_connect(struct peer *p, uint64_t now_us)
{
	ask_kernel_rtt(p, now_us);
}

static bool line_is_full(struct peer *p, uint64_t now_us)
{
	struct swarm *sw = p->sw;
	uint64_t out = sw->picker ? picker_outstanding(sw->picker) : 0;

	return rate_line_is_full(&sw->line, out * WIRE_BLOCK_BYTES,
				 p->window.delay_us, now_us);
}

void peer_ask_on_payload(struct peer *p, uint32_t bytes, uint64_t now_us)
{
	if (p->probe_us != 0 && tells_delay(p, p->probe_us))
		rate_window_on_answer(&p->window, now_us - p->probe_us, 0,
				      now_us);
	p->probe_us = 0;
	pace_on_payload(p->sw->e, &p->paid_bytes, bytes);
	if (p->asks.n > 0 && p->probe_us == 0)
		rate_window_on_gap(&p->window, now_us - p->owed_us, now_us);
	p->heard_us = now_us;
	p->payload_us = now_us;
	p->owed_us = now_us;
	p->is_snubbed = false;
	p->is_doubted = false;
	ask_kernel_rtt(p, now_us);
	p->window.is_held = line_is_full(p, now_us);
	rate_window_on_bytes(&p->window, bytes, p->has_room, now_us);
	rate_meter_add(&p->down, bytes, now_us);
	p->down_bytes += bytes;
}

void peer_ask_on_deaf(struct peer *p, uint64_t now_us)
{
	p->payload_us = now_us;
	p->owed_us = now_us;
	if (p->asked_us > 0)
		p->asked_us = now_us;
	if (p->passed_us > 0)
		p->passed_us = now_us;
	p->probe_us = 0;
	p->cancel_us = now_us; /* see tells_delay */
	rate_window_on_deaf(&p->window, now_us);
}

static void hold(struct peer *p, uint64_t now_us)
{
	if (now_us < p->hold_until_us)
		return; /* the rest of one volley */
	p->hold_ms = p->hold_ms == 0 ? PEER_HOLD_MS : p->hold_ms * 2;
	if (p->hold_ms > PEER_HOLD_MAX_MS)
		p->hold_ms = PEER_HOLD_MAX_MS;
	p->hold_until_us = now_us + (uint64_t)p->hold_ms * 1000;
}

void peer_ask_on_reject(struct peer *p, const struct wire_block *b)
{
	switch (take(p, find(p, b))) {
	case PEER_ASK_NOT:
		if (p->credit > 0)
			p->credit--;
		return;
	case PEER_ASK_OUT:
		pace_on_gone(p->sw->e, &p->paid_bytes, b->len_bytes);
		picker_on_gone(p->sw->picker, p->id, b);
		break;
	case PEER_ASK_RELEASED:
		break;
	case PEER_ASK_NUDGE:
		return;
	}
	if (!p->choked_us)
		hold(p, loop_now_us(p->sw->loop));
	else if (p->allowed.data != NULL && bits_has(&p->allowed, b->piece_ix))
		bits_clear(&p->allowed, b->piece_ix); /* it takes it back */
	swarm_kick(p->sw);
}

unsigned peer_ask_expect(struct peer *p, struct peerio_slot *slots,
			 unsigned max)
{
	unsigned n;

	/* Should it be more than the limit allows, it is not much more. */
	if (pace_is_on(p->sw->e) && max > PACE_SLOTS)
		max = PACE_SLOTS;
	intake_begin_slots(p);
	for (n = 0; n < max && n < p->asks.n; n++) {
		slots[n].block = at(p, n)->block;
		slots[n].dst = intake_place(p, &slots[n].block);
	}
	return n;
}
