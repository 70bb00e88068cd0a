/* Unit tests of dht/items. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/be.h"
#include "core/hash.h"
#include "core/hex.h"
#include "core/mem.h"
#include "dht/dht_limits.h"
#include "dht/items.h"
#include "dht/node.h"

/* ---- fixture ---- */

static struct hasher *hasher;
static struct items store;
static const uint64_t S = 1000000;

static int setup(void **state)
{
	(void)state;
	items_init(&store, 0);
	return hasher_new(&hasher);
}

static int teardown(void **state)
{
	(void)state;
	items_fini(&store);
	hasher_free(hasher);
	return 0;
}

/* ---- helpers ---- */

static const uint8_t seed[32] = {5};
static uint8_t key[32], sig[64];

static void unhex(const char *text, uint8_t *out, size_t len)
{
	assert_int_equal(strlen(text), 2 * len);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(hex_value(text[2 * i]) << 4 |
				   hex_value(text[2 * i + 1]));
}

static struct dht_item immutable(const char *value)
{
	return (struct dht_item){.value = span_str(value)};
}

static struct dht_item mutable(const char *value, int64_t seq, const char *salt)
{
	struct dht_item item = {
		.value = span_str(value),
		.is_mutable = true,
		.seq = seq,
		.salt = span_str(salt),
	};

	assert_int_equal(item_sign(&item, seed, key, sig), 0);
	item.key = key;
	item.sig = sig;
	return item;
}

static struct addr net(uint8_t n)
{
	uint8_t compact[ADDR_COMPACT4] = {8, 0, n, 1, 0, 1};
	struct addr a;

	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	return a;
}

static enum item_fault put_from(uint8_t n, uint64_t now_us,
				struct dht_item item)
{
	struct addr a = net(n);

	return items_put(&store, now_us, hasher, &a, &item, NULL);
}

static enum item_fault put(uint64_t now_us, struct dht_item item)
{
	return put_from(1, now_us, item);
}

static bool get(uint64_t now_us, struct dht_item of, struct dht_item *out)
{
	struct dht_id target;

	item_target(hasher, &of, &target);
	return items_get(&store, now_us, &target, out);
}

static bool has(uint64_t now_us, struct dht_item item)
{
	struct dht_item out;

	return get(now_us, item, &out);
}

/* ---- tests ---- */

/* BEP 44's numbers: targets and signatures with and without a salt. */
static void numbers_of_the_bep(void **state)
{
	static const struct {
		const char *salt, *target, *sig, *signed_bytes;
	} rows[] = {
		{"", "4a533d47ec9c7d95b1ad75f576cffc641853b750",
		 "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853"
		 "cff"
		 "1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21"
		 "f01",
		 "3:seqi1e1:v12:Hello World!"},
		{"foobar", "411eba73b6f087ca51a3795d9c8c938d365e32c1",
		 "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d"
		 "17d"
		 "df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9"
		 "a08",
		 "4:salt6:foobar3:seqi1e1:v12:Hello World!"},
	};
	struct dht_item item = immutable("12:Hello World!");
	uint8_t want[20], bytes[ITEM_SIGNED_MAX];
	struct dht_id target;

	(void)state;
	item_target(hasher, &item, &target);
	unhex("e5f96f6f38320f0f33959cb4d3d656452117aadb", want, 20);
	assert_memory_equal(target.b, want, 20);
	assert_int_equal(item_look(&item), ITEM_GOOD);
	unhex("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e54"
	      "8",
	      key, 32);
	for (size_t i = 0; i < 2; i++) {
		item = (struct dht_item){
			.value = span_str("12:Hello World!"),
			.is_mutable = true,
			.key = key,
			.sig = sig,
			.seq = 1,
			.salt = span_str(rows[i].salt),
		};
		unhex(rows[i].sig, sig, 64);
		item_target(hasher, &item, &target);
		unhex(rows[i].target, want, 20);
		assert_memory_equal(target.b, want, 20);
		assert_int_equal(item_signed(&item, bytes),
				 strlen(rows[i].signed_bytes));
		assert_memory_equal(bytes, rows[i].signed_bytes,
				    strlen(rows[i].signed_bytes));
		assert_int_equal(item_look(&item), ITEM_GOOD);
		item.seq = 2;
		assert_int_equal(item_look(&item), ITEM_SIGNATURE);
	}
}

