/* krpc — the decoder: one pass over the bytes.
 *
 * `a` and `r` come before the `y` that says which of them counts, so both are
 * read into the same place, and at the end it must have been the right one.
 *
 * A field of the wrong type is skipped like an unknown one; a value that is
 * malformed ends it all. */
#include "dht/krpc.h"

#include <errno.h>

#include "dht/dht_limits.h"
#include "dht/pull.h"

/* ---- fields ---- */

enum field {
	/* of `a` and `r` */
	F_BFPE,
	F_BFSD,
	F_CAS,
	F_ID,
	F_IMPLIED_PORT,
	F_INFO_HASH,
	F_INTERVAL,
	F_K,
	F_NODES,
	F_NODES6,
	F_NOSEED,
	F_NUM,
	F_PORT,
	F_SALT,
	F_SAMPLES,
	F_SCRAPE,
	F_SEED,
	F_SEQ,
	F_SIG,
	F_TARGET,
	F_TOKEN,
	F_V,
	F_VALUES,
	F_WANT,
	/* of the message */
	F_A,
	F_E,
	F_IP,
	F_Q,
	F_R,
	F_RO,
	F_T,
	F_VERSION,
	F_Y,
	FIELDS,
};

struct name {
	uint8_t len;
	char text[15];
};

#define NAME(text)                     \
	{                              \
		sizeof(text) - 1, text \
	}

static const struct name names[FIELDS] = {
	[F_BFPE] = NAME("BFpe"),
	[F_BFSD] = NAME("BFsd"),
	[F_CAS] = NAME("cas"),
	[F_ID] = NAME("id"),
	[F_IMPLIED_PORT] = NAME("implied_port"),
	[F_INFO_HASH] = NAME("info_hash"),
	[F_INTERVAL] = NAME("interval"),
	[F_K] = NAME("k"),
	[F_NODES] = NAME("nodes"),
	[F_NODES6] = NAME("nodes6"),
	[F_NOSEED] = NAME("noseed"),
	[F_NUM] = NAME("num"),
	[F_PORT] = NAME("port"),
	[F_SALT] = NAME("salt"),
	[F_SAMPLES] = NAME("samples"),
	[F_SCRAPE] = NAME("scrape"),
	[F_SEED] = NAME("seed"),
	[F_SEQ] = NAME("seq"),
	[F_SIG] = NAME("sig"),
	[F_TARGET] = NAME("target"),
	[F_TOKEN] = NAME("token"),
	[F_V] = NAME("v"),
	[F_VALUES] = NAME("values"),
	[F_WANT] = NAME("want"),
	[F_A] = NAME("a"),
	[F_E] = NAME("e"),
	[F_IP] = NAME("ip"),
	[F_Q] = NAME("q"),
	[F_R] = NAME("r"),
	[F_RO] = NAME("ro"),
	[F_T] = NAME("t"),
	[F_VERSION] = NAME("v"),
	[F_Y] = NAME("y"),
};

/* One of first … last - 1, or FIELDS. */
static int field_of(struct span key, int first, int last)
{
	if (key.len == 0)
		return FIELDS;
	for (int i = first; i < last; i++)
		if (names[i].len == key.len && names[i].text[0] == *key.ptr &&
		    memcmp(names[i].text, key.ptr, key.len) == 0)
			return i;
	return FIELDS;
}

/* The next key of an open dictionary; false at its end, or when it failed.
 * `seen` has a bit a field. */
static bool next_key(struct pull *r, int first, int last, uint64_t *seen,
		     int *field)
{
	struct span key;

	if (r->p >= r->end)
		return pull_fail(r, EBADMSG);
	if (*r->p == 'e') {
		r->p++;
		return false;
	}
	if (!pull_is_digit(*r->p))
		return pull_fail(r, EBADMSG);
	if (!pull_str(r, &key))
		return false;
	*field = field_of(key, first, last);
	if (*field != FIELDS) {
		if (*seen & (UINT64_C(1) << *field))
			return pull_fail(r, EBADMSG);
		*seen |= UINT64_C(1) << *field;
	}
	if (r->p >= r->end)
		return pull_fail(r, EBADMSG);
	return true;
}

/* A string of `least` … `most` bytes, a multiple of `of`; else nothing. */
static void take_str(struct pull *r, struct span *out, size_t least,
		     size_t most, size_t of)
{
	struct span s;

	if (!pull_is_digit(*r->p)) {
		(void)pull_skip(r);
		return;
	}
	if (pull_str(r, &s) && s.len >= least && s.len <= most &&
	    s.len % of == 0)
		*out = s;
}

static const uint8_t *take_fixed(struct pull *r, size_t len)
{
	struct span s = {0};

	take_str(r, &s, len, len, 1);
	return s.ptr;
}

static bool take_int(struct pull *r, int64_t *out)
{
	if (*r->p != 'i') {
		(void)pull_skip(r);
		return false;
	}
	return pull_int(r, out);
}

