/* dht_filled — contacts and peers put where answers and announces put them. */
#include "tests/sim/dht_filled.h"

#include "core/be.h"
#include "core/rng.h"
#include "dht/node_internal.h"

enum { PEERS_OF_EACH = 4 };

void filled_target(uint32_t i, struct dht_id *out)
{
	for (uint32_t k = 0; k < DHT_ID_BYTES; k++)
		out->b[k] = (uint8_t)((i % FILLED_HASHES) * 167 + k * 31);
}

void filled_node(struct dht_node *node, struct hasher *hasher, uint64_t now_us)
{
	struct rng rng = {.state = 1};

	for (uint32_t i = 0; i < FILLED_CONTACTS; i++) {
		struct addr a = {.in4 = {.sin_family = AF_INET}};
		struct dht_id id;

		for (int k = 0; k < DHT_ID_BYTES; k += 4)
			be32_put(id.b + k, (uint32_t)rng_next(&rng));
		a.in4.sin_port = htons(6881);
		a.in4.sin_addr.s_addr = htonl(0x1e000001 + (i << 8));
		(void)routing_on_answer(&node->half[DHT_IPV4].routing, &id, &a,
					50000, node_tick(node, now_us));
	}
	for (uint32_t i = 0; i < FILLED_HASHES * PEERS_OF_EACH; i++) {
		struct addr a = {.in4 = {.sin_family = AF_INET}};
		struct dht_id target;

		filled_target(i, &target);
		a.in4.sin_port = htons(7000);
		a.in4.sin_addr.s_addr = htonl(0x28000001 + (i << 8));
		(void)peerstore_announce(&node->peers, now_us, hasher, &target,
					 &a, false);
	}
}
