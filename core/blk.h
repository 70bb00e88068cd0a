/* blk — a counted run of bytes: a piece on its way to readers, peers and the
 * disk at once. It and struct metainfo are all that has a reference count.
 *
 * Thread: loop. A job that needs the bytes is given a reference by the loop
 * before it is submitted, and the loop drops it after the reply, so the count
 * itself is never touched off the loop. Once a blk's bytes were verified they
 * never change. */
#ifndef SHOAL_CORE_BLK_H
#define SHOAL_CORE_BLK_H

#include <stddef.h>
#include <stdint.h>

struct blk_pool;

struct blk {
	uint8_t *data;
	size_t len; /* bytes */
	/* the rest belongs to blk.c */
	struct blk_pool *pool;
	uint32_t refs;
	struct blk *next_free;
};

/* blk_pool_new — a pool that keeps up to `keep_bytes` of freed buffers for
 * reuse: first touch of fresh memory costs more than the copy into it. */
int blk_pool_new(size_t keep_bytes, struct blk_pool **out);

/* blk_pool_free — every blk must have been dropped. */
void blk_pool_free(struct blk_pool *pool);

/* blk_pool_live_bytes — bytes in blks that somebody holds. */
size_t blk_pool_live_bytes(const struct blk_pool *pool);

/* blk_new — `len` uninitialised bytes with one reference; gives. NULL when
 * there is no memory. */
struct blk *blk_new(struct blk_pool *pool, size_t len);

/* blk_hold — one more reference; returns `b`. */
struct blk *blk_hold(struct blk *b);

/* blk_drop — one less; the last one gives the memory back. NULL is fine. */
void blk_drop(struct blk *b);

#endif
