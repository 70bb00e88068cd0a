/* actors — the two sides of the protocol, as net/ has them: what intake.c,
 * slots.c and upload.c do; what is asked for is in asks.c.
 *
 * Who does not watch pins all: every piece is the picker's background, and its
 * availability is counted as peer.c counts it.
 *
 * What is left out: bad bytes, lost connections, memory that runs short. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/rarity.h"
#include "tests/sim/world.h"

enum { HAVE_DELAY_US = 50000 };

/* ---- what is wanted ---- */

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

static void learn(struct sim_peer *p, struct sim_conn *c, uint32_t ix)
{
	if (bits_has(&c->have, ix))
		return;
	bits_set(&c->have, ix);
	if (picker_rarity(p->picker) != NULL && !c->is_in_all)
		rarity_on_have(picker_rarity(p->picker), ix);
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

	c->is_in_all = bits_is_full(have);
	for (; ix < have->n; ix = bits_next(have, ix + 1))
		learn(p, c, ix);
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
	for (uint32_t ix = 0; !p->kind.views && ix < w->cfg.n_pieces; ix++)
		if (picker_want(p->picker, ix, WANT_BACKGROUND, 0) != 0)
			abort();
}

/* Every sender of the piece has earned what it sent of it. */
static void credit(struct world *w, struct sim_peer *p, uint32_t ix)
{
	uint32_t n_blocks = w->cfg.piece_bytes / WIRE_BLOCK_BYTES;
	const uint16_t *sender = &p->sender[(size_t)ix * n_blocks];

	for (uint32_t i = 0; i < n_blocks; i++) {
		struct sim_conn *c = sim_conn_of(p, sender[i]);

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
	p->n_open--;
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
	uint32_t others[PICKER_COPIES_MAX];
	enum picker_arrival was;
	unsigned n_others;

	if (bits_has(&p->have, b->piece_ix) ||
	    !picker_is_missing(p->picker, b)) {
		p->waste_bytes += b->len_bytes;
		picker_on_waste(p->picker, b->len_bytes);
		return;
	}
	p->sender[(size_t)b->piece_ix * n_blocks +
		  b->begin_bytes / WIRE_BLOCK_BYTES] = (uint16_t)sim_id(p, c);
	was = picker_on_arrived(p->picker, sim_id(p, c), b, others, &n_others);
	for (unsigned i = 0; i < n_others; i++) {
		struct sim_conn *o = sim_conn_of(p, others[i]);
		uint32_t k = asks_find(o, b);

		assert(k < o->n_asks);
		asks_take(w, o, k);
		sim_tell(w, p, o, EV_CANCEL, b, 0);
	}
	/* What stalled peers owe the picker does not know of any more. */
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *o = &p->conns[i];
		uint32_t k = o->n_released > 0 ? asks_find(o, b) : o->n_asks;

		if (k == o->n_asks || !o->asks[k].is_released)
			continue;
		asks_take(w, o, k);
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
	uint32_t i = asks_find(c, b);

	w->flying_bytes -= b->len_bytes;
	w->received_bytes += b->len_bytes;
	p->reached_bytes += b->len_bytes;
	c->down_bytes += b->len_bytes;
	rate_meter_add(&c->down, b->len_bytes, w->now_us);
	sim_tell(w, p, c, EV_ACK, b, 0);
	if (c->n_asks > 0)
		rate_window_on_gap(&c->window, w->now_us - c->owed_us,
				   w->now_us);
	c->heard_us = c->payload_us = c->owed_us = w->now_us;
	c->is_snubbed = false;
	rate_window_on_bytes(&c->window, b->len_bytes, c->has_room, w->now_us);
	if (i < c->n_asks) {
		if (!c->asks[i].is_released)
			rate_window_on_answer(
				&c->window, w->now_us - c->asks[i].asked_us,
				c->asks[i].ahead_bytes, w->now_us);
		asks_take(w, c, i);
		c->is_proven = true;
		c->fruitless_us = 0;
	}
	take_block(w, p, c, b);
	asks_pass(w, p);
}

/* ---- serving ---- */

static void on_request(struct world *w, struct sim_peer *p, struct sim_conn *c,
		       const struct wire_block *b)
{
	if (c->i_choke || c->n_serves >= SIM_REQQ)
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
		learn(p, c, ix);
		tell_interest(w, p, c);
		if (asks_room(p, c) > 0)
			asks_pass(w, p);
	}
}

void actor_on_event(struct world *w, struct sim_peer *p, struct event *ev)
{
	struct sim_conn *c = &p->conns[ev->conn];

	switch (ev->kind) {
	case EV_STALL:
		asks_on_stall(w, p, c);
		break;
	case EV_WAKE:
		p->wake_is_set = false;
		asks_pass(w, p);
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
		asks_drop(w, p, c);
		asks_pass(w, p);
		break;
	case EV_UNCHOKE:
		c->choked_me = false;
		asks_pass(w, p);
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
		assert(c->n_asks <= SIM_REQQ && c->n_serves <= SIM_REQQ);
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
