/* The choker, over synthetic peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/choker.h"

enum { N = 20, SLOTS = 10, REGULAR = 8 };

/* ---- fixture ---- */

static void make_choker(struct choker *c)
{
	choker_init(c);
	c->slots = SLOTS;
}

/* Peer i came i minutes after the first and gives i kB/s. */
static void make_peers(struct choke_peer *p)
{
	memset(p, 0, N * sizeof(*p));
	for (uint32_t i = 0; i < N; i++) {
		p[i].id = i;
		p[i].net = i;
		p[i].is_interested = true;
		p[i].given_Bps = i * 1000;
		p[i].age_us = (N - i) * UINT64_C(60000000);
		p[i].have_permille = 500;
	}
}

static void make_idle_peers(struct choke_peer *p)
{
	make_peers(p);
	for (uint32_t i = 0; i < N; i++)
		p[i].given_Bps = 0;
}

/* ---- helpers ---- */

static unsigned n_unchoked(const struct choke_peer *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += p[i].unchoke;
	return n;
}

static struct choke_peer *find(struct choke_peer *p, uint32_t id)
{
	while (p->id != id)
		p++;
	return p;
}

/* Takes the decision over, as the owner does after a round. */
static void apply(struct choke_peer *p, uint64_t now_us)
{
	for (unsigned i = 0; i < N; i++) {
		if (p[i].unchoke && !p[i].is_unchoked) {
			p[i].unchoked_us = now_us;
			p[i].turn_bytes = 0;
		}
		p[i].is_unchoked = p[i].unchoke;
		p[i].turn_us = now_us - p[i].unchoked_us;
	}
}

/* ---- earned ---- */

/* The best givers have the regular slots, in proportion to what they gave, and
 * four fifths of the bytes; two slots are somebody else's. */
static void best_givers_win(void **state)
{
	struct choke_peer p[N];
	struct choker c;
	uint32_t sum = 0;

	(void)state;
	make_choker(&c);
	make_peers(p);
	choker_round(&c, p, N, false);
	assert_int_equal(n_unchoked(p), SLOTS);
	for (uint32_t id = N - REGULAR; id < N; id++) {
		assert_true(find(p, id)->unchoke);
		assert_false(find(p, id)->is_optimistic);
		sum += find(p, id)->weight;
	}
	assert_in_range(sum, CHOKER_WEIGHT_SUM * 79 / 100,
			CHOKER_WEIGHT_SUM * 80 / 100);
	assert_in_range(find(p, 18)->weight * 12 / 18, find(p, 12)->weight - 2,
			find(p, 12)->weight + 2);
}

/* Who is not interested gets no slot. */
static void only_the_interested(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	for (int is_seed = 0; is_seed < 2; is_seed++) {
		make_choker(&c);
		make_peers(p);
		for (unsigned i = 2; i < N; i++)
			p[i].is_interested = false;
		choker_round(&c, p, N, is_seed);
		assert_int_equal(n_unchoked(p), 2);
	}
}

/* Who takes and gives nothing has no regular slot, though one is free. */
static void snubs_lose(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_idle_peers(p);
	for (uint32_t i = 0; i < N; i++) {
		p[i].unpaid_us = CHOKER_SNUB_US;
		p[i].tries = CHOKER_NEW_ROUNDS;
	}
	p[7].unpaid_us = CHOKER_SNUB_US - 1;
	choker_round(&c, p, N, false);
	for (uint32_t i = 0; i < N; i++)
		if (p[i].unchoke)
			assert_int_equal(p[i].is_optimistic, p[i].id != 7);
	assert_true(find(p, 7)->unchoke);
	assert_int_equal(n_unchoked(p), SLOTS);
}

/* ---- discovery ---- */

/* Without anybody who gives, all slots go round, and everyone has his turn. */
static void chance_goes_round(void **state)
{
	bool had[N] = {false};
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	for (unsigned round = 0; round < 8; round++) {
		choker_round(&c, p, N, false);
		assert_int_equal(n_unchoked(p), SLOTS);
		for (unsigned i = 0; i < N; i++)
			had[p[i].id] |= p[i].unchoke;
		apply(p, (round + 1) * (uint64_t)CHOKER_PERIOD_US);
	}
	for (unsigned i = 0; i < N; i++)
		assert_true(had[i]);
}

