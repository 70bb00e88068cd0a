/* dhtsim — the networks of dht_scenes.h as tables: for tests/bench/bench dht.
 *
 *   dhtsim large|fresh|real|young [N_ALIVE [SEARCHERS [SEED]]]
 *   dhtsim crowd [N_NODES [0 [SEED]]]
 *   dhtsim asked [N_STRANGERS [0 [SEED]]]
 *   dhtsim speed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/clock.h"
#include "core/mem.h"
#include "dht/krpc.h"
#include "tests/sim/dht_scenes.h"

static void row(const char *name, const struct sim_figures *f,
		const struct sim_figures *ours)
{
	printf("%-24s %6.0f %6.0f %6.0f   %5.1f %5.1f %6.0f   %6.0f   %6.2f%%",
	       name, f->p50_ms, f->p90_ms, f->p99_ms, f->asked, f->asked_first,
	       f->asked_p99, f->end_p50_ms, 100.0 * f->n_found / f->n);
	if (f != ours)
		printf("   %5.2f %5.2f %5.2f", f->p50_ms / ours->p50_ms,
		       f->p90_ms / ours->p90_ms, f->p99_ms / ours->p99_ms);
	printf("\n");
}

static void large(uint32_t n, uint32_t n_searchers, uint64_t seed,
		  bool is_all_real, bool is_fresh)
{
	const struct sim_large cfg = {
		.seed = seed,
		.link = {.rtt_ms = 80,
			 .sigma = 0.6,
			 .jitter = 0.1,
			 .is_fresh = is_fresh},
		.n_alive = n,
		.dead = 0.5,
		.n_searchers = n_searchers,
		.n_later = 5,
		.n_keys = 64,
		.warm_s = 3600,
		.has_rivals = !is_all_real,
		.is_all_real = is_all_real,
	};
	uint64_t begun_us = clock_mono_us();
	struct sim_large_figures out;
	struct rusage usage;
	double s;

	sim_large_run(&cfg, &out);
	s = (double)(clock_mono_us() - begun_us) / 1e6;
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("%u alive, as many dead, %s; seed %llu, trace %016llx\n", n,
	       is_all_real ? "real nodes only" : "model nodes",
	       (unsigned long long)seed, (unsigned long long)out.trace);
	printf("contacts of a searcher: %.0f; an announce was stored by %u or "
	       "more\n",
	       out.contacts, out.n_stored_least);
	printf("%.1f M datagrams in %.1f s: %.2f M/s; %ld MiB\n",
	       (double)out.counts.sent / 1e6, s,
	       (double)out.counts.sent / 1e6 / s, usage.ru_maxrss / 1024);
	printf("%-24s %20s   %18s   %6s   %7s   %17s\n", "", "first peers, ms",
	       "queries", "end", "found", "ours is x as fast");
	printf("%-24s %6s %6s %6s   %5s %5s %6s   %6s   %7s   %5s %5s %5s\n",
	       "", "p50", "p90", "p99", "all", "first", "p99", "p50", "", "p50",
	       "p90", "p99");
	row("shoalfs", &out.first, &out.first);
	row("shoalfs, later searches", &out.later, &out.first);
	for (int p = 0; p < SIM_POLICIES && cfg.has_rivals; p++)
		row(sim_policy_name[p], &out.rivals[p], &out.first);
}

static void young(uint32_t n, uint32_t n_searchers, uint64_t seed)
{
	const struct sim_young cfg = {
		.seed = seed,
		.link = {.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1},
		.n_alive = n,
		.n_rounds = 3,
		.n_searchers = n_searchers,
		.n_searches = 40,
	};
	struct sim_young_figures out;

	sim_young_run(&cfg, &out);
	printf("%u alive, as many silent, searchers half a minute old; seed "
	       "%llu, trace %016llx\n",
	       n, (unsigned long long)seed, (unsigned long long)out.trace);
	row("shoalfs, 40 searches each", &out.all, &out.all);
	row("  the first", &out.first, &out.first);
	row("  the next four", &out.second, &out.second);
	row("  all later", &out.later, &out.later);
}

static void crowd(const char *what, const struct sim_crowd *cfg)
{
	uint64_t begun_us = clock_mono_us();
	struct sim_crowd_figures out;
	struct rusage usage;
	double s;

	sim_crowd_run(cfg, &out);
	s = (double)(clock_mono_us() - begun_us) / 1e6;
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("%s: %u real nodes; seed %llu, trace %016llx\n", what,
	       cfg->n_nodes, (unsigned long long)cfg->seed,
	       (unsigned long long)out.trace);
	printf("  found %u of %u; p50 %.0f p90 %.0f p99 %.0f ms, %.0f queries; "
	       "stored by %u or more\n",
	       out.searches.n_found, out.searches.n, out.searches.p50_ms,
	       out.searches.p90_ms, out.searches.p99_ms, out.searches.asked,
	       out.n_stored_least);
	printf("  contacts %.0f, sybils %.2f %% of them, %u at most; for a "
	       "forged byte %.2f of answers, %.2f of queries\n",
	       out.contacts, 100 * out.sybil_share, out.sybils_most,
	       out.forged_gain, out.forged_asked);
	printf("  %.2f M datagrams (%.2f M lost, %.2f M to nobody), %.2f M "
	       "wake-ups, %.2f M checks in %.1f s: %.2f M datagrams/s, %ld "
	       "MiB\n",
	       (double)out.counts.sent / 1e6, (double)out.counts.lost / 1e6,
	       (double)out.counts.to_nobody / 1e6,
	       (double)out.counts.wakes / 1e6, (double)out.n_checks / 1e6, s,
	       (double)out.counts.sent / 1e6 / s, usage.ru_maxrss / 1024);
}

static const struct sim_link_cfg usual = {
	.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1, .loss = 0.01};

static void crowds(uint32_t n, uint64_t seed)
{
	const struct sim_crowd churn = {
		.seed = seed,
		.link = usual,
		.n_nodes = n,
		.nat = 0.3,
		.session_s = 1800,
		.join_s = 60,
		.settle_s = 300,
		.n_keys = 50,
		.n_searches = 500,
		.searches_s = 60,
	};
	const struct sim_crowd sybils = {
		.seed = seed,
		.link = usual,
		.n_nodes = 45,
		.join_s = 10,
		.settle_s = 300,
		.n_keys = 5,
		.n_searches = 100,
		.searches_s = 60,
		.n_sybils = 2000,
		.n_sybil_nets = 4,
		.check_every = 1,
		.n_forged = 2000,
	};
	const struct sim_crowd liars = {
		.seed = seed,
		.link = usual,
		.n_nodes = 300,
		.join_s = 10,
		.settle_s = 300,
		.n_keys = 20,
		.n_searches = 200,
		.searches_s = 60,
		.n_wrong_id = 50,
		.n_false = 50,
		.n_long = 50,
		.parted_s = 120,
		.check_every = 16,
	};

	crowd("churn", &churn);
	crowd("sybils", &sybils);
	crowd("liars, a partition", &liars);
}

/* Model nodes that are asked all the time, by actors that do nothing else: what
 * the queue, the network and the codec can do. */
