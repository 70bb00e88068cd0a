/* torrent — the life of one torrent, from being added to being closed; states
 * and fields are in torrent_internal.h.
 *
 * Happy path of a .torrent: the store's handle is opened, then the swarm
 * starts: peers are dialled and trackers asked at once, so that the first
 * read finds connections; nothing is asked of them before it.
 * A magnet: the store may remember the metadata; if not, the swarm starts
 * first and peers are asked for it.
 *
 * The husk. Jobs go on after pieces_close, and read the metainfo. So it lies in
 * a small struct, with the word to the engine, that goes when both pieces and
 * torrent are gone; made before the store is opened: closing needs no memory.
 *
 * Failure modes: the store refuses, or the metadata is malformed: FAILED. The
 * owner above hears of READY and FAILED by a task, never inside engine_add. */
#include "net/torrent.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cache/pieces.h"
#include "cache/store.h"
#include "core/bits.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/layers.h"
#include "core/log.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "net/announcer.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/gossip.h"
#include "net/hashget.h"
#include "net/hashkeep.h"
#include "net/hashserve.h"
#include "net/incoming.h"
#include "net/intake.h"
#include "net/metafetch.h"
#include "net/net_limits.h"
#include "net/scrub.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/upgrade.h"
#include "net/webseed.h"

struct torrent_husk {
	struct engine *e;
	struct metainfo *mi;
	bool has_pieces, has_torrent; /* who still needs it */
	struct engine_leave *leave;   /* who wants to know; or NULL */
};

/* ---- what trackers ask and say ---- */

static void on_facts(void *arg, struct tracker_facts *out)
{
	const struct torrent *t = arg;

	*out = (struct tracker_facts){
		.port = engine_port(t->e),
		.uploaded_bytes = t->swarm->up_bytes,
		.downloaded_bytes = t->swarm->down_bytes,
		.left_bytes = UINT64_MAX,
		.want_peers = SWARM_PEERS_MAX,
	};
	memcpy(out->peer_id, t->e->peer_id, sizeof(out->peer_id));
	if (t->mi != NULL)
		out->left_bytes = t->mi->content_bytes - t->held_bytes;
}

static void on_tracker_peers(void *arg, enum torrent_side side,
			     const struct addr *peers, unsigned n)
{
	struct torrent *t = arg;
	unsigned i;

	for (i = 0; i < n; i++)
		(void)swarm_add_told(t->swarm, &peers[i], side);
}

static const struct announcer_ops announcer_ops = {
	.facts = on_facts,
	.on_peers = on_tracker_peers,
};

/* ---- birth ---- */

static int make_name(struct torrent *t, const struct engine_source *src)
{
	char hex[TORRENT_HEX_BYTES];
	const char *name = torrent_id_hex(&t->id, hex);

	if (src->magnet != NULL && src->magnet->name != NULL)
		name = src->magnet->name;
	t->name = mem_strdup(name);
	return t->name == NULL ? ENOMEM : 0;
}

static int make_parts(struct torrent *t, const struct engine_source *src)
{
	struct engine *e = t->e;
	struct announcer_cfg cfg = {
		.trackers = {.loop = e->cfg.loop,
			     .http = e->http,
			     .udp = e->udp,
			     .tiers = t->mi != NULL ? t->mi->tiers : NULL,
			     .n_tiers = t->mi != NULL ? t->mi->n_tiers : 0},
		.id = &t->id,
		.ops = &announcer_ops,
		.arg = t,
	};
	unsigned i;
	int r = make_name(t, src);

	if (r == 0)
		r = metafetch_new(t, &t->meta);
	if (r == 0)
		r = swarm_new(t, &t->swarm);
	if (r == 0)
		r = announcer_new(&cfg, &t->announcer);
	for (i = 0; r == 0 && i < e->cfg.n_peers; i++)
		if (swarm_add_name(t->swarm, e->peers[i]) == ENOMEM)
			r = ENOMEM;
	if (r == 0 && src->magnet != NULL)
		r = torrent_hint_magnet(t, src->magnet);
	if (r == 0 && t->mi != NULL)
		r = torrent_hint_web_seeds(t, t->mi);
	return r;
}

static void on_tell(void *arg)
{
	struct torrent *t = arg;
	const struct engine_ops *ops = t->e->cfg.ops;

	if (t->state == TORRENT_READY)
		ops->on_ready(t->e->cfg.arg, t);
	else if (t->state == TORRENT_FAILED)
		ops->on_failed(t->e->cfg.arg, t);
}

