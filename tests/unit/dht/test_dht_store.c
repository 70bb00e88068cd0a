/* Unit tests of the end of an announce: that it reaches those who should have
 * it, whatever is lost or goes away on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dht/dht_world.h"

static struct world w;

/* ---- fixture ---- */

static int set_up(void **state)
{
	(void)state;
	world_init(&w, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < w.n; i++)
		if (w.nodes[i].node)
			dht_node_check(w.nodes[i].node);
	world_fini(&w);
	return 0;
}

/* ---- helpers ---- */

static void start(struct watch *t, struct world_node *wn, struct dht_id target)
{
	const struct dht_search_cfg cfg = {
		.ask = DHT_ASK_PEERS,
		.target = target,
		.announce_port = 7777,
	};

	watch_start(t, wn, &cfg);
}

static void run_until_storing(struct watch *t)
{
	uint64_t until_us = w.now_us + 60000000;

	while (t->search->state != SEARCH_STORING)
		assert_true(world_step(&w, until_us));
}

static const struct dht_id *id_of(const struct world_node *wn)
{
	return &wn->node->half[DHT_IPV4].routing.self;
}

static bool has_it(const struct world_node *wn)
{
	struct dht_stats st;

	dht_node_stats(wn->node, &st);
	return st.stored_peers > 0;
}

/* Of all that are alive but `self`, in the order of their distance. */
static uint32_t by_distance(const struct world_node *self,
			    const struct dht_id *target,
			    struct world_node **out, uint32_t most)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w.n; i++) {
		struct world_node *wn = &w.nodes[i];
		uint32_t at;

		if (!wn->node || wn == self)
			continue;
		at = n < most ? n++ : most;
		while (at > 0 &&
		       nodeid_closer(target, id_of(wn), id_of(out[at - 1]))) {
			if (at < most)
				out[at] = out[at - 1];
			at--;
		}
		if (at < most)
			out[at] = wn;
	}
	return n;
}

static uint32_t count_taken(struct world_node **nodes, uint32_t n)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < n; i++)
		taken += has_it(nodes[i]);
	return taken;
}

/* ---- tests ---- */

/* A fifth of all datagrams is lost: each announce is taken by eight nodes, and
 * nobody who should have it is without for a lost datagram. */
static void survives_loss(void **state)
{
	struct world_node *closest[DHT_NODES_TOLD];
	uint32_t n_right = 0;

	(void)state;
	world_grow(&w, 60, NULL);
	w.loss_percent = 20;
	for (uint32_t i = 0; i < 20; i++) {
		struct dht_id target = world_target(&w);
		struct watch t = {0};

		for (uint32_t k = 0; k < w.n; k++) {
			peerstore_fini(&w.nodes[k].node->peers);
			peerstore_init(&w.nodes[k].node->peers, 0);
		}
		start(&t, &w.nodes[i], target);
		watch_run(&t, 60000000);
		assert_true(t.outcome.n_stored >= DHT_NODES_TOLD);
		assert_false(t.outcome.is_thin);
		assert_int_equal(by_distance(&w.nodes[i], &target, closest,
					     DHT_NODES_TOLD),
				 DHT_NODES_TOLD);
		n_right += count_taken(closest, DHT_NODES_TOLD);
	}
	/* One in 25 get_peers has no answer: those were not asked again. */
	assert_true(n_right >= 20 * DHT_NODES_TOLD * 5 / 10);
}

/* Three of the eight closest go away after they gave their tokens: the next
 * three get it in their place. */
static void gone_are_replaced(void **state)
{
	struct world_node *closest[16];
	struct dht_id target;
	struct watch t = {0};

	(void)state;
	world_grow(&w, 60, NULL);
	target = world_target(&w);
	start(&t, &w.nodes[30], target);
	run_until_storing(&t);
	(void)by_distance(&w.nodes[30], &target, closest, 16);
	for (uint32_t i = 0; i < 6; i += 2)
		world_kill(closest[i]);
	watch_run(&t, 60000000);
	assert_int_equal(t.outcome.why, DHT_END_DONE);
	assert_true(t.outcome.n_stored >= DHT_NODES_TOLD);
	assert_false(t.outcome.is_thin);
	(void)by_distance(&w.nodes[30], &target, closest, DHT_NODES_TOLD);
	assert_true(count_taken(closest, DHT_NODES_TOLD) >= 7);
}

/* Who does not heed BEP 42 looks at the closest of any kind: they get it,
 * whatever their ids, and so do as many as eight that BEP 42 allows. */
static void any_kind_of_id(void **state)
{
	struct world_node *closest[DHT_NODES_TOLD];
	struct dht_id target, id;
	struct watch t = {0};
	uint32_t n_fit = 0;

	(void)state;
	target = world_target(&w);
	for (uint32_t i = 0; i < 40; i++) {
		struct addr a = world_public(&w);
		struct dht_cfg cfg = {.external[DHT_IPV4] = &a};
		struct world_node *wn;

		/* Each third is near the target, and has no right to be. */
		id = world_target(&w);
		id.b[0] = target.b[0];
		if (i % 3 == 1)
			cfg.id[DHT_IPV4] = &id;
		wn = world_add(&w, &a, &cfg);
		dht_node_endpoint(wn->node, w.now_us, &w.nodes[0].a);
		world_rearm(wn);
		world_run(&w, 100000);
	}
	world_run(&w, 60000000);
	start(&t, &w.nodes[0], target);
	watch_run(&t, 60000000);
	(void)by_distance(&w.nodes[0], &target, closest, DHT_NODES_TOLD);
	assert_int_equal(count_taken(closest, DHT_NODES_TOLD), DHT_NODES_TOLD);
	for (uint32_t i = 0; i < w.n; i++)
		n_fit += has_it(&w.nodes[i]) &&
			 nodeid_fits(id_of(&w.nodes[i]), &w.nodes[i].a);
	assert_true(n_fit >= DHT_NODES_TOLD);
}

/* A deadline that comes before the closest have answered does not throw away
 * what was found: those known by then get it. */
static void cut_short(void **state)
{
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_PEERS,
		.announce_port = 7777,
		.deadline_us = 100000,
	};
	struct watch t = {0};

	(void)state;
	world_grow(&w, 60, NULL);
	cfg.target = world_target(&w);
	watch_start(&t, &w.nodes[30], &cfg);
	watch_run(&t, 20000000);
	assert_int_equal(t.outcome.why, DHT_END_DEADLINE);
	assert_true(t.outcome.n_stored > 0);
}

/* With fewer than eight nodes in the world an announce is thin, and says so. */
static void thin_network(void **state)
{
	struct watch t = {0};

	(void)state;
	world_grow(&w, 5, NULL);
	start(&t, &w.nodes[1], world_target(&w));
	watch_run(&t, 60000000);
	assert_int_equal(t.outcome.n_stored, 4);
	assert_true(t.outcome.is_thin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(survives_loss, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(gone_are_replaced, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(any_kind_of_id, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(cut_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thin_network, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
