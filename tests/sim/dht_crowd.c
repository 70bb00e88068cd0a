/* dht_crowd — a network of real nodes that is lived in: they come by an address
 * or two, go without a word, search and announce; some lie, some are behind a
 * NAT, the network is cut and heals.
 *
 * What must hold at every event is asked of the node that it touched
 * (dht_node_check); what must hold of all is counted on the way: bytes at a
 * victim of forged senders, sybils in tables. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/krpc.h"
#include "tests/sim/dht_scenes.h"

enum { S = 1000000, MS = 1000, KNOWN = 4, KEY_PORT = 7000 };

struct crowd {
	const struct sim_crowd *cfg;
	struct sim_net net;
	struct sim_real **nodes; /* of each seat */
	uint64_t *leaves_us;
	struct sim_gang gang, sybils;
	struct sim_real **givers; /* who announced a key; they stay */
	struct sim_search *announces, *searches;
	uint32_t n_seated;
	uint32_t victim; /* a host that says nothing */
	uint64_t forged_bytes, victim_bytes, victim_asked_bytes;
	uint64_t next_life_us;
};

/* ---- coming and going ---- */

static double unit(struct crowd *w)
{
	return (double)(rng_next(&w->net.rng) >> 11) * 0x1p-53;
}

static uint64_t a_life_us(struct crowd *w)
{
	if (w->cfg->session_s == 0)
		return UINT64_MAX;
	return w->net.now_us +
	       (uint64_t)(-log(1 - unit(w)) * w->cfg->session_s * S);
}

/* Of those that can be reached. */
static struct sim_real *somebody(struct crowd *w)
{
	struct sim_real *real;

	do
		real = w->nodes[rng_below(&w->net.rng, w->n_seated)];
	while (real == NULL || (w->net.flags[real->actor.host] & SIM_NAT));
	return real;
}

static struct sim_real *join(struct crowd *w, bool has_nat)
{
	const struct sim_real_cfg cfg = {
		.check_every = w->cfg->check_every,
		.is_read_only = has_nat,
		.has_nat = has_nat,
	};
	struct sim_real *real = sim_real_new(&w->net, &cfg);

	for (int i = 0; i < KNOWN && w->n_seated > 0; i++) {
		struct sim_real *other = somebody(w);
		struct addr a = sim_net_addr(&w->net, other->actor.host);

		sim_real_tell(real, &a);
	}
	return real;
}

static void take_seat(struct crowd *w, uint32_t seat)
{
	/* The first are reachable, so that all find somebody. */
	bool has_nat = seat > KNOWN && unit(w) < w->cfg->nat;

	w->nodes[seat] = join(w, has_nat);
	w->leaves_us[seat] = a_life_us(w);
	if (w->leaves_us[seat] < w->next_life_us)
		w->next_life_us = w->leaves_us[seat];
}

/* Whose time is over goes, and another takes the seat. */
static void let_go(struct crowd *w)
{
	uint64_t next_us = UINT64_MAX;

	for (uint32_t i = 0; i < w->n_seated; i++) {
		if (w->leaves_us[i] <= w->net.now_us) {
			sim_net_remove(&w->net, &w->nodes[i]->actor);
			w->nodes[i] = NULL;
			take_seat(w, i);
		}
		if (w->leaves_us[i] < next_us)
			next_us = w->leaves_us[i];
	}
	w->next_life_us = next_us;
}

static void run(struct crowd *w, uint64_t until_us)
{
	while (w->next_life_us < until_us) {
		sim_net_run(&w->net, w->next_life_us);
		let_go(w);
	}
	sim_net_run(&w->net, until_us);
}

static void everybody_comes(struct crowd *w)
{
	uint64_t join_us = (uint64_t)w->cfg->join_s * S;

	for (uint32_t i = 0; i < w->cfg->n_nodes; i++) {
		run(w, join_us * i / w->cfg->n_nodes);
		take_seat(w, i);
		w->n_seated = i + 1;
	}
}

/* ---- harm ---- */

static void random_id(struct crowd *w, struct dht_id *id)
{
	for (int i = 0; i < DHT_ID_BYTES; i += 4)
		be32_put(id->b + i, (uint32_t)rng_next(&w->net.rng));
}

static void greet(struct crowd *w, struct sim_liar *liar, int n)
{
	for (int i = 0; i < n; i++) {
		struct addr a = sim_net_addr(&w->net, somebody(w)->actor.host);

		sim_liar_greet(&w->net, liar, &a, &w->announces[0].target);
	}
}

