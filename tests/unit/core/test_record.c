/* Entries of the library's log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/be.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/record.h"

/* ---- Helpers ---- */

static struct record sample(uint8_t seed, const char *name)
{
	struct record r = {
		.by = RECORD_BY_CONTROL,
		.added_s = 1700000000,
		.time_s = -5,
		.size_bytes = UINT64_C(1) << 45,
		.source_at = UINT64_C(1) << 40,
		.source_len = 12345,
		.n_nodes = 7,
		.n_subdirs = 2,
	};

	memset(r.id.v1.bytes, seed, HASH_SHA1_BYTES);
	r.id.v1.len = HASH_SHA1_BYTES;
	memset(r.id.v2.bytes, seed ^ 0xff, HASH_SHA256_BYTES);
	r.id.v2.len = HASH_SHA256_BYTES;
	memcpy(r.name, name, strlen(name));
	return r;
}

static void assert_same(const struct record *a, const struct record *b)
{
	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_int_equal(a->by, b->by);
	assert_int_equal(a->is_magnet, b->is_magnet);
	assert_true(a->added_s == b->added_s && a->time_s == b->time_s);
	assert_true(a->size_bytes == b->size_bytes);
	assert_true(a->source_at == b->source_at);
	assert_int_equal(a->source_len, b->source_len);
	assert_int_equal(a->n_nodes, b->n_nodes);
	assert_int_equal(a->n_subdirs, b->n_subdirs);
	assert_string_equal(a->name, b->name);
}

/* ---- Tests ---- */

/* What was put is taken, in order, and then there is no more. */
static void comes_back(void **state)
{
	struct record a = sample(1, "a name"), b = sample(2, ""), got;
	enum record_kind kind;
	struct buf log = {0};
	struct span in;

	b.is_magnet = true;
	b.id.v1.len = 0;
	memset(b.id.v1.bytes, 0, sizeof(b.id.v1.bytes));
	memset(a.name, 'x', NAME_BUF_BYTES - 1);
	record_put(&log, &a);
	record_put_forget(&log, &a.id);
	record_put(&log, &b);
	in = buf_span(&log);
	assert_int_equal(record_take(&in, &kind, &got), 0);
	assert_int_equal(kind, RECORD_KEEP);
	assert_same(&got, &a);
	assert_int_equal(record_take(&in, &kind, &got), 0);
	assert_int_equal(kind, RECORD_FORGET);
	assert_memory_equal(&got.id, &a.id, sizeof(a.id));
	assert_int_equal(record_take(&in, &kind, &got), 0);
	assert_same(&got, &b);
	assert_int_equal(record_take(&in, &kind, &got), ENODATA);
	buf_fini(&log);
}

/* A bit that is wrong anywhere costs one entry, and the next is found; but for
 * one in its length. */
static void damage_costs_one(void **state)
{
	struct record a = sample(1, "one"), b = sample(2, "two"), got;
	enum record_kind kind;
	struct buf log = {0};
	size_t first;

	record_put(&log, &a);
	first = log.len;
	record_put(&log, &b);
	for (size_t bit = 0; bit < 8 * first; bit++) {
		struct span in;
		int r;

		log.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		in = buf_span(&log);
		r = record_take(&in, &kind, &got);
		assert_true(r == EBADMSG || (r == EPROTO && in.len == 0));
		if (bit >= 32) {
			assert_int_equal(record_take(&in, &kind, &got), 0);
			assert_same(&got, &b);
		}
		log.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_fini(&log);
}

/* An end that a crash has torn is no entry, wherever it was torn. */
static void torn_end(void **state)
{
	struct record a = sample(1, "one"), got;
	enum record_kind kind;
	struct buf log = {0};

	record_put(&log, &a);
	for (size_t len = 1; len < log.len; len++) {
		struct span in = span_of(log.data, len);

		assert_int_equal(record_take(&in, &kind, &got), EPROTO);
		assert_int_equal(record_take(&in, &kind, &got), ENODATA);
	}
	buf_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(damage_costs_one),
		cmocka_unit_test(torn_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
