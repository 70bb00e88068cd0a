/* actors — the two sides of the protocol, as net/ has them: what
 * peer_ask.c, intake.c and upload.c do, over the real picker and rates.
 *
 * What is left out: bad bytes, lost connections, memory that runs short, and
 * REJECT: who is choked drops what it has out, whatever was refused.
 *
 * Download order of who does not watch: the picker's window class with the
 * rarity as the deadline; of equally rare ones what is begun comes first, then
 * at random, in an order of each peer's own. (What is begun first of all would
 * have the seed asked for what many have: it costs a swarm half of its rate.)
 * When no block
 * is free any more (end-game) what is missing is urgent, so that late blocks
 * are asked of a second peer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "tests/sim/world.h"

enum {
	REQQ = 500,
	PICKS = 64,
	HAVE_DELAY_US = 50000,
	FORGET_US = 20000000,
	NEIGHBOURS_MAX = 512,
	ENDGAME_PIECES = 16,
	RARITY_US = 1000000, /* of deadline for each that has it */
};

/* ---- what is wanted ---- */

static uint64_t rarity(const struct sim_peer *p, uint32_t ix)
{
	uint64_t mixed = (uint64_t)ix * 2654435761u + p->ix * 40503u;

	mixed = (mixed ^ mixed >> 15) * 2246822519u % (RARITY_US - 1) + 1;
	if (picker_is_open(p->picker, ix))
		mixed = 0;
	return (1 + (uint64_t)p->n_having[ix]) * RARITY_US + mixed;
}

static void want(struct sim_peer *p, uint32_t ix)
{
	enum want_class class = p->is_ending ? WANT_URGENT : WANT_WINDOW;

	if (p->viewer != NULL || bits_has(&p->have, ix))
		return;
	if (picker_want(p->picker, ix, class, rarity(p, ix)) != 0)
		abort();
}

static void tell_interest(struct world *w, struct sim_peer *p,
			  struct sim_conn *c)
{
	bool wants = c->useful > 0;

	if (wants == c->i_want)
		return;
	c->i_want = wants;
	if (!wants)
		c->unpaid_us = 0;
	sim_tell(w, p, c, EV_INTEREST, NULL, wants);
}

static void learn(struct world *w, struct sim_peer *p, struct sim_conn *c,
		  uint32_t ix)
{
	if (bits_has(&c->have, ix))
		return;
	bits_set(&c->have, ix);
	p->n_having[ix]++;
	if (!bits_has(&p->have, ix))
		c->useful++;
}

/* ---- coming ---- */

static struct sim_conn *add_end(struct world *w, struct sim_peer *p,
				struct sim_peer *o)
{
	struct sim_conn *c = &p->conns[p->n_conns++];

	*c = (struct sim_conn){.peer = o->ix,
			       .back = o->n_conns,
			       .choked_me = true,
			       .i_choke = true,
			       .weight = 1,
			       .cwnd_bytes = WIRE_BLOCK_BYTES,
			       .since_us = w->now_us};
	if (bits_init(&c->have, w->cfg.n_pieces) != 0)
		abort();
	c->luck = (uint32_t)rng_next(&w->rng);
	shares_init(&c->share, &p->upload);
	rate_window_init(&c->window, w->now_us);
	rate_window_on_rtt(&c->window, sim_rtt_us(w, p, c));
	rate_meter_init(&c->verified, CHOKER_WINDOW_US, w->now_us);
	rate_meter_init(&c->down, CHOKER_WINDOW_US, w->now_us);
	rate_meter_init(&c->up, CHOKER_WINDOW_US, w->now_us);
	return c;
}

static void learn_all(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	const struct bits *have = &w->peers[c->peer].have;
	uint32_t ix = bits_next(have, 0);

	for (; ix < have->n; ix = bits_next(have, ix + 1)) {
		learn(w, p, c, ix);
		want(p, ix);
	}
	tell_interest(w, p, c);
}

void actor_connect(struct world *w, struct sim_peer *a, struct sim_peer *b)
{
	struct sim_conn *ab = add_end(w, a, b);
	struct sim_conn *ba = add_end(w, b, a);

	ab->back = b->n_conns - 1;
	ba->back = a->n_conns - 1;
	learn_all(w, a, ab);
	learn_all(w, b, ba);
}

