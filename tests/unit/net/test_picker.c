/* The picker's claims, on four pieces of eight blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bits.h"
#include "net/picker_internal.h"
#include "net/rarity.h"

/* ---- Fixture ---- */

enum { N_PIECES = 4, BLOCKS = 8, PIECE = BLOCKS * WIRE_BLOCK_BYTES, MAX = 64 };

struct fixture {
	struct picker *p;
	struct bits all, none;
	struct pick_peer peer[3];
	struct pick out[MAX];
	unsigned open_left;
	uint32_t segment;   /* bytes; 0: the piece */
	uint32_t elsewhere; /* the piece that others bring, and one more … */
	uint32_t at_hand;   /* … the first blocks of which are there */
	unsigned n_at_hand;
	bool others_bring_it; /* these are not at hand, but come */
	bool is_behind;	      /* no piece may begin but … */
	uint32_t waited;
	unsigned n_begin_asked;
};

static bool fix_open(void *arg, uint32_t ix, uint32_t at)
{
	struct fixture *f = arg;

	(void)ix;
	(void)at;
	if (f->open_left == 0)
		return false;
	f->open_left--;
	return true;
}

static enum picker_begin fix_begin(void *arg, uint32_t ix)
{
	struct fixture *f = arg;

	f->n_begin_asked++;
	if (f->is_behind && ix != f->waited)
		return PICKER_BEGIN_NONE;
	return ix != f->elsewhere ? PICKER_BEGIN : PICKER_BEGIN_NOT;
}

static enum picker_fill fix_fill(void *arg, const struct wire_block *b)
{
	const struct fixture *f = arg;

	if (b->piece_ix != f->at_hand ||
	    b->begin_bytes / WIRE_BLOCK_BYTES >= f->n_at_hand)
		return PICKER_FILL_NOT;
	return f->others_bring_it ? PICKER_FILL_WAIT : PICKER_FILL_DONE;
}

/* The last piece ends inside its second block. */
static uint32_t fix_len(void *arg, uint32_t ix)
{
	(void)arg;
	return ix == N_PIECES - 1 ? WIRE_BLOCK_BYTES + 100 : PIECE;
}

static uint32_t fix_segment(void *arg, uint32_t ix)
{
	struct fixture *f = arg;

	return f->segment != 0 ? f->segment : fix_len(arg, ix);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct picker_cfg cfg = {.open = fix_open,
				 .begin = fix_begin,
				 .fill = fix_fill,
				 .segment = fix_segment,
				 .len = fix_len,
				 .arg = f};

	f->open_left = 100;
	f->elsewhere = f->at_hand = UINT32_MAX;
	assert_int_equal(picker_new(&cfg, &f->p), 0);
	assert_int_equal(bits_init(&f->all, N_PIECES), 0);
	assert_int_equal(bits_init(&f->none, N_PIECES), 0);
	bits_set_all(&f->all);
	for (uint32_t i = 0; i < 3; i++) {
		f->peer[i] = (struct pick_peer){.id = 10 + i,
						.have = &f->all,
						.rate_Bps = 1000000,
						.rtt_us = 50000,
						.room = 32,
						.doubt_us = UINT64_MAX,
						.is_proven = true};
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	picker_free(f->p);
	bits_fini(&f->all);
	bits_fini(&f->none);
	free(f);
	return 0;
}

/* ---- Helpers ---- */

static unsigned assign(struct fixture *f, unsigned n_peers, uint64_t now_us)
{
	unsigned n = picker_assign(f->p, f->peer, n_peers, now_us, f->out, MAX);

	picker_check(f->p);
	return n;
}

/* Its window is full of others' blocks, or empty. */
static void set_busy(struct pick_peer *pr, bool is_busy)
{
	pr->room = is_busy ? 0 : 10;
	pr->out_bytes = is_busy ? 10000000 : 0;
}

static unsigned count_peer(const struct fixture *f, unsigned n, unsigned ix)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += f->out[i].peer_ix == ix;
	return sum;
}

static enum picker_arrival arrive(struct fixture *f, uint32_t peer,
				  const struct wire_block *b,
				  unsigned *n_others)
{
	uint32_t others[PICKER_COPIES_MAX];
	enum picker_arrival r;

	r = picker_on_arrived(f->p, peer, b, others, n_others);
	picker_check(f->p);
	return r;
}

static void want_only(struct fixture *f, uint32_t ix,
		      const struct pick_range *ranges, unsigned n)
{
	assert_int_equal(picker_want_only(f->p, ix, ranges, n), 0);
	picker_check(f->p);
}

/* ---- Tests ---- */

/* A piece that others bring is left to them until they do not, whatever it is
 * wanted for; the one behind it is not. */
static void what_others_bring_is_not_begun(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 1), 0);
	assert_int_equal(picker_want(f->p, 1, WANT_WINDOW, 2), 0);
	f->elsewhere = 0;
	assert_int_equal(assign(f, 1, 1000), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, 1);
	assert_false(picker_is_open(f->p, 0));
	f->elsewhere = UINT32_MAX;
	assert_int_equal(assign(f, 1, 2000), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, 0);
	/* Begun, it goes on. */
	f->elsewhere = 0;
	picker_on_gone(f->p, 10, &f->out[0].block);
	assert_int_equal(assign(f, 1, 3000), 1);
}

static void the_background_passes_over_what_others_bring(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		assert_int_equal(picker_want(f->p, ix, WANT_BACKGROUND, 0), 0);
	f->elsewhere = 1;
	n = assign(f, 3, 1000);
	assert_int_equal(n, 2 * BLOCKS + 2);
	for (unsigned i = 0; i < n; i++)
		assert_int_not_equal(f->out[i].block.piece_ix, 1);
}

