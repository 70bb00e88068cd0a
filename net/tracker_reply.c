/* tracker_reply — a tracker's answer, from bytes to numbers that can be used.
 *
 * Purpose: the one place where what a tracker says is believed or not.
 *
 * Happy path: an HTTP body is a dictionary with `interval` and `peers`, the
 * latter a string of 6-byte addresses (BEP 23) or a list of dictionaries
 * (BEP 3), and perhaps `peers6` with 18-byte addresses (BEP 7). A datagram is
 * 20 bytes of numbers and then addresses of the family it came over (BEP 15).
 *
 * Failure modes: a body that is no dictionary, or a datagram that is too
 * short, is EBADMSG. Everything else that is wrong costs only itself: a wild
 * `interval` is clamped, a `peers` of the wrong type or an odd length gives
 * the whole addresses in it, an entry that cannot be dialled is left out.
 *
 * Invariants: interval_s within TRACKER_INTERVAL_MIN_S … _MAX_S; texts are
 * printable; n_peers ≤ TRACKER_PEERS_MAX and addr_can_dial holds for each. */
#include "net/tracker_reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/be.h"
#include "core/bencode.h"
#include "core/core_limits.h"

enum {
	UDP_HEAD_BYTES = 8,
	UDP_CONNECT_BYTES = 16,
	UDP_ANNOUNCE_BYTES = 20,
	IP_TEXT_MAX = 45, /* the longest IPv6 address */
};

static uint32_t clamp_s(int64_t s, int64_t low, int64_t high)
{
	return (uint32_t)(s < low ? low : s > high ? high : s);
}

static void set_interval(struct tracker_reply *out, int64_t s)
{
	out->interval_s =
		clamp_s(s, TRACKER_INTERVAL_MIN_S, TRACKER_INTERVAL_MAX_S);
}

static void add_peer(struct tracker_reply *out, const struct addr *a)
{
	if (out->n_peers < TRACKER_PEERS_MAX && addr_can_dial(a))
		out->peers[out->n_peers++] = *a;
}

/* Whole addresses only: what is left over at the end is not one. */
static void add_compact(struct tracker_reply *out, struct span s, size_t each)
{
	struct addr a;

	for (size_t at = 0; at + each <= s.len; at += each) {
		if (out->n_peers == TRACKER_PEERS_MAX)
			return;
		if (addr_from_compact(&a, s.ptr + at, each) == 0)
			add_peer(out, &a);
	}
}

/* BEP 3: "ip" may be a host name; those are left out, as every tracker in use
 * sends numbers. */
static void add_dict(struct tracker_reply *out, const struct benc *b,
		     benc_ref peer)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a;
	struct span ip;
	int64_t port;
	bool v6;

	if (!benc_get_str(b, peer, "ip", &ip) ||
	    !benc_get_int(b, peer, "port", &port))
		return;
	if (ip.len == 0 || ip.len > IP_TEXT_MAX || port < 1 ||
	    port > UINT16_MAX || memchr(ip.ptr, '\0', ip.len))
		return;
	v6 = memchr(ip.ptr, ':', ip.len) != NULL;
	(void)snprintf(text, sizeof(text), "%s%.*s%s:%u", v6 ? "[" : "",
		       (int)ip.len, (const char *)ip.ptr, v6 ? "]" : "",
		       (unsigned)port);
	if (addr_parse(&a, text) == 0)
		add_peer(out, &a);
}

static void add_peers(struct tracker_reply *out, const struct benc *b)
{
	benc_ref peers = benc_get(b, BENC_ROOT, "peers");
	struct span s;

	if (benc_is(b, peers, BENC_STR))
		add_compact(out, benc_str(b, peers), ADDR_COMPACT4);
	else if (benc_is(b, peers, BENC_LIST))
		for (benc_ref p = benc_first(b, peers); p != BENC_NONE;
		     p = benc_next(b, p))
			add_dict(out, b, p);
	if (benc_get_str(b, BENC_ROOT, "peers6", &s))
		add_compact(out, s, ADDR_COMPACT6);
}

/* BEP 24: 4 or 16 bytes, without a port. */
static void read_external(struct tracker_reply *out, const struct benc *b)
{
	uint8_t compact[ADDR_COMPACT6] = {0};
	struct span s;

	if (!benc_get_str(b, BENC_ROOT, "external ip", &s))
		return;
	if (s.len != ADDR_COMPACT4 - 2 && s.len != ADDR_COMPACT6 - 2)
		return;
	memcpy(compact, s.ptr, s.len);
	out->has_external =
		addr_from_compact(&out->external, compact, s.len + 2) == 0;
}

