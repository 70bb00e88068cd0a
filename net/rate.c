/* rate — meters, request windows, token buckets.
 *
 * The request window answers: how many bytes must be asked for ahead so that
 * the peer never idles, and no more, since what is queued at a peer is what a
 * seek waits behind. That is its delivery rate times the time from a request
 * to its answer. The rate cannot be seen before the window is large enough to
 * let it show, so the window first doubles each round (every byte that came
 * allows one more) until three rounds in a row bring less than a quarter more.
 *
 * A *round* is one delay, at least ROUND_MIN_US: shorter samples measure
 * the scheduler. Senders whose limiter deals out shares every half second pause
 * again and again; a round is as long as such a *gap*, and the window lasts for
 * one more. A round is *limited* when the window was not used up in it;
 * then its rate says how much we asked, not how much the peer can send.
 *
 * The *delay* cannot be seen either while requests queue at the peer: what is
 * measured then is the queue, and a window made of that would grow by its gain
 * for ever. So only a *bare* answer tells it, one with less than half a
 * delay's worth out before it. Every new beginning brings some. When none came
 * for DELAY_SPAN_US twice over, or answers are much later than they should be,
 * the window is *drained* to half the delay's worth until one comes, or for
 * DRAIN_MAX_US. */
#include <string.h>

#include "net/rate.h"

enum {
	ROUND_MIN_US = 10000,
	FLAT_ROUNDS = 3,
	STALL_MIN_US = 250000,
	STALL_UNKNOWN_US = 2000000, /* while the rate is not known */
	STALL_MAX_US = 20000000,
	DEFAULT_DELAY_US = 200000,
	DELAY_SPAN_US = 5000000,
	SLACK_MIN_US = 4000,
	LATE_SPAN_US = 1000000, /* no sooner is a delay doubted */
	DRAIN_MAX_US = 1000000,
	LATE_SHARE = 16,
	BUCKET_FILL_US = 1000000,
	GAP_SPAN_US = 10000000,
	DOUBT_SLACK_US = 30000,
	DOUBT_NEW_US = 100000, /* while no answer told the delay */
	DOUBT_BLOCK_MAX_US = 1000000,
	DOUBT_GAP_MAX_US = 600000,
	BLOCK_BYTES = 16 << 10,
	LINE_ROUND_US = 60000,
	LINE_SLOT_US = 20000,
	LINE_PAUSE_US = 5000,
	LINE_SPAN_US = 5000000,
};

/* A terabyte a second: nothing overflows. */
#define BUCKET_MAX_BPS (UINT64_C(1) << 40)

/* ---- meter ---- */

void rate_meter_init(struct rate_meter *m, uint64_t span_us, uint64_t now_us)
{
	memset(m, 0, sizeof(*m));
	m->slot_us = span_us / RATE_SLOTS ? span_us / RATE_SLOTS : 1;
	m->start_us = m->born_us = now_us;
}

static void meter_turn(struct rate_meter *m, uint64_t now_us)
{
	uint64_t turns;

	if (now_us < m->start_us + m->slot_us)
		return;
	turns = (now_us - m->start_us) / m->slot_us;
	m->start_us += turns * m->slot_us;
	for (uint64_t i = 0; i < turns && i < RATE_SLOTS; i++) {
		m->at = (m->at + 1) % RATE_SLOTS;
		m->slot[m->at] = 0;
	}
}

void rate_meter_add(struct rate_meter *m, uint64_t bytes, uint64_t now_us)
{
	meter_turn(m, now_us);
	m->slot[m->at] += bytes;
}

uint64_t rate_meter_Bps(struct rate_meter *m, uint64_t now_us)
{
	uint64_t sum = 0, span;

	meter_turn(m, now_us);
	for (unsigned i = 0; i < RATE_SLOTS; i++)
		sum += m->slot[i];
	span = now_us - m->start_us + (RATE_SLOTS - 1) * m->slot_us;
	if (span > now_us - m->born_us)
		span = now_us - m->born_us;
	if (span < m->slot_us)
		span = m->slot_us;
	return sum * 1000000 / span;
}