/* Each would only be told the same. */
static void where_none_may_begin_only_what_is_urgent_asks(void **state)
{
	struct fixture *f = *state;

	f->is_behind = true;
	f->waited = 1;
	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 1), 0);
	assert_int_equal(picker_want(f->p, 1, WANT_URGENT, 2), 0);
	assert_int_equal(picker_want(f->p, 2, WANT_WINDOW, 3), 0);
	assert_int_equal(picker_want(f->p, 3, WANT_BACKGROUND, 0), 0);
	assert_int_equal(assign(f, 3, 1000), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, 1);
	assert_int_equal(f->open_left, 99);
	/* The urgent ones, and in the second go the first of them again. */
	assert_int_equal(f->n_begin_asked, 2);
	f->is_behind = false;
	assert_int_equal(assign(f, 3, 2000), 2 * BLOCKS + 2);
}

static void what_is_at_hand_is_asked_of_nobody(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 1), 0);
	f->at_hand = 0;
	f->n_at_hand = 5;
	assert_int_equal(assign(f, 1, 1000), BLOCKS - 5);
	for (unsigned i = 0; i < BLOCKS - 5; i++)
		assert_int_equal(f->out[i].block.begin_bytes,
				 (5 + i) * WIRE_BLOCK_BYTES);
	assert_false(picker_is_missing(
		f->p, &(struct wire_block){.len_bytes = WIRE_BLOCK_BYTES}));
	assert_int_equal(picker_outstanding(f->p), BLOCKS - 5);
}

/* Nor what others bring; it is asked for once they do not. */
static void what_others_bring_is_left_to_them(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 1), 0);
	f->at_hand = 0;
	f->n_at_hand = 5;
	f->others_bring_it = true;
	assert_int_equal(assign(f, 1, 1000), BLOCKS - 5);
	assert_true(picker_is_missing(
		f->p, &(struct wire_block){.len_bytes = WIRE_BLOCK_BYTES}));
	f->n_at_hand = 0;
	assert_int_equal(assign(f, 1, 2000), 5);
	assert_int_equal(picker_outstanding(f->p), BLOCKS);
}

/* It comes if all of it that is meant is wanted, or asked for. */
static void what_comes_is_known(void **state)
{
	struct fixture *f = *state;
	const struct pick_range some[] = {
		{.first = 2, .end = 4, .class = WANT_URGENT}};
	uint32_t first, end;

	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 1), 0);
	want_only(f, 0, some, 1);
	assert_false(picker_is_promised(f->p, 0, 2, 4, false));
	assert_false(picker_is_asked(f->p, 0));
	assert_int_equal(assign(f, 1, 1000), 2);
	assert_true(picker_is_asked(f->p, 0));
	assert_true(picker_is_promised(f->p, 0, 2, 4, true));
	assert_false(picker_is_promised(f->p, 0, 1, 4, false));
	assert_false(picker_is_promised(f->p, 1, 2, 4, false));
	picker_wanted(f->p, 0, &first, &end);
	assert_int_equal(first, 2);
	assert_int_equal(end, 4);
	picker_wanted(f->p, 1, &first, &end);
	assert_int_equal(first, 0);
	assert_int_equal(end, UINT32_MAX);
	want_only(f, 0, NULL, 0);
	assert_true(picker_is_promised(f->p, 0, 0, BLOCKS, false));
	assert_false(picker_is_promised(f->p, 0, 0, BLOCKS, true));
}

/* Nothing is asked for that nobody wants. */
static void idle_without_demand(void **state)
{
	assert_int_equal(assign(*state, 3, 0), 0);
}