static void read_dict(struct tracker_reply *out, const struct benc *b)
{
	struct span s;
	int64_t n;

	if (benc_get_str(b, BENC_ROOT, "failure reason", &s)) {
		out->refused = true;
		tracker_reply_text(out->why, sizeof(out->why), s);
		return;
	}
	if (benc_get_str(b, BENC_ROOT, "warning message", &s))
		tracker_reply_text(out->why, sizeof(out->why), s);
	if (benc_get_int(b, BENC_ROOT, "interval", &n))
		set_interval(out, n);
	if (benc_get_int(b, BENC_ROOT, "min interval", &n))
		out->min_interval_s = clamp_s(n, 0, TRACKER_INTERVAL_MAX_S);
	if (benc_get_str(b, BENC_ROOT, "tracker id", &s) &&
	    s.len <= sizeof(out->id)) {
		memcpy(out->id, s.ptr, s.len);
		out->id_len = s.len;
	}
	read_external(out, b);
	add_peers(out, b);
}

static void start(struct tracker_reply *out)
{
	memset(out, 0, offsetof(struct tracker_reply, peers));
	out->interval_s = TRACKER_INTERVAL_S;
}

int tracker_reply_http(struct tracker_reply *out, struct span body)
{
	const struct benc_limits limits = {
		.depth = BENCODE_DEPTH_WIRE,
		.tokens = TRACKER_TOKENS_MAX,
		.flags = BENCODE_LAX_KEYS | BENCODE_TRAILING_OK,
	};
	struct benc b;
	int err;

	start(out);
	err = benc_decode(&b, body.ptr, body.len, &limits, NULL);
	if (err)
		return err;
	if (benc_is(&b, BENC_ROOT, BENC_DICT))
		read_dict(out, &b);
	else
		err = EBADMSG;
	benc_fini(&b);
	return err;
}

/* ---- BEP 15 ---- */

int tracker_reply_udp_head(struct tracker_udp_head *out, struct span packet)
{
	if (packet.len < UDP_HEAD_BYTES)
		return EBADMSG;
	out->action = be32_get(packet.ptr);
	out->tid = be32_get(packet.ptr + 4);
	return 0;
}

int tracker_reply_udp_connect(uint64_t *id, struct span packet)
{
	if (packet.len < UDP_CONNECT_BYTES ||
	    be32_get(packet.ptr) != TRACKER_ACTION_CONNECT)
		return EBADMSG;
	*id = be64_get(packet.ptr + UDP_HEAD_BYTES);
	return 0;
}

int tracker_reply_udp(struct tracker_reply *out, struct span packet, int family)
{
	struct tracker_udp_head head;
	struct span rest;

	start(out);
	if (tracker_reply_udp_head(&head, packet) != 0)
		return EBADMSG;
	if (head.action == TRACKER_ACTION_ERROR) {
		out->refused = true;
		rest = span_of(packet.ptr + UDP_HEAD_BYTES,
			       packet.len - UDP_HEAD_BYTES);
		tracker_reply_text(out->why, sizeof(out->why), rest);
		return 0;
	}
	if (head.action != TRACKER_ACTION_ANNOUNCE ||
	    packet.len < UDP_ANNOUNCE_BYTES)
		return EBADMSG;
	/* BEP 15: the interval is a signed 32-bit number. */
	set_interval(out, (int32_t)be32_get(packet.ptr + UDP_HEAD_BYTES));
	rest = span_of(packet.ptr + UDP_ANNOUNCE_BYTES,
		       packet.len - UDP_ANNOUNCE_BYTES);
	add_compact(out, rest,
		    family == AF_INET6 ? ADDR_COMPACT6 : ADDR_COMPACT4);
	return 0;
}

/* ---- text ---- */

/* The bytes of the character at `p`, 0 when it is not well-formed UTF-8;
 * `*c` gets its number. */
static size_t utf8_char(const uint8_t *p, size_t len, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80		   ? 1
		   : (p[0] & 0xe0) == 0xc0 ? 2
		   : (p[0] & 0xf0) == 0xe0 ? 3
		   : (p[0] & 0xf8) == 0xf0 ? 4
					   : 0;

	if (n == 0 || n > len)
		return 0;
	*c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3fu);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return n;
}

/* Not control (C0, DEL, C1), not invisible, not a change of direction. */
static bool is_printable(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) &&
	       !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2060 && c <= 0x206f) && c != 0x061c && c != 0xfeff;
}

void tracker_reply_text(char *out, size_t cap, struct span raw)
{
	size_t at = 0, len = 0;

	while (at < raw.len) {
		uint32_t c = 0;
		size_t n = utf8_char(raw.ptr + at, raw.len - at, &c);
		bool ok = n > 0 && is_printable(c);
		size_t put = ok ? n : 1;

		if (len + put >= cap)
			break;
		if (ok)
			memcpy(out + len, raw.ptr + at, n);
		else
			out[len] = '?';
		len += put;
		at += n > 0 ? n : 1;
	}
	out[len] = '\0';
}
