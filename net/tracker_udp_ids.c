/* tracker_udp_ids — a small table, searched in a line: trackers that are spoken
 * to within one minute are few, and losing one costs a round trip. */
#include "net/tracker_udp_ids.h"

#include <stddef.h>

static struct tracker_udp_id *find(struct tracker_udp_ids *ids,
				   const struct addr *from)
{
	for (unsigned i = 0; i < UDP_TRACKER_CONN_IDS; i++)
		if (ids->v[i].used && addr_eq(&ids->v[i].from, from))
			return &ids->v[i];
	return NULL;
}

bool tracker_udp_ids_get(struct tracker_udp_ids *ids, const struct addr *from,
			 uint64_t now_us, uint64_t *id)
{
	const struct tracker_udp_id *c = find(ids, from);

	if (!c ||
	    now_us - c->at_us >= UDP_TRACKER_CONN_ID_S * UINT64_C(1000000))
		return false;
	*id = c->id;
	return true;
}

void tracker_udp_ids_put(struct tracker_udp_ids *ids, const struct addr *from,
			 uint64_t now_us, uint64_t id)
{
	struct tracker_udp_id *c = find(ids, from);

	for (unsigned i = 0; !c && i < UDP_TRACKER_CONN_IDS; i++)
		if (!ids->v[i].used)
			c = &ids->v[i];
	if (!c) {
		c = &ids->v[0];
		for (unsigned i = 1; i < UDP_TRACKER_CONN_IDS; i++)
			if (ids->v[i].at_us < c->at_us)
				c = &ids->v[i];
	}
	*c = (struct tracker_udp_id){
		.from = *from, .id = id, .at_us = now_us, .used = true};
}

void tracker_udp_ids_del(struct tracker_udp_ids *ids, const struct addr *from)
{
	struct tracker_udp_id *c = find(ids, from);

	if (c)
		c->used = false;
}
