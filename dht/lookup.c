/* lookup — candidates in the order of their distance, and two walks over them:
 * who is next, and whether it is done. Both count those that BEP 42 allows up
 * to eight, or all up to sixteen: ids that were made to be close do not end a
 * search before honest ones were heard.
 *
 * Places in `cands` do not change, since queries in flight name them; only
 * `order` is sorted. When it is full the farthest that nobody waits for goes.
 */
#include "dht/lookup.h"

#include <assert.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"

enum { ROOM_AT_FIRST = 32 };

void lookup_init(struct lookup *l, const struct dht_id *target)
{
	*l = (struct lookup){.target = *target};
}

void lookup_fini(struct lookup *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mem_free(l->cands[l->order[i]].token);
	mem_free(l->cands);
	l->cands = NULL;
	l->n = l->room = 0;
}

/* ---- who may come in ---- */

/* Two candidates of one network are not let in; local ones are networks of
 * their own, port by port. */
static uint64_t net_of(const struct addr *a)
{
	uint8_t c[ADDR_COMPACT6];
	bool is_4 = addr_to_compact(a, c) == ADDR_COMPACT4;

	if (addr_is_local(a))
		return is_4 ? (UINT64_C(1) << 63) |
				       ((uint64_t)be32_get(c) << 16) |
				       addr_port(a)
			    : be64_get(c) * 3 + be64_get(c + 8) * 5 +
				       addr_port(a);
	return is_4 ? be32_get(c) >> 8 : be64_get(c);
}

/* Is `a` closer than the candidate at this place in the order? Endpoints are
 * behind everybody, since nobody knows where they are. */
static bool is_before(const struct lookup *l, const struct dht_id *id,
		      const struct candidate *c)
{
	if (!id)
		return false;
	return !c->has_id || nodeid_closer(&l->target, id, &c->id);
}

static void order_insert(struct lookup *l, uint8_t place)
{
	const struct candidate *c = &l->cands[place];
	uint32_t at = l->n;

	while (at > 0 && is_before(l, c->has_id ? &c->id : NULL,
				   &l->cands[l->order[at - 1]])) {
		l->order[at] = l->order[at - 1];
		at--;
	}
	l->order[at] = place;
	l->n++;
}

static uint8_t order_remove(struct lookup *l, uint32_t at)
{
	uint8_t place = l->order[at];

	memmove(&l->order[at], &l->order[at + 1], l->n - at - 1);
	l->n--;
	return place;
}

static bool grow(struct lookup *l)
{
	uint32_t room = l->room > 0 ? l->room * 2u : ROOM_AT_FIRST;
	struct candidate *cands = mem_grow(l->cands, room, sizeof(*cands));

	if (!cands)
		return false;
	l->cands = cands;
	l->room = (uint8_t)room;
	return true;
}

/* A place for a newcomer; -1 when he is too far away, or without memory. */
static int make_room(struct lookup *l, const struct dht_id *id)
{
	if (l->n < l->room)
		return l->n;
	if (l->room < DHT_CANDIDATES_MAX)
		return grow(l) ? l->n : -1;
	for (uint32_t at = l->n; at-- > 0;) {
		struct candidate *c = &l->cands[l->order[at]];

		if (!is_before(l, id, c))
			return -1;
		if (c->state == CANDIDATE_FRESH ||
		    c->state == CANDIDATE_FAILED) {
			mem_free(c->token);
			return order_remove(l, at);
		}
	}
	return -1;
}

/* The candidate that keeps `a` out, if there is one. */
static struct candidate *rival(const struct lookup *l, uint64_t net,
			       const struct addr *a)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct candidate *c = &l->cands[l->order[i]];

		if (c->net == net &&
		    (c->state != CANDIDATE_FAILED || addr_eq(&c->a, a)))
			return c;
	}
	return NULL;
}

struct candidate *lookup_add(struct lookup *l, const struct dht_id *id,
			     const struct addr *a, const struct addr *told_by)
{
	uint64_t net = net_of(a);
	uint64_t from = told_by ? net_of(told_by) : 0;
	struct candidate *c = rival(l, net, a);
	int place;

	if (c) {
		if (c->told_by != from && id && c->has_id &&
		    nodeid_eq(&c->id, id))
			c->is_told_twice = true;
		return NULL;
	}
	place = make_room(l, id);
	if (place < 0)
		return NULL;
	c = &l->cands[place];
	*c = (struct candidate){
		.a = *a,
		.net = net,
		.told_by = from,
		.has_id = id != NULL,
	};
	if (id) {
		c->id = *id;
		c->fits = nodeid_fits(id, a);
	}
	order_insert(l, (uint8_t)place);
	return c;
}

/* ---- who is next ---- */

uint32_t lookup_wave(const struct lookup *l, uint8_t *out, uint32_t most,
		     uint16_t unknown)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n && i < DHT_WAVE_OF; i++) {
		const struct candidate *c = &l->cands[l->order[i]];
		uint16_t rtt = c->srtt > 0 ? c->srtt : unknown;
		uint32_t at;

		if (c->state != CANDIDATE_FRESH)
			continue;
		at = n < most ? n++ : most;
		while (at > 0) {
			const struct candidate *b = &l->cands[out[at - 1]];

			if ((b->srtt > 0 ? b->srtt : unknown) <= rtt)
				break;
			if (at < most)
				out[at] = out[at - 1];
			at--;
		}
		if (at < most)
			out[at] = l->order[i];
	}
	return n;
}

