/* The picker among modelled peers, in virtual time: the real picker and request
 * windows, the rules of peer_ask.c for stalls, doubt and cancels in short, and
 * peers that have a rate, a delay, a slow start, bursts, pauses, or nothing to
 * give.
 *
 * Model. Time goes in steps of a millisecond. What was asked can begin to come
 * one round trip later, in the order of asking, as fast as the peer's rate, its
 * slow start and our line allow. A CANCEL hits what has not begun to come
 * within a round trip of it. All that is random comes from one seed, which a
 * failure names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bits.h"
#include "core/rng.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/rate.h"

/* ---- Fixture ---- */

enum {
	STEP_US = 1000,
	PEERS_MAX = 65,
	ASKS_MAX = 1024,
	PICKS = 64,
	PIECES_MAX = 256,
	SEEDS = 3,
	KIB = 1 << 10,
	MIB = 1 << 20,
};

enum kind { GOOD, SILENT, HALF, DRIP };

struct ask {
	struct wire_block b;
	uint32_t left, ahead_bytes;
	uint64_t asked_us, cancelled_us;
	bool is_released;
};

struct sim_peer {
	enum kind kind;
	uint64_t rate_Bps, joins_us, stops_us;
	uint32_t rtt_us, burst_us, pause_us;
	/* the other side */
	uint64_t tokens, cwnd, quiet_until_us, next_pause_us;
	struct ask ask[ASKS_MAX];
	unsigned n;
	/* our side, as in struct peer */
	struct rate_window w;
	uint32_t out_bytes, n_owed;
	uint64_t payload_us, asked_us, owed_us, heard_us, probe_us, down_bytes;
	uint64_t fruitless_us;
	bool is_proven, is_doubted, is_snubbed, is_filled;
};

struct sim {
	struct picker *p;
	struct bits all;
	struct rng rng;
	struct sim_peer peer[PEERS_MAX];
	unsigned n_peers;
	uint64_t now_us, seed, line_Bps, line_left;
	uint32_t piece_bytes;
	bool whole[PIECES_MAX];
	uint64_t got, wasted;
	bool is_kicked;
};

static bool sim_open(void *arg, uint32_t ix, uint32_t at)
{
	(void)arg;
	(void)ix;
	return true;
}

static uint32_t sim_len(void *arg, uint32_t ix)
{
	const struct sim *s = arg;

	(void)ix;
	return s->piece_bytes;
}

static struct sim *sim_new(uint64_t seed, uint32_t piece_bytes,
			   uint64_t line_Bps)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct picker_cfg cfg = {
		.open = sim_open, .segment = sim_len, .len = sim_len, .arg = s};

	assert_non_null(s);
	s->seed = seed;
	s->piece_bytes = piece_bytes;
	s->line_Bps = line_Bps;
	s->now_us = 1000000;
	rng_seed(&s->rng, seed);
	assert_int_equal(picker_new(&cfg, &s->p), 0);
	assert_int_equal(bits_init(&s->all, PIECES_MAX), 0);
	bits_set_all(&s->all);
	return s;
}

static void sim_free(struct sim *s)
{
	picker_free(s->p);
	bits_fini(&s->all);
	free(s);
}

/* Nobody is exactly as he was ordered: up to a fifth more or less. */
static uint64_t about(struct sim *s, uint64_t x)
{
	return x - x / 5 + rng_below(&s->rng, x * 2 / 5 + 1);
}

static struct sim_peer *add(struct sim *s, enum kind kind, uint64_t rate_Bps,
			    uint32_t rtt_us)
{
	struct sim_peer *p = &s->peer[s->n_peers++];

	p->kind = kind;
	p->rate_Bps = rate_Bps;
	p->rtt_us = rtt_us;
	p->stops_us = UINT64_MAX;
	p->joins_us = s->now_us;
	p->cwnd = 14600;
	rate_window_init(&p->w, s->now_us);
	rate_window_on_rtt(&p->w, rtt_us);
	return p;
}

/* ---- Our side ---- */

