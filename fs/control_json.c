/* control_json — what MOUNT/.shoalfs/status.json says to programs.
 *
 * {"version", "mountpoint", "port", "uptime_s", "passthrough",
 * "passthrough_files", "latency", "sandbox", "total_down_bytes",
 * "total_up_bytes", "total_waste_bytes": of all torrents, ever, "asleep": how
 * many nobody uses, which are not in "torrents": [{"name", "info_hash",
 * "info_hash_v2", "state", "why", "size_bytes", "held_bytes", "pieces",
 * "pieces_held", "pieces_hashed", "pieces_bad", "down_Bps", "up_Bps",
 * "down_bytes", "up_bytes", "waste_bytes": since it woke up, "total_down_bytes"
 * …: ever, "peers_connected", "seeds", "dialing", "reads_waiting",
 * "pinned_files", "readers": open files, "peers":
 * [{"addr", "url" (a web seed's), "client", …}], "trackers": [{"url", "tier",
 * "v2", "state", "peers", "next_s", "why"}]}], "reads": [{"torrent", "path",
 * "offset", "length", "waited_ms", "why"}], "dht": null, or as control_dht.c
 * has it}
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
#include "fs/control_dht.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/passthrough.h"
#include "fs/readop.h"
#include "net/engine.h"
#include "net/torrent.h"

void control_put(struct control_json *o, json_t *object, const char *key,
		 json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		o->failed = true;
}

void control_push(struct control_json *o, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		o->failed = true;
}

void control_put_int(struct control_json *o, json_t *object, const char *key,
		     uint64_t value)
{
	control_put(o, object, key, json_integer((json_int_t)value));
}

/* A text that is not UTF-8 (strangers wrote some of them) keeps its ASCII. */
json_t *control_text_value(const char *s)
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

static json_t *peer(struct control_json *o, const struct torrent_peer_view *p)
{
	json_t *j = json_object();
	char addr[ADDR_TEXT_BYTES];

	control_put(o, j, "addr",
		    control_text_value(p->is_web_seed
					       ? NULL
					       : addr_format(&p->addr, addr)));
	control_put(o, j, "url",
		    control_text_value(p->is_web_seed ? p->url : NULL));
	control_put(o, j, "client", control_text_value(p->client));
	control_put_int(o, j, "down_Bps", p->down_Bps);
	control_put_int(o, j, "up_Bps", p->up_Bps);
	control_put_int(o, j, "down_bytes", p->down_bytes);
	control_put_int(o, j, "up_bytes", p->up_bytes);
	control_put_int(o, j, "rtt_us", p->rtt_us);
	control_put_int(o, j, "requests_out", p->out_requests);
	control_put_int(o, j, "pieces", p->have_pieces);
	control_put(o, j, "v2", json_boolean(p->is_v2));
	control_put(o, j, "incoming", json_boolean(p->is_incoming));
	control_put(o, j, "chokes_us", json_boolean(p->choked_us));
	control_put(o, j, "choked", json_boolean(p->choked_them));
	control_put(o, j, "interested_in_us", json_boolean(p->interested_them));
	control_put(o, j, "interesting", json_boolean(p->interested_us));
	return j;
}

json_t *control_json_peers(struct control_json *o, const struct torrent *t)
{
	struct torrent_peer_view views[CONTROL_PEERS_MAX];
	unsigned n = torrent_peers(t, views, CONTROL_PEERS_MAX);
	json_t *j = json_array();

	for (unsigned i = 0; i < n; i++)
		control_push(o, j, peer(o, &views[i]));
	return j;
}

static json_t *trackers(struct control_json *o, const struct torrent *t)
{
	uint64_t now = loop_now_us(o->m->loop);
	char url[CONTROL_URL_BYTES];
	json_t *j = json_array();

	for (uint32_t i = 0; i < torrent_tracker_count(t); i++) {
		json_t *one = json_object();
		struct tracker_view v;

		torrent_tracker(t, i, &v);
		tracker_mask(v.url, url, sizeof(url));
		control_put(o, one, "url", control_text_value(url));
		control_put(o, one, "tier", json_integer(v.tier));
		control_put(o, one, "state",
			    control_text_value(control_tracker_state(v.state)));
		control_put(o, one, "v2", json_boolean(v.is_v2));
		control_put_int(o, one, "peers", v.peers);
		control_put(
			o, one, "next_s",
			v.next_us > now
				? json_integer((json_int_t)((v.next_us - now) /
							    1000000))
				: json_null());
		control_put(o, one, "why", control_text_value(v.why));
		control_push(o, j, one);
	}
	return j;
}

static void put_traffic(struct control_json *o, json_t *j,
			const struct traffic *t)
{
	control_put_int(o, j, "total_down_bytes", t->down_bytes);
	control_put_int(o, j, "total_up_bytes", t->up_bytes);
	control_put_int(o, j, "total_waste_bytes", t->waste_bytes);
}

static void put_figures(struct control_json *o, json_t *j,
			const struct torrent_view *v)
{
	control_put_int(o, j, "size_bytes", v->size_bytes);
	control_put_int(o, j, "held_bytes", v->held_bytes);
	control_put_int(o, j, "pieces", v->n_pieces);
	control_put_int(o, j, "pieces_held", v->held_pieces);
	control_put_int(o, j, "pieces_hashed", v->hashed_pieces);
	control_put_int(o, j, "pieces_bad", v->bad_pieces);
	control_put_int(o, j, "down_Bps", v->down_Bps);
	control_put_int(o, j, "up_Bps", v->up_Bps);
	control_put_int(o, j, "down_bytes", v->down_bytes);
	control_put_int(o, j, "up_bytes", v->up_bytes);
	control_put_int(o, j, "waste_bytes", v->waste_bytes);
	put_traffic(o, j, &v->traffic);
	control_put_int(o, j, "peers_connected", v->peers);
	control_put_int(o, j, "seeds", v->seeds);
	control_put_int(o, j, "dialing", v->dialing);
	control_put_int(o, j, "reads_waiting", v->reads_waiting);
	control_put_int(o, j, "pinned_files", v->pinned_files);
}