/* What was put is what is got, of both kinds. */
static void put_and_get(void **state)
{
	struct dht_item item = mutable("i7e", 3, "salt"), out;

	(void)state;
	assert_int_equal(put(0, item), ITEM_GOOD);
	assert_int_equal(put(0, immutable("l1:ae")), ITEM_GOOD);
	assert_true(get(0, immutable("l1:ae"), &out));
	assert_false(out.is_mutable);
	assert_true(span_is(out.value, "l1:ae"));
	assert_true(get(0, item, &out));
	assert_true(out.is_mutable && out.seq == 3);
	assert_true(span_is(out.value, "i7e") && span_is(out.salt, "salt"));
	assert_memory_equal(out.key, key, 32);
	assert_memory_equal(out.sig, sig, 64);
	assert_false(has(0, mutable("i7e", 3, "other")));
	assert_int_equal(items_count(&store), 2);
	items_check(&store);
}

/* What may not be stored, and why. */
static void refusals(void **state)
{
	char big[DHT_ITEM_MAX + 8], salt[DHT_SALT_MAX + 2];
	struct dht_item item;
	int head;

	(void)state;
	head = snprintf(big, sizeof(big), "%d:", DHT_ITEM_MAX - 4);
	memset(big + head, 'x', DHT_ITEM_MAX - 4);
	big[DHT_ITEM_MAX] = '\0';
	assert_int_equal(put(0, immutable(big)), ITEM_GOOD);
	memcpy(big, "997", 3);
	big[DHT_ITEM_MAX] = 'x';
	big[DHT_ITEM_MAX + 1] = '\0';
	assert_int_equal(put(0, immutable(big)), ITEM_TOO_BIG);

	assert_int_equal(put(0, immutable("")), ITEM_MALFORMED);
	assert_int_equal(put(0, immutable("i1ei2e")), ITEM_MALFORMED);
	assert_int_equal(put(0, immutable("d1:bi1e1:ai2ee")), ITEM_MALFORMED);
	assert_int_equal(put(0, immutable("i01e")), ITEM_MALFORMED);
	assert_int_equal(put(0, immutable("llllllllllllllleeeeeeeeeeeeeee")),
			 ITEM_MALFORMED);
	assert_int_equal(put(0, mutable("i1e", -1, "")), ITEM_MALFORMED);

	memset(salt, 's', sizeof(salt) - 1);
	salt[DHT_SALT_MAX] = '\0';
	assert_int_equal(put(0, mutable("i1e", 0, salt)), ITEM_GOOD);
	item = mutable("i1e", 0, salt);
	salt[DHT_SALT_MAX] = 's';
	salt[DHT_SALT_MAX + 1] = '\0';
	item.salt.len++;
	assert_int_equal(put(0, item), ITEM_SALT);

	item = mutable("i1e", 1, "x");
	sig[5] ^= 1;
	assert_int_equal(put(0, item), ITEM_SIGNATURE);
	assert_false(has(0, item));
	items_check(&store);
}

/* A higher seq takes the place, a lower one does not; the same one only with
 * the same value. */
static void seq_goes_up(void **state)
{
	struct dht_item out;

	(void)state;
	assert_int_equal(put(0, mutable("i1e", 5, "")), ITEM_GOOD);
	assert_int_equal(put(0, mutable("i2e", 4, "")), ITEM_OLD);
	assert_int_equal(put(0, mutable("i2e", 5, "")), ITEM_OLD);
	assert_int_equal(put(0, mutable("i1e", 5, "")), ITEM_GOOD);
	assert_int_equal(put(0, mutable("i2e", 6, "")), ITEM_GOOD);
	assert_int_equal(put(0, mutable("i3e", INT64_MAX, "")), ITEM_GOOD);
	assert_true(get(0, mutable("i3e", 0, ""), &out));
	assert_true(span_is(out.value, "i3e") && out.seq == INT64_MAX);
	assert_int_equal(items_count(&store), 1);
	items_check(&store);
}

/* The same again with a signature that is not right: refused, kept as it was.
 */
static void same_with_bad_signature(void **state)
{
	struct dht_item item = mutable("i1e", 5, "");

	(void)state;
	assert_int_equal(put(0, item), ITEM_GOOD);
	sig[0] ^= 1;
	assert_int_equal(put(0, item), ITEM_SIGNATURE);
	assert_true(has(0, item));
}

