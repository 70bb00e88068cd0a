/* test_stamp — our own writes are no change, whatever order several of them end
 * in and whatever each of them saw; anybody else's is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/stamp.h"

static struct stamp at(int64_t ctime_ns, int64_t mtime_ns, uint64_t size_bytes)
{
	return (struct stamp){
		.size_bytes = size_bytes,
		.inode = 7,
		.mtime_ns = mtime_ns,
		.ctime_ns = ctime_ns,
	};
}

static enum look_end ends(struct glance *l, struct stamp after)
{
	l->after = after;
	l->has_after = true;
	return look_end(l);
}

static enum look_end reads(struct sight *s, struct stamp now)
{
	struct glance l;

	look_begin(&l, s, false);
	return ends(&l, now);
}

static void writes_alone(struct sight *s, struct stamp now)
{
	struct glance l;

	look_begin(&l, s, true);
	l.before = s->last;
	l.has_before = s->is_known;
	assert_int_equal(ends(&l, now), LOOK_SAME);
}

/* Two writes at a time, whose looks are as given, in the order they end in. */
static void writes_together(struct sight *s, struct stamp first,
			    struct stamp second)
{
	struct glance a, b;

	look_begin(&a, s, true);
	look_begin(&b, s, true);
	assert_int_equal(ends(&a, first), LOOK_SAME);
	assert_int_equal(ends(&b, second), LOOK_SAME);
}

static void a_change_of_somebody_else_is_seen_once(void **state)
{
	struct sight s = {0};

	(void)state;
	writes_alone(&s, at(10, 10, 100));
	assert_int_equal(reads(&s, at(10, 10, 100)), LOOK_SAME);
	assert_int_equal(reads(&s, at(11, 11, 100)), LOOK_CHANGED);
	assert_int_equal(reads(&s, at(11, 11, 100)), LOOK_SAME);
	assert_int_equal(reads(&s, at(11, 9, 100)), LOOK_CHANGED);
}

/* Of two reads at a time the first to end finds the change; what the other one
 * read may be from behind it, too: it is told, and the change is not found
 * twice. */
static void a_change_is_seen_by_all_who_read(void **state)
{
	struct sight s = {.last = at(10, 10, 100), .is_known = true};
	struct glance a, b;

	(void)state;
	look_begin(&a, &s, false);
	look_begin(&b, &s, false);
	assert_int_equal(ends(&a, at(11, 11, 100)), LOOK_CHANGED);
	assert_int_equal(ends(&b, at(11, 11, 100)), LOOK_LATE);
	assert_int_equal(reads(&s, at(11, 11, 100)), LOOK_SAME);
}

/* The same when a write of ours is the first to find it. */
static void a_change_that_a_write_finds_is_seen_by_readers(void **state)
{
	struct sight s = {0};
	struct glance r, w;

	(void)state;
	writes_alone(&s, at(10, 10, 100));
	look_begin(&r, &s, false);
	look_begin(&w, &s, true);
	w.before = at(11, 11, 100);
	w.has_before = true;
	assert_int_equal(ends(&w, at(12, 12, 100)), LOOK_CHANGED);
	assert_int_equal(ends(&r, at(12, 12, 100)), LOOK_LATE);
	assert_int_equal(reads(&s, at(12, 12, 100)), LOOK_SAME);
}

static void a_change_before_our_write_is_seen(void **state)
{
	struct sight s = {0};
	struct glance l;

	(void)state;
	writes_alone(&s, at(10, 10, 100));
	look_begin(&l, &s, true);
	l.before = at(11, 11, 100);
	l.has_before = true;
	assert_int_equal(ends(&l, at(12, 12, 100)), LOOK_CHANGED);
	assert_int_equal(reads(&s, at(12, 12, 100)), LOOK_SAME);
}

static void of_writes_together_the_newest_look_counts(void **state)
{
	const struct stamp newest = at(12, 12, 200);
	const struct stamp torn[] = {
		at(10, 10, 100), /* before the other began */
		at(12, 10, 100), /* one time new, the other old */
		at(12, 12, 100), /* the times, not yet the size */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
		struct sight s = {0};

		writes_alone(&s, at(5, 5, 100));
		writes_together(&s, torn[i], newest);
		assert_int_equal(reads(&s, newest), LOOK_SAME);
		writes_together(&s, at(13, 13, 200), torn[i]);
		assert_int_equal(reads(&s, at(13, 13, 200)), LOOK_SAME);
		s = (struct sight){0};
		writes_together(&s, newest, torn[i]);
		assert_int_equal(reads(&s, newest), LOOK_SAME);
	}
}

/* The one that began first may come to the blob last, or end last. */
static void a_write_that_another_overtakes_is_no_change(void **state)
{
	const struct stamp newest = at(12, 12, 100);
	struct sight s = {0};
	struct glance a, b;

	(void)state;
	for (unsigned is_last = 0; is_last < 2; is_last++) {
		s = (struct sight){0};
		writes_alone(&s, at(5, 5, 100));
		look_begin(&a, &s, true);
		look_begin(&b, &s, true);
		a.before = is_last ? at(5, 5, 100) : at(11, 11, 100);
		a.has_before = true;
		if (is_last)
			assert_int_equal(ends(&b, at(11, 11, 100)), LOOK_SAME);
		assert_int_equal(ends(&a, newest), LOOK_SAME);
		if (!is_last)
			assert_int_equal(ends(&b, at(11, 11, 100)), LOOK_SAME);
		assert_int_equal(reads(&s, newest), LOOK_SAME);
	}
}

static void while_we_write_nothing_is_told(void **state)
{
	struct sight s = {0};
	struct glance l;
	const struct stamp other = at(99, 99, 1);

	(void)state;
	writes_alone(&s, at(10, 10, 100));
	assert_false(seen_is_now(&s, &other));
	look_begin(&l, &s, true);
	assert_true(seen_is_now(&s, &other));
	assert_int_equal(reads(&s, other), LOOK_SAME);
	assert_int_equal(ends(&l, at(12, 12, 100)), LOOK_SAME);
	assert_int_equal(reads(&s, at(12, 12, 100)), LOOK_SAME);
}

static void bytes_that_are_gone_are_lost(void **state)
{
	struct sight s = {0};
	struct glance l;

	(void)state;
	writes_alone(&s, at(10, 10, 100));
	look_begin(&l, &s, false);
	l.is_lost = true;
	assert_int_equal(look_end(&l), LOOK_LOST);
	assert_true(s.is_lost);
}

static void a_stamp_survives_the_index(void **state)
{
	const struct stamp s = {.size_bytes = UINT64_MAX,
				.inode = 1,
				.mtime_ns = -5,
				.ctime_ns = INT64_MAX};
	uint8_t raw[STAMP_BYTES];
	struct stamp back;

	(void)state;
	stamp_encode(&s, raw);
	stamp_decode(raw, &back);
	assert_true(stamp_is_equal(&s, &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_of_somebody_else_is_seen_once),
		cmocka_unit_test(a_change_is_seen_by_all_who_read),
		cmocka_unit_test(
			a_change_that_a_write_finds_is_seen_by_readers),
		cmocka_unit_test(a_change_before_our_write_is_seen),
		cmocka_unit_test(of_writes_together_the_newest_look_counts),
		cmocka_unit_test(a_write_that_another_overtakes_is_no_change),
		cmocka_unit_test(while_we_write_nothing_is_told),
		cmocka_unit_test(bytes_that_are_gone_are_lost),
		cmocka_unit_test(a_stamp_survives_the_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
