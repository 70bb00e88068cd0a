/* torrent_status — what a torrent can be asked: numbers, and why a read waits.
 *
 * The reason is made from what is true at the moment of asking, the narrowest
 * that holds: nobody known, nobody reached, nobody has the piece, all who have
 * it choke us, blocks are on their way. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/extent.h"
#include "cache/pieces.h"
#include "cache/store.h"
#include "cache/store_tally.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/mem.h"
#include "net/addrbook.h"
#include "net/announcer.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/pace.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"
#include "net/why.h"

/* ---- plain getters ---- */

enum torrent_state torrent_state(const struct torrent *t)
{
	return t->state;
}

const char *torrent_why(const struct torrent *t)
{
	return t->why;
}

const struct torrent_id *torrent_id(const struct torrent *t)
{
	return &t->id;
}

bool torrent_is_guest(const struct torrent *t)
{
	return t->is_guest;
}

const struct metainfo *torrent_metainfo(const struct torrent *t)
{
	return t->fetch != NULL ? t->mi : NULL;
}

const char *torrent_name(const struct torrent *t)
{
	return t->mi != NULL ? t->mi->name : t->name;
}

int64_t torrent_added_s(const struct torrent *t)
{
	return t->mi != NULL && t->mi->created_s > 0 ? t->mi->created_s
						     : t->added_s;
}

void torrent_set_user(struct torrent *t, void *user)
{
	t->user = user;
}

void *torrent_user(const struct torrent *t)
{
	return t->user;
}

/* ---- numbers ---- */

static void view_peers(const struct torrent *t, struct torrent_view *out)
{
	const struct webseed *ws;
	const struct peer *p;

	TAILQ_FOREACH (p, &t->swarm->peers, link) {
		if (!p->is_up)
			continue;
		out->peers++;
		out->seeds += p->have.data != NULL && bits_is_full(&p->have);
		out->unchoked_us += !p->choked_us;
		out->unchoked_them += !p->choked_them;
		if (p->window.delay_us > 0 &&
		    (out->rtt_us == 0 || p->window.delay_us < out->rtt_us))
			out->rtt_us = p->window.delay_us;
	}
	TAILQ_FOREACH (ws, &t->swarm->webs, link)
		if (out->rtt_us == 0 && ws->window.delay_us > 0)
			out->rtt_us = ws->window.delay_us;
	out->dialing = t->swarm->n_dialing;
}

void torrent_view(const struct torrent *t, struct torrent_view *out)
{
	struct swarm *sw = t->swarm;
	uint64_t now_us = loop_now_us(t->e->cfg.loop);
	struct store_stats kept;

	store_stats(t->e->cfg.store, &kept);
	*out = (struct torrent_view){
		.state = t->state,
		.room_bytes = kept.limit_bytes,
		.down_bytes = sw->down_bytes,
		.up_bytes = sw->up_bytes,
		.waste_bytes = sw->waste_bytes,
		.down_Bps = rate_meter_Bps(&sw->down, now_us),
		.up_Bps = rate_meter_Bps(&sw->up, now_us),
		.reads_waiting = t->n_reads,
		.pinned_files = t->pinned.n_set,
		.is_scrubbed = !LIST_EMPTY(&t->scrubs),
	};
	if (t->fetch != NULL) {
		out->size_bytes = t->mi->content_bytes;
		out->n_pieces = t->mi->n_pieces;
		out->held_bytes = t->held_bytes;
	}
	if (t->ps != NULL && t->state == TORRENT_READY) {
		out->held_pieces = pieces_have(t->ps)->n_set;
		out->hashed_pieces = pieces_hashed(t->ps);
		out->bad_pieces = pieces_bad(t->ps);
		out->is_scrubbed |= pieces_is_offered(t->ps);
	}
	if (!store_traffic(t->e->cfg.store, &t->id, &out->traffic))
		out->traffic = (struct traffic){sw->down_bytes, sw->up_bytes,
						sw->waste_bytes};
	view_peers(t, out);
}

