/* flood — a bucket for each host, in a table of fixed size.
 *
 * Calm: one bucket counts what all hosts ask, with the limits of one host. As
 * long as it does not run empty no host can have asked too much, and there is
 * no table. When it does, the table is made, and goes when there was no need
 * of it for DHT_SILENT_S.
 *
 * The table is cut into sets of eight, and a host has its place in one of them,
 * which a keyed hash says. When all eight are taken the one goes whose bucket
 * is fullest by now, since it asks least; one that is silent only if all are.
 * So many hosts that ask little cannot push out one that asks much.
 *
 * On loopback each port is a host: there, many share the address. */
#include "dht/flood.h"

#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/dht_limits.h"

enum { WAYS = 8, SETS = DHT_FLOOD_HOSTS / WAYS, QUERY = 1000 };

_Static_assert((SETS & (SETS - 1)) == 0, "a set is found by a mask");

static const uint64_t SILENT_US = (uint64_t)DHT_SILENT_S * 1000000;

struct flood_host {
	uint64_t hash; /* 0: a free place */
	struct flood_bucket bucket;
};

void flood_init(struct flood *f, const struct siphash_key *secret,
		uint32_t burst, uint32_t per_s)
{
	*f = (struct flood){.secret = *secret, .burst = burst, .per_s = per_s};
	f->all.left = burst * QUERY;
}

void flood_fini(struct flood *f)
{
	mem_free(f->hosts);
	f->hosts = NULL;
}

static uint64_t hash_of(const struct flood *f, const struct addr *a)
{
	uint8_t key[ADDR_KEY_BYTES];
	uint64_t hash;

	addr_key(a, key);
	if (!addr_is_loopback(a)) {
		be16_put(key + 16, 0);
		if (a->sa.sa_family == AF_INET6)
			memset(key + 8, 0, 8);
	}
	hash = siphash(&f->secret, key, sizeof(key));
	return hash != 0 ? hash : 1;
}

static void refill(const struct flood *f, uint64_t now_us,
		   struct flood_bucket *b)
{
	uint64_t most = (uint64_t)f->burst * QUERY;
	uint64_t passed_us = now_us - b->at_us;
	uint64_t more = passed_us * f->per_s / QUERY;

	if (b->is_silent) {
		if (passed_us < SILENT_US)
			return;
		b->is_silent = false;
		more = most;
	}
	if (more == 0)
		return;
	b->left = more < most - b->left ? b->left + (uint32_t)more
					: (uint32_t)most;
	/* What is less than a thousandth counts the next time. */
	b->at_us = now_us - passed_us * f->per_s % QUERY / f->per_s;
}

static bool take(const struct flood *f, uint64_t now_us, struct flood_bucket *b)
{
	refill(f, now_us, b);
	if (b->left < QUERY)
		return false;
	b->left -= QUERY;
	return true;
}

/* The place of a host; a new one has a full bucket. */
static struct flood_host *host_of(struct flood *f, uint64_t now_us,
				  uint64_t hash)
{
	struct flood_host *set = &f->hosts[(hash & (SETS - 1)) * WAYS];
	struct flood_host *idlest = &set[0];

	for (int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].hash == 0) {
			idlest = &set[i];
			break;
		}
		refill(f, now_us, &set[i].bucket);
		if (set[i].bucket.left > idlest->bucket.left)
			idlest = &set[i];
	}
	*idlest = (struct flood_host){
		.hash = hash,
		.bucket = {.at_us = now_us, .left = f->burst * QUERY}};
	return idlest;
}

/* Everybody together asks less than one may: nothing else to look at. */
static bool is_calm(struct flood *f, uint64_t now_us)
{
	if (!take(f, now_us, &f->all)) {
		f->busy_us = now_us;
		return false;
	}
	if (f->hosts != NULL && now_us - f->busy_us > SILENT_US)
		flood_fini(f);
	return f->hosts == NULL;
}

bool flood_admits(struct flood *f, uint64_t now_us, const struct addr *a)
{
	struct flood_bucket *b;

	if (f->burst == 0 || is_calm(f, now_us))
		return true;
	if (f->hosts == NULL)
		f->hosts =
			mem_zalloc(DHT_FLOOD_HOSTS, sizeof(struct flood_host));
	if (f->hosts == NULL)
		return false;
	b = &host_of(f, now_us, hash_of(f, a))->bucket;
	if (take(f, now_us, b))
		return true;
	if (!b->is_silent) {
		b->is_silent = true;
		b->left = 0;
		b->at_us = now_us;
	}
	return false;
}