static unsigned owed(const struct sim_peer *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += !p->ask[i].is_released && p->ask[i].cancelled_us == 0;
	return n;
}

static uint64_t doubt_us(const struct sim_peer *p)
{
	uint64_t wait_us = rate_window_doubt_us(&p->w);
	uint64_t us = p->payload_us + wait_us;
	uint64_t since_us = p->asked_us + wait_us;

	if (p->fruitless_us < PEER_FIRST_BLOCK_US)
		since_us += PEER_FIRST_BLOCK_US - p->fruitless_us;
	if (p->is_doubted)
		return 0;
	if (owed(p) == 0)
		return UINT64_MAX;
	return p->is_proven || us < since_us ? us : since_us;
}

static uint64_t stall_us(const struct sim_peer *p)
{
	if (owed(p) == 0)
		return UINT64_MAX;
	return p->payload_us + rate_window_timeout_us(&p->w, p->out_bytes);
}

static void settle(const struct sim *s, struct sim_peer *p)
{
	if (owed(p) > 0 || p->asked_us == 0)
		return;
	p->fruitless_us += s->now_us - p->asked_us;
	p->asked_us = 0;
}

static void release(struct sim *s, struct sim_peer *p, struct ask *a)
{
	if (a->is_released || a->cancelled_us > 0)
		return;
	a->is_released = true;
	settle(s, p);
	picker_on_gone(s->p, 1 + (uint32_t)(p - s->peer), &a->b);
}

static struct ask *find(struct sim_peer *p, const struct wire_block *b)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->ask[i].cancelled_us == 0 &&
		    wire_block_eq(&p->ask[i].b, b))
			return &p->ask[i];
	return NULL;
}

static void cancel(struct sim *s, struct sim_peer *p,
		   const struct wire_block *b)
{
	struct ask *a = find(p, b);

	if (a == NULL)
		return;
	p->is_doubted |= s->now_us >= doubt_us(p);
	a->cancelled_us = s->now_us;
	p->out_bytes -= b->len_bytes;
	settle(s, p);
}

static void ask(struct sim *s, const struct pick *pick)
{
	struct sim_peer *p = &s->peer[pick->peer_ix];
	struct ask *a = find(p, &pick->block);

	if (pick->instead_of != 0) {
		struct sim_peer *before = &s->peer[pick->instead_of - 1];
		struct ask *old = find(before, &pick->block);

		if (old != NULL)
			release(s, before, old);
	}
	if (owed(p) == 0)
		p->payload_us = p->asked_us = s->now_us;
	if (a != NULL) {
		a->is_released = false;
		return;
	}
	if (p->out_bytes == 0)
		p->probe_us = p->owed_us = s->now_us;
	assert_true(p->n < ASKS_MAX);
	p->ask[p->n++] = (struct ask){.b = pick->block,
				      .left = pick->block.len_bytes,
				      .ahead_bytes = p->out_bytes,
				      .asked_us = s->now_us};
	p->out_bytes += pick->block.len_bytes;
}

static void describe(struct sim *s, unsigned i, struct pick_peer *out)
{
	struct sim_peer *p = &s->peer[i];
	uint32_t room = 0;

	if (p->joins_us <= s->now_us && p->out_bytes < p->w.window_bytes)
		room = (p->w.window_bytes - p->out_bytes + WIRE_BLOCK_BYTES -
			1) /
		       WIRE_BLOCK_BYTES;
	*out = (struct pick_peer){.id = i + 1,
				  .have = &s->all,
				  .rate_Bps = p->w.rate_Bps,
				  .rtt_us = p->w.delay_us,
				  .out_bytes = p->out_bytes,
				  .room = room,
				  .down_bytes = p->down_bytes,
				  .heard_us = p->heard_us,
				  .doubt_us = doubt_us(p),
				  .is_proven = p->is_proven,
				  .is_snubbed = p->is_snubbed};
}

