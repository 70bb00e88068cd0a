/* dht_model — nodes that are a rule instead of a state.
 *
 * All model nodes lie in one array, sorted by id; half of them, or as many as
 * the scene wants, are dead. Nobody's routing table is kept: the contacts of a
 * bucket are picked by a hash of (node, bucket, place) from the range of the
 * array that the bucket covers, the dead among them; where the range has no
 * more than the bucket holds, it holds them all. So a table is what it would be
 * after long life in a network where so many are dead, it is the same each time
 * it is looked at, and a million of them need no memory.
 *
 * Queries are decoded and answered with the real codec (dht/krpc): ping,
 * find_node, get_peers, announce_peer. Tokens are bound to the host that asked.
 */
#include <stdlib.h>
#include <string.h>

#include "core/be.h"
#include "core/mem.h"
#include "dht/dht_limits.h"
#include "dht/krpc.h"
#include "tests/sim/dht_net.h"

enum { TOLD = 8, BUCKET = 8, KEPT_PEERS = 16, FOUND_MAX = 512 };

/* What was announced to one node for one hash. */
struct sim_kept {
	uint64_t key; /* of both; 0: a free place */
	uint32_t n;
	uint8_t peers[KEPT_PEERS][ADDR_COMPACT4];
};

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, DHT_ID_BYTES);
}

struct born {
	struct dht_id id;
	uint32_t ip;
};

void sim_model_init(struct sim_net *net)
{
	uint32_t n = net->cfg.n_model;
	struct born *born;
	uint32_t at = 0;

	if (n == 0)
		return;
	born = sim_alloc(n, sizeof(*born));
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = sim_net_addr(net, i);
		uint8_t random[DHT_ID_BYTES];

		for (int k = 0; k < DHT_ID_BYTES; k += 4)
			be32_put(random + k, (uint32_t)rng_next(&net->rng));
		born[i].ip = net->ips[i];
		if ((double)rng_below(&net->rng, 1000) < net->cfg.fits * 1000)
			nodeid_for(&born[i].id, &a, random);
		else
			memcpy(born[i].id.b, random, DHT_ID_BYTES);
	}
	qsort(born, n, sizeof(*born), by_id);
	net->ids = sim_alloc(n, sizeof(*net->ids));
	net->index16 = sim_alloc(0x10001, sizeof(uint32_t));
	for (uint32_t i = 0; i < n; i++) {
		net->ids[i] = born[i].id;
		net->ips[i] = born[i].ip;
	}
	for (uint32_t p = 0; p <= 0x10000; p++) {
		while (at < n && be16_get(net->ids[at].b) < p)
			at++;
		net->index16[p] = at;
	}
	mem_free(born);
}

void sim_model_fini(struct sim_net *net)
{
	mem_free(net->ids);
	mem_free(net->index16);
	mem_free(net->kept);
}

/* ---- tables ---- */

/* The first model node that is not before `id`. */
static uint32_t lower_bound(const struct sim_net *net, const struct dht_id *id)
{
	uint32_t first = be16_get(id->b);
	uint32_t lo = net->index16[first], hi = net->index16[first + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (memcmp(net->ids[mid].b, id->b, DHT_ID_BYTES) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct range {
	uint32_t from, to;
};

/* Those that share exactly `bits` bits with `id`: its bucket of that number. */
static struct range bucket_of(const struct sim_net *net,
			      const struct dht_id *id, int bits)
{
	struct dht_id low = *id, high;
	struct range r;
	int byte = bits / 8, bit = 7 - bits % 8;

	low.b[byte] ^= (uint8_t)(1 << bit);
	low.b[byte] &= (uint8_t)(0xff << bit);
	memset(low.b + byte + 1, 0, (size_t)(DHT_ID_BYTES - byte - 1));
	high = low;
	high.b[byte] |= (uint8_t)((1 << bit) - 1);
	memset(high.b + byte + 1, 0xff, (size_t)(DHT_ID_BYTES - byte - 1));
	r.from = lower_bound(net, &low);
	r.to = lower_bound(net, &high);
	return r;
}

struct found {
	const struct dht_id *target;
	uint32_t hosts[FOUND_MAX];
	uint32_t n;
};

static void find(const struct sim_net *net, struct found *f, uint32_t host)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->hosts[i] == host)
			return;
	if (f->n < FOUND_MAX)
		f->hosts[f->n++] = host;
	(void)net;
}

/* The contacts of one bucket, or all of its range. */
static void find_bucket(const struct sim_net *net, struct found *f,
			struct range r, uint32_t room, uint64_t salt)
{
	uint32_t n = r.to - r.from;

	if (n <= room) {
		for (uint32_t i = r.from; i < r.to; i++)
			find(net, f, i);
		return;
	}
	for (uint32_t k = 0; k < room; k++)
		find(net, f, r.from + (uint32_t)(sim_mix(salt, k) % n));
}

static uint32_t closest_of(const struct sim_net *net, struct found *f,
			   uint32_t *out, uint32_t most)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		const struct dht_id *id = &net->ids[f->hosts[i]];
		uint32_t at = n < most ? n++ : most;

		while (at > 0 &&
		       nodeid_closer(f->target, id, &net->ids[out[at - 1]])) {
			if (at < most)
				out[at] = out[at - 1];
			at--;
		}
		if (at < most)
			out[at] = f->hosts[i];
	}
	return n;
}

static uint32_t room_of(uint32_t widest, int bucket)
{
	uint32_t room = bucket < 8 ? widest >> bucket : BUCKET;

	return room > BUCKET ? room : BUCKET;
}

