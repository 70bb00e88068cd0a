/* peerstore — the peers that were announced to us, by info-hash (BEP 5, 33).
 * Embedded in the node; needs no memory until the first announce.
 *
 * Bounded in hashes, in peers of one hash, in all, and of one network. When a
 * bound is reached the announce is taken and something else goes, from the
 * network that has most (fair.h); so a flood drives out itself. A host is one
 * peer of a hash, whatever its port (BEP 33); but on loopback, where many share
 * an address, each port is one.
 *
 * Time: microseconds of the node's clock. Memory: the owner's `hasher` and
 * `rng` are borrowed in each call. Thread: one at a time. */
#ifndef SHOAL_DHT_PEERSTORE_H
#define SHOAL_DHT_PEERSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/queue.h"
#include "dht/bloom.h"
#include "dht/fair.h"
#include "dht/nodeid.h"

struct hasher;
struct hmap;
struct rng;
struct stored_hash;
struct stored_peer;

struct peerstore {
	struct hmap *by_hash; /* NULL before the first announce */
	struct stored_hash **hashes;
	uint32_t n_hashes, room;
	uint32_t hashes_max;
	/* Those announced last are at the ends. */
	TAILQ_HEAD(, stored_hash) hashes_by_age;
	TAILQ_HEAD(, stored_peer) peers_by_age;
	struct fair fair;
};

/* peerstore_init — hashes_max 0: DHT_STORED_HASHES_MAX. */
void peerstore_init(struct peerstore *s, uint32_t hashes_max);
void peerstore_fini(struct peerstore *s);

/* peerstore_announce — `peer` is in the swarm of `hash`; a second time: with
 * this port and seed flag, and as good as new. 0 or ENOMEM (what went to make
 * room is gone then, nothing else). */
int peerstore_announce(struct peerstore *s, uint64_t now_us, struct hasher *h,
		       const struct dht_id *hash, const struct addr *peer,
		       bool is_seed);

/* peerstore_sample — up to `most` peers of one family, at random, into `out`
 * as BEP 23 or BEP 7 write them (6 or 18 bytes each); with `no_seeds` only if
 * they are not known to be seeds. Returns how many. */
size_t peerstore_sample(struct peerstore *s, uint64_t now_us, struct rng *rng,
			const struct dht_id *hash, bool is_6, bool no_seeds,
			uint8_t *out, size_t most);

/* peerstore_filters — BEP 33's, of both families. False: the hash is not
 * here, and the filters are empty. */
bool peerstore_filters(struct peerstore *s, uint64_t now_us,
		       const struct dht_id *hash, struct bloom *seeds,
		       struct bloom *peers);

/* peerstore_hashes — up to `most` different hashes, at random. */
size_t peerstore_hashes(const struct peerstore *s, struct rng *rng,
			struct dht_id *out, size_t most);

/* peerstore_expire — forget what is older than DHT_STORED_PEER_S; nothing so
 * old is ever told, but its memory is given back here. Returns when to call
 * again; UINT64_MAX: not before the next announce. */
uint64_t peerstore_expire(struct peerstore *s, uint64_t now_us);

uint32_t peerstore_count_hashes(const struct peerstore *s);
uint32_t peerstore_count_peers(const struct peerstore *s);

void peerstore_check(const struct peerstore *s);

#endif
