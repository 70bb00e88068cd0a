/* blk — counted runs of bytes, and the pool that keeps some for reuse.
 *
 * Purpose: a piece's bytes have several readers at once (parked reads, peers,
 * the disk, the hash), and copying them for each would cost more than the
 * network. So they are counted; and since the kernel zeroes every page of
 * fresh memory, freed runs are kept for the next piece of the same length.
 *
 * Words. Class: one length, and the freed blks of that length. A program sees
 * few lengths (the piece length of each active torrent, a last piece here and
 * there), so N_CLASSES are enough; when a new length comes, the class that
 * was used longest ago gives way.
 *
 * Runs of a page or more of any consequence are page-aligned: the kernel
 * copies to and from them fastest, and splice and O_DIRECT could take them.
 *
 * Invariants
 *   1. kept_bytes = the sum of len over all classes' lists <= keep_bytes
 *   2. live_bytes = the sum of len over all blks with refs > 0
 *   3. no two classes have the same length; len 0 means the class is unused
 *
 * Failure: blk_new gives NULL; keeping is never an allocation. */
#include "core/blk.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "core/mem.h"

enum {
	N_CLASSES = 8,
	ALIGN_FROM_BYTES = 64 << 10,
	ALIGN_BYTES = 4096,
};

struct blk_class {
	size_t len;
	struct blk *free;
	uint64_t used; /* the pool's tick at the last use */
};

struct blk_pool {
	size_t keep_bytes;
	size_t kept_bytes;
	size_t live_bytes;
	uint64_t tick;
	struct blk_class classes[N_CLASSES];
};

int blk_pool_new(size_t keep_bytes, struct blk_pool **out)
{
	struct blk_pool *pool = mem_new(struct blk_pool);

	if (pool == NULL)
		return ENOMEM;
	pool->keep_bytes = keep_bytes;
	*out = pool;
	return 0;
}

static void destroy(struct blk *b)
{
	mem_free(b->data);
	mem_free(b);
}

/* The first kept blk of `c`, out of its list; NULL when there is none. */
static struct blk *take_kept(struct blk_pool *pool, struct blk_class *c)
{
	struct blk *b = c->free;

	if (b == NULL)
		return NULL;
	c->free = b->next_free;
	b->next_free = NULL;
	pool->kept_bytes -= b->len;
	return b;
}

static void empty_class(struct blk_pool *pool, struct blk_class *c)
{
	struct blk *b;

	while ((b = take_kept(pool, c)) != NULL)
		destroy(b);
}

void blk_pool_free(struct blk_pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->live_bytes == 0);
	for (int i = 0; i < N_CLASSES; i++)
		empty_class(pool, &pool->classes[i]);
	mem_free(pool);
}

size_t blk_pool_live_bytes(const struct blk_pool *pool)
{
	return pool->live_bytes;
}

/* The class of `len`: the one it has, or the one used longest ago, emptied. */
static struct blk_class *class_of(struct blk_pool *pool, size_t len)
{
	struct blk_class *oldest = &pool->classes[0];

	for (int i = 0; i < N_CLASSES; i++) {
		struct blk_class *c = &pool->classes[i];

		if (c->len == len)
			return c;
		if (c->used < oldest->used)
			oldest = c;
	}
	empty_class(pool, oldest);
	oldest->len = len;
	return oldest;
}

/* Make room to keep `len` more bytes, at the cost of the classes used before
 * `mine`. False when that is not enough. */
static bool make_room(struct blk_pool *pool, const struct blk_class *mine,
		      size_t len)
{
	while (pool->kept_bytes > pool->keep_bytes - len) {
		struct blk_class *oldest = NULL;

		for (int i = 0; i < N_CLASSES; i++) {
			struct blk_class *c = &pool->classes[i];

			if (c == mine || c->free == NULL)
				continue;
			if (oldest == NULL || c->used < oldest->used)
				oldest = c;
		}
		if (oldest == NULL)
			return false;
		destroy(take_kept(pool, oldest));
	}
	return true;
}

static struct blk *make(struct blk_pool *pool, size_t len)
{
	struct blk *b = mem_new(struct blk);

	if (b == NULL)
		return NULL;
	b->data = len >= ALIGN_FROM_BYTES ? mem_alloc_aligned(ALIGN_BYTES, len)
					  : mem_alloc(len);
	if (b->data == NULL) {
		mem_free(b);
		return NULL;
	}
	b->len = len;
	b->pool = pool;
	return b;
}

struct blk *blk_new(struct blk_pool *pool, size_t len)
{
	struct blk *b = NULL;

	for (int i = 0; i < N_CLASSES && b == NULL; i++) {
		struct blk_class *c = &pool->classes[i];

		if (c->len != len)
			continue;
		c->used = ++pool->tick;
		b = take_kept(pool, c);
	}
	if (b == NULL)
		b = make(pool, len);
	if (b == NULL)
		return NULL;
	b->refs = 1;
	pool->live_bytes += len;
	return b;
}

struct blk *blk_hold(struct blk *b)
{
	assert(b->refs > 0 && b->refs < UINT32_MAX);
	b->refs++;
	return b;
}

void blk_drop(struct blk *b)
{
	struct blk_pool *pool;
	struct blk_class *c;

	if (b == NULL)
		return;
	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	pool = b->pool;
	pool->live_bytes -= b->len;
	if (b->len == 0 || b->len > pool->keep_bytes) {
		destroy(b);
		return;
	}
	c = class_of(pool, b->len);
	c->used = ++pool->tick;
	if (!make_room(pool, c, b->len)) {
		destroy(b);
		return;
	}
	b->next_free = c->free;
	c->free = b;
	pool->kept_bytes += b->len;
}
