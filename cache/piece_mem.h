/* piece_mem — how much memory all torrents' pieces may take together; for
 * pieces.c and its other halves. What others may ask of it is in
 * pieces_read.h. Thread: loop. */
#ifndef SHOAL_CACHE_PIECE_MEM_H
#define SHOAL_CACHE_PIECE_MEM_H

#include <stdbool.h>
#include <stdint.h>

struct piece_mem;
struct pieces;
struct slot;

/* piece_mem_join — there is one more torrent; _part: one less. */
void piece_mem_join(struct piece_mem *pm);
void piece_mem_part(struct piece_mem *pm);

/* piece_mem_count — so many bytes more are unverified. EAGAIN over the cap, or
 * over what one torrent may have of it; the pieces are starved then. _force:
 * whatever the cap says. */
int piece_mem_count(struct piece_mem *pm, struct pieces *ps, uint64_t bytes);
void piece_mem_force(struct piece_mem *pm, struct pieces *ps, uint64_t bytes);
void piece_mem_uncount(struct piece_mem *pm, struct pieces *ps, uint64_t bytes);

/* piece_mem_may_begin — false: the workers are behind with what is full; the
 * pieces are starved then. piece_mem_queue — they have the slot's blk, too;
 * _unqueue: not any more, if they had. */
bool piece_mem_may_begin(struct piece_mem *pm, struct pieces *ps,
			 uint32_t bytes);
void piece_mem_queue(struct slot *s);
void piece_mem_unqueue(struct slot *s);

/* piece_mem_uncount_slot — those of its blk, if they are counted. */
void piece_mem_uncount_slot(struct slot *s);
void piece_mem_unstarve(struct pieces *ps);

/* piece_mem_keep — the slot's buffer is recent now. _use: was used. _forget:
 * is not any more; the buffer stays. */
void piece_mem_keep(struct slot *s);
void piece_mem_use(struct slot *s);
void piece_mem_forget(struct slot *s);

/* piece_mem_trim — drop buffers until the cap is kept; on_lost may run. */
void piece_mem_trim(struct piece_mem *pm);

#endif