static void pass(struct sim *s)
{
	struct pick_peer desc[PEERS_MAX];
	struct pick picks[PICKS];
	unsigned n = 0, k, map[PEERS_MAX];

	for (unsigned i = 0; i < s->n_peers; i++) {
		struct sim_peer *p = &s->peer[i];

		if (stall_us(p) <= s->now_us) {
			for (k = 0; k < p->n; k++)
				release(s, p, &p->ask[k]);
			p->is_snubbed = true;
			p->is_proven = false;
			p->probe_us = 0;
			p->payload_us = s->now_us;
			rate_window_on_stall(&p->w, s->now_us);
		}
		if (p->joins_us > s->now_us)
			continue;
		map[n] = i;
		describe(s, i, &desc[n++]);
	}
	do {
		k = picker_assign(s->p, desc, n, s->now_us, picks, PICKS);
		for (unsigned i = 0; i < k; i++) {
			picks[i].peer_ix = map[picks[i].peer_ix];
			ask(s, &picks[i]);
		}
	} while (k == PICKS);
	picker_check(s->p);
	for (unsigned i = 0; i < s->n_peers; i++)
		s->peer[i].is_filled = s->peer[i].out_bytes + WIRE_BLOCK_BYTES >
				       s->peer[i].w.window_bytes;
	s->is_kicked = false;
}

static void on_payload(struct sim *s, struct sim_peer *p, uint32_t bytes)
{
	if (p->probe_us != 0)
		rate_window_on_answer(&p->w, s->now_us - p->probe_us, 0,
				      s->now_us);
	else if (p->out_bytes > 0)
		rate_window_on_gap(&p->w, s->now_us - p->owed_us, s->now_us);
	p->probe_us = 0;
	p->heard_us = p->payload_us = p->owed_us = s->now_us;
	p->is_doubted = p->is_snubbed = false;
	rate_window_on_bytes(&p->w, bytes, !p->is_filled, s->now_us);
	p->down_bytes += bytes;
	s->got += bytes;
}

static void on_block(struct sim *s, struct sim_peer *p, const struct ask *a)
{
	uint32_t others[PICKER_COPIES_MAX];
	uint32_t id = 1 + (uint32_t)(p - s->peer);
	enum picker_arrival was;
	unsigned n;

	s->is_kicked = true;
	if (a->cancelled_us == 0) {
		p->is_proven = true;
		p->fruitless_us = 0;
		settle(s, p);
		p->out_bytes -= a->b.len_bytes;
		if (!a->is_released)
			rate_window_on_answer(&p->w, s->now_us - a->asked_us,
					      a->ahead_bytes, s->now_us);
	}
	if (s->whole[a->b.piece_ix] || !picker_is_missing(s->p, &a->b)) {
		s->wasted += a->b.len_bytes;
		picker_on_waste(s->p, a->b.len_bytes);
		picker_on_gone(s->p, id, &a->b);
		return;
	}
	was = picker_on_arrived(s->p, id, &a->b, others, &n);
	for (unsigned i = 0; i < s->n_peers; i++)
		if (&s->peer[i] != p)
			cancel(s, &s->peer[i], &a->b);
	if (was == PICKER_WHOLE) {
		s->whole[a->b.piece_ix] = true;
		picker_drop(s->p, a->b.piece_ix);
	}
}

/* ---- The other side ---- */

static bool may_send(struct sim *s, struct sim_peer *p)
{
	if (s->now_us >= p->stops_us || s->now_us < p->quiet_until_us ||
	    p->kind == SILENT)
		return false;
	if (p->pause_us > 0 && s->now_us >= p->next_pause_us) {
		p->quiet_until_us = s->now_us + p->pause_us;
		p->next_pause_us =
			p->quiet_until_us + rng_below(&s->rng, 4000000);
		return false;
	}
	return true;
}

static void earn(const struct sim *s, struct sim_peer *p)
{
	uint64_t rate = p->cwnd * 1000000 / (p->rtt_us + 1);
	uint64_t most;

	if (rate > p->rate_Bps)
		rate = p->rate_Bps;
	if (p->burst_us == 0) {
		most = rate * STEP_US / 1000000 + 1460;
		p->tokens += rate * STEP_US / 1000000;
	} else {
		most = rate * p->burst_us / 1000000;
		if (s->now_us / STEP_US % (p->burst_us / STEP_US) == 0)
			p->tokens += most;
	}
	if (p->tokens > most)
		p->tokens = most;
}

