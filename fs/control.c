/* control — what MOUNT/.shoalfs/status says to people.
 *
 * One paragraph a torrent, of every torrent the engine has: those without
 * metadata are what people ask about most. Then every read that waits, with
 * the reason, since "why does it hang" is the question this file is for.
 * Figures are taken when the file is opened. Names were made printable where
 * they entered; what peers and
 * trackers say of themselves is reduced to ASCII here. */
#include "fs/control.h"

#include <inttypes.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/loop.h"
#include "core/metainfo.h"
#include "fs/control_dht.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/passthrough.h"
#include "fs/readop.h"
#include "fs/roster.h"
#include "net/engine.h"
#include "net/torrent.h"
#include "net/tracker.h"

const char *control_state(enum torrent_state state)
{
	switch (state) {
	case TORRENT_OPENING:
		return "opening";
	case TORRENT_META:
		return "waiting for metadata";
	case TORRENT_READY:
		return "ready";
	case TORRENT_FAILED:
		return "failed";
	case TORRENT_CLOSED:
		return "closed";
	}
	return "?";
}

const char *control_tracker_state(enum tracker_state state)
{
	switch (state) {
	case TRACKER_IDLE:
		return "idle";
	case TRACKER_ASKING:
		return "asking";
	case TRACKER_OK:
		return "ok";
	case TRACKER_FAILED:
		return "failed";
	}
	return "?";
}

uint64_t control_uptime_s(const struct mount *m)
{
	return (loop_now_us(m->loop) - m->born_us) / 1000000;
}

const char *control_name(const struct torrent *t)
{
	const struct shown *s = torrent_user(t);

	return s != NULL ? s->name : torrent_name(t);
}

void control_path(const struct readop_view *v, struct buf *out)
{
	const struct mi_file *f = &v->shown->mi->files[v->file_ix];

	buf_add_str(out, v->shown->name);
	for (uint32_t i = 0; i < f->n_path; i++) {
		buf_add_u8(out, '/');
		buf_add_str(out, f->path[i]);
	}
}

/* 1536 → "1.5 KiB". */
static void add_size(struct buf *b, uint64_t bytes)
{
	static const char units[][4] = {"KiB", "MiB", "GiB", "TiB"};
	enum { LAST = sizeof(units) / sizeof(units[0]) - 1 };
	double v = (double)bytes / 1024;
	unsigned u = 0;

	if (bytes < 1024) {
		buf_addf(b, "%" PRIu64 " B", bytes);
		return;
	}
	for (; v >= 1024 && u < LAST; u++)
		v /= 1024;
	buf_addf(b, "%.1f %s", v, units[u]);
}

static void add_rate(struct buf *b, uint64_t down_Bps, uint64_t up_Bps)
{
	buf_add_str(b, "down ");
	add_size(b, down_Bps);
	buf_add_str(b, "/s, up ");
	add_size(b, up_Bps);
	buf_add_str(b, "/s");
}

static void add_traffic(struct buf *b, const struct traffic *t)
{
	buf_add_str(b, "down ");
	add_size(b, t->down_bytes);
	buf_add_str(b, ", up ");
	add_size(b, t->up_bytes);
	buf_add_str(b, ", wasted ");
	add_size(b, t->waste_bytes);
}

/* What a stranger wrote, on one line of printable ASCII. */
static void add_foreign(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		buf_add_u8(b, *s >= ' ' && *s <= '~' ? (uint8_t)*s : '?');
}

static void add_peers(struct buf *b, const struct torrent *t)
{
	struct torrent_peer_view peers[CONTROL_PEERS_MAX];
	unsigned n = torrent_peers(t, peers, CONTROL_PEERS_MAX);
	char text[ADDR_TEXT_BYTES];

	for (unsigned i = 0; i < n; i++) {
		const struct torrent_peer_view *p = &peers[i];

		buf_add_str(b, "  peer     ");
		add_foreign(b, p->is_web_seed ? p->url
					      : addr_format(&p->addr, text));
		buf_add_u8(b, ' ');
		add_foreign(b, p->client);
		buf_add_str(b, ": ");
		add_rate(b, p->down_Bps, p->up_Bps);
		buf_addf(b, ", %u pieces, %u requests out%s%s\n",
			 p->have_pieces, p->out_requests,
			 p->choked_us ? ", chokes us" : "",
			 p->is_incoming ? ", incoming" : "");
	}
}

