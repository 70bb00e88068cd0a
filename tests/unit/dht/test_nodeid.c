/* Unit tests of dht/nodeid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/addr.h"
#include "core/rng.h"
#include "dht/nodeid.h"

static struct rng rng;

static struct dht_id random_id(void)
{
	struct dht_id id;

	for (size_t i = 0; i < DHT_ID_BYTES; i++)
		id.b[i] = (uint8_t)rng_next(&rng);
	return id;
}

static struct addr parsed(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

/* The addresses, last bytes and prefixes that BEP 42 publishes. */
static void published_vectors(void **state)
{
	static const struct {
		const char *ip;
		uint8_t last;
		uint8_t begins[3];
	} v[] = {
		{"124.31.75.21:1", 1, {0x5f, 0xbf, 0xbf}},
		{"21.75.31.124:1", 86, {0x5a, 0x3c, 0xe9}},
		{"65.23.51.170:1", 22, {0xa5, 0xd4, 0x32}},
		{"84.124.73.14:1", 65, {0x1b, 0x03, 0x21}},
		{"43.213.53.83:1", 90, {0xe5, 0x6f, 0x6c}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct addr a = parsed(v[i].ip);
		struct dht_id random = random_id();
		struct dht_id id;

		random.b[DHT_ID_BYTES - 1] = v[i].last;
		nodeid_for(&id, &a, random.b);
		assert_int_equal(id.b[0], v[i].begins[0]);
		assert_int_equal(id.b[1], v[i].begins[1]);
		assert_int_equal(id.b[2] & 0xf8, v[i].begins[2] & 0xf8);
		assert_int_equal(id.b[DHT_ID_BYTES - 1], v[i].last);
		assert_memory_equal(id.b + 3, random.b + 3, 16);
		assert_true(nodeid_fits(&id, &a));
		id.b[2] ^= 7; /* these bits are free */
		assert_true(nodeid_fits(&id, &a));
		id.b[2] ^= 8; /* this one is not */
		assert_false(nodeid_fits(&id, &a));
	}
}

/* Whatever is made for an address fits it, and hardly any other; of IPv6 only
 * the network half counts. Local addresses may have any. */
static void made_to_fit(void **state)
{
	struct addr a = parsed("[2a00:1:2:3::1]:1");
	struct addr same_net = parsed("[2a00:1:2:3:ffff::9]:2");
	struct addr other = parsed("[2a00:1:2:4::1]:1");
	struct addr local = parsed("10.1.2.3:4");
	uint32_t n_other = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct dht_id random = random_id();
		struct dht_id id;

		nodeid_for(&id, &a, random.b);
		assert_true(nodeid_fits(&id, &a));
		assert_true(nodeid_fits(&id, &same_net));
		n_other += nodeid_fits(&id, &other) ? 1 : 0;
		assert_true(nodeid_fits(&random, &local));
	}
	assert_in_range(n_other, 0, 3);
}

/* Common bits, and ids made to share just so many. */
static void common_bits(void **state)
{
	(void)state;
	for (int bits = 0; bits <= DHT_ID_BITS; bits++) {
		struct dht_id a = random_id();
		struct dht_id random = random_id();
		struct dht_id b;

		nodeid_within(&b, &a, bits, random.b);
		assert_int_equal(nodeid_common(&a, &b), bits);
		assert_int_equal(nodeid_common(&b, &a), bits);
		assert_int_equal(nodeid_eq(&a, &b), bits == DHT_ID_BITS);
	}
}

/* Closer is an order: whoever shares more bits is closer, never both ways. */
static void closer(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct dht_id to = random_id();
		struct dht_id a = random_id();
		struct dht_id b = random_id();

		assert_false(nodeid_closer(&to, &a, &a));
		assert_true(nodeid_closer(&to, &to, &a));
		assert_int_equal(nodeid_closer(&to, &a, &b),
				 !nodeid_closer(&to, &b, &a));
		if (nodeid_common(&to, &a) > nodeid_common(&to, &b))
			assert_true(nodeid_closer(&to, &a, &b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(made_to_fit),
		cmocka_unit_test(common_bits),
		cmocka_unit_test(closer),
	};

	rng_seed(&rng, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