uint32_t sim_model_closest(const struct sim_net *net, const struct dht_id *self,
			   uint64_t salt, uint32_t widest,
			   const struct dht_id *target, uint32_t *out,
			   uint32_t most)
{
	struct found f = {.target = target};
	int common = nodeid_common(self, target);
	struct range r;

	salt = sim_mix(salt, nodeid_head(self));
	/* Its bucket has those closest to the target; then, all together,
	 * those that are nearer to itself; then one after the other. */
	for (int b = common; b < DHT_ID_BITS; b++) {
		r = bucket_of(net, self, b);
		find_bucket(net, &f, r, room_of(widest, b),
			    sim_mix(salt, (uint64_t)b));
		if (b == common && f.n >= most)
			break;
		if (r.from == r.to && b > common + 24)
			break;
	}
	for (int b = common - 1; b >= 0 && f.n < most; b--)
		find_bucket(net, &f, bucket_of(net, self, b),
			    room_of(widest, b), sim_mix(salt, (uint64_t)b));
	return closest_of(net, &f, out, most);
}

uint32_t sim_model_nearest(const struct sim_net *net,
			   const struct dht_id *target, uint32_t *out,
			   uint32_t most)
{
	enum { AROUND = 200 };
	struct found f = {.target = target};
	uint32_t at = lower_bound(net, target);
	uint32_t from = at > AROUND ? at - AROUND : 0;

	for (uint32_t i = from; i < net->cfg.n_model && i < at + AROUND; i++)
		if (net->flags[i] & SIM_ALIVE)
			find(net, &f, i);
	return closest_of(net, &f, out, most);
}

/* ---- what is kept ---- */

/* Its place, or the free one where it would be. */
static struct sim_kept *kept_at(const struct sim_net *net, uint32_t host,
				const struct dht_id *hash, uint64_t *out)
{
	uint64_t key = sim_mix(sim_mix(host, nodeid_head(hash)),
			       be64_get(hash->b + 8)) |
		       1;
	uint32_t i = (uint32_t)key & (net->kept_room - 1);

	while (net->kept[i].key != 0 && net->kept[i].key != key)
		i = (i + 1) & (net->kept_room - 1);
	*out = key;
	return &net->kept[i];
}

static void keep(struct sim_net *net, uint32_t host, const struct dht_id *hash,
		 const struct addr *peer)
{
	uint8_t compact[ADDR_COMPACT6];
	struct sim_kept *kept;
	uint64_t key;

	if (net->kept == NULL) {
		net->kept_room = 1 << 14;
		net->kept = sim_alloc(net->kept_room, sizeof(*net->kept));
	}
	kept = kept_at(net, host, hash, &key);
	if (kept->key == 0 && ++net->n_kept > net->kept_room / 2)
		abort(); /* a scene announces some thousand times */
	kept->key = key;
	(void)addr_to_compact(peer, compact);
	for (uint32_t i = 0; i < kept->n; i++)
		if (memcmp(kept->peers[i], compact, ADDR_COMPACT4) == 0)
			return;
	if (kept->n < KEPT_PEERS)
		memcpy(kept->peers[kept->n++], compact, ADDR_COMPACT4);
}

/* ---- answers ---- */

static void token_for(const struct addr *a, uint32_t host, uint8_t out[8])
{
	be64_put(out, sim_mix(a->in4.sin_addr.s_addr, host));
}

static bool is_told(enum krpc_method m)
{
	return m == KRPC_FIND_NODE || m == KRPC_GET_PEERS;
}

void sim_model_receive(struct sim_net *net, uint32_t host,
		       const struct addr *from, const uint8_t *bytes,
		       size_t len)
{
	uint8_t nodes[TOLD * KRPC_NODE4_BYTES], token[8], out[1024];
	struct krpc_answer a = {.to = from, .self = &net->ids[host]};
	uint32_t hosts[TOLD], n = 0;
	struct krpc_msg m;

	if (krpc_decode(&m, bytes, len) != 0 || m.kind != KRPC_QUERY)
		return;
	a.tid = m.tid;
	token_for(from, host, token);
	if (is_told(m.method) && m.args.target != NULL) {
		n = sim_model_closest(net, &net->ids[host], 0, BUCKET,
				      m.args.target, hosts, TOLD);
		for (uint32_t i = 0; i < n; i++) {
			uint8_t *p = nodes + i * KRPC_NODE4_BYTES;

			memcpy(p, net->ids[hosts[i]].b, DHT_ID_BYTES);
			be32_put(p + DHT_ID_BYTES, net->ips[hosts[i]]);
			be16_put(p + DHT_ID_BYTES + 4, SIM_PORT);
		}
		a.nodes = span_of(nodes, n * KRPC_NODE4_BYTES);
	}
	if (m.method == KRPC_GET_PEERS && m.args.target != NULL) {
		uint64_t key;
		const struct sim_kept *kept =
			net->kept != NULL
				? kept_at(net, host, m.args.target, &key)
				: NULL;

		a.token = span_of(token, sizeof(token));
		if (kept != NULL && kept->n > 0) {
			a.peers = kept->peers[0];
			a.n_peers = kept->n;
			a.peer_bytes = ADDR_COMPACT4;
		}
	}
	if (m.method == KRPC_ANNOUNCE_PEER && m.args.target != NULL) {
		struct addr peer = *from;

		if (m.args.token.len != sizeof(token) ||
		    memcmp(m.args.token.ptr, token, sizeof(token)) != 0)
			return;
		if (m.args.has_port && !m.args.is_port_implied)
			addr_set_port(&peer, (uint16_t)m.args.port);
		keep(net, host, m.args.target, &peer);
	}
	len = krpc_encode_answer(out, sizeof(out), &a);
	sim_net_send(net, host, from, out, len);
}
