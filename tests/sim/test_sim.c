/* The simulator's figures that must hold. All is virtual time and one seed a
 * test, so a figure is a number and no measurement. The invariants of picker
 * and connections are checked after each event of the first two tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/scenes.h"
#include "tests/sim/world.h"

enum { KIB = 1 << 10 };

static struct scene small(uint64_t seed)
{
	return (struct scene){
		.seed = seed,
		.policy = &policy_ours,
		.odd = &policy_ours,
		.n_peers = 30,
		.n_pieces = 192,
		.piece_bytes = 128 * KIB,
		.seed_Bps = 512 * KIB,
		.knows_limit = true,
	};
}

static void print_figure(const char *what, double got, double most)
{
	print_message("  %s: %.3f (at most %.3f)\n", what, got, most);
}

static void assert_at_most(const char *what, double got, double most)
{
	print_figure(what, got, most);
	assert_true(got > 0);
	assert_true(got <= most);
}

/* A seed is a run: twice the same events, and another seed is another run. */
static void seed_is_a_run(void **state)
{
	struct scene s = small(1);
	struct figures a, b, c;

	(void)state;
	s.n_peers = 12;
	s.n_pieces = 24;
	s.has_checks = true;
	a = scene_complete(&s);
	b = scene_complete(&s);
	s.seed = 2;
	c = scene_complete(&s);
	assert_true(a.n_events > 1000);
	assert_true(a.hash == b.hash && a.n_events == b.n_events);
	assert_true(a.hash != c.hash);
}

/* Rivals keep the rules, too: the checks are not ours alone. */
static void rules_hold_for_all(void **state)
{
	const struct sim_policy *odd[] = {&policy_tyrant, &policy_classic,
					  &policy_libtorrent,
					  &policy_ours_flat};
	struct scene s = small(3);

	(void)state;
	s.n_peers = 8;
	s.n_odd = 4;
	s.has_checks = true;
	s.is_mixed = true;
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		s.odd = odd[i];
		assert_true(scene_odd(&s, 4, 20).odd_Bps > 0);
	}
}

/* A swarm is done in the time that no swarm can beat, and a tenth. */
static void completes_in_time(void **state)
{
	struct scene s = small(1);
	struct figures f = scene_complete(&s);

	(void)state;
	assert_at_most("mean completion / bound", f.mean_s / f.bound_s, 1.10);
	assert_at_most("last completion / bound", f.last_s / f.bound_s, 1.15);
	assert_at_most("wasted", f.waste, 0.01);
}

/* Who gives nothing has a quarter of what the others have, at most, and a first
 * block at once. */
static void free_riders_are_slow(void **state)
{
	struct scene s = small(1);
	struct figures f;

	(void)state;
	s.odd = &policy_freerider;
	s.n_peers = 24;
	s.n_odd = 6;
	s.n_pieces = 1024;
	s.is_mixed = true;
	f = scene_odd(&s, 40, 280);
	assert_at_most("free-riders' part", f.odd_Bps / f.peer_Bps, 0.25);
	assert_at_most("their first block s", f.first_max_s, 15);
}

/* Who comes to a running swarm has half of the others' rate soon. */
static void newcomers_catch_up(void **state)
{
	struct scene s = small(1);
	struct figures f;

	(void)state;
	s.n_odd = 6;
	s.n_pieces = 320;
	f = scene_newcomers(&s, 60, 130);
	assert_at_most("s to half the rate, slowest", f.half_max_s, 40);
}

/* Viewers at places of their own: little is fetched that nobody reads, and none
 * is left behind. */
static void viewers_at_many_places(void **state)
{
	struct scene s = small(1);
	struct figures f;

	(void)state;
	s.n_peers = 12;
	s.n_pieces = 480;
	s.piece_bytes = 64 << 10;
	s.bitrate_Bps = 256 << 10;
	s.seed_Bps = 8 * s.bitrate_Bps;
	s.places = 12;
	f = scene_viewers(&s, 3);
	assert_at_most("fetched beyond what they read", f.over, 0.10);
	assert_at_most("the last behind the mean", 1 - f.least_played, 0.25);
}

/* A strategist gains nothing by it. */
static void strategy_gains_nothing(void **state)
{
	struct scene s = small(1);
	double honest, tyrant;

	(void)state;
	s.n_odd = 4;
	s.n_pieces = 1024;
	s.is_mixed = true;
	s.odd = &policy_ours;
	honest = scene_odd(&s, 40, 120).odd_Bps;
	s.odd = &policy_tyrant;
	tyrant = scene_odd(&s, 40, 120).odd_Bps;
	assert_at_most("strategists' gain", tyrant / honest, 1.05);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seed_is_a_run),
		cmocka_unit_test(rules_hold_for_all),
		cmocka_unit_test(completes_in_time),
		cmocka_unit_test(free_riders_are_slow),
		cmocka_unit_test(newcomers_catch_up),
		cmocka_unit_test(viewers_at_many_places),
		cmocka_unit_test(strategy_gains_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
