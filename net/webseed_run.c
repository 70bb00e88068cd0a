/* webseed_run — one run of blocks over one connection to a web seed.
 *
 * Words. Span: the part of a run that lies in one file (of BEP 17: in one
 * piece), which is one request.
 *
 * Happy path: the spans are got one after the other (http.c), over connections
 * that libcurl keeps; pad files are zeros and not asked for. Bytes are gathered
 * into a block; what comes as a whole block is not copied first. The block
 * goes to the intake.
 *
 * Failure modes. Whatever http.c says ends the run: webseed_fail. Data arrives
 * on libcurl's stack, where no get can be ended: so a run that nobody wants any
 * more is ended by the swarm's next pass.
 *
 * Invariants: a run is active iff at < end, and then a get is under way;
 * n_staged is less than the block at `at` is long. */
#include "net/webseed_run.h"

#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/http.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/pace.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/urlquery.h"
#include "net/webseed.h"
#include "net/webseed_url.h"

struct wire_block webseed_run_block(const struct webseed *ws, uint64_t at_bytes)
{
	const struct metainfo *mi = ws->sw->t->mi;
	struct wire_block b = {
		.piece_ix = (uint32_t)(at_bytes / mi->piece_bytes),
		.begin_bytes = (uint32_t)(at_bytes % mi->piece_bytes),
		.len_bytes = WIRE_BLOCK_BYTES,
	};
	uint32_t left = metainfo_piece_bytes(mi, b.piece_ix) - b.begin_bytes;

	if (b.len_bytes > left)
		b.len_bytes = left;
	return b;
}

bool webseed_run_is_active(const struct webseed_run *run)
{
	return run->at_bytes < run->end_bytes;
}

void webseed_run_end(struct webseed_run *run)
{
	struct webseed *ws = run->ws;

	if (run->get != NULL && ws->n_lines > 0)
		ws->n_lines--; /* its connection goes with it */
	http_get_cancel(run->get);
	run->get = NULL;
	pace_on_gone(ws->sw->e, &ws->paid_bytes,
		     run->end_bytes - run->at_bytes - run->n_staged);
	while (webseed_run_is_active(run)) {
		struct wire_block b = webseed_run_block(ws, run->at_bytes);

		picker_on_gone(ws->sw->picker, ws->id, &b);
		run->at_bytes += b.len_bytes;
	}
	run->n_staged = 0;
	swarm_kick(ws->sw);
}

static void fail(struct webseed_run *run, const char *why)
{
	run->ws->n_lines = 0; /* nobody knows */
	webseed_fail(run->ws, why);
	webseed_run_end(run);
}

static void deliver(struct webseed_run *run, const struct wire_block *b,
		    const uint8_t *bytes)
{
	struct webseed *ws = run->ws;

	run->at_bytes += b->len_bytes;
	run->n_staged = 0;
	ws->n_fails = 0;
	ws->why[0] = '\0';
	intake_on_web_block(ws, b, bytes);
}

/* The next bytes of the run; NULL: zeros. */
static void feed(struct webseed_run *run, const uint8_t *data, uint64_t len)
{
	while (len > 0) {
		struct wire_block b = webseed_run_block(run->ws, run->at_bytes);
		uint32_t need = b.len_bytes - run->n_staged;
		uint32_t n = len < need ? (uint32_t)len : need;

		if (data != NULL && n == b.len_bytes) {
			deliver(run, &b, data);
		} else {
			if (data != NULL)
				memcpy(run->stage + run->n_staged, data, n);
			else
				memset(run->stage + run->n_staged, 0, n);
			run->n_staged += n;
			if (n == need)
				deliver(run, &b, run->stage);
		}
		data = data != NULL ? data + n : NULL;
		len -= n;
	}
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct webseed_run *run = arg;
	struct webseed *ws = run->ws;
	uint64_t now_us = loop_now_us(ws->sw->loop);

	if (run->asked_us != 0)
		webseed_on_answer(ws, now_us - run->asked_us, run->ahead_bytes);
	run->asked_us = 0;
	webseed_on_bytes(ws, (uint32_t)len);
	feed(run, data, len);
}

static void run_next(struct webseed_run *run);

