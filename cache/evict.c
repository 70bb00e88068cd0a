/* evict — W-TinyLFU.
 *
 * Words. Window, probation, protected: queues, least recently used first; the
 * last two are the main part. Sketch: for each key, in each of EVICT_ROWS rows,
 * a counter that it shares with others; the least of them is how often it was
 * used, or a little more. When ten times as many uses were counted as there are
 * items, all counters are halved.
 *
 * Why this one: tests/sim/policy*.c tries it beside others.
 *
 * Limits: the sketch is as large as was right for the room that evict_init was
 * given; with a room a hundred times as large it counts badly. */
#include "cache/evict.h"

#include <assert.h>
#include <errno.h>

#include "core/mem.h"

enum {
	WINDOW_PART = 100,	/* of the room */
	PROTECTED_PERCENT = 80, /* of the main part */
	COUNT_MAX = 15,
	COUNTS_AN_ITEM = 10,
	END_WORTH = 2, /* uses that an end has in advance */
	SKETCH_UNIT_BYTES = 256 << 10,
	SKETCH_MIN = 1 << 12,
	SKETCH_MAX = 1 << 18,
};

/* ---- the sketch ---- */

static uint8_t *cell(const struct evict *e, uint32_t key, unsigned row)
{
	uint64_t h =
		(UINT64_C(0x9E3779B97F4A7C15) + 2 * row) * ((uint64_t)key + 1);

	h ^= h >> 29;
	h *= UINT64_C(0xBF58476D1CE4E5B9);
	return &e->sketch[(uint64_t)row * e->sketch_len +
			  ((h >> 32) & (e->sketch_len - 1))];
}

static void halve(struct evict *e)
{
	for (uint64_t i = 0; i < (uint64_t)EVICT_ROWS * e->sketch_len; i++)
		e->sketch[i] /= 2;
	e->n_counted /= 2;
}

static void count(struct evict *e, uint32_t key)
{
	uint64_t n = e->n > SKETCH_MIN / 4 ? e->n : SKETCH_MIN / 4;

	for (unsigned row = 0; row < EVICT_ROWS; row++)
		if (*cell(e, key, row) < COUNT_MAX)
			++*cell(e, key, row);
	if (++e->n_counted >= COUNTS_AN_ITEM * n)
		halve(e);
}

static unsigned worth(const struct evict *e, const struct evict_item *it)
{
	unsigned least = COUNT_MAX;

	for (unsigned row = 0; row < EVICT_ROWS; row++)
		if (*cell(e, it->key, row) < least)
			least = *cell(e, it->key, row);
	return least + (it->is_end ? END_WORTH : 0);
}

/* ---- the parts ---- */

static void leave(struct evict *e, struct evict_item *it)
{
	TAILQ_REMOVE(&e->queue[it->part], it, link);
	e->bytes[it->part] -= it->bytes;
}

static void enter(struct evict *e, struct evict_item *it, enum evict_part part)
{
	it->part = (uint8_t)part;
	TAILQ_INSERT_TAIL(&e->queue[part], it, link);
	e->bytes[part] += it->bytes;
}

static void move(struct evict *e, struct evict_item *it, enum evict_part part)
{
	leave(e, it);
	enter(e, it, part);
}

static uint64_t window_room(const struct evict *e)
{
	return e->room_bytes / WINDOW_PART;
}

static uint64_t main_room(const struct evict *e)
{
	return e->room_bytes - window_room(e);
}

static bool is_window_over(const struct evict *e)
{
	const struct evict_item *a = TAILQ_FIRST(&e->queue[EVICT_WINDOW]);

	return a != NULL && TAILQ_NEXT(a, link) != NULL &&
	       e->bytes[EVICT_WINDOW] > window_room(e);
}

/* As long as the main part has room, nobody has to make any. */
static void settle(struct evict *e)
{
	while (is_window_over(e)) {
		struct evict_item *a = TAILQ_FIRST(&e->queue[EVICT_WINDOW]);

		if (e->bytes[EVICT_PROBATION] + e->bytes[EVICT_PROTECTED] +
			    a->bytes >
		    main_room(e))
			return;
		move(e, a, EVICT_PROBATION);
	}
}

/* The least recently used of them have to prove themselves again. */
static void demote(struct evict *e)
{
	uint64_t most = main_room(e) / 100 * PROTECTED_PERCENT;

	while (e->bytes[EVICT_PROTECTED] > most)
		move(e, TAILQ_FIRST(&e->queue[EVICT_PROTECTED]),
		     EVICT_PROBATION);
}

/* ---- the calls ---- */