/* A 1; other numbers are a no. */
static bool take_flag(struct pull *r)
{
	int64_t v = 0;

	return take_int(r, &v) && v == 1;
}

/* BEP 32's `want`: a list of strings. */
static uint8_t take_want(struct pull *r)
{
	uint8_t want = 0;
	struct span s;

	if (*r->p != 'l') {
		(void)pull_skip(r);
		return 0;
	}
	r->p++;
	while (r->p < r->end && *r->p != 'e') {
		if (!pull_is_digit(*r->p)) {
			if (!pull_skip(r))
				return 0;
			continue;
		}
		if (!pull_str(r, &s))
			return 0;
		if (span_is(s, "n4"))
			want |= KRPC_WANT4;
		if (span_is(s, "n6"))
			want |= KRPC_WANT6;
	}
	if (r->p >= r->end) {
		(void)pull_fail(r, EBADMSG);
		return 0;
	}
	r->p++;
	return want;
}

/* The bytes of any value of the type that `type` begins; of others nothing. */
static void take_raw(struct pull *r, struct span *out, uint8_t type)
{
	const uint8_t *from = r->p;

	if (pull_skip(r) && (type == 0 || *from == type))
		*out = span_of(from, (size_t)(r->p - from));
}

static const struct dht_id *take_id(struct pull *r)
{
	return (const struct dht_id *)take_fixed(r, DHT_ID_BYTES);
}

/* The fields that are numbers; false: it is none of them. */
static bool take_number(struct pull *r, struct krpc_args *a, int field)
{
	switch (field) {
	case F_CAS:
		a->has_cas = take_int(r, &a->cas);
		return true;
	case F_IMPLIED_PORT:
		a->is_port_implied = take_flag(r);
		return true;
	case F_INTERVAL:
		a->has_interval = take_int(r, &a->interval);
		return true;
	case F_NOSEED:
		a->no_seeds = take_flag(r);
		return true;
	case F_NUM:
		a->has_num = take_int(r, &a->num);
		return true;
	case F_PORT:
		a->has_port = take_int(r, &a->port);
		return true;
	case F_SCRAPE:
		a->is_scrape = take_flag(r);
		return true;
	case F_SEED:
		a->is_seed = take_flag(r);
		return true;
	case F_SEQ:
		a->has_seq = take_int(r, &a->seq);
		return true;
	default:
		return false;
	}
}

static void take_arg(struct pull *r, struct krpc_args *a, int field)
{
	if (take_number(r, a, field))
		return;
	switch (field) {
	case F_BFPE:
		a->peers = take_fixed(r, KRPC_FILTER_BYTES);
		break;
	case F_BFSD:
		a->seeds = take_fixed(r, KRPC_FILTER_BYTES);
		break;
	case F_ID:
		a->id = take_id(r);
		break;
	case F_INFO_HASH:
	case F_TARGET:
		a->target = take_id(r);
		break;
	case F_K:
		a->key = take_fixed(r, KRPC_KEY_BYTES);
		break;
	case F_NODES:
		take_str(r, &a->nodes, 0, DHT_DATAGRAM_IN_MAX,
			 KRPC_NODE4_BYTES);
		break;
	case F_NODES6:
		take_str(r, &a->nodes6, 0, DHT_DATAGRAM_IN_MAX,
			 KRPC_NODE6_BYTES);
		break;
	case F_SALT:
		take_str(r, &a->salt, 0, DHT_DATAGRAM_IN_MAX, 1);
		break;
	case F_SAMPLES:
		take_str(r, &a->samples, 0, DHT_DATAGRAM_IN_MAX, DHT_ID_BYTES);
		a->has_samples = a->samples.ptr != NULL;
		break;
	case F_SIG:
		a->sig = take_fixed(r, KRPC_SIG_BYTES);
		break;
	case F_TOKEN:
		take_str(r, &a->token, 1, DHT_TOKEN_MAX, 1);
		break;
	case F_V:
		take_raw(r, &a->value, 0);
		break;
	case F_VALUES:
		take_raw(r, &a->values, 'l');
		break;
	case F_WANT:
		a->want = take_want(r);
		break;
	default:
		(void)pull_skip(r);
	}
}

static void take_args(struct pull *r, struct krpc_args *a)
{
	uint64_t seen = 0;
	int field;

	if (*r->p != 'd') {
		(void)pull_fail(r, EBADMSG);
		return;
	}
	r->p++;
	while (r->err == 0 && next_key(r, 0, F_A, &seen, &field))
		take_arg(r, a, field);
	/* Two names of one thing: whoever sends both means mischief. */
	if ((seen & (UINT64_C(1) << F_TARGET)) &&
	    (seen & (UINT64_C(1) << F_INFO_HASH)))
		(void)pull_fail(r, EBADMSG);
}