/* Of a piece in parts nothing else is asked for, in the order of its ranges. */
static void only_parts_are_asked(void **state)
{
	struct fixture *f = *state;
	const struct pick_range r[] = {{5, 7, WANT_URGENT},
				       {1, 2, WANT_URGENT}};
	const uint32_t order[] = {5, 6, 1};
	unsigned n_others;

	picker_want(f->p, 0, WANT_URGENT, 0);
	want_only(f, 0, r, 2);
	assert_int_equal(assign(f, 1, 0), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(f->out[i].block.begin_bytes,
				 order[i] * WIRE_BLOCK_BYTES);
	assert_true(picker_lacks(f->p));
	for (unsigned i = 0; i < 3; i++)
		arrive(f, 10,
		       &(struct wire_block){0, order[i] * WIRE_BLOCK_BYTES,
					    WIRE_BLOCK_BYTES},
		       &n_others);
	assert_false(picker_lacks(f->p));
	assert_int_equal(assign(f, 1, 0), 0);
	assert_int_equal(picker_next_class(f->p), WANT_NONE);
	/* Now all of it, but for what is there. */
	want_only(f, 0, NULL, 0);
	assert_int_equal(picker_next_class(f->p), WANT_URGENT);
	assert_int_equal(assign(f, 1, 0), BLOCKS - 3);
}

/* What a window wants of an urgent piece comes after all that is urgent, and
 * before other windows. */
static void window_parts_come_second(void **state)
{
	struct fixture *f = *state;
	const struct pick_range r[] = {{2, 3, WANT_URGENT},
				       {0, 8, WANT_WINDOW}};
	unsigned n;

	picker_want(f->p, 0, WANT_URGENT, 1);
	want_only(f, 0, r, 2);
	picker_want(f->p, 1, WANT_URGENT, 2);
	picker_want(f->p, 2, WANT_WINDOW, 0);
	f->peer[0].room = 1 + BLOCKS + BLOCKS;
	n = assign(f, 1, 0);
	assert_int_equal(n, 1 + BLOCKS + BLOCKS);
	assert_int_equal(f->out[0].block.begin_bytes, 2 * WIRE_BLOCK_BYTES);
	assert_true(f->out[0].is_urgent);
	for (unsigned i = 1; i <= BLOCKS; i++)
		assert_int_equal(f->out[i].block.piece_ix, 1);
	for (unsigned i = BLOCKS + 1; i < 2 * BLOCKS; i++) {
		assert_int_equal(f->out[i].block.piece_ix, 0);
		assert_false(f->out[i].is_urgent);
	}
	assert_int_equal(f->out[n - 1].block.piece_ix, 2);
}

/* The segment of the first block that is wanted is opened, and no other. */
static void parts_open_their_segments(void **state)
{
	struct fixture *f = *state;
	const struct pick_range r = {5, 6, WANT_URGENT};

	f->segment = 2 * WIRE_BLOCK_BYTES;
	f->open_left = 1;
	picker_want(f->p, 0, WANT_URGENT, 0);
	want_only(f, 0, &r, 1);
	assert_int_equal(assign(f, 1, 0), 1);
	assert_true(picker_is_hot(f->p, 0, 4 * WIRE_BLOCK_BYTES));
	assert_false(picker_is_hot(f->p, 0, 0));
	assert_true(picker_is_busy(f->p, 0, 4 * WIRE_BLOCK_BYTES));
	picker_on_gone(f->p, 10, &f->out[0].block);
	assert_true(picker_is_busy(f->p, 0, 4 * WIRE_BLOCK_BYTES));
	picker_want(f->p, 0, WANT_NONE, 0);
	assert_false(picker_is_busy(f->p, 0, 4 * WIRE_BLOCK_BYTES));
	picker_shut_segment(f->p, 0, 4 * WIRE_BLOCK_BYTES);
	assert_false(picker_is_hot(f->p, 0, 4 * WIRE_BLOCK_BYTES));
	picker_check(f->p);
}

/* Urgent pieces come before window pieces, each by deadline. */
static void order_of_demand(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 0, WANT_WINDOW, 5);
	picker_want(f->p, 1, WANT_URGENT, 900);
	picker_want(f->p, 2, WANT_URGENT, 100);
	f->peer[0].room = 20;
	assert_int_equal(assign(f, 1, 0), 20);
	assert_int_equal(f->out[0].block.piece_ix, 2);
	assert_int_equal(f->out[7].block.piece_ix, 2);
	assert_int_equal(f->out[8].block.piece_ix, 1);
	assert_int_equal(f->out[16].block.piece_ix, 0);
	assert_int_equal(f->peer[0].room, 0);
	assert_int_equal(f->peer[0].out_bytes, 20 * WIRE_BLOCK_BYTES);
}

/* Equal peers share the blocks of an urgent piece. */
static void urgent_piece_spreads(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	picker_want(f->p, 0, WANT_URGENT, 0);
	f->peer[2].rate_Bps = 2000000;
	n = assign(f, 3, 0);
	assert_int_equal(n, BLOCKS);
	assert_int_equal(count_peer(f, n, 0), 2);
	assert_int_equal(count_peer(f, n, 1), 2);
	assert_int_equal(count_peer(f, n, 2), 4);
}

/* An urgent block rather waits for a fast peer's window than go to a slow one;
 * a window block does not. */
static void slow_peer_gets_no_urgent_block(void **state)
{
	struct fixture *f = *state;

	f->peer[0].room = 0;
	f->peer[1].rate_Bps = 10000;
	picker_want(f->p, 0, WANT_URGENT, 0);
	assert_int_equal(assign(f, 2, 0), 0);
	picker_want(f->p, 0, WANT_WINDOW, 0);
	assert_int_equal(assign(f, 2, 0), BLOCKS);
}

/* Peers that are microseconds away all help, though one is ten times as far as
 * the other. */
static void near_peers_all_help(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	f->peer[0].rtt_us = 50;
	f->peer[0].room = 4;
	f->peer[1].rtt_us = 500;
	f->peer[0].rate_Bps = f->peer[1].rate_Bps = 1000000000;
	picker_want(f->p, 0, WANT_URGENT, 0);
	n = assign(f, 2, 0);
	assert_int_equal(n, BLOCKS);
	assert_int_equal(count_peer(f, n, 1), 4);
}

/* A peer is asked only for what it has, and while it chokes us only for what
 * it allows. */
static void respects_have_and_choke(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 0, WANT_URGENT, 0);
	picker_want(f->p, 1, WANT_URGENT, 0);
	f->peer[0].have = &f->none;
	assert_int_equal(assign(f, 1, 0), 0);
	bits_set(&f->none, 1);
	f->peer[0].have = &f->all;
	f->peer[0].only = &f->none;
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, 1);
}

/* A snubbed peer is used only where there is no other. */
static void snubbed_is_last(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	f->peer[0].is_snubbed = true;
	picker_want(f->p, 0, WANT_URGENT, 0);
	n = assign(f, 2, 0);
	assert_int_equal(count_peer(f, n, 0), 0);
	assert_int_equal(n, BLOCKS);
	picker_want(f->p, 1, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
}

/* Without memory for a piece none of its blocks is asked for. */
static void memory_cap_holds_back(void **state)
{
	struct fixture *f = *state;

	f->open_left = 1;
	picker_want(f->p, 0, WANT_URGENT, 0);
	picker_want(f->p, 1, WANT_URGENT, 1);
	assert_int_equal(assign(f, 3, 0), BLOCKS);
	assert_true(picker_is_open(f->p, 0));
	assert_false(picker_is_open(f->p, 1));
	f->open_left = 1;
	assert_int_equal(assign(f, 3, 0), BLOCKS);
}

/* The last block of the last piece has its true length, and the piece is
 * whole when both are there. */
static void short_last_block(void **state)
{
	struct fixture *f = *state;
	unsigned n_others;

	picker_want(f->p, 3, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), 2);
	assert_int_equal(f->out[1].block.len_bytes, 100);
	assert_int_equal(arrive(f, 10, &f->out[1].block, &n_others),
			 PICKER_BLOCK);
	assert_int_equal(arrive(f, 10, &f->out[1].block, &n_others),
			 PICKER_UNWANTED);
	assert_int_equal(arrive(f, 10, &f->out[0].block, &n_others),
			 PICKER_WHOLE);
	assert_int_equal(picker_outstanding(f->p), 0);
}

