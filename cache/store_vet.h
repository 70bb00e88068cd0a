/* store_vet — held pieces that may not be what was written: the part of store.h
 * that is about what others do to the store's files. Thread: loop. */
#ifndef SHOAL_CACHE_STORE_VET_H
#define SHOAL_CACHE_STORE_VET_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/store.h"

/* store_is_doubtful — the piece is held, but somebody else has changed the file
 * that it lies in, or the process ended before it was known how that was left:
 * whoever reads it hashes it first (store_vet). */
bool store_is_doubtful(const struct store_torrent *st, uint32_t piece_ix);

/* What is wanted of it. Copied; `dst` is kept. */
struct vet_ask {
	const uint8_t *root; /* or NULL; as metainfo_judge_piece has it */
	bool is_hurried;     /* somebody waits */
	/* What is hashed is also copied there, of this part of the piece. So
	 * it is right if the hash is, whatever becomes of the file. NULL: it
	 * is not. */
	uint8_t *dst;
	uint32_t at_bytes, len_bytes;
};

/* store_vet — hash a piece where it lies. `done`: 0, and it is not doubtful any
 * more; EBUSY: it was right as it was hashed, and is doubtful; EBADMSG: it is
 * wrong; EAGAIN: it was changed meanwhile; EIO: it is not there. ENOTSUP:
 * nobody else can change what this store has. No cancel. */
int store_vet(struct store_torrent *st, uint32_t piece_ix,
	      const struct vet_ask *ask, store_read_fn *done, void *arg);

/* store_next_offer — the first piece from `from` on that the store might have:
 * files of the user's are there for it, and nobody has looked into them. It is
 * held only once store_vet has said 0 of it; whatever else that says, it is
 * offered no more. No number of a piece: there is none. */
uint32_t store_next_offer(const struct store_torrent *st, uint32_t from);

#endif
