/* answer — what others ask of us.
 *
 * In this order: are we to answer at all, does he ask too much, what, and with
 * how many bytes. An address that has not answered a query of ours may be
 * forged: it gets at most DHT_AMPLIFY_MAX bytes for each of its own, whatever
 * it asks; nodes and peers are left out until that is so. What we ask him, to
 * see whether he is a node, is part of those bytes; what he came for (an item,
 * samples) goes before it.
 *
 * Nothing is allocated here, but by the stores when they keep something. */
#include <string.h>

#include "dht/node_internal.h"

enum {
	/* What a list of peers takes beside them. */
	VALUES_BYTES = 2 * DHT_PEERS_TOLD_MAX,
	/* An answer without anything in it, or an error. */
	MIN_ROOM = 75,
	/* Samples that are left out after all nodes are. */
	FEW_SAMPLES = 5,
};

struct answer {
	struct dht_node *n;
	uint64_t now_us;
	const struct addr *from;
	const struct krpc_msg *m;
	struct krpc_answer a;
	size_t most;	/* bytes of an answer to anybody */
	size_t room;	/* bytes that he may get … */
	size_t look;	/* … besides those of a look at him: we ask him, */
	bool asks;	/* whether he is a node */
	bool is_proven; /* his address */
	uint8_t nodes4[DHT_NODES_TOLD * KRPC_NODE4_BYTES];
	uint8_t nodes6[DHT_NODES_TOLD * KRPC_NODE6_BYTES];
	uint8_t peers[DHT_PEERS_TOLD_MAX * ADDR_COMPACT6];
	uint8_t token[TOKEN_BYTES];
	struct bloom seeds, leeches;
};

static bool is_proven(const struct dht_node *n, uint64_t now_us,
		      const struct addr *from)
{
	return hostset_has(&n->proven, node_host_hash(n, from),
			   node_tick(n, now_us), DHT_PROVEN_S);
}

/* ---- sending ---- */

/* A generic cell rate: answers pay for the time that their bytes take. */
static bool may_answer(struct dht_node *n, uint64_t now_us, bool proven)
{
	const uint64_t burst_us = DHT_ANSWER_BURST_S * UINT64_C(1000000);
	uint64_t *paid_us = &n->answered_us[proven];

	if (*paid_us + burst_us < now_us)
		*paid_us = now_us - burst_us;
	return n->cfg.answer_Bps == 0 || *paid_us <= now_us;
}

static void send_paid(struct answer *w, const void *bytes, size_t len)
{
	if (w->n->cfg.answer_Bps > 0)
		w->n->answered_us[w->is_proven] +=
			len * UINT64_C(1000000) / w->n->cfg.answer_Bps;
	node_send(w->n, w->from, bytes, len);
}

static void send_error(struct answer *w, enum krpc_code code, const char *text)
{
	uint8_t bytes[DHT_DATAGRAM_MAX];
	size_t len = krpc_encode_error(bytes, sizeof(bytes), w->m->tid, w->from,
				       code, text);

	if (len == 0 || len > w->room)
		return;
	w->n->out_errors++;
	send_paid(w, bytes, len);
}

/* At least `excess` bytes off a list of entries, but for the first `least`.
 * False: it has no more. */
static bool shorten(struct span *list, size_t entry_bytes, size_t least,
		    size_t excess)
{
	size_t there = list->len / entry_bytes;
	size_t n = (excess + entry_bytes - 1) / entry_bytes;

	if (there <= least)
		return false;
	list->len -= (n < there - least ? n : there - least) * entry_bytes;
	if (list->len == 0)
		list->ptr = NULL; /* its name is left out too */
	return true;
}

/* Leave out what is worth least, at least `excess` bytes of it. False: nothing
 * is left to leave out. */