/* A late urgent block is asked of a second peer; whoever delivers first, the
 * other is named to be cancelled. */
static void late_block_gets_a_copy(void **state)
{
	struct fixture *f = *state;
	unsigned n, n_others;
	uint64_t late;

	picker_want(f->p, 3, WANT_URGENT, 0);
	set_busy(&f->peer[1], true);
	assert_int_equal(assign(f, 2, 1000), 2);
	late = picker_next_late_us(f->p);
	assert_true(late > 1000 + 50000 && late < 1000000);
	set_busy(&f->peer[1], false);
	assert_int_equal(assign(f, 2, 2000), 0);
	n = assign(f, 2, 400000);
	assert_int_equal(n, 2);
	assert_true(f->out[0].is_copy);
	assert_int_equal(f->out[0].peer_ix, 1);
	assert_int_equal(picker_outstanding(f->p), 4);
	assert_int_equal(arrive(f, 11, &f->out[0].block, &n_others),
			 PICKER_BLOCK);
	assert_int_equal(n_others, 1);
	assert_int_equal(picker_outstanding(f->p), 2);
}

/* While a peer delivers, what it owes is behind what is out before it, however
 * long ago it was asked for; copies are asked for when it falls silent, and the
 * next pass is due at that time. */
static void delivering_peer_is_not_late(void **state)
{
	struct fixture *f = *state;
	uint64_t quiet;

	picker_want(f->p, 0, WANT_URGENT, 0);
	set_busy(&f->peer[1], true);
	assert_int_equal(assign(f, 2, 1000), BLOCKS);
	set_busy(&f->peer[1], false);
	f->peer[0].heard_us = 390000;
	f->peer[0].doubt_us = 470000;
	assert_int_equal(assign(f, 2, 400000), 0);
	quiet = picker_next_late_us(f->p);
	assert_int_equal(quiet, 470000);
	assert_true(assign(f, 2, quiet) > 0);
	assert_true(f->out[0].is_copy);
}

/* One that delivers, but would take twice as long as another, is copied. */
static void slow_peer_is_helped(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 0, WANT_URGENT, 0);
	set_busy(&f->peer[1], true);
	assert_int_equal(assign(f, 2, 1000), BLOCKS);
	set_busy(&f->peer[1], false);
	f->peer[0].heard_us = 390000;
	f->peer[0].rate_Bps = 10000;
	assert_true(assign(f, 2, 400000) > 0);
	assert_true(f->out[0].is_copy);
}

/* Nobody is asked twice for the same block. */
static void no_copy_to_the_same_peer(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 3, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), 2);
	assert_int_equal(assign(f, 1, 10000000), 0);
}

/* A request that will not be answered makes its block free again. */
static void gone_block_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct wire_block b;

	picker_want(f->p, 0, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	b = f->out[3].block;
	picker_on_gone(f->p, 99, &b);
	assert_int_equal(assign(f, 1, 0), 0);
	picker_on_gone(f->p, 10, &b);
	assert_int_equal(assign(f, 1, 0), 1);
	assert_int_equal(f->out[0].block.begin_bytes, b.begin_bytes);
}

/* A piece that failed its hash is asked for whole; one that nobody wants stays
 * open until it is dropped, and can be found. */
static void restart_and_idle(void **state)
{
	struct fixture *f = *state;
	unsigned n_others;

	picker_want(f->p, 3, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), 2);
	assert_int_equal(arrive(f, 10, &f->out[0].block, &n_others),
			 PICKER_BLOCK);
	picker_empty(f->p, 3, 0);
	assert_int_equal(assign(f, 1, 0), 2);
	picker_want(f->p, 3, WANT_NONE, 0);
	assert_int_equal(picker_first_idle(f->p), UINT32_MAX);
	picker_on_gone(f->p, 10, &f->out[0].block);
	picker_on_gone(f->p, 10, &f->out[1].block);
	assert_int_equal(picker_first_idle(f->p), 3);
	assert_int_equal(assign(f, 1, 0), 0);
	picker_drop(f->p, 3);
	assert_false(picker_is_open(f->p, 3));
	assert_int_equal(picker_first_idle(f->p), UINT32_MAX);
}

/* A window piece that is closed keeps its demand and is asked for anew; the
 * last window piece that is open and not whole is the one to close. */
static void closed_and_opened_again(void **state)
{
	struct fixture *f = *state;
	unsigned n_others;

	picker_want(f->p, 3, WANT_WINDOW, 5);
	picker_want(f->p, 0, WANT_URGENT, 0);
	f->peer[0].room = 10;
	assert_int_equal(picker_last_window(f->p), UINT32_MAX);
	assert_int_equal(assign(f, 1, 0), 10);
	assert_int_equal(picker_last_window(f->p), 3);
	picker_close(f->p, 3);
	assert_false(picker_is_open(f->p, 3));
	assert_int_equal(picker_outstanding(f->p), 8);
	assert_int_equal(picker_class(f->p, 3), WANT_WINDOW);
	f->peer[0].room = 10;
	assert_int_equal(assign(f, 1, 0), 2);
	arrive(f, 10, &f->out[0].block, &n_others);
	assert_int_equal(arrive(f, 10, &f->out[1].block, &n_others),
			 PICKER_WHOLE);
	assert_int_equal(picker_last_window(f->p), UINT32_MAX);
	picker_want(f->p, 3, WANT_NONE, 0);
	assert_int_equal(picker_first_idle(f->p), UINT32_MAX);
	picker_close(f->p, 3);
	assert_false(picker_is_open(f->p, 3));
}

