/* heap — a binary heap of things that fall due: the least key first, equal
 * keys in the order they were added. Nodes are embedded in their owners.
 *
 * Room is made when an owner is made, so that adding never fails. Thread: the
 * owner's. */
#ifndef SHOAL_CORE_HEAP_H
#define SHOAL_CORE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;
	/* heap.c's own */
	uint64_t seq;
	size_t at; /* place in the heap + 1; 0: not in it */
};

struct heap {
	struct heap_node **nodes;
	size_t n;
	size_t room;
	uint64_t next_seq;
};

/* heap_init / heap_fini — {0} is an empty heap too. */
void heap_init(struct heap *h);
void heap_fini(struct heap *h);

/* heap_reserve — from now on `n` nodes can be in. 0 or ENOMEM. */
int heap_reserve(struct heap *h, size_t n);

/* heap_add — keeps `node`, which is not in any heap, under `key`. There must
 * be room. */
void heap_add(struct heap *h, struct heap_node *node, uint64_t key);

/* heap_del — take `node` out; it must be in. */
void heap_del(struct heap *h, struct heap_node *node);

/* heap_first — the least one, lent; NULL when empty. */
struct heap_node *heap_first(const struct heap *h);

/* heap_has — `node`, zeroed at birth, is in its heap. */
bool heap_has(const struct heap_node *node);

/* heap_check — assert the order and the places. */
void heap_check(const struct heap *h);

#endif