static bool cut(struct krpc_answer *a, size_t excess)
{
	if (a->filter_seeds) {
		a->filter_seeds = a->filter_peers = NULL;
		return true;
	}
	if (shorten(&a->nodes6, KRPC_NODE6_BYTES, 0, excess))
		return true;
	if (a->n_peers > 1) {
		size_t n = excess / (a->peer_bytes + 2) + 1;

		a->n_peers = n < a->n_peers ? a->n_peers - n : 1;
		return true;
	}
	return shorten(&a->samples, DHT_ID_BYTES, FEW_SAMPLES, excess) ||
	       shorten(&a->nodes, KRPC_NODE4_BYTES, 0, excess) ||
	       shorten(&a->samples, DHT_ID_BYTES, 0, excess);
}

static void send_answer(struct answer *w)
{
	uint8_t bytes[DHT_DATAGRAM_MAX + VALUES_BYTES];
	size_t len;

	for (;;) {
		len = krpc_encode_answer(bytes, sizeof(bytes), &w->a);
		if (len == 0)
			return;
		if (len <= w->room)
			break;
		if (!cut(&w->a, len - w->room))
			return;
	}
	w->n->out_answers++;
	send_paid(w, bytes, len);
}

/* ---- parts ---- */

/* What he came for needs the bytes. */
static void forgo_look(struct answer *w)
{
	w->room += w->look;
	if (w->room > w->most)
		w->room = w->most;
	w->asks = w->asks && w->look == 0;
	w->look = 0;
}

static struct span find_nodes(struct answer *w, enum dht_family f, uint8_t *out)
{
	const struct routing *r = &w->n->half[f].routing;
	struct contact *good[DHT_NODES_TOLD];
	uint8_t *p = out;
	uint32_t n;

	if (!w->n->half[f].is_on)
		return span_of(NULL, 0);
	n = routing_good(r, w->m->args.target, node_tick(w->n, w->now_us), good,
			 DHT_NODES_TOLD);
	for (uint32_t i = 0; i < n; i++) {
		size_t ip_bytes = f == DHT_IPV6 ? 16 : 4;

		memcpy(p, good[i]->id.b, DHT_ID_BYTES);
		memcpy(p + DHT_ID_BYTES, good[i]->ip, ip_bytes);
		be16_put(p + DHT_ID_BYTES + ip_bytes, good[i]->port);
		p += DHT_ID_BYTES + ip_bytes + 2;
	}
	return span_of(out, (size_t)(p - out));
}

static void add_nodes(struct answer *w)
{
	uint8_t want = w->m->args.want;

	if (want == 0)
		want = node_family(w->from) == DHT_IPV4 ? KRPC_WANT4
							: KRPC_WANT6;
	if (want & KRPC_WANT4)
		w->a.nodes = find_nodes(w, DHT_IPV4, w->nodes4);
	if (want & KRPC_WANT6)
		w->a.nodes6 = find_nodes(w, DHT_IPV6, w->nodes6);
}

static void add_token(struct answer *w)
{
	token_make(&w->n->secret, w->now_us, w->from, w->m->args.target,
		   w->token);
	w->a.token = span_of(w->token, sizeof(w->token));
}

static bool has_good_token(struct answer *w, const struct dht_id *target)
{
	if (token_is_good(&w->n->secret, w->now_us, w->from, target,
			  w->m->args.token)) {
		/* It came to him, so he is where he says. */
		hostset_add(&w->n->proven, node_host_hash(w->n, w->from),
			    node_tick(w->n, w->now_us));
		return true;
	}
	w->n->dropped[DHT_DROP_TOKEN]++;
	send_error(w, KRPC_ERR_PROTOCOL, "bad token");
	return false;
}

/* ---- methods ---- */

static void answer_get_peers(struct answer *w)
{
	struct dht_node *n = w->n;
	const struct krpc_args *q = &w->m->args;
	bool is_6 = node_family(w->from) == DHT_IPV6;

	add_nodes(w);
	add_token(w);
	w->a.peers = w->peers;
	w->a.peer_bytes = is_6 ? ADDR_COMPACT6 : ADDR_COMPACT4;
	w->a.n_peers =
		peerstore_sample(&n->peers, w->now_us, &n->rng, q->target, is_6,
				 q->no_seeds, w->peers, DHT_PEERS_TOLD_MAX);
	if (q->is_scrape && peerstore_filters(&n->peers, w->now_us, q->target,
					      &w->seeds, &w->leeches)) {
		w->a.filter_seeds = w->seeds.b;
		w->a.filter_peers = w->leeches.b;
	}
	send_answer(w);
}

