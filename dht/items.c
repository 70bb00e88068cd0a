/* items — the storage of BEP 44, and the rules of its items.
 *
 * An immutable item is its own proof: it lies under the SHA-1 of its bytes. A
 * mutable one lies under the SHA-1 of a key and a salt, and is signed; a later
 * seq takes the place of an earlier one.
 *
 * What costs little is looked at first: the form, then what is stored, and the
 * signature last. An item that is, byte for byte, what is stored needs no
 * look at its signature: that is what keeping an item alive looks like.
 *
 * Anybody may put anybody's item again. If it then counted for who put it last,
 * who floods could draw the items of others to himself, and have them thrown
 * out with his own; if for who put it first, he could be the first. So it
 * changes hands only from a heavy network to a lighter one.
 *
 * Invariants (items_check)
 *   1. an item is in the table under its target, which is that of its content;
 *   2. in by_age nobody is older than who is before it;
 *   3. value and salt are within their limits, and the number of items is. */
#include "dht/items.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/bencode.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/hmap.h"
#include "core/mem.h"
#include "core/sign.h"
#include "dht/dht_limits.h"
#include "dht/node.h"

struct stored_item {
	struct dht_id target;
	struct fair_entry fair;
	TAILQ_ENTRY(stored_item) by_age;
	uint64_t put_us;
	bool is_mutable;
	uint16_t value_len, salt_len;
	int64_t seq;
	uint8_t key[SIGN_KEY_BYTES];
	uint8_t sig[SIGN_SIG_BYTES];
	uint8_t bytes[]; /* value, salt */
};

static const uint64_t LIFE_US = (uint64_t)DHT_STORED_ITEM_S * 1000000;

/* ---- the rules ---- */

void item_target(struct hasher *h, const struct dht_item *item,
		 struct dht_id *out)
{
	hasher_begin(h, HASH_SHA1);
	if (item->is_mutable) {
		hasher_add(h, item->key, SIGN_KEY_BYTES);
		hasher_add(h, item->salt.ptr, item->salt.len);
	} else {
		hasher_add(h, item->value.ptr, item->value.len);
	}
	hasher_end(h, out->b);
}

size_t item_signed(const struct dht_item *item, uint8_t out[ITEM_SIGNED_MAX])
{
	size_t n = 0;

	assert(item->salt.len <= DHT_SALT_MAX);
	assert(item->value.len <= DHT_ITEM_MAX);
	/* BEP 44, "Signature Verification": no salt is an empty salt. */
	if (item->salt.len > 0) {
		n = (size_t)snprintf((char *)out, ITEM_SIGNED_MAX,
				     "4:salt%zu:", item->salt.len);
		memcpy(out + n, item->salt.ptr, item->salt.len);
		n += item->salt.len;
	}
	n += (size_t)snprintf((char *)out + n, ITEM_SIGNED_MAX - n,
			      "3:seqi%llde1:v", (long long)item->seq);
	memcpy(out + n, item->value.ptr, item->value.len);
	return n + item->value.len;
}

int item_sign(const struct dht_item *item, const uint8_t seed[SIGN_SEED_BYTES],
	      uint8_t key[SIGN_KEY_BYTES], uint8_t sig[SIGN_SIG_BYTES])
{
	uint8_t bytes[ITEM_SIGNED_MAX];
	size_t len = item_signed(item, bytes);
	int r = sign_key(seed, key);

	return r != 0 ? r : sign_make(seed, bytes, len, sig);
}

static bool is_bencoded(struct span value)
{
	const struct benc_limits limits = {.depth = DHT_DEPTH_MAX,
					   .tokens = DHT_VALUES_MAX};
	struct benc doc;

	if (benc_decode(&doc, value.ptr, value.len, &limits, NULL) != 0)
		return false;
	benc_fini(&doc);
	return true;
}

static enum item_fault look_at_form(const struct dht_item *item)
{
	if (item->value.len > DHT_ITEM_MAX)
		return ITEM_TOO_BIG;
	if (item->is_mutable && item->salt.len > DHT_SALT_MAX)
		return ITEM_SALT;
	if (item->is_mutable && item->seq < 0)
		return ITEM_MALFORMED;
	return is_bencoded(item->value) ? ITEM_GOOD : ITEM_MALFORMED;
}