/* The newest that was never tried comes first, and has one round. */
static void newest_first(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	find(p, 3)->age_us = 5;
	find(p, 5)->age_us = 6;
	for (unsigned round = 0; round < 2; round++) {
		choker_round(&c, p, N, false);
		assert_int_equal(find(p, 3)->is_optimistic, round == 0);
		assert_int_equal(find(p, 5)->is_optimistic, round == 0);
		apply(p, (round + 1) * (uint64_t)CHOKER_PERIOD_US);
	}
}

/* Those who came in the same minute are equal, and luck decides. */
static void luck_decides(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	for (uint32_t i = 0; i < 10; i++)
		find(p, i)->age_us = 5 + i;
	find(p, 8)->luck = 7;
	find(p, 6)->luck = 9;
	choker_round(&c, p, N, false);
	assert_true(find(p, 8)->is_optimistic);
	assert_true(find(p, 6)->is_optimistic);
}

/* Of one network one at a time, unless nobody else waits. */
static void one_of_a_net(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	find(p, 3)->age_us = 5;
	find(p, 5)->age_us = 6;
	find(p, 5)->net = 3;
	choker_round(&c, p, N, false);
	assert_true(find(p, 3)->is_optimistic);
	assert_false(find(p, 5)->is_optimistic);
	make_peers(p);
	for (uint32_t i = 0; i < N; i++)
		p[i].net = 1;
	choker_round(&c, p, N, false);
	assert_int_equal(n_unchoked(p), SLOTS);
}

/* Who answered is ranked, and makes room for the next. */
static void answer_promotes(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	find(p, 3)->age_us = 5;
	choker_round(&c, p, N, false);
	assert_true(find(p, 3)->is_optimistic);
	apply(p, CHOKER_PERIOD_US);
	find(p, 3)->given_Bps = 50000;
	choker_round(&c, p, N, false);
	assert_true(find(p, 3)->unchoke);
	assert_false(find(p, 3)->is_optimistic);
	assert_int_equal(n_unchoked(p), SLOTS);
}

/* A peer in debt comes after those that are not, and gets less. */
static void debts_count(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	for (uint32_t i = 0; i < N; i++) {
		p[i].tries = CHOKER_NEW_ROUNDS;
		p[i].debt_bytes = 1 << 20;
		p[i].turn_us = UINT64_C(3600000000);
	}
	p[4].debt_bytes = 0;
	choker_round(&c, p, N, false);
	assert_true(find(p, 4)->is_optimistic);
	assert_int_equal(n_unchoked(p), SLOTS);
	for (uint32_t i = 0; i < N; i++)
		if (p[i].is_optimistic && p[i].id != 4)
			assert_in_range(p[i].weight, 1,
					find(p, 4)->weight / 16);
}

/* A debtor is not tried again soon while others take the bytes; when nobody
 * does, he may have them. */
static void debtors_wait(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	for (int has_givers = 0; has_givers < 2; has_givers++) {
		make_choker(&c);
		make_idle_peers(p);
		for (uint32_t i = 0; i < N; i++) {
			p[i].tries = CHOKER_NEW_ROUNDS;
			p[i].debt_bytes = 1 << 20;
			p[i].turn_us = CHOKER_PERIOD_US;
			if (has_givers && i < REGULAR)
				p[i].given_Bps = 1000;
		}
		choker_round(&c, p, N, false);
		assert_int_equal(n_unchoked(p), has_givers ? REGULAR : SLOTS);
	}
}

/* ---- in turn ---- */

/* A seed serves everybody in turn, about equally, and weighs all alike. */
static void seed_goes_round(void **state)
{
	uint64_t got[N] = {0};
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	for (unsigned round = 0; round < 400; round++) {
		choker_round(&c, p, N, true);
		assert_int_equal(n_unchoked(p), SLOTS);
		apply(p, (round + 1) * (uint64_t)CHOKER_PERIOD_US);
		for (unsigned i = 0; i < N; i++) {
			if (!p[i].is_unchoked)
				continue;
			assert_int_equal(p[i].weight,
					 CHOKER_WEIGHT_SUM / 5 / SLOTS);
			p[i].turn_bytes += 2 << 20;
			got[p[i].id] += 2 << 20;
		}
	}
	for (unsigned i = 0; i < N; i++)
		assert_in_range(got[i], 200u << 20, 800u << 20);
}

