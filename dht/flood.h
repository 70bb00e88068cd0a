/* flood — who asks too much is not answered. A bucket of DHT_ASKS_BURST
 * queries for each host (IPv6: its /64), filled again by DHT_ASKS_PER_S; who
 * finds his empty is not heard for DHT_SILENT_S.
 *
 * While all hosts together ask less than one may, nothing is kept of each;
 * beyond that, a table of fixed size, which goes again when it is calm. With
 * more hosts than it has places those that ask least are forgotten, so a flood
 * of forged senders does not hide one who floods.
 *
 * Answers to our own queries are not to be counted: else whoever forges a
 * sender could keep us from hearing him. */
#ifndef SHOAL_DHT_FLOOD_H
#define SHOAL_DHT_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/siphash.h"

struct flood_host;

/* Queries that may still be asked, in thousandths; right at a time. */
struct flood_bucket {
	uint64_t at_us;
	uint32_t left;
	bool is_silent; /* since at_us */
};

struct flood {
	struct flood_host *hosts; /* NULL while it is calm */
	struct siphash_key secret;
	struct flood_bucket all;
	uint64_t busy_us; /* when `all` was empty last */
	uint32_t burst;	  /* queries; 0: no limit */
	uint32_t per_s;
};

/* flood_init — `burst` 0: nobody is ever refused; else `per_s` is not 0. */
void flood_init(struct flood *f, const struct siphash_key *secret,
		uint32_t burst, uint32_t per_s);
void flood_fini(struct flood *f);

/* flood_admits — a query of the host of `a` came; answer it? Without memory
 * all hosts are one. */
bool flood_admits(struct flood *f, uint64_t now_us, const struct addr *a);

#endif
