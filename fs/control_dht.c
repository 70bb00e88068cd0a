/* control_dht — what can be seen of our node of the DHT.
 *
 * {"port", "ipv4", "ipv6": null, or {"id", "id_fits_address", "external",
 * "nodes", "good", "dubious", "spare", "network_about"}, "searches": under way,
 * "waiting": queries without an answer, "info_hashes": looked for and announced
 * by turns, "rtt_p50_ms", "rtt_p90_ms", "in_Bps", "out_Bps", "in_datagrams",
 * "out_datagrams", "in_bytes", "out_bytes", "in_queries", "out_queries",
 * "timeouts", "dropped": {…}, "stored_hashes", "stored_peers", "stored_items",
 * "keys": [{…} as of the control socket's verb "key"]} */
#include "fs/control_dht.h"

#include <inttypes.h>
#include <jansson.h>

#include "core/addr.h"
#include "core/buf.h"
#include "fs/control_internal.h"
#include "fs/mount_internal.h"
#include "net/engine.h"
#include "net/mainline.h"
#include "net/signpost.h"

enum { ID_HEX_BYTES = 41 };

static const char *const family_names[DHT_FAMILIES] = {
	[DHT_IPV4] = "ipv4",
	[DHT_IPV6] = "ipv6",
};

static const char *const drop_names[DHT_DROPS] = {
	[DHT_DROP_MALFORMED] = "malformed",
	[DHT_DROP_RATE] = "asked_too_much",
	[DHT_DROP_SOURCE] = "impossible_address",
	[DHT_DROP_UNASKED] = "unasked_answers",
	[DHT_DROP_TOKEN] = "stale_tokens",
	[DHT_DROP_UNKNOWN] = "unknown_methods",
	[DHT_DROP_READ_ONLY] = "read_only",
	[DHT_DROP_BUSY] = "upload_used_up",
};

/* False: there is no node. */
static bool view(const struct mount *m, struct mainline_view *v)
{
	const struct mainline *node = engine_dht(m->engine);

	if (node == NULL)
		return false;
	mainline_view(node, v);
	return true;
}

/* Never set up, such a half has nothing at all. */
static bool is_there(const struct dht_family_stats *f)
{
	static const struct dht_id none;

	return !nodeid_eq(&f->id, &none);
}

static const char *id_hex(const struct dht_id *id, char out[ID_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < sizeof(id->b); i++) {
		out[2 * i] = digits[id->b[i] >> 4];
		out[2 * i + 1] = digits[id->b[i] & 15];
	}
	out[ID_HEX_BYTES - 1] = '\0';
	return out;
}

/* ---- for people ---- */

void control_dht_line(const struct mount *m, struct buf *out)
{
	struct mainline_view v;
	uint32_t good = 0, all = 0;

	if (!view(m, &v)) {
		buf_add_str(out, "dht: none (nodht)\n");
		return;
	}
	for (int f = 0; f < DHT_FAMILIES; f++) {
		good += v.node.family[f].n_good;
		all += v.node.family[f].n_contacts;
	}
	buf_addf(out,
		 "dht: %u nodes, %u of them good; %u searches under way; in "
		 "%" PRIu64 " B/s, out %" PRIu64 " B/s\n",
		 all, good, v.node.n_searches, v.in_Bps, v.out_Bps);
}

void control_dht_id(const struct mount *m, struct buf *out)
{
	struct mainline_view v;
	char hex[ID_HEX_BYTES];

	if (!view(m, &v))
		return;
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (is_there(&v.node.family[f]))
			buf_addf(out, "%s %s\n",
				 id_hex(&v.node.family[f].id, hex),
				 family_names[f]);
}

static void add_contact(struct buf *out, const struct dht_contact *c)
{
	static const char *const standings[] = {
		[DHT_CONTACT_GOOD] = "good",
		[DHT_CONTACT_DUBIOUS] = "dubious",
		[DHT_CONTACT_SPARE] = "reserve",
	};
	char text[ADDR_TEXT_BYTES], hex[ID_HEX_BYTES];

	buf_addf(out, "%3d %s %s %s", c->bucket, id_hex(&c->id, hex),
		 addr_format(&c->addr, text), standings[c->standing]);
	if (c->rtt_ms > 0)
		buf_addf(out, " %u ms", c->rtt_ms);
	buf_addf(out, " %u s\n", c->age_s);
}

void control_dht_table(const struct mount *m, struct buf *out)
{
	struct mainline *node = engine_dht(m->engine);
	struct dht_contact c;

	if (node == NULL)
		return;
	for (int f = 0; f < DHT_FAMILIES; f++)
		for (uint32_t i = 0; dht_node_contact(
			     mainline_node(node), (enum dht_family)f, i, &c);
		     i++)
			add_contact(out, &c);
}

static void add_family(struct buf *out, const char *name,
		       const struct dht_family_stats *f)
{
	char text[ADDR_TEXT_BYTES], hex[ID_HEX_BYTES];

	buf_addf(out, "%s\n  id       %s%s\n", name, id_hex(&f->id, hex),
		 f->is_id_good ? "" : ", which does not fit the address");
	buf_addf(out, "  address  %s\n",
		 f->has_external ? addr_format(&f->external, text)
				 : "not agreed upon yet");
	buf_addf(out,
		 "  nodes    %u good, %u dubious, %u in reserve; the network "
		 "has about %" PRIu64 "\n",
		 f->n_good, f->n_contacts - f->n_good, f->n_spare,
		 f->network_about);
}

