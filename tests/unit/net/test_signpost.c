/* Unit tests of net/signpost: keys that are looked up, followed, put and
 * remembered, by engines that know of each other by the DHT alone. */
#include "core/btpk.h"
#include "dht/items.h"
#include "net/engine_internal.h"
#include "net/errand.h"
#include "net/net_limits.h"
#include "net/signpost.h"
#include "net/signpost_saved.h"
#include "tests/unit/net/net_world.h"

static const uint8_t seed[32] = "a secret of thirty-two bytes ...";

/* ---- Helpers ---- */

static void dht_world(struct world *w)
{
	w->has_dht = true;
	for (unsigned i = 0; i < 3; i++)
		node_start(w, i, HOLDS_NONE, NULL, 0, false);
}

/* An item that names the torrent of which each byte is `fill`. */
static void sign(struct item_box *b, const char *salt, int64_t seq,
		 uint8_t fill)
{
	uint8_t value[BTPK_VALUE_BYTES], key[32], sig[64] = {0};
	struct info_hash h = {.len = 20};
	struct dht_item item = {
		.is_mutable = true,
		.key = key,
		.sig = sig,
		.seq = seq,
		.salt = span_str(salt),
	};

	memset(h.bytes, fill, 20);
	item.value = span_of(value, btpk_value_write(&h, value));
	assert_int_equal(item_sign(&item, seed, key, sig), 0);
	assert_true(item_box_set(b, &item));
}

static struct btpk key_of(const struct item_box *b)
{
	struct btpk out = {.salt_len = (uint8_t)b->item.salt.len};

	memcpy(out.key, b->key, 32);
	memcpy(out.salt, b->salt, out.salt_len);
	return out;
}

static bool is_quiet(void *arg)
{
	struct signpost_view v;

	signpost_view(arg, &v);
	return !v.is_asking && !v.is_putting;
}

static struct signpost_view view(const struct signpost *s)
{
	struct signpost_view v;

	signpost_view(s, &v);
	return v;
}

static int start_put(struct node *n, const struct item_box *b,
		     const int64_t *cas, struct signpost **out)
{
	const struct signpost_offer o = {
		.btpk = key_of(b),
		.seq = b->item.seq,
		.value = b->item.value,
		.sig = b->sig,
		.cas = cas,
	};

	return signpost_put(n->engine, &o, out);
}

static struct signpost_view put(struct node *n, const struct item_box *b,
				const int64_t *cas)
{
	struct signpost *s;

	assert_int_equal(start_put(n, b, cas, &s), 0);
	assert_true(view(s).is_putting);
	world_run(n->w, is_quiet, s);
	return view(s);
}

/* What is known after a look that somebody waited for. */
static struct signpost_view use(struct node *n, const struct btpk *b)
{
	struct signpost *s;

	assert_int_equal(signpost_use(n->engine, b, &s), EAGAIN);
	world_run(n->w, is_quiet, s);
	return view(s);
}

struct noted {
	unsigned n, n_kept, n_brought, n_empty;
	int64_t seq;
};

/* ---- Tests ---- */

static void what_is_put_is_found(void **state)
{
	struct world *w = *state;
	struct signpost_view v;
	struct signpost *s;
	struct item_box box;
	struct btpk b;

	dht_world(w);
	sign(&box, "salt", 7, 0xaa);
	b = key_of(&box);
	v = put(&w->nodes[1], &box, NULL);
	assert_int_equal(v.put_err, 0);
	assert_true(v.n_stored > 0 && v.is_own && v.is_known);

	v = use(&w->nodes[2], &b);
	assert_int_equal(v.err, 0);
	assert_true(v.is_known && !v.is_own);
	assert_int_equal(v.seq, 7);
	assert_int_equal(v.hash.len, 20);
	assert_int_equal(v.hash.bytes[19], 0xaa);
	assert_int_equal(signpost_use(w->nodes[2].engine, &b, &s), 0);
	assert_false(view(s).is_asking); /* it is fresh */
	assert_ptr_equal(signpost_find(w->nodes[2].engine, &b), s);
	assert_ptr_equal(signpost_next(w->nodes[2].engine, NULL), s);
	assert_null(signpost_next(w->nodes[2].engine, s));
}