/* ---- request window ---- */

static uint32_t clamp_window(uint64_t bytes)
{
	if (bytes < RATE_WINDOW_MIN_BYTES)
		return RATE_WINDOW_MIN_BYTES;
	if (bytes > RATE_WINDOW_MAX_BYTES)
		return RATE_WINDOW_MAX_BYTES;
	return (uint32_t)bytes;
}

void rate_window_init(struct rate_window *w, uint64_t now_us)
{
	memset(w, 0, sizeof(*w));
	w->window_bytes = RATE_WINDOW_MIN_BYTES;
	w->is_growing = true;
	w->round_start_us = now_us;
}

void rate_window_on_rtt(struct rate_window *w, uint32_t rtt_us)
{
	if (w->soonest_since_us == 0 && rtt_us > 0 &&
	    (w->delay_us == 0 || rtt_us < w->delay_us))
		w->delay_us = rtt_us;
}

/* Bytes that come in `us`. 64 bits hold 2^20 s of 2^44 bytes a second. */
static uint64_t bytes_in(const struct rate_window *w, uint64_t us)
{
	return w->rate_Bps / 1000 * us / 1000;
}

static uint32_t max_us(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* The pauses it makes again and again, beyond what its delay explains; 0: none.
 * One long pause is an accident. */
static uint32_t usual_gap_us(const struct rate_window *w)
{
	uint32_t us = max_us(w->gaps.second_us, w->was_gaps.second_us);

	return us > w->delay_us + w->delay_us / 2 + RATE_SLACK_US ? us : 0;
}

static uint64_t half_delay_bytes(const struct rate_window *w)
{
	uint64_t bytes = bytes_in(w, w->delay_us) / 2;

	return bytes > RATE_WINDOW_MIN_BYTES ? bytes : RATE_WINDOW_MIN_BYTES;
}

static void turn_span(struct rate_window *w, uint64_t now_us)
{
	uint64_t us = now_us - w->soonest_since_us;

	if (us < DELAY_SPAN_US)
		return;
	w->was_soonest_us = us < 2 * DELAY_SPAN_US ? w->soonest_us : 0;
	w->soonest_us = 0;
	w->soonest_since_us = now_us;
}

static void learn_delay(struct rate_window *w, uint32_t us, uint64_t now_us)
{
	if (w->soonest_since_us == 0)
		w->soonest_since_us = now_us;
	turn_span(w, now_us);
	if (w->soonest_us == 0 || us < w->soonest_us)
		w->soonest_us = us;
	w->delay_us = w->soonest_us;
	if (w->was_soonest_us > 0 && w->was_soonest_us < w->delay_us)
		w->delay_us = w->was_soonest_us;
}

void rate_window_on_answer(struct rate_window *w, uint64_t us,
			   uint32_t ahead_bytes, uint64_t now_us)
{
	uint32_t took = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	uint64_t due, late;

	if (took == 0)
		took = 1;
	if (ahead_bytes <= half_delay_bytes(w) || took < w->delay_us)
		learn_delay(w, took, now_us);
	due = w->delay_us;
	if (w->rate_Bps > 0)
		due += (uint64_t)ahead_bytes * 1000000 / w->rate_Bps;
	late = took > due ? took - due : 0;
	w->late_us =
		(uint32_t)(((uint64_t)w->late_us * (LATE_SHARE - 1) + late) /
			   LATE_SHARE);
}

/* Who sends in bursts seemed as fast as they are dense. */
static void doubt_rates(struct rate_window *w)
{
	memset(w->best, 0, sizeof(w->best));
	w->rate_Bps = 0;
}

void rate_window_on_gap(struct rate_window *w, uint64_t us, uint64_t now_us)
{
	uint32_t gap_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	uint32_t before_us = usual_gap_us(w);
	uint64_t since = now_us - w->gaps_since_us;

	if (since >= GAP_SPAN_US) {
		w->was_gaps = since < 2 * GAP_SPAN_US ? w->gaps
						      : (struct rate_gaps){0};
		w->gaps = (struct rate_gaps){0};
		w->gaps_since_us = now_us;
	}
	if (gap_us > w->gaps.longest_us) {
		w->gaps.second_us = w->gaps.longest_us;
		w->gaps.longest_us = gap_us;
	} else if (gap_us > w->gaps.second_us) {
		w->gaps.second_us = gap_us;
	}
	if (usual_gap_us(w) > 2 * before_us)
		doubt_rates(w);
}

static uint64_t best_rate(const struct rate_window *w)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < sizeof(w->best) / sizeof(w->best[0]); i++) {
		if (w->best[i] > best)
			best = w->best[i];
	}
	return best;
}