void actor_start(struct world *w, struct sim_peer *p)
{
	if (p->kind.is_seed)
		return;
	if (p->kind.views)
		viewer_start(w, p);
	for (uint32_t ix = 0; ix < w->cfg.n_pieces; ix++)
		want(p, ix);
}

/* ---- asking ---- */

static uint32_t find_ask(const struct sim_conn *c, const struct wire_block *b)
{
	uint32_t i = 0;

	while (i < c->n_asks && !wire_block_eq(&c->asks[i].block, b))
		i++;
	return i;
}

static void take_ask(struct sim_conn *c, uint32_t i)
{
	c->out_bytes -= c->asks[i].block.len_bytes;
	c->n_released -= c->asks[i].is_released;
	c->n_asks--;
	memmove(&c->asks[i], &c->asks[i + 1],
		(c->n_asks - i) * sizeof(*c->asks));
}

static void set_stall(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	uint64_t due;

	if (c->stall_is_set || c->n_asks == 0)
		return;
	due = c->n_asks > c->n_released
		      ? c->payload_us +
				rate_window_timeout_us(&c->window, c->out_bytes)
		      : c->owed_us + FORGET_US;
	c->stall_is_set = true;
	events_add(&w->q,
		   (struct event){.at_us = due > w->now_us ? due : w->now_us,
				  .kind = EV_STALL,
				  .peer = p->ix,
				  .conn = (uint32_t)(c - p->conns)});
}

static void ask(struct world *w, struct sim_peer *p, struct sim_conn *c,
		const struct wire_block *b)
{
	uint32_t i = find_ask(c, b);

	if (c->n_asks == c->n_released)
		c->payload_us = w->now_us;
	if (i < c->n_asks) {
		assert(c->asks[i].is_released);
		c->asks[i].is_released = false;
		c->n_released--;
		return;
	}
	if (c->n_asks == 0)
		c->owed_us = w->now_us;
	if (c->n_asks == c->asks_room) {
		c->asks_room = c->asks_room ? 2 * c->asks_room : 16;
		c->asks = mem_grow(c->asks, c->asks_room, sizeof(*c->asks));
		if (c->asks == NULL)
			abort();
	}
	c->asks[c->n_asks++] = (struct sim_ask){.block = *b,
						.ahead_bytes = c->out_bytes,
						.asked_us = w->now_us};
	c->out_bytes += b->len_bytes;
	sim_tell(w, p, c, EV_REQUEST, b, 0);
	set_stall(w, p, c);
}

static uint32_t room_of(const struct sim_conn *c)
{
	uint32_t room;

	if (c->choked_me || c->n_asks >= REQQ ||
	    c->out_bytes >= c->window.window_bytes)
		return 0;
	room = (c->window.window_bytes - c->out_bytes + WIRE_BLOCK_BYTES - 1) /
	       WIRE_BLOCK_BYTES;
	return room < REQQ - c->n_asks ? room : REQQ - c->n_asks;
}

/* In end-game and for a viewer lateness matters, and so do the peers without
 * room; else only those with room can change the outcome. */
static unsigned describe(struct sim_peer *p, struct pick_peer *out, bool all,
			 uint64_t *sum_room)
{
	unsigned n = 0;

	*sum_room = 0;
	for (uint32_t i = 0; i < p->n_conns && n < NEIGHBOURS_MAX; i++) {
		struct sim_conn *c = &p->conns[i];
		uint32_t room = room_of(c);

		if (c->choked_me || c->have.n_set == 0 || (!all && room == 0))
			continue;
		*sum_room += room;
		out[n++] = (struct pick_peer){.id = i,
					      .have = &c->have,
					      .rate_Bps = c->window.rate_Bps,
					      .rtt_us = c->window.delay_us,
					      .out_bytes = c->out_bytes,
					      .room = room,
					      .heard_us = c->heard_us,
					      .is_snubbed = c->is_snubbed};
	}
	return n;
}

