/* heap — a binary min-heap of embedded nodes.
 *
 * The array is the usual one: the children of place i lie at 2i+1 and 2i+2.
 * Each node knows its place, so that it can be taken out from the middle in
 * O(log n). A sequence number breaks ties, so that equal keys come out in the
 * order they went in and a run can be replayed.
 *
 * Invariants (heap_check)
 *   1. no node comes before its parent
 *   2. nodes[i]->at == i + 1
 *   3. n <= room */
#include "core/heap.h"

#include <assert.h>
#include <errno.h>

#include "core/mem.h"

enum { ROOM_MIN = 16 };

void heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
	mem_free(h->nodes);
	heap_init(h);
}

int heap_reserve(struct heap *h, size_t n)
{
	size_t room = h->room != 0 ? h->room : ROOM_MIN;
	struct heap_node **nodes;

	if (n <= h->room)
		return 0;
	while (room < n)
		room *= 2;
	nodes = mem_grow(h->nodes, room, sizeof(struct heap_node *));
	if (nodes == NULL)
		return ENOMEM;
	h->nodes = nodes;
	h->room = room;
	return 0;
}

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
	h->nodes[i] = node;
	node->at = i + 1;
}

/* Place `node`, whose place would be `i`, at `i` or above it. */
static void rise(struct heap *h, size_t i, struct heap_node *node)
{
	while (i > 0) {
		size_t up = (i - 1) / 2;

		if (!is_before(node, h->nodes[up]))
			break;
		put(h, i, h->nodes[up]);
		i = up;
	}
	put(h, i, node);
}

/* Place `node` at `i` or below it. */
static void sink(struct heap *h, size_t i, struct heap_node *node)
{
	for (;;) {
		size_t down = 2 * i + 1;

		if (down >= h->n)
			break;
		if (down + 1 < h->n &&
		    is_before(h->nodes[down + 1], h->nodes[down]))
			down++;
		if (!is_before(h->nodes[down], node))
			break;
		put(h, i, h->nodes[down]);
		i = down;
	}
	put(h, i, node);
}

void heap_add(struct heap *h, struct heap_node *node, uint64_t key)
{
	assert(node->at == 0);
	assert(h->n < h->room);
	node->key = key;
	node->seq = h->next_seq++;
	h->n++;
	rise(h, h->n - 1, node);
}

void heap_del(struct heap *h, struct heap_node *node)
{
	size_t i = node->at - 1;
	struct heap_node *last;

	assert(i < h->n && h->nodes[i] == node);
	node->at = 0;
	h->n--;
	last = h->nodes[h->n];
	if (last == node)
		return;
	if (i > 0 && is_before(last, h->nodes[(i - 1) / 2]))
		rise(h, i, last);
	else
		sink(h, i, last);
}

struct heap_node *heap_first(const struct heap *h)
{
	return h->n > 0 ? h->nodes[0] : NULL;
}

bool heap_has(const struct heap_node *node)
{
	return node->at != 0;
}

void heap_check(const struct heap *h)
{
	assert(h->n <= h->room);
	for (size_t i = 0; i < h->n; i++) {
		assert(h->nodes[i]->at == i + 1);
		assert(i == 0 ||
		       !is_before(h->nodes[i], h->nodes[(i - 1) / 2]));
	}
}