/* BEP 17: a 503's body is the seconds for which to leave it alone. */
static unsigned said_wait_s(struct span body)
{
	unsigned s = 0;
	size_t i;

	for (i = 0; i < body.len && s <= HTTP_WAIT_MAX_S; i++) {
		if (body.ptr[i] < '0' || body.ptr[i] > '9')
			break;
		s = s * 10 + (unsigned)(body.ptr[i] - '0');
	}
	return s < HTTP_WAIT_MAX_S ? s : HTTP_WAIT_MAX_S;
}

static void on_done(void *arg, int err, int status, struct span body,
		    const char *why)
{
	struct webseed_run *run = arg;
	struct webseed *ws = run->ws;
	unsigned wait_s = 0;

	if (err == EPROTO && status >= 400)
		wait_s = http_get_wait_s(run->get);
	if (wait_s == 0 && status == 503 && ws->kind == WEBSEED_PIECES)
		wait_s = said_wait_s(body);
	run->get = NULL;
	if (err == 0 && run->tail_until_us != 0 && webseed_run_is_active(run)) {
		webseed_run_end(run); /* it was let go on for its connection */
	} else if (err == 0) {
		run_next(run);
	} else if (wait_s > 0) {
		webseed_on_busy(ws, wait_s);
		webseed_run_end(run);
	} else {
		fail(run, why);
	}
}

/* The URL of a span, and what of it to ask for. */
static void describe(struct webseed *ws, const struct webseed_span *span,
		     struct buf *url, struct http_range *range)
{
	const struct metainfo *mi = ws->sw->t->mi;

	if (ws->kind == WEBSEED_PIECES) {
		webseed_url_piece(url, ws->url, mi, span);
		range->file_bytes = span->len_bytes;
		range->is_in_url = true;
	} else {
		webseed_url_file(url, ws->url, mi, span->ix);
		range->off_bytes = span->off_bytes;
		range->file_bytes = mi->files[span->ix].len_bytes;
	}
}

static int get_span(struct webseed_run *run, const struct webseed_span *span)
{
	struct webseed *ws = run->ws;
	struct http_range range = {
		.len_bytes = span->len_bytes,
		.min_Bps = WEBSEED_MIN_BPS,
		.silence_s = WEBSEED_SILENCE_S,
		.data = on_data,
	};
	struct http_req req = {
		.timeout_ms = WEBSEED_CONNECT_MS,
		.range = &range,
		.local_query = urlquery_is_there(ws->url) ? HTTP_QUERY_NONE
							  : HTTP_QUERY_FIRST,
	};
	struct buf url = {0};
	int r = ENOMEM;

	describe(ws, span, &url, &range);
	req.url = buf_cstr(&url);
	if (req.url != NULL)
		r = http_get_start(ws->sw->e->web, &req, on_done, run,
				   &run->get);
	buf_fini(&url);
	run->asked_us = loop_now_us(ws->sw->loop);
	run->ahead_bytes = webseed_ahead_bytes(ws, run);
	return r;
}

/* The next span, if there is one. */
static void run_next(struct webseed_run *run)
{
	const struct metainfo *mi = run->ws->sw->t->mi;

	while (webseed_run_is_active(run)) {
		struct webseed_span span = webseed_url_span(
			run->ws->kind, mi, run->at_bytes + run->n_staged,
			run->end_bytes);

		if (!span.is_pad) {
			if (get_span(run, &span) != 0)
				fail(run, err_text(ENOMEM));
			return;
		}
		feed(run, NULL, span.len_bytes);
	}
	swarm_kick(run->ws->sw);
}

bool webseed_run_is_wanted(const struct webseed_run *run)
{
	const struct picker *pk = run->ws->sw->picker;
	uint64_t at = run->at_bytes;

	while (at < run->end_bytes) {
		struct wire_block b = webseed_run_block(run->ws, at);

		if (picker_class(pk, b.piece_ix) != WANT_NONE &&
		    picker_is_missing(pk, &b))
			return true;
		at += b.len_bytes;
	}
	return false;
}

void webseed_run_start(struct webseed_run *run, uint64_t at_bytes,
		       uint64_t end_bytes)
{
	run->at_bytes = at_bytes;
	run->end_bytes = end_bytes;
	run->tail_until_us = 0;
	if (run->stage == NULL)
		run->stage = mem_alloc(WIRE_BLOCK_BYTES);
	if (run->stage == NULL)
		fail(run, err_text(ENOMEM));
	else
		run_next(run);
}
