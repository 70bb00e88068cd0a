/* Unit tests of whole nodes: several in memory, under a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/dht/dht_world.h"

static struct world w;

/* ---- fixture ---- */

static int set_up(void **state)
{
	(void)state;
	world_init(&w, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < w.n; i++)
		if (w.nodes[i].node)
			dht_node_check(w.nodes[i].node);
	world_fini(&w);
	return 0;
}

/* ---- helpers ---- */

static const struct dht_search_cfg peers_cfg = {.ask = DHT_ASK_PEERS};

/* `wn` announces a random hash; its port is 7777. */
static struct dht_id announce(struct world_node *wn)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct watch t = {0};

	cfg.target = world_target(&w);
	cfg.announce_port = 7777;
	watch_start(&t, wn, &cfg);
	watch_run(&t, 60000000);
	assert_int_equal(t.outcome.why, DHT_END_DONE);
	assert_true(t.outcome.n_stored > 0);
	return cfg.target;
}

/* `wn` looks for it. */
static struct watch look_for(struct world_node *wn, const struct dht_id *hash)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct watch t = {0};

	cfg.target = *hash;
	watch_start(&t, wn, &cfg);
	watch_run(&t, 60000000);
	return t;
}

static struct dht_stats stats(const struct world_node *wn)
{
	struct dht_stats st;

	dht_node_stats(wn->node, &st);
	return st;
}

static void receive(struct world_node *wn, const struct addr *from,
		    const void *bytes, size_t len)
{
	assert_true(dht_node_receive(wn->node, w.now_us, from, bytes, len));
	world_rearm(wn);
}

/* A stranger's query, and the answers that it gets. */
struct stranger {
	uint32_t n;
	size_t len;
	uint8_t bytes[DHT_DATAGRAM_MAX];
};

static void stranger_hears(struct world_node *self, const struct addr *from,
			   const uint8_t *bytes, size_t len)
{
	struct stranger *s = self->arg;
	struct krpc_msg m;

	(void)from;
	if (krpc_decode(&m, bytes, len) != 0 || m.kind == KRPC_QUERY)
		return; /* they look whether he is a node */
	s->n++;
	s->len = len;
	memcpy(s->bytes, bytes, len);
}

static struct world_node *add_stranger(struct stranger *s)
{
	struct addr a = world_public(&w);
	struct world_node *wn = world_place(&w, &a);

	*s = (struct stranger){0};
	wn->on_datagram = stranger_hears;
	wn->arg = s;
	return wn;
}

/* The stranger asks `wn`; his own id is all 7s. The length of the query. */
static size_t ask(struct world_node *stranger, struct world_node *wn,
		  struct krpc_query *q)
{
	static struct dht_id self;
	uint8_t bytes[DHT_DATAGRAM_MAX];
	size_t len;

	memset(&self, 7, sizeof(self));
	q->self = &self;
	len = krpc_encode_query(bytes, sizeof(bytes), q);
	assert_true(len > 0);
	world_send(&w, &stranger->a, &wn->a, bytes, len);
	world_run(&w, 1000000);
	return len;
}

/* ---- finding ---- */

/* Two nodes of which one was told of the other know each other a second later,
 * and one finds what the other has announced. */
static void two_nodes(void **state)
{
	struct addr a = world_addr("127.0.0.1:1001");
	struct addr b = world_addr("127.0.0.1:1002");
	struct world_node *one = world_add(&w, &a, NULL);
	struct world_node *two = world_add(&w, &b, NULL);
	struct dht_id hash;
	struct watch t;

	(void)state;
	dht_node_endpoint(one->node, w.now_us, &two->a);
	world_rearm(one);
	world_run(&w, 5000000);
	hash = announce(one);
	t = look_for(one, &hash);
	assert_int_equal(t.n_peers, 1);
	a = world_addr("127.0.0.1:7777");
	assert_true(addr_eq(&t.peers[0], &a));
}

/* Each contact is told once, those of the table first and as the figures have
 * it. */
static void tells_contacts(const struct world_node *wn)
{
	struct dht_family_stats st = stats(wn).family[DHT_IPV4];
	struct dht_contact c;
	uint32_t n[DHT_CONTACT_SPARE + 1] = {0};

	for (uint32_t i = 0; dht_node_contact(wn->node, DHT_IPV4, i, &c); i++) {
		assert_int_equal(c.standing == DHT_CONTACT_SPARE,
				 i >= st.n_contacts);
		assert_int_equal(c.bucket, nodeid_common(&c.id, &st.id));
		assert_int_equal(addr_port(&c.addr), addr_port(&wn->a));
		assert_true(c.rtt_ms > 0 || c.standing != DHT_CONTACT_GOOD);
		n[c.standing]++;
	}
	assert_int_equal(n[DHT_CONTACT_GOOD], st.n_good);
	assert_int_equal(n[DHT_CONTACT_DUBIOUS], st.n_contacts - st.n_good);
	assert_int_equal(n[DHT_CONTACT_SPARE], st.n_spare);
	assert_false(dht_node_contact(wn->node, DHT_IPV6, 0, &c));
}

/* Fifty nodes: each learns of enough others, and whatever one announces any
 * other finds. */