/* For what delays a peer and us now and then. Such things are as long as the
 * way, or as our own loop's turns; and what stands in a near peer's queue
 * beyond that costs it time at each answer, for some go through all of it. */
static uint32_t slack_us(const struct rate_window *w)
{
	uint32_t us = w->delay_us / 5 * 3;

	if (us < SLACK_MIN_US)
		return SLACK_MIN_US;
	return us < RATE_SLACK_US ? us : RATE_SLACK_US;
}

static void steady_window(struct rate_window *w)
{
	uint64_t late_us = 2 * (uint64_t)w->late_us;
	uint64_t most_us =
		(uint64_t)w->delay_us + usual_gap_us(w) + slack_us(w);

	if (late_us > most_us)
		late_us = most_us;
	w->window_bytes = clamp_window(bytes_in(w, most_us + late_us) * 5 / 4);
}

uint32_t rate_window_calm_bytes(const struct rate_window *w)
{
	uint64_t us = (uint64_t)w->delay_us + slack_us(w);
	uint32_t bytes = clamp_window(bytes_in(w, us));

	return w->is_growing || bytes > w->window_bytes ? w->window_bytes
							: bytes;
}

/* Is what we take for the delay worth a new look? */
static bool is_doubtful(const struct rate_window *w, uint64_t now_us)
{
	if (w->soonest_since_us == 0)
		return false; /* a guess, and no answer to doubt it by */
	if (w->soonest_us == 0 && w->was_soonest_us == 0)
		return true;
	return w->late_us > (uint64_t)w->delay_us + RATE_SLACK_US &&
	       now_us - w->soonest_since_us >= LATE_SPAN_US;
}

/* Once drained, what was believed before counts no more. */
static void drain(struct rate_window *w, uint64_t now_us)
{
	w->is_draining = true;
	w->soonest_us = w->was_soonest_us = 0;
	w->soonest_since_us = now_us;
	w->window_bytes = (uint32_t)half_delay_bytes(w);
}

static void set_window(struct rate_window *w, uint64_t now_us)
{
	if (w->soonest_since_us > 0)
		turn_span(w, now_us);
	if (w->is_draining && w->soonest_us == 0) {
		if (now_us - w->soonest_since_us < DRAIN_MAX_US)
			return;
		w->was_soonest_us = w->delay_us; /* for want of a better */
	}
	if (!w->is_draining && is_doubtful(w, now_us)) {
		drain(w, now_us);
		return;
	}
	w->is_draining = false;
	steady_window(w);
}

static void learn_rate(struct rate_window *w, uint64_t now_us)
{
	uint64_t us = now_us - w->round_start_us;
	uint64_t rate = w->round_bytes * 1000000 / us;
	uint64_t before = w->rate_Bps;
	bool is_limited = w->round_limited, is_void = w->round_void;

	w->round_start_us = now_us;
	w->round_bytes = 0;
	w->round_limited = false;
	w->round_void = false;
	if (is_void || (is_limited && rate <= before))
		return;
	w->best_at = (w->best_at + 1) % 10;
	w->best[w->best_at] = rate;
	w->rate_Bps = best_rate(w);
	if (w->is_growing && !is_limited) {
		if (w->rate_Bps > before + before / 4)
			w->stale_rounds = 0;
		else if (++w->stale_rounds >= FLAT_ROUNDS)
			w->is_growing = false;
	}
}

