/* dht_rivals — how others search, as their sources have it: the policies of one
 * search, not the programs. Each search is a node of its own, whose table is
 * computed as a model node's is, with buckets of the rival's sizes; half of
 * what is in it is dead where half of the network is.
 *
 *   libtorrent   traversal_algorithm.cpp, find_data.cpp: candidates sorted by
 *     (2.x)      distance, 100 at most, one of a /24. It begins with the eight
 *                closest of the table, and keeps five queries outstanding at
 *                the top of the list. One that is out for a second makes room
 *                for another; after 15 s it has failed. Done when the eight
 *                closest that did not fail have answered.
 *   jech/dht     dht.c, search_step, search_send_get_peers, split_bucket:
 *                buckets of 128, 64, 32, 16 and 8; fourteen candidates, those
 * of the target's bucket first. It asks four; each answer lets one more go, the
 * farthest that was not asked in the last ten seconds, and an answer is its
 * search's, whenever it comes. Every eleven to nineteen seconds four more; who
 * was asked three times is out, and done when the eight closest others
 * answered. BEP 5        three in flight, two seconds, the closest first.
 */
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/krpc.h"
#include "tests/sim/dht_actors.h"

const char *const sim_policy_name[SIM_POLICIES] = {
	[SIM_LIBTORRENT] = "libtorrent-like",
	[SIM_LIBTORRENT_8] = "the same, buckets of 8",
	[SIM_JECH] = "jech-like",
	[SIM_KADEMLIA] = "BEP 5, 3 in flight, 2 s",
};

enum { S = 1000000, CANDS = 100, K = 8, BRANCH = 5, JECH_NODES = 14 };

enum { ALIVE = 1, FAILED = 2, SHORT = 4 };

struct cand {
	struct dht_id id;
	struct addr a;
	uint64_t asked_us; /* 0: not */
	uint32_t tid;
	uint8_t flags, tries;
};

struct rival {
	struct sim_actor actor;
	struct sim_net *net;
	struct sim_search *out;
	enum sim_policy policy;
	struct dht_id self;
	struct cand cands[CANDS + 1];
	uint32_t n, n_asked, next_tid;
	uint32_t nets[512]; /* /24s that were let in */
	uint32_t n_nets;
	uint64_t step_us; /* jech's next step */
	bool is_done;
};

/* ---- candidates ---- */

static uint32_t most_cands(const struct rival *r)
{
	return r->policy == SIM_JECH ? JECH_NODES : CANDS;
}

static bool is_new_net(struct rival *r, const struct addr *a)
{
	uint32_t net = ntohl(a->in4.sin_addr.s_addr) >> 8;

	for (uint32_t i = 0; i < r->n_nets; i++)
		if (r->nets[i] == net)
			return false;
	if (r->n_nets < sizeof(r->nets) / sizeof(r->nets[0]))
		r->nets[r->n_nets++] = net;
	return true;
}

static struct cand *add(struct rival *r, const struct dht_id *id,
			const struct addr *a, bool is_own)
{
	uint32_t at = r->n;

	for (uint32_t i = 0; i < r->n; i++)
		if (nodeid_eq(&r->cands[i].id, id))
			return &r->cands[i];
	if ((r->policy == SIM_LIBTORRENT || r->policy == SIM_LIBTORRENT_8) &&
	    !is_own && !is_new_net(r, a))
		return NULL;
	while (at > 0 &&
	       nodeid_closer(&r->out->target, id, &r->cands[at - 1].id))
		at--;
	if (at >= most_cands(r))
		return NULL;
	memmove(&r->cands[at + 1], &r->cands[at],
		(r->n - at) * sizeof(r->cands[0]));
	r->cands[at] = (struct cand){.id = *id, .a = *a};
	if (r->n < most_cands(r))
		r->n++;
	return &r->cands[at];
}

static void add_from_table(struct rival *r)
{
	bool is_wide = r->policy == SIM_LIBTORRENT || r->policy == SIM_JECH;
	uint32_t widest = is_wide ? 128 : K;
	uint32_t hosts[JECH_NODES];
	uint32_t n = sim_model_closest(r->net, &r->self, 1, widest,
				       &r->out->target, hosts,
				       r->policy == SIM_JECH ? JECH_NODES : K);

	for (uint32_t i = 0; i < n; i++) {
		struct addr a = sim_net_addr(r->net, hosts[i]);

		(void)add(r, &r->net->ids[hosts[i]], &a, true);
	}
}

