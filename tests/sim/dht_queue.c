/* dht_queue — a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, 1990).
 *
 * Time does not run backwards, so what is added is never before what was taken
 * last. An event lies in the row of the highest bit in which its time differs
 * from that; row 0 is what is due at that very time. When row 0 is empty the
 * lowest row is dealt out among those below it, by the earliest of its times.
 * An event only ever moves down: a million million events cost a few moves
 * each, all of them appends.
 *
 * Equal times lie in one row, in the order they were added, and are dealt out
 * in that order: so ties are decided by age. */
#include "tests/sim/dht_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "core/mem.h"

void *sim_alloc(size_t n, size_t size)
{
	void *p = mem_zalloc(n, size);

	if (p == NULL)
		abort();
	return p;
}

void *sim_grow(void *ptr, size_t n, size_t size)
{
	void *p = mem_grow(ptr, n, size);

	if (p == NULL)
		abort();
	return p;
}

void sim_queue_fini(struct sim_queue *q)
{
	for (size_t i = 0; i < sizeof(q->rows) / sizeof(q->rows[0]); i++)
		mem_free(q->rows[i].v);
	*q = (struct sim_queue){0};
}

static void append(struct sim_queue *q, struct sim_event ev)
{
	uint64_t differs = ev.at_us ^ q->last_us;
	struct sim_heap_row *row =
		&q->rows[differs != 0 ? 64 - __builtin_clzll(differs) : 0];

	if (row->n == row->room) {
		row->room = row->room != 0 ? row->room * 2 : 64;
		row->v = sim_grow(row->v, row->room, sizeof(*row->v));
	}
	row->v[row->n++] = ev;
}

void sim_queue_add(struct sim_queue *q, struct sim_event ev)
{
	assert(ev.at_us >= q->last_us);
	q->n++;
	append(q, ev);
}

/* False: nothing is due before `until_us`, and nothing changed. */
static bool deal_out(struct sim_queue *q, uint64_t until_us)
{
	struct sim_heap_row *row = &q->rows[1];
	struct sim_heap_row taken;
	uint64_t least = UINT64_MAX;

	while (row->n == 0)
		row++;
	for (size_t i = 0; i < row->n; i++)
		if (row->v[i].at_us < least)
			least = row->v[i].at_us;
	if (least >= until_us)
		return false;
	q->rows[0].n = q->head = 0;
	q->last_us = least;
	taken = *row;
	row->n = 0; /* what it held goes below it */
	for (size_t i = 0; i < taken.n; i++)
		append(q, taken.v[i]);
	return true;
}

bool sim_queue_take(struct sim_queue *q, uint64_t until_us,
		    struct sim_event *out)
{
	if (q->n == 0)
		return false;
	if (q->head == q->rows[0].n && !deal_out(q, until_us))
		return false;
	*out = q->rows[0].v[q->head++];
	q->n--;
	return true;
}

/* ---- datagrams ---- */

static const size_t class_bytes[SIM_MAIL_CLASSES] = {
	sizeof(struct sim_mail) + 112,
	sizeof(struct sim_mail) + 368,
	sizeof(struct sim_mail) + 1500,
};

enum { CHUNK = 1024, CLASS_SHIFT = 30 };

static struct sim_mail *at(struct sim_post *p, uint32_t class, uint32_t i)
{
	return (struct sim_mail *)(void *)(p->shelves[class].chunks[i / CHUNK] +
					   i % CHUNK * class_bytes[class]);
}

struct sim_mail *sim_post_at(struct sim_post *p, uint32_t ref)
{
	return at(p, ref >> CLASS_SHIFT, ref & ((1u << CLASS_SHIFT) - 1));
}

struct sim_mail *sim_post_new(struct sim_post *p, size_t len, uint32_t *ref)
{
	struct sim_shelf *shelf;
	struct sim_mail *mail;
	uint32_t class = 0, i;

	while (sizeof(struct sim_mail) + len > class_bytes[class])
		class ++;
	assert(class < SIM_MAIL_CLASSES);
	shelf = &p->shelves[class];
	if (shelf->free != 0) {
		i = shelf->free - 1;
		shelf->free = at(p, class, i)->next;
	} else {
		i = shelf->n++;
		if (i / CHUNK == shelf->n_chunks) {
			shelf->chunks = sim_grow(shelf->chunks, i / CHUNK + 1,
						 sizeof(*shelf->chunks));
			shelf->chunks[shelf->n_chunks++] =
				sim_alloc(CHUNK, class_bytes[class]);
		}
	}
	mail = at(p, class, i);
	mail->len = (uint16_t)len;
	*ref = class << CLASS_SHIFT | i;
	p->n++;
	return mail;
}

void sim_post_free(struct sim_post *p, uint32_t ref)
{
	struct sim_shelf *shelf = &p->shelves[ref >> CLASS_SHIFT];

	sim_post_at(p, ref)->next = shelf->free;
	shelf->free = (ref & ((1u << CLASS_SHIFT) - 1)) + 1;
	p->n--;
}

void sim_post_fini(struct sim_post *p)
{
	for (int c = 0; c < SIM_MAIL_CLASSES; c++) {
		for (size_t i = 0; i < p->shelves[c].n_chunks; i++)
			mem_free(p->shelves[c].chunks[i]);
		mem_free(p->shelves[c].chunks);
	}
	*p = (struct sim_post){0};
}