static void end_round(struct rate_window *w, uint64_t now_us)
{
	learn_rate(w, now_us);
	if (!w->is_growing)
		set_window(w, now_us);
}

void rate_window_on_bytes(struct rate_window *w, uint32_t bytes,
			  bool is_limited, uint64_t now_us)
{
	uint64_t round_us =
		max_us(max_us(w->delay_us, usual_gap_us(w)), ROUND_MIN_US);

	/* After a pause the clock of the round would count the pause. */
	if (w->round_bytes == 0 && now_us - w->round_start_us > 2 * round_us) {
		w->round_start_us = now_us;
		w->round_limited = true;
	}
	w->round_bytes += bytes;
	w->round_limited |= is_limited;
	if (w->is_growing && !is_limited && !w->is_held)
		w->window_bytes =
			clamp_window((uint64_t)w->window_bytes + bytes);
	if (now_us - w->round_start_us >= round_us)
		end_round(w, now_us);
}

void rate_window_on_deaf(struct rate_window *w, uint64_t now_us)
{
	w->round_start_us = now_us;
	w->round_bytes = 0;
	w->round_void = true;
}

void rate_window_on_stall(struct rate_window *w, uint64_t now_us)
{
	struct rate_window was = *w;
	uint32_t delay_us = w->delay_us;

	rate_window_init(w, now_us);
	w->delay_us = delay_us;
	w->gaps = was.gaps;
	w->was_gaps = was.was_gaps;
	w->gaps_since_us = was.gaps_since_us;
}

uint64_t rate_window_doubt_us(const struct rate_window *w)
{
	uint64_t delay_us = w->delay_us ? w->delay_us : DEFAULT_DELAY_US;
	uint64_t block_us = 0, gap_us;

	if (w->rate_Bps > 0)
		block_us = (uint64_t)BLOCK_BYTES * 1000000 / w->rate_Bps;
	if (block_us > DOUBT_BLOCK_MAX_US)
		block_us = DOUBT_BLOCK_MAX_US;
	gap_us = usual_gap_us(w) + usual_gap_us(w) / 4;
	if (gap_us > DOUBT_GAP_MAX_US)
		gap_us = DOUBT_GAP_MAX_US;
	return delay_us + delay_us / 2 + 4 * (uint64_t)w->late_us + block_us +
	       gap_us +
	       (w->soonest_since_us == 0 ? DOUBT_NEW_US : DOUBT_SLACK_US);
}

uint64_t rate_window_timeout_us(const struct rate_window *w, uint32_t out_bytes)
{
	uint64_t us = w->delay_us ? w->delay_us + 4 * (uint64_t)w->late_us
				  : DEFAULT_DELAY_US * 3;
	uint32_t gap_us = max_us(w->gaps.longest_us, w->was_gaps.longest_us);

	/* What comes first is one block, but it may come behind all others
	 * that the peer serves; what is out at its rate bounds that. */
	if (w->rate_Bps > 0)
		us += (uint64_t)out_bytes * 1000000 / w->rate_Bps;
	else
		us += STALL_UNKNOWN_US;
	if (us < gap_us)
		us = gap_us;
	us *= 2;
	if (us < STALL_MIN_US)
		return STALL_MIN_US;
	return us > STALL_MAX_US ? STALL_MAX_US : us;
}

/* ---- line ---- */

void rate_line_init(struct rate_line *l, uint64_t now_us)
{
	memset(l, 0, sizeof(*l));
	rate_meter_init(&l->now, LINE_ROUND_US, now_us);
	l->slot_us = l->last_us = l->span_us = now_us;
}

/* A slot is a time in which bytes came one after the other; the fastest counts.
 * In the pauses of slow starts the line is not seen. */