/* Neither an earlier seq nor the same with another value takes the place of
 * what is known, and who tries is told. */
static void only_what_is_newer_counts(void **state)
{
	struct world *w = *state;
	struct item_box box, old, same, newer;
	const int64_t seven = 7, eight = 8;
	struct signpost_view v;
	struct signpost *s;
	struct btpk b;

	dht_world(w);
	sign(&box, "", 7, 0xaa);
	sign(&old, "", 6, 0xbb);
	sign(&same, "", 7, 0xcc);
	sign(&newer, "", 9, 0xdd);
	b = key_of(&box);
	assert_int_equal(put(&w->nodes[1], &box, NULL).put_err, 0);
	assert_int_equal(start_put(&w->nodes[1], &old, NULL, &s), EEXIST);
	assert_int_equal(start_put(&w->nodes[1], &same, NULL, &s), EEXIST);
	/* Another one, who learns it by trying. */
	v = put(&w->nodes[2], &old, NULL);
	assert_int_equal(v.put_err, EEXIST);
	assert_false(v.is_own);
	assert_int_equal(v.seq, 7);
	assert_int_equal(v.hash.bytes[0], 0xaa);

	v = put(&w->nodes[2], &newer, &eight);
	assert_int_equal(v.put_err, EAGAIN);
	assert_int_equal(v.seq, 7);
	v = put(&w->nodes[2], &newer, &seven);
	assert_int_equal(v.put_err, 0);
	assert_int_equal(v.seq, 9);
	v = view(signpost_find(w->nodes[1].engine, &b));
	assert_int_equal(v.seq, 7); /* until it looks again */
}

static void signatures_must_be_right(void **state)
{
	struct world *w = *state;
	struct item_box box;
	struct signpost *s;

	dht_world(w);
	sign(&box, "", 7, 0xaa);
	box.value[10] ^= 1;
	assert_int_equal(start_put(&w->nodes[1], &box, NULL, &s), EINVAL);
	assert_null(signpost_next(w->nodes[1].engine, NULL));
}

/* Nobody put it: ENOENT, which stands for a moment; and how many such there may
 * be is bounded. */
static void nobodys_keys(void **state)
{
	struct world *w = *state;
	struct btpk b = {.key = "nobody"};
	struct signpost_view v;
	struct signpost *s;
	unsigned n = 1;

	dht_world(w);
	v = use(&w->nodes[2], &b);
	assert_int_equal(v.err, ENOENT);
	assert_false(v.is_known);
	assert_int_equal(signpost_use(w->nodes[2].engine, &b, &s), ENOENT);
	for (; n < SIGNPOSTS_STRANGE_MAX; n++) {
		b.key[10]++;
		assert_int_equal(signpost_use(w->nodes[2].engine, &b, &s),
				 EAGAIN);
	}
	b.key[10]++;
	assert_int_equal(signpost_use(w->nodes[2].engine, &b, &s), EBUSY);
}

/* One that is followed is so until it is dropped; whoever waits for it then is
 * told, and it is a stranger afterwards. */
static void followed_until_dropped(void **state)
{
	struct world *w = *state;
	struct engine *e;
	struct item_box box;
	struct signpost *s, *again;
	struct signpost_wait wait = {0};
	struct btpk b;

	dht_world(w);
	e = w->nodes[2].engine;
	sign(&box, "", 7, 0xaa);
	b = key_of(&box);
	assert_int_equal(put(&w->nodes[1], &box, NULL).put_err, 0);
	assert_int_equal(signpost_keep(e, &b, &s), 0);
	assert_int_equal(signpost_keep(e, &b, &again), EEXIST);
	assert_ptr_equal(again, s);
	world_run(w, is_quiet, s);
	assert_true(view(s).is_kept && view(s).is_known);
	assert_int_equal(view(s).brought->len, 0);
	signpost_bring(s);
	assert_int_equal(view(s).brought->bytes[19], 0xaa);
	/* Once more is a wish for its torrent. */
	assert_int_equal(signpost_keep(e, &b, &s), EEXIST);
	assert_int_equal(view(s).brought->len, 0);
	assert_int_equal(signpost_settle(e, &wait), ENOENT); /* no disk */

	assert_int_equal(signpost_drop(s), 0);
	assert_null(signpost_find(e, &b));
	assert_int_equal(signpost_use(e, &b, &s), EAGAIN);
	assert_false(view(s).is_kept);
}

