/* dht_queue — a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan, 1990) of slots.
 *
 * Time is cut into slots of 2^SIM_SLOT_BITS µs, of which one is open. An event
 * in it lies in order of time, in one array; a later one in the row of the
 * highest bit in which its time differs from where the open slot begins. When
 * that is used up, the lowest row that has any is dealt out: the slot of its
 * earliest event opens, and is sorted; the others go to rows below. An event
 * only ever moves down: a million million events cost a few moves each, all of
 * them appends.
 *
 * That what is next is known beforehand is the point: a network of millions
 * lies in memory, not in the processor's caches, and each event is of another
 * host. Whoever steps can fetch what the next events need (sim_queue_ahead).
 *
 * Equal times lie in one row, in the order they were added, and are dealt out,
 * sorted and added to in that order: so ties are decided by age. */
#include "tests/sim/dht_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
	mem_free(q->slot.v);
	mem_free(q->spare.v);
	*q = (struct sim_queue){0};
}

static void make_room(struct sim_heap_row *row, size_t n)
{
	while (row->room < n) {
		row->room = row->room != 0 ? row->room * 2 : 64;
		row->v = sim_grow(row->v, row->room, sizeof(*row->v));
	}
}

static void push(struct sim_heap_row *row, struct sim_event ev)
{
	make_room(row, row->n + 1);
	row->v[row->n++] = ev;
}

/* Into the slot behind all that are not later, or a row. */
static bool is_in_slot(const struct sim_queue *q, uint64_t at_us)
{
	return (at_us ^ q->open_us) >> SIM_SLOT_BITS == 0;
}

static struct sim_heap_row *row_of(struct sim_queue *q, uint64_t at_us)
{
	return &q->rows[64 - __builtin_clzll(at_us ^ q->open_us)];
}

static void insert(struct sim_queue *q, struct sim_event ev)
{
	struct sim_event *v;
	size_t lo = q->head, hi = q->slot.n;

	make_room(&q->slot, q->slot.n + 1);
	v = q->slot.v;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (v[mid].at_us <= ev.at_us)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (q->head > 0 && lo - q->head < q->slot.n - lo) {
		/* Most wake-ups are soon: what is before them is little. */
		memmove(&v[q->head - 1], &v[q->head],
			(lo - q->head) * sizeof(*v));
		q->head--;
		v[lo - 1] = ev;
		return;
	}
	memmove(&v[lo + 1], &v[lo], (q->slot.n - lo) * sizeof(*v));
	v[lo] = ev;
	q->slot.n++;
}

void sim_queue_add(struct sim_queue *q, struct sim_event ev)
{
	assert(ev.at_us >= q->last_us);
	q->n++;
	if (is_in_slot(q, ev.at_us))
		insert(q, ev);
	else
		push(row_of(q, ev.at_us), ev);
}

/* One pass of a radix sort, which keeps the order of equals. */
static void sort_pass(struct sim_heap_row *to, const struct sim_heap_row *from,
		      unsigned shift)
{
	enum { KEYS = 1 << SIM_SLOT_BITS / 2 };
	uint32_t begin[KEYS + 1] = {0};

	make_room(to, from->n);
	to->n = from->n;
	for (size_t i = 0; i < from->n; i++)
		begin[(from->v[i].at_us >> shift) % KEYS + 1]++;
	for (int k = 0; k < KEYS; k++)
		begin[k + 1] += begin[k];
	for (size_t i = 0; i < from->n; i++)
		to->v[begin[(from->v[i].at_us >> shift) % KEYS]++] = from->v[i];
}

/* Few are put in order as they are. */
static void sort_few(struct sim_heap_row *row)
{
	for (size_t i = 1; i < row->n; i++) {
		struct sim_event ev = row->v[i];
		size_t at = i;

		for (; at > 0 && row->v[at - 1].at_us > ev.at_us; at--)
			row->v[at] = row->v[at - 1];
		row->v[at] = ev;
	}
}

static void sort_slot(struct sim_queue *q)
{
	if (q->slot.n < 24) {
		sort_few(&q->slot);
		return;
	}
	sort_pass(&q->spare, &q->slot, 0);
	sort_pass(&q->slot, &q->spare, SIM_SLOT_BITS / 2);
}

/* False: nothing is due before `until_us`, and nothing changed. */
static bool deal_out(struct sim_queue *q, uint64_t until_us)
{
	struct sim_heap_row *row = &q->rows[SIM_SLOT_BITS + 1];
	struct sim_heap_row taken;
	uint64_t least = UINT64_MAX;

	while (row->n == 0)
		row++;
	for (size_t i = 0; i < row->n; i++)
		if (row->v[i].at_us < least)
			least = row->v[i].at_us;
	if (least >= until_us)
		return false;
	q->slot.n = q->head = 0;
	q->open_us = least >> SIM_SLOT_BITS << SIM_SLOT_BITS;
	taken = *row;
	row->n = 0; /* what it held goes below it */
	for (size_t i = 0; i < taken.n; i++) {
		if (is_in_slot(q, taken.v[i].at_us))
			push(&q->slot, taken.v[i]);
		else
			push(row_of(q, taken.v[i].at_us), taken.v[i]);
	}
	sort_slot(q);
	return true;
}

bool sim_queue_take(struct sim_queue *q, uint64_t until_us,
		    struct sim_event *out)
{
	if (q->n == 0)
		return false;
	if (q->head == q->slot.n && !deal_out(q, until_us))
		return false;
	if (q->slot.v[q->head].at_us >= until_us)
		return false;
	*out = q->slot.v[q->head++];
	q->last_us = out->at_us;
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