static void fifty_nodes(void **state)
{
	(void)state;
	world_grow(&w, 50, NULL);
	for (uint32_t i = 0; i < w.n; i++)
		assert_true(dht_node_is_ready(w.nodes[i].node));
	tells_contacts(&w.nodes[7]);
	for (uint32_t i = 0; i < 10; i++) {
		struct dht_id hash = announce(&w.nodes[i]);
		struct watch t = look_for(&w.nodes[20 + i], &hash);

		assert_int_equal(t.outcome.why, DHT_END_DONE);
		assert_int_equal(t.n_peers, 1);
		assert_true(addr_eq_host(&t.peers[0], &w.nodes[i].a));
	}
}

/* With half of the contacts dead and a tenth of the datagrams lost everything
 * is still found, and the first peers come before a query would expire. */
static void half_are_dead(void **state)
{
	struct dht_id hash[10];

	(void)state;
	world_grow(&w, 100, NULL);
	for (uint32_t i = 0; i < 10; i++)
		hash[i] = announce(&w.nodes[i]);
	w.loss_percent = 10;
	for (uint32_t i = 0; i < 100; i += 2)
		if (i > 10)
			world_kill(&w.nodes[i]);
	for (uint32_t i = 0; i < 10; i++) {
		struct watch t = look_for(&w.nodes[51 + i * 4], &hash[i]);

		assert_int_equal(t.n_peers, 1);
		assert_true(t.first_us - t.started_us < 2000000);
	}
}

/* The same over IPv6. */
static void ipv6_alone(void **state)
{
	char text[ADDR_TEXT_BYTES];
	struct dht_id hash;
	struct watch t;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		struct addr a;

		(void)snprintf(text, sizeof(text), "[2a00:%x::1]:6881", i + 1);
		a = world_addr(text);
		(void)world_add(&w, &a, NULL);
		dht_node_endpoint(w.nodes[i].node, w.now_us, &w.nodes[0].a);
		world_rearm(&w.nodes[i]);
	}
	world_run(&w, 60000000);
	hash = announce(&w.nodes[3]);
	t = look_for(&w.nodes[11], &hash);
	assert_int_equal(t.n_peers, 1);
	assert_true(addr_eq_host(&t.peers[0], &w.nodes[3].a));
	assert_true(stats(&w.nodes[3]).family[DHT_IPV6].is_id_good);
}

/* A node with an address in each network. */
static void twin_sends(void *arg, const struct addr *to, const void *bytes,
		       size_t len)
{
	struct world_node *wn = arg;
	struct world_node *six = wn->arg;

	world_send(&w, node_family(to) == DHT_IPV6 ? &six->a : &wn->a, to,
		   bytes, len);
}

static void twin_hears(struct world_node *self, const struct addr *from,
		       const uint8_t *bytes, size_t len)
{
	receive(self->arg, from, bytes, len);
}

static struct world_node *add_twin(void)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a = world_public(&w), b;
	struct world_node *wn = world_place(&w, &a), *six;
	struct dht_cfg cfg = {
		.send = twin_sends,
		.arg = wn,
		.hasher = w.hasher,
		.has = {true, true},
	};

	(void)snprintf(text, sizeof(text), "[2a00:%x::1]:6881", w.n);
	b = world_addr(text);
	six = world_place(&w, &b);
	wn->arg = six;
	six->on_datagram = twin_hears;
	six->arg = wn;
	for (size_t i = 0; i < sizeof(cfg.seed); i++)
		cfg.seed[i] = (uint8_t)rng_next(&w.rng);
	assert_int_equal(dht_node_new(&cfg, w.now_us, &wn->node), 0);
	world_rearm(wn);
	return wn;
}

/* BEP 32: two networks, with an id and a table for each. Who is told of the one
 * finds the other by it; and what is announced is found in both. */
static void both_networks(void **state)
{
	struct world_node *twins[20];
	struct dht_id hash;
	struct watch t;
	uint32_t n_6 = 0;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		twins[i] = add_twin();
		if (i == 1) /* one has to know of the other network */
			dht_node_endpoint(
				twins[1]->node, w.now_us,
				&((struct world_node *)twins[0]->arg)->a);
		if (i > 0)
			dht_node_endpoint(twins[i]->node, w.now_us,
					  &twins[0]->a);
		world_rearm(twins[i]);
		world_run(&w, 5000000);
	}
	world_run(&w, 120000000);
	for (uint32_t i = 0; i < 20; i++) {
		struct dht_stats st = stats(twins[i]);

		assert_true(st.family[DHT_IPV4].n_good >= 12);
		assert_true(st.family[DHT_IPV6].n_good >= 12);
		assert_true(st.family[DHT_IPV4].is_id_good);
		assert_true(st.family[DHT_IPV6].is_id_good);
	}
	hash = announce(twins[4]);
	t = look_for(twins[15], &hash);
	for (uint32_t i = 0; i < t.n_peers; i++)
		n_6 += t.peers[i].sa.sa_family == AF_INET6;
	assert_int_equal(t.n_peers, 2);
	assert_int_equal(n_6, 1);
}

/* A search that starts before anybody is known begins with the first contact.
 */
