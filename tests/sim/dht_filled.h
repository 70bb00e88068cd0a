/* dht_filled — what a node has that lived among many for a day: a table, and
 * peers of some hashes. For measurements of what it answers. */
#ifndef SHOAL_SIM_DHT_FILLED_H
#define SHOAL_SIM_DHT_FILLED_H

#include <stdint.h>

#include "dht/nodeid.h"

struct dht_node;
struct hasher;

enum { FILLED_CONTACTS = 400, FILLED_HASHES = 256 };

/* filled_target — the i-th of its hashes; any `i`, in turn. */
void filled_target(uint32_t i, struct dht_id *out);

void filled_node(struct dht_node *node, struct hasher *hasher, uint64_t now_us);

#endif
