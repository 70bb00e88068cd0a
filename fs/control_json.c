/* control_json — what MOUNT/.shoalfs/status.json says to programs.
 *
 * {"version", "mountpoint", "port", "uptime_s", "torrents": [{"name",
 * "info_hash", "state", "why", "size_bytes", "held_bytes", "pieces",
 * "pieces_held", "pieces_hashed", "down_Bps", "up_Bps", "down_bytes",
 * "up_bytes", "waste_bytes", "peers_connected", "seeds", "dialing", "peers":
 * [{"addr", "url" (a web seed's), "client", …}], "trackers": [{"url", "state",
 * "peers", "next_s", "why"}]}], "reads": [{"torrent", "path", "offset",
 * "length", "waited_ms", "why"}]}
 *
 * Numbers are integers, times intervals; a key is never missing: what is not
 * known is null. Failure is sticky, as in core/buf.h: out of memory drops
 * values, sets the flag, and the reader's open fails with ENOMEM. */
#include "fs/control.h"

#include <jansson.h>
#include <stdbool.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/metainfo.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/readop.h"
#include "net/engine.h"
#include "net/torrent.h"

struct json_out {
	const struct mount *m;
	bool failed;
};

static void put(struct json_out *o, json_t *object, const char *key,
		json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		o->failed = true;
}

static void push(struct json_out *o, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		o->failed = true;
}

static void put_int(struct json_out *o, json_t *object, const char *key,
		    uint64_t value)
{
	put(o, object, key, json_integer((json_int_t)value));
}

/* A text that is not UTF-8 (strangers wrote some of them) keeps its ASCII. */
static json_t *text(const char *s)
{
	json_t *value;
	struct buf b = {0};
	const char *ascii;

	if (s == NULL)
		return json_null();
	value = json_string(s);
	if (value != NULL)
		return value;
	for (; *s != '\0'; s++)
		buf_add_u8(&b, (uint8_t)*s < 0x80 ? (uint8_t)*s : '?');
	ascii = buf_cstr(&b);
	value = ascii != NULL ? json_string(ascii) : NULL;
	buf_fini(&b);
	return value;
}

static json_t *peer(struct json_out *o, const struct torrent_peer_view *p)
{
	json_t *j = json_object();
	char addr[ADDR_TEXT_BYTES];

	put(o, j, "addr",
	    text(p->is_web_seed ? NULL : addr_format(&p->addr, addr)));
	put(o, j, "url", text(p->is_web_seed ? p->url : NULL));
	put(o, j, "client", text(p->client));
	put_int(o, j, "down_Bps", p->down_Bps);
	put_int(o, j, "up_Bps", p->up_Bps);
	put_int(o, j, "down_bytes", p->down_bytes);
	put_int(o, j, "up_bytes", p->up_bytes);
	put_int(o, j, "rtt_us", p->rtt_us);
	put_int(o, j, "requests_out", p->out_requests);
	put_int(o, j, "pieces", p->have_pieces);
	put(o, j, "incoming", json_boolean(p->is_incoming));
	put(o, j, "chokes_us", json_boolean(p->choked_us));
	put(o, j, "choked", json_boolean(p->choked_them));
	put(o, j, "interested_in_us", json_boolean(p->interested_us));
	put(o, j, "interesting", json_boolean(p->interested_them));
	return j;
}

static json_t *peers(struct json_out *o, const struct torrent *t)
{
	struct torrent_peer_view views[CONTROL_PEERS_MAX];
	unsigned n = torrent_peers(t, views, CONTROL_PEERS_MAX);
	json_t *j = json_array();

	for (unsigned i = 0; i < n; i++)
		push(o, j, peer(o, &views[i]));
	return j;
}

static json_t *trackers(struct json_out *o, const struct torrent *t)
{
	uint64_t now = loop_now_us(o->m->loop);
	char url[CONTROL_URL_BYTES];
	json_t *j = json_array();

	for (uint32_t i = 0; i < torrent_tracker_count(t); i++) {
		json_t *one = json_object();
		struct tracker_view v;

		torrent_tracker(t, i, &v);
		tracker_mask(v.url, url, sizeof(url));
		put(o, one, "url", text(url));
		put(o, one, "tier", json_integer(v.tier));
		put(o, one, "state", text(control_tracker_state(v.state)));
		put_int(o, one, "peers", v.peers);
		put(o, one, "next_s",
		    v.next_us > now
			    ? json_integer(
				      (json_int_t)((v.next_us - now) / 1000000))
			    : json_null());
		put(o, one, "why", text(v.why));
		push(o, j, one);
	}
	return j;
}