static void waits_for_the_first_contact(void **state)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct world_node *late;
	struct watch t = {0};
	struct addr a;

	(void)state;
	world_grow(&w, 20, NULL);
	cfg.target = announce(&w.nodes[5]);
	a = world_public(&w);
	late = world_add(&w, &a, NULL);
	watch_start(&t, late, &cfg);
	world_run(&w, 3000000);
	assert_false(t.has_ended);
	dht_node_endpoint(late->node, w.now_us, &w.nodes[0].a);
	world_rearm(late);
	watch_run(&t, 10000000);
	assert_int_equal(t.outcome.why, DHT_END_DONE);
	assert_int_equal(t.n_peers, 1);
}

/* Without anybody a search ends as NOBODY, at its deadline and not before. */
static void nobody_there(void **state)
{
	struct addr a = world_public(&w);
	struct world_node *alone = world_add(&w, &a, NULL);
	struct dht_search_cfg cfg = peers_cfg;
	struct watch t = {0};

	(void)state;
	cfg.deadline_us = 20000000;
	watch_start(&t, alone, &cfg);
	dht_node_endpoint(alone->node, w.now_us,
			  &(struct addr){.in4 = {
						 .sin_family = AF_INET,
						 .sin_port = 5,
						 .sin_addr = {.s_addr = 99},
					 }});
	world_rearm(alone);
	watch_run(&t, 30000000);
	assert_int_equal(t.outcome.why, DHT_END_NOBODY);
	assert_true(w.now_us - t.started_us >= 20000000);
	assert_true(w.now_us - t.started_us < 20100000);
}

/* A search cancelled in its own callback, or before, says nothing more. */
static void cancelled(void **state)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct watch t = {0};

	(void)state;
	world_grow(&w, 20, NULL);
	cfg.target = announce(&w.nodes[1]);
	t.cancels = true;
	watch_start(&t, &w.nodes[7], &cfg);
	world_run(&w, 20000000);
	assert_int_equal(t.n_calls, 1);
	assert_false(t.has_ended);
	t.cancels = false;
	watch_start(&t, &w.nodes[7], &cfg);
	dht_search_cancel(t.search);
	world_run(&w, 20000000);
	assert_int_equal(t.n_calls, 0);
	assert_false(t.has_ended);
	assert_int_equal(stats(&w.nodes[7]).n_searches, 0);
}

/* The same seed and the same calls: the same datagrams. */
static void replays(void **state)
{
	uint64_t n_sent[2], n_bytes[2], now_us[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct dht_id hash;

		world_fini(&w);
		world_init(&w, 42);
		w.loss_percent = 5;
		world_grow(&w, 30, NULL);
		hash = announce(&w.nodes[2]);
		(void)look_for(&w.nodes[9], &hash);
		n_sent[i] = w.n_sent;
		n_bytes[i] = w.n_bytes;
		now_us[i] = w.now_us;
	}
	assert_int_equal(n_sent[0], n_sent[1]);
	assert_int_equal(n_bytes[0], n_bytes[1]);
	assert_int_equal(now_us[0], now_us[1]);
}

/* ---- items, samples, scrapes ---- */

struct item_watch {
	uint8_t value[64];
	size_t len;
	uint32_t n;
	const struct dht_item *put;
	bool has_cas;
	int64_t cas;
	bool has_ended;
	struct dht_outcome outcome;
};

static void on_item(void *arg, const struct dht_item *item)
{
	struct item_watch *t = arg;

	t->n++;
	assert_in_range(item->value.len, 1, sizeof(t->value));
	t->len = item->value.len;
	memcpy(t->value, item->value.ptr, t->len);
}

static bool on_put(void *arg, const struct dht_item *best, struct dht_item *put,
		   bool *has_cas, int64_t *cas)
{
	struct item_watch *t = arg;

	(void)best;
	*has_cas = t->has_cas;
	*cas = t->cas;
	*put = *t->put;
	return true;
}

static void on_item_end(void *arg, const struct dht_outcome *outcome)
{
	struct item_watch *t = arg;

	t->has_ended = true;
	t->outcome = *outcome;
}

static void start_item(struct item_watch *t, struct world_node *wn,
		       const struct dht_search_cfg *like)
{
	struct dht_search_cfg cfg = *like;

	cfg.ask = DHT_ASK_ITEM;
	cfg.on_item = on_item;
	cfg.on_put = t->put ? on_put : NULL;
	cfg.on_end = on_item_end;
	cfg.arg = t;
	assert_int_equal(dht_search_start(wn->node, w.now_us, &cfg, NULL), 0);
	world_rearm(wn);
}

static void end_item(struct item_watch *t)
{
	while (!t->has_ended && world_step(&w, UINT64_MAX - 1))
		;
	assert_int_equal(t->outcome.why, DHT_END_DONE);
}

static void run_item(struct item_watch *t, struct world_node *wn,
		     const struct dht_search_cfg *like)
{
	start_item(t, wn, like);
	end_item(t);
}

