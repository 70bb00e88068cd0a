/* Unit tests of dht/peerstore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/be.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/rng.h"
#include "dht/dht_limits.h"
#include "dht/peerstore.h"

/* ---- fixture ---- */

static struct hasher *hasher;
static struct peerstore store;
static struct rng rng;
static const uint64_t S = 1000000;

static int setup(void **state)
{
	(void)state;
	rng_seed(&rng, 1);
	peerstore_init(&store, 0);
	return hasher_new(&hasher);
}

static int teardown(void **state)
{
	(void)state;
	peerstore_fini(&store);
	hasher_free(hasher);
	return 0;
}

/* ---- helpers ---- */

static struct dht_id hash_of(uint32_t n)
{
	struct dht_id id = {.b = {0xaa}};

	be32_put(id.b + 4, n);
	return id;
}

static struct addr ip4(uint32_t ip, uint16_t port)
{
	uint8_t compact[ADDR_COMPACT4];
	struct addr a;

	be32_put(compact, ip);
	be16_put(compact + 4, port);
	assert_int_equal(addr_from_compact(&a, compact, sizeof(compact)), 0);
	return a;
}

static void announce(uint64_t now_us, uint32_t hash, struct addr a,
		     bool is_seed)
{
	struct dht_id id = hash_of(hash);

	assert_int_equal(
		peerstore_announce(&store, now_us, hasher, &id, &a, is_seed),
		0);
}

static void announce_text(uint64_t now_us, uint32_t hash, const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	announce(now_us, hash, a, false);
}

static size_t sample4(uint64_t now_us, uint32_t hash, uint8_t *out, size_t most)
{
	struct dht_id id = hash_of(hash);

	return peerstore_sample(&store, now_us, &rng, &id, false, false, out,
				most);
}

static size_t count4(uint64_t now_us, uint32_t hash)
{
	uint8_t out[DHT_STORED_PEERS_OF_HASH * ADDR_COMPACT4];

	return sample4(now_us, hash, out, DHT_STORED_PEERS_OF_HASH);
}

static bool has4(uint64_t now_us, uint32_t hash, uint32_t ip)
{
	uint8_t out[DHT_STORED_PEERS_OF_HASH * ADDR_COMPACT4];
	size_t n = sample4(now_us, hash, out, DHT_STORED_PEERS_OF_HASH);

	for (size_t i = 0; i < n; i++)
		if (be32_get(out + i * ADDR_COMPACT4) == ip)
			return true;
	return false;
}

/* ---- tests ---- */

/* A host is one peer of a hash: its last port and flag count. On loopback a
 * port is one. */
static void a_host_is_one_peer(void **state)
{
	struct dht_id id = hash_of(1);
	struct bloom seeds, peers;
	uint8_t out[64];

	(void)state;
	announce_text(0, 1, "8.8.8.8:1");
	announce(1, 1, ip4(0x08080808, 2), true);
	assert_int_equal(sample4(2, 1, out, 8), 1);
	assert_memory_equal(out, "\x08\x08\x08\x08\x00\x02", 6);
	assert_int_equal(
		peerstore_sample(&store, 2, &rng, &id, false, true, out, 8), 0);
	assert_true(peerstore_filters(&store, 2, &id, &seeds, &peers));
	assert_true(bloom_estimate(&seeds) > 0.9);
	assert_true(bloom_estimate(&peers) == 0);
	announce_text(3, 1, "127.0.0.1:1");
	announce_text(3, 1, "127.0.0.1:2");
	announce_text(3, 1, "127.0.0.1:2");
	assert_int_equal(sample4(4, 1, out, 8), 3);
	peerstore_check(&store);
}

/* Families are told apart; a hash may have both. */
static void two_families(void **state)
{
	struct dht_id id = hash_of(1), other = hash_of(2);
	uint8_t out[8 * ADDR_COMPACT6];
	struct bloom seeds, peers;

	(void)state;
	announce_text(0, 1, "8.8.8.8:1");
	announce_text(0, 1, "[2001:db8::1]:7");
	announce_text(0, 1, "[2001:db8::2]:7");
	announce_text(0, 1, "[::ffff:9.9.9.9]:7");
	assert_int_equal(sample4(0, 1, out, 8), 2);
	assert_int_equal(
		peerstore_sample(&store, 0, &rng, &id, true, false, out, 8), 2);
	assert_int_equal(be16_get(out), 0x2001);
	assert_int_equal(be16_get(out + ADDR_COMPACT6 + 16), 7);
	assert_int_equal(
		peerstore_sample(&store, 0, &rng, &id, true, false, out, 1), 1);
	assert_int_equal(sample4(0, 2, out, 8), 0);
	assert_true(peerstore_filters(&store, 0, &id, &seeds, &peers));
	assert_true(bloom_estimate(&peers) > 3.9);
	assert_false(peerstore_filters(&store, 0, &other, &seeds, &peers));
	assert_true(bloom_estimate(&peers) == 0);
	peerstore_check(&store);
}