bool torrent_piece_held(const struct torrent *t, uint32_t piece_ix)
{
	return t->state == TORRENT_READY &&
	       bits_has(pieces_have(t->ps), piece_ix);
}

bool torrent_file_is_whole(const struct torrent *t, uint32_t file_ix)
{
	const struct mi_file *f;
	uint64_t first, last;

	if (t->state != TORRENT_READY || file_ix >= t->mi->n_files)
		return false;
	f = &t->mi->files[file_ix];
	if (f->len_bytes == 0)
		return false;
	first = f->off_bytes / t->mi->piece_bytes;
	last = (f->off_bytes + f->len_bytes - 1) / t->mi->piece_bytes;
	return bits_next_clear(pieces_have(t->ps), (uint32_t)first) > last;
}

uint64_t torrent_file_held(const struct torrent *t, uint32_t file_ix)
{
	const struct mi_file *file;
	const struct bits *have;
	uint64_t held = 0, end;
	uint32_t ix;

	if (t->state != TORRENT_READY || file_ix >= t->mi->n_files)
		return 0;
	file = &t->mi->files[file_ix];
	have = pieces_have(t->ps);
	end = file->off_bytes + file->len_bytes;
	if (bits_is_full(have))
		return file->len_bytes;
	ix = bits_next(have, (uint32_t)(file->off_bytes / t->mi->piece_bytes));
	for (; ix < have->n; ix = bits_next(have, ix + 1)) {
		uint64_t from = (uint64_t)ix * t->mi->piece_bytes;
		uint64_t to = from + metainfo_piece_bytes(t->mi, ix);

		if (from >= end)
			break;
		if (from < file->off_bytes)
			from = file->off_bytes;
		if (to > end)
			to = end;
		held += to > from ? to - from : 0;
	}
	return held;
}

static void view_peer(struct peer *p, uint64_t now_us,
		      struct torrent_peer_view *out)
{
	*out = (struct torrent_peer_view){
		.addr = p->addr,
		.down_Bps = rate_meter_Bps(&p->down, now_us),
		.up_Bps = rate_meter_Bps(&p->up, now_us),
		.down_bytes = p->down_bytes,
		.up_bytes = p->up_bytes,
		.rtt_us = p->window.delay_us,
		.out_requests = p->asks.n,
		.have_pieces = p->have.data != NULL ? p->have.n_set : 0,
		.is_v2 = p->side == TORRENT_V2,
		.is_incoming = p->is_incoming,
		.choked_us = p->choked_us,
		.choked_them = p->choked_them,
		.interested_us = p->interested_us,
		.interested_them = p->interested_them,
	};
	(void)snprintf(out->client, sizeof(out->client), "%s", p->client);
}

unsigned torrent_peers(const struct torrent *t, struct torrent_peer_view *out,
		       unsigned max)
{
	uint64_t now_us = loop_now_us(t->e->cfg.loop);
	struct webseed *ws;
	struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &t->swarm->peers, link)
		if (p->is_up && n < max)
			view_peer(p, now_us, &out[n++]);
	TAILQ_FOREACH (ws, &t->swarm->webs, link)
		if (n < max)
			webseed_view(ws, &out[n++]);
	return n;
}

uint32_t torrent_tracker_count(const struct torrent *t)
{
	return announcer_count(t->announcer);
}

void torrent_tracker(const struct torrent *t, uint32_t ix,
		     struct tracker_view *out)
{
	announcer_view(t->announcer, ix, out);
}

/* ---- why ---- */

/* What a failing tracker says, if all that were asked fail. */
static const char *tracker_trouble(const struct torrent *t)
{
	uint32_t n = announcer_count(t->announcer), i;
	const char *why = NULL;

	for (i = 0; i < n; i++) {
		struct tracker_view tv;

		announcer_view(t->announcer, i, &tv);
		if (tv.state == TRACKER_OK)
			return NULL;
		if (tv.state == TRACKER_FAILED && tv.why != NULL &&
		    tv.why[0] != '\0')
			why = tv.why;
	}
	return why;
}

