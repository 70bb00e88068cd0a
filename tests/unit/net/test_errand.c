/* Unit tests of net/errand: items of BEP 44 between engines that know of each
 * other by the DHT alone; one that has no DHT, and one that stops. */
#include "dht/items.h"
#include "net/errand.h"
#include "net/net_limits.h"
#include "tests/unit/net/net_world.h"

enum { DEADLINE_MS = 10000 };

static const uint8_t seed[32] = "a secret of thirty-two bytes ...";

/* ---- Fixture ---- */

struct outcome {
	bool is_done;
	int err;
	unsigned n_stored;
	bool has_item;
	struct item_box box;
};

static void on_done(void *arg, const struct errand_result *r)
{
	struct outcome *o = arg;

	assert_false(o->is_done);
	o->is_done = true;
	o->err = r->err;
	o->n_stored = r->n_stored;
	o->has_item = r->item != NULL;
	if (o->has_item)
		assert_true(item_box_set(&o->box, r->item));
}

static bool is_done(void *arg)
{
	return ((struct outcome *)arg)->is_done;
}

static void dht_world(struct world *w)
{
	w->has_dht = true;
	for (unsigned i = 0; i < 3; i++)
		node_start(w, i, HOLDS_NONE, NULL, 0, false);
}

/* ---- Helpers ---- */

static void sign(struct item_box *b, const char *salt, int64_t seq,
		 const char *value)
{
	uint8_t key[32], sig[64] = {0};
	struct dht_item item = {
		.value = span_str(value),
		.is_mutable = true,
		.key = key,
		.sig = sig,
		.seq = seq,
		.salt = span_str(salt),
	};

	assert_int_equal(item_sign(&item, seed, key, sig), 0);
	assert_true(item_box_set(b, &item));
}

static struct outcome put(struct node *n, const struct dht_item *item,
			  const int64_t *cas)
{
	struct outcome o = {0};
	struct errand *er;

	assert_int_equal(
		errand_put(n->engine, item, cas, DEADLINE_MS, on_done, &o, &er),
		0);
	assert_false(o.is_done);
	world_run(n->w, is_done, &o);
	return o;
}

static void get(struct node *n, const struct errand_want *want,
		struct outcome *o)
{
	struct errand *er;

	memset(o, 0, sizeof(*o));
	assert_int_equal(
		errand_get(n->engine, want, DEADLINE_MS, on_done, o, &er), 0);
	assert_false(o->is_done);
	world_run(n->w, is_done, o);
}

static struct errand_want want_of(const struct item_box *b)
{
	struct errand_want want = {.is_mutable = true, .salt = b->item.salt};

	memcpy(want.key, b->key, sizeof(want.key));
	return want;
}

/* ---- Tests ---- */

static void immutable_items_go_there_and_back(void **state)
{
	struct world *w = *state;
	struct dht_item item = {.value = span_str("12:Hello World!")};
	struct errand_want want = {0};
	struct outcome o;

	dht_world(w);
	o = put(&w->nodes[1], &item, NULL);
	assert_int_equal(o.err, 0);
	assert_true(o.n_stored > 0);
	hasher_once(w->hasher, HASH_SHA1, item.value.ptr, item.value.len,
		    want.target);
	get(&w->nodes[2], &want, &o);
	assert_int_equal(o.err, 0);
	assert_true(o.has_item && !o.box.item.is_mutable);
	assert_int_equal(o.box.item.value.len, item.value.len);
	assert_memory_equal(o.box.value, item.value.ptr, item.value.len);
	want.target[0] ^= 1;
	get(&w->nodes[2], &want, &o);
	assert_int_equal(o.err, ENOENT);
	assert_false(o.has_item);
}

/* A later seq takes the place of an earlier one, and never the other way; of
 * another salt nothing is known. */
