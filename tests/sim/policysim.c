/* policysim [SEED] — hit ratios of eviction policies on traces of pieces of 1
 * MiB: five out of the literature, and cache/evict.c. `bench policy` runs it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/policy.h"

static void print_row(const struct trace_kind *kind, const struct trace *t,
		      uint32_t room)
{
	printf("%-10s %4u GiB", kind->name, room >> 10);
	for (unsigned i = 0; i < POLICY_RIVALS; i++)
		printf(" %9.1f", 100 * policy_try(&policy_rivals[i], t, room));
	printf(" %9.1f\n", 100 * policy_try(&policy_ours, t, room));
}

int main(int argc, char **argv)
{
	static const uint32_t rooms[] = {1 << 10, 4 << 10, 16 << 10};
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	struct trace t;

	for (unsigned k = 0; k < TRACE_KINDS; k++)
		printf("%s: %s\n", trace_kinds[k].name, trace_kinds[k].what);
	printf("hits, percent; seed %llu\n\n%-10s %8s",
	       (unsigned long long)seed, "trace", "room");
	for (unsigned i = 0; i < POLICY_RIVALS; i++)
		printf(" %9s", policy_rivals[i].name);
	printf(" %9s\n", policy_ours.name);
	for (unsigned k = 0; k < TRACE_KINDS; k++) {
		trace_kinds[k].make(&t, seed);
		for (unsigned i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
			print_row(&trace_kinds[k], &t, rooms[i]);
		trace_free(&t);
	}
	return 0;
}