static void liars_come(struct crowd *w, enum sim_lie lie, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct dht_id id;

		random_id(w, &id);
		greet(w, sim_liar_new(&w->net, &w->gang, lie, 0, &id), 8);
	}
}

/* Each greets everybody: that is how one gets into tables. */
static void sybils_come(struct crowd *w)
{
	uint32_t nets[16];

	assert(w->cfg->n_sybil_nets <= 16);
	for (uint32_t i = 0; i < w->cfg->n_sybil_nets; i++)
		nets[i] = sim_net_ip(&w->net) & 0xffffff00;
	for (uint32_t i = 0; i < w->cfg->n_sybils; i++) {
		/* Of one address several, when there are more than it has. */
		uint32_t ip = nets[i % w->cfg->n_sybil_nets] +
			      i / w->cfg->n_sybil_nets % 256;
		struct dht_id id;
		struct sim_liar *liar;

		random_id(w, &id);
		memcpy(id.b, w->announces[0].target.b, 5);
		liar = sim_liar_new(&w->net, &w->sybils, SIM_LIE_SYBIL, ip,
				    &id);
		w->net.flags[sim_liar_host(liar)] |= SIM_SYBIL;
		greet(w, liar, 20);
		run(w, w->net.now_us + 5 * MS);
	}
}

static void on_send(void *arg, uint32_t from, const struct addr *to,
		    const uint8_t *bytes, size_t len)
{
	struct crowd *w = arg;
	struct krpc_msg m;

	if (sim_net_host(&w->net, to) != w->victim)
		return;
	if (krpc_decode(&m, bytes, len) == 0 && m.kind == KRPC_QUERY)
		w->victim_asked_bytes += len;
	else
		w->victim_bytes += len;
}

static void ignore(struct sim_net *net, struct sim_actor *self,
		   const struct addr *from, const uint8_t *bytes, size_t len)
{
}

static void on_wake(struct sim_net *net, struct sim_actor *self)
{
}

static void ignore_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

/* get_peers of what is stored, the most that a query can bring. */
static void forge(struct crowd *w)
{
	struct sim_actor *victim = sim_alloc(1, sizeof(*victim));
	struct dht_id id;
	struct krpc_query q = {.method = KRPC_GET_PEERS, .self = &id};
	struct addr as;
	uint8_t bytes[256];

	random_id(w, &id);
	*victim = (struct sim_actor){
		.receive = ignore, .wake = on_wake, .free = ignore_free};
	sim_net_add(&w->net, victim, 0);
	w->victim = victim->host;
	as = sim_net_addr(&w->net, victim->host);
	w->net.on_send = on_send;
	w->net.arg = w;
	for (uint32_t i = 0; i < w->cfg->n_forged; i++) {
		struct sim_real *node = somebody(w);
		struct addr to = sim_net_addr(&w->net, node->actor.host);
		size_t len;

		q.tid = i;
		q.target = &w->announces[i % w->cfg->n_keys].target;
		q.is_scrape = i % 2 == 0;
		len = krpc_encode_query(bytes, sizeof(bytes), &q);
		w->forged_bytes += len;
		sim_net_forge(&w->net, victim->host, &as, &to, bytes, len);
		run(w, w->net.now_us + MS);
	}
	run(w, w->net.now_us + 5 * S);
	w->net.on_send = NULL;
}

static void part(struct crowd *w)
{
	for (uint32_t i = 0; i < w->net.n; i++)
		if (rng_below(&w->net.rng, 2) == 0)
			w->net.flags[i] |= SIM_WEST;
	w->net.is_parted = true;
	run(w, w->net.now_us + (uint64_t)w->cfg->parted_s * S);
	w->net.is_parted = false;
}

/* ---- good ---- */

static void announce(struct crowd *w)
{
	for (uint32_t i = 0; i < w->cfg->n_keys; i++) {
		struct sim_search *s = &w->announces[i];

		s->wanted = sim_net_addr(&w->net, w->givers[i]->actor.host);
		sim_real_search(w->givers[i], s, KEY_PORT, DHT_PACE_URGENT);
		run(w, w->net.now_us + 20 * MS);
	}
	run(w, w->net.now_us + 20 * S);
}