/* An immutable item that one node puts another gets, with its bytes. */
static void immutable_items(void **state)
{
	struct dht_item item = {.value = span_str("12:Hello World!")};
	struct item_watch put = {.put = &item};
	struct item_watch get = {0};
	struct dht_search_cfg cfg = {0};

	(void)state;
	world_grow(&w, 30, NULL);
	item_target(w.hasher, &item, &cfg.target);
	run_item(&put, &w.nodes[3], &cfg);
	assert_int_equal(put.outcome.n_stored, 8);
	run_item(&get, &w.nodes[20], &cfg);
	assert_int_equal(get.n, 1);
	assert_true(span_is(span_of(get.value, get.len), "12:Hello World!"));
}

/* A mutable item, and a newer one in its place. */
static void mutable_items(void **state)
{
	const uint8_t seed[32] = {1, 2, 3};
	uint8_t key[32], sig[64];
	struct dht_item item = {
		.value = span_str("1:a"),
		.is_mutable = true,
		.key = key,
		.sig = sig,
		.seq = 1,
		.salt = span_str("pepper"),
	};
	struct dht_search_cfg cfg = {.key = key, .salt = item.salt};

	(void)state;
	world_grow(&w, 30, NULL);
	for (int64_t seq = 1; seq <= 2; seq++) {
		struct item_watch put = {.put = &item};
		struct item_watch get = {0};

		item.seq = seq;
		item.value = span_str(seq == 1 ? "1:a" : "1:b");
		assert_int_equal(item_sign(&item, seed, key, sig), 0);
		item_target(w.hasher, &item, &cfg.target);
		run_item(&put, &w.nodes[3], &cfg);
		assert_int_equal(put.outcome.n_stored, 8);
		run_item(&get, &w.nodes[20], &cfg);
		assert_true(get.n > 0);
		assert_true(span_is(span_of(get.value, get.len),
				    seq == 1 ? "1:a" : "1:b"));
	}
}

/* Two with the same secret put at once, each in the place of what was there:
 * at most one is told that it is his. With nothing there yet, and so without
 * cas, it is the same. */
static void racing_puts(void **state)
{
	uint8_t key[2][32], sig[2][64];
	uint32_t n_won = 0;

	(void)state;
	world_grow(&w, 40, NULL);
	for (uint8_t round = 0; round < 20; round++) {
		const uint8_t seed[32] = {7, round};
		struct dht_search_cfg cfg = {.key = key[0]};
		struct dht_item items[2];
		struct item_watch racers[2] = {0}, get = {0};
		bool has_won[2];

		for (int i = 0; i < 2; i++) {
			items[i] = (struct dht_item){
				.value = span_str(i == 0 ? "1:a" : "1:b"),
				.is_mutable = true,
				.key = key[i],
				.sig = sig[i],
				.seq = 1,
			};
			assert_int_equal(
				item_sign(&items[i], seed, key[i], sig[i]), 0);
		}
		item_target(w.hasher, &items[0], &cfg.target);
		if (round % 2 == 1) {
			struct item_watch first = {.put = &items[0]};

			run_item(&first, &w.nodes[30], &cfg);
		}
		for (int i = 0; i < 2; i++) {
			items[i].seq = 2;
			assert_int_equal(
				item_sign(&items[i], seed, key[i], sig[i]), 0);
			racers[i].put = &items[i];
			racers[i].has_cas = round % 2 == 1;
			racers[i].cas = 1;
			start_item(&racers[i], &w.nodes[3 + 7 * i], &cfg);
		}
		for (int i = 0; i < 2; i++) {
			end_item(&racers[i]);
			has_won[i] = racers[i].outcome.n_stored > 0 &&
				     !racers[i].outcome.is_outdone;
			n_won += has_won[i];
		}
		assert_false(has_won[0] && has_won[1]);
		run_item(&get, &w.nodes[20], &cfg);
		assert_true(get.n > 0);
	}
	assert_true(n_won > 0);
}

static void on_samples(void *arg, const struct dht_samples *samples)
{
	uint32_t *n = arg;

	*n += (uint32_t)samples->n;
	assert_in_range(samples->interval_s, 0, DHT_SAMPLE_INTERVAL_MAX_S);
}

/* A walk with BEP 51 hears of what was announced. */
static void samples(void **state)
{
	struct dht_search_cfg cfg = {.ask = DHT_ASK_SAMPLES};
	uint32_t n = 0;

	(void)state;
	world_grow(&w, 20, NULL);
	for (uint32_t i = 0; i < 5; i++)
		(void)announce(&w.nodes[i]);
	cfg.on_samples = on_samples;
	cfg.arg = &n;
	cfg.target = world_target(&w);
	assert_int_equal(
		dht_search_start(w.nodes[9].node, w.now_us, &cfg, NULL), 0);
	world_rearm(&w.nodes[9]);
	world_run(&w, 20000000);
	assert_true(n >= 5);
}

/* A scrape counts who announced as what. */
static void scrapes(void **state)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct watch t = {0};

	(void)state;
	world_grow(&w, 30, NULL);
	cfg.target = world_target(&w);
	for (uint32_t i = 0; i < 12; i++) {
		cfg.announce_port = 7777;
		cfg.is_seed = i < 4;
		watch_start(&t, &w.nodes[i], &cfg);
		watch_run(&t, 20000000);
	}
	cfg.announce_port = 0;
	cfg.is_scrape = true;
	watch_start(&t, &w.nodes[25], &cfg);
	watch_run(&t, 20000000);
	assert_int_equal(t.outcome.seeds_about, 4);
	assert_in_range(t.outcome.leeches_about, 7, 9);
	assert_int_equal(t.n_peers, 12);
}

