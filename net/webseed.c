/* webseed — one web seed of a torrent.
 *
 * Words. Run: blocks that lie one behind the other in piece space and are asked
 * for together (webseed_run.c). Owed: blocks that are queued or in a run and
 * have not come.
 *
 * Happy path
 *   1. A pass describes the web seed to the picker as a peer that has all.
 *   2. Picks go into the queue; at the pass's end its front becomes runs.
 *
 * A request costs a server far more than sixteen KiB are worth, so room is
 * given in lumps: none until half of the window has come, then all of it.
 * Peers go first where they are about as fast (YIELD_US).
 *
 * A connection is slow until it has carried something, and ends with a run that
 * is ended; so of a web seed that is cold the first lump is cut for all of its
 * connections, and they are up to speed together.
 *
 * Failure modes
 *   busy           it says for how long it should be left alone, and is
 *   any error      what the run and the queue owed is free for others; the web
 *                  seed is left alone for WEBSEED_RETRY_MS, doubling until it
 *                  sends a block
 *   slow           below WEBSEED_MIN_BPS for WEBSEED_SILENCE_S is an error;
 *                  before that the picker asks others for what is urgent
 *   wrong bytes    blame.c: banned for this session
 *   not wanted     the pass ends runs of which nobody wants anything any more
 *
 * Invariant: a block is in the queue or in a run at most once. */
#include "net/webseed.h"

#include <stdio.h>
#include <string.h>

#include "core/bits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/blame.h"
#include "net/net_limits.h"
#include "net/pace.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/tracker.h"
#include "net/webseed_run.h"
#include "net/webseed_url.h"

enum {
	YIELD_US = 50000, /* a peer may be slower by so much */
	LUMP_MIN_BYTES = 1 << 20,
	COLD_MIN_BYTES = 256 << 10,
	LUMP_FIRST_MAX_BYTES = 4 << 20, /* a piece, but not more than this */
};

static void masked_url(const struct webseed *ws, char out[256])
{
	tracker_mask(ws->url, out, 256);
}

/* ---- blocks ---- */

static uint64_t block_at_bytes(const struct webseed *ws,
			       const struct wire_block *b)
{
	return (uint64_t)b->piece_ix * ws->sw->t->mi->piece_bytes +
	       b->begin_bytes;
}

static uint64_t owed_bytes(const struct webseed *ws)
{
	uint64_t owed = ws->queue_bytes;
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		owed += ws->runs[i].end_bytes - ws->runs[i].at_bytes;
	return owed;
}

uint32_t webseed_ahead_bytes(const struct webseed *ws,
			     const struct webseed_run *run)
{
	return (uint32_t)(owed_bytes(ws) - ws->queue_bytes -
			  (run->end_bytes - run->at_bytes));
}

static void queue_take(struct webseed *ws, uint32_t from, uint32_t n)
{
	uint32_t i;

	for (i = from; i < from + n; i++)
		ws->queue_bytes -= ws->queue[i].len_bytes;
	ws->n_queue -= n;
	memmove(ws->queue + from, ws->queue + from + n,
		(ws->n_queue - from) * sizeof(*ws->queue));
}

static void queue_drop(struct webseed *ws)
{
	uint32_t i;

	if (ws->n_queue == 0)
		return;
	for (i = 0; i < ws->n_queue; i++)
		picker_on_gone(ws->sw->picker, ws->id, &ws->queue[i]);
	pace_on_gone(ws->sw->e, &ws->paid_bytes, ws->queue_bytes);
	queue_take(ws, 0, ws->n_queue);
}

/* ---- what came of it ---- */

void webseed_on_answer(struct webseed *ws, uint64_t us, uint32_t ahead_bytes)
{
	rate_window_on_answer(&ws->window, us, ahead_bytes,
			      loop_now_us(ws->sw->loop));
}

void webseed_on_bytes(struct webseed *ws, uint32_t bytes)
{
	uint64_t now_us = loop_now_us(ws->sw->loop);

	pace_on_payload(ws->sw->e, &ws->paid_bytes, bytes);
	ws->heard_us = now_us;
	ws->down_bytes += bytes;
	rate_line_on_bytes(&ws->sw->line, bytes, now_us);
	rate_window_on_bytes(&ws->window, bytes,
			     owed_bytes(ws) < ws->window.window_bytes, now_us);
	rate_meter_add(&ws->down, bytes, now_us);
	ws->sw->down_bytes += bytes;
	account_note(ws->sw);
	rate_meter_add(&ws->sw->down, bytes, now_us);
}

