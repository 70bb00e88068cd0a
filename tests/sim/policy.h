/* policy — eviction policies in one shape, and traces to try them on. All
 * pieces are of one size; a use is a reader's visit to a piece, however many
 * reads it takes. Everything follows from the seed. */
#ifndef SHOAL_SIM_POLICY_H
#define SHOAL_SIM_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* A policy in a cache of `room` pieces. `use` says whether the piece was there;
 * it is after that. `is_end`: it is the first or the last of its file. */
struct policy {
	const char *name;
	void *(*make)(uint32_t room, uint32_t n_keys);
	bool (*use)(void *p, uint32_t key, bool is_end);
	void (*end)(void *p);
};

enum { POLICY_RIVALS = 5 };
extern const struct policy policy_rivals[POLICY_RIVALS];
extern const struct policy policy_ours; /* cache/evict.h */

struct trace {
	uint32_t *keys;
	uint64_t n, room_for;
	uint32_t n_keys;
	uint8_t *is_end; /* a byte a key */
};

struct trace_kind {
	const char *name;
	const char *what;
	void (*make)(struct trace *t, uint64_t seed);
};

enum { TRACE_KINDS = 4 };
extern const struct trace_kind trace_kinds[TRACE_KINDS];

void trace_free(struct trace *t);

/* policy_try — the share of uses that found their piece. */
double policy_try(const struct policy *p, const struct trace *t, uint32_t room);

#endif