/* ---- our address, the table ---- */

/* Who did not know his address learns it of others, and has an id that fits. */
static void external_address(void **state)
{
	(void)state;
	world_grow(&w, 20, NULL);
	for (uint32_t i = 1; i < w.n; i++) {
		struct dht_family_stats st =
			stats(&w.nodes[i]).family[DHT_IPV4];

		assert_true(st.has_external);
		assert_true(addr_eq_host(&st.external, &w.nodes[i].a));
		assert_true(st.is_id_good);
		assert_true(nodeid_fits(&st.id, &w.nodes[i].a));
	}
}

/* What is saved and loaded by another node brings it into the network without
 * an endpoint. A lying file does no harm. */
static void saved_table(void **state)
{
	struct world_node *again;
	struct buf saved = {0};
	struct addr a;

	(void)state;
	world_grow(&w, 30, NULL);
	dht_node_save(w.nodes[7].node, &saved);
	assert_int_equal(buf_err(&saved), 0);
	a = world_public(&w);
	again = world_add(&w, &a, NULL);
	for (size_t cut = 0; cut < saved.len; cut++)
		assert_int_equal(dht_node_load(again->node, w.now_us,
					       span_of(saved.data, cut)),
				 EBADMSG);
	assert_int_equal(dht_node_load(again->node, w.now_us, buf_span(&saved)),
			 0);
	assert_int_equal(stats(again).family[DHT_IPV4].n_good, 0);
	world_rearm(again);
	world_run(&w, 30000000);
	assert_true(stats(again).family[DHT_IPV4].n_good >= 20);
	buf_fini(&saved);
}

/* Contacts that have died leave the table; those that live stay. */
static void dead_contacts_leave(void **state)
{
	(void)state;
	world_grow(&w, 40, NULL);
	for (uint32_t i = 20; i < 40; i++)
		world_kill(&w.nodes[i]);
	world_run(&w, UINT64_C(2400) * 1000000);
	for (uint32_t i = 0; i < 20; i++) {
		struct dht_family_stats st =
			stats(&w.nodes[i]).family[DHT_IPV4];

		assert_int_equal(st.n_contacts, 19);
		assert_int_equal(st.n_good, 19);
	}
}

/* While the whole network is away nobody is forgotten. */
static void outage(void **state)
{
	(void)state;
	world_grow(&w, 30, NULL);
	w.loss_percent = 100;
	world_run(&w, UINT64_C(7200) * 1000000);
	assert_true(stats(&w.nodes[3]).family[DHT_IPV4].n_contacts >= 20);
	w.loss_percent = 0;
	world_run(&w, UINT64_C(300) * 1000000);
	assert_true(stats(&w.nodes[3]).family[DHT_IPV4].n_good >= 25);
}

/* After a move nobody counts before he has answered again, and that begins at
 * once. */
static void another_network(void **state)
{
	struct world_node *wn;

	(void)state;
	world_grow(&w, 30, NULL);
	wn = &w.nodes[3];
	assert_true(dht_node_is_ready(wn->node));
	dht_node_network_changed(wn->node, w.now_us);
	world_rearm(wn);
	assert_false(dht_node_is_ready(wn->node));
	world_run(&w, 5000000);
	assert_true(dht_node_is_ready(wn->node));
}

/* A quiet node sends no more than its budget. */
static void quiet_budget(void **state)
{
	uint64_t before;

	(void)state;
	world_grow(&w, 60, NULL);
	world_run(&w, UINT64_C(600) * 1000000);
	before = stats(&w.nodes[3]).out_queries;
	world_run(&w, UINT64_C(3600) * 1000000);
	assert_true(stats(&w.nodes[3]).out_queries - before < 60 * 12);
	assert_true(stats(&w.nodes[3]).out_queries - before > 60);
}

/* ---- strangers ---- */

/* Nobody gets more than three times what he sent before he has answered us. */
static void no_amplification(void **state)
{
	struct dht_search_cfg cfg = peers_cfg;
	struct world_node *stranger;
	struct watch t = {0};
	struct stranger heard;

	(void)state;
	world_grow(&w, 40, NULL);
	cfg.target = world_target(&w);
	for (uint32_t i = 0; i < 40; i++) {
		cfg.announce_port = 7777;
		watch_start(&t, &w.nodes[i], &cfg);
		watch_run(&t, 20000000);
	}
	stranger = add_stranger(&heard);
	for (uint32_t i = 0; i < 40; i++) {
		for (int m = KRPC_PING; m <= KRPC_SAMPLE_INFOHASHES; m++) {
			struct krpc_query q = {
				.method = (enum krpc_method)m,
				.tid = 5,
				.target = &cfg.target,
				.want = KRPC_WANT4 | KRPC_WANT6,
				.token = span_str("x"),
				.value = span_str("1:a"),
				.is_scrape = true,
			};
			size_t len;

			heard.n = 0;
			heard.len = 0;
			len = ask(stranger, &w.nodes[i], &q);
			assert_true(heard.len <= len * DHT_AMPLIFY_MAX);
		}
	}
}