static void make_new(struct pick_peer *pr)
{
	pr->is_proven = false;
	pr->rate_Bps = 0;
}

/* Where nobody is proven blocks are spread over all; beside a proven peer that
 * would take long, a new one is asked for two blocks and not more. */
static void new_peers_are_probed(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	make_new(&f->peer[0]);
	make_new(&f->peer[1]);
	picker_want(f->p, 0, WANT_URGENT, 0);
	n = assign(f, 2, 0);
	assert_int_equal(count_peer(f, n, 0), 4);
	assert_int_equal(count_peer(f, n, 1), 4);
	make_new(&f->peer[2]);
	f->peer[0].is_proven = true;
	f->peer[0].rate_Bps = 100000;
	picker_want(f->p, 1, WANT_URGENT, 0);
	n = assign(f, 3, 1000);
	assert_int_equal(count_peer(f, n, 2), 2);
	assert_int_equal(count_peer(f, n, 1), 0);
}

/* Where the proven do all that is urgent, a new peer is tried with a copy of
 * the last block. */
static void new_peers_are_tried_with_copies(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	make_new(&f->peer[2]);
	picker_want(f->p, 0, WANT_URGENT, 0);
	n = assign(f, 3, 0);
	assert_int_equal(n, BLOCKS + 1);
	assert_int_equal(f->out[n - 1].peer_ix, 2);
	assert_true(f->out[n - 1].is_copy);
	assert_int_equal(f->out[n - 1].block.begin_bytes,
			 (BLOCKS - 1) * WIRE_BLOCK_BYTES);
	assert_int_equal(assign(f, 3, 1000), 0);
}

/* So is one that was silent until what it owed was cancelled, and no stranger
 * of whom as much is known. */
static void doubtful_are_tried_with_copies(void **state)
{
	struct fixture *f = *state;
	unsigned n;

	f->peer[1].doubt_us = f->peer[2].doubt_us = 0;
	make_new(&f->peer[1]);
	picker_want(f->p, 0, WANT_URGENT, 0);
	n = assign(f, 3, 1000);
	assert_int_equal(n, BLOCKS + 1);
	assert_int_equal(count_peer(f, n, 0), BLOCKS);
	assert_int_equal(f->out[n - 1].peer_ix, 2);
	assert_true(f->out[n - 1].is_copy);
	assert_int_equal(assign(f, 3, 2000), 0);
}

/* What was foretold by the rate of a beginner is foretold anew by what he does
 * now, before others are asked. */
static void a_peer_that_grew_is_not_late(void **state)
{
	struct fixture *f = *state;

	f->peer[0].rate_Bps = 10000;
	picker_want(f->p, 0, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	f->peer[0].rate_Bps = 10000000;
	f->peer[0].heard_us = 50000;
	assert_int_equal(assign(f, 2, 60000), 0);
}

/* What only doubtful peers owe is asked of a proven one, in a window piece too
 * if none of them was ever proven. */
static void doubtful_is_as_good_as_free(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 0, WANT_WINDOW, 0);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	f->peer[0].doubt_us = 100000;
	assert_int_equal(assign(f, 2, 50000), 0);
	assert_int_equal(assign(f, 2, 100000), 0); /* he may send them yet */
	make_new(&f->peer[0]);
	assert_int_equal(assign(f, 2, 100000), BLOCKS);
	assert_true(f->out[0].is_copy);
	assert_int_equal(f->out[0].peer_ix, 1);
}

/* A block that three silent peers owe is asked of a fourth instead of the
 * first, who is named to be forgotten. */
static void silent_peers_keep_no_block(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 3, WANT_URGENT, 0);
	for (uint32_t i = 0; i < PICKER_COPIES_MAX; i++) {
		f->peer[0].id = 10 + i;
		f->peer[0].out_bytes = 0;
		f->peer[0].doubt_us = UINT64_MAX;
		make_new(&f->peer[0]);
		f->peer[1].doubt_us = f->peer[2].doubt_us = 0;
		f->peer[1].id = i > 0 ? 9 + i : 90;
		f->peer[2].id = i > 1 ? 8 + i : 91;
		make_new(&f->peer[1]);
		make_new(&f->peer[2]);
		f->peer[1].room = f->peer[2].room = 0;
		assert_int_equal(assign(f, 3, 1000), 2);
		assert_int_equal(f->out[0].instead_of, 0);
	}
	assert_int_equal(picker_outstanding(f->p), 2 * PICKER_COPIES_MAX);
	f->peer[0].id = 77;
	f->peer[0].out_bytes = 0;
	f->peer[1].id = 11;
	f->peer[2].id = 12;
	assert_int_equal(assign(f, 3, 2000), 2);
	assert_int_equal(f->out[0].instead_of, 10);
	assert_int_equal(picker_outstanding(f->p), 2 * PICKER_COPIES_MAX);
}