static uint64_t n_answers;

static void ask_again(struct sim_net *net, struct sim_actor *self)
{
	struct dht_id target = {0};
	struct krpc_query q = {.method = KRPC_PING, .tid = 1, .self = &target};
	uint8_t bytes[256];
	size_t len = krpc_encode_query(bytes, sizeof(bytes), &q);
	struct addr to = sim_net_addr(
		net, (uint32_t)rng_below(&net->rng, net->cfg.n_model));

	sim_net_send(net, self->host, &to, bytes, len);
}

static void on_answer(struct sim_net *net, struct sim_actor *self,
		      const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct krpc_msg m;

	n_answers += krpc_decode(&m, bytes, len) == 0;
	ask_again(net, self);
}

static void asker_free(struct sim_net *net, struct sim_actor *self)
{
	mem_free(self);
}

static void speed(void)
{
	const struct sim_net_cfg cfg = {
		.seed = 1,
		.link = {.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1},
		.n_model = 1000000};
	struct sim_net net;
	uint64_t begun_us;
	double s;

	sim_net_init(&net, &cfg);
	for (int i = 0; i < 20000; i++) {
		struct sim_actor *asker = sim_alloc(1, sizeof(*asker));

		*asker = (struct sim_actor){.receive = on_answer,
					    .wake = ask_again,
					    .free = asker_free};
		sim_net_add(&net, asker, 0);
		sim_net_wake_at(&net, asker, (uint64_t)i);
	}
	begun_us = clock_mono_us();
	sim_net_run(&net, 4000000);
	s = (double)(clock_mono_us() - begun_us) / 1e6;
	printf("speed: %.1f M datagrams among 1020000 hosts, each encoded, "
	       "queued, delivered and decoded, in %.1f s: %.2f M/s; trace "
	       "%016llx\n",
	       (double)net.counts.delivered / 1e6, s,
	       (double)net.counts.delivered / 1e6 / s,
	       (unsigned long long)net.trace);
	sim_net_fini(&net);
}

static void asked(uint32_t n, uint64_t seed)
{
	const struct sim_asked cfg = {
		.seed = seed, .n_strangers = n, .seconds = 60};
	struct sim_asked_figures out;
	double s;

	sim_asked_run(&cfg, &out);
	s = (double)out.wall_us / 1e6;
	printf("asked: a real node answered %.2f M of %.2f M queries of %u "
	       "hosts; %.2f M messages in %.1f s: %.2f M/s, %.2f M for each "
	       "second of the processor; seed %llu, trace %016llx\n",
	       (double)out.n_answered / 1e6, (double)out.n_asked / 1e6, n,
	       (double)out.n_messages / 1e6, s,
	       (double)out.n_messages / 1e6 / s,
	       (double)out.n_messages / (double)out.cpu_us,
	       (unsigned long long)seed, (unsigned long long)out.trace);
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
	uint32_t k = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 200;
	uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;

	if (argc > 1 && strcmp(argv[1], "large") == 0)
		large(n, k, seed, false, false);
	else if (argc > 1 && strcmp(argv[1], "fresh") == 0)
		large(n, k, seed, false, true);
	else if (argc > 1 && strcmp(argv[1], "real") == 0)
		large(n, k, seed, true, false);
	else if (argc > 1 && strcmp(argv[1], "young") == 0)
		young(n, k, seed);
	else if (argc > 1 && strcmp(argv[1], "asked") == 0)
		asked(n, seed);
	else if (argc > 1 && strcmp(argv[1], "speed") == 0)
		speed();
	else if (argc > 1 && strcmp(argv[1], "crowd") == 0)
		crowds(n, seed);
	else
		return 2;
	return 0;
}