static void leave_alone(struct webseed *ws, uint64_t us)
{
	uint64_t until_us = loop_now_us(ws->sw->loop) + us;

	if (until_us > ws->hold_until_us)
		ws->hold_until_us = until_us;
	queue_drop(ws);
}

void webseed_on_busy(struct webseed *ws, unsigned wait_s)
{
	(void)snprintf(ws->why, sizeof(ws->why),
		       "busy, asks to wait %u seconds", wait_s);
	leave_alone(ws, wait_s * UINT64_C(1000000));
}

void webseed_fail(struct webseed *ws, const char *why)
{
	uint64_t wait_ms = (uint64_t)WEBSEED_RETRY_MS << ws->n_fails;
	uint64_t now_us = loop_now_us(ws->sw->loop);
	char url[256];

	(void)snprintf(ws->why, sizeof(ws->why), "%s", why);
	masked_url(ws, url);
	log_debug("%s: web seed %s: %s", torrent_name(ws->sw->t), url, why);
	if (now_us < ws->hold_until_us) {
		queue_drop(ws);
		return; /* the rest of one volley */
	}
	if (wait_ms < WEBSEED_RETRY_MAX_MS)
		ws->n_fails++;
	else
		wait_ms = WEBSEED_RETRY_MAX_MS;
	rate_window_on_stall(&ws->window, now_us);
	leave_alone(ws, wait_ms * 1000);
}

/* ---- asking ---- */

bool webseed_is_usable(const struct webseed *ws)
{
	return !ws->is_banned && ws->hold_until_us <= loop_now_us(ws->sw->loop);
}

static uint64_t window_bytes(const struct webseed *ws)
{
	uint64_t least = ws->sw->t->mi->piece_bytes;
	uint64_t window = 2 * (uint64_t)ws->window.window_bytes;
	uint64_t lump = pace_lump_bytes(ws->sw->e);

	if (ws->window.is_draining)
		return ws->window.window_bytes; /* it wants a bare answer */
	if (least > LUMP_FIRST_MAX_BYTES)
		least = LUMP_FIRST_MAX_BYTES;
	if (least < LUMP_MIN_BYTES)
		least = LUMP_MIN_BYTES;
	if (window < least)
		window = least;
	/* Under a limit what is out, and would come at once, is little. */
	return pace_is_on(ws->sw->e) && window > lump ? lump : window;
}

bool webseed_is_late(const struct webseed *ws)
{
	uint64_t owed = owed_bytes(ws);
	uint64_t from_us =
		ws->heard_us > ws->since_us ? ws->heard_us : ws->since_us;

	return owed > 0 &&
	       loop_now_us(ws->sw->loop) >
		       from_us + rate_window_timeout_us(&ws->window,
							(uint32_t)owed);
}

/* A script is asked for whole pieces if there is room for one. */
static uint32_t room_blocks(const struct webseed *ws, uint64_t bytes)
{
	uint32_t piece = ws->sw->t->mi->piece_bytes;

	if (ws->kind == WEBSEED_PIECES && bytes > piece)
		bytes -= bytes % piece;
	return (uint32_t)(bytes / WIRE_BLOCK_BYTES);
}

bool webseed_describe(struct webseed *ws, struct pick_peer *out)
{
	uint64_t owed = owed_bytes(ws), window = window_bytes(ws);
	const struct bits *have;

	if (!webseed_is_usable(ws))
		return false;
	have = swarm_all(ws->sw);
	if (have != NULL)
		have = blame_have(ws->sw->intake, ws->id, have, &ws->masked);
	if (have == NULL) {
		webseed_fail(ws, err_text(ENOMEM));
		return false;
	}
	*out = (struct pick_peer){
		.id = ws->id,
		.have = have,
		.rate_Bps = ws->window.rate_Bps,
		.rtt_us = ws->window.delay_us + YIELD_US,
		.out_bytes = (uint32_t)owed,
		.down_bytes = ws->down_bytes,
		.heard_us = ws->heard_us,
		.doubt_us = UINT64_MAX, /* its lateness makes it snubbed */
		.is_proven = true,	/* a lump is no probe */
		.is_snubbed = webseed_is_late(ws),
	};
	if (owed * 2 <= window)
		out->room = room_blocks(ws, window - owed);
	return true;
}