static bool is_all_out(const struct world *w, const struct sim_peer *p)
{
	uint32_t n_blocks = w->cfg.piece_bytes / WIRE_BLOCK_BYTES;

	for (uint32_t ix = 0; ix < w->cfg.n_pieces; ix++) {
		if (bits_has(&p->have, ix))
			continue;
		for (uint32_t i = 0; i < n_blocks; i++) {
			struct wire_block b = {.piece_ix = ix,
					       .begin_bytes =
						       i * WIRE_BLOCK_BYTES,
					       .len_bytes = WIRE_BLOCK_BYTES};
			bool is_out = p->sender[ix * n_blocks + i] != 0;

			for (uint32_t k = 0; k < p->n_conns && !is_out; k++)
				is_out = find_ask(&p->conns[k], &b) <
					 p->conns[k].n_asks;
			if (!is_out)
				return false;
		}
	}
	return true;
}

/* So few are missing that it is worth to look. */
static void begin_endgame(struct world *w, struct sim_peer *p)
{
	if (p->is_ending || p->viewer != NULL ||
	    w->cfg.n_pieces - p->have.n_set > ENDGAME_PIECES ||
	    !is_all_out(w, p))
		return;
	p->is_ending = true;
	for (uint32_t ix = 0; ix < w->cfg.n_pieces; ix++)
		want(p, ix);
	actor_pass(w, p);
}

static void set_wake(struct world *w, struct sim_peer *p)
{
	uint64_t us = picker_next_late_us(p->picker);

	if (p->wake_is_set || us == UINT64_MAX)
		return;
	p->wake_is_set = true;
	events_add(&w->q,
		   (struct event){.at_us = us > w->now_us ? us : w->now_us + 1,
				  .kind = EV_WAKE,
				  .peer = p->ix});
}

void actor_pass(struct world *w, struct sim_peer *p)
{
	struct pick_peer desc[NEIGHBOURS_MAX];
	struct pick picks[PICKS];
	bool all = p->is_ending || p->viewer != NULL;
	uint64_t room;
	unsigned n_peers = describe(p, desc, all, &room), n, asked = 0;

	if (n_peers == 0 || bits_is_full(&p->have) || (!all && room == 0))
		return;
	do {
		n = picker_assign(p->picker, desc, n_peers, w->now_us, picks,
				  PICKS);
		for (unsigned i = 0; i < n; i++)
			ask(w, p, &p->conns[desc[picks[i].peer_ix].id],
			    &picks[i].block);
		asked += n;
	} while (n == PICKS);
	if (all)
		set_wake(w, p);
	else if (asked == 0)
		begin_endgame(w, p);
}

/* ---- what came of it ---- */

static void release(struct sim_peer *p, struct sim_conn *c, struct sim_ask *a)
{
	if (a->is_released)
		return;
	a->is_released = true;
	c->n_released++;
	picker_on_gone(p->picker, (uint32_t)(c - p->conns), &a->block);
}

static void drop_asks(struct sim_peer *p, struct sim_conn *c)
{
	while (c->n_asks > 0) {
		release(p, c, &c->asks[0]);
		take_ask(c, 0);
	}
}

static void on_stall(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	uint64_t due = c->payload_us +
		       rate_window_timeout_us(&c->window, c->out_bytes);

	c->stall_is_set = false;
	if (c->n_asks > 0 && c->n_asks == c->n_released &&
	    c->owed_us + FORGET_US <= w->now_us) {
		drop_asks(p, c);
		actor_pass(w, p);
	} else if (c->n_asks > c->n_released && due <= w->now_us) {
		for (uint32_t i = 0; i < c->n_asks; i++)
			release(p, c, &c->asks[i]);
		c->is_snubbed = true;
		c->payload_us = w->now_us;
		rate_window_on_stall(&c->window, w->now_us);
		actor_pass(w, p);
	}
	set_stall(w, p, c);
}

/* Every sender of the piece has earned what it sent of it. */
static void credit(struct world *w, struct sim_peer *p, uint32_t ix)
{
	uint32_t n_blocks = w->cfg.piece_bytes / WIRE_BLOCK_BYTES;
	const uint16_t *sender = &p->sender[(size_t)ix * n_blocks];

	for (uint32_t i = 0; i < n_blocks; i++) {
		struct sim_conn *c = &p->conns[sender[i] - 1];

		rate_meter_add(&c->verified, WIRE_BLOCK_BYTES, w->now_us);
		c->unpaid_us = 0;
		c->debt_bytes -= c->debt_bytes < WIRE_BLOCK_BYTES
					 ? c->debt_bytes
					 : WIRE_BLOCK_BYTES;
	}
}