static void add_traffic(struct buf *out, const struct mainline_view *v)
{
	const struct dht_stats *s = &v->node;

	buf_addf(out,
		 "traffic\n  in       %" PRIu64 " B/s; %" PRIu64
		 " datagrams, %" PRIu64 " queries, %" PRIu64 " answers\n",
		 v->in_Bps, s->in_datagrams, s->in_queries, s->in_answers);
	buf_addf(out,
		 "  out      %" PRIu64 " B/s; %" PRIu64 " datagrams, %" PRIu64
		 " queries, %" PRIu64 " answers\n",
		 v->out_Bps, s->out_datagrams, s->out_queries, s->out_answers);
	buf_addf(out,
		 "  answers  half within %u ms, nine in ten within %u ms; "
		 "%" PRIu64 " never came\n",
		 s->rtt_p50_ms, s->rtt_p90_ms, s->timeouts);
	for (int d = 0; d < DHT_DROPS; d++)
		if (s->dropped[d] > 0)
			buf_addf(out, "  dropped  %" PRIu64 " %s\n",
				 s->dropped[d], drop_names[d]);
	buf_addf(out,
		 "searches   %u under way; %u info-hashes by turns\n"
		 "stored     %u info-hashes with %u peers, %u items\n",
		 s->n_searches, v->seeks, s->stored_hashes, s->stored_peers,
		 s->stored_items);
}

static void add_keys(struct buf *out, const struct mount *m)
{
	char name[BTPK_NAME_BYTES], hex[TORRENT_HEX_BYTES];
	struct signpost *s = NULL;
	struct signpost_view v;

	while ((s = signpost_next(m->engine, s)) != NULL) {
		signpost_view(s, &v);
		buf_addf(out, "key        %s: ", btpk_name(v.btpk, name));
		if (v.is_known)
			buf_addf(out, "%s, seq %" PRId64 "%s%s\n",
				 v.hash.len != 0 ? info_hash_hex(&v.hash, hex)
						 : "no torrent",
				 v.seq, v.is_own ? ", put from here" : "",
				 v.is_kept ? ", followed" : "");
		else
			buf_addf(out, "%s%s\n",
				 v.err != 0 ? control_key_error(v.err)
					    : "being looked for",
				 v.is_kept ? ", followed" : "");
	}
}

void control_dht_text(const struct mount *m, struct buf *out)
{
	struct mainline_view v;

	if (!view(m, &v)) {
		control_dht_line(m, out);
		return;
	}
	buf_addf(out, "port %u\n", v.port);
	for (int f = 0; f < DHT_FAMILIES; f++)
		if (is_there(&v.node.family[f]))
			add_family(out, family_names[f], &v.node.family[f]);
	add_traffic(out, &v);
	add_keys(out, m);
}

/* ---- for programs ---- */

static json_t *family(struct control_json *o, const struct dht_family_stats *f)
{
	char text[ADDR_TEXT_BYTES], hex[ID_HEX_BYTES];
	json_t *j;

	if (!is_there(f))
		return json_null();
	j = json_object();
	control_put(o, j, "id", control_text_value(id_hex(&f->id, hex)));
	control_put(o, j, "id_fits_address", json_boolean(f->is_id_good));
	control_put(o, j, "external",
		    control_text_value(f->has_external
					       ? addr_format(&f->external, text)
					       : NULL));
	control_put_int(o, j, "nodes", f->n_contacts);
	control_put_int(o, j, "good", f->n_good);
	control_put_int(o, j, "dubious", f->n_contacts - f->n_good);
	control_put_int(o, j, "spare", f->n_spare);
	control_put_int(o, j, "network_about", f->network_about);
	return j;
}

static json_t *keys(struct control_json *o)
{
	struct signpost *s = NULL;
	json_t *all = json_array();

	while ((s = signpost_next(o->m->engine, s)) != NULL) {
		json_t *j = json_object();

		control_json_key(o, s, j);
		control_push(o, all, j);
	}
	return all;
}

static void put_traffic(struct control_json *o, json_t *j,
			const struct mainline_view *v)
{
	const struct dht_stats *s = &v->node;
	json_t *dropped = json_object();

	control_put_int(o, j, "in_Bps", v->in_Bps);
	control_put_int(o, j, "out_Bps", v->out_Bps);
	control_put_int(o, j, "in_datagrams", s->in_datagrams);
	control_put_int(o, j, "out_datagrams", s->out_datagrams);
	control_put_int(o, j, "in_bytes", s->in_bytes);
	control_put_int(o, j, "out_bytes", s->out_bytes);
	control_put_int(o, j, "in_queries", s->in_queries);
	control_put_int(o, j, "out_queries", s->out_queries);
	control_put_int(o, j, "timeouts", s->timeouts);
	for (int d = 0; d < DHT_DROPS; d++)
		control_put_int(o, dropped, drop_names[d], s->dropped[d]);
	control_put(o, j, "dropped", dropped);
}

json_t *control_dht_json(struct control_json *o)
{
	struct mainline_view v;
	json_t *j;

	if (!view(o->m, &v))
		return json_null();
	j = json_object();
	control_put_int(o, j, "port", v.port);
	for (int f = 0; f < DHT_FAMILIES; f++)
		control_put(o, j, family_names[f],
			    family(o, &v.node.family[f]));
	control_put_int(o, j, "searches", v.node.n_searches);
	control_put_int(o, j, "waiting", v.node.n_waiting);
	control_put_int(o, j, "info_hashes", v.seeks);
	control_put_int(o, j, "rtt_p50_ms", v.node.rtt_p50_ms);
	control_put_int(o, j, "rtt_p90_ms", v.node.rtt_p90_ms);
	put_traffic(o, j, &v);
	control_put_int(o, j, "stored_hashes", v.node.stored_hashes);
	control_put_int(o, j, "stored_peers", v.node.stored_peers);
	control_put_int(o, j, "stored_items", v.node.stored_items);
	control_put(o, j, "keys", keys(o));
	return j;
}
