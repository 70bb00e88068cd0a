/* krpc_encode — the encoder: into a buffer of the caller's, keys in order.
 *
 * Overflow is sticky: a part that does not fit closes the buffer, and the
 * length at the end is 0. */
#include <assert.h>
#include <string.h>

#include "core/be.h"
#include "core/bencode.h"
#include "dht/krpc.h"

/* Ours in BEP 20's manner. */
#define VERSION "1:v4:SH\0\1"

struct writer {
	uint8_t *bytes;
	size_t len, room;
	bool is_over;
};

static void put(struct writer *w, const void *ptr, size_t len)
{
	if (w->is_over || len > w->room - w->len) {
		w->is_over = true;
		return;
	}
	if (len > 0)
		memcpy(w->bytes + w->len, ptr, len);
	w->len += len;
}

/* A string that is known when this is written, without its NUL. */
#define PUT(w, text) put((w), (text), sizeof(text) - 1)

static void put_number(struct writer *w, uint64_t v)
{
	uint8_t room[BENC_DIGITS_MAX];
	struct span digits = benc_digits(v, room);

	put(w, digits.ptr, digits.len);
}

static void put_int(struct writer *w, int64_t v)
{
	PUT(w, "i");
	if (v < 0)
		PUT(w, "-");
	put_number(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	PUT(w, "e");
}

static void put_str(struct writer *w, const void *ptr, size_t len)
{
	put_number(w, len);
	PUT(w, ":");
	put(w, ptr, len);
}

static void put_span(struct writer *w, struct span s)
{
	put_str(w, s.ptr, s.len);
}

static void put_id(struct writer *w, const struct dht_id *id)
{
	PUT(w, "20:");
	put(w, id->b, DHT_ID_BYTES);
}

static size_t finish(const struct writer *w)
{
	return w->is_over ? 0 : w->len;
}

/* ---- queries ---- */

static const char *const method_names[KRPC_UNKNOWN] = {
	[KRPC_PING] = "ping",
	[KRPC_FIND_NODE] = "find_node",
	[KRPC_GET_PEERS] = "get_peers",
	[KRPC_ANNOUNCE_PEER] = "announce_peer",
	[KRPC_GET] = "get",
	[KRPC_PUT] = "put",
	[KRPC_SAMPLE_INFOHASHES] = "sample_infohashes",
};

static void put_want(struct writer *w, uint8_t want)
{
	if (want == 0)
		return;
	PUT(w, "4:wantl");
	if (want & KRPC_WANT4)
		PUT(w, "2:n4");
	if (want & KRPC_WANT6)
		PUT(w, "2:n6");
	PUT(w, "e");
}

static void put_announce_args(struct writer *w, const struct krpc_query *q)
{
	if (q->is_port_implied)
		PUT(w, "12:implied_porti1e");
	PUT(w, "9:info_hash");
	put_id(w, q->target);
	PUT(w, "4:port");
	put_int(w, q->port);
	if (q->is_seed)
		PUT(w, "4:seedi1e");
	PUT(w, "5:token");
	put_span(w, q->token);
}

static void put_put_args(struct writer *w, const struct krpc_query *q)
{
	if (q->key) {
		PUT(w, "1:k");
		put_str(w, q->key, KRPC_KEY_BYTES);
		if (q->salt.len > 0) {
			PUT(w, "4:salt");
			put_span(w, q->salt);
		}
		PUT(w, "3:seq");
		put_int(w, q->seq);
		PUT(w, "3:sig");
		put_str(w, q->sig, KRPC_SIG_BYTES);
	}
	PUT(w, "5:token");
	put_span(w, q->token);
	PUT(w, "1:v");
	put(w, q->value.ptr, q->value.len);
}

static void put_args(struct writer *w, const struct krpc_query *q)
{
	if (q->method == KRPC_PUT && q->has_cas) {
		PUT(w, "3:cas");
		put_int(w, q->cas);
	}
	PUT(w, "2:id");
	put_id(w, q->self);
	switch (q->method) {
	case KRPC_PING:
	case KRPC_UNKNOWN:
		return;
	case KRPC_GET_PEERS:
		PUT(w, "9:info_hash");
		put_id(w, q->target);
		if (q->is_scrape)
			PUT(w, "6:scrapei1e");
		put_want(w, q->want);
		return;
	case KRPC_ANNOUNCE_PEER:
		put_announce_args(w, q);
		return;
	case KRPC_PUT:
		put_put_args(w, q);
		return;
	case KRPC_GET:
		if (q->has_seq) {
			PUT(w, "3:seq");
			put_int(w, q->seq);
		}
		break;
	case KRPC_FIND_NODE:
	case KRPC_SAMPLE_INFOHASHES:
		break;
	}
	PUT(w, "6:target");
	put_id(w, q->target);
	put_want(w, q->want);
}

size_t krpc_encode_query(uint8_t *out, size_t room, const struct krpc_query *q)
{
	struct writer w = {.bytes = out, .room = room};
	uint8_t tid[4];

	assert(q->method < KRPC_UNKNOWN);
	be32_put(tid, q->tid);
	PUT(&w, "d1:ad");
	put_args(&w, q);
	PUT(&w, "e1:q");
	put_str(&w, method_names[q->method], strlen(method_names[q->method]));
	if (q->is_read_only)
		PUT(&w, "2:roi1e");
	PUT(&w, "1:t4:");
	put(&w, tid, sizeof(tid));
	PUT(&w, VERSION "1:y1:qe");
	return finish(&w);
}

bool krpc_tid(struct span tid, uint32_t *out)
{
	if (tid.len != sizeof(*out))
		return false;
	*out = be32_get(tid.ptr);
	return true;
}

/* ---- answers ---- */

static void put_ip(struct writer *w, const struct addr *to)
{
	uint8_t compact[ADDR_COMPACT6];
	size_t len = addr_to_compact(to, compact);

	PUT(w, "2:ip");
	put_str(w, compact, len);
}

static void put_end(struct writer *w, struct span tid, char y)
{
	PUT(w, "1:t");
	put_span(w, tid);
	PUT(w, VERSION "1:y1:");
	put(w, &y, 1);
	PUT(w, "e");
}

static void put_field(struct writer *w, const char *name, struct span s)
{
	if (!s.ptr)
		return;
	put_str(w, name, strlen(name));
	put_span(w, s);
}

static void put_fixed(struct writer *w, const char *name, const uint8_t *ptr,
		      size_t len)
{
	put_field(w, name, span_of(ptr, ptr ? len : 0));
}

static void put_peers(struct writer *w, const struct krpc_answer *a)
{
	if (a->n_peers == 0)
		return;
	PUT(w, "6:valuesl");
	for (size_t i = 0; i < a->n_peers; i++)
		put_str(w, a->peers + i * a->peer_bytes, a->peer_bytes);
	PUT(w, "e");
}

size_t krpc_encode_answer(uint8_t *out, size_t room,
			  const struct krpc_answer *a)
{
	struct writer w = {.bytes = out, .room = room};

	PUT(&w, "d");
	put_ip(&w, a->to);
	PUT(&w, "1:rd");
	put_fixed(&w, "BFpe", a->filter_peers, KRPC_FILTER_BYTES);
	put_fixed(&w, "BFsd", a->filter_seeds, KRPC_FILTER_BYTES);
	PUT(&w, "2:id");
	put_id(&w, a->self);
	if (a->has_samples) {
		PUT(&w, "8:interval");
		put_int(&w, a->interval);
	}
	put_fixed(&w, "k", a->key, KRPC_KEY_BYTES);
	put_field(&w, "nodes", a->nodes);
	put_field(&w, "nodes6", a->nodes6);
	if (a->has_samples) {
		PUT(&w, "3:num");
		put_int(&w, a->num);
		PUT(&w, "7:samples");
		put_span(&w, a->samples);
	}
	if (a->has_seq) {
		PUT(&w, "3:seq");
		put_int(&w, a->seq);
	}
	put_fixed(&w, "sig", a->sig, KRPC_SIG_BYTES);
	put_field(&w, "token", a->token);
	if (a->value.ptr) {
		PUT(&w, "1:v");
		put(&w, a->value.ptr, a->value.len);
	}
	put_peers(&w, a);
	PUT(&w, "e");
	put_end(&w, a->tid, 'r');
	return finish(&w);
}

size_t krpc_encode_error(uint8_t *out, size_t room, struct span tid,
			 const struct addr *to, enum krpc_code code,
			 const char *text)
{
	struct writer w = {.bytes = out, .room = room};

	PUT(&w, "d1:el");
	put_int(&w, code);
	put_str(&w, text, strlen(text));
	PUT(&w, "e");
	put_ip(&w, to);
	put_end(&w, tid, 'e');
	return finish(&w);
}