int torrent_new(struct engine *e, const struct engine_source *src,
		struct torrent **out)
{
	struct torrent *t = mem_new(struct torrent);
	int r;

	if (t == NULL) {
		metainfo_free(src->mi);
		return ENOMEM;
	}
	t->e = e;
	t->mi = src->mi;
	t->id = src->mi != NULL ? src->mi->id : src->magnet->id;
	t->is_guest = src->is_guest;
	t->added_s = clock_wall_s();
	TAILQ_INIT(&t->reads);
	loop_task_init(&t->tell, on_tell, t);
	torrent_pin_init(t);
	r = make_parts(t, src);
	if (r != 0) {
		torrent_free(t);
		return r;
	}
	*out = t;
	return 0;
}

/* ---- ends ---- */

static void husk_release(struct torrent_husk *husk)
{
	if (husk->has_pieces || husk->has_torrent)
		return;
	metainfo_free(husk->mi);
	mem_free(husk);
}

static void on_pieces_gone(void *arg)
{
	struct torrent_husk *husk = arg;
	struct engine *e = husk->e;

	husk->has_pieces = false;
	if (husk->leave != NULL)
		engine_on_closed(husk->leave);
	husk_release(husk);
	engine_on_gone(e);
}

bool torrent_tell_closed(struct torrent *t, struct engine_leave *l)
{
	if (t->husk == NULL || !t->husk->has_pieces)
		return false;
	t->husk->leave = l;
	return true;
}

static void on_told(void *arg)
{
	struct torrent *t = arg;

	t->is_told_done = true;
	engine_on_told(t->e);
}

/* Peers, trackers and the store's handle go; what can be asked of a torrent
 * that is no more stays. */
static void wind_up(struct torrent *t)
{
	swarm_stop(t->swarm, PEER_END_STOPPING);
	account_settle(t->swarm);
	metafetch_stop(t->meta);
	hashserve_stop(t->hashserve);
	hashkeep_stop(t->hashkeep);
	torrent_seek_stop(t);
	scrub_end_all(t);
	if (!t->is_told && t->is_asleep) {
		t->is_told = t->is_told_done = true;
	} else if (!t->is_told) {
		t->is_told = true;
		t->e->n_untold++;
		announcer_stop(t->announcer, on_told, t);
	}
	if (t->ps != NULL) {
		struct pieces *ps = t->ps;

		t->ps = NULL;
		pieces_close(ps, on_pieces_gone, t->husk);
	}
}

void torrent_fail(struct torrent *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(t->why, sizeof(t->why), fmt, args);
	va_end(args);
	log_warn("%s: %s", torrent_name(t), t->why);
	t->state = TORRENT_FAILED;
	torrent_read_end_all(t, EIO);
	wind_up(t);
	loop_defer(t->e->cfg.loop, &t->tell);
}

void torrent_stop(struct torrent *t, int err)
{
	if (t->state == TORRENT_CLOSED)
		return;
	t->state = TORRENT_CLOSED;
	torrent_read_end_all(t, err);
	wind_up(t);
}

void torrent_free(struct torrent *t)
{
	if (t == NULL)
		return;
	loop_task_cancel(t->e->cfg.loop, &t->tell);
	torrent_seek_stop(t);
	torrent_pin_fini(t);
	announcer_free(t->announcer);
	swarm_free(t->swarm);
	metafetch_free(t->meta);
	hashserve_free(t->hashserve);
	hashkeep_free(t->hashkeep);
	hashget_free(t->hashget);
	fetch_free(t->fetch);
	layers_free(t->layers);
	mem_free(t->name);
	if (t->husk != NULL) {
		t->husk->has_torrent = false;
		husk_release(t->husk);
	} else {
		metainfo_free(t->mi);
	}
	mem_free(t);
}

/* ---- opening ---- */

static int begin_hashes(struct torrent *t)
{
	int r;

	if (!t->mi->has_v2)
		return 0;
	r = layers_new(t->mi, &t->layers);
	if (r == 0)
		r = hashget_new(t, &torrent_hash_ops, t, &t->hashget);
	if (r == 0)
		r = hashserve_new(t, &t->hashserve);
	if (r == 0)
		r = hashkeep_new(t, torrent_on_hashes, t, &t->hashkeep);
	return r;
}

