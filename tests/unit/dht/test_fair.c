/* Unit tests of dht/fair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rng.h"
#include "dht/fair.h"

struct thing {
	struct fair_entry entry;
	struct addr a;
	uint64_t touched;
};

enum { N_THINGS = 400 };

struct fixture {
	struct fair fair;
	struct thing things[N_THINGS];
};

static struct fixture fx;

static struct addr host(uint8_t net, uint8_t last)
{
	uint8_t compact[ADDR_COMPACT4] = {10, 0, net, last, 0, 1};
	struct addr a;

	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	return a;
}

static void add(struct thing *t, struct addr a, uint64_t now)
{
	t->a = a;
	t->touched = now;
	assert_int_equal(fair_add(&fx.fair, &a, &t->entry), 0);
}

/* The victim is the oldest of who has most; a touch makes it young. */
static void who_has_most_gives(void **state)
{
	struct thing *t = fx.things;
	struct addr nobody = host(9, 9), b = host(2, 9);

	(void)state;
	fair_init(&fx.fair);
	assert_null(fair_victim(&fx.fair, 1));
	assert_null(fair_oldest(&fx.fair, &nobody, 0));
	add(&t[0], host(1, 1), 0);
	add(&t[1], host(2, 1), 1);
	add(&t[2], host(2, 2), 2);
	assert_ptr_equal(fair_victim(&fx.fair, 1), &t[1].entry);
	assert_null(fair_victim(&fx.fair, 3));
	fair_touch(&t[1].entry);
	assert_ptr_equal(fair_victim(&fx.fair, 2), &t[2].entry);
	assert_ptr_equal(fair_oldest(&fx.fair, &b, 2), &t[2].entry);
	assert_null(fair_oldest(&fx.fair, &b, 3));
	assert_null(fair_source_of(&fx.fair, &nobody));
	assert_int_equal(fair_move(&fx.fair, &nobody, &t[1].entry), 0);
	assert_int_equal(fair_weight(t[1].entry.source), 1);
	fair_check(&fx.fair);
	for (int i = 0; i < 3; i++)
		fair_del(&fx.fair, &t[i].entry);
	fair_fini(&fx.fair);
}

/* A /48 of IPv6 is one source, as a /24 of IPv4 is. */
static void networks(void **state)
{
	static const struct {
		const char *a, *b;
		bool is_one;
	} rows[] = {
		{"10.0.1.1:1", "10.0.1.255:2", true},
		{"10.0.1.1:1", "10.0.2.1:1", false},
		{"[2001:db8:1::1]:1", "[2001:db8:1:ffff::2]:2", true},
		{"[2001:db8:1::1]:1", "[2001:db8:2::1]:1", false},
		{"[::1]:1", "0.0.0.1:1", false},
	};
	struct addr a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fair_init(&fx.fair);
		assert_int_equal(addr_parse(&a, rows[i].a), 0);
		assert_int_equal(addr_parse(&b, rows[i].b), 0);
		add(&fx.things[0], a, 0);
		assert_int_equal(fair_source_of(&fx.fair, &b) != NULL,
				 rows[i].is_one);
		fair_del(&fx.fair, &fx.things[0].entry);
		fair_fini(&fx.fair);
	}
}

/* Whatever is done, the victim is what a look at everything says. */
static void as_the_model_says(void **state)
{
	struct rng rng = {.state = 1};
	bool is_in[N_THINGS] = {false};

	(void)state;
	fair_init(&fx.fair);
	for (uint64_t now = 1; now < 4000; now++) {
		size_t i = rng_below(&rng, N_THINGS);
		struct thing *t = &fx.things[i], *oldest = NULL;
		uint32_t n_of[16] = {0}, most = 0;
		struct fair_entry *victim;

		if (!is_in[i])
			add(t, host((uint8_t)rng_below(&rng, 16), 1), now);
		else if (rng_below(&rng, 2) == 0)
			fair_del(&fx.fair, &t->entry);
		else
			fair_touch(&t->entry);
		is_in[i] = t->entry.source != NULL;
		t->touched = now;
		for (i = 0; i < N_THINGS; i++)
			if (is_in[i]) {
				uint32_t n =
					++n_of[ntohl(fx.things[i]
							     .a.in4.sin_addr
							     .s_addr) >>
						       8 &
					       15];

				most = n > most ? n : most;
			}
		victim = fair_victim(&fx.fair, 1);
		if (victim == NULL) {
			assert_int_equal(most, 0);
			continue;
		}
		assert_int_equal(fair_weight(victim->source), most);
		for (i = 0; i < N_THINGS; i++)
			if (is_in[i] &&
			    fx.things[i].entry.source == victim->source &&
			    (oldest == NULL ||
			     fx.things[i].touched < oldest->touched))
				oldest = &fx.things[i];
		assert_ptr_equal(victim, &oldest->entry);
		if (now % 100 == 0)
			fair_check(&fx.fair);
	}
	for (size_t i = 0; i < N_THINGS; i++)
		if (is_in[i])
			fair_del(&fx.fair, &fx.things[i].entry);
	fair_fini(&fx.fair);
}

/* Without memory nothing changes. */
static void without_memory(void **state)
{
	struct addr a = host(1, 1), b = host(2, 1);

	(void)state;
	fair_init(&fx.fair);
	for (uint64_t n = 0; n < 3; n++) {
		mem_fail_after(n, 1);
		assert_int_equal(fair_add(&fx.fair, &a, &fx.things[0].entry),
				 ENOMEM);
		mem_fail_after(UINT64_MAX, 0);
		fair_check(&fx.fair);
		assert_int_equal(fx.fair.n, 0);
	}
	add(&fx.things[0], a, 0);
	mem_fail_after(0, 1);
	assert_int_equal(fair_move(&fx.fair, &b, &fx.things[0].entry), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_ptr_equal(fair_oldest(&fx.fair, &a, 1), &fx.things[0].entry);
	fair_del(&fx.fair, &fx.things[0].entry);
	fair_fini(&fx.fair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_most_gives),
		cmocka_unit_test(networks),
		cmocka_unit_test(as_the_model_says),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