static void put_figures(struct json_out *o, json_t *j,
			const struct torrent_view *v)
{
	put_int(o, j, "size_bytes", v->size_bytes);
	put_int(o, j, "held_bytes", v->held_bytes);
	put_int(o, j, "pieces", v->n_pieces);
	put_int(o, j, "pieces_held", v->held_pieces);
	put_int(o, j, "pieces_hashed", v->hashed_pieces);
	put_int(o, j, "down_Bps", v->down_Bps);
	put_int(o, j, "up_Bps", v->up_Bps);
	put_int(o, j, "down_bytes", v->down_bytes);
	put_int(o, j, "up_bytes", v->up_bytes);
	put_int(o, j, "waste_bytes", v->waste_bytes);
	put_int(o, j, "peers_connected", v->peers);
	put_int(o, j, "seeds", v->seeds);
	put_int(o, j, "dialing", v->dialing);
	put_int(o, j, "reads_waiting", v->reads_waiting);
}

static json_t *torrent(struct json_out *o, const struct torrent *t)
{
	char hex[TORRENT_HEX_BYTES];
	json_t *j = json_object();
	struct torrent_view v;

	torrent_view(t, &v);
	put(o, j, "name", text(control_name(t)));
	put(o, j, "info_hash", text(torrent_id_hex(torrent_id(t), hex)));
	put(o, j, "state", text(control_state(v.state)));
	put(o, j, "why",
	    v.state == TORRENT_FAILED ? text(torrent_why(t)) : json_null());
	put_figures(o, j, &v);
	put(o, j, "peers", peers(o, t));
	put(o, j, "trackers", trackers(o, t));
	return j;
}

static json_t *waiting(struct json_out *o, const struct readop *op)
{
	json_t *j = json_object();
	struct buf path = {0};
	struct readop_view v;
	const char *s;

	readop_view(op, &v);
	control_path(&v, &path);
	s = buf_cstr(&path);
	put(o, j, "path", s != NULL ? text(s) : NULL);
	buf_fini(&path);
	put(o, j, "torrent", text(v.shown->name));
	put_int(o, j, "offset", v.off_bytes);
	put_int(o, j, "length", v.len_bytes);
	put_int(o, j, "waited_ms", v.waited_us / 1000);
	put(o, j, "why", text(v.why));
	return j;
}

static json_t *everything(struct json_out *o)
{
	const struct mount *m = o->m;
	const struct torrent *t = NULL;
	const struct readop *op = NULL;
	json_t *j = json_object(), *torrents = json_array();
	json_t *reads = json_array();

	put(o, j, "version", text(SHOAL_VERSION));
	put(o, j, "mountpoint", text(m->point));
	put(o, j, "port", json_integer(engine_port(m->engine)));
	put_int(o, j, "uptime_s", control_uptime_s(m));
	while ((t = engine_next(m->engine, t)) != NULL)
		push(o, torrents, torrent(o, t));
	for (unsigned n = 0; n < CONTROL_READS_MAX; n++) {
		op = readop_next(m, op);
		if (op == NULL)
			break;
		push(o, reads, waiting(o, op));
	}
	put(o, j, "torrents", torrents);
	put(o, j, "reads", reads);
	return j;
}

static int on_dump(const char *bytes, size_t len, void *arg)
{
	buf_add(arg, bytes, len);
	return buf_err(arg) != 0 ? -1 : 0;
}

int control_json(const struct mount *m, struct buf *out)
{
	struct json_out o = {.m = m};
	json_t *j = everything(&o);
	int r;

	if (!o.failed &&
	    json_dump_callback(j, on_dump, out, JSON_INDENT(2)) != 0)
		o.failed = true;
	json_decref(j);
	buf_add_u8(out, '\n');
	r = buf_err(out);
	return r == 0 && o.failed ? ENOMEM : r;
}