static void mutable_items_only_grow_newer(void **state)
{
	struct world *w = *state;
	struct item_box one, two, other;
	struct errand_want want;
	struct outcome o;

	dht_world(w);
	sign(&one, "s", 1, "3:one");
	sign(&two, "s", 2, "3:two");
	assert_int_equal(put(&w->nodes[1], &one.item, NULL).err, 0);
	o = put(&w->nodes[1], &two.item, NULL);
	assert_int_equal(o.err, 0);
	assert_true(o.has_item);
	assert_int_equal(o.box.item.seq, 1);

	o = put(&w->nodes[2], &one.item, NULL);
	assert_int_equal(o.err, EEXIST);
	assert_int_equal(o.box.item.seq, 2);
	sign(&other, "s", 2, "5:other");
	assert_int_equal(put(&w->nodes[2], &other.item, NULL).err, EEXIST);

	want = want_of(&one);
	get(&w->nodes[2], &want, &o);
	assert_int_equal(o.err, 0);
	assert_int_equal(o.box.item.seq, 2);
	assert_memory_equal(o.box.value, "3:two", 5);
	assert_memory_equal(o.box.sig, two.sig, sizeof(two.sig));
	assert_memory_equal(o.box.salt, "s", 1);
	want.salt = span_str("t");
	get(&w->nodes[2], &want, &o);
	assert_int_equal(o.err, ENOENT);
}

static void cas_is_held_to(void **state)
{
	struct world *w = *state;
	const int64_t three = 3, four = 4;
	struct item_box box;
	struct outcome o;

	dht_world(w);
	sign(&box, "", 4, "4:four");
	assert_int_equal(put(&w->nodes[1], &box.item, &three).err, 0);
	sign(&box, "", 5, "4:five");
	o = put(&w->nodes[2], &box.item, &three);
	assert_int_equal(o.err, EAGAIN);
	assert_int_equal(o.box.item.seq, 4);
	assert_int_equal(put(&w->nodes[2], &box.item, &four).err, 0);
}

static void what_breaks_a_rule_is_not_sent(void **state)
{
	struct world *w = *state;
	static const uint8_t long_value[DHT_ITEM_MAX + 1];
	struct dht_item item = {.value = span_str("no bencoding")};
	struct item_box box;

	dht_world(w);
	assert_int_equal(put(&w->nodes[1], &item, NULL).err, EINVAL);
	item.value = span_of(long_value, sizeof(long_value));
	assert_int_equal(put(&w->nodes[1], &item, NULL).err, EINVAL);
	sign(&box, "", 1, "3:one");
	box.sig[5] ^= 1;
	assert_int_equal(put(&w->nodes[1], &box.item, NULL).err, EINVAL);
}

static void without_a_dht_it_is_said(void **state)
{
	struct world *w = *state;
	struct errand_want want = {0};
	struct outcome o;

	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	get(&w->nodes[0], &want, &o);
	assert_int_equal(o.err, ENETDOWN);
}

static void alone_it_ends_by_its_deadline(void **state)
{
	struct world *w = *state;
	struct errand_want want = {0};
	struct outcome o = {0};
	struct errand *er;

	w->has_dht = true;
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	assert_int_equal(
		errand_get(w->nodes[0].engine, &want, 50, on_done, &o, &er), 0);
	world_run(w, is_done, &o);
	assert_int_equal(o.err, EHOSTUNREACH);
}

/* One that is cancelled is never heard of; the others end with the engine; and
 * their number is bounded. */
static void ends_of_all_kinds(void **state)
{
	struct world *w = *state;
	struct outcome o = {0}, never = {0}, last = {0};
	struct errand_want want = {0};
	struct errand *er[ERRANDS_MAX], *more;
	struct engine *e;

	w->has_dht = true;
	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	e = w->nodes[0].engine;
	for (unsigned i = 0; i < ERRANDS_MAX; i++)
		assert_int_equal(errand_get(e, &want, DEADLINE_MS, on_done,
					    i == 0 ? &o : &never, &er[i]),
				 0);
	assert_int_equal(
		errand_get(e, &want, DEADLINE_MS, on_done, &last, &more),
		EBUSY);
	for (unsigned i = 1; i < ERRANDS_MAX; i++)
		errand_cancel(er[i]);
	errand_cancel(NULL);
	node_stop(&w->nodes[0]);
	assert_true(o.is_done);
	assert_int_equal(o.err, ESHUTDOWN);
	assert_false(never.is_done || last.is_done);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(immutable_items_go_there_and_back),
		T(mutable_items_only_grow_newer),
		T(cas_is_held_to),
		T(what_breaks_a_rule_is_not_sent),
		T(without_a_dht_it_is_said),
		T(alone_it_ends_by_its_deadline),
		T(ends_of_all_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
