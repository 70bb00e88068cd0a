/* shelf — a sorted array, and searches in it.
 *
 * The closest to a target are found as in a binary trie of which the array is
 * the leaves: a range is cut at a bit by binary search, the half that agrees
 * with the target is taken first, the other one remembered. Ranges of a few
 * are sorted by distance as they are. No look at more than some twenty
 * contacts is needed, wherever the target lies.
 *
 * All of that is done with the first 64 bits of the ids; the others are looked
 * at where these are the same. */
#include "dht/shelf.h"

#include <assert.h>
#include <string.h>

#include "core/mem.h"

enum { IP4_BYTES = 4, IP6_BYTES = 16, LEAF = 8, ROOM_STEP = 8, HEAD_BITS = 64 };

static bool is_6(const struct shelf *s)
{
	return s->stride != sizeof(struct contact) + IP4_BYTES;
}

void shelf_init(struct shelf *s, bool wants_6)
{
	*s = (struct shelf){
		.stride = (uint8_t)(sizeof(struct contact) +
				    (wants_6 ? IP6_BYTES : IP4_BYTES)),
	};
}

void shelf_fini(struct shelf *s)
{
	mem_free(s->heads);
	mem_free(s->bytes);
	s->heads = NULL;
	s->bytes = NULL;
	s->n = s->room = 0;
}

/* ---- addresses ---- */

struct addr contact_addr(const struct shelf *s, const struct contact *c)
{
	struct addr a = {0};

	if (is_6(s)) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(c->port);
		memcpy(&a.in6.sin6_addr, c->ip, IP6_BYTES);
	} else {
		a.in4.sin_family = AF_INET;
		a.in4.sin_port = htons(c->port);
		memcpy(&a.in4.sin_addr, c->ip, IP4_BYTES);
	}
	return a;
}

static const uint8_t *ip_of(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? (const uint8_t *)&a->in6.sin6_addr
					   : (const uint8_t *)&a->in4.sin_addr;
}

/* Tables are walked with these: of fixed lengths, they are a compare or two. */
static bool same_ip(const struct shelf *s, const uint8_t *x, const uint8_t *y)
{
	return is_6(s) ? memcmp(x, y, IP6_BYTES) == 0
		       : memcmp(x, y, IP4_BYTES) == 0;
}

static bool same_net(const struct shelf *s, const uint8_t *x, const uint8_t *y)
{
	return is_6(s) ? memcmp(x, y, IP6_BYTES / 2) == 0
		       : memcmp(x, y, IP4_BYTES - 1) == 0;
}

bool contact_same_host(const struct shelf *s, const struct contact *c,
		       const struct addr *a)
{
	return same_ip(s, c->ip, ip_of(a));
}

bool contact_same_net(const struct shelf *s, const struct contact *c,
		      const struct addr *a)
{
	return same_net(s, c->ip, ip_of(a));
}

bool contact_has_addr(const struct shelf *s, const struct contact *c,
		      const struct addr *a)
{
	return c->port == addr_port(a) && contact_same_host(s, c, a);
}

/* ---- finding ---- */

/* The first place of a range whose head is not below `head`; it is likely near
 * `guess`, so that is looked at first, then places ever farther from it. */
static uint16_t head_bound(const struct shelf *s, struct shelf_range r,
			   uint32_t guess, uint64_t head)
{
	const uint64_t *v = s->heads;
	uint32_t lo = r.from, hi = r.to, step = 4;

	if (lo >= hi)
		return (uint16_t)lo;
	if (v[guess] < head) {
		lo = guess + 1;
		for (; lo + step < hi && v[lo + step] < head; step *= 2)
			lo += step + 1;
		hi = lo + step < hi ? lo + step : hi;
	} else {
		hi = guess;
		for (; hi - lo > step && v[hi - step] >= head; step *= 2)
			hi -= step;
		lo = hi - lo > step ? hi - step + 1 : lo;
	}
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (v[mid] < head)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (uint16_t)lo;
}

/* Ids are spread evenly, but for those around ours. */
static uint32_t guess_of(const struct shelf *s, uint64_t head)
{
	return (uint32_t)((head >> 32) * s->n >> 32);
}

static struct shelf_range all_of(const struct shelf *s)
{
	return (struct shelf_range){0, s->n};
}