static void answer_announce(struct answer *w)
{
	const struct krpc_args *q = &w->m->args;
	struct addr peer = *w->from;

	if (!has_good_token(w, q->target))
		return;
	if (!q->is_port_implied) {
		if (!q->has_port || q->port <= 0 || q->port > UINT16_MAX) {
			send_error(w, KRPC_ERR_PROTOCOL, "bad port");
			return;
		}
		addr_set_port(&peer, (uint16_t)q->port);
	}
	if (peerstore_announce(&w->n->peers, w->now_us, w->n->cfg.hasher,
			       q->target, &peer, q->is_seed) != 0) {
		send_error(w, KRPC_ERR_SERVER, "no room");
		return;
	}
	upkeep_on_stored(w->n, w->now_us);
	send_answer(w);
}

/* The item itself, if it fits, without nodes if need be. */
static void add_item(struct answer *w, const struct dht_item *item)
{
	uint8_t bytes[DHT_DATAGRAM_MAX];
	struct krpc_answer bare = w->a;
	size_t len;

	bare.nodes = bare.nodes6 = span_of(NULL, 0);
	bare.value = item->value;
	bare.key = item->key;
	bare.sig = item->sig;
	len = krpc_encode_answer(bytes, sizeof(bytes), &bare);
	if (len == 0 || len > w->room + w->look)
		return; /* he may, when he has answered us */
	if (len > w->room)
		forgo_look(w);
	w->a.value = bare.value;
	w->a.key = bare.key;
	w->a.sig = bare.sig;
}

static void answer_get(struct answer *w)
{
	const struct krpc_args *q = &w->m->args;
	struct dht_item item;

	add_token(w);
	if (items_get(&w->n->items, w->now_us, q->target, &item)) {
		w->a.has_seq = item.is_mutable;
		w->a.seq = item.seq;
		if (!item.is_mutable || !q->has_seq || item.seq > q->seq)
			add_item(w, &item);
	}
	add_nodes(w);
	send_answer(w);
}

static void answer_put(struct answer *w)
{
	static const struct {
		enum krpc_code code;
		const char *text;
	} faults[] = {
		[ITEM_TOO_BIG] = {KRPC_ERR_TOO_BIG, "value too big"},
		[ITEM_SALT] = {KRPC_ERR_SALT, "salt too big"},
		[ITEM_MALFORMED] = {KRPC_ERR_PROTOCOL, "malformed item"},
		[ITEM_SIGNATURE] = {KRPC_ERR_SIGNATURE, "invalid signature"},
		[ITEM_CAS] = {KRPC_ERR_CAS, "cas mismatch"},
		[ITEM_OLD] = {KRPC_ERR_OLD, "sequence number too low"},
		[ITEM_NO_MEMORY] = {KRPC_ERR_SERVER, "no room"},
	};
	const struct krpc_args *q = &w->m->args;
	struct dht_item item = {
		.value = q->value,
		.is_mutable = q->key && q->sig && q->has_seq,
		.key = q->key,
		.sig = q->sig,
		.seq = q->seq,
		.salt = q->salt,
	};
	enum item_fault fault;
	struct dht_id target;

	if (!q->value.ptr || (q->key && !item.is_mutable)) {
		send_error(w, KRPC_ERR_PROTOCOL, "missing arguments");
		return;
	}
	item_target(w->n->cfg.hasher, &item, &target);
	if (!has_good_token(w, &target))
		return;
	fault = items_put(&w->n->items, w->now_us, w->n->cfg.hasher, w->from,
			  &item, q->has_cas ? &q->cas : NULL);
	if (fault != ITEM_GOOD) {
		send_error(w, faults[fault].code, faults[fault].text);
		return;
	}
	upkeep_on_stored(w->n, w->now_us);
	send_answer(w);
}

static void answer_samples(struct answer *w)
{
	struct sample s = sampler_ask(&w->n->sampler, w->now_us, &w->n->peers,
				      &w->n->rng);

	forgo_look(w);
	add_nodes(w);
	w->a.has_samples = true;
	w->a.samples = s.hashes;
	w->a.num = s.num;
	w->a.interval = s.interval_s;
	send_answer(w);
}

