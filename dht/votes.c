/* votes — the last DHT_VOTES networks that spoke, and what each said last.
 *
 * A network is a /16 or a /32 (IPv6), so that whoever wants to choose our
 * address, and with it our id, needs addresses all over the world; of local
 * ones, which cannot hurt (BEP 42 exempts them), each port speaks for itself.
 * Hashes stand for both; they need no key, as a collision gains nothing that
 * lying would not. */
#include "dht/votes.h"

#include <string.h>

#include "core/addr.h"

/* FNV-1a. */
static uint32_t hash(const uint8_t *p, size_t len)
{
	uint32_t h = 2166136261u;

	while (len-- > 0)
		h = (h ^ *p++) * 16777619u;
	return h;
}

static uint32_t host_of(const struct addr *a)
{
	uint8_t compact[ADDR_COMPACT6];

	return hash(compact, addr_to_compact(a, compact) - 2);
}

static uint32_t voter_of(const struct addr *a)
{
	uint8_t compact[ADDR_COMPACT6];
	size_t len = addr_to_compact(a, compact);

	if (!addr_is_local(a))
		len = len == ADDR_COMPACT4 ? 2 : 4;
	return hash(compact, len);
}

bool votes_add(struct votes *v, const struct addr *from,
	       const struct addr *says)
{
	uint32_t voter = voter_of(from);
	uint32_t host = host_of(says);
	uint32_t n_same = 0;
	uint32_t at = 0;

	while (at < v->n && v->vote[at].voter != voter)
		at++;
	if (at == v->n) {
		at = v->next;
		v->next = (uint8_t)((v->next + 1) % DHT_VOTES);
		v->n = (uint8_t)(v->n < DHT_VOTES ? v->n + 1 : DHT_VOTES);
	}
	v->vote[at].voter = voter;
	v->vote[at].says = host;
	for (uint32_t i = 0; i < v->n; i++)
		n_same += v->vote[i].says == host ? 1 : 0;
	return n_same >= DHT_VOTES_NEEDED && n_same * 2 > v->n;
}

void votes_clear(struct votes *v)
{
	memset(v, 0, sizeof(*v));
}