/* The first place whose id is not below `id`. */
static uint16_t lower_bound(const struct shelf *s, const struct dht_id *id)
{
	uint64_t head = nodeid_head(id);
	uint16_t at;

	if (s->n == 0)
		return 0;
	at = head_bound(s, all_of(s), guess_of(s, head), head);
	while (at < s->n && s->heads[at] == head &&
	       nodeid_below(&shelf_at(s, at)->id, id))
		at++;
	return at;
}

struct contact *shelf_find(const struct shelf *s, const struct dht_id *id)
{
	uint16_t at = lower_bound(s, id);

	if (at == s->n || !nodeid_eq(&shelf_at(s, at)->id, id))
		return NULL;
	return shelf_at(s, at);
}

struct contact *shelf_find_addr(const struct shelf *s, const struct addr *a)
{
	const uint8_t *ip = ip_of(a);
	uint16_t port = addr_port(a);

	for (uint32_t i = 0; i < s->n; i++)
		if (shelf_at(s, i)->port == port &&
		    same_ip(s, shelf_at(s, i)->ip, ip))
			return shelf_at(s, i);
	return NULL;
}

struct contact *shelf_next_beside(const struct shelf *s, const struct addr *a,
				  uint32_t *at)
{
	const uint8_t *ip = ip_of(a);

	while (*at < s->n) {
		struct contact *c = shelf_at(s, (*at)++);

		if (same_net(s, c->ip, ip))
			return c;
	}
	return NULL;
}

static bool grow(struct shelf *s)
{
	uint16_t room = (uint16_t)(s->n + s->n / 8 + ROOM_STEP);
	uint64_t *heads = mem_grow(s->heads, room, sizeof(*heads));
	uint8_t *bytes;

	if (!heads)
		return false;
	s->heads = heads;
	bytes = mem_grow(s->bytes, room, s->stride);
	if (!bytes)
		return false;
	s->bytes = bytes;
	s->room = room;
	return true;
}

struct contact *shelf_add(struct shelf *s, const struct dht_id *id,
			  const struct addr *a)
{
	uint16_t at = lower_bound(s, id);
	struct contact *c;

	assert((a->sa.sa_family == AF_INET6) == is_6(s));
	if (at < s->n && nodeid_eq(&shelf_at(s, at)->id, id))
		return NULL;
	if (s->n == s->room && !grow(s))
		return NULL;
	memmove(s->heads + at + 1, s->heads + at,
		(size_t)(s->n - at) * sizeof(*s->heads));
	s->heads[at] = nodeid_head(id);
	c = shelf_at(s, at);
	memmove((uint8_t *)c + s->stride, c,
		(size_t)(s->n - at) * (size_t)s->stride);
	s->n++;
	memset(c, 0, s->stride);
	c->id = *id;
	c->port = addr_port(a);
	memcpy(c->ip, ip_of(a), is_6(s) ? IP6_BYTES : IP4_BYTES);
	c->flags = (uint8_t)((nodeid_fits(id, a) ? CONTACT_FITS : 0) |
			     (addr_is_local(a) ? CONTACT_LOCAL : 0));
	return c;
}

void shelf_del(struct shelf *s, struct contact *c)
{
	uint8_t *p = (uint8_t *)c;
	uint8_t *end = s->bytes + s->n * (size_t)s->stride;
	size_t at = (size_t)(p - s->bytes) / s->stride;

	memmove(p, p + s->stride, (size_t)(end - p) - s->stride);
	memmove(s->heads + at, s->heads + at + 1,
		(s->n - at - 1) * sizeof(*s->heads));
	s->n--;
}

/* ---- ranges ---- */

/* `id` with everything behind `bits` set to `fill`. */
static struct dht_id filled(const struct dht_id *id, int bits, uint8_t fill)
{
	struct dht_id out = *id;
	int byte = bits / 8;
	uint8_t kept = (uint8_t)(0xff00 >> (bits % 8));

	if (bits >= DHT_ID_BITS)
		return out;
	out.b[byte] = (uint8_t)((id->b[byte] & kept) | (fill & ~kept));
	memset(out.b + byte + 1, fill, (size_t)(DHT_ID_BYTES - byte - 1));
	return out;
}