/* ---- asking ---- */

static void ask(struct rival *r, struct cand *c)
{
	struct krpc_query q = {
		.method = KRPC_GET_PEERS,
		.tid = c->tid = ++r->next_tid,
		.self = &r->self,
		.target = &r->out->target,
	};
	uint8_t bytes[512];
	size_t len = krpc_encode_query(bytes, sizeof(bytes), &q);

	c->asked_us = r->net->now_us;
	c->tries++;
	r->out->n_asked = ++r->n_asked;
	sim_net_send(r->net, r->actor.host, &c->a, bytes, len);
}

static void done(struct rival *r)
{
	struct sim_search *s = r->out;

	r->is_done = true;
	s->has_ended = true;
	s->end_us = r->net->now_us - s->started_us;
}

/* When something is due, for who is out. */
static void wake_in(struct rival *r, const struct cand *c, uint64_t us)
{
	sim_net_wake_at(r->net, &r->actor, c->asked_us + us);
}

/* Queries out, at the top of the list or all; those that are late or not. */
static void advance_libtorrent(struct rival *r)
{
	int left = K, outstanding = 0, branch = BRANCH, in_flight = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct cand *c = &r->cands[i];

		branch += (c->flags & SHORT) && !(c->flags & (ALIVE | FAILED));
	}
	for (uint32_t i = 0; i < r->n && left > 0 && outstanding < branch;
	     i++) {
		struct cand *c = &r->cands[i];

		if (c->flags & ALIVE) {
			left--;
			continue;
		}
		if (c->asked_us != 0) {
			outstanding += !(c->flags & FAILED);
			continue;
		}
		ask(r, c);
		wake_in(r, c, S);
		outstanding++;
	}
	for (uint32_t i = 0; i < r->n; i++)
		in_flight += r->cands[i].asked_us != 0 &&
			     !(r->cands[i].flags & (ALIVE | FAILED));
	if ((left == 0 && outstanding == 0) || in_flight == 0)
		done(r);
}

static void advance_kademlia(struct rival *r)
{
	int left = K, in_flight = 0;

	for (uint32_t i = 0; i < r->n; i++)
		in_flight += r->cands[i].asked_us != 0 &&
			     !(r->cands[i].flags & (ALIVE | FAILED));
	for (uint32_t i = 0; i < r->n && left > 0 && in_flight < 3; i++) {
		struct cand *c = &r->cands[i];

		left -= (c->flags & ALIVE) != 0;
		if (c->asked_us != 0)
			continue;
		ask(r, c);
		wake_in(r, c, 2 * S);
		in_flight++;
	}
	if (in_flight == 0)
		done(r);
}

static bool jech_may_ask(const struct rival *r, const struct cand *c)
{
	return c->tries < 3 && !(c->flags & ALIVE) &&
	       (c->asked_us == 0 || c->asked_us + 10 * S < r->net->now_us);
}

static void jech_step(struct rival *r)
{
	int n = 0, n_ok = 0;
	bool is_complete = true;

	for (uint32_t i = 0; i < r->n && n_ok < K; i++) {
		const struct cand *c = &r->cands[i];

		if (c->tries >= 3 && !(c->flags & ALIVE))
			continue;
		if (!(c->flags & ALIVE)) {
			is_complete = false;
			break;
		}
		n_ok++;
	}
	if (is_complete) {
		done(r);
		return;
	}
	for (uint32_t i = 0; i < r->n && n < 4; i++)
		if (jech_may_ask(r, &r->cands[i])) {
			ask(r, &r->cands[i]);
			n++;
		}
	r->step_us = r->net->now_us + 11 * S + rng_below(&r->net->rng, 9) * S;
	sim_net_wake_at(r->net, &r->actor, r->step_us);
}

/* After an answer: one more, the last of the list that may be asked. */
static void jech_push(struct rival *r)
{
	struct cand *last = NULL;

	for (uint32_t i = 0; i < r->n; i++)
		if (jech_may_ask(r, &r->cands[i]))
			last = &r->cands[i];
	if (last != NULL)
		ask(r, last);
}

/* ---- events ---- */

static void advance(struct rival *r)
{
	switch (r->policy) {
	case SIM_LIBTORRENT:
	case SIM_LIBTORRENT_8:
		advance_libtorrent(r);
		return;
	case SIM_KADEMLIA:
		advance_kademlia(r);
		return;
	case SIM_JECH:
	case SIM_POLICIES:
		return;
	}
}