static void count_peer(struct why *w, const struct peer *p)
{
	unsigned blocks = 0;

	w->n_up++;
	for (uint32_t i = 0; i < p->asks.n; i++)
		blocks += p->asks.v[p->asks.head + i].block.piece_ix ==
			  w->piece_ix;
	w->n_blocks += blocks;
	w->n_from += blocks > 0;
	if (w->is_metadata || p->have.data == NULL ||
	    !bits_has(&p->have, w->piece_ix))
		return;
	w->n_has++;
	w->n_open += !p->choked_us;
	w->n_stalled += !p->choked_us && p->is_snubbed;
}

static void count_webs(struct why *w, const struct torrent *t)
{
	const struct webseed *ws;

	TAILQ_FOREACH (ws, &t->swarm->webs, link) {
		w->n_web_blocks += webseed_blocks(ws, w->piece_ix);
		if (ws->why[0] != '\0')
			w->web_trouble = ws->why;
	}
}

/* Of what is known before there is a piece. */
static struct why facts(const struct torrent *t, bool is_metadata, uint32_t ix)
{
	struct why w = {
		.piece_ix = ix,
		.is_metadata = is_metadata,
		.n_known = addrbook_count(t->swarm->book),
		.n_dialing = t->swarm->n_dialing,
		.n_trackers = announcer_count(t->announcer),
		.tracker_trouble = tracker_trouble(t),
	};
	const struct peer *p;

	TAILQ_FOREACH (p, &t->swarm->peers, link)
		if (p->is_up)
			count_peer(&w, p);
	return w;
}

static const char *tell(struct torrent *t, const struct why *w)
{
	why_text(w, t->text, sizeof(t->text));
	return t->text;
}

static const char *say(struct torrent *t, const char *what, int err)
{
	(void)snprintf(t->text, sizeof(t->text), "%s%s", what,
		       err != 0 ? err_text(err) : "");
	return t->text;
}

/* What a piece that is not held waits for. */
static const char *why_piece(struct torrent *t, uint32_t ix, bool is_resting)
{
	struct why w = facts(t, false, ix);
	enum piece_state state = pieces_state(t->ps, ix);

	count_webs(&w, t);
	w.is_checking = state == PIECE_CHECKING;
	w.n_bad = torrent_n_bad(t, ix);
	w.keep_err = pieces_keep_err(t->ps);
	w.is_resting = is_resting;
	if (pace_is_waiting(t->swarm))
		w.limit_Bps = pace_Bps(t->e->pace);
	w.is_lacking = t->swarm->intake != NULL && state == PIECE_WANTED;
	return tell(t, &w);
}

const char *torrent_read_why(const struct torrent_read *rd)
{
	struct torrent *t = torrent_read_torrent(rd);
	uint32_t ix = torrent_read_first_missing(rd);
	int err;

	if (t->state != TORRENT_READY)
		return say(t, "the torrent is closed", 0);
	if (ix != UINT32_MAX)
		return why_piece(t, ix, false);
	err = store_err(t->e->cfg.store);
	return err != 0 ? say(t, "the store failed: ", err)
			: say(t, "the store is reading", 0);
}

const char *torrent_file_why(struct torrent *t, uint32_t file_ix)
{
	const struct bits *have;
	uint32_t first, last;
	int err;

	if (t->state != TORRENT_READY || file_ix >= t->mi->n_files)
		return say(t, "the torrent is closed", 0);
	have = pieces_have(t->ps);
	if (t->mi->files[file_ix].len_bytes == 0)
		return NULL;
	first = extent_pieces(t->mi, file_ix, &last);
	first = bits_next_clear(have, first);
	if (first > last || first == have->n)
		return NULL;
	err = store_err(t->e->cfg.store);
	if (err != 0)
		return say(t, "the store failed: ", err);
	return why_piece(t, first,
			 fetch_rests_until_us(
				 t->fetch, loop_now_us(t->e->cfg.loop)) != 0);
}

const char *torrent_meta_why(struct torrent *t)
{
	const struct why w = facts(t, true, UINT32_MAX);

	return t->state == TORRENT_META ? tell(t, &w) : NULL;
}
