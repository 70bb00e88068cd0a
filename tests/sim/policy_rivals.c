/* policy_rivals — five policies as their papers have them: LRU; 2Q (Johnson and
 * Shasha 1994); ARC (Megiddo and Modha 2003); W-TinyLFU (Einziger, Friedman and
 * Manes 2017); S3-FIFO (Yang and others 2023).
 *
 * All of them move pieces between queues; so there is one struct, of queues
 * over arrays, and a function a policy. Queue NONE is "not known". */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "tests/sim/policy.h"

enum { NONE, Q1, Q2, Q3, Q4, N_QUEUES };
enum { SKETCH_ROWS = 4, SKETCH_TOP = 15 };

struct node {
	uint32_t prev, next;
	uint8_t in, freq;
};

struct queue {
	uint32_t n;
};

/* The heads of queue q are node n_keys + q. */
struct rival {
	uint32_t room, n_keys;
	struct node *nodes;
	struct queue q[N_QUEUES];
	uint32_t target; /* ARC's p */
	/* TinyLFU's */
	uint8_t *sketch;
	uint32_t sketch_len;
	uint64_t n_counted;
};

static uint32_t head_of(const struct rival *r, unsigned q)
{
	return r->n_keys + q;
}

static void *rival_make(uint32_t room, uint32_t n_keys)
{
	struct rival *r = mem_new(struct rival);

	if (r == NULL)
		abort();
	r->room = room;
	r->n_keys = n_keys;
	r->nodes = mem_zalloc(n_keys + N_QUEUES, sizeof(*r->nodes));
	r->sketch_len = 1;
	while (r->sketch_len < room)
		r->sketch_len *= 2;
	r->sketch = mem_zalloc(SKETCH_ROWS, r->sketch_len);
	if (r->nodes == NULL || r->sketch == NULL)
		abort();
	for (unsigned q = 0; q < N_QUEUES; q++) {
		struct node *h = &r->nodes[head_of(r, q)];

		h->prev = h->next = head_of(r, q);
	}
	return r;
}

static void rival_end(void *p)
{
	struct rival *r = p;

	mem_free(r->nodes);
	mem_free(r->sketch);
	mem_free(r);
}

/* To the young end of `q`, out of wherever it is. */
static void move(struct rival *r, uint32_t key, unsigned q)
{
	struct node *n = &r->nodes[key];
	uint32_t h = head_of(r, q);

	if (n->in != NONE) {
		r->nodes[n->prev].next = n->next;
		r->nodes[n->next].prev = n->prev;
		r->q[n->in].n--;
	}
	n->in = (uint8_t)q;
	if (q == NONE)
		return;
	n->prev = r->nodes[h].prev;
	n->next = h;
	r->nodes[n->prev].next = key;
	r->nodes[h].prev = key;
	r->q[q].n++;
}

static uint32_t oldest(const struct rival *r, unsigned q)
{
	assert(r->q[q].n > 0);
	return r->nodes[head_of(r, q)].next;
}

static void drop_oldest(struct rival *r, unsigned q, unsigned to)
{
	move(r, oldest(r, q), to);
}

/* ---- LRU ---- */

static bool lru_use(void *p, uint32_t key, bool is_end)
{
	struct rival *r = p;
	bool hit = r->nodes[key].in == Q1;

	if (!hit && r->q[Q1].n == r->room)
		drop_oldest(r, Q1, NONE);
	move(r, key, Q1);
	return hit;
}

/* ---- 2Q: Q1 A1in, Q2 Am, Q3 A1out (of what left A1in) ---- */

static bool twoq_use(void *p, uint32_t key, bool is_end)
{
	struct rival *r = p;
	unsigned in = r->nodes[key].in;

	if (in == Q2)
		move(r, key, Q2);
	if (in == Q1 || in == Q2)
		return true;
	if (r->q[Q1].n + r->q[Q2].n == r->room) {
		if (r->q[Q1].n > r->room / 4 || r->q[Q2].n == 0) {
			drop_oldest(r, Q1, Q3);
			if (r->q[Q3].n > r->room / 2)
				drop_oldest(r, Q3, NONE);
		} else {
			drop_oldest(r, Q2, NONE);
		}
	}
	move(r, key, in == Q3 ? Q2 : Q1);
	return false;
}

/* ---- ARC: Q1 T1, Q2 T2, Q3 B1, Q4 B2 ---- */

static void arc_replace(struct rival *r, bool is_b2)
{
	if (r->q[Q1].n > 0 &&
	    (r->q[Q1].n > r->target || (is_b2 && r->q[Q1].n == r->target) ||
	     r->q[Q2].n == 0))
		drop_oldest(r, Q1, Q3);
	else
		drop_oldest(r, Q2, Q4);
}

static void arc_adapt(struct rival *r, unsigned in)
{
	uint32_t b1 = r->q[Q3].n, b2 = r->q[Q4].n, step;

	if (in == Q3) {
		step = b2 > b1 ? b2 / b1 : 1;
		r->target =
			r->target + step < r->room ? r->target + step : r->room;
	} else {
		step = b1 > b2 ? b1 / b2 : 1;
		r->target = r->target > step ? r->target - step : 0;
	}
}