static void add_trackers(struct buf *b, const struct mount *m,
			 const struct torrent *t)
{
	uint64_t now = loop_now_us(m->loop);
	char url[CONTROL_URL_BYTES];

	for (uint32_t i = 0; i < torrent_tracker_count(t); i++) {
		struct tracker_view v;

		torrent_tracker(t, i, &v);
		tracker_mask(v.url, url, sizeof(url));
		buf_add_str(b, "  tracker  ");
		add_foreign(b, url);
		buf_addf(b, "%s: %s", v.is_v2 ? " (v2)" : "",
			 control_tracker_state(v.state));
		if (v.state == TRACKER_OK)
			buf_addf(b, ", %u peers", v.peers);
		if (v.why != NULL && v.why[0] != '\0') {
			buf_add_str(b, ", ");
			add_foreign(b, v.why);
		}
		if (v.next_us > now)
			buf_addf(b, ", again in %" PRIu64 " s",
				 (v.next_us - now) / 1000000);
		buf_add_u8(b, '\n');
	}
}

static void add_torrent(struct buf *b, const struct mount *m,
			const struct torrent *t)
{
	const struct torrent_id *id = torrent_id(t);
	char hex[TORRENT_HEX_BYTES];
	struct torrent_view v;

	torrent_view(t, &v);
	buf_addf(b, "\n%s\n", control_name(t));
	if (id->v1.len != 0)
		buf_addf(b, "  hash     %s\n", info_hash_hex(&id->v1, hex));
	if (id->v2.len != 0)
		buf_addf(b, "  hash v2  %s\n", info_hash_hex(&id->v2, hex));
	buf_addf(b, "  state    %s", control_state(v.state));
	if (v.state == TORRENT_FAILED)
		buf_addf(b, ": %s", torrent_why(t));
	buf_add_str(b, "\n  held     ");
	add_size(b, v.held_bytes);
	buf_add_str(b, " of ");
	add_size(b, v.size_bytes);
	buf_addf(b, ", %u of %u pieces, %" PRIu64 " hashed since the start\n",
		 v.held_pieces, v.n_pieces, v.hashed_pieces);
	if (v.bad_pieces > 0)
		buf_addf(b,
			 "  bad      %" PRIu64
			 " pieces were not on the disk as they were written\n",
			 v.bad_pieces);
	if (v.pinned_files > 0)
		buf_addf(b, "  pinned   %u file%s\n", v.pinned_files,
			 v.pinned_files == 1 ? "" : "s");
	buf_add_str(b, "  traffic  ");
	add_rate(b, v.down_Bps, v.up_Bps);
	buf_add_str(b, "; ever ");
	add_traffic(b, &v.traffic);
	buf_addf(b,
		 "\n  peers    %u connected, %u with everything, %u let us "
		 "ask, %u being dialled\n",
		 v.peers, v.seeds, v.unchoked_us, v.dialing);
	add_peers(b, t);
	add_trackers(b, m, t);
}

static void add_reads(struct buf *b, const struct mount *m)
{
	const struct readop *op = NULL;
	unsigned n = 0;

	while ((op = readop_next(m, op)) != NULL && n < CONTROL_READS_MAX) {
		struct readop_view v;

		if (n++ == 0)
			buf_add_str(b, "\nreads that wait\n");
		readop_view(op, &v);
		buf_add_str(b, "  ");
		control_path(&v, b);
		buf_addf(b,
			 ": %u bytes at %" PRIu64 ", for %" PRIu64 ".%" PRIu64
			 " s: %s\n",
			 v.len_bytes, v.off_bytes, v.waited_us / 1000000,
			 v.waited_us / 100000 % 10, v.why);
	}
}

int control_text(const struct mount *m, struct buf *out)
{
	const struct torrent *t = NULL;
	struct traffic all;

	buf_addf(out, "shoalfs %s", SHOAL_VERSION);
	if (m->point != NULL)
		buf_addf(out, " on %s", m->point);
	buf_addf(out, ", port %u, up %" PRIu64 " s\n", engine_port(m->engine),
		 control_uptime_s(m));
	buf_addf(out, "passthrough %s", passthrough_text(m));
	if (passthrough_count(m) > 0)
		buf_addf(out, ", %u files open", passthrough_count(m));
	buf_addf(out, "\nlatency %s\nsandbox %s\n", latency_text(&m->latency),
		 m->sandbox != NULL ? m->sandbox : "off");
	engine_traffic(m->engine, NULL, &all);
	buf_add_str(out, "ever ");
	add_traffic(out, &all);
	buf_add_u8(out, '\n');
	if (m->verifies.sums.pieces > 0)
		buf_addf(out,
			 "verified %" PRIu64 " pieces, %" PRIu64
			 " of them were bad\n",
			 m->verifies.sums.pieces, m->verifies.sums.bad);
	if (m->roster.n > m->warmth.n_awake)
		buf_addf(out, "%u torrents are asleep: nobody uses them\n",
			 m->roster.n - m->warmth.n_awake);
	control_dht_line(m, out);
	while ((t = engine_next(m->engine, t)) != NULL)
		add_torrent(out, m, t);
	add_reads(out, m);
	return buf_err(out);
}