static enum item_fault look_at_signature(const struct dht_item *item)
{
	uint8_t bytes[ITEM_SIGNED_MAX];
	size_t len;

	if (!item->is_mutable)
		return ITEM_GOOD;
	len = item_signed(item, bytes);
	return sign_is_right(item->key, bytes, len, item->sig) ? ITEM_GOOD
							       : ITEM_SIGNATURE;
}

enum item_fault item_look(const struct dht_item *item)
{
	enum item_fault fault = look_at_form(item);

	return fault != ITEM_GOOD ? fault : look_at_signature(item);
}

/* ---- what is stored ---- */

void items_init(struct items *s, uint32_t items_max)
{
	*s = (struct items){.items_max = items_max != 0 ? items_max
							: DHT_STORED_ITEMS_MAX};
	TAILQ_INIT(&s->by_age);
	fair_init(&s->fair);
}

static void drop(struct items *s, struct stored_item *kept)
{
	(void)hmap_del(s->by_target, kept->target.b);
	TAILQ_REMOVE(&s->by_age, kept, by_age);
	fair_del(&s->fair, &kept->fair);
	mem_free(kept);
}

uint64_t items_expire(struct items *s, uint64_t now_us)
{
	struct stored_item *kept;

	for (;;) {
		kept = TAILQ_FIRST(&s->by_age);
		if (kept == NULL)
			return UINT64_MAX;
		if (now_us < kept->put_us + LIFE_US)
			return kept->put_us + LIFE_US;
		drop(s, kept);
	}
}

void items_fini(struct items *s)
{
	(void)items_expire(s, UINT64_MAX);
	hmap_free(s->by_target);
	fair_fini(&s->fair);
	items_init(s, s->items_max);
}

static struct stored_item *find(const struct items *s,
				const struct dht_id *target)
{
	return s->by_target != NULL ? hmap_get(s->by_target, target->b) : NULL;
}

static bool has_value(const struct stored_item *kept,
		      const struct dht_item *item)
{
	return kept->value_len == item->value.len &&
	       memcmp(kept->bytes, item->value.ptr, item->value.len) == 0;
}

/* To the byte: the target was made of the value, or of key and salt. */
static bool is_same(const struct stored_item *kept, const struct dht_item *item)
{
	return has_value(kept, item) &&
	       (!item->is_mutable ||
		(kept->seq == item->seq &&
		 memcmp(kept->sig, item->sig, SIGN_SIG_BYTES) == 0));
}

static enum item_fault look_at_stored(const struct stored_item *kept,
				      const struct dht_item *item,
				      const int64_t *cas)
{
	if (!item->is_mutable || kept == NULL)
		return ITEM_GOOD;
	if (cas != NULL && *cas != kept->seq)
		return ITEM_CAS;
	if (item->seq < kept->seq)
		return ITEM_OLD;
	if (item->seq == kept->seq && !has_value(kept, item))
		return ITEM_OLD;
	return ITEM_GOOD;
}

static struct stored_item *copy_of(const struct dht_item *item)
{
	size_t salt_len = item->is_mutable ? item->salt.len : 0;
	struct stored_item *kept = mem_alloc(sizeof(struct stored_item) +
					     item->value.len + salt_len);

	if (kept == NULL)
		return NULL;
	*kept = (struct stored_item){
		.is_mutable = item->is_mutable,
		.value_len = (uint16_t)item->value.len,
		.salt_len = (uint16_t)salt_len,
	};
	memcpy(kept->bytes, item->value.ptr, item->value.len);
	if (!item->is_mutable)
		return kept;
	kept->seq = item->seq;
	memcpy(kept->key, item->key, SIGN_KEY_BYTES);
	memcpy(kept->sig, item->sig, SIGN_SIG_BYTES);
	if (salt_len > 0)
		memcpy(kept->bytes + item->value.len, item->salt.ptr, salt_len);
	return kept;
}

/* Into the table, the ages and the books of `from`. 0 or ENOMEM. */
static int add(struct items *s, const struct addr *from,
	       struct stored_item *kept)
{
	int r = 0;