/* Who is in debt makes no copies of what a proven peer owes. */
static void waste_stops_copies(void **state)
{
	struct fixture *f = *state;

	picker_want(f->p, 0, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	f->peer[0].doubt_us = 100000;
	picker_on_waste(f->p, 10 << 20);
	assert_int_equal(assign(f, 2, 200000), 0);
	picker_earn(f->p, 100 << 20);
	assert_int_equal(assign(f, 2, 200000), BLOCKS);
}

static bool is_open_at(const struct fixture *f, uint32_t ix, uint32_t block)
{
	return picker_is_hot(f->p, ix, block * WIRE_BLOCK_BYTES);
}

/* A long piece opens its segments in order, and asks only for blocks of those
 * that are open. One that is shut is asked for anew; where it cannot be opened
 * the open ones behind it go on. */
static void segments_open_and_shut(void **state)
{
	struct fixture *f = *state;
	unsigned n_others, n;

	f->segment = 2 * WIRE_BLOCK_BYTES;
	f->open_left = 2;
	picker_want(f->p, 0, WANT_WINDOW, 0);
	assert_int_equal(assign(f, 1, 0), 4);
	assert_true(is_open_at(f, 0, 0) && is_open_at(f, 0, 3));
	assert_false(is_open_at(f, 0, 4));
	for (unsigned i = 2; i < 4; i++)
		assert_int_equal(f->out[i].block.begin_bytes,
				 i * WIRE_BLOCK_BYTES);
	arrive(f, 10, &f->out[0].block, &n_others);
	arrive(f, 10, &f->out[1].block, &n_others);
	assert_false(is_open_at(f, 0, 0)); /* full */
	assert_int_equal(picker_last_window(f->p), 0);
	picker_shut(f->p, 0);
	picker_check(f->p);
	assert_int_equal(picker_outstanding(f->p), 0);
	assert_int_equal(picker_last_window(f->p), UINT32_MAX);
	f->open_left = 3;
	n = assign(f, 1, 0);
	assert_int_equal(n, 6); /* what was full is there */
	assert_int_equal(f->out[0].block.begin_bytes, 2 * WIRE_BLOCK_BYTES);
	picker_shut(f->p, 0);
	f->peer[0].room = 1;
	f->open_left = 1;
	assert_int_equal(assign(f, 1, 0), 1);
	picker_on_gone(f->p, 10, &f->out[0].block);
	f->peer[0].room = 9;
	f->open_left = 0;
	assert_int_equal(assign(f, 1, 0), 2);
}

/* Among idle pieces one that has memory to give goes first. */
static void idle_with_memory_first(void **state)
{
	struct fixture *f = *state;
	unsigned n_others, n;

	f->segment = 2 * WIRE_BLOCK_BYTES;
	for (uint32_t ix = 0; ix < 2; ix++) {
		f->open_left = 1;
		f->peer[0].room = 2;
		picker_want(f->p, ix, WANT_URGENT, 0);
		n = assign(f, 1, 0);
		assert_int_equal(n, 2);
		arrive(f, 10, &f->out[0].block, &n_others);
		if (ix == 0)
			arrive(f, 10, &f->out[1].block, &n_others);
		else
			picker_on_gone(f->p, 10, &f->out[1].block);
		picker_want(f->p, ix, WANT_NONE, 0);
	}
	assert_int_equal(picker_first_idle(f->p), 1);
	picker_shut(f->p, 1);
	assert_int_equal(picker_first_idle(f->p), 0);
	picker_close(f->p, 0);
	assert_int_equal(picker_first_idle(f->p), 1);
}

/* What a stranger names that is no block of ours changes nothing. */
static void foreign_blocks_are_unwanted(void **state)
{
	struct fixture *f = *state;
	const struct wire_block bad[] = {
		{0, 1, WIRE_BLOCK_BYTES},     {0, 0, WIRE_BLOCK_BYTES - 1},
		{0, PIECE, WIRE_BLOCK_BYTES}, {0, 0xffffc000, WIRE_BLOCK_BYTES},
		{1, 0, WIRE_BLOCK_BYTES},     {77, 0, WIRE_BLOCK_BYTES},
	};
	unsigned n_others;

	picker_want(f->p, 0, WANT_URGENT, 0);
	picker_want(f->p, 1, WANT_WINDOW, 0);
	f->peer[0].room = 4;
	assert_int_equal(assign(f, 1, 0), 4);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(arrive(f, 10, &bad[i], &n_others),
				 PICKER_UNWANTED);
		picker_on_gone(f->p, 10, &bad[i]);
		assert_false(picker_is_missing(f->p, &bad[i]));
	}
	assert_int_equal(picker_outstanding(f->p), 4);
}

/* What is pinned comes after what is read ahead: the rarest first, of equals
 * what was begun; a piece that is wanted more for a while comes back. */
static void background_is_last(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	rarity_add_set(picker_rarity(f->p), &f->all);
	rarity_on_have(picker_rarity(f->p), 0);
	for (uint32_t ix = 0; ix < 3; ix++)
		picker_want(f->p, ix, WANT_BACKGROUND, 0);
	rarity_on_have(picker_rarity(f->p), 1);
	f->peer[0].room = 4;
	assert_int_equal(assign(f, 1, 0), 4);
	assert_int_equal(f->out[0].block.piece_ix, 2);
	picker_want(f->p, 1, WANT_WINDOW, 0);
	f->peer[0].room = 3;
	assert_int_equal(assign(f, 1, 0), 3);
	assert_int_equal(f->out[0].block.piece_ix, 1);
	picker_want(f->p, 1, WANT_BACKGROUND, 0);
	f->peer[0].room = 20;
	assert_int_equal(assign(f, 1, 0), 17);
	assert_int_equal(f->out[3].block.piece_ix, 2);
	assert_int_equal(f->out[4].block.piece_ix, 1);
	assert_int_equal(f->out[9].block.piece_ix, 0);
	picker_want(f->p, 0, WANT_NONE, 0);
	picker_want(f->p, 0, WANT_WINDOW, 0);
	picker_want(f->p, 0, WANT_BACKGROUND, 0);
	assert_int_equal(picker_class(f->p, 0), WANT_BACKGROUND);
}