/* An item that is no torrent's is known, and leads nowhere. */
static void other_values_lead_nowhere(void **state)
{
	struct world *w = *state;
	uint8_t key[32], sig[64] = {0};
	struct dht_item item = {.value = span_str("5:hello"),
				.is_mutable = true,
				.key = key,
				.sig = sig,
				.seq = 1};
	struct item_box box;
	struct signpost *s;
	struct btpk b;

	dht_world(w);
	assert_int_equal(item_sign(&item, seed, key, sig), 0);
	assert_true(item_box_set(&box, &item));
	assert_int_equal(put(&w->nodes[1], &box, NULL).put_err, 0);
	b = key_of(&box);
	assert_int_equal(use(&w->nodes[2], &b).hash.len, 0);
	assert_int_equal(signpost_use(w->nodes[2].engine, &b, &s), ENOENT);
}

static void without_a_dht_nothing_is_found(void **state)
{
	struct world *w = *state;
	struct btpk b = {.key = "nobody"};

	node_start(w, 0, HOLDS_NONE, NULL, 0, false);
	assert_int_equal(use(&w->nodes[0], &b).err, ENOENT);
}

static void count_saved(void *arg, const struct signpost_saved *s)
{
	struct noted *noted = arg;

	noted->n++;
	noted->seq = s->item.seq;
	noted->n_kept += s->is_kept;
	noted->n_brought += s->brought.len > 0;
	noted->n_empty += s->item.value.len == 0;
}

/* What is remembered is as it was; what is not rightly signed is passed over.
 */
static void saved_ones_come_back(void **state)
{
	struct noted noted = {0};
	struct item_box one, two;
	struct signpost_saved s = {.used_s = 5};
	struct buf b = {0};

	sign(&one, "", 1, 0xaa);
	sign(&two, "pepper", 2, 0xbb);
	signpost_saved_begin(&b);
	s.item = one.item;
	signpost_saved_add(&b, &s);
	s.item = two.item;
	s.is_own = true;
	s.is_kept = true;
	s.brought.len = 20;
	signpost_saved_add(&b, &s);
	/* Followed, and not found yet; without that it is nothing. */
	two.item.value = span_of(NULL, 0);
	s.item = two.item;
	s.brought.len = 0;
	signpost_saved_add(&b, &s);
	s.is_kept = false;
	signpost_saved_add(&b, &s);
	signpost_saved_end(&b);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(signpost_saved_read(buf_span(&b), count_saved, &noted),
			 0);
	assert_int_equal(noted.n, 3);
	assert_int_equal(noted.n_kept, 2);
	assert_int_equal(noted.n_brought, 1);
	assert_int_equal(noted.n_empty, 1);
	b.data[10] ^= 1; /* of the first one's signature */
	noted.n = 0;
	assert_int_equal(signpost_saved_read(buf_span(&b), count_saved, &noted),
			 0);
	assert_int_equal(noted.n, 2);
	b.data[0] = 'd';
	assert_int_equal(signpost_saved_read(buf_span(&b), count_saved, &noted),
			 EBADMSG);
	buf_fini(&b);
}

int main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_put_is_found),
		T(only_what_is_newer_counts),
		T(signatures_must_be_right),
		T(nobodys_keys),
		T(followed_until_dropped),
		T(other_values_lead_nowhere),
		T(without_a_dht_nothing_is_found),
		cmocka_unit_test(saved_ones_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