static void on_whole(struct world *w, struct sim_peer *p, uint32_t ix)
{
	picker_drop(p->picker, ix);
	credit(w, p, ix);
	bits_set(&p->have, ix);
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];

		if (!bits_has(&c->have, ix))
			continue;
		c->useful--;
		tell_interest(w, p, c);
	}
	events_add(&w->q, (struct event){.at_us = w->now_us + HAVE_DELAY_US,
					 .kind = EV_HAVE,
					 .peer = p->ix,
					 .arg = ix});
	if (p->have.n_set == w->cfg.n_pieces / 2)
		p->half_us = w->now_us;
	if (bits_is_full(&p->have)) {
		p->done_us = w->now_us;
		w->n_done++;
	}
	if (p->viewer != NULL)
		viewer_on_piece(w, p, ix);
}

static void take_block(struct world *w, struct sim_peer *p, struct sim_conn *c,
		       const struct wire_block *b)
{
	uint32_t n_blocks = w->cfg.piece_bytes / WIRE_BLOCK_BYTES;
	uint32_t me = (uint32_t)(c - p->conns);
	uint32_t others[PICKER_COPIES_MAX];
	enum picker_arrival was;
	unsigned n_others;

	if (bits_has(&p->have, b->piece_ix) ||
	    !picker_is_missing(p->picker, b)) {
		p->waste_bytes += b->len_bytes;
		return;
	}
	p->sender[(size_t)b->piece_ix * n_blocks +
		  b->begin_bytes / WIRE_BLOCK_BYTES] = (uint16_t)(me + 1);
	was = picker_on_arrived(p->picker, me, b, others, &n_others);
	for (unsigned i = 0; i < n_others; i++) {
		struct sim_conn *o = &p->conns[others[i]];
		uint32_t k = find_ask(o, b);

		assert(k < o->n_asks);
		take_ask(o, k);
		sim_tell(w, p, o, EV_CANCEL, b, 0);
	}
	/* What stalled peers owe the picker does not know of any more. */
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *o = &p->conns[i];
		uint32_t k = o->n_released > 0 ? find_ask(o, b) : o->n_asks;

		if (k == o->n_asks || !o->asks[k].is_released)
			continue;
		take_ask(o, k);
		sim_tell(w, p, o, EV_CANCEL, b, 0);
	}
	p->down_bytes += b->len_bytes;
	rate_meter_add(&p->down, b->len_bytes, w->now_us);
	if (p->first_us == 0)
		p->first_us = w->now_us;
	if (was == PICKER_WHOLE)
		on_whole(w, p, b->piece_ix);
}

static void on_arrive(struct world *w, struct sim_peer *p, struct sim_conn *c,
		      const struct wire_block *b)
{
	uint32_t i = find_ask(c, b);
	bool is_limited =
		c->out_bytes + WIRE_BLOCK_BYTES < c->window.window_bytes;

	w->flying_bytes -= b->len_bytes;
	w->received_bytes += b->len_bytes;
	p->reached_bytes += b->len_bytes;
	c->down_bytes += b->len_bytes;
	rate_meter_add(&c->down, b->len_bytes, w->now_us);
	sim_tell(w, p, c, EV_ACK, b, 0);
	c->heard_us = c->payload_us = c->owed_us = w->now_us;
	c->is_snubbed = false;
	rate_window_on_bytes(&c->window, b->len_bytes, is_limited, w->now_us);
	if (i < c->n_asks) {
		if (!c->asks[i].is_released)
			rate_window_on_answer(
				&c->window, w->now_us - c->asks[i].asked_us,
				c->asks[i].ahead_bytes, w->now_us);
		take_ask(c, i);
	}
	take_block(w, p, c, b);
	actor_pass(w, p);
}

/* ---- serving ---- */

static void on_request(struct world *w, struct sim_peer *p, struct sim_conn *c,
		       const struct wire_block *b)
{
	if (c->i_choke || c->n_serves >= REQQ)
		return;
	if (c->n_serves == c->serves_room) {
		c->serves_room = c->serves_room ? 2 * c->serves_room : 16;
		c->serves =
			mem_grow(c->serves, c->serves_room, sizeof(*c->serves));
		if (c->serves == NULL)
			abort();
	}
	c->serves[c->n_serves++] = *b;
	link_backlog(w, p, c);
}