static int make_room(struct webseed *ws)
{
	uint32_t room = ws->queue_room == 0 ? 64 : ws->queue_room * 2;
	struct wire_block *v;

	if (ws->n_queue < ws->queue_room)
		return 0;
	v = mem_grow(ws->queue, room, sizeof(*v));
	if (v == NULL)
		return ENOMEM;
	ws->queue = v;
	ws->queue_room = room;
	return 0;
}

void webseed_ask(struct webseed *ws, const struct wire_block *b)
{
	uint64_t at = block_at_bytes(ws, b);
	unsigned i;

	pace_on_ask(ws->sw->e, &ws->paid_bytes, b->len_bytes);
	/* Given up by the picker before, and wanted again while it comes. */
	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		if (ws->runs[i].at_bytes <= at && at < ws->runs[i].end_bytes)
			return;
	if (make_room(ws) != 0) {
		pace_on_gone(ws->sw->e, &ws->paid_bytes, b->len_bytes);
		picker_on_gone(ws->sw->picker, ws->id, b);
		webseed_fail(ws, err_text(ENOMEM)); /* and looks again */
		return;
	}
	ws->queue[ws->n_queue++] = *b;
	ws->queue_bytes += b->len_bytes;
}

/* At a time. */
static unsigned requests_max(const struct webseed *ws)
{
	return ws->kind == WEBSEED_FILES ? WEBSEED_RANGES_MAX
					 : WEBSEED_REQUESTS_MAX;
}

/* New connections are slow at first: the first lump is cut so that all of them
 * become fast at the same time. */
static uint64_t run_max_bytes(const struct webseed *ws, unsigned n_free)
{
	uint64_t share = ws->queue_bytes / n_free + WIRE_BLOCK_BYTES - 1;

	if (!ws->is_cold)
		return WEBSEED_RUN_MAX;
	return share < COLD_MIN_BYTES ? COLD_MIN_BYTES : share;
}

/* Can the block at `end` be part of a run that begins at `at`? */
static bool is_one_run(const struct webseed *ws, uint64_t at, uint64_t end)
{
	uint32_t piece = ws->sw->t->mi->piece_bytes;

	return ws->kind == WEBSEED_FILES || end == at ||
	       at / piece == end / piece;
}

/* The front of the queue, as far as it is one run. */
static void start_run(struct webseed *ws, struct webseed_run *run, uint64_t max)
{
	uint64_t at = block_at_bytes(ws, &ws->queue[0]), end = at;
	uint32_t n = 0;

	if (owed_bytes(ws) == ws->queue_bytes)
		ws->since_us = loop_now_us(ws->sw->loop);
	while (n < ws->n_queue && block_at_bytes(ws, &ws->queue[n]) == end &&
	       is_one_run(ws, at, end) && end - at < max)
		end += ws->queue[n++].len_bytes;
	queue_take(ws, 0, n);
	run->ws = ws;
	webseed_run_start(run, at, end);
}

static void flush(struct webseed *ws)
{
	unsigned n = requests_max(ws), n_free = n, i;
	uint64_t max = 0;

	for (i = 0; i < n; i++) {
		struct webseed_run *run = &ws->runs[i];

		if (webseed_run_is_active(run) && !webseed_run_is_wanted(run)) {
			webseed_run_end(run);
			ws->is_cold = true; /* its connection went with it */
		}
		n_free -= webseed_run_is_active(run);
	}
	if (ws->n_queue > 0 && n_free > 0) {
		max = run_max_bytes(ws, n_free);
		ws->is_cold = false;
	}
	for (i = 0; i < n && ws->n_queue > 0; i++)
		if (!webseed_run_is_active(&ws->runs[i]))
			start_run(ws, &ws->runs[i], max);
	if (owed_bytes(ws) == 0)
		pace_on_idle(ws->sw->e, &ws->paid_bytes);
}

void webseed_flush(struct swarm *sw)
{
	struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		flush(ws);
}

bool webseed_is_any_usable(const struct swarm *sw)
{
	const struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		if (webseed_is_usable(ws))
			return true;
	return false;
}

