/* dialpace — a clock for each host and each source, set forward by each dial.
 *
 * A clock that is `burst` intervals ahead of the time is full: the next dial is
 * due when it is one less ahead (the GCRA of leaky buckets). One that the time
 * has overtaken is as good as none, and is forgotten when room is needed.
 *
 *                        burst   then one every
 *   a host, by gossip    DIAL_GOSSIP_HOST_BURST    DIAL_GOSSIP_HOST_MS
 *   a host, by trackers  DIAL_TOLD_HOST_BURST      DIAL_TOLD_HOST_MS
 *   all gossip           DIAL_GOSSIP_BURST         DIAL_GOSSIP_MS
 *   all trackers         DIAL_TOLD_BURST           DIAL_TOLD_MS
 *
 * Gossip's pace is the slower one by far: it costs nothing to tell, and many
 * tell it. A tracker was chosen by the torrent's author; several peers behind
 * one address (a seedbox, a university) are its usual business, so some are
 * dialled at once. What trackers make us dial counts for gossip too.
 *
 * Limit: DIAL_HOSTS_MAX hosts with a running clock; when they are too many, all
 * sources' clocks have run for minutes, and nobody else is dialled but by name.
 */
#include "net/dialpace.h"

#include <string.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "net/net_limits.h"

struct host {
	uint8_t key[ADDR_KEY_BYTES];
	uint64_t gossip_us, told_us;
};

struct dialpace {
	struct hmap *hosts;
	uint64_t gossip_us, told_us;
};

struct pace {
	unsigned burst;
	unsigned every_ms;
};

static const struct pace gossip_host = {DIAL_GOSSIP_HOST_BURST,
					DIAL_GOSSIP_HOST_MS};
static const struct pace told_host = {DIAL_TOLD_HOST_BURST, DIAL_TOLD_HOST_MS};
static const struct pace gossip_all = {DIAL_GOSSIP_BURST, DIAL_GOSSIP_MS};
static const struct pace told_all = {DIAL_TOLD_BURST, DIAL_TOLD_MS};

int dialpace_new(struct dialpace **out)
{
	struct dialpace *d = mem_new(struct dialpace);
	int r;

	if (d == NULL)
		return ENOMEM;
	r = hmap_new(ADDR_KEY_BYTES, &d->hosts);
	if (r != 0) {
		mem_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void dialpace_free(struct dialpace *d)
{
	struct host *h;
	size_t pos = 0;

	if (d == NULL)
		return;
	while ((h = hmap_next(d->hosts, &pos)) != NULL)
		mem_free(h);
	hmap_free(d->hosts);
	mem_free(d);
}

/* ---- clocks ---- */

static uint64_t due_us(uint64_t clock_us, const struct pace *p)
{
	uint64_t ahead_us = (uint64_t)(p->burst - 1) * p->every_ms * 1000;

	return clock_us > ahead_us ? clock_us - ahead_us : 0;
}

static void set_forward(uint64_t *clock_us, const struct pace *p,
			uint64_t now_us)
{
	if (*clock_us < now_us)
		*clock_us = now_us;
	*clock_us += (uint64_t)p->every_ms * 1000;
}

static void set_back(uint64_t *clock_us, const struct pace *p)
{
	uint64_t us = (uint64_t)p->every_ms * 1000;

	*clock_us = *clock_us > us ? *clock_us - us : 0;
}

/* ---- hosts ---- */

static void key_of(const struct addr *a, uint8_t key[ADDR_KEY_BYTES])
{
	struct addr host = addr_host(a);

	addr_key(&host, key);
}

static struct host *find(const struct dialpace *d, const struct addr *a)
{
	uint8_t key[ADDR_KEY_BYTES];

	key_of(a, key);
	return hmap_get(d->hosts, key);
}

static bool is_free(const struct addr *a, enum addrbook_from from)
{
	return from == ADDRBOOK_NAMED || addr_is_loopback(a);
}

static void forget_old(struct dialpace *d, uint64_t now_us)
{
	struct host *h;
	size_t pos = 0;

	while ((h = hmap_next(d->hosts, &pos)) != NULL) {
		if (h->gossip_us > now_us || h->told_us > now_us)
			continue;
		(void)hmap_del(d->hosts, h->key);
		mem_free(h);
	}
}

static int add(struct dialpace *d, const struct addr *a, uint64_t now_us,
	       struct host **out)
{
	struct host *h;
	int r;

	if (hmap_count(d->hosts) >= DIAL_HOSTS_MAX)
		forget_old(d, now_us);
	if (hmap_count(d->hosts) >= DIAL_HOSTS_MAX)
		return E2BIG;
	h = mem_new(struct host);
	if (h == NULL)
		return ENOMEM;
	key_of(a, h->key);
	r = hmap_put(d->hosts, h->key, h);
	if (r != 0)
		mem_free(h);
	else
		*out = h;
	return r;
}

/* ---- the face ---- */

uint64_t dialpace_when_us(const struct dialpace *d, const struct addr *a,
			  enum addrbook_from from, uint64_t now_us)
{
	bool is_gossip = from == ADDRBOOK_GOSSIP;
	const struct host *h = find(d, a);
	uint64_t all_us, host_us = 0;

	if (is_free(a, from))
		return now_us;
	all_us = is_gossip ? due_us(d->gossip_us, &gossip_all)
			   : due_us(d->told_us, &told_all);
	if (h != NULL)
		host_us = is_gossip ? due_us(h->gossip_us, &gossip_host)
				    : due_us(h->told_us, &told_host);
	return all_us > host_us ? all_us : host_us;
}

int dialpace_on_dial(struct dialpace *d, const struct addr *a,
		     enum addrbook_from from, uint64_t now_us)
{
	struct host *h = find(d, a);
	int r = 0;

	if (is_free(a, from))
		return 0;
	if (h == NULL)
		r = add(d, a, now_us, &h);
	if (r != 0)
		return r;
	set_forward(&h->gossip_us, &gossip_host, now_us);
	if (from == ADDRBOOK_GOSSIP) {
		set_forward(&d->gossip_us, &gossip_all, now_us);
	} else {
		set_forward(&h->told_us, &told_host, now_us);
		set_forward(&d->told_us, &told_all, now_us);
	}
	return 0;
}

void dialpace_on_up(struct dialpace *d, const struct addr *a)
{
	struct host *h = find(d, a);

	if (h == NULL)
		return;
	set_back(&h->gossip_us, &gossip_host);
	set_back(&h->told_us, &told_host);
}