/* What is not announced again goes after its time, to the microsecond; what is
 * stays. */
static void old_peers_go(void **state)
{
	uint64_t life = DHT_STORED_PEER_S * S;

	(void)state;
	announce_text(0, 1, "8.8.8.8:1");
	announce_text(10, 1, "8.8.8.9:1");
	announce_text(20, 2, "8.8.8.9:1");
	assert_int_equal(peerstore_expire(&store, 30), life);
	announce_text(30, 1, "8.8.8.8:1");
	assert_int_equal(peerstore_expire(&store, 30), life + 10);
	assert_int_equal(count4(life + 9, 1), 2);
	assert_int_equal(count4(life + 10, 1), 1);
	assert_int_equal(peerstore_count_hashes(&store), 2);
	assert_int_equal(peerstore_expire(&store, life + 20), life + 30);
	assert_int_equal(peerstore_count_hashes(&store), 1);
	peerstore_check(&store);
	assert_int_equal(peerstore_expire(&store, life + 30), UINT64_MAX);
	assert_int_equal(peerstore_count_peers(&store), 0);
	peerstore_check(&store);
}

/* A sample is random: each peer is in it about as often, none twice. */
static void samples_are_random(void **state)
{
	uint32_t n_of[100] = {0};
	uint8_t out[10 * ADDR_COMPACT4];

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		announce(0, 1, ip4(0x08000000 + (i << 8), 1), false);
	for (int round = 0; round < 1000; round++) {
		assert_int_equal(sample4(1, 1, out, 10), 10);
		for (int i = 0; i < 10; i++) {
			uint32_t ip = be32_get(out + i * ADDR_COMPACT4);

			n_of[(ip >> 8) - 0x080000]++;
			for (int k = 0; k < i; k++)
				assert_true(be32_get(out + k * ADDR_COMPACT4) !=
					    ip);
		}
	}
	for (int i = 0; i < 100; i++)
		assert_true(n_of[i] > 60 && n_of[i] < 140);
	peerstore_check(&store);
}

/* So are hashes: each of n is in a sample of k as often, and none twice. */
static void hashes_are_random(void **state)
{
	uint32_t n_of[50] = {0};
	struct dht_id out[20];

	(void)state;
	assert_int_equal(peerstore_hashes(&store, &rng, out, 20), 0);
	for (uint32_t i = 0; i < 50; i++)
		announce(0, i, ip4(0x08080808, 1), false);
	for (int round = 0; round < 1000; round++) {
		assert_int_equal(peerstore_hashes(&store, &rng, out, 20), 20);
		for (int i = 0; i < 20; i++) {
			n_of[be32_get(out[i].b + 4)]++;
			for (int k = 0; k < i; k++)
				assert_false(nodeid_eq(&out[i], &out[k]));
		}
	}
	for (int i = 0; i < 50; i++)
		assert_true(n_of[i] > 330 && n_of[i] < 470);
}

/* In a full hash, a flood from one network drives out itself. */
static void a_full_hash(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		announce(i, 1, ip4(0x08000000 + (i << 8), 1), false);
	for (uint32_t i = 0; i < 254; i++)
		announce(400 + i, 1, ip4(0x09000000 + i, 1), false);
	assert_int_equal(count4(1000, 1), DHT_STORED_PEERS_OF_HASH);
	for (uint32_t i = 0; i < 300; i++)
		assert_true(has4(1000, 1, 0x08000000 + (i << 8)));
	/* Many networks with one peer each: the oldest goes. */
	for (uint32_t i = 0; i < 400; i++)
		announce(2000 + i, 1, ip4(0x0a000000 + (i << 8), 1), false);
	assert_int_equal(count4(3000, 1), DHT_STORED_PEERS_OF_HASH);
	assert_true(has4(3000, 1, 0x0a000000 + (399 << 8)));
	assert_true(has4(3000, 1, 0x0a000000));
	assert_false(has4(3000, 1, 0x08000000));
	peerstore_check(&store);
}

/* A million hashes from a few networks: those of others stay, and memory is
 * bounded. */
