/* dht_queue — what is going to happen, and when: a radix heap of slots of time,
 * by time and then by the order of adding. And the datagrams that are on their
 * way. Aborts without memory: this is a test. */
#ifndef SHOAL_SIM_DHT_QUEUE_H
#define SHOAL_SIM_DHT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_event {
	uint64_t at_us;
	uint32_t host; /* whose it is */
	uint32_t mail; /* its datagram, as sim_post_new named it; or SIM_WAKE */
};

#define SIM_WAKE UINT32_MAX

struct sim_heap_row {
	struct sim_event *v;
	size_t n, room;
};

enum { SIM_SLOT_BITS = 12 }; /* 4 ms */

struct sim_queue {
	struct sim_heap_row rows[65];
	struct sim_heap_row slot; /* the one that is open, in order … */
	struct sim_heap_row spare;
	size_t head;	  /* … of which what is before this was taken */
	uint64_t open_us; /* where it begins */
	uint64_t last_us; /* nothing is added before it */
	size_t n;
};

void sim_queue_fini(struct sim_queue *q);
void sim_queue_add(struct sim_queue *q, struct sim_event ev);

/* sim_queue_take — the next one; false: none before `until_us`. */
bool sim_queue_take(struct sim_queue *q, uint64_t until_us,
		    struct sim_event *out);

/* sim_queue_ahead — the k-th event from now, if the open slot has it; NULL: it
 * is not known yet. What it needs can be fetched from memory meanwhile. */
static inline const struct sim_event *sim_queue_ahead(const struct sim_queue *q,
						      size_t k)
{
	return q->head + k < q->slot.n ? &q->slot.v[q->head + k] : NULL;
}

/* ---- datagrams on their way ---- */

enum { SIM_MAIL_CLASSES = 3 };

struct sim_mail {
	uint32_t from, to; /* hosts */
	uint32_t from_ip;
	uint32_t next; /* of the free ones */
	uint16_t len;
	uint8_t bytes[];
};

struct sim_shelf {
	uint8_t **chunks;
	size_t n_chunks;
	uint32_t n, free; /* free: 1 + the first free one */
};

struct sim_post {
	struct sim_shelf shelves[SIM_MAIL_CLASSES];
	size_t n; /* on their way */
};

/* sim_post_new — `*ref` names it until sim_post_free; it does not move. */
struct sim_mail *sim_post_new(struct sim_post *p, size_t len, uint32_t *ref);
struct sim_mail *sim_post_at(struct sim_post *p, uint32_t ref);
void sim_post_free(struct sim_post *p, uint32_t ref);
void sim_post_fini(struct sim_post *p);

/* sim_alloc — zeroed, or aborts. sim_grow — as mem_grow, or aborts. */
void *sim_alloc(size_t n, size_t size);
void *sim_grow(void *ptr, size_t n, size_t size);

#endif