json_t *control_json_brief(struct control_json *o, const struct torrent *t)
{
	const struct torrent_id *id = torrent_id(t);
	char hex[TORRENT_HEX_BYTES];
	json_t *j = json_object();
	struct torrent_view v;

	torrent_view(t, &v);
	control_put(o, j, "name", control_text_value(control_name(t)));
	control_put(o, j, "info_hash",
		    control_text_value(torrent_id_hex(id, hex)));
	control_put(o, j, "info_hash_v2",
		    id->v2.len != 0
			    ? control_text_value(info_hash_hex(&id->v2, hex))
			    : json_null());
	control_put(o, j, "state", control_text_value(control_state(v.state)));
	control_put(o, j, "why",
		    v.state == TORRENT_FAILED
			    ? control_text_value(torrent_why(t))
			    : json_null());
	put_figures(o, j, &v);
	control_put_int(
		o, j, "readers",
		torrent_user(t) != NULL
			? ((const struct shown *)torrent_user(t))->n_handles
			: 0);
	return j;
}

json_t *control_json_asleep(struct control_json *o, const struct shown *s)
{
	struct torrent_view v = {.size_bytes = s->size_bytes,
				 .held_bytes = s->held_bytes};
	char hex[TORRENT_HEX_BYTES];
	json_t *j = json_object();

	engine_traffic(o->m->engine, &s->id, &v.traffic);
	control_put(o, j, "name", control_text_value(s->name));
	control_put(o, j, "info_hash",
		    control_text_value(torrent_id_hex(&s->id, hex)));
	control_put(o, j, "info_hash_v2",
		    s->id.v2.len != 0
			    ? control_text_value(info_hash_hex(&s->id.v2, hex))
			    : json_null());
	control_put(o, j, "state", control_text_value("asleep"));
	control_put(o, j, "why", json_null());
	put_figures(o, j, &v);
	control_put_int(o, j, "readers", 0);
	return j;
}

static json_t *torrent(struct control_json *o, const struct torrent *t)
{
	json_t *j = control_json_brief(o, t);

	control_put(o, j, "peers", control_json_peers(o, t));
	control_put(o, j, "trackers", trackers(o, t));
	return j;
}

json_t *control_json_read(struct control_json *o, const struct readop *op)
{
	json_t *j = json_object();
	struct buf path = {0};
	struct readop_view v;
	const char *s;

	readop_view(op, &v);
	control_path(&v, &path);
	s = buf_cstr(&path);
	control_put(o, j, "path", s != NULL ? control_text_value(s) : NULL);
	buf_fini(&path);
	control_put(o, j, "torrent", control_text_value(v.shown->name));
	control_put_int(o, j, "offset", v.off_bytes);
	control_put_int(o, j, "length", v.len_bytes);
	control_put_int(o, j, "waited_ms", v.waited_us / 1000);
	control_put(o, j, "why", control_text_value(v.why));
	return j;
}

json_t *control_json_status(struct control_json *o)
{
	const struct mount *m = o->m;
	const struct torrent *t = NULL;
	const struct readop *op = NULL;
	struct traffic all;
	json_t *j = json_object(), *torrents = json_array();
	json_t *reads = json_array();

	engine_traffic(m->engine, NULL, &all);
	control_put(o, j, "version", control_text_value(SHOAL_VERSION));
	control_put(o, j, "mountpoint", control_text_value(m->point));
	control_put(o, j, "port", json_integer(engine_port(m->engine)));
	control_put_int(o, j, "uptime_s", control_uptime_s(m));
	control_put_int(o, j, "pieces_verified", m->verifies.sums.pieces);
	control_put_int(o, j, "pieces_bad", m->verifies.sums.bad);
	control_put(o, j, "passthrough",
		    control_text_value(passthrough_text(m)));
	control_put_int(o, j, "passthrough_files", passthrough_count(m));
	control_put(o, j, "latency",
		    control_text_value(latency_text(&m->latency)));
	control_put(
		o, j, "sandbox",
		control_text_value(m->sandbox != NULL ? m->sandbox : "off"));
	while ((t = engine_next(m->engine, t)) != NULL)
		control_push(o, torrents, torrent(o, t));
	put_traffic(o, j, &all);
	control_put_int(o, j, "asleep", m->roster.n - m->warmth.n_awake);
	for (unsigned n = 0; n < CONTROL_READS_MAX; n++) {
		op = readop_next(m, op);
		if (op == NULL)
			break;
		control_push(o, reads, control_json_read(o, op));
	}
	control_put(o, j, "torrents", torrents);
	control_put(o, j, "reads", reads);
	control_put(o, j, "dht", control_dht_json(o));
	return j;
}

static int on_dump(const char *bytes, size_t len, void *arg)
{
	buf_add(arg, bytes, len);
	return buf_err(arg) != 0 ? -1 : 0;
}

int control_json_dump(const struct control_json *o, const json_t *j,
		      size_t flags, struct buf *out)
{
	bool failed =
		o->failed || json_dump_callback(j, on_dump, out, flags) != 0;

	buf_add_u8(out, '\n');
	return buf_err(out) != 0 || failed ? ENOMEM : 0;
}

int control_json(const struct mount *m, struct buf *out)
{
	struct control_json o = {.m = m};
	json_t *j = control_json_status(&o);
	int r = control_json_dump(&o, j, JSON_INDENT(2), out);

	json_decref(j);
	return r;
}