static void counts_bytes(struct world_node *self, const struct addr *from,
			 const uint8_t *bytes, size_t len)
{
	(void)from;
	(void)bytes;
	*(size_t *)self->arg += len;
}

/* Somebody sends in the name of an address that never says a word: all that we
 * send there, answers and questions of our own, now and later, is no more than
 * three times what came; and a question is not asked again. */
static void forged_senders_are_left_alone(void **state)
{
	struct addr a;
	struct world_node *victim;
	size_t n_in = 0, n_out = 0;
	struct dht_stats before;

	(void)state;
	world_grow(&w, 3, NULL);
	before = stats(&w.nodes[1]);
	a = world_public(&w);
	victim = world_place(&w, &a);
	victim->on_datagram = counts_bytes;
	victim->arg = &n_out;
	for (int i = 0; i < 40; i++) {
		struct dht_id target = world_target(&w);
		struct krpc_query q = {
			.method = i % 3 == 0 ? KRPC_PING : KRPC_GET_PEERS,
			.tid = (uint32_t)i,
			.target = &target,
		};

		n_in += ask(victim, &w.nodes[1], &q);
		assert_true(n_out <= DHT_AMPLIFY_MAX * n_in);
	}
	world_run(&w, 120000000);
	assert_true(n_out <= DHT_AMPLIFY_MAX * n_in);
	assert_true(n_out > n_in); /* he was answered */
	assert_true(stats(&w.nodes[1]).timeouts - before.timeouts <= 1);
}

/* Answers to strangers are so many bytes a second and no more; who has shown
 * that he is where he says is answered all the same. */
static void upload_has_a_cap(void **state)
{
	enum { BPS = 2000, SECONDS = 60 };
	struct dht_cfg cfg = {.answer_Bps = BPS, .is_unlimited = true};
	struct dht_id target = world_target(&w);
	struct krpc_query q = {.method = KRPC_GET_PEERS, .target = &target};
	struct stranger heard, known;
	struct world_node *wn, *stranger, *proven;
	struct addr a;
	size_t n_bytes = 0, len = 0;
	uint64_t end_us;

	(void)state;
	world_grow(&w, 20, NULL);
	a = world_public(&w);
	wn = world_add(&w, &a, &cfg);
	dht_node_endpoint(wn->node, w.now_us, &w.nodes[0].a);
	world_rearm(wn);
	world_run(&w, 20000000);
	stranger = add_stranger(&heard);
	stranger->on_datagram = counts_bytes;
	stranger->arg = &n_bytes;
	proven = add_stranger(&known);
	hostset_add(&wn->node->proven, node_host_hash(wn->node, &proven->a),
		    node_tick(wn->node, w.now_us));
	q.self = &target;
	end_us = w.now_us + SECONDS * UINT64_C(1000000);
	while (w.now_us < end_us) {
		uint8_t bytes[DHT_DATAGRAM_MAX];

		q.tid++;
		len = krpc_encode_query(bytes, sizeof(bytes), &q);
		for (int i = 0; i < 20; i++)
			world_send(&w, &stranger->a, &wn->a, bytes, len);
		world_run(&w, 100000);
	}
	assert_true(n_bytes <= BPS * (SECONDS + DHT_ANSWER_BURST_S + 1));
	assert_true(n_bytes >= BPS * SECONDS);
	assert_true(stats(wn).dropped[DHT_DROP_BUSY] > 0);
	(void)ask(proven, wn, &q);
	assert_int_equal(known.n, 1);
}

/* A token is good only from where it was sent to, and for its hash. */
static void foreign_tokens(void **state)
{
	struct world_node *thief, *owner;
	struct stranger stolen, heard;
	struct krpc_query q = {.method = KRPC_GET_PEERS, .tid = 1};
	struct dht_id hash, other;
	struct krpc_msg m;

	(void)state;
	world_grow(&w, 10, NULL);
	hash = world_target(&w);
	other = world_target(&w);
	owner = add_stranger(&heard);
	thief = add_stranger(&stolen);
	q.target = &hash;
	(void)ask(owner, &w.nodes[2], &q);
	assert_int_equal(krpc_decode(&m, heard.bytes, heard.len), 0);
	assert_non_null(m.args.token.ptr);
	q = (struct krpc_query){
		.method = KRPC_ANNOUNCE_PEER,
		.tid = 2,
		.target = &hash,
		.port = 1000,
		.token = m.args.token,
	};
	(void)ask(thief, &w.nodes[2], &q);
	assert_int_equal(krpc_decode(&m, stolen.bytes, stolen.len), 0);
	assert_int_equal(m.kind, KRPC_ERROR);
	assert_int_equal(m.code, KRPC_ERR_PROTOCOL);
	q.target = &other;
	assert_int_equal(krpc_decode(&m, heard.bytes, heard.len), 0);
	q.token = m.args.token;
	(void)ask(owner, &w.nodes[2], &q);
	assert_int_equal(stats(&w.nodes[2]).stored_peers, 0);
	assert_int_equal(stats(&w.nodes[2]).dropped[DHT_DROP_TOKEN], 2);
}

