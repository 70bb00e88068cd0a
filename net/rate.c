/* rate — meters, request windows, token buckets.
 *
 * The request window answers: how many bytes must be asked for ahead so that
 * the peer never idles, and no more, since what is queued at a peer is what a
 * seek waits behind. That is its delivery rate times the time from a request
 * to its answer. The rate cannot be seen before the window is large enough to
 * let it show, so the window first doubles each round (every byte that came
 * allows one more) until three rounds in a row bring less than a quarter more.
 *
 * A *round* is one round trip, at least ROUND_MIN_US: shorter samples measure
 * the scheduler. A round is *limited* when the window was not used up in it;
 * then its rate says how much we asked, not how much the peer can send. */
#include <string.h>

#include "net/rate.h"

enum {
	ROUND_MIN_US = 10000,
	FLAT_ROUNDS = 3,
	STALL_MIN_US = 500000,
	STALL_MAX_US = 20000000,
	DEFAULT_RTT_US = 200000,
};

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
	uint32_t err;

	if (rtt_us == 0)
		return;
	if (w->rtt_min_us == 0 || rtt_us < w->rtt_min_us)
		w->rtt_min_us = rtt_us;
	if (w->srtt_us == 0) {
		w->srtt_us = rtt_us;
		w->rttvar_us = rtt_us / 2;
		return;
	}
	/* RFC 6298, 2.3 */
	err = rtt_us > w->srtt_us ? rtt_us - w->srtt_us : w->srtt_us - rtt_us;
	w->rttvar_us = (uint32_t)(((uint64_t)w->rttvar_us * 3 + err) / 4);
	w->srtt_us = (uint32_t)(((uint64_t)w->srtt_us * 7 + rtt_us) / 8);
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

static void steady_window(struct rate_window *w)
{
	uint64_t wait_us =
		(uint64_t)w->rtt_min_us + 2 * w->rttvar_us + RATE_SLACK_US;

	/* 64 bits hold 2^20 s of 2^44 bytes a second. */
	w->window_bytes =
		clamp_window(w->rate_Bps / 1000 * wait_us / 1000 * 5 / 4);
}

static void end_round(struct rate_window *w, uint64_t now_us)
{
	uint64_t us = now_us - w->round_start_us;
	uint64_t rate = w->round_bytes * 1000000 / us;
	uint64_t before = w->rate_Bps;
	bool is_limited = w->round_limited;

	w->round_start_us = now_us;
	w->round_bytes = 0;
	w->round_limited = false;
	if (is_limited && rate <= before)
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
	if (!w->is_growing)
		steady_window(w);
}

void rate_window_on_bytes(struct rate_window *w, uint32_t bytes,
			  bool is_limited, uint64_t now_us)
{
	uint64_t round_us =
		w->srtt_us > ROUND_MIN_US ? w->srtt_us : ROUND_MIN_US;

	/* After a pause the clock of the round would count the pause. */
	if (w->round_bytes == 0 && now_us - w->round_start_us > 2 * round_us) {
		w->round_start_us = now_us - round_us;
		w->round_limited = true;
	}
	w->round_bytes += bytes;
	w->round_limited |= is_limited;
	if (w->is_growing && !is_limited)
		w->window_bytes =
			clamp_window((uint64_t)w->window_bytes + bytes);
	if (now_us - w->round_start_us >= round_us)
		end_round(w, now_us);
}

void rate_window_on_stall(struct rate_window *w, uint64_t now_us)
{
	uint32_t rtt_min = w->rtt_min_us, srtt = w->srtt_us, var = w->rttvar_us;

	rate_window_init(w, now_us);
	w->rtt_min_us = rtt_min;
	w->srtt_us = srtt;
	w->rttvar_us = var;
}

uint64_t rate_window_timeout_us(const struct rate_window *w, uint32_t out_bytes)
{
	uint64_t us = w->srtt_us ? w->srtt_us + 4 * (uint64_t)w->rttvar_us
				 : DEFAULT_RTT_US * 3;

	/* What comes first is one block, but it may come behind all others
	 * that the peer serves; what is out at its rate bounds that. */
	if (w->rate_Bps > 0)
		us += (uint64_t)out_bytes * 1000000 / w->rate_Bps;
	else
		us += STALL_MIN_US * 4;
	us *= 2;
	if (us < STALL_MIN_US)
		return STALL_MIN_US;
	return us > STALL_MAX_US ? STALL_MAX_US : us;
}

/* ---- bucket ---- */

void rate_bucket_init(struct rate_bucket *b, uint64_t rate_Bps, uint64_t now_us)
{
	b->rate_Bps = rate_Bps;
	/* A quarter of a second: long enough for coarse timers, short enough
	 * for the limit to hold over any second. */
	b->burst_bytes = rate_Bps / 4 ? rate_Bps / 4 : 1;
	b->tokens = 0;
	b->last_us = now_us;
}

static void bucket_fill(struct rate_bucket *b, uint64_t now_us)
{
	uint64_t us = now_us - b->last_us;
	uint64_t add;

	if (us > 1000000)
		us = 1000000;
	add = b->rate_Bps * us / 1000000;
	if (add == 0)
		return;
	b->last_us = now_us;
	b->tokens += (int64_t)add;
	if (b->tokens > (int64_t)b->burst_bytes)
		b->tokens = (int64_t)b->burst_bytes;
}

bool rate_bucket_may(struct rate_bucket *b, uint64_t now_us)
{
	if (b->rate_Bps == 0)
		return true;
	bucket_fill(b, now_us);
	return b->tokens > 0;
}

void rate_bucket_take(struct rate_bucket *b, uint64_t bytes)
{
	if (b->rate_Bps > 0)
		b->tokens -= (int64_t)bytes;
}

uint64_t rate_bucket_wait_us(struct rate_bucket *b, uint64_t now_us)
{
	if (rate_bucket_may(b, now_us))
		return 0;
	return ((uint64_t)-b->tokens + 1) * 1000000 / b->rate_Bps + 1;
}
