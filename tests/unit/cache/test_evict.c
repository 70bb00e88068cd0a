/* test_evict — what goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/evict.h"

enum { ITEM = 1 << 20, ROOM = 200, N = 1000 };

struct fix {
	struct evict e;
	struct evict_item it[N];
	unsigned n;
};

static struct fix fix;

static int set_up(void **state)
{
	fix = (struct fix){.n = 0};
	*state = &fix;
	return evict_init(&fix.e, (uint64_t)ROOM * ITEM);
}

static int tear_down(void **state)
{
	evict_fini(&fix.e);
	return 0;
}

/* ---- Helpers ---- */

/* Somebody comes for item `i`; it is kept from then on. */
static void use(struct fix *f, uint32_t i)
{
	struct evict_item *it = &f->it[i];

	it->key = i;
	it->bytes = ITEM;
	evict_use(&f->e, it);
	if (it->part != EVICT_OUT)
		return;
	evict_add(&f->e, it);
	f->n++;
	while (f->n > ROOM) {
		evict_del(&f->e, evict_pick(&f->e));
		f->n--;
	}
}

static bool is_in(const struct fix *f, uint32_t i)
{
	return f->it[i].part != EVICT_OUT;
}

/* ---- Tests ---- */

/* What was used again and again outlives any number of things that are used
 * once. */
static void scans_harm_nobody(void **state)
{
	struct fix *f = *state;

	for (unsigned round = 0; round < 4; round++)
		for (uint32_t i = 0; i < 100; i++)
			use(f, i);
	for (uint32_t i = 100; i < N; i++)
		use(f, i);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(is_in(f, i));
	assert_int_equal(f->n, ROOM);
}

/* And yields, in the end, to what is used now. */
static void old_fame_fades(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;

	for (unsigned round = 0; round < 4; round++)
		for (uint32_t i = 0; i < ROOM; i++)
			use(f, i);
	for (unsigned round = 0; round < 60; round++)
		for (uint32_t i = 500; i < 500 + ROOM / 2; i++)
			use(f, i);
	for (uint32_t i = 500; i < 500 + ROOM / 2; i++)
		n += is_in(f, i);
	assert_true(n > ROOM / 3);
}

/* Of things used once each, ends of files go later than their middles. */
static void ends_are_worth_more(void **state)
{
	struct fix *f = *state;
	unsigned n_ends = 0;

	for (uint32_t i = 0; i < ROOM; i++)
		use(f, i);
	for (uint32_t i = ROOM; i < ROOM + 100; i++) {
		f->it[i].is_end = true;
		use(f, i);
	}
	for (uint32_t i = ROOM; i < ROOM + 100; i++)
		n_ends += is_in(f, i);
	assert_true(n_ends > 90);
}

/* What is spared is not picked again before all others of its part were, and
 * nobody is overlooked for it. */
static void spared_ones_wait(void **state)
{
	struct fix *f = *state;
	bool was_picked[N] = {false};
	unsigned n_picked = 0;

	for (uint32_t i = 0; i < ROOM; i++)
		use(f, i);
	for (unsigned n = 0; n < EVICT_PROTECTED * ROOM; n++) {
		struct evict_item *it = evict_pick(&f->e);

		was_picked[it->key] = true;
		evict_spare(&f->e, it);
	}
	for (uint32_t i = 0; i < ROOM; i++)
		n_picked += was_picked[i];
	assert_true(n_picked >= ROOM - ROOM / 100); /* all but the window */
}

/* Sums are right whatever comes, goes and grows. */
static void sums_are_right(void **state)
{
	struct fix *f = *state;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < N; i++) {
		use(f, i * 7 % N);
		if (is_in(f, i))
			evict_resize(&f->e, &f->it[i], i + 1);
		if (is_in(f, N - 1 - i) && i % 3 == 0) {
			evict_del(&f->e, &f->it[N - 1 - i]);
			f->n--;
		}
	}
	for (uint32_t i = 0; i < N; i++)
		sum += is_in(f, i) ? f->it[i].bytes : 0;
	assert_int_equal(f->e.bytes[EVICT_WINDOW] +
				 f->e.bytes[EVICT_PROBATION] +
				 f->e.bytes[EVICT_PROTECTED],
			 sum);
	assert_int_equal(f->e.n, f->n);
	while (evict_pick(&f->e) != NULL)
		evict_del(&f->e, evict_pick(&f->e));
	assert_int_equal(f->e.n, 0);
}

static uint64_t due_of[N];

static uint64_t due(const struct evict_item *it)
{
	return due_of[it->key];
}

/* Of few items, too, whatever part they are in: what nobody will read is found,
 * and what is read last. */
static void wanted_ones_stay(void **state)
{
	struct fix *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		use(f, i);
	for (uint32_t free = 0; free < 3; free++) {
		for (uint32_t i = 0; i < 3; i++)
			due_of[i] = i == free ? UINT64_MAX : 10 + i;
		assert_ptr_equal(evict_pick_unwanted(&f->e, due), &f->it[free]);
	}
	due_of[2] = 0;
	assert_null(evict_pick_unwanted(&f->e, due));
	assert_ptr_equal(evict_pick_later(&f->e, due, 10), &f->it[1]);
	assert_null(evict_pick_later(&f->e, due, 11));
}

/* Reads that follow each other are one visit; what is gone is forgotten. */
static void visits_count_once(void **state)
{
	struct fix *f = *state;

	use(f, 0);
	for (unsigned i = 0; i < 100; i++)
		evict_visit(&f->e, &f->it[0]);
	assert_int_equal(f->e.n_counted, 2);
	evict_forget(&f->e, &f->it[0], sizeof(f->it[0]));
	evict_visit(&f->e, &f->it[0]);
	assert_int_equal(f->e.n_counted, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scans_harm_nobody, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(old_fame_fades, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(ends_are_worth_more, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(spared_ones_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(sums_are_right, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(wanted_ones_stay, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(visits_count_once, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