static void on_cancel(struct sim_peer *p, struct sim_conn *c,
		      const struct wire_block *b)
{
	uint32_t i = 0;

	while (i < c->n_serves && !wire_block_eq(&c->serves[i], b))
		i++;
	if (i == c->n_serves)
		return;
	c->n_serves--;
	memmove(&c->serves[i], &c->serves[i + 1],
		(c->n_serves - i) * sizeof(*c->serves));
	link_update(p, c);
}

void actor_choke(struct world *w, struct sim_peer *p, struct sim_conn *c,
		 bool is_choked)
{
	if (c->i_choke == is_choked)
		return;
	c->i_choke = is_choked;
	if (is_choked) {
		c->n_serves = 0;
		link_update(p, c);
	} else {
		c->turn_bytes = 0;
		c->unchoked_us = w->now_us;
	}
	sim_tell(w, p, c, is_choked ? EV_CHOKE : EV_UNCHOKE, NULL, 0);
}

static void on_interest(struct world *w, struct sim_peer *p, struct sim_conn *c,
			bool wants)
{
	c->wants_me = wants;
	if (!wants)
		actor_choke(w, p, c, true);
	p->kind.policy->fill(w, p);
}

static void on_have(struct world *w, struct sim_peer *teller, uint32_t ix)
{
	for (uint32_t i = 0; i < teller->n_conns; i++) {
		struct sim_peer *p = &w->peers[teller->conns[i].peer];
		struct sim_conn *c = &p->conns[teller->conns[i].back];

		if (bits_has(&c->have, ix))
			continue;
		learn(w, p, c, ix);
		want(p, ix);
		tell_interest(w, p, c);
		if (room_of(c) > 0)
			actor_pass(w, p);
	}
}

void actor_on_event(struct world *w, struct sim_peer *p, struct event *ev)
{
	struct sim_conn *c = &p->conns[ev->conn];

	switch (ev->kind) {
	case EV_STALL:
		on_stall(w, p, c);
		break;
	case EV_WAKE:
		p->wake_is_set = false;
		actor_pass(w, p);
		break;
	case EV_ARRIVE:
		on_arrive(w, p, c, &ev->block);
		break;
	case EV_REQUEST:
		on_request(w, p, c, &ev->block);
		break;
	case EV_CANCEL:
		on_cancel(p, c, &ev->block);
		break;
	case EV_CHOKE:
		c->choked_me = true;
		drop_asks(p, c);
		actor_pass(w, p);
		break;
	case EV_UNCHOKE:
		c->choked_me = false;
		actor_pass(w, p);
		break;
	case EV_INTEREST:
		on_interest(w, p, c, ev->arg != 0);
		break;
	case EV_HAVE:
		on_have(w, p, ev->arg);
		break;
	case EV_JOIN:
	case EV_DIAL:
	case EV_ROUND:
	case EV_DEPART:
	case EV_REACH:
	case EV_ACK:
	case EV_PLAY:
	case EV_SAMPLE:
	case EV_KINDS:
		abort();
	}
}

/* ---- invariants ---- */

void actor_check(const struct world *w, const struct sim_peer *p)
{
	uint32_t out = 0;

	picker_check(p->picker);
	for (uint32_t i = 0; i < p->n_conns; i++) {
		const struct sim_conn *c = &p->conns[i];
		uint32_t bytes = 0, released = 0;

		for (uint32_t k = 0; k < c->n_asks; k++) {
			bytes += c->asks[k].block.len_bytes;
			released += c->asks[k].is_released;
		}
		assert(bytes == c->out_bytes && released == c->n_released);
		assert(c->n_asks <= REQQ && c->n_serves <= REQQ);
		assert(!c->choked_me || c->n_asks == 0);
		assert(!c->i_choke || c->n_serves == 0);
		assert(c->i_want == (c->useful > 0));
		out += c->n_asks - c->n_released;
	}
	/* What is out is out once a peer, and the picker knows of each. */
	assert(out == picker_outstanding(p->picker));
	assert(p->reached_bytes == p->down_bytes + p->waste_bytes);
	assert(p->down_bytes >= (uint64_t)p->have.n_set * w->cfg.piece_bytes ||
	       p->kind.is_seed);
}