static void start_swarm(struct torrent *t)
{
	if (t->swarm->is_running)
		return;
	swarm_start(t->swarm);
	announcer_start(t->announcer);
	torrent_seek_start(t);
}

static void count_held(struct torrent *t)
{
	const struct bits *have = pieces_have(t->ps);
	uint32_t ix = bits_next(have, 0);

	t->held_bytes = 0;
	for (; ix < have->n; ix = bits_next(have, ix + 1))
		t->held_bytes += metainfo_piece_content(t->mi, ix);
	t->was_complete = bits_is_full(have);
	if (t->was_complete)
		torrent_seek_on_complete(t);
}

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct torrent *t = arg;

	if (err != 0) {
		t->ps = NULL;
		t->husk->has_pieces = false;
		torrent_fail(t, "the store cannot open it: %s", err_text(err));
		engine_on_gone(t->e);
		return;
	}
	t->ps = ps;
	if (pieces_added_s(ps) > 0)
		t->added_s = pieces_added_s(ps);
	t->state = TORRENT_READY;
	count_held(t);
	err = fetch_new(t, &t->fetch);
	if (err == 0)
		err = swarm_on_ready(t->swarm);
	if (err == 0)
		err = torrent_pin_load(t);
	if (err != 0) {
		torrent_fail(t, "%s", err_text(err));
		return;
	}
	hashkeep_start(t->hashkeep);
	start_swarm(t);
	incoming_on_ready(t->e->incoming, t);
	loop_defer(t->e->cfg.loop, &t->tell);
}

static void open_store(struct torrent *t)
{
	struct pieces_cfg cfg = {
		.loop = t->e->cfg.loop,
		.workers = t->e->cfg.workers,
		.store = t->e->cfg.store,
		.mem = t->e->mem,
		.mi = t->mi,
		.ops = &torrent_pieces_ops,
		.arg = t,
	};
	int r;

	t->state = TORRENT_OPENING;
	t->husk = mem_new(struct torrent_husk);
	if (t->husk == NULL) {
		torrent_fail(t, "%s", err_text(ENOMEM));
		return;
	}
	*t->husk = (struct torrent_husk){
		.e = t->e, .mi = t->mi, .has_torrent = true};
	r = begin_hashes(t);
	if (r != 0) {
		torrent_fail(t, "%s", err_text(r));
		return;
	}
	cfg.layers = t->layers;
	r = pieces_open_start(&cfg, on_open, t, &t->ps);
	if (r != 0) {
		torrent_fail(t, "the store cannot open it: %s", err_text(r));
		return;
	}
	t->husk->has_pieces = true;
	t->e->n_open++;
}

void torrent_begin(struct torrent *t)
{
	int r;

	if (t->mi != NULL) {
		open_store(t);
		return;
	}
	r = metafetch_load(t->meta);
	if (r != 0)
		torrent_fail(t, "%s", err_text(r));
}

/* Two magnets, one of each hash of a hybrid, are one torrent: `from` ends, and
 * `to` is found by both. */
static void merge(struct torrent *from, struct torrent *to)
{
	uint32_t n = announcer_count(from->announcer), i;

	for (i = 0; i < n; i++) {
		struct tracker_view tv;

		announcer_view(from->announcer, i, &tv);
		(void)announcer_add(to->announcer, tv.url);
	}
	engine_leave_hash(from->e, from);
	engine_learn_hash(to->e, to);
	torrent_fail(from, "it is the same torrent as %s", torrent_name(to));
}

void torrent_on_info(struct torrent *t, struct metainfo *mi)
{
	struct torrent *other;

	t->mi = mi;
	t->id = mi->id;
	other = engine_other_of(t->e, t);
	if (other != NULL && other->mi != NULL) {
		merge(t, other);
		return;
	}
	if (other != NULL)
		merge(other, t);
	engine_learn_hash(t->e, t);
	if (announcer_learn(t->announcer) != 0)
		log_warn("%s: no memory to announce its other hash",
			 torrent_name(t));
	gossip_on_metadata(t->swarm);
	torrent_seek_on_info(t);
	upgrade_on_learn(t->swarm);
	open_store(t);
}

void torrent_on_no_info(struct torrent *t)
{
	int r = metafetch_start(t->meta);

	if (r != 0) {
		torrent_fail(t, "%s", err_text(r));
		return;
	}
	t->state = TORRENT_META;
	start_swarm(t);
}