/* Everything but ping and put is about a target. */
static bool needs_target(enum krpc_method method)
{
	return method != KRPC_PING && method != KRPC_PUT;
}

static void answer_method(struct answer *w)
{
	enum krpc_method method = w->m->method;

	/* Whoever invents a method and gives a target wants nodes at least. */
	if (method == KRPC_UNKNOWN && w->m->args.target)
		method = KRPC_FIND_NODE;
	if (method == KRPC_UNKNOWN) {
		w->n->dropped[DHT_DROP_UNKNOWN]++;
		send_error(w, KRPC_ERR_METHOD, "method unknown");
		return;
	}
	if (!w->m->args.id || (needs_target(method) && !w->m->args.target)) {
		send_error(w, KRPC_ERR_PROTOCOL, "missing arguments");
		return;
	}
	switch (method) {
	case KRPC_PING:
	case KRPC_UNKNOWN:
		send_answer(w);
		break;
	case KRPC_FIND_NODE:
		add_nodes(w);
		send_answer(w);
		break;
	case KRPC_GET_PEERS:
		answer_get_peers(w);
		break;
	case KRPC_ANNOUNCE_PEER:
		answer_announce(w);
		break;
	case KRPC_GET:
		answer_get(w);
		break;
	case KRPC_PUT:
		answer_put(w);
		break;
	case KRPC_SAMPLE_INFOHASHES:
		answer_samples(w);
		break;
	}
}

/* He may be a node that the table has a place for: to be asked, unless he was,
 * and has not answered. */
static bool is_candidate(struct dht_node *n, uint64_t now_us,
			 const struct addr *from, const struct krpc_msg *m)
{
	struct routing *r = &n->half[node_family(from)].routing;
	uint16_t tick = node_tick(n, now_us);

	return m->args.id && !m->is_read_only &&
	       !routing_on_query(r, m->args.id, from, tick) &&
	       upkeep_can_ask(n, now_us) &&
	       routing_wants(r, m->args.id, from) &&
	       !flights_has(&n->flights, from) &&
	       !hostset_has(&n->dead, node_host_hash(n, from), tick,
			    DHT_DEAD_S);
}

/* How many bytes he may get, and whether he is asked for some of them. */
static void set_room(struct answer *w, size_t len)
{
	/* An item of BEP 44 may be long. */
	w->most = w->m->method == KRPC_GET ? DHT_DATAGRAM_MAX : DHT_ANSWER_MAX;
	w->room = w->most;
	w->look = 0;
	if (w->is_proven)
		return;
	w->room = len * DHT_AMPLIFY_MAX;
	w->asks = w->asks && w->room >= DHT_LOOK_BYTES + MIN_ROOM;
	w->look = w->asks ? DHT_LOOK_BYTES : 0;
	w->room -= w->look;
	if (w->room > w->most)
		w->room = w->most;
}

void answer_query(struct dht_node *n, uint64_t now_us, const struct addr *from,
		  const struct krpc_msg *m, size_t len)
{
	struct answer w;
	bool proven;

	if (n->cfg.is_read_only) {
		n->dropped[DHT_DROP_READ_ONLY]++;
		return;
	}
	if (!flood_admits(&n->flood, now_us, from)) {
		n->dropped[DHT_DROP_RATE]++;
		return;
	}
	proven = is_proven(n, now_us, from);
	if (!may_answer(n, now_us, proven)) {
		n->dropped[DHT_DROP_BUSY]++;
		return;
	}
	/* The buffers in it need not be cleared. */
	w.n = n;
	w.now_us = now_us;
	w.from = from;
	w.m = m;
	w.a = (struct krpc_answer){
		.tid = m->tid,
		.to = from,
		.self = &n->half[node_family(from)].routing.self,
	};
	w.is_proven = proven;
	w.asks = is_candidate(n, now_us, from, m);
	set_room(&w, len);
	answer_method(&w);
	if (w.asks)
		(void)upkeep_ask(n, now_us, m->args.id, from);
}
