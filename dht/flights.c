/* flights — a table indexed by the low bits of the transaction id.
 *
 * It doubles when half full; ids that differed in the low bits still do. When
 * the last query has landed it goes, if it has grown, since most nodes are
 * silent for most of the time. `next_us` is exact, or earlier: an early wake-up
 * finds nothing due and looks again. */
#include "dht/flights.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"
#include "dht/dht_limits.h"

enum { ROOM_AT_FIRST = 4 }; /* upkeep's */

void flights_init(struct flights *f)
{
	*f = (struct flights){.next_us = UINT64_MAX};
}

void flights_fini(struct flights *f)
{
	mem_free(f->slots);
	flights_init(f);
}

static bool grow(struct flights *f)
{
	uint32_t room = f->room > 0 ? f->room * 2 : ROOM_AT_FIRST;
	struct flight *slots = mem_zalloc(room, sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = 0; i < f->room; i++)
		if (f->slots[i].what != FLIGHT_FREE)
			slots[f->slots[i].tid & (room - 1)] = f->slots[i];
	mem_free(f->slots);
	f->slots = slots;
	f->room = room;
	return true;
}

struct flight *flights_add(struct flights *f, const struct flight *like,
			   uint32_t random)
{
	struct flight *fl;

	if (f->n >= DHT_WAITING_MAX)
		return NULL;
	if (f->n >= f->room / 2 && !grow(f))
		return NULL;
	while (f->slots[random & (f->room - 1)].what != FLIGHT_FREE)
		random++;
	fl = &f->slots[random & (f->room - 1)];
	*fl = *like;
	fl->tid = random;
	f->n++;
	if (fl->due_us < f->next_us)
		f->next_us = fl->due_us;
	return fl;
}

struct flight *flights_match(const struct flights *f, uint32_t tid,
			     const struct addr *from)
{
	struct flight *fl;

	if (f->room == 0)
		return NULL;
	fl = &f->slots[tid & (f->room - 1)];
	if (fl->what == FLIGHT_FREE || fl->tid != tid ||
	    !addr_eq(&fl->to, from))
		return NULL;
	return fl;
}

bool flights_has(const struct flights *f, const struct addr *to)
{
	for (uint32_t i = 0; i < f->room; i++)
		if (f->slots[i].what != FLIGHT_FREE &&
		    addr_eq(&f->slots[i].to, to))
			return true;
	return false;
}

static void look_again(struct flights *f)
{
	f->next_us = UINT64_MAX;
	for (uint32_t i = 0; i < f->room; i++)
		if (f->slots[i].what != FLIGHT_FREE &&
		    f->slots[i].due_us < f->next_us)
			f->next_us = f->slots[i].due_us;
}

void flights_del(struct flights *f, struct flight *fl)
{
	bool was_next = fl->due_us <= f->next_us;

	fl->what = FLIGHT_FREE;
	f->n--;
	if (f->n == 0 && f->room > ROOM_AT_FIRST)
		flights_fini(f);
	else if (was_next)
		look_again(f);
}

struct flight *flights_due(struct flights *f, uint64_t now_us)
{
	if (f->next_us > now_us)
		return NULL;
	for (uint32_t i = 0; i < f->room; i++)
		if (f->slots[i].what != FLIGHT_FREE &&
		    f->slots[i].due_us <= now_us)
			return &f->slots[i];
	look_again(f);
	return NULL;
}

void flights_set_due(struct flights *f, struct flight *fl, uint64_t due_us)
{
	bool was_next = fl->due_us <= f->next_us;

	fl->due_us = due_us;
	if (due_us < f->next_us)
		f->next_us = due_us;
	else if (was_next)
		look_again(f);
}

void flights_forget(struct flights *f, const struct dht_search *s)
{
	for (uint32_t i = 0; i < f->room; i++)
		if (f->slots[i].search == s)
			f->slots[i].search = NULL;
}

void flights_check(const struct flights *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->room; i++) {
		const struct flight *fl = &f->slots[i];

		if (fl->what == FLIGHT_FREE)
			continue;
		n++;
		assert((fl->tid & (f->room - 1)) == i);
		assert(fl->due_us >= f->next_us && fl->due_us >= fl->sent_us);
	}
	assert(n == f->n && n <= DHT_WAITING_MAX);
}