static void take_values(struct rival *r, struct span values)
{
	struct sim_search *s = r->out;
	struct addr a;
	size_t at = 0;

	while (krpc_next_peer(values, &at, &a)) {
		s->n_peers++;
		if (!addr_eq_host(&a, &s->wanted)) {
			s->n_false++;
		} else if (s->first_us == 0) {
			s->first_us = r->net->now_us - s->started_us;
			s->n_asked_first = r->n_asked;
		}
	}
}

/* Whose answer it is; one transaction id is all of jech/dht's search. */
static struct cand *asked_of(struct rival *r, const struct addr *from,
			     uint32_t tid)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (addr_eq(&r->cands[i].a, from) &&
		    (r->cands[i].tid == tid || r->policy == SIM_JECH))
			return &r->cands[i];
	return NULL;
}

static void take_nodes(struct rival *r, struct span nodes)
{
	const struct dht_id *id;
	struct addr a;
	size_t at = 0;

	while (krpc_next_node(nodes, false, &at, &id, &a))
		(void)add(r, id, &a, false);
}

/* Of those too that closer ones have driven out. */
static void jech_take(struct rival *r, const struct addr *from,
		      const struct krpc_msg *m)
{
	struct cand *c;

	take_nodes(r, m->args.nodes);
	jech_push(r);
	c = m->args.id != NULL ? add(r, m->args.id, from, false) : NULL;
	if (c != NULL)
		c->flags |= ALIVE;
}

static void receive(struct sim_net *net, struct sim_actor *self,
		    const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct rival *r = (struct rival *)self;
	struct krpc_msg m;
	struct cand *c;
	uint32_t tid;

	if (krpc_decode(&m, bytes, len) != 0 || m.kind != KRPC_ANSWER ||
	    !krpc_tid(m.tid, &tid))
		return;
	c = asked_of(r, from, tid);
	/* Peers count even after it called itself done. */
	take_values(r, m.args.values);
	if (r->is_done || (c != NULL && (c->flags & (ALIVE | FAILED))))
		return;
	if (r->policy == SIM_JECH) {
		jech_take(r, from, &m);
		return;
	}
	if (c == NULL)
		return;
	c->flags |= ALIVE;
	take_nodes(r, m.args.nodes);
	advance(r);
}

static void on_wake(struct sim_net *net, struct sim_actor *self)
{
	struct rival *r = (struct rival *)self;
	uint64_t now = net->now_us;

	if (r->is_done)
		return;
	if (r->policy == SIM_JECH) {
		if (now >= r->step_us)
			jech_step(r);
		return;
	}
	for (uint32_t i = 0; i < r->n; i++) {
		struct cand *c = &r->cands[i];
		uint64_t hard = r->policy == SIM_KADEMLIA ? 2 * S : 15 * S;

		if (c->asked_us == 0 || (c->flags & (ALIVE | FAILED)))
			continue;
		if (now >= c->asked_us + hard)
			c->flags |= FAILED;
		else if (r->policy != SIM_KADEMLIA && now >= c->asked_us + S)
			c->flags |= SHORT;
	}
	advance(r);
	for (uint32_t i = 0; i < r->n && !r->is_done; i++) {
		struct cand *c = &r->cands[i];
		bool is_short =
			r->policy != SIM_KADEMLIA && !(c->flags & SHORT);

		if (c->asked_us != 0 && !(c->flags & (ALIVE | FAILED)))
			wake_in(r, c,
				is_short		    ? S
				: r->policy == SIM_KADEMLIA ? 2 * S
							    : 15 * S);
	}
}

static void rival_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

void sim_rival_search(struct sim_net *net, enum sim_policy policy,
		      struct sim_search *out)
{
	struct rival *r = sim_alloc(1, sizeof(*r));

	r->actor = (struct sim_actor){
		.receive = receive, .wake = on_wake, .free = rival_free};
	r->net = net;
	r->out = out;
	r->policy = policy;
	sim_net_add(net, &r->actor, 0);
	for (int i = 0; i < DHT_ID_BYTES; i += 4)
		be32_put(r->self.b + i, (uint32_t)rng_next(&net->rng));
	out->net = net;
	out->started_us = net->now_us;
	add_from_table(r);
	if (policy == SIM_JECH)
		jech_step(r);
	else
		advance(r);
}