void rate_line_on_bytes(struct rate_line *l, uint32_t bytes, uint64_t now_us)
{
	uint64_t us = now_us - l->slot_us, Bps;

	rate_meter_add(&l->now, bytes, now_us);
	if (now_us - l->last_us > LINE_PAUSE_US) {
		l->slot_us = l->last_us = now_us;
		l->slot_bytes = 0;
		return;
	}
	l->last_us = now_us;
	l->slot_bytes += bytes;
	if (us < LINE_SLOT_US)
		return;
	Bps = l->slot_bytes * 1000000 / us;
	l->slot_us = now_us;
	l->slot_bytes = 0;
	if (now_us - l->span_us >= LINE_SPAN_US) {
		l->was_best_Bps = l->best_Bps;
		l->best_Bps = 0;
		l->span_us = now_us;
	}
	if (Bps > l->best_Bps)
		l->best_Bps = Bps;
}

bool rate_line_is_full(struct rate_line *l, uint64_t out_bytes,
		       uint32_t delay_us, uint64_t now_us)
{
	uint64_t Bps = rate_meter_Bps(&l->now, now_us);
	uint64_t best_Bps =
		l->best_Bps > l->was_best_Bps ? l->best_Bps : l->was_best_Bps;

	return best_Bps > 0 && Bps >= best_Bps - best_Bps / 4 &&
	       out_bytes >= Bps / 1000 * 2 * delay_us / 1000;
}

/* ---- bucket ---- */

/* An eighth of a second: long enough for a loop that is busy for a while,
 * short enough for the limit to hold over any few seconds. */
static void set_rate(struct rate_bucket *b, uint64_t rate_Bps)
{
	b->rate_Bps = rate_Bps < BUCKET_MAX_BPS ? rate_Bps : BUCKET_MAX_BPS;
	b->most = (int64_t)(b->rate_Bps / 8 + 1);
	if (b->rate_Bps == 0)
		b->tokens = 0; /* nobody counts */
	if (b->tokens > b->most)
		b->tokens = b->most;
}

void rate_bucket_init(struct rate_bucket *b, uint64_t rate_Bps, uint64_t now_us)
{
	memset(b, 0, sizeof(*b));
	b->last_us = now_us;
	set_rate(b, rate_Bps);
}

static void bucket_fill(struct rate_bucket *b, uint64_t now_us)
{
	uint64_t us = now_us - b->last_us;
	uint64_t add;

	if (us > BUCKET_FILL_US) {
		/* A debt may be larger than what one step makes good. */
		b->tokens += (int64_t)(us / 1000000 * b->rate_Bps);
		us %= 1000000;
	}
	add = b->rate_Bps * us + b->rest;
	b->rest = add % 1000000;
	b->tokens += (int64_t)(add / 1000000);
	b->last_us = now_us;
	if (b->tokens >= b->most) {
		b->tokens = b->most;
		b->rest = 0;
	}
}

void rate_bucket_set(struct rate_bucket *b, uint64_t rate_Bps, uint64_t now_us)
{
	bucket_fill(b, now_us);
	set_rate(b, rate_Bps);
}

int64_t rate_bucket_tokens(struct rate_bucket *b, uint64_t now_us)
{
	bucket_fill(b, now_us);
	return b->tokens;
}

bool rate_bucket_may(struct rate_bucket *b, uint64_t now_us)
{
	return b->rate_Bps == 0 || rate_bucket_tokens(b, now_us) > 0;
}

void rate_bucket_take(struct rate_bucket *b, int64_t bytes)
{
	if (b->rate_Bps > 0)
		b->tokens -= bytes;
	if (b->tokens > b->most)
		b->tokens = b->most;
}

uint64_t rate_bucket_wait_us(struct rate_bucket *b, int64_t tokens,
			     uint64_t now_us)
{
	uint64_t need;

	if (b->rate_Bps == 0 || rate_bucket_tokens(b, now_us) >= tokens)
		return 0;
	need = (uint64_t)(tokens - b->tokens);
	return need / b->rate_Bps * 1000000 +
	       need % b->rate_Bps * 1000000 / b->rate_Bps + 1;
}