/* Answers that nobody asked for, with wrong ids, or from the wrong address are
 * counted and change nothing. */
static void unasked_answers(void **state)
{
	struct world_node *wn;
	struct stranger heard;
	struct world_node *stranger;
	struct dht_stats before;
	struct dht_id id;
	struct krpc_answer a;
	uint8_t bytes[512];
	uint8_t tid[4];
	size_t len;

	(void)state;
	world_grow(&w, 10, NULL);
	wn = &w.nodes[4];
	stranger = add_stranger(&heard);
	before = stats(wn);
	id = world_target(&w);
	for (uint32_t i = 0; i < 10000; i++) {
		be32_put(tid, (uint32_t)rng_next(&w.rng));
		a = (struct krpc_answer){
			.tid = span_of(tid, 4),
			.to = &wn->a,
			.self = &id,
		};
		len = krpc_encode_answer(bytes, sizeof(bytes), &a);
		receive(wn, &stranger->a, bytes, len);
	}
	assert_int_equal(stats(wn).dropped[DHT_DROP_UNASKED] -
				 before.dropped[DHT_DROP_UNASKED],
			 10000);
	assert_int_equal(stats(wn).family[DHT_IPV4].n_contacts,
			 before.family[DHT_IPV4].n_contacts);
}

/* BEP 43: who is read-only answers nobody, says so, and is in no table; he
 * finds what he looks for all the same. */
static void read_only(void **state)
{
	struct dht_cfg cfg = {.is_read_only = true};
	struct world_node *quiet;
	struct dht_id hash;
	struct watch t;
	struct addr a;

	(void)state;
	world_grow(&w, 20, NULL);
	hash = announce(&w.nodes[2]);
	a = world_public(&w);
	quiet = world_add(&w, &a, &cfg);
	dht_node_endpoint(quiet->node, w.now_us, &w.nodes[0].a);
	world_rearm(quiet);
	world_run(&w, 120000000);
	t = look_for(quiet, &hash);
	assert_int_equal(t.n_peers, 1);
	assert_int_equal(stats(quiet).out_answers, 0);
	for (uint32_t i = 0; i < 20; i++)
		assert_null(shelf_find_addr(
			&w.nodes[i].node->half[DHT_IPV4].routing.table, &a));
}

/* Nodes and peers of a public node that cannot be are not taken: unspecified,
 * port 0, local ones, ourselves. */
static void martians(void **state)
{
	static const char *const never[] = {
		"0.0.0.0:5",	     "10.1.2.3:5",    "127.0.0.1:5",
		"192.168.1.1:5",     "169.254.1.1:5", "224.0.0.1:5",
		"255.255.255.255:5", "44.1.2.3:0",
	};
	struct addr from = world_addr("44.4.4.4:4");
	struct world_node *wn;

	(void)state;
	world_grow(&w, 10, NULL);
	wn = &w.nodes[3];
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++) {
		struct addr a = world_addr(never[i]);

		assert_false(node_can_be(wn->node, &a, &from));
	}
	assert_false(node_can_be(wn->node, &wn->a, &from));
	assert_true(node_can_be(wn->node, &w.nodes[4].a, &from));
}

/* An unknown method gets 204, unless it has a target: then nodes. */
static void unknown_methods(void **state)
{
	static const char plain[] = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:fish"
				    "1:t2:xy1:y1:qe";
	static const char target[] = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:"
				     "target20:bbbbbbbbbbbbbbbbbbbb"
				     "e1:q4:fish1:t2:xy1:y1:qe";
	struct stranger heard;
	struct world_node *stranger;
	struct krpc_msg m;

	(void)state;
	world_grow(&w, 10, NULL);
	stranger = add_stranger(&heard);
	receive(&w.nodes[1], &stranger->a, plain, sizeof(plain) - 1);
	world_run(&w, 1000000);
	assert_int_equal(krpc_decode(&m, heard.bytes, heard.len), 0);
	assert_int_equal(m.code, KRPC_ERR_METHOD);
	receive(&w.nodes[1], &stranger->a, target, sizeof(target) - 1);
	world_run(&w, 1000000);
	assert_int_equal(krpc_decode(&m, heard.bytes, heard.len), 0);
	assert_int_equal(m.kind, KRPC_ANSWER);
	assert_true(m.args.nodes.len > 0);
}

/* ---- sybils ---- */

struct sybil {
	struct dht_id id;
};

static struct sybil sybils[2000];
static uint32_t first_sybil;

