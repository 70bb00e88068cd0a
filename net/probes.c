/* probes — a clock for each host, set forward by each miss.
 *
 * A clock that is PROBE_BURST intervals ahead of the time is full: its host is
 * not heard before it is less ahead (the GCRA of leaky buckets). A clock is
 * never further ahead than that, so whoever stops is heard again an interval
 * later: behind one address there are honest peers too, and some of them come
 * for a torrent that was removed here.
 *
 * Limit: PROBE_HOSTS_MAX hosts. When there are more, the one that probed least
 * is forgotten, so that a crowd does not wash a busy one out. */
#include "net/probes.h"

#include <stddef.h>
#include <string.h>

enum { EVERY_US = PROBE_EVERY_MS * 1000 };

static void key_of(const struct addr *a, uint8_t key[ADDR_KEY_BYTES])
{
	struct addr host = addr_host(a);

	addr_key(&host, key);
}

/* Its index, or that of the one whose clock is the least ahead. */
static unsigned find(const struct probes *p, const uint8_t *key, bool *is_known)
{
	unsigned i, least = 0;

	for (i = 0; i < PROBE_HOSTS_MAX; i++) {
		const struct probe_host *h = &p->hosts[i];

		*is_known = h->clock_us != 0 &&
			    memcmp(h->key, key, sizeof(h->key)) == 0;
		if (*is_known)
			return i;
		if (h->clock_us < p->hosts[least].clock_us)
			least = i;
	}
	return least;
}

void probes_on_miss(struct probes *p, const struct addr *a, uint64_t now_us)
{
	uint64_t full_us = now_us + (uint64_t)PROBE_BURST * EVERY_US;
	uint8_t key[ADDR_KEY_BYTES];
	struct probe_host *h;
	bool is_known;

	if (addr_is_loopback(a))
		return;
	key_of(a, key);
	h = &p->hosts[find(p, key, &is_known)];
	memcpy(h->key, key, sizeof(h->key));
	if (!is_known || h->clock_us < now_us)
		h->clock_us = now_us;
	h->clock_us += EVERY_US;
	if (h->clock_us > full_us)
		h->clock_us = full_us;
}

bool probes_is_over(const struct probes *p, const struct addr *a,
		    uint64_t now_us)
{
	uint8_t key[ADDR_KEY_BYTES];
	bool is_known;
	unsigned ix;

	if (addr_is_loopback(a))
		return false;
	key_of(a, key);
	ix = find(p, key, &is_known);
	return is_known &&
	       p->hosts[ix].clock_us >
		       now_us + (PROBE_BURST - 1) * (uint64_t)EVERY_US;
}
