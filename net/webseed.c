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
 * given in lumps: none until a connection is free and no more than a window is
 * out, then a run. Runs are as short as keeps the line full, for what of them
 * is out is what a seek waits behind.
 * Peers go first where they are about as fast (YIELD_US).
 *
 * What a reader waits for is cut into a run for each connection where all are
 * new, so that they are up to speed together, and in two where they are not: no
 * one knows which of them is the fastest.
 *
 * Failure modes
 *   busy           it says for how long it should be left alone, and is
 *   any error      what the run and the queue owed is free for others; the web
 *                  seed is left alone for WEBSEED_RETRY_MS, doubling until it
 *                  sends a block
 *   slow           below WEBSEED_MIN_BPS for WEBSEED_SILENCE_S is an error;
 *                  before that the picker asks others for what is urgent
 *   wrong bytes    blame.c: banned for this session
 *   not wanted     runs of which nobody wants anything are webseed_tail.c's
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
#include "net/picker_parts.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/tracker.h"
#include "net/webseed_run.h"
#include "net/webseed_tail.h"
#include "net/webseed_url.h"

enum {
	YIELD_US = 50000, /* a peer may be slower by so much */
	RUN_MIN_BYTES = 512 << 10,
	SHARE_MIN_BYTES = 256 << 10,
	URGENT_PARTS = 2,
	PIECE_MAX_BYTES = 4 << 20, /* a piece at once, but not more than this */
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

/* Those that nobody wants any more. */
static void queue_sift(struct webseed *ws)
{
	uint32_t i = 0;

	while (i < ws->n_queue) {
		const struct wire_block b = ws->queue[i];

		if (picker_class(ws->sw->picker, b.piece_ix) != WANT_NONE) {
			i++;
			continue;
		}
		picker_on_gone(ws->sw->picker, ws->id, &b);
		pace_on_gone(ws->sw->e, &ws->paid_bytes, b.len_bytes);
		queue_take(ws, i, 1);
	}
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

static bool line_is_full(struct webseed *ws, uint64_t now_us)
{
	uint64_t out = picker_outstanding(ws->sw->picker);

	return rate_line_is_full(&ws->sw->line, out * WIRE_BLOCK_BYTES,
				 ws->window.delay_us, now_us);
}

void webseed_on_bytes(struct webseed *ws, uint32_t bytes)
{
	uint64_t now_us = loop_now_us(ws->sw->loop);

	pace_on_payload(ws->sw->e, &ws->paid_bytes, bytes);
	ws->heard_us = now_us;
	ws->down_bytes += bytes;
	rate_line_on_bytes(&ws->sw->line, bytes, now_us);
	ws->window.is_held = line_is_full(ws, now_us);
	rate_window_on_bytes(
		&ws->window, bytes,
		owed_bytes(ws) < rate_window_calm_bytes(&ws->window), now_us);
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

/* A run of what nobody waits for yet. */
static uint64_t run_bytes(const struct webseed *ws)
{
	uint64_t full = rate_window_calm_bytes(&ws->window);
	uint64_t piece = ws->sw->t->mi->piece_bytes;
	uint64_t run = full - full / 4;

	if (run < RUN_MIN_BYTES)
		run = RUN_MIN_BYTES;
	if (ws->kind == WEBSEED_PIECES && piece <= PIECE_MAX_BYTES)
		run = run < piece ? piece : run - run % piece;
	return run;
}

/* It is asked for no more while it owes more than this. */
static uint64_t enough_bytes(const struct webseed *ws)
{
	uint64_t window = ws->window.window_bytes;

	return window < RUN_MIN_BYTES && !ws->window.is_draining ? RUN_MIN_BYTES
								 : window;
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

/* At a time. A script's are as many as have the window's pieces, and one. */
static unsigned requests_max(const struct webseed *ws)
{
	uint64_t bytes = enough_bytes(ws) + run_bytes(ws);
	uint64_t n = bytes / ws->sw->t->mi->piece_bytes + 1;

	if (ws->kind == WEBSEED_FILES || n < WEBSEED_RANGES_MAX)
		return WEBSEED_RANGES_MAX;
	return n < WEBSEED_REQUESTS_MAX ? (unsigned)n : WEBSEED_REQUESTS_MAX;
}

/* How much it may be asked for now. What a reader waits for is asked for
 * whatever is on its way, or it would wait for read-ahead. */
static uint64_t room_bytes(const struct webseed *ws)
{
	uint64_t owed = owed_bytes(ws), wanted = owed - webseed_tail_bytes(ws);
	uint64_t run = run_bytes(ws), lump = pace_lump_bytes(ws->sw->e);
	uint64_t piece = ws->sw->t->mi->piece_bytes, end;

	if (ws->n_queue > 0)
		return 0;
	if (pace_is_on(ws->sw->e) && lump < run)
		return owed * 2 <= lump ? lump - owed : 0;
	if (piece > PIECE_MAX_BYTES)
		piece = PIECE_MAX_BYTES;
	if (run < piece && (owed == 0 || picker_has_urgent(ws->sw->picker)))
		run = piece;
	if (picker_has_urgent(ws->sw->picker) && wanted <= 3 * run)
		return run;
	if (wanted > enough_bytes(ws) ||
	    webseed_tail_active(ws) >= requests_max(ws))
		return 0;
	end = ws->asked_to_bytes % piece;
	return ws->kind == WEBSEED_PIECES && end > 0 ? run + piece - end : run;
}

bool webseed_describe(struct webseed *ws, struct pick_peer *out)
{
	uint64_t owed = owed_bytes(ws);
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
	out->room = (uint32_t)(room_bytes(ws) / WIRE_BLOCK_BYTES);
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
	ws->asked_to_bytes = at + b->len_bytes;
}

static bool is_urgent(const struct webseed *ws, const struct wire_block *b)
{
	return picker_class(ws->sw->picker, b->piece_ix) == WANT_URGENT;
}

/* What a reader waits for is cut so that several connections bring it: the one
 * that libcurl takes may be slow. */
static uint64_t run_max_bytes(const struct webseed *ws, unsigned parts)
{
	uint64_t share = ws->queue_bytes / parts + WIRE_BLOCK_BYTES - 1;

	if (!is_urgent(ws, &ws->queue[0]))
		return run_bytes(ws);
	return share < SHARE_MIN_BYTES ? SHARE_MIN_BYTES : share;
}

/* Can the block at `end` be part of a run that begins at `at`? */
static bool is_one_run(const struct webseed *ws, uint64_t at, uint64_t end)
{
	const struct picker *pk = ws->sw->picker;
	uint32_t piece = ws->sw->t->mi->piece_bytes;

	if (at / piece == end / piece || end == at)
		return true;
	return ws->kind == WEBSEED_FILES &&
	       picker_class(pk, (uint32_t)(at / piece)) ==
		       picker_class(pk, (uint32_t)(end / piece));
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
	webseed_tail_on_start(ws);
}

/* May the front of the queue become a run? Behind what fills the line it would
 * only make a longer queue, and perhaps too long a one. */
static bool may_start(const struct webseed *ws, bool has_lines)
{
	if (ws->n_queue == 0)
		return false;
	if (!has_lines)
		return true;
	return owed_bytes(ws) - ws->queue_bytes <= enough_bytes(ws) &&
	       webseed_tail_may_start(ws, is_urgent(ws, &ws->queue[0]));
}

static void flush(struct webseed *ws)
{
	unsigned n_active = webseed_tail_settle(ws), n = requests_max(ws), i;
	bool has_lines = webseed_tail_has_lines(ws);

	queue_sift(ws);
	if (ws->n_queue > 0 && ws->cut_bytes == 0)
		ws->cut_bytes = run_max_bytes(ws, has_lines ? URGENT_PARTS : n);
	for (i = 0; i < WEBSEED_REQUESTS_MAX && n_active < n; i++) {
		if (!may_start(ws, has_lines))
			break;
		if (webseed_run_is_active(&ws->runs[i]))
			continue;
		start_run(ws, &ws->runs[i], ws->cut_bytes);
		n_active += webseed_run_is_active(&ws->runs[i]);
	}
	if (ws->n_queue == 0)
		ws->cut_bytes = 0;
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

	TAILQ_FOREACH (ws, &sw->webs, link) {
		uint64_t tail_us = webseed_tail_wake_us(ws);

		if (!ws->is_banned && ws->hold_until_us > now_us &&
		    ws->hold_until_us < wake_us)
			wake_us = ws->hold_until_us;
		if (tail_us < wake_us)
			wake_us = tail_us;
	}
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