/* A sybil answers everything with the sybils closest to what is asked. */
static void sybil_hears(struct world_node *self, const struct addr *from,
			const uint8_t *bytes, size_t len)
{
	uint8_t nodes[8 * KRPC_NODE4_BYTES];
	const struct sybil *me = self->arg;
	struct krpc_answer a;
	uint8_t out[DHT_DATAGRAM_MAX];
	struct krpc_msg m;

	if (krpc_decode(&m, bytes, len) != 0 || m.kind != KRPC_QUERY)
		return;
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t pick = (uint32_t)rng_below(&w.rng, 2000);
		uint8_t compact[ADDR_COMPACT6];

		memcpy(nodes + i * KRPC_NODE4_BYTES, sybils[pick].id.b,
		       DHT_ID_BYTES);
		(void)addr_to_compact(&w.nodes[first_sybil + pick].a, compact);
		memcpy(nodes + i * KRPC_NODE4_BYTES + DHT_ID_BYTES, compact,
		       ADDR_COMPACT4);
	}
	a = (struct krpc_answer){
		.tid = m.tid,
		.to = from,
		.self = &me->id,
		.nodes = span_of(nodes, sizeof(nodes)),
		.token = span_str("sybil"),
	};
	len = krpc_encode_answer(out, sizeof(out), &a);
	world_send(&w, &self->a, from, out, len);
}

/* 2000 sybils in four networks, with ids around the target, who have told
 * everybody of themselves, against fifty honest nodes: what was announced is
 * found, and of each network there are few in any table. */
static void sybils_in_four_networks(void **state)
{
	char text[ADDR_TEXT_BYTES];
	struct dht_id hash;
	struct watch t;

	(void)state;
	world_grow(&w, 50, NULL);
	hash = world_target(&w);
	first_sybil = w.n;
	for (uint32_t i = 0; i < 2000; i++) {
		struct world_node *wn;
		struct addr a;

		(void)snprintf(text, sizeof(text), "6.6.%u.%u:%u", i % 4,
			       1 + i / 4 % 250, 1000 + i);
		a = world_addr(text);
		wn = world_place(&w, &a);
		sybils[i].id = hash;
		for (int b = 4; b < DHT_ID_BYTES; b++)
			sybils[i].id.b[b] = (uint8_t)rng_next(&w.rng);
		wn->on_datagram = sybil_hears;
		wn->arg = &sybils[i];
	}
	for (uint32_t i = 0; i < 2000; i++) {
		struct krpc_query q = {
			.method = KRPC_FIND_NODE,
			.tid = i,
			.self = &sybils[i].id,
			.target = &hash,
		};
		uint8_t bytes[512];
		size_t len = krpc_encode_query(bytes, sizeof(bytes), &q);

		for (uint32_t k = 0; k < 50; k++)
			world_send(&w, &w.nodes[first_sybil + i].a,
				   &w.nodes[k].a, bytes, len);
		world_run(&w, 20000);
	}
	world_run(&w, 60000000);
	{
		struct dht_search_cfg cfg = peers_cfg;

		cfg.target = hash;
		cfg.announce_port = 7777;
		t = (struct watch){0};
		watch_start(&t, &w.nodes[5], &cfg);
		watch_run(&t, 60000000);
		assert_true(t.outcome.n_stored >= 4);
	}
	for (uint32_t i = 10; i < 20; i++) {
		t = look_for(&w.nodes[i], &hash);
		assert_int_equal(t.n_peers, 1);
	}
	for (uint32_t i = 0; i < 50; i++) {
		const struct shelf *s =
			&w.nodes[i].node->half[DHT_IPV4].routing.table;
		uint32_t n = 0;

		for (uint32_t k = 0; k < s->n; k++)
			n += shelf_at(s, k)->ip[0] == 6 ? 1 : 0;
		assert_true(n <= 8);
	}
}

/* ---- memory ---- */

/* Whatever allocation fails, nothing breaks, and what is left works. */
static void without_memory(void **state)
{
	struct dht_id hash;

	(void)state;
	world_grow(&w, 12, NULL);
	for (uint64_t n = 0; n < 60; n++) {
		struct dht_search_cfg cfg = peers_cfg;
		struct dht_search *s = NULL;
		struct watch t = {.wn = &w.nodes[3]};

		cfg.target = world_target(&w);
		cfg.announce_port = 7777;
		cfg.on_peers = watch_on_peers;
		cfg.on_end = watch_on_end;
		cfg.arg = &t;
		mem_fail_after(n, 0);
		if (dht_search_start(w.nodes[3].node, w.now_us, &cfg, &s) != 0)
			s = NULL;
		mem_fail_after(UINT64_MAX, 0);
		world_rearm(&w.nodes[3]);
		world_run(&w, 40000000);
		assert_int_equal(t.has_ended, s != NULL);
	}
	hash = announce(&w.nodes[3]);
	assert_int_equal(look_for(&w.nodes[8], &hash).n_peers, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_nodes),
		TEST(fifty_nodes),
		TEST(half_are_dead),
		TEST(ipv6_alone),
		TEST(both_networks),
		TEST(waits_for_the_first_contact),
		TEST(nobody_there),
		TEST(cancelled),
		TEST(replays),
		TEST(immutable_items),
		TEST(mutable_items),
		TEST(racing_puts),
		TEST(samples),
		TEST(scrapes),
		TEST(external_address),
		TEST(saved_table),
		TEST(dead_contacts_leave),
		TEST(outage),
		TEST(another_network),
		TEST(quiet_budget),
		TEST(no_amplification),
		TEST(forged_senders_are_left_alone),
		TEST(upload_has_a_cap),
		TEST(foreign_tokens),
		TEST(unasked_answers),
		TEST(read_only),
		TEST(martians),
		TEST(unknown_methods),
		TEST(sybils_in_four_networks),
		TEST(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
