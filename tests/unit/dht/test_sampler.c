/* Unit tests of dht/sampler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/be.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/rng.h"
#include "dht/dht_limits.h"
#include "dht/peerstore.h"
#include "dht/sampler.h"

static struct hasher *hasher;
static struct peerstore store;
static struct sampler sampler;
static struct rng rng;
static const uint64_t S = 1000000;

static int setup(void **state)
{
	(void)state;
	rng_seed(&rng, 1);
	peerstore_init(&store, 0);
	sampler_init(&sampler);
	return hasher_new(&hasher);
}

static int teardown(void **state)
{
	(void)state;
	sampler_fini(&sampler);
	peerstore_fini(&store);
	hasher_free(hasher);
	return 0;
}

static void announce(uint64_t now_us, uint32_t hash)
{
	struct dht_id id = {0};
	struct addr a;

	be32_put(id.b, hash);
	assert_int_equal(addr_parse(&a, "8.8.8.8:1"), 0);
	assert_int_equal(
		peerstore_announce(&store, now_us, hasher, &id, &a, false), 0);
}

static struct sample ask(uint64_t now_us)
{
	return sampler_ask(&sampler, now_us, &store, &rng);
}

/* Nothing stored: an empty sample, and no memory. Few: all of them, the newest
 * too. */
static void few(void **state)
{
	struct sample s = ask(0);

	(void)state;
	assert_int_equal(s.num, 0);
	assert_int_equal(s.hashes.len, 0);
	assert_true(s.interval_s > 0 && s.interval_s <= 21600);
	assert_null(sampler.chosen);
	for (uint32_t i = 1; i <= DHT_SAMPLES_TOLD_MAX; i++) {
		announce(i, i);
		s = ask(i);
		assert_int_equal(s.num, i);
		assert_int_equal(s.hashes.len, i * DHT_ID_BYTES);
	}
}

/* Many: the same for everybody until the interval is over, then others. */
static void many(void **state)
{
	uint8_t first[DHT_SAMPLES_TOLD_MAX * DHT_ID_BYTES];
	struct sample s;

	(void)state;
	for (uint32_t i = 0; i < 500; i++)
		announce(0, i);
	s = ask(S);
	assert_int_equal(s.num, 500);
	assert_int_equal(s.hashes.len, sizeof(first));
	assert_int_equal(s.interval_s, DHT_SAMPLE_S);
	memcpy(first, s.hashes.ptr, sizeof(first));
	announce(2 * S, 1000);
	s = ask(2 * S);
	assert_int_equal(s.num, 501);
	assert_int_equal(s.interval_s, DHT_SAMPLE_S - 1);
	assert_memory_equal(s.hashes.ptr, first, sizeof(first));
	s = ask((DHT_SAMPLE_S + 1) * S);
	assert_int_equal(s.interval_s, DHT_SAMPLE_S);
	assert_memory_not_equal(s.hashes.ptr, first, sizeof(first));
}

/* When everything has expired nothing is told any more. */
static void forgets(void **state)
{
	uint64_t later = 2 * DHT_STORED_PEER_S * S;

	(void)state;
	announce(0, 1);
	assert_int_equal(ask(0).num, 1);
	(void)peerstore_expire(&store, later);
	assert_int_equal(ask(later).num, 0);
	assert_null(sampler.chosen);
}

/* Without memory the sample is empty, and says how many there are. */
static void without_memory(void **state)
{
	struct sample s;

	(void)state;
	announce(0, 1);
	mem_fail_after(0, 1);
	s = ask(0);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(s.num, 1);
	assert_int_equal(s.hashes.len, 0);
	assert_int_equal(ask(0).hashes.len, DHT_ID_BYTES);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(few),
		T(many),
		T(forgets),
		T(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
