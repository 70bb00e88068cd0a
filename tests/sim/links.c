/* links — how bytes travel: an uplink, the net between, a downlink.
 *
 * Uplink: one block at a time at the peer's rate; whose turn it is says
 * net/shares, over the flows that have something to send and may: by the
 * choker's weight, or equally, as TCP shares a line.
 * Net: half a round trip, no loss, no limit.
 * Downlink: blocks go through it one after the other as they reach it.
 * Flow: TCP's slow start and nothing more: a window that begins at one block
 * and grows by every block acknowledged, begun anew after a silence. Nothing
 * is lost, so nothing ends the growth but WINDOW_MAX; how much can queue before
 * a downlink is bounded by what its owner has asked for. */
#include <assert.h>
#include <string.h>

#include "tests/sim/world.h"

enum {
	WINDOW_FIRST = WIRE_BLOCK_BYTES,
	WINDOW_MAX = 1 << 20,
	SILENCE_US = 1000000,
};

static uint64_t takes_us(uint32_t bytes, uint64_t Bps)
{
	return (uint64_t)bytes * 1000000 / Bps;
}

static bool may_send(const struct sim_conn *c)
{
	if (c->n_serves == 0)
		return false;
	return c->flying_bytes == 0 ||
	       c->flying_bytes + c->serves[0].len_bytes <= c->cwnd_bytes;
}

static struct sim_conn *conn_of(struct share *s)
{
	return (struct sim_conn *)(void *)((char *)s -
					   offsetof(struct sim_conn, share));
}

static struct wire_block take_block(struct sim_conn *c)
{
	struct wire_block b = c->serves[0];

	c->n_serves--;
	memmove(c->serves, c->serves + 1, c->n_serves * sizeof(*c->serves));
	return b;
}

static void send_next(struct world *w, struct sim_peer *p)
{
	struct share *next;
	struct sim_conn *c;
	struct wire_block b;

	if (p->is_sending || p->kind.up_Bps == 0)
		return;
	next = shares_next(&p->upload);
	if (next == NULL)
		return;
	c = conn_of(next);
	b = take_block(c);
	if (w->now_us > c->sent_us + SILENCE_US && c->flying_bytes == 0)
		c->cwnd_bytes = WINDOW_FIRST;
	c->sent_us = w->now_us;
	c->flying_bytes += b.len_bytes;
	p->is_sending = true;
	shares_charge(next, b.len_bytes);
	link_update(p, c);
	events_add(&w->q,
		   (struct event){.at_us = w->now_us + takes_us(b.len_bytes,
								p->kind.up_Bps),
				  .kind = EV_DEPART,
				  .peer = p->ix,
				  .conn = (uint32_t)(c - p->conns),
				  .block = b});
}

void link_update(struct sim_peer *p, struct sim_conn *c)
{
	c->share.weight = p->kind.policy->has_weights ? c->weight : 1;
	if (may_send(c))
		shares_wait(&c->share, SHARES_FIRST, 0);
	else
		shares_leave(&c->share);
}

void link_backlog(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	link_update(p, c);
	send_next(w, p);
}

void link_on_depart(struct world *w, struct sim_peer *p, struct event *ev)
{
	struct sim_conn *c = &p->conns[ev->conn];
	uint32_t len = ev->block.len_bytes;

	p->is_sending = false;
	p->up_bytes += len;
	c->up_bytes += len;
	c->turn_bytes += len;
	if (c->i_want) {
		c->debt_bytes += len;
		if (c->unpaid_us == 0)
			c->unpaid_us = w->now_us;
	}
	rate_meter_add(&p->up, len, w->now_us);
	rate_meter_add(&c->up, len, w->now_us);
	w->sent_bytes += len;
	w->flying_bytes += len;
	sim_tell(w, p, c, EV_REACH, &ev->block, 0);
	send_next(w, p);
}

void link_on_reach(struct world *w, struct sim_peer *p, struct event *ev)
{
	if (p->down_free_us < w->now_us)
		p->down_free_us = w->now_us;
	p->down_free_us += takes_us(ev->block.len_bytes, p->kind.down_Bps);
	ev->at_us = p->down_free_us;
	ev->kind = EV_ARRIVE;
	events_add(&w->q, *ev);
}

void link_on_ack(struct world *w, struct sim_peer *p, struct event *ev)
{
	struct sim_conn *c = &p->conns[ev->conn];
	assert(c->flying_bytes >= ev->block.len_bytes);
	c->flying_bytes -= ev->block.len_bytes;
	if (c->cwnd_bytes < WINDOW_MAX)
		c->cwnd_bytes += ev->block.len_bytes;
	link_backlog(w, p, c);
}
