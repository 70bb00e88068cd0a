/* asks — what a peer asks of others, as peer_ask.c and the pass of swarm.c have
 * it, over the real picker and rates: windows, stalls, doubts, promises.
 *
 * Left out: REJECT and allowed fast pieces: who is choked drops what it has
 * out, whatever was refused. A pass is made for each event that may matter,
 * not one for all of a turn. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "net/net_limits.h"
#include "tests/sim/world.h"

enum {
	REQQ = SIM_REQQ,
	PICKS = 64,
	FORGET_US = PEER_FORGET_MS * 1000,
	NEIGHBOURS_MAX = 512,
};

/* ---- the queue ---- */

uint32_t asks_find(const struct sim_conn *c, const struct wire_block *b)
{
	uint32_t i = 0;

	while (i < c->n_asks && !wire_block_eq(&c->asks[i].block, b))
		i++;
	return i;
}

/* It owes nothing any more, as far as the picker knows. */
static void settle(const struct world *w, struct sim_conn *c)
{
	if (c->n_asks > c->n_released || c->asked_us == 0)
		return;
	c->fruitless_us += w->now_us - c->asked_us;
	c->asked_us = 0;
}

void asks_take(const struct world *w, struct sim_conn *c, uint32_t i)
{
	c->out_bytes -= c->asks[i].block.len_bytes;
	c->n_released -= c->asks[i].is_released;
	c->n_asks--;
	memmove(&c->asks[i], &c->asks[i + 1],
		(c->n_asks - i) * sizeof(*c->asks));
	settle(w, c);
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

static void release(const struct world *w, struct sim_peer *p,
		    struct sim_conn *c, struct sim_ask *a)
{
	if (a->is_released)
		return;
	a->is_released = true;
	c->n_released++;
	settle(w, c);
	picker_on_gone(p->picker, sim_id(p, c), &a->block);
}

static void ask(struct world *w, struct sim_peer *p, struct sim_conn *c,
		const struct wire_block *b)
{
	uint32_t i = c->n_released > 0 ? asks_find(c, b) : c->n_asks;

	if (c->n_asks == c->n_released)
		c->payload_us = c->asked_us = w->now_us;
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

uint32_t asks_room(const struct sim_peer *p, const struct sim_conn *c)
{
	uint32_t window = p->viewer != NULL
				  ? c->window.window_bytes
				  : rate_window_calm_bytes(&c->window);
	uint32_t room;

	if (c->choked_me || c->n_asks >= REQQ || c->out_bytes >= window)
		return 0;
	room = (window - c->out_bytes + WIRE_BLOCK_BYTES - 1) /
	       WIRE_BLOCK_BYTES;
	return room < REQQ - c->n_asks ? room : REQQ - c->n_asks;
}

void asks_drop(const struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	while (c->n_asks > 0) {
		release(w, p, c, &c->asks[0]);
		asks_take(w, c, 0);
	}
}

void asks_on_stall(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	uint64_t due = c->payload_us +
		       rate_window_timeout_us(&c->window, c->out_bytes);

	c->stall_is_set = false;
	if (c->n_asks > 0 && c->n_asks == c->n_released &&
	    c->owed_us + FORGET_US <= w->now_us) {
		asks_drop(w, p, c);
		asks_pass(w, p);
	} else if (c->n_asks > c->n_released && due <= w->now_us) {
		for (uint32_t i = 0; i < c->n_asks; i++)
			release(w, p, c, &c->asks[i]);
		c->is_snubbed = true;
		c->is_proven = false;
		c->payload_us = w->now_us;
		rate_window_on_stall(&c->window, w->now_us);
		asks_pass(w, p);
	}
	set_stall(w, p, c);
}

/* ---- the pass ---- */

static uint64_t doubt_us(const struct sim_conn *c)
{
	uint64_t wait_us = rate_window_doubt_us(&c->window), us, since_us;

	if (c->n_asks == c->n_released)
		return UINT64_MAX;
	us = c->payload_us + wait_us;
	if (c->is_proven)
		return us;
	since_us = c->asked_us + wait_us;
	if (c->fruitless_us < PEER_FIRST_BLOCK_US)
		since_us += PEER_FIRST_BLOCK_US - c->fruitless_us;
	return us < since_us ? us : since_us;
}

static unsigned describe(struct sim_peer *p, struct pick_peer *out)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < p->n_conns && n < NEIGHBOURS_MAX; i++) {
		struct sim_conn *c = &p->conns[i];

		if (c->choked_me || c->have.n_set == 0)
			continue;
		out[n++] = (struct pick_peer){.id = sim_id(p, c),
					      .have = &c->have,
					      .rate_Bps = c->window.rate_Bps,
					      .rtt_us = c->window.delay_us,
					      .out_bytes = c->out_bytes,
					      .room = asks_room(p, c),
					      .down_bytes = c->down_bytes,
					      .heard_us = c->heard_us,
					      .doubt_us = doubt_us(c),
					      .is_proven = c->is_proven,
					      .is_snubbed = c->is_snubbed};
	}
	return n;
}

static void set_wake(struct world *w, struct sim_peer *p)
{
	uint64_t wake_us = picker_next_late_us(p->picker);

	if (p->wake_is_set)
		return;
	for (uint32_t i = 0; i < p->n_conns; i++) {
		uint64_t us = doubt_us(&p->conns[i]);

		if (us > w->now_us && us < wake_us)
			wake_us = us;
	}
	if (wake_us == UINT64_MAX)
		return;
	p->wake_is_set = true;
	events_add(&w->q,
		   (struct event){.at_us = wake_us > w->now_us ? wake_us
							       : w->now_us + 1,
				  .kind = EV_WAKE,
				  .peer = p->ix});
}

static void carry_out(struct world *w, struct sim_peer *p,
		      const struct pick_peer *of, const struct pick *pick)
{
	if (pick->instead_of != 0) {
		struct sim_conn *before = sim_conn_of(p, pick->instead_of);
		uint32_t i = asks_find(before, &pick->block);

		if (i < before->n_asks)
			release(w, p, before, &before->asks[i]);
	}
	ask(w, p, sim_conn_of(p, of->id), &pick->block);
}

/* What reclaim.c does: true when some memory was given back. */
static bool give_back(struct sim_peer *p)
{
	uint32_t ix = picker_left_background(p->picker);

	if (!p->is_short || ix == UINT32_MAX)
		return false;
	picker_close(p->picker, ix);
	p->n_open--;
	return true;
}

void asks_pass(struct world *w, struct sim_peer *p)
{
	struct pick_peer desc[NEIGHBOURS_MAX];
	struct pick picks[PICKS];
	unsigned n_peers, n;

	if (bits_is_full(&p->have))
		return;
	n_peers = describe(p, desc);
	do {
		p->is_short = false;
		n = picker_assign(p->picker, desc, n_peers, w->now_us, picks,
				  PICKS);
		for (unsigned i = 0; i < n; i++)
			carry_out(w, p, &desc[picks[i].peer_ix], &picks[i]);
	} while (n == PICKS || give_back(p));
	for (unsigned i = 0; i < n_peers; i++)
		sim_conn_of(p, desc[i].id)->has_room = desc[i].room > 0;
	set_wake(w, p);
}