/* While the background rests nothing of it is asked for, and a limit does not
 * wait for it. */
static void background_rests(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	picker_want(f->p, 0, WANT_BACKGROUND, 0);
	picker_rest(f->p, true);
	assert_int_equal(picker_next_class(f->p), WANT_NONE);
	assert_int_equal(assign(f, 1, 0), 0);
	picker_want(f->p, 3, WANT_URGENT, 0);
	assert_int_equal(assign(f, 1, 0), 2);
	picker_rest(f->p, false);
	picker_want(f->p, 3, WANT_NONE, 0);
	assert_int_equal(picker_next_class(f->p), WANT_BACKGROUND);
	assert_int_equal(assign(f, 1, 0), BLOCKS);
}

/* The late blocks of the background are asked of others when there is nothing
 * else that those could be asked for, and not before. */
static void background_has_an_end_game(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	picker_want(f->p, 3, WANT_BACKGROUND, 0);
	f->peer[1].room = 0;
	assert_int_equal(assign(f, 2, 1000), 2);
	picker_want(f->p, 0, WANT_BACKGROUND, 0);
	f->peer[0].room = 0;
	f->peer[1].room = BLOCKS;
	assert_int_equal(assign(f, 2, 10000000), BLOCKS);
	assert_false(f->out[0].is_copy);
	f->peer[1].room = 10;
	assert_int_equal(assign(f, 2, 10000000), 2);
	assert_true(f->out[0].is_copy && f->out[1].is_copy);
	assert_int_equal(f->out[0].block.piece_ix, 3);
}

/* Memory that is taken from a piece of the background leaves it wanted; the one
 * of which the least is there gives first. */
static void background_gives_memory_back(void **state)
{
	struct fixture *f = *state;
	uint32_t last;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		picker_want(f->p, ix, WANT_BACKGROUND, 0);
	assert_int_equal(picker_last_background(f->p), UINT32_MAX);
	f->open_left = 2;
	assert_true(assign(f, 3, 0) >= BLOCKS);
	last = picker_last_background(f->p);
	picker_close(f->p, last);
	picker_check(f->p);
	assert_false(picker_is_open(f->p, last));
	assert_int_equal(picker_class(f->p, last), WANT_BACKGROUND);
	assert_int_not_equal(picker_last_background(f->p), last);
	assert_int_not_equal(picker_last_background(f->p), UINT32_MAX);
}

/* Pieces that nobody with room has do not hide those that somebody has. */
static void background_looks_behind_the_rare(void **state)
{
	enum { MANY = 2000 };
	struct fixture *f = *state;
	struct bits one;

	assert_int_equal(bits_init(&one, MANY), 0);
	bits_set(&one, MANY - 2);
	assert_int_equal(picker_start_background(f->p, MANY, 1), 0);
	rarity_on_have(picker_rarity(f->p), MANY - 2);
	for (uint32_t ix = 0; ix < MANY; ix++)
		picker_want(f->p, ix, WANT_BACKGROUND, 0);
	f->peer[0].have = &one;
	assert_int_equal(assign(f, 1, 0), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, MANY - 2);
	bits_fini(&one);
}

/* What others have by now waits, though it was begun; but only so many pieces
 * are left half done. */
static void background_begins_few(void **state)
{
	enum { MANY = 100, HALF_MAX = 16 + 1 };
	struct fixture *f = *state;
	struct bits have;
	unsigned n_open = 0;

	assert_int_equal(bits_init(&have, MANY), 0);
	bits_set_all(&have);
	f->peer[0].have = &have;
	assert_int_equal(picker_start_background(f->p, MANY, 1), 0);
	for (uint32_t ix = 4; ix < MANY; ix++)
		picker_want(f->p, ix, WANT_BACKGROUND, 0);
	for (unsigned i = 0; i < HALF_MAX + 4; i++) {
		f->peer[0].room = 1;
		assert_int_equal(assign(f, 1, 0), 1);
		assert_int_equal(f->out[0].block.begin_bytes == 0,
				 i < HALF_MAX);
		rarity_on_have(picker_rarity(f->p), f->out[0].block.piece_ix);
	}
	for (uint32_t ix = 0; ix < MANY; ix++)
		n_open += picker_is_open(f->p, ix);
	assert_int_equal(n_open, HALF_MAX);
	bits_fini(&have);
}

/* A new peer that owes all it is trusted with is no reason to begin a piece. */
static void background_begins_nothing_for_nobody(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	picker_want(f->p, 0, WANT_BACKGROUND, 0);
	set_busy(&f->peer[0], true);
	f->peer[1].is_proven = false;
	f->peer[1].out_bytes = 2 * WIRE_BLOCK_BYTES;
	assert_int_equal(assign(f, 2, 0), 0);
	assert_false(picker_is_open(f->p, 0));
	f->peer[1].out_bytes = 0;
	assert_int_equal(assign(f, 2, 0), 2);
}

/* When memory is short, a piece that nobody could be asked for in twenty
 * seconds is in the way of others; while somebody could, it is not. */
