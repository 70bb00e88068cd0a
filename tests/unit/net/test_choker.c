/* The choker, over synthetic peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "net/choker.h"

enum { N = 20, SLOTS = 5 };

static void make_peers(struct choke_peer *p)
{
	memset(p, 0, N * sizeof(*p));
	for (uint32_t i = 0; i < N; i++) {
		p[i].id = i;
		p[i].is_interested = true;
		p[i].given_Bps = i * 1000;
		p[i].age_us = 2 * CHOKER_NEW_US;
	}
}

static unsigned n_unchoked(const struct choke_peer *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += p[i].unchoke;
	return n;
}

static const struct choke_peer *find(const struct choke_peer *p, uint32_t id)
{
	while (p->id != id)
		p++;
	return p;
}

/* Takes the decision over, as the owner does after a round. */
static void apply(struct choke_peer *p, uint64_t now)
{
	for (unsigned i = 0; i < N; i++) {
		if (p[i].unchoke && !p[i].is_unchoked) {
			p[i].unchoked_us = now;
			p[i].turn_bytes = 0;
		}
		p[i].is_unchoked = p[i].unchoke;
	}
}

/* The best givers have the regular slots; one slot is somebody else's. */
static void best_givers_win(void **state)
{
	struct choke_peer p[N];
	struct choker c;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	choker_init(&c, SLOTS);
	make_peers(p);
	choker_round(&c, p, N, false, &rng);
	assert_int_equal(n_unchoked(p), SLOTS);
	for (uint32_t id = N - 4; id < N; id++)
		assert_true(find(p, id)->unchoke);
}

/* Who is not interested gets no slot. */
static void only_the_interested(void **state)
{
	struct choke_peer p[N];
	struct choker c;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 1);
	choker_init(&c, SLOTS);
	make_peers(p);
	for (unsigned i = 2; i < N; i++)
		p[i].is_interested = false;
	choker_round(&c, p, N, false, &rng);
	assert_int_equal(n_unchoked(p), 2);
}

/* The optimistic slot stays for three rounds, and in time everyone had it. */
static void optimism_goes_round(void **state)
{
	bool had[N] = {false};
	struct choke_peer p[N];
	struct choker c;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 7);
	choker_init(&c, SLOTS);
	make_peers(p);
	for (unsigned round = 0; round < 600; round++) {
		uint32_t last = N;

		for (unsigned i = 0; i < N; i++) {
			if (p[i].is_optimistic)
				last = p[i].id;
		}
		choker_round(&c, p, N, false, &rng);
		assert_int_equal(n_unchoked(p), SLOTS);
		for (unsigned i = 0; i < N; i++) {
			if (!p[i].is_optimistic)
				continue;
			had[p[i].id] = true;
			assert_true(round % 3 == 0 || p[i].id == last);
		}
		apply(p, round);
	}
	for (unsigned i = 0; i < N - 4; i++)
		assert_true(had[i]);
}

/* A seed serves everybody in turn, about equally. */
static void seed_goes_round(void **state)
{
	uint64_t got[N] = {0};
	struct choke_peer p[N];
	struct choker c;
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3);
	choker_init(&c, SLOTS);
	make_peers(p);
	for (unsigned round = 0; round < 400; round++) {
		choker_round(&c, p, N, true, &rng);
		apply(p, round + 1);
		for (unsigned i = 0; i < N; i++) {
			if (!p[i].is_unchoked)
				continue;
			p[i].turn_bytes += 2 << 20;
			got[p[i].id] += 2 << 20;
		}
	}
	for (unsigned i = 0; i < N; i++)
		assert_in_range(got[i], 60u << 20, 400u << 20);
}

/* A free slot is given at once and nobody loses one between rounds. */
static void fill_gives_free_slots(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	choker_init(&c, SLOTS);
	make_peers(p);
	p[9].is_unchoked = true;
	choker_fill(&c, p, N);
	assert_int_equal(n_unchoked(p), SLOTS);
	assert_true(p[9].unchoke);
}

/* As a seed, a slot whose holder takes nothing for a round goes to somebody
 * else, and one whose turn lasts too long as well. */
static void idle_turn_ends(void **state)
{
	static const struct {
		uint64_t bytes, us;
		bool keeps;
	} cases[] = {
		{0, CHOKER_PERIOD_US / 2, true},
		{0, CHOKER_PERIOD_US, false},
		{16384, CHOKER_PERIOD_US, true},
		{16384, CHOKER_TURN_US, false},
		{CHOKER_QUANTUM_BYTES, 1, false},
	};
	struct choke_peer p[N];
	struct choker c;
	struct rng rng;

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		unsigned n_kept = 0;

		rng_seed(&rng, 5);
		choker_init(&c, SLOTS);
		c.round = 1; /* not one in which optimistic slots are drawn */
		make_peers(p);
		for (unsigned i = 0; i < SLOTS - 1; i++) {
			p[i].is_unchoked = true;
			p[i].unchoked_us = 1000;
			p[i].turn_bytes = cases[k].bytes;
			p[i].turn_us = cases[k].us;
		}
		choker_round(&c, p, N, true, &rng);
		for (uint32_t i = 0; i < SLOTS - 1; i++)
			n_kept += find(p, i)->unchoke;
		if (cases[k].keeps)
			assert_int_equal(n_kept, SLOTS - 1);
		else
			assert_true(n_kept <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_givers_win),
		cmocka_unit_test(only_the_interested),
		cmocka_unit_test(optimism_goes_round),
		cmocka_unit_test(seed_goes_round),
		cmocka_unit_test(fill_gives_free_slots),
		cmocka_unit_test(idle_turn_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