static void send(struct sim *s, struct sim_peer *p)
{
	earn(s, p);
	while (p->n > 0 && p->tokens > 0 && s->line_left > 0) {
		struct ask *a = &p->ask[0], done;
		uint64_t bytes = a->left;

		if (a->left == a->b.len_bytes && a->cancelled_us > 0 &&
		    s->now_us >= a->cancelled_us + p->rtt_us) {
			memmove(a, a + 1, --p->n * sizeof(*a));
			continue;
		}
		if (s->now_us < a->asked_us + p->rtt_us)
			break;
		if (p->kind == HALF && a->left <= a->b.len_bytes / 2)
			break;
		if (p->kind == HALF)
			bytes = a->left - a->b.len_bytes / 2;
		if (p->kind == DRIP)
			bytes = 1;
		bytes = bytes < p->tokens ? bytes : p->tokens;
		bytes = bytes < s->line_left ? bytes : s->line_left;
		a->left -= (uint32_t)bytes;
		p->tokens -= bytes;
		p->cwnd += bytes;
		s->line_left -= bytes;
		on_payload(s, p, (uint32_t)bytes);
		if (a->left == 0) {
			done = *a;
			memmove(a, a + 1, --p->n * sizeof(*a));
			on_block(s, p, &done);
		}
		if (p->kind == DRIP)
			break;
	}
}

static void step(struct sim *s)
{
	unsigned first = (unsigned)rng_below(&s->rng, s->n_peers);
	uint64_t wake_us = picker_next_late_us(s->p);

	s->now_us += STEP_US;
	s->line_left = s->line_Bps * STEP_US / 1000000;
	for (unsigned i = 0; i < s->n_peers; i++) {
		struct sim_peer *p = &s->peer[(first + i) % s->n_peers];

		if (may_send(s, p))
			send(s, p);
	}
	for (unsigned i = 0; i < s->n_peers; i++) {
		uint64_t us = doubt_us(&s->peer[i]);

		if (us > s->now_us - STEP_US && us < wake_us)
			wake_us = us;
		if (stall_us(&s->peer[i]) < wake_us)
			wake_us = stall_us(&s->peer[i]);
		s->is_kicked |=
			s->peer[i].joins_us / STEP_US == s->now_us / STEP_US;
	}
	if (s->is_kicked || wake_us <= s->now_us)
		pass(s);
}

/* ---- Assertions ---- */

static void want(struct sim *s, uint32_t ix, enum want_class c)
{
	if (ix < PIECES_MAX && !s->whole[ix])
		assert_int_equal(picker_want(s->p, ix, c, s->now_us + ix), 0);
	s->is_kicked = true;
}

/* A read of one piece, with `ahead` behind it as a window; how long it took. */
static uint64_t read_piece(struct sim *s, uint32_t ix, uint32_t ahead)
{
	uint64_t began = s->now_us;

	for (uint32_t i = ix + 1; i <= ix + ahead; i++)
		want(s, i, WANT_WINDOW);
	want(s, ix, WANT_URGENT);
	pass(s);
	while (!s->whole[ix]) {
		step(s);
		if (s->now_us > began + 60000000)
			fail_msg("seed %llu: piece %u does not come",
				 (unsigned long long)s->seed, ix);
	}
	return s->now_us - began;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void at_most(const struct sim *s, const char *what, uint64_t is,
		    uint64_t most)
{
	print_message("seed %llu: %s %llu of %llu\n",
		      (unsigned long long)s->seed, what, (unsigned long long)is,
		      (unsigned long long)most);
	if (is > most)
		fail_msg("seed %llu: %s %llu, more than %llu",
			 (unsigned long long)s->seed, what,
			 (unsigned long long)is, (unsigned long long)most);
}

/* ---- Tests ---- */

static void silent_crowd(uint64_t seed, uint32_t burst_us)
{
	static const enum kind kinds[] = {SILENT, HALF, DRIP};
	struct sim *s = sim_new(seed, 256 * KIB, 1 << 30);
	struct sim_peer *p;
	uint64_t took = 0;

	for (unsigned i = 0; i < 64; i++)
		(void)add(s, kinds[i % 3], MIB, (uint32_t)about(s, 50000));
	p = add(s, GOOD, 256 * KIB, 50000);
	p->burst_us = burst_us;
	p->joins_us += about(s, 500000);
	for (uint32_t ix = 0; ix < 4; ix++)
		took += read_piece(s, ix, 3);
	at_most(s, "64 silent, 1 MiB in ms", took / 1000, 2 * 4000);
	sim_free(s);
}

/* Of 65 peers one gives something, 256 KiB/s: 1 MiB comes within twice the time
 * it takes him. So it does when he gives a share every half second. */
static void silent_peers_cost_little(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		silent_crowd(seed, 0);
		silent_crowd(seed, 500000);
	}
}

