/* hashkeep — hashes of v2 trees in the store: what is known is put there, and
 * read back, untrusted, when the torrent is there again. Thread: loop. Owner:
 * the torrent, while it has v2. */
#ifndef SHOAL_NET_HASHKEEP_H
#define SHOAL_NET_HASHKEEP_H

#include <stdint.h>

struct hash_span;
struct hashkeep;
struct torrent;

/* The hashes of `n` pieces from `piece_ix` on were read back, and are right. */
typedef void hashkeep_fn(void *arg, uint32_t piece_ix, uint32_t n);

int hashkeep_new(struct torrent *t, hashkeep_fn *on_known, void *arg,
		 struct hashkeep **out);

/* hashkeep_start — READY: read back the piece hashes that did not come with the
 * metadata, and keep those that did; a span at a time. hashkeep_stop — the
 * pieces are about to be closed. NULL is fine, as to hashkeep_free. */
void hashkeep_start(struct hashkeep *hk);
void hashkeep_stop(struct hashkeep *hk);
void hashkeep_free(struct hashkeep *hk);

/* hashkeep_put — keep a proven span, as layers_add took it. */
void hashkeep_put(struct hashkeep *hk, const struct hash_span *span,
		  const uint8_t *hashes);

/* hashkeep_put_leaves — keep all leaves of a piece. */
void hashkeep_put_leaves(struct hashkeep *hk, uint32_t piece_ix,
			 const uint8_t *leaves, uint32_t n);

/* hashkeep_get_leaves — are they there? If so core/layers has them when `done`
 * runs, later, with 0; else ENOENT. Not when hashkeep_stop came before. One at
 * a time. 0; EBUSY, ENOMEM, or EINVAL when this store keeps none. */
typedef void hashkeep_leaves_fn(void *arg, int err);
int hashkeep_get_leaves(struct hashkeep *hk, uint32_t piece_ix,
			hashkeep_leaves_fn *done, void *arg);

#endif
