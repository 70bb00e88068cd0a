/* mem_piece — a piece that lies in memory in one or many parts, each a counted
 * blk. For store_mem. Thread: loop. */
#ifndef SHOAL_CACHE_MEM_PIECE_H
#define SHOAL_CACHE_MEM_PIECE_H

#include <stdint.h>

struct blk;
struct mem_piece;

int mem_piece_new(struct mem_piece **out);
void mem_piece_free(struct mem_piece *p);

/* mem_piece_put — `data` is what lies at byte `at`, in the place of what did;
 * parts do not overlap. Holds its own reference. 0 or ENOMEM. */
int mem_piece_put(struct mem_piece *p, uint32_t at_bytes, struct blk *data);

/* mem_piece_has — the length of the part at byte `at`; 0: there is none. */
uint32_t mem_piece_has(const struct mem_piece *p, uint32_t at_bytes);

/* mem_piece_bytes — of all parts. */
uint64_t mem_piece_bytes(const struct mem_piece *p);

/* mem_piece_lend — the part in which byte `at` lies, and where in it; or NULL.
 */
struct blk *mem_piece_lend(const struct mem_piece *p, uint32_t at_bytes,
			   uint32_t *at_in_part);

/* mem_piece_read — copy up to `len` bytes from byte `at`; how many. 0: nothing
 * lies there. */
uint32_t mem_piece_read(const struct mem_piece *p, uint32_t at_bytes,
			uint32_t len_bytes, uint8_t *dst);

#endif
