/* layers_leaves — a cache of pieces' leaves: those that are known of a piece
 * lie in one run, so that each costs 32 bytes and a bit. The piece whose leaves
 * nobody used for longest goes first.
 *
 * A piece's key is its tree and its number there, so files that are equal share
 * it. */
#include "core/layers_internal.h"

#include <string.h>

#include "core/core_limits.h"
#include "core/hmap.h"
#include "core/mem.h"

static uint64_t key_of(const struct layers_shape *s, uint32_t nth)
{
	return (uint64_t)s->file_ix << 32 | nth;
}

static size_t bytes_of(const struct layers_leaves *l)
{
	return (size_t)l->n * HASH_SHA256_BYTES;
}

static void forget(struct layers *ls, struct layers_leaves *l)
{
	ls->leaves_bytes -= bytes_of(l);
	TAILQ_REMOVE(&ls->lru, l, link);
	(void)hmap_del(ls->leaves, &l->key);
	bits_fini(&l->known);
	mem_free(l->hash);
	mem_free(l);
}

const struct layers_leaves *layers_leaves_look(const struct layers *ls,
					       const struct layers_shape *s,
					       uint32_t nth)
{
	uint64_t key = key_of(s, nth);

	return hmap_get(ls->leaves, &key);
}

struct layers_leaves *layers_leaves_get(struct layers *ls,
					const struct layers_shape *s,
					uint32_t nth)
{
	uint64_t key = key_of(s, nth);
	struct layers_leaves *l = hmap_get(ls->leaves, &key);

	if (l == NULL)
		return NULL;
	TAILQ_REMOVE(&ls->lru, l, link);
	TAILQ_INSERT_HEAD(&ls->lru, l, link);
	return l;
}

static struct layers_leaves *leaves_new(uint64_t key, uint32_t n)
{
	struct layers_leaves *l = mem_new(struct layers_leaves);

	if (l == NULL)
		return NULL;
	l->key = key;
	l->n = n;
	l->hash = mem_zalloc(n, HASH_SHA256_BYTES);
	if (l->hash == NULL)
		goto free_leaves;
	if (bits_init(&l->known, n) != 0)
		goto free_hash;
	return l;
free_hash:
	mem_free(l->hash);
free_leaves:
	mem_free(l);
	return NULL;
}

/* The new one stays, however large it is. */
static void make_room(struct layers *ls)
{
	struct layers_leaves *newest = TAILQ_FIRST(&ls->lru), *last;

	while (ls->leaves_bytes > LAYERS_LEAVES_BYTES) {
		last = TAILQ_LAST(&ls->lru, layers_leaves_list);
		if (last == newest)
			return;
		forget(ls, last);
	}
}

struct layers_leaves *layers_leaves_make(struct layers *ls,
					 const struct layers_shape *s,
					 uint32_t nth)
{
	struct layers_leaves *l = layers_leaves_get(ls, s, nth);

	if (l != NULL)
		return l;
	l = leaves_new(key_of(s, nth), layers_n_leaves(s, nth));
	if (l == NULL)
		return NULL;
	if (hmap_put(ls->leaves, &l->key, l) != 0) {
		bits_fini(&l->known);
		mem_free(l->hash);
		mem_free(l);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&ls->lru, l, link);
	ls->leaves_bytes += bytes_of(l);
	make_room(ls);
	return l;
}

void layers_leaves_free_all(struct layers *ls)
{
	struct layers_leaves *l;

	while ((l = TAILQ_FIRST(&ls->lru)) != NULL)
		forget(ls, l);
}

bool layers_leaf(struct layers *ls, uint32_t piece_ix, uint32_t block,
		 uint8_t out[HASH_SHA256_BYTES])
{
	const struct layers_leaves *l;
	const uint8_t *hash = NULL;
	struct layers_shape s;
	uint32_t nth;

	if (!layers_at(ls, piece_ix, &s, &nth) ||
	    block >= layers_n_leaves(&s, nth))
		return false;
	l = layers_leaves_get(ls, &s, nth);
	if (s.piece_level == 0)
		hash = layers_hash(&s, nth);
	else if (l != NULL && bits_has(&l->known, block))
		hash = l->hash + (size_t)block * HASH_SHA256_BYTES;
	if (hash != NULL)
		memcpy(out, hash, HASH_SHA256_BYTES);
	return hash != NULL;
}

void layers_drop_leaves(struct layers *ls, uint32_t piece_ix)
{
	struct layers_leaves *l;
	struct layers_shape s;
	uint32_t nth;

	if (!layers_at(ls, piece_ix, &s, &nth))
		return;
	l = layers_leaves_get(ls, &s, nth);
	if (l != NULL)
		forget(ls, l);
}