int evict_init(struct evict *e, uint64_t room_bytes)
{
	uint64_t n = room_bytes / SKETCH_UNIT_BYTES;

	*e = (struct evict){.room_bytes = room_bytes};
	for (unsigned i = 0; i < EVICT_PARTS; i++)
		TAILQ_INIT(&e->queue[i]);
	e->sketch_len = SKETCH_MIN;
	while (e->sketch_len < n && e->sketch_len < SKETCH_MAX)
		e->sketch_len *= 2;
	e->sketch = mem_zalloc(EVICT_ROWS, e->sketch_len);
	return e->sketch != NULL ? 0 : ENOMEM;
}

void evict_fini(struct evict *e)
{
	mem_free(e->sketch);
	e->sketch = NULL;
}

void evict_set_room(struct evict *e, uint64_t room_bytes)
{
	e->room_bytes = room_bytes;
	settle(e);
	demote(e);
}

void evict_add(struct evict *e, struct evict_item *it)
{
	assert(it->part == EVICT_OUT);
	e->n++;
	enter(e, it, EVICT_WINDOW);
	settle(e);
}

void evict_add_old(struct evict *e, struct evict_item *it)
{
	assert(it->part == EVICT_OUT);
	e->n++;
	enter(e, it, EVICT_PROBATION);
}

void evict_del(struct evict *e, struct evict_item *it)
{
	if (it->part == EVICT_OUT)
		return;
	leave(e, it);
	it->part = EVICT_OUT;
	e->n--;
}

void evict_resize(struct evict *e, struct evict_item *it, uint32_t bytes)
{
	assert(it->part != EVICT_OUT);
	e->bytes[it->part] += bytes;
	e->bytes[it->part] -= it->bytes;
	it->bytes = bytes;
	settle(e);
}

void evict_use(struct evict *e, struct evict_item *it)
{
	count(e, it->key);
	if (it->part == EVICT_OUT)
		return;
	move(e, it, it->part == EVICT_WINDOW ? EVICT_WINDOW : EVICT_PROTECTED);
	demote(e);
}

void evict_visit(struct evict *e, struct evict_item *it)
{
	for (unsigned i = 0; i < EVICT_RECENT; i++)
		if (e->recent[i] == it)
			return;
	e->recent[e->at_recent++ % EVICT_RECENT] = it;
	evict_use(e, it);
}

void evict_forget(struct evict *e, const void *mem, size_t bytes)
{
	uintptr_t from = (uintptr_t)mem;

	for (unsigned i = 0; i < EVICT_RECENT; i++)
		if ((uintptr_t)e->recent[i] - from < bytes)
			e->recent[i] = NULL;
}

/* Who has left the window is compared with who would go for it. */
struct evict_item *evict_pick(struct evict *e)
{
	struct evict_item *a = NULL;
	struct evict_item *b = TAILQ_FIRST(&e->queue[EVICT_PROBATION]);

	if (is_window_over(e))
		a = TAILQ_FIRST(&e->queue[EVICT_WINDOW]);
	if (b == NULL)
		b = TAILQ_FIRST(&e->queue[EVICT_PROTECTED]);
	if (b == NULL)
		return TAILQ_FIRST(&e->queue[EVICT_WINDOW]);
	if (a == NULL)
		return b;
	if (worth(e, a) <= worth(e, b))
		return a;
	move(e, a, EVICT_PROBATION);
	return b;
}

/* A part further: so that the others of its part are picked, and then those of
 * the next. */
void evict_spare(struct evict *e, struct evict_item *it)
{
	move(e, it,
	     it->part == EVICT_WINDOW ? EVICT_PROBATION : EVICT_PROTECTED);
}

/* Each is looked at three times at most: what is spared moves on from part to
 * part. */
struct evict_item *evict_pick_unwanted(struct evict *e, evict_due_fn *due)
{
	for (uint64_t n = (uint64_t)e->n * EVICT_PROTECTED; n > 0; n--) {
		struct evict_item *it = evict_pick(e);

		if (it == NULL || due(it) == UINT64_MAX)
			return it;
		evict_spare(e, it);
	}
	/* A window that is not over is not picked from while there are others.
	 */
	return evict_pick_later(e, due, UINT64_MAX - 1);
}

struct evict_item *evict_pick_later(struct evict *e, evict_due_fn *due,
				    uint64_t due_us)
{
	struct evict_item *it, *found = NULL;

	for (unsigned part = 0; part < EVICT_PARTS; part++)
		TAILQ_FOREACH (it, &e->queue[part], link) {
			uint64_t its = due(it);

			if (its <= due_us)
				continue;
			due_us = its;
			found = it;
		}
	return found;
}