static struct sim *line_of_seeds(uint64_t seed, unsigned n)
{
	struct sim *s = sim_new(seed, MIB, 12500000);

	for (unsigned i = 0; i < n; i++)
		(void)add(s, GOOD, 12500000, (uint32_t)about(s, 50000));
	return s;
}

/* Three of eight seeds stop: whoever seeks then waits little longer. 100
 * Mbit/s, 50 ms, pieces of 1 MiB: 134 ms at best. More comes twice than later
 * on, for these are the first seconds of a stream. */
static void stopped_peers_cost_little(void **state)
{
	uint64_t took[24];

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *s = line_of_seeds(seed, 8);

		(void)read_piece(s, 0, 0);
		for (unsigned i = 0; i < 3; i++)
			s->peer[i].stops_us = s->now_us;
		for (uint32_t i = 0; i < 24; i++)
			took[i] = read_piece(s, 10 + 2 * i, 0);
		qsort(took, 24, sizeof(took[0]), by_value);
		at_most(s, "stopped: p50 in ms", took[12] / 1000, 220);
		at_most(s, "stopped: worst in ms", took[23] / 1000, 450);
		at_most(s, "stopped: waste in %", s->wasted * 100 / s->got, 10);
		sim_free(s);
	}
}

static uint64_t mean_seek(struct sim *s)
{
	uint64_t sum = 0;

	(void)read_piece(s, 0, 2);
	for (uint32_t i = 0; i < 20; i++)
		sum += read_piece(s, 10 + 2 * i, 0);
	return sum / 20;
}

/* A peer of 100 KB/s among four of 100 Mbit/s makes no piece wait for it. */
static void slow_peer_delays_nobody(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *with = line_of_seeds(seed, 4);
		struct sim *without = line_of_seeds(seed, 4);
		uint64_t us = mean_seek(without);

		(void)add(with, GOOD, 100000, 50000);
		at_most(with, "with a slow one, mean seek in ms",
			mean_seek(with) / 1000, us / 1000 * 5 / 4);
		sim_free(with);
		sim_free(without);
	}
}

/* Peers that all pause for a third of a second now and then are copied often,
 * and still no more comes twice than may. */
static void waste_keeps_its_budget(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sim *s = sim_new(seed, MIB, 12500000);

		for (unsigned i = 0; i < 6; i++) {
			struct sim_peer *p = add(s, GOOD, about(s, 2000000),
						 (uint32_t)about(s, 50000));

			p->pause_us = 300000;
			p->next_pause_us =
				s->now_us + rng_below(&s->rng, 2000000);
		}
		for (uint32_t i = 0; i < 60; i++)
			(void)read_piece(s, i, 3);
		at_most(s, "waste in KiB", s->wasted / KIB,
			s->got / 20 / KIB + 768);
		sim_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_peers_cost_little),
		cmocka_unit_test(stopped_peers_cost_little),
		cmocka_unit_test(slow_peer_delays_nobody),
		cmocka_unit_test(waste_keeps_its_budget),
	};

	return cmocka_run_group_tests_name("picker_sim", tests, NULL, NULL);
}
