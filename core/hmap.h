/* hmap — a hash table from fixed-length byte keys to pointers; open
 * addressing, keyed hash (an attacker chooses many of our keys). */
#ifndef SHOAL_CORE_HMAP_H
#define SHOAL_CORE_HMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hmap;

/* hmap_new — keys of `key_len` bytes (1 … 64). 0 or ENOMEM. */
int hmap_new(size_t key_len, struct hmap **out);
void hmap_free(struct hmap *m);

/* hmap_new_within — keys are not copied: a value has its own at `key_at`, which
 * does not change while it is in the map, and is what hmap_put gets as key. */
int hmap_new_within(size_t key_len, size_t key_at, struct hmap **out);

/* hmap_reserve — so many values need no more memory. 0 or ENOMEM. */
int hmap_reserve(struct hmap *m, size_t n);

/* hmap_put — copies the key; keeps `value`, never NULL. 0, EEXIST (nothing
 * changed), or ENOMEM. */
int hmap_put(struct hmap *m, const void *key, void *value);

/* hmap_get / hmap_del — the value, or NULL. */
void *hmap_get(const struct hmap *m, const void *key);
void *hmap_del(struct hmap *m, const void *key);

size_t hmap_count(const struct hmap *m);

/* hmap_next — walk, in no order: *pos starts at 0; NULL at the end, and after
 * it. Each value comes once. The map must not be changed meanwhile, except by
 * hmap_del of what was just returned: nothing is then skipped or seen twice. */
void *hmap_next(const struct hmap *m, size_t *pos);

#endif
