/* rate — how fast, and how much at once. Pure values fed with events.
 *
 * rate_meter: bytes a second over a sliding window of eight slots.
 * rate_window: the request window of one peer, in bytes: bandwidth × delay.
 *   It doubles each round trip while the delivery rate still grows (the
 *   sender's slow start is met with a growing queue), then stays at
 *   rate × (delay + 2·late + slack) × gain. The delivery rate is the largest
 *   of the last ten round trips (after BBR); samples taken while the peer had
 *   less to send than it could are ignored unless they are larger. The delay
 *   is the shortest time from a request to its answer in the last seconds,
 *   the peer's disk and whatever stands between included.
 * rate_line: what all peers of a torrent bring together, and whether that is
 *   what is before them has room for.
 * rate_bucket: a token bucket, which holds an eighth of a second's worth. */
#ifndef SHOAL_NET_RATE_H
#define SHOAL_NET_RATE_H

#include <stdbool.h>
#include <stdint.h>

enum { RATE_SLOTS = 8 };

struct rate_meter {
	uint64_t slot_us;  /* width */
	uint64_t start_us; /* of the current slot */
	uint64_t born_us;
	uint64_t slot[RATE_SLOTS];
	unsigned at;
};

/* rate_meter_init — a window of `span_us` in all. */
void rate_meter_init(struct rate_meter *m, uint64_t span_us, uint64_t now_us);
void rate_meter_add(struct rate_meter *m, uint64_t bytes, uint64_t now_us);
uint64_t rate_meter_Bps(struct rate_meter *m, uint64_t now_us);

enum {
	RATE_WINDOW_MIN_BYTES = 4 * 16 << 10,
	RATE_WINDOW_MAX_BYTES = 32 << 20,
	RATE_SLACK_US = 30000, /* the most; a near peer has less */
};

struct rate_window {
	uint64_t rate_Bps; /* the filter's output; 0: not known */
	uint32_t delay_us; /* request to answer, no queue; 0: not known */
	uint32_t late_us;  /* how much later than predicted answers are: mean */
	uint32_t window_bytes;
	bool is_growing;  /* still in slow start */
	bool is_draining; /* till the delay shows, little should be out */
	bool is_held;	  /* the caller's: the line is full, nothing grows */
	/* rate.c's own */
	uint64_t round_start_us, round_bytes;
	uint64_t best[10];
	unsigned best_at, stale_rounds;
	bool round_limited, round_void;
	uint64_t soonest_since_us;	     /* when `soonest_us` began */
	uint32_t soonest_us, was_soonest_us; /* this span, the last; 0: none */
	struct rate_gaps {
		uint32_t longest_us, second_us;
	} gaps, was_gaps; /* this span's, the last one's */
	uint64_t gaps_since_us;
};

void rate_window_init(struct rate_window *w, uint64_t now_us);

/* rate_window_on_rtt — the kernel's round trip: a first guess of the delay,
 * no more of use once an answer came. */
void rate_window_on_rtt(struct rate_window *w, uint32_t rtt_us);

/* rate_window_on_answer — what was asked `us` ago came; then, `ahead_bytes`
 * were out before it. */
void rate_window_on_answer(struct rate_window *w, uint64_t us,
			   uint32_t ahead_bytes, uint64_t now_us);

/* rate_window_on_bytes — payload came; `is_limited`: fewer requests are out
 * than the window allows, so the sample says little. */
void rate_window_on_bytes(struct rate_window *w, uint32_t bytes,
			  bool is_limited, uint64_t now_us);

/* rate_window_on_deaf — we did not read for a while: what comes now says
 * nothing of the peer's rate. */
void rate_window_on_deaf(struct rate_window *w, uint64_t now_us);

/* rate_window_calm_bytes — the window for what nobody waits for: just enough
 * to keep the peer busy, so that hardly anything queues before a reader who
 * may come. Never more than window_bytes. */
uint32_t rate_window_calm_bytes(const struct rate_window *w);

/* rate_window_on_stall — nothing came for long: back to the smallest. */
void rate_window_on_stall(struct rate_window *w, uint64_t now_us);

/* rate_window_timeout_us — when a peer that owes us blocks and sends nothing
 * counts as stalled: delay + 4·late + what is out at its rate, doubled, or
 * twice the longest gap of late; never below 250 ms, never above 20 s. */
uint64_t rate_window_timeout_us(const struct rate_window *w,
				uint32_t out_bytes);

/* rate_window_doubt_us — when a peer that owes us blocks and sends nothing is
 * to be doubted: a little later than the beginning of an answer takes. Sooner
 * than it counts as stalled, and of no consequence but that others are asked.
 */
uint64_t rate_window_doubt_us(const struct rate_window *w);

/* rate_window_on_gap — bytes came, and none for `us` before them though some
 * were owed: some senders are only given a share every half second. */
void rate_window_on_gap(struct rate_window *w, uint64_t us, uint64_t now_us);

/* The line that the peers of a torrent share, if they share one: how fast bytes
 * come when they come at all. */
struct rate_line {
	struct rate_meter now;	      /* of the last 60 ms */
	uint64_t last_us;	      /* when bytes last came */
	uint64_t slot_us, slot_bytes; /* it began then; came since */
	uint64_t span_us, best_Bps, was_best_Bps; /* this span, the last */
};

void rate_line_init(struct rate_line *l, uint64_t now_us);

/* rate_line_on_bytes — payload came, from whomever. */
void rate_line_on_bytes(struct rate_line *l, uint32_t bytes, uint64_t now_us);

/* rate_line_is_full — `out_bytes` asked of all peers together are so much for
 * it that to ask for more would only make a longer queue; `delay_us` from a
 * request to its answer when there is none. Never while its rate is not
 * known. */
bool rate_line_is_full(struct rate_line *l, uint64_t out_bytes,
		       uint32_t delay_us, uint64_t now_us);

/* Tokens are bytes. They may become fewer than none: who was let through with
 * one takes all he has come for, and the next waits the longer. */
struct rate_bucket {
	uint64_t rate_Bps; /* 0: no limit */
	int64_t most, tokens;
	uint64_t last_us;
	uint64_t rest; /* of a token, in millionths */
};

/* rate_bucket_init — empty. */
void rate_bucket_init(struct rate_bucket *b, uint64_t rate_Bps,
		      uint64_t now_us);

/* rate_bucket_set — another rate from now on; what was taken stays taken. */
void rate_bucket_set(struct rate_bucket *b, uint64_t rate_Bps, uint64_t now_us);

/* rate_bucket_tokens — what is in it now; only with a limit. */
int64_t rate_bucket_tokens(struct rate_bucket *b, uint64_t now_us);
bool rate_bucket_may(struct rate_bucket *b, uint64_t now_us);

/* rate_bucket_take — negative: given back. */
void rate_bucket_take(struct rate_bucket *b, int64_t bytes);

/* rate_bucket_wait_us — until there are at least `tokens`. */
uint64_t rate_bucket_wait_us(struct rate_bucket *b, int64_t tokens,
			     uint64_t now_us);

#endif