static void background_knows_what_is_left(void **state)
{
	const uint64_t left_us = 20000000;
	struct fixture *f = *state;
	unsigned n_others;

	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	picker_want(f->p, 0, WANT_BACKGROUND, 0);
	f->open_left = 1;
	f->peer[0].room = 1;
	assert_int_equal(assign(f, 1, 0), 1);
	(void)arrive(f, 10, &f->out[0].block, &n_others);
	picker_want(f->p, 1, WANT_BACKGROUND, 0);
	bits_set(&f->none, 1);
	f->peer[1].have = &f->none;
	assert_int_equal(assign(f, 2, left_us), 0);
	f->peer[0].have = &f->none;
	assert_int_equal(assign(f, 2, 2 * left_us - 1), 0);
	assert_int_equal(picker_left_background(f->p), UINT32_MAX);
	assert_int_equal(picker_next_late_us(f->p), 2 * left_us);
	assert_int_equal(assign(f, 2, 2 * left_us), 0);
	assert_int_equal(picker_left_background(f->p), 0);
	picker_close(f->p, 0);
	f->open_left = 1;
	assert_int_equal(assign(f, 2, 2 * left_us), BLOCKS);
	assert_int_equal(f->out[0].block.piece_ix, 1);
}

/* Any sequence of events keeps the invariants. */
static void random_walk(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 4711, n_others;

	f->segment = 3 * WIRE_BLOCK_BYTES;
	assert_int_equal(picker_start_background(f->p, N_PIECES, 1), 0);
	for (int step = 0; step < 20000; step++) {
		uint32_t ix = (uint32_t)(rand_r(&seed) % N_PIECES);
		struct wire_block b = {ix,
				       (uint32_t)(rand_r(&seed) % BLOCKS) << 14,
				       WIRE_BLOCK_BYTES};
		uint32_t peer = 10u + (uint32_t)(rand_r(&seed) % 3);

		if (ix == 3)
			b.len_bytes =
				b.begin_bytes == 0 ? WIRE_BLOCK_BYTES : 100;
		for (int i = 0; i < 3; i++)
			f->peer[i].room = (uint32_t)(rand_r(&seed) % 4);
		picker_rest(f->p, rand_r(&seed) % 3 == 0);
		f->peer[0].is_proven = rand_r(&seed) % 2;
		f->peer[1].doubt_us = rand_r(&seed) % 2 ? 0 : UINT64_MAX;
		switch (rand_r(&seed) % 8) {
		case 0:
			picker_want(f->p, ix,
				    (enum want_class)(rand_r(&seed) % 4),
				    (uint64_t)(rand_r(&seed) % 50));
			break;
		case 1:
			(void)arrive(f, peer, &b, &n_others);
			break;
		case 2:
			picker_on_gone(f->p, peer, &b);
			break;
		case 3:
			if (rand_r(&seed) % 20 == 0)
				picker_empty(
					f->p, ix,
					WIRE_BLOCK_BYTES *
						((uint32_t)rand_r(&seed) % 3));
			if (rand_r(&seed) % 20 == 0)
				picker_shut(f->p, ix);
			break;
		case 4:
			if (rand_r(&seed) % 10 == 0)
				picker_drop(f->p, ix);
			break;
		case 5:
			if (rand_r(&seed) % 10 == 0)
				picker_close(f->p, ix);
			break;
		default:
			f->open_left = 3;
			(void)assign(f, 3, (uint64_t)step * 10000);
			break;
		}
		picker_check(f->p);
	}
}

/* A block that is not believed any more is asked for again, and makes a whole
 * piece one that is not. */
static void what_is_taken_back_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct wire_block b;
	unsigned n, n_others;

	assert_int_equal(picker_want(f->p, 0, WANT_URGENT, 0), 0);
	n = assign(f, 1, 0);
	assert_int_equal(n, BLOCKS);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(arrive(f, 10, &f->out[i].block, &n_others),
				 i + 1 < n ? PICKER_BLOCK : PICKER_WHOLE);
	b = f->out[2].block;
	assert_false(picker_is_missing(f->p, &b));
	picker_take_back(f->p, &b);
	picker_take_back(f->p, &b); /* once is enough */
	picker_check(f->p);
	assert_true(picker_is_missing(f->p, &b));
	assert_int_equal(assign(f, 1, 1000), 1);
	assert_true(wire_block_eq(&f->out[0].block, &b));
	assert_int_equal(arrive(f, 10, &b, &n_others), PICKER_WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(what_others_bring_is_not_begun),
		T(the_background_passes_over_what_others_bring),
		T(where_none_may_begin_only_what_is_urgent_asks),
		T(what_is_at_hand_is_asked_of_nobody),
		T(what_others_bring_is_left_to_them),
		T(what_comes_is_known),
		T(idle_without_demand),
		T(what_is_taken_back_is_asked_again),
		T(only_parts_are_asked),
		T(window_parts_come_second),
		T(parts_open_their_segments),
		T(order_of_demand),
		T(urgent_piece_spreads),
		T(slow_peer_gets_no_urgent_block),
		T(near_peers_all_help),
		T(respects_have_and_choke),
		T(snubbed_is_last),
		T(memory_cap_holds_back),
		T(short_last_block),
		T(late_block_gets_a_copy),
		T(delivering_peer_is_not_late),
		T(slow_peer_is_helped),
		T(no_copy_to_the_same_peer),
		T(gone_block_is_asked_again),
		T(restart_and_idle),
		T(closed_and_opened_again),
		T(new_peers_are_probed),
		T(new_peers_are_tried_with_copies),
		T(doubtful_are_tried_with_copies),
		T(a_peer_that_grew_is_not_late),
		T(doubtful_is_as_good_as_free),
		T(silent_peers_keep_no_block),
		T(waste_stops_copies),
		T(segments_open_and_shut),
		T(idle_with_memory_first),
		T(foreign_blocks_are_unwanted),
		T(background_is_last),
		T(background_rests),
		T(background_has_an_end_game),
		T(background_gives_memory_back),
		T(background_looks_behind_the_rare),
		T(background_begins_few),
		T(background_begins_nothing_for_nobody),
		T(background_knows_what_is_left),
		T(random_walk),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