	if (s->by_target == NULL)
		r = hmap_new(DHT_ID_BYTES, &s->by_target);
	if (r == 0)
		r = fair_add(&s->fair, from, &kept->fair);
	if (r != 0)
		return r;
	r = hmap_put(s->by_target, kept->target.b, kept);
	if (r != 0) {
		fair_del(&s->fair, &kept->fair);
		return r;
	}
	TAILQ_INSERT_TAIL(&s->by_age, kept, by_age);
	return 0;
}

static void make_room(struct items *s, const struct addr *from)
{
	struct fair_entry *e =
		fair_oldest(&s->fair, from, DHT_STORED_NET_ITEMS);

	if (e == NULL && s->fair.n >= s->items_max)
		e = fair_victim(&s->fair, 1);
	if (e != NULL)
		drop(s, CONTAINER_OF(e, struct stored_item, fair));
}

static void touch(struct items *s, uint64_t now_us, const struct addr *from,
		  struct stored_item *kept)
{
	const struct fair_source *other = fair_source_of(&s->fair, from);
	uint32_t weight = other != NULL ? fair_weight(other) : 0;
	uint32_t owned = fair_weight(kept->fair.source);

	kept->put_us = now_us;
	TAILQ_REMOVE(&s->by_age, kept, by_age);
	TAILQ_INSERT_TAIL(&s->by_age, kept, by_age);
	if (owned >= DHT_STORED_HEAVY && weight + 1 < owned)
		(void)fair_move(&s->fair, from, &kept->fair);
	else
		fair_touch(&kept->fair);
}

enum item_fault items_put(struct items *s, uint64_t now_us, struct hasher *h,
			  const struct addr *from, const struct dht_item *item,
			  const int64_t *cas)
{
	enum item_fault fault = look_at_form(item);
	struct stored_item *kept, *old;
	struct dht_id target;

	if (fault != ITEM_GOOD)
		return fault;
	(void)items_expire(s, now_us);
	item_target(h, item, &target);
	old = find(s, &target);
	fault = look_at_stored(old, item, cas);
	if (fault != ITEM_GOOD)
		return fault;
	if (old != NULL && is_same(old, item)) {
		touch(s, now_us, from, old);
		return ITEM_GOOD;
	}
	fault = look_at_signature(item);
	if (fault != ITEM_GOOD)
		return fault;
	kept = copy_of(item);
	if (kept == NULL)
		return ITEM_NO_MEMORY;
	kept->target = target;
	kept->put_us = now_us;
	if (old != NULL)
		drop(s, old);
	else
		make_room(s, from);
	if (add(s, from, kept) != 0) {
		mem_free(kept);
		return ITEM_NO_MEMORY;
	}
	return ITEM_GOOD;
}

bool items_get(struct items *s, uint64_t now_us, const struct dht_id *target,
	       struct dht_item *out)
{
	const struct stored_item *kept;

	(void)items_expire(s, now_us);
	kept = find(s, target);
	if (kept == NULL)
		return false;
	*out = (struct dht_item){
		.value = span_of(kept->bytes, kept->value_len),
		.is_mutable = kept->is_mutable,
	};
	if (kept->is_mutable) {
		out->key = kept->key;
		out->sig = kept->sig;
		out->seq = kept->seq;
		out->salt =
			span_of(kept->bytes + kept->value_len, kept->salt_len);
	}
	return true;
}

uint32_t items_count(const struct items *s)
{
	return s->fair.n;
}

void items_check(const struct items *s)
{
	const struct stored_item *kept;
	uint64_t before = 0;
	uint32_t n = 0;

	TAILQ_FOREACH (kept, &s->by_age, by_age) {
		assert(hmap_get(s->by_target, kept->target.b) == kept);
		assert(kept->put_us >= before);
		assert(kept->value_len <= DHT_ITEM_MAX);
		assert(kept->salt_len <= DHT_SALT_MAX);
		assert(!kept->is_mutable || kept->seq >= 0);
		before = kept->put_us;
		n++;
	}
	assert(n == s->fair.n && n <= s->items_max);
	assert(s->by_target == NULL || hmap_count(s->by_target) == n);
	fair_check(&s->fair);
}