/* A seed keeps three slots in ten for those that have almost all. */
static void seed_likes_the_edge(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	for (uint32_t i = 0; i < N; i++)
		p[i].unchoked_us = 1000;
	for (uint32_t i = 12; i < N; i++) {
		p[i].have_permille = 900 + i;
		p[i].unchoked_us = 900000000; /* just now */
	}
	choker_round(&c, p, N, true);
	for (uint32_t i = 12; i < N; i++)
		assert_int_equal(find(p, i)->unchoke, i >= N - 3);
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

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		unsigned n_kept = 0;

		make_choker(&c);
		make_peers(p);
		for (unsigned i = 0; i < SLOTS; i++) {
			p[i].is_unchoked = true;
			p[i].unchoked_us = 1000;
			p[i].turn_bytes = cases[k].bytes;
			p[i].turn_us = cases[k].us;
		}
		choker_round(&c, p, N, true);
		for (uint32_t i = 0; i < SLOTS; i++)
			n_kept += find(p, i)->unchoke;
		assert_int_equal(n_kept, cases[k].keeps ? SLOTS : 0);
	}
}

/* ---- between rounds, and how many ---- */

/* A free slot is given at once and nobody loses one between rounds. */
static void fill_gives_free_slots(void **state)
{
	struct choke_peer p[N];
	struct choker c;

	(void)state;
	make_choker(&c);
	make_peers(p);
	p[9].is_unchoked = true;
	choker_fill(&c, p, N, false);
	assert_int_equal(n_unchoked(p), SLOTS);
	assert_true(find(p, 9)->unchoke);
	for (uint32_t i = 0; i < N; i++)
		assert_true(!p[i].unchoke || p[i].weight > 0);
}

/* Slots follow the upload's square root, within bounds; a limit is taken for
 * what can be uploaded. */
static void slots_follow_the_upload(void **state)
{
	static const struct {
		uint64_t up_Bps, limit_Bps;
		uint32_t slots;
	} cases[] = {
		{0, 0, CHOKER_SLOTS_FIRST},
		{10000, 0, CHOKER_SLOTS_MIN},
		{800000, 0, 10},
		{100000000, 0, CHOKER_SLOTS_MAX},
		{0, 800000, 10},
		{790000, 800000, 10},
	};
	struct choker c;

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		choker_init(&c);
		choker_size(&c, cases[k].up_Bps, cases[k].limit_Bps, false);
		assert_int_equal(c.slots, cases[k].slots);
	}
}

/* More slots are tried while somebody waits; they stay if they bring something,
 * and go if not. */
static void trials(void **state)
{
	struct choker c;
	uint32_t before, most;

	(void)state;
	choker_init(&c);
	for (unsigned i = 0; i < 40; i++) /* each slot brings 100 kB/s */
		choker_size(&c, c.slots * 100000, 0, true);
	assert_int_equal(c.slots, CHOKER_SLOTS_MAX);

	choker_init(&c);
	choker_size(&c, 800000, 0, false);
	before = most = c.slots;
	for (unsigned i = 0; i < 40; i++) { /* the line is full */
		choker_size(&c, 800000, 0, true);
		most = c.slots > most ? c.slots : most;
	}
	assert_in_range(most, before + 1, before + 2);
	choker_size(&c, 800000, 0, false);
	assert_in_range(c.slots, before - 1, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_givers_win),
		cmocka_unit_test(only_the_interested),
		cmocka_unit_test(snubs_lose),
		cmocka_unit_test(chance_goes_round),
		cmocka_unit_test(newest_first),
		cmocka_unit_test(luck_decides),
		cmocka_unit_test(one_of_a_net),
		cmocka_unit_test(answer_promotes),
		cmocka_unit_test(debts_count),
		cmocka_unit_test(debtors_wait),
		cmocka_unit_test(seed_goes_round),
		cmocka_unit_test(seed_likes_the_edge),
		cmocka_unit_test(idle_turn_ends),
		cmocka_unit_test(fill_gives_free_slots),
		cmocka_unit_test(slots_follow_the_upload),
		cmocka_unit_test(trials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