static void arc_make_room(struct rival *r)
{
	uint32_t l1 = r->q[Q1].n + r->q[Q3].n;
	uint32_t all = l1 + r->q[Q2].n + r->q[Q4].n;

	if (l1 == r->room) {
		if (r->q[Q1].n < r->room) {
			drop_oldest(r, Q3, NONE);
			arc_replace(r, false);
		} else {
			drop_oldest(r, Q1, NONE);
		}
	} else if (all >= r->room) {
		if (all == 2 * r->room)
			drop_oldest(r, Q4, NONE);
		arc_replace(r, false);
	}
}

static bool arc_use(void *p, uint32_t key, bool is_end)
{
	struct rival *r = p;
	unsigned in = r->nodes[key].in;

	if (in == Q1 || in == Q2) {
		move(r, key, Q2);
		return true;
	}
	if (in == Q3 || in == Q4) {
		arc_adapt(r, in);
		arc_replace(r, in == Q4);
		move(r, key, Q2);
		return false;
	}
	arc_make_room(r);
	move(r, key, Q1);
	return false;
}

/* ---- W-TinyLFU: Q1 window (1 %), Q2 probation, Q3 protected (80 %) ---- */

static uint8_t *cell(struct rival *r, uint32_t key, unsigned row)
{
	uint64_t h = (key + 1) * (UINT64_C(0x9E3779B97F4A7C15) + 2 * row);

	h ^= h >> 29;
	h *= UINT64_C(0xBF58476D1CE4E5B9);
	return &r->sketch[row * r->sketch_len +
			  ((h >> 32) & (r->sketch_len - 1))];
}

static unsigned estimate(struct rival *r, uint32_t key)
{
	unsigned least = SKETCH_TOP;

	for (unsigned i = 0; i < SKETCH_ROWS; i++)
		if (*cell(r, key, i) < least)
			least = *cell(r, key, i);
	return least;
}

static void count(struct rival *r, uint32_t key)
{
	for (unsigned i = 0; i < SKETCH_ROWS; i++)
		if (*cell(r, key, i) < SKETCH_TOP)
			++*cell(r, key, i);
	if (++r->n_counted < UINT64_C(10) * r->room)
		return;
	r->n_counted /= 2;
	for (uint32_t i = 0; i < SKETCH_ROWS * r->sketch_len; i++)
		r->sketch[i] /= 2;
}

static bool tinylfu_use(void *p, uint32_t key, bool is_end)
{
	struct rival *r = p;
	uint32_t window = r->room / 100 + 1, main = r->room - window;
	unsigned in = r->nodes[key].in;
	uint32_t a, b;

	count(r, key);
	if (in != NONE) {
		move(r, key, in == Q1 ? Q1 : Q3);
		if (r->q[Q3].n > main * 4 / 5)
			drop_oldest(r, Q3, Q2);
		return true;
	}
	move(r, key, Q1);
	if (r->q[Q1].n <= window)
		return false;
	a = oldest(r, Q1);
	if (r->q[Q2].n + r->q[Q3].n < main) {
		move(r, a, Q2);
		return false;
	}
	b = oldest(r, r->q[Q2].n > 0 ? Q2 : Q3);
	if (estimate(r, a) > estimate(r, b)) {
		move(r, b, NONE);
		move(r, a, Q2);
	} else {
		move(r, a, NONE);
	}
	return false;
}

/* ---- S3-FIFO: Q1 small (10 %), Q2 main, Q3 ghosts ---- */

static void s3_evict_main(struct rival *r)
{
	for (;;) {
		uint32_t key = oldest(r, Q2);

		if (r->nodes[key].freq == 0) {
			move(r, key, NONE);
			return;
		}
		r->nodes[key].freq--;
		move(r, key, Q2);
	}
}

static void s3_evict(struct rival *r)
{
	while (r->q[Q1].n > 0 &&
	       (r->q[Q1].n >= r->room / 10 + 1 || r->q[Q2].n == 0)) {
		uint32_t key = oldest(r, Q1);

		if (r->nodes[key].freq > 0) {
			r->nodes[key].freq = 0;
			move(r, key, Q2);
			continue;
		}
		move(r, key, Q3);
		if (r->q[Q3].n > r->room)
			drop_oldest(r, Q3, NONE);
		return;
	}
	s3_evict_main(r);
}

static bool s3_use(void *p, uint32_t key, bool is_end)
{
	struct rival *r = p;
	unsigned in = r->nodes[key].in;

	if (in == Q1 || in == Q2) {
		if (r->nodes[key].freq < 3)
			r->nodes[key].freq++;
		return true;
	}
	if (r->q[Q1].n + r->q[Q2].n == r->room)
		s3_evict(r);
	r->nodes[key].freq = 0;
	move(r, key, r->nodes[key].in == Q3 ? Q2 : Q1);
	return false;
}

const struct policy policy_rivals[POLICY_RIVALS] = {
	{"LRU", rival_make, lru_use, rival_end},
	{"2Q", rival_make, twoq_use, rival_end},
	{"ARC", rival_make, arc_use, rival_end},
	{"W-TinyLFU", rival_make, tinylfu_use, rival_end},
	{"S3-FIFO", rival_make, s3_use, rival_end},
};