uint64_t webseed_wake_us(const struct swarm *sw, uint64_t now_us)
{
	uint64_t wake_us = UINT64_MAX;
	const struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		if (!ws->is_banned && ws->hold_until_us > now_us &&
		    ws->hold_until_us < wake_us)
			wake_us = ws->hold_until_us;
	return wake_us;
}

/* ---- ends ---- */

void webseed_cancel(struct webseed *ws, const struct wire_block *b)
{
	uint32_t i;

	for (i = 0; i < ws->n_queue; i++)
		if (wire_block_eq(&ws->queue[i], b)) {
			pace_on_gone(ws->sw->e, &ws->paid_bytes, b->len_bytes);
			queue_take(ws, i, 1);
			return;
		}
}

static void cancel_piece(struct webseed *ws, uint32_t piece_ix)
{
	uint32_t len = metainfo_body_bytes(ws->sw->t->mi, piece_ix);
	uint32_t at;

	for (at = 0; at < len; at += WIRE_BLOCK_BYTES) {
		struct wire_block b = {
			.piece_ix = piece_ix,
			.begin_bytes = at,
			.len_bytes = len - at < WIRE_BLOCK_BYTES
					     ? len - at
					     : WIRE_BLOCK_BYTES,
		};

		picker_on_gone(ws->sw->picker, ws->id, &b);
		webseed_cancel(ws, &b);
	}
}

void webseed_cancel_piece(struct swarm *sw, uint32_t piece_ix)
{
	struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		if (owed_bytes(ws) > 0)
			cancel_piece(ws, piece_ix);
}

void webseed_trim(struct swarm *sw, uint64_t most_bytes)
{
	struct webseed_run *run;
	struct webseed *ws;
	unsigned i;

	TAILQ_FOREACH (ws, &sw->webs, link) {
		queue_drop(ws);
		for (i = 0; i < WEBSEED_REQUESTS_MAX; i++) {
			run = &ws->runs[i];
			if (webseed_run_is_active(run) &&
			    run->end_bytes - run->at_bytes > most_bytes)
				webseed_run_end(run);
		}
	}
}

static void stop(struct webseed *ws)
{
	unsigned i;

	queue_drop(ws);
	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		if (webseed_run_is_active(&ws->runs[i]))
			webseed_run_end(&ws->runs[i]);
	pace_on_idle(ws->sw->e, &ws->paid_bytes);
}

void webseed_stop(struct swarm *sw)
{
	struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		stop(ws);
}

void webseed_ban(struct webseed *ws)
{
	char url[256];

	if (ws->is_banned)
		return;
	ws->is_banned = true;
	(void)snprintf(ws->why, sizeof(ws->why), "it sent wrong bytes");
	masked_url(ws, url);
	log_warn("%s: web seed %s sent wrong bytes, banned",
		 torrent_name(ws->sw->t), url);
	stop(ws);
}

/* ---- status ---- */

void webseed_view(struct webseed *ws, struct torrent_peer_view *out)
{
	uint64_t now_us = loop_now_us(ws->sw->loop);

	*out = (struct torrent_peer_view){
		.down_Bps = rate_meter_Bps(&ws->down, now_us),
		.down_bytes = ws->down_bytes,
		.rtt_us = ws->window.delay_us,
		.out_requests =
			(uint32_t)((owed_bytes(ws) + WIRE_BLOCK_BYTES - 1) /
				   WIRE_BLOCK_BYTES),
		.have_pieces =
			ws->sw->t->mi != NULL ? ws->sw->t->mi->n_pieces : 0,
		.choked_us = !webseed_is_usable(ws),
		.choked_them = true,
		.is_web_seed = true,
	};
	tracker_mask(ws->url, out->url, sizeof(out->url));
	(void)snprintf(out->client, sizeof(out->client), "web seed%s%.50s",
		       ws->why[0] != '\0' ? ": " : "", ws->why);
}

uint32_t webseed_blocks(const struct webseed *ws, uint32_t piece_ix)
{
	uint32_t n = 0, i;
	uint64_t at;

	for (i = 0; i < ws->n_queue; i++)
		n += ws->queue[i].piece_ix == piece_ix;
	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		for (at = ws->runs[i].at_bytes; at < ws->runs[i].end_bytes;) {
			struct wire_block b = webseed_run_block(ws, at);

			n += b.piece_ix == piece_ix;
			at += b.len_bytes;
		}
	return n;
}
