/* bans — a set of addresses.
 *
 * An entry is an addr_key; a whole host (addr_host) has port 0, which no peer
 * can have. A liar comes back from another port, so his host is banned. On
 * loopback a host is everybody (test swarms, several clients of one machine),
 * so there it is the port.
 *
 * Limit: past NET_BANS_MAX nothing is added: a swarm that makes us ban
 * thousands is hostile as a whole, and what still protects is that each of
 * its bytes is verified. */
#include "net/bans.h"

#include "core/err.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "net/net_limits.h"

struct bans {
	struct hmap *set;
};

int bans_new(struct bans **out)
{
	struct bans *b = mem_new(struct bans);
	int r;

	if (b == NULL)
		return ENOMEM;
	r = hmap_new(ADDR_KEY_BYTES, &b->set);
	if (r != 0) {
		mem_free(b);
		return r;
	}
	*out = b;
	return 0;
}

void bans_free(struct bans *b)
{
	if (b == NULL)
		return;
	hmap_free(b->set);
	mem_free(b);
}

static void add(struct bans *b, const struct addr *a)
{
	uint8_t key[ADDR_KEY_BYTES];

	if (hmap_count(b->set) >= NET_BANS_MAX)
		return;
	addr_key(a, key);
	/* The set needs no values, hmap wants one. Without memory the peer
	 * may come back: it is caught again. */
	(void)hmap_put(b->set, key, b);
}

void bans_add_port(struct bans *b, const struct addr *a)
{
	add(b, a);
}

void bans_add_host(struct bans *b, const struct addr *a)
{
	struct addr host = addr_host(a);

	add(b, &host);
}

bool bans_has(const struct bans *b, const struct addr *a)
{
	struct addr host = addr_host(a);
	uint8_t key[ADDR_KEY_BYTES];

	addr_key(a, key);
	if (hmap_get(b->set, key) != NULL)
		return true;
	addr_key(&host, key);
	return hmap_get(b->set, key) != NULL;
}