struct tally {
	uint32_t n_any, n_fit;
};

/* Counts `c`; true when that is enough. */
static bool tally_add(struct tally *t, const struct candidate *c)
{
	t->n_any++;
	t->n_fit += c->fits ? 1 : 0;
	return t->n_fit >= DHT_NODES_TOLD || t->n_any >= 2 * DHT_NODES_TOLD;
}

int lookup_next(const struct lookup *l)
{
	struct tally t = {0};
	uint32_t n_out = 0;
	int first = -1;

	if (l->n_asked >= DHT_ASKED_MAX)
		return -1;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct candidate *c = &l->cands[l->order[i]];

		if (c->state == CANDIDATE_FAILED ||
		    c->state == CANDIDATE_STALLED || c->state == CANDIDATE_LATE)
			continue;
		if (c->state == CANDIDATE_FRESH) {
			if (c->is_told_twice)
				return l->order[i];
			if (first < 0)
				first = l->order[i];
		}
		n_out += c->state == CANDIDATE_ASKED ? 1 : 0;
		if (tally_add(&t, c) || n_out >= DHT_OUT_NEAR)
			break;
	}
	return first;
}

/* ---- what happened ---- */

static void leave_air(struct lookup *l, const struct candidate *c)
{
	if (c->state == CANDIDATE_ASKED)
		l->n_out--;
}

void lookup_on_asked(struct lookup *l, int place)
{
	assert(l->cands[place].state == CANDIDATE_FRESH);
	l->cands[place].state = CANDIDATE_ASKED;
	l->n_out++;
	l->n_asked++;
}

void lookup_on_stall(struct lookup *l, int place)
{
	leave_air(l, &l->cands[place]);
	l->cands[place].state = CANDIDATE_STALLED;
}

void lookup_on_late(struct lookup *l, int place)
{
	leave_air(l, &l->cands[place]);
	l->cands[place].state = CANDIDATE_LATE;
}

void lookup_on_failed(struct lookup *l, int place)
{
	struct candidate *c = &l->cands[place];

	leave_air(l, c);
	if (c->state == CANDIDATE_ANSWERED)
		l->n_answered--;
	c->state = CANDIDATE_FAILED;
}

void lookup_on_answer(struct lookup *l, int place, const struct dht_id *id)
{
	struct candidate *c = &l->cands[place];

	leave_air(l, c);
	c->state = CANDIDATE_ANSWERED;
	l->n_answered++;
	if (c->has_id)
		return;
	for (uint32_t at = 0; at < l->n; at++) {
		if (l->order[at] != place)
			continue;
		(void)order_remove(l, at);
		c->id = *id;
		c->has_id = true;
		c->fits = nodeid_fits(id, &c->a);
		order_insert(l, (uint8_t)place);
		return;
	}
}

void lookup_set_token(struct lookup *l, int place, struct span token)
{
	struct candidate *c = &l->cands[place];

	mem_free(c->token);
	c->token_len = 0;
	c->token = mem_dup(token.ptr, token.len);
	if (c->token)
		c->token_len = (uint8_t)token.len;
}

/* ---- is it done? ---- */

bool lookup_is_complete(const struct lookup *l)
{
	struct tally t = {0};

	if (l->n_answered == 0)
		return false;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct candidate *c = &l->cands[l->order[i]];

		switch ((enum candidate_state)c->state) {
		case CANDIDATE_FRESH:
			if (l->n_asked < DHT_ASKED_MAX)
				return false;
			break;
		case CANDIDATE_ASKED:
		case CANDIDATE_STALLED:
			return false;
		case CANDIDATE_LATE:
		case CANDIDATE_FAILED:
			break;
		case CANDIDATE_ANSWERED:
			if (tally_add(&t, c))
				return true;
		}
	}
	return true;
}

bool lookup_is_starved(const struct lookup *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->cands[l->order[i]].state != CANDIDATE_FAILED)
			return false;
	return true;
}

uint32_t lookup_storers(const struct lookup *l, uint8_t out[DHT_STORERS_MAX])
{
	uint32_t n = 0, n_any = 0, n_fit = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct candidate *c = &l->cands[l->order[i]];

		if (c->state != CANDIDATE_ANSWERED || !c->token ||
		    c->store == STORE_REFUSED)
			continue;
		if (n_any++ < DHT_NODES_TOLD ||
		    (c->fits && n_fit < DHT_NODES_TOLD))
			out[n++] = l->order[i];
		n_fit += c->fits ? 1 : 0;
	}
	return n;
}

void lookup_check(const struct lookup *l)
{
	uint32_t n_out = 0, n_answered = 0;

	assert(l->n <= l->room && l->room <= DHT_CANDIDATES_MAX);
	for (uint32_t i = 0; i < l->n; i++) {
		const struct candidate *c = &l->cands[l->order[i]];
		const struct candidate *b =
			i > 0 ? &l->cands[l->order[i - 1]] : NULL;

		assert(l->order[i] < l->room);
		n_out += c->state == CANDIDATE_ASKED ? 1 : 0;
		n_answered += c->state == CANDIDATE_ANSWERED ? 1 : 0;
		assert(!b || !is_before(l, c->has_id ? &c->id : NULL, b));
	}
	assert(n_out == l->n_out && n_answered == l->n_answered);
}
