/* dht_asked — a real node with its limits and a full table, and many strangers
 * who do nothing but ask it: what its messages cost, with no kernel between. */
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "core/mem.h"
#include "dht/krpc.h"
#include "tests/sim/dht_filled.h"
#include "tests/sim/dht_scenes.h"

enum { S = 1000000, QUERY_BYTES = 160 };

struct stranger {
	struct sim_actor actor;
	struct dht_id id;
	struct addr node;
	struct sim_asked_figures *out;
};

/* Of ten, as the network asks: six for peers, three for nodes, one a ping. */
static enum krpc_method next_method(struct sim_net *net)
{
	uint64_t of_ten = rng_below(&net->rng, 10);

	return of_ten < 6   ? KRPC_GET_PEERS
	       : of_ten < 9 ? KRPC_FIND_NODE
			    : KRPC_PING;
}

static void ask(struct sim_net *net, struct sim_actor *self)
{
	struct stranger *who = (struct stranger *)self;
	uint8_t bytes[QUERY_BYTES];
	struct dht_id target;
	struct krpc_query q = {.method = next_method(net),
			       .tid = (uint32_t)rng_next(&net->rng),
			       .self = &who->id,
			       .target = &target};

	filled_target((uint32_t)q.tid, &target);
	sim_net_send(net, self->host, &who->node, bytes,
		     krpc_encode_query(bytes, sizeof(bytes), &q));
	who->out->n_asked++;
}

static void on_answer(struct sim_net *net, struct sim_actor *self,
		      const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct stranger *who = (struct stranger *)self;
	struct krpc_msg m;

	if (krpc_decode(&m, bytes, len) != 0)
		abort();
	if (m.kind == KRPC_QUERY)
		return; /* strangers answer nobody */
	who->out->n_answered += m.kind == KRPC_ANSWER;
	ask(net, self);
}

static void fetch(const struct sim_actor *self, int step)
{
	const uint8_t *who = (const uint8_t *)self;

	if (step == 0)
		for (size_t i = 0; i < sizeof(struct stranger); i += 64)
			__builtin_prefetch(who + i);
}

static void stranger_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

static void stranger_comes(struct sim_net *net, const struct addr *node,
			   struct sim_asked_figures *out)
{
	struct stranger *who = sim_alloc(1, sizeof(*who));

	*who = (struct stranger){.actor = {.receive = on_answer,
					   .wake = ask,
					   .free = stranger_free,
					   .fetch = fetch},
				 .node = *node,
				 .out = out};
	for (int k = 0; k < DHT_ID_BYTES; k++)
		who->id.b[k] = (uint8_t)rng_next(&net->rng);
	sim_net_add(net, &who->actor, 0);
	/* Not all at once. */
	sim_net_wake_at(net, &who->actor, rng_below(&net->rng, S / 2));
}

static uint64_t cpu_us(void)
{
	return (uint64_t)clock() * S / CLOCKS_PER_SEC;
}

void sim_asked_run(const struct sim_asked *cfg, struct sim_asked_figures *out)
{
	const struct sim_net_cfg of_net = {
		.seed = cfg->seed,
		.link = {.rtt_ms = 400, .sigma = 0.3, .jitter = 0.1}};
	const struct sim_real_cfg of_node = {.has_limits = true};
	struct sim_real *real;
	struct sim_net net;
	struct addr a;

	*out = (struct sim_asked_figures){0};
	sim_net_init(&net, &of_net);
	real = sim_real_new(&net, &of_node);
	filled_node(real->node, net.hasher, net.now_us);
	a = sim_net_addr(&net, real->actor.host);
	for (uint32_t i = 0; i < cfg->n_strangers; i++)
		stranger_comes(&net, &a, out);
	sim_net_run(&net, S); /* everybody is there */
	out->counts = net.counts;
	out->n_asked = out->n_answered = 0;
	out->wall_us = clock_mono_us();
	out->cpu_us = cpu_us();
	sim_net_run(&net, (uint64_t)cfg->seconds * S);
	out->cpu_us = cpu_us() - out->cpu_us;
	out->wall_us = clock_mono_us() - out->wall_us;
	out->n_messages = net.counts.delivered - out->counts.delivered;
	out->counts = net.counts;
	out->trace = net.trace;
	sim_net_fini(&net);
}
