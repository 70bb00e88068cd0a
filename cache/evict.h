/* evict — which of the things that are kept goes first when there is no room:
 * W-TinyLFU (Einziger, Friedman and Manes 2017). Pure: no I/O, no clock; what
 * an item is, the owner knows.
 *
 * What comes is in the window, which has a hundredth of the room. From there it
 * gets into the main part only if it was used more often than what would have
 * to go for it: how often things were used is counted for those, too, that are
 * not kept (any more), in a sketch that forgets by halves. In the main part,
 * what was used again is protected from what was not. So what is read once, and
 * be it a terabyte, takes the place of nothing that is read again and again.
 *
 * Each call costs a constant. Sizes of items differ; the parts are bounded by
 * bytes. A use is a visit: reads that follow each other in one item are one.
 * Thread: the owner's. */
#ifndef SHOAL_CACHE_EVICT_H
#define SHOAL_CACHE_EVICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/queue.h"

enum evict_part {
	EVICT_OUT, /* it is not here */
	EVICT_WINDOW,
	EVICT_PROBATION,
	EVICT_PROTECTED,
};
enum { EVICT_PARTS = 4, EVICT_ROWS = 4, EVICT_RECENT = 16 };

/* Embedded in its owner; zeroed it is out. */
struct evict_item {
	TAILQ_ENTRY(evict_item) link;
	uint32_t key;	/* the same for the same thing; the owner's */
	uint32_t bytes; /* what it takes */
	uint8_t part;
	bool is_end; /* head or tail of a file, which many want: worth more */
};

TAILQ_HEAD(evict_queue, evict_item);

struct evict {
	struct evict_queue queue[EVICT_PARTS]; /* oldest first */
	uint64_t bytes[EVICT_PARTS];
	uint64_t room_bytes;
	uint32_t n; /* items */
	uint8_t *sketch;
	uint32_t sketch_len; /* of a row; a power of two */
	uint64_t n_counted;
	const struct evict_item *recent[EVICT_RECENT]; /* visited lately */
	unsigned at_recent;
};

/* When somebody will read of it, as store_share_ops has it: 0: it may not go;
 * UINT64_MAX: nobody will. */
typedef uint64_t evict_due_fn(const struct evict_item *it);

/* evict_init — 0 or ENOMEM. `room_bytes` is what the items may have together;
 * evict_set_room changes it. evict_fini — every item may be in it still. */
int evict_init(struct evict *e, uint64_t room_bytes);
void evict_fini(struct evict *e);
void evict_set_room(struct evict *e, uint64_t room_bytes);

/* evict_add — an item that is out (key, bytes and is_end are set) is kept from
 * now on. evict_add_old — the same, of one that was kept before the program
 * began: nothing is known of when it was used. evict_del — it is not. */
void evict_add(struct evict *e, struct evict_item *it);
void evict_add_old(struct evict *e, struct evict_item *it);
void evict_del(struct evict *e, struct evict_item *it);

/* evict_resize — an item that is in takes so much now. */
void evict_resize(struct evict *e, struct evict_item *it, uint32_t bytes);

/* evict_use — somebody came for it, whether it is in or out. evict_visit —
 * somebody reads of it: a use, if that was not so just now. */
void evict_use(struct evict *e, struct evict_item *it);
void evict_visit(struct evict *e, struct evict_item *it);

/* evict_forget — the items in these bytes of memory are out, and are no more.
 */
void evict_forget(struct evict *e, const void *mem, size_t bytes);

/* evict_pick — what goes next; it is still in. NULL: there is nothing. */
struct evict_item *evict_pick(struct evict *e);

/* evict_spare — it may not go now: all others are picked before it. */
void evict_spare(struct evict *e, struct evict_item *it);

/* evict_pick_unwanted — what goes next of what nobody will read; what somebody
 * will is spared. evict_pick_later — of all there is, what is read last, if
 * that is later than `due_us`. NULL: there is none. */
struct evict_item *evict_pick_unwanted(struct evict *e, evict_due_fn *due);
struct evict_item *evict_pick_later(struct evict *e, evict_due_fn *due,
				    uint64_t due_us);

#endif