static struct shelf_range head_range(const struct shelf *s, uint64_t head,
				     int bits)
{
	uint64_t rest = bits == 0 ? UINT64_MAX
				  : (UINT64_C(1) << (HEAD_BITS - bits)) - 1;
	uint64_t first = head & ~rest, behind = (head | rest) + 1;
	struct shelf_range r = all_of(s);

	r.from = head_bound(s, r, guess_of(s, first), first);
	if (behind != 0 && r.from < r.to) {
		uint32_t guess = guess_of(s, behind);

		r.to = head_bound(s, r, guess > r.from ? guess : r.from,
				  behind);
	}
	return r;
}

struct shelf_range shelf_range(const struct shelf *s, const struct dht_id *id,
			       int bits)
{
	struct dht_id first, last;
	struct shelf_range r;

	if (s->n == 0)
		return (struct shelf_range){0, 0};
	if (bits <= HEAD_BITS)
		return head_range(s, nodeid_head(id), bits);
	first = filled(id, bits, 0);
	last = filled(id, bits, 0xff);
	r = (struct shelf_range){lower_bound(s, &first), lower_bound(s, &last)};
	if (r.to < s->n && nodeid_eq(&shelf_at(s, r.to)->id, &last))
		r.to++;
	return r;
}

/* ---- the closest ---- */

static bool bit_of(const struct dht_id *id, int bit)
{
	return id->b[bit / 8] & (0x80 >> (bit % 8));
}

/* Where the ones begin at `bit`, in a range that agrees before it. */
static uint16_t cut(const struct shelf *s, struct shelf_range r, int bit)
{
	if (bit < HEAD_BITS) {
		uint64_t one = UINT64_C(1) << (HEAD_BITS - 1 - bit);

		return head_bound(s, r, (r.from + r.to) / 2u,
				  (s->heads[r.from] & -one) | one);
	}
	while (r.from < r.to) {
		uint16_t mid = (uint16_t)((r.from + r.to) / 2);

		if (bit_of(&shelf_at(s, mid)->id, bit))
			r.to = mid;
		else
			r.from = (uint16_t)(mid + 1);
	}
	return r.from;
}

struct gather {
	const struct dht_id *target;
	uint64_t head; /* of the target */
	struct contact **out;
	uint32_t n, most;
	bool (*is_wanted)(const struct contact *c, uint16_t tick);
	uint16_t tick;
};

static bool is_closer(const struct shelf *s, const struct gather *g, uint16_t x,
		      uint16_t y)
{
	uint64_t a = s->heads[x] ^ g->head, b = s->heads[y] ^ g->head;

	return a != b ? a < b
		      : nodeid_closer(g->target, &shelf_at(s, x)->id,
				      &shelf_at(s, y)->id);
}

/* A range behind everything gathered before, by insertion. */
static void gather_leaf(const struct shelf *s, struct shelf_range r,
			struct gather *g)
{
	uint16_t order[LEAF];
	uint32_t n = 0;

	for (uint16_t i = r.from; i < r.to; i++) {
		uint32_t at = n++;

		for (; at > 0 && is_closer(s, g, i, order[at - 1]); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	for (uint32_t k = 0; k < n && g->n < g->most; k++) {
		struct contact *c = shelf_at(s, order[k]);

		if (!g->is_wanted || g->is_wanted(c, g->tick))
			g->out[g->n++] = c;
	}
}

uint32_t shelf_closest(const struct shelf *s, const struct dht_id *target,
		       bool (*is_wanted)(const struct contact *c,
					 uint16_t tick),
		       uint16_t tick, struct contact **out, uint32_t most)
{
	struct shelf_range later[DHT_ID_BITS];
	int later_bit[DHT_ID_BITS];
	struct shelf_range r = all_of(s);
	struct gather g = {
		.target = target,
		.head = nodeid_head(target),
		.out = out,
		.most = most,
		.is_wanted = is_wanted,
		.tick = tick,
	};
	int depth = 0;
	int bit = 0;

	for (;;) {
		while (r.to - r.from > LEAF && bit < DHT_ID_BITS) {
			uint16_t mid = cut(s, r, bit);
			struct shelf_range zeros = {r.from, mid};
			struct shelf_range ones = {mid, r.to};
			bool is_one = bit_of(target, bit);

			later[depth] = is_one ? zeros : ones;
			later_bit[depth++] = ++bit;
			r = is_one ? ones : zeros;
		}
		gather_leaf(s, r, &g);
		if (g.n == most || depth == 0)
			return g.n;
		r = later[--depth];
		bit = later_bit[depth];
	}
}