/* [code, text]; what is behind is skipped. */
static void take_error(struct pull *r, struct krpc_msg *m)
{
	if (*r->p != 'l') {
		(void)pull_skip(r);
		return;
	}
	r->p++;
	if (r->p < r->end && *r->p == 'i')
		(void)pull_int(r, &m->code);
	if (r->err == 0 && r->p < r->end && pull_is_digit(*r->p))
		(void)pull_str(r, &m->text);
	while (r->err == 0 && r->p < r->end && *r->p != 'e')
		(void)pull_skip(r);
	if (r->err == 0 && r->p >= r->end)
		(void)pull_fail(r, EBADMSG);
	if (r->err == 0)
		r->p++;
}

static enum krpc_method method_of(struct span q)
{
	static const struct name methods[KRPC_UNKNOWN] = {
		[KRPC_PING] = NAME("ping"),
		[KRPC_FIND_NODE] = NAME("find_node"),
		[KRPC_GET_PEERS] = NAME("get_peers"),
		[KRPC_ANNOUNCE_PEER] = NAME("announce_peer"),
		[KRPC_GET] = NAME("get"),
		[KRPC_PUT] = NAME("put"),
	};

	for (int i = 0; i < KRPC_UNKNOWN; i++)
		if (methods[i].len == q.len && q.len > 0 &&
		    memcmp(methods[i].text, q.ptr, q.len) == 0)
			return (enum krpc_method)i;
	return span_is(q, "sample_infohashes") ? KRPC_SAMPLE_INFOHASHES
					       : KRPC_UNKNOWN;
}

struct head {
	struct span y, q;
};

static void take_field(struct pull *r, struct krpc_msg *m, struct head *h,
		       int field)
{
	switch (field) {
	case F_A:
	case F_R:
		take_args(r, &m->args);
		break;
	case F_E:
		take_error(r, m);
		break;
	case F_IP:
		take_str(r, &m->ip, ADDR_COMPACT4, ADDR_COMPACT6, 6);
		break;
	case F_Q:
		take_str(r, &h->q, 0, DHT_DATAGRAM_IN_MAX, 1);
		break;
	case F_RO:
		m->is_read_only = take_flag(r);
		break;
	case F_T:
		take_str(r, &m->tid, 1, DHT_TID_MAX, 1);
		break;
	case F_VERSION:
		take_str(r, &m->version, 0, DHT_DATAGRAM_IN_MAX, 1);
		break;
	case F_Y:
		take_str(r, &h->y, 1, 1, 1);
		break;
	default:
		(void)pull_skip(r);
	}
}

/* The parts are there that its kind needs, and none of another kind. */
static bool is_whole(struct krpc_msg *m, const struct head *h, uint64_t seen)
{
	bool has_a = seen & (UINT64_C(1) << F_A);
	bool has_r = seen & (UINT64_C(1) << F_R);

	if (!m->tid.ptr || !h->y.ptr)
		return false;
	switch (h->y.ptr[0]) {
	case 'q':
		m->kind = KRPC_QUERY;
		m->method = method_of(h->q);
		return h->q.ptr && has_a && !has_r;
	case 'r':
		m->kind = KRPC_ANSWER;
		return has_r && !has_a;
	case 'e':
		m->kind = KRPC_ERROR;
		return !has_a && !has_r;
	default:
		return false;
	}
}

int krpc_decode(struct krpc_msg *m, const void *bytes, size_t len)
{
	struct pull r = {.p = bytes, .end = (const uint8_t *)bytes + len};
	struct head h = {0};
	uint64_t seen = 0;
	int field;

	*m = (struct krpc_msg){.method = KRPC_UNKNOWN};
	if (len > DHT_DATAGRAM_IN_MAX)
		return EFBIG;
	if (len < 2 || *r.p != 'd')
		return EBADMSG;
	r.p++;
	while (r.err == 0 && next_key(&r, F_A, FIELDS, &seen, &field))
		take_field(&r, m, &h, field);
	if (r.err != 0)
		return r.err;
	return is_whole(m, &h, seen) ? 0 : EBADMSG;
}

bool krpc_next_peer(struct span values, size_t *at, struct addr *out)
{
	struct pull r = {0};
	struct span s;

	if (!values.ptr)
		return false;
	r.p = values.ptr + (*at > 0 ? *at : 1);
	r.end = values.ptr + values.len;
	while (r.p < r.end && *r.p != 'e') {
		if (!pull_is_digit(*r.p)) {
			if (!pull_skip(&r))
				return false;
			continue;
		}
		if (!pull_str(&r, &s))
			return false;
		*at = (size_t)(r.p - values.ptr);
		if (addr_from_compact(out, s.ptr, s.len) == 0)
			return true;
	}
	return false;
}

bool krpc_next_node(struct span nodes, bool is_6, size_t *at,
		    const struct dht_id **id, struct addr *out)
{
	size_t step = is_6 ? KRPC_NODE6_BYTES : KRPC_NODE4_BYTES;
	const uint8_t *p;

	if (nodes.len < step || *at > nodes.len - step)
		return false;
	p = nodes.ptr + *at;
	*at += step;
	*id = (const struct dht_id *)p;
	return addr_from_compact(out, p + DHT_ID_BYTES, step - DHT_ID_BYTES) ==
	       0;
}
