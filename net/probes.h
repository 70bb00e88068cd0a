/* probes — hosts that ask for torrents that we do not have: how often they may.
 * Pure: the time comes in.
 *
 * Who asks for one info-hash after the other learns from the one that is
 * answered what somebody here reads. So each host has PROBE_BURST misses, and
 * one more each PROBE_EVERY_MS; past that he is not heard. On loopback a host
 * is everybody, and has as many as he likes. */
#ifndef SHOAL_NET_PROBES_H
#define SHOAL_NET_PROBES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "net/net_limits.h"

struct probe_host {
	uint8_t key[ADDR_KEY_BYTES];
	uint64_t clock_us; /* 0: nobody's; see probes.c */
};

/* All zeros: nobody has probed yet. */
struct probes {
	struct probe_host hosts[PROBE_HOSTS_MAX];
};

/* probes_on_miss — `a` asked for what we do not have. */
void probes_on_miss(struct probes *p, const struct addr *a, uint64_t now_us);

/* probes_is_over — he had all his misses: do not listen to him. */
bool probes_is_over(const struct probes *p, const struct addr *a,
		    uint64_t now_us);

#endif
