/* test_dhtsim — networks of DHT nodes in one process and in virtual time: what
 * is stored is found, also among sybils and liars, over NATs, with nodes that
 * come and go and after a partition; and a seed is a run. The figures are exact
 * for a seed, so they are numbers and not measurements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/dht_scenes.h"

static const struct sim_link_cfg usual = {
	.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1, .loss = 0.01};

static void show(const char *what, uint64_t seed,
		 const struct sim_crowd_figures *f)
{
	print_message("%s: seed %llu, trace %016llx; found %u of %u; p50 %.0f "
		      "p99 %.0f ms; %.2f M datagrams, %llu checks\n",
		      what, (unsigned long long)seed,
		      (unsigned long long)f->trace, f->searches.n_found,
		      f->searches.n, f->searches.p50_ms, f->searches.p99_ms,
		      (double)f->counts.sent / 1e6,
		      (unsigned long long)f->n_checks);
}

/* Events come by time, and equal ones by age, whatever the order they were
 * added in. */
static void queue_is_in_order(void **state)
{
	struct sim_queue q = {0};
	struct sim_event ev = {0};
	struct rng rng = {.state = 7};
	uint64_t now = 0, before_at = 0;
	uint32_t before_ref = 0, ref = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		if (rng_below(&rng, 2) == 0) {
			sim_queue_add(
				&q, (struct sim_event){
					    .at_us = now + rng_below(&rng, 50),
					    .mail = ++ref});
			continue;
		}
		if (!sim_queue_take(&q, now + 20, &ev))
			continue;
		assert_true(ev.at_us >= before_at && ev.at_us < now + 20);
		assert_true(ev.at_us > before_at || ev.mail > before_ref);
		now = before_at = ev.at_us;
		before_ref = ev.mail;
	}
	sim_queue_fini(&q);
}

/* Nodes come and go, some behind NATs: whatever is stored is found, and each
 * announce is taken by the closest. The same seed is the same run. */
static void churn(void **state)
{
	struct sim_crowd cfg = {
		.seed = 11,
		.link = usual,
		.n_nodes = 300,
		.nat = 0.3,
		.session_s = 600,
		.join_s = 20,
		.settle_s = 60,
		.n_keys = 20,
		.n_searches = 100,
		.searches_s = 30,
		.check_every = 1,
	};
	struct sim_crowd_figures one, two;

	(void)state;
	sim_crowd_run(&cfg, &one);
	show("churn", cfg.seed, &one);
	assert_int_equal(one.searches.n_found, cfg.n_searches);
	assert_true(one.n_stored_least >= 5);
	sim_crowd_run(&cfg, &two);
	assert_true(one.trace == two.trace);
	assert_true(one.counts.sent == two.counts.sent);
	cfg.seed++;
	sim_crowd_run(&cfg, &two);
	assert_true(one.trace != two.trace);
	assert_int_equal(two.searches.n_found, cfg.n_searches);
}

/* A node with its limits answers many hosts that do not ask too much, all of
 * them; but for what is on its way at the end. */
static void asked(void **state)
{
	const struct sim_asked cfg = {
		.seed = 15, .n_strangers = 500, .seconds = 20};
	struct sim_asked_figures one, two;

	(void)state;
	sim_asked_run(&cfg, &one);
	print_message("asked: %llu answers\n",
		      (unsigned long long)one.n_answered);
	assert_true(one.n_answered > 10000);
	assert_in_range(one.n_asked, one.n_answered - cfg.n_strangers,
			one.n_answered + cfg.n_strangers);
	sim_asked_run(&cfg, &two);
	assert_true(one.trace == two.trace);
}

/* Two thousand sybils around a key, in four networks, against fifty honest
 * nodes: the peers are found, each table has no more of them than there are
 * networks; and a forged sender gets no more than three bytes for one, what he
 * is asked himself included. */
static void sybils(void **state)
{
	const struct sim_crowd cfg = {
		.seed = 12,
		.link = usual,
		.n_nodes = 45,
		.join_s = 10,
		.settle_s = 120,
		.n_keys = 5,
		.n_searches = 50,
		.searches_s = 30,
		.n_sybils = 2000,
		.n_sybil_nets = 4,
		.check_every = 1,
		.n_forged = 500,
	};
	struct sim_crowd_figures f;

	(void)state;
	sim_crowd_run(&cfg, &f);
	show("sybils", cfg.seed, &f);
	print_message(
		"  %u sybils in a table at most; for a forged byte %.2f of "
		"answers, %.2f of queries\n",
		f.sybils_most, f.forged_gain, f.forged_asked);
	assert_int_equal(f.searches.n_found, cfg.n_searches);
	assert_true(f.sybils_most <= cfg.n_sybil_nets);
	assert_true(f.forged_gain + f.forged_asked <= 3.0);
}

/* A third of the nodes lie, about ids, nodes or peers, and the network was cut
 * in two for a while: what is stored is found. */
static void liars(void **state)
{
	const struct sim_crowd cfg = {
		.seed = 13,
		.link = usual,
		.n_nodes = 150,
		.join_s = 10,
		.settle_s = 120,
		.n_keys = 10,
		.n_searches = 100,
		.searches_s = 30,
		.n_wrong_id = 25,
		.n_false = 25,
		.n_long = 25,
		.parted_s = 60,
		.check_every = 1,
	};
	struct sim_crowd_figures f;

	(void)state;
	sim_crowd_run(&cfg, &f);
	show("liars", cfg.seed, &f);
	assert_int_equal(f.searches.n_found, cfg.n_searches);
}

/* Ten thousand nodes and as many dead, one searcher in a hundred real: every
 * key is found, faster than libtorrent's policy finds it, with no more than 80
 * queries a search. */
static void half_are_dead(void **state)
{
	const struct sim_large cfg = {
		.seed = 14,
		.link = {.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1},
		.n_alive = 10000,
		.dead = 0.5,
		.n_searchers = 60,
		.n_later = 1,
		.n_keys = 16,
		.warm_s = 1800,
		.has_rivals = true,
	};
	struct sim_large_figures f;

	(void)state;
	sim_large_run(&cfg, &f);
	print_message("half are dead: seed %llu, trace %016llx; p50 %.0f p90 "
		      "%.0f p99 %.0f ms, %.0f queries; libtorrent-like %.0f "
		      "%.0f %.0f ms, %.0f queries\n",
		      (unsigned long long)cfg.seed, (unsigned long long)f.trace,
		      f.first.p50_ms, f.first.p90_ms, f.first.p99_ms,
		      f.first.asked, f.rivals[SIM_LIBTORRENT].p50_ms,
		      f.rivals[SIM_LIBTORRENT].p90_ms,
		      f.rivals[SIM_LIBTORRENT].p99_ms,
		      f.rivals[SIM_LIBTORRENT].asked);
	assert_int_equal(f.first.n_found, cfg.n_searchers);
	assert_int_equal(f.later.n_found, cfg.n_searchers * cfg.n_later);
	assert_int_equal(f.n_stored_least, 8);
	assert_true(f.first.asked <= 80);
	assert_true(f.first.p50_ms < f.rivals[SIM_LIBTORRENT].p50_ms);
	assert_true(2 * f.first.p99_ms < f.rivals[SIM_LIBTORRENT].p99_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_is_in_order),
		cmocka_unit_test(churn),
		cmocka_unit_test(asked),
		cmocka_unit_test(sybils),
		cmocka_unit_test(liars),
		cmocka_unit_test(half_are_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