static void search(struct crowd *w)
{
	uint64_t each_us = (uint64_t)w->cfg->searches_s * S;

	for (uint32_t i = 0; i < w->cfg->n_searches; i++) {
		struct sim_search *s = &w->searches[i];
		const struct sim_search *key =
			&w->announces[i % w->cfg->n_keys];
		/* Those that announced stay, so that every search ends. */
		struct sim_real *who = w->givers[(i / w->cfg->n_keys + i + 1) %
						 w->cfg->n_keys];

		s->target = key->target;
		s->wanted = key->wanted;
		sim_real_search(who, s, 0, DHT_PACE_URGENT);
		run(w, w->net.now_us + each_us / w->cfg->n_searches);
	}
	run(w, w->net.now_us + 40 * S);
}

/* ---- figures ---- */

static void count_sybils(struct crowd *w, struct sim_crowd_figures *out)
{
	uint64_t n_contacts = 0, n_sybils = 0;
	uint32_t n_nodes = 0;

	for (uint32_t i = 0; i < w->n_seated; i++) {
		struct dht_stats stats;
		uint32_t n;

		dht_node_stats(w->nodes[i]->node, &stats);
		n_contacts += stats.family[DHT_IPV4].n_contacts;
		n_nodes++;
		n = sim_real_count(w->nodes[i], SIM_SYBIL);
		n_sybils += n;
		if (n > out->sybils_most)
			out->sybils_most = n;
	}
	out->contacts = (double)n_contacts / n_nodes;
	out->sybil_share = (double)n_sybils / (double)(n_contacts + 1);
}

static void setup(struct crowd *w, const struct sim_crowd *cfg)
{
	const struct sim_net_cfg net = {.seed = cfg->seed, .link = cfg->link};

	*w = (struct crowd){.cfg = cfg, .next_life_us = UINT64_MAX};
	w->nodes = sim_alloc(cfg->n_nodes, sizeof(*w->nodes));
	w->leaves_us = sim_alloc(cfg->n_nodes, sizeof(*w->leaves_us));
	w->givers = sim_alloc(cfg->n_keys, sizeof(*w->givers));
	w->announces = sim_alloc(cfg->n_keys, sizeof(*w->announces));
	w->searches = sim_alloc(cfg->n_searches, sizeof(*w->searches));
	sim_net_init(&w->net, &net);
	for (uint32_t i = 0; i < cfg->n_keys; i++)
		random_id(w, &w->announces[i].target);
}

static void cleanup(struct crowd *w)
{
	sim_net_fini(&w->net);
	sim_gang_fini(&w->gang);
	sim_gang_fini(&w->sybils);
	mem_free(w->nodes);
	mem_free(w->leaves_us);
	mem_free(w->givers);
	mem_free(w->announces);
	mem_free(w->searches);
}

static void settle(struct crowd *w)
{
	uint64_t half_us = (uint64_t)w->cfg->settle_s * S / 2;

	run(w, w->net.now_us + half_us);
	if (w->cfg->parted_s > 0)
		part(w);
	run(w, w->net.now_us + half_us);
}

void sim_crowd_run(const struct sim_crowd *cfg, struct sim_crowd_figures *out)
{
	struct crowd w;

	*out = (struct sim_crowd_figures){.n_stored_least = UINT32_MAX};
	setup(&w, cfg);
	everybody_comes(&w);
	for (uint32_t i = 0; i < cfg->n_keys; i++)
		w.givers[i] = join(&w, false);
	liars_come(&w, SIM_LIE_WRONG_ID, cfg->n_wrong_id);
	liars_come(&w, SIM_LIE_FALSE, cfg->n_false);
	liars_come(&w, SIM_LIE_LONG, cfg->n_long);
	settle(&w);
	if (cfg->n_sybils > 0)
		sybils_come(&w);
	announce(&w);
	for (uint32_t i = 0; i < cfg->n_keys; i++)
		if (w.announces[i].n_stored < out->n_stored_least)
			out->n_stored_least = w.announces[i].n_stored;
	search(&w);
	if (cfg->n_forged > 0)
		forge(&w);
	out->searches = sim_figures_of(w.searches, cfg->n_searches);
	count_sybils(&w, out);
	if (w.forged_bytes > 0) {
		out->forged_gain =
			(double)w.victim_bytes / (double)w.forged_bytes;
		out->forged_asked =
			(double)w.victim_asked_bytes / (double)w.forged_bytes;
	}
	out->n_checks = w.net.n_checks;
	out->trace = w.net.trace;
	out->counts = w.net.counts;
	cleanup(&w);
}