/* cas: only if that seq is what is stored; without anything stored, ignored. */
static void compare_and_swap(void **state)
{
	struct addr a = net(1);
	int64_t cas = 7;
	struct dht_item item = mutable("i1e", 8, "");

	(void)state;
	assert_int_equal(items_put(&store, 0, hasher, &a, &item, &cas),
			 ITEM_GOOD);
	item = mutable("i2e", 9, "");
	assert_int_equal(items_put(&store, 0, hasher, &a, &item, &cas),
			 ITEM_CAS);
	cas = 8;
	assert_int_equal(items_put(&store, 0, hasher, &a, &item, &cas),
			 ITEM_GOOD);
	item = immutable("i2e");
	assert_int_equal(items_put(&store, 0, hasher, &a, &item, &cas),
			 ITEM_GOOD);
}

/* Two hours after it was put last it is gone. */
static void expiry(void **state)
{
	uint64_t life = DHT_STORED_ITEM_S * S;

	(void)state;
	assert_int_equal(put(0, immutable("i1e")), ITEM_GOOD);
	assert_int_equal(put(10, immutable("i2e")), ITEM_GOOD);
	assert_int_equal(put(20, immutable("i1e")), ITEM_GOOD);
	assert_int_equal(items_expire(&store, 30), life + 10);
	assert_true(has(life + 9, immutable("i2e")));
	assert_false(has(life + 10, immutable("i2e")));
	assert_true(has(life + 19, immutable("i1e")));
	assert_int_equal(items_expire(&store, life + 20), UINT64_MAX);
	assert_int_equal(items_count(&store), 0);
	items_check(&store);
}

/* Who floods loses his own, and cannot draw others' items to himself by
 * putting them again. */
static void a_flood(void **state)
{
	char text[16];

	(void)state;
	for (int i = 0; i < 800; i++) {
		(void)snprintf(text, sizeof(text), "i%de", i);
		assert_int_equal(put_from((uint8_t)(i % 200), (uint64_t)i,
					  immutable(text)),
				 ITEM_GOOD);
	}
	for (int i = 0; i < 3000; i++) {
		(void)snprintf(text, sizeof(text), "i%de", i);
		assert_int_equal(put_from((uint8_t)(201 + i % 2),
					  (uint64_t)i + 1000, immutable(text)),
				 ITEM_GOOD);
	}
	assert_int_equal(items_count(&store), DHT_STORED_ITEMS_MAX);
	for (int i = 0; i < 800; i++) {
		(void)snprintf(text, sizeof(text), "i%de", i);
		assert_true(has(5000, immutable(text)));
	}
	items_check(&store);
}

/* What a flood put first and others put again is the others'. */
static void flood_came_first(void **state)
{
	char text[16];

	(void)state;
	assert_int_equal(put_from(9, 0, immutable("1:x")), ITEM_GOOD);
	for (int i = 0; i < DHT_STORED_HEAVY; i++) {
		(void)snprintf(text, sizeof(text), "i%de", i);
		assert_int_equal(put_from(9, 1, immutable(text)), ITEM_GOOD);
	}
	assert_int_equal(put_from(1, 2, immutable("1:x")), ITEM_GOOD);
	for (int i = 0; i < DHT_STORED_NET_ITEMS; i++) {
		(void)snprintf(text, sizeof(text), "i%de", 100 + i);
		assert_int_equal(put_from(9, 3, immutable(text)), ITEM_GOOD);
	}
	assert_false(has(4, immutable("i0e")));
	assert_true(has(4, immutable("1:x")));
	items_check(&store);
}

/* With any allocation failing it says so and is whole. */
static void without_memory(void **state)
{
	enum item_fault fault = ITEM_NO_MEMORY;

	(void)state;
	for (uint64_t n = 0; fault != ITEM_GOOD; n++) {
		mem_fail_after(n, 1);
		fault = put(0, immutable("i1e"));
		mem_fail_after(UINT64_MAX, 0);
		items_check(&store);
		assert_true(fault == ITEM_GOOD || items_count(&store) == 0);
		/* A value that cannot be read for want of memory counts as
		 * one that cannot be read. */
		assert_true(fault == ITEM_GOOD || fault == ITEM_NO_MEMORY ||
			    fault == ITEM_MALFORMED);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(numbers_of_the_bep),
		T(put_and_get),
		T(refusals),
		T(seq_goes_up),
		T(same_with_bad_signature),
		T(compare_and_swap),
		T(expiry),
		T(a_flood),
		T(flood_came_first),
		T(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