static void a_flood_of_hashes(void **state)
{
	uint64_t before = mem_in_use_bytes(), now = 0;

	(void)state;
	for (uint32_t i = 0; i < 1500; i++)
		announce(now++, i, ip4(0x08000000 + (i << 8), 1), false);
	for (uint32_t i = 0; i < 100000; i++)
		announce(now++, 10000 + i,
			 ip4(0x09000000 + (i % 4 << 8) + i % 256, 1), false);
	assert_true(peerstore_count_hashes(&store) <= DHT_STORED_HASHES_MAX);
	for (uint32_t i = 0; i < 1500; i++)
		assert_int_equal(count4(now, i), 1);
	assert_true(mem_in_use_bytes() - before < 2 << 20);
	peerstore_check(&store);
}

/* When nobody is to blame, the hash announced longest ago goes. */
static void too_many_hashes(void **state)
{
	uint64_t now = 0;

	(void)state;
	for (uint32_t i = 0; i < DHT_STORED_HASHES_MAX; i++)
		announce(now++, i, ip4(0x08000000 + (i << 8), 1), false);
	announce_text(now++, 0, "9.9.9.9:1");
	announce_text(now++, 99999, "9.9.8.9:1");
	assert_int_equal(count4(now, 0), 2);
	assert_int_equal(count4(now, 1), 0);
	assert_int_equal(count4(now, 2), 1);
	assert_int_equal(count4(now, 99999), 1);
	assert_int_equal(peerstore_count_hashes(&store), DHT_STORED_HASHES_MAX);
	peerstore_check(&store);
}

/* One network has so much and no more, of all hashes; its oldest go. */
static void one_network(void **state)
{
	uint64_t now = 0;

	(void)state;
	for (uint32_t i = 0; i < 2 * DHT_STORED_NET_MAX; i++)
		announce(now++, i, ip4(0x08000000 + i % 250, 1), false);
	assert_int_equal(peerstore_count_peers(&store), DHT_STORED_NET_MAX);
	assert_int_equal(count4(now, 0), 0);
	assert_int_equal(count4(now, 2 * DHT_STORED_NET_MAX - 1), 1);
	peerstore_check(&store);
}

/* In all there are no more than the limit, whoever they are. */
static void in_all(void **state)
{
	uint64_t now = 0;

	(void)state;
	for (uint32_t i = 0; i < DHT_STORED_PEERS_MAX + 1000; i++)
		announce(now++, i % 200, ip4(0x08000000 + (i << 6), 1), false);
	assert_int_equal(peerstore_count_peers(&store), DHT_STORED_PEERS_MAX);
	peerstore_check(&store);
}

/* With any allocation failing it says ENOMEM, and is whole. */
static void without_memory(void **state)
{
	struct addr a = ip4(0x08080808, 1);
	struct dht_id id = hash_of(1);
	int r;

	(void)state;
	for (uint64_t n = 0;; n++) {
		mem_fail_after(n, 1);
		r = peerstore_announce(&store, 0, hasher, &id, &a, false);
		mem_fail_after(UINT64_MAX, 0);
		peerstore_check(&store);
		if (r == 0)
			break;
		assert_int_equal(r, ENOMEM);
		assert_int_equal(peerstore_count_hashes(&store), 0);
	}
	assert_int_equal(count4(0, 1), 1);
}

/* Any order of anything leaves it whole. */
static void anything(void **state)
{
	uint64_t now = 0;
	uint8_t out[50 * ADDR_COMPACT6];

	(void)state;
	peerstore_fini(&store);
	peerstore_init(&store, 20);
	for (int i = 0; i < 20000; i++) {
		struct dht_id id = hash_of((uint32_t)rng_below(&rng, 40));
		uint32_t net = (uint32_t)rng_below(&rng, 30);

		now += rng_below(&rng, 4 * S);
		if (rng_below(&rng, 3) == 0) {
			(void)peerstore_sample(&store, now, &rng, &id,
					       rng_below(&rng, 2) == 0,
					       rng_below(&rng, 2) == 0, out,
					       rng_below(&rng, 51));
		} else {
			struct addr a =
				ip4(0x08000000 + (net << 8) +
					    (uint32_t)rng_below(&rng, net + 1),
				    1);
			bool is_seed = rng_below(&rng, 2) == 0;

			assert_int_equal(peerstore_announce(&store, now, hasher,
							    &id, &a, is_seed),
					 0);
		}
		if (i % 500 == 0)
			peerstore_check(&store);
	}
	peerstore_check(&store);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_host_is_one_peer), T(two_families),
		T(old_peers_go),       T(samples_are_random),
		T(hashes_are_random),  T(a_full_hash),
		T(a_flood_of_hashes),  T(too_many_hashes),
		T(one_network),	       T(in_all),
		T(without_memory),     T(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
