/* offences — a few numbers for each host that broke the protocol lately.
 *
 * What counts is the caller's business: messages that no right client sends,
 * once there is a handshake. Before it anything may come, from port scanners,
 * or from clients that try encryption first.
 *
 * Connections of the same host that are open when he is banned are left alone:
 * behind one address there are honest peers too, and the others end by what
 * they do. For the same reason no ban is for ever (wrong bytes are another
 * thing: bans.h).
 *
 * On loopback a host is everybody, so there it is the port (addr_host): a peer
 * that is dialled is banned like any, one that comes in has a new port each
 * time, and is not.
 *
 * Limit: OFFENCE_HOSTS_MAX hosts. When there are more, the one that would be
 * forgotten first makes room; a ban counts as an offence at its end, so that a
 * crowd does not wash out those who are banned. */
#include "net/offences.h"

#include <string.h>

static struct offender *find(struct offences *o, const uint8_t *key)
{
	unsigned i, first = 0;

	for (i = 0; i < OFFENCE_HOSTS_MAX; i++) {
		struct offender *h = &o->hosts[i];

		if (h->n > 0 && memcmp(h->key, key, sizeof(h->key)) == 0)
			return h;
		if (h->last_us < o->hosts[first].last_us)
			first = i;
	}
	o->hosts[first] = (struct offender){.n = 0};
	memcpy(o->hosts[first].key, key, sizeof(o->hosts[first].key));
	return &o->hosts[first];
}

static void ban(struct offender *h, uint64_t now_us)
{
	uint64_t first_us = (uint64_t)OFFENCE_BAN_MS * 1000;
	uint64_t most_us = (uint64_t)OFFENCE_BAN_MAX_MS * 1000;

	h->ban_us = h->ban_us == 0 ? first_us : 2 * h->ban_us;
	if (h->ban_us > most_us)
		h->ban_us = most_us;
	h->until_us = now_us + h->ban_us;
	h->last_us = h->until_us;
}

bool offences_on(struct offences *o, const struct addr *a, uint64_t now_us)
{
	struct addr host = addr_host(a);
	uint8_t key[ADDR_KEY_BYTES];
	struct offender *h;

	addr_key(&host, key);
	h = find(o, key);
	if (now_us < h->until_us)
		return false; /* another connection, from before */
	if (now_us >= h->last_us + (uint64_t)OFFENCE_FORGET_MS * 1000) {
		h->n = 0;
		h->ban_us = 0;
	}
	h->last_us = now_us;
	if (h->n < OFFENCE_BURST)
		h->n++;
	if (h->n < OFFENCE_BURST)
		return false;
	ban(h, now_us);
	return true;
}

uint64_t offences_until_us(const struct offences *o, const struct addr *a,
			   uint64_t now_us)
{
	struct addr host = addr_host(a);
	uint8_t key[ADDR_KEY_BYTES];
	unsigned i;

	addr_key(&host, key);
	for (i = 0; i < OFFENCE_HOSTS_MAX; i++)
		if (o->hosts[i].until_us > now_us &&
		    memcmp(o->hosts[i].key, key, sizeof(key)) == 0)
			return o->hosts[i].until_us;
	return 0;
}
