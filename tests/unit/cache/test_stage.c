/* test_stage — pieces that are staged: what may be seen of them when, what they
 * count, and what becomes of them when anything fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache_limits.h"
#include "cache/pieces.h"
#include "cache/store_disk.h"
#include "cache/store_mem.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/store_fault.h"

/* ---- Fixture: a torrent of three pieces, of four segments each ---- */

enum {
	SEG = 16 << 10,
	PIECE = 4 * SEG,
	LAST = 2 * SEG + 5,
	TOTAL = 2 * PIECE + LAST,
	COST = STAGE_BLOCK_COST * (PIECE / SEG + 1),
	MANY = 1 << 20,
};

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct fault *fault;
	struct piece_mem *mem;
	struct pieces *ps;
	bool is_open, is_gone;
	/* v(erified) b(ad) f(ailed) l(ost) r(oom) w(aiter) e(rror) */
	char said[64];
	uint32_t believed; /* segments of bad pieces that stay: bits */
	int last_err;
	uint64_t digests[2][PIECE / SEG]; /* of the bad one, of the good one */
	bool has_digests[2];
	struct piece_wait wait;
};

static uint32_t n_segs(const struct fix *f, uint32_t ix)
{
	return (metainfo_piece_bytes(f->mi, ix) + SEG - 1) / SEG;
}

static void say(struct fix *f, char c)
{
	size_t n = strlen(f->said);

	assert_true(n + 1 < sizeof(f->said));
	f->said[n] = c;
	f->said[n + 1] = '\0';
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void keep_digests(struct fix *f, uint32_t ix, int which)
{
	const uint64_t *d = pieces_digests(f->ps, ix);

	f->has_digests[which] = d != NULL;
	for (uint32_t i = 0; d != NULL && i < n_segs(f, ix); i++)
		f->digests[which][i] = d[i];
}

static void on_verified(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'v');
	keep_digests(f, ix, 1);
}

static void on_bad(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'b');
	assert_int_equal(pieces_state(f->ps, ix), PIECE_FETCHING);
	keep_digests(f, ix, 0);
	for (uint32_t seg = 0; seg < n_segs(f, ix); seg++)
		if (!(f->believed & 1u << seg))
			pieces_empty(f->ps, ix, seg * SEG);
}

static void on_failed(void *arg, uint32_t ix, int err)
{
	struct fix *f = arg;

	say(f, 'f');
	f->last_err = err;
	assert_int_equal(pieces_state(f->ps, ix), PIECE_FETCHING);
	pieces_abandon(f->ps, ix);
}

static void on_room(void *arg)
{
	say(arg, 'r');
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	say(f, 'l');
	assert_int_equal(pieces_state(f->ps, ix), PIECE_ABSENT);
}

static const struct pieces_ops ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_failed = on_failed,
	.on_room = on_room,
	.on_lost = on_lost,
};

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	assert_int_equal(err, 0);
	f->is_open = true;
}

static int open_start(struct fix *f)
{
	struct pieces_cfg cfg = {
		.loop = f->l.loop,
		.workers = f->l.workers,
		.store = &f->fault->base,
		.mem = f->mem,
		.mi = f->mi,
		.ops = &ops,
		.arg = f,
	};

	f->is_open = f->is_gone = false;
	return pieces_open_start(&cfg, on_open, f, &f->ps);
}

static void open_pieces(struct fix *f, uint64_t unverified)
{
	const struct piece_mem_cfg cfg = {
		.pool = f->l.pool,
		.unverified_bytes = unverified,
		.recent_bytes = 0,
		.whole_max_bytes = SEG,
		.segment_bytes = SEG,
	};

	fix_must(piece_mem_new(&cfg, &f->mem), "mem");
	assert_int_equal(open_start(f), 0);
	fix_until(&f->l, fix_is_set, &f->is_open);
}

static void close_pieces(struct fix *f)
{
	if (f->ps == NULL)
		return;
	pieces_close(f->ps, on_gone, f);
	f->ps = NULL;
	f->fault->holds_stages = false;
	fault_release_stages(f->fault);
	fix_until(&f->l, fix_is_set, &f->is_gone);
}

static void make_store(struct fix *f, uint64_t max_bytes)
{
	struct store *s;

	fix_must(store_mem_new(f->l.loop, max_bytes, &s), "store");
	f->fault = fault_new(s);
}

static int set_up(void **state)
{
	const uint64_t lens[] = {PIECE + 100, TOTAL - PIECE - 100};
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	f->mi = fix_torrent_of(&f->l, "three", lens, 2, PIECE);
	make_store(f, MANY);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close_pieces(f);
	piece_mem_free(f->mem);
	store_free(&f->fault->base);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static uint32_t seg_len(const struct fix *f, uint32_t ix, uint32_t seg)
{
	uint32_t left = metainfo_piece_bytes(f->mi, ix) - seg * SEG;

	return left < SEG ? left : SEG;
}

/* Open and fill; `flip`: one wrong byte. */
static void fill(struct fix *f, uint32_t ix, uint32_t seg, bool flip)
{
	uint8_t *data;

	assert_int_equal(pieces_open(f->ps, ix, seg * SEG), 0);
	data = pieces_place(f->ps, ix, seg * SEG);
	assert_non_null(data);
	fix_fill(data, (uint64_t)ix * PIECE + seg * SEG, seg_len(f, ix, seg));
	data[3] ^= flip;
	pieces_filled(f->ps, ix, seg * SEG);
	assert_null(pieces_place(f->ps, ix, seg * SEG));
	pieces_check(f->ps);
}

/* A segment is written, read back and hashed one after the other. */
static void settle(struct fix *f)
{
	for (unsigned i = 0; i < 16; i++)
		fix_quiet(&f->l);
	if (f->ps != NULL)
		pieces_check(f->ps);
}

static void begin(struct fix *f, uint32_t ix)
{
	assert_int_equal(pieces_begin(f->ps, ix), 0);
	assert_int_equal(pieces_segment_bytes(f->ps, ix), SEG);
}

static void get(struct fix *f, uint32_t ix)
{
	begin(f, ix);
	for (uint32_t seg = 0; seg < n_segs(f, ix); seg++) {
		fill(f, ix, seg, false);
		settle(f);
	}
}

static int read_later(struct fix *f, uint64_t off, uint32_t len)
{
	struct fix_answer a = {0};
	uint8_t *dst = mem_alloc(len);
	int err = pieces_read(f->ps, off, len, dst, fix_on_done, &a);

	if (err == 0) {
		fix_until(&f->l, fix_is_set, &a.is_done);
		err = a.err;
	}
	if (err == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
	return err;
}

static void assert_unreadable(struct fix *f, uint32_t ix)
{
	uint8_t byte;

	assert_false(bits_has(pieces_have(f->ps), ix));
	assert_null(pieces_peek(f->ps, ix));
	assert_int_equal(pieces_read_now(f->ps, (uint64_t)ix * PIECE, 1, &byte),
			 ENOENT);
	assert_int_equal(read_later(f, (uint64_t)ix * PIECE, 1), ENOENT);
}

static void on_wait(void *arg, int err, uint32_t ix)
{
	struct fix *f = arg;

	say(f, err == 0 ? 'w' : 'e');
	f->last_err = err;
}

static void wait_for(struct fix *f, uint32_t ix)
{
	f->wait.fn = on_wait;
	f->wait.arg = f;
	pieces_wait(f->ps, ix, &f->wait);
}

static void fail_at(struct fix *f, enum fault_at at, unsigned in, int err)
{
	f->fault->at = at;
	f->fault->in = in;
	f->fault->err = err;
}

#define assert_state(f, ix, state) \
	assert_int_equal(pieces_state((f)->ps, ix), state)
#define assert_counted(f, bytes) \
	assert_int_equal(piece_mem_unverified_bytes((f)->mem), bytes)

/* ---- Tests: the way ---- */

/* Segment by segment to the verdict; then it is read from the store, and
 * nothing of it is in memory. */
static void goes_all_the_way(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	for (uint32_t ix = 0; ix < 3; ix++) {
		wait_for(f, ix);
		begin(f, ix);
		for (uint32_t seg = 0; seg < n_segs(f, ix); seg++) {
			assert_unreadable(f, ix);
			fill(f, ix, seg, false);
		}
		assert_state(f, ix, PIECE_CHECKING);
		assert_unreadable(f, ix);
		settle(f);
		assert_state(f, ix, PIECE_CLEAN);
		assert_null(pieces_peek(f->ps, ix));
	}
	assert_string_equal(f->said, "vwvwvw");
	assert_int_equal(pieces_hashed(f->ps), 3);
	assert_int_equal(read_later(f, 0, TOTAL), 0);
	assert_counted(f, 0);
}

/* In any order; what came before its turn is read back. */
static void takes_segments_in_any_order(void **state)
{
	static const uint32_t orders[][4] = {
		{3, 2, 1, 0}, {1, 0, 3, 2}, {2, 0, 1, 3}};
	struct fix *f = *state;

	open_pieces(f, MANY);
	for (uint32_t k = 0; k < 3; k++) {
		uint32_t ix = k % 2;

		begin(f, ix);
		for (uint32_t i = 0; i < 4; i++) {
			fill(f, ix, orders[k][i], false);
			settle(f);
			pieces_shut(f->ps, ix);
		}
		assert_state(f, ix, PIECE_CLEAN);
		if (k == 1) { /* make room for the third */
			close_pieces(f);
			store_free(&f->fault->base);
			piece_mem_free(f->mem);
			make_store(f, MANY);
			open_pieces(f, MANY);
		}
	}
	assert_int_equal(read_later(f, 0, PIECE), 0);
	assert_counted(f, 0);
}

/* All of it is hashed and right, and its last write is not through: nobody may
 * see it, for nobody could read it. */
static void waits_for_its_writes(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	begin(f, 1);
	for (uint32_t seg = 0; seg < 3; seg++)
		fill(f, 1, seg, false);
	settle(f);
	f->fault->holds_stages = true;
	fill(f, 1, 3, false);
	settle(f);
	assert_state(f, 1, PIECE_CHECKING);
	assert_unreadable(f, 1);
	assert_counted(f, COST + SEG);
	f->fault->holds_stages = false;
	fault_release_stages(f->fault);
	settle(f);
	assert_state(f, 1, PIECE_CLEAN);
	assert_string_equal(f->said, "v");
}

/* ---- Tests: memory ---- */

/* The cap counts what is filled and what is written; a store that is slow is
 * felt, and whoever was refused hears of it when it is through. */
static void a_slow_store_is_felt(void **state)
{
	struct fix *f = *state;

	open_pieces(f, COST + 2 * SEG);
	f->fault->holds_stages = true;
	begin(f, 0);
	fill(f, 0, 0, false);
	fill(f, 0, 1, false);
	settle(f);
	assert_counted(f, COST + 2 * SEG);
	assert_int_equal(pieces_open(f->ps, 0, 2 * SEG), EAGAIN);
	assert_null(pieces_place(f->ps, 0, 2 * SEG));
	assert_int_equal(pieces_begin(f->ps, 1), EAGAIN);
	assert_string_equal(f->said, "");
	fault_release_stages(f->fault);
	settle(f);
	assert_string_equal(f->said, "r");
	assert_counted(f, COST);
	fill(f, 0, 2, false);
	fill(f, 0, 3, false);
	settle(f);
	fault_release_stages(f->fault);
	settle(f);
	assert_state(f, 0, PIECE_CLEAN);
	assert_counted(f, 0);
}

/* Segments that are not full can be taken back, what is full stays. */
static void shuts_what_is_not_full(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	begin(f, 0);
	fill(f, 0, 1, false);
	settle(f);
	assert_counted(f, COST + SEG); /* its turn to be hashed is near */
	assert_int_equal(pieces_open(f->ps, 0, 0), 0);
	assert_int_equal(pieces_open(f->ps, 0, 3 * SEG), 0);
	settle(f);
	assert_counted(f, COST + 3 * SEG);
	pieces_shut(f->ps, 0);
	pieces_check(f->ps);
	assert_counted(f, COST);
	assert_null(pieces_place(f->ps, 0, 0));
	fill(f, 0, 3, false);
	fill(f, 0, 0, false);
	fill(f, 0, 2, false);
	settle(f);
	assert_state(f, 0, PIECE_CLEAN);
	assert_string_equal(f->said, "v");
}

/* ---- Tests: wrong bytes ---- */

/* A wrong piece has no segment left, and digests that tell its wrong block from
 * the right one. */
static void tells_where_it_was_wrong(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	wait_for(f, 0);
	begin(f, 0);
	for (uint32_t seg = 0; seg < 4; seg++)
		fill(f, 0, seg, seg == 2);
	settle(f);
	assert_string_equal(f->said, "b");
	assert_true(f->has_digests[0]);
	assert_unreadable(f, 0);
	assert_counted(f, COST);
	for (uint32_t seg = 4; seg-- > 0;)
		fill(f, 0, seg, false);
	settle(f);
	assert_string_equal(f->said, "bvw");
	assert_true(f->has_digests[1]);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(f->digests[0][i] != f->digests[1][i], i == 2);
	assert_int_equal(read_later(f, 0, PIECE), 0);
	assert_counted(f, 0);
}

/* Wrong again and again: each time it says so. */
static void may_be_wrong_again(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	begin(f, 2);
	for (unsigned i = 0; i < 3; i++) {
		f->has_digests[0] = false;
		for (uint32_t seg = 0; seg < n_segs(f, 2); seg++)
			fill(f, 2, seg, seg == i);
		settle(f);
		assert_true(f->has_digests[0]);
	}
	assert_string_equal(f->said, "bbb");
	pieces_abandon(f->ps, 2);
	assert_state(f, 2, PIECE_ABSENT);
	assert_counted(f, 0);
}

/* Only what is not believed is filled anew, whichever segment that is; what was
 * hashed before is read back. */
static void what_is_believed_stays(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	for (uint32_t ix = 0; ix < 3; ix++) {
		uint32_t bad = (ix + 1) % 3;

		f->said[0] = '\0';
		f->believed = ~(1u << bad);
		begin(f, ix);
		for (uint32_t seg = 0; seg < n_segs(f, ix); seg++)
			fill(f, ix, seg, seg == bad);
		settle(f);
		assert_string_equal(f->said, "b");
		fill(f, ix, bad, true); /* once more */
		settle(f);
		assert_string_equal(f->said, "bb");
		assert_true(f->has_digests[0]);
		fill(f, ix, bad, false);
		settle(f);
		assert_string_equal(f->said, "bbv");
		assert_state(f, ix, PIECE_CLEAN);
		assert_int_equal(
			read_later(f, ix, metainfo_piece_bytes(f->mi, ix)), 0);
	}
	assert_counted(f, 0);
}

/* The evidence cannot be read back: it was wrong all the same. */
static void is_wrong_without_evidence(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	begin(f, 0);
	for (uint32_t seg = 0; seg < 3; seg++) {
		fill(f, 0, seg, seg == 0);
		settle(f);
	}
	fail_at(f, FAULT_READ, 2, EIO);
	fill(f, 0, 3, false);
	settle(f);
	assert_string_equal(f->said, "b");
	assert_false(f->has_digests[0]);
	for (uint32_t seg = 0; seg < 4; seg++)
		fill(f, 0, seg, false);
	settle(f);
	assert_string_equal(f->said, "bv");
}

/* ---- Tests: failures ---- */

/* A write that fails, at once or later, first or last: the piece is given up
 * and nothing of it is seen. Too long for memory, it leaves its waiter with the
 * error, and rests. */
static void fails_with_a_write(void **state)
{
	static const enum fault_at at[] = {FAULT_STAGE_START, FAULT_STAGE};
	struct fix *f = *state;

	for (unsigned k = 0; k < 2; k++)
		for (unsigned in = 0; in < 4; in++) {
			open_pieces(f, COST + 3 * SEG);
			memset(f->said, 0, sizeof(f->said));
			fail_at(f, at[k], in, ENOSPC);
			wait_for(f, 1);
			begin(f, 1);
			for (uint32_t seg = 0; f->said[0] == '\0'; seg++) {
				fill(f, 1, seg, false);
				settle(f);
			}
			assert_string_equal(f->said, "fe");
			assert_int_equal(f->last_err, ENOSPC);
			assert_state(f, 1, PIECE_ABSENT);
			assert_unreadable(f, 1);
			assert_counted(f, 0);
			assert_int_equal(pieces_begin(f->ps, 1), ENOSPC);
			assert_true(f->fault->n_unstages > 0);
			close_pieces(f);
			piece_mem_free(f->mem);
			f->mem = NULL;
		}
}

/* If memory has room for it, it goes there next time, and who waits for it
 * waits on. */
static void falls_back_to_memory(void **state)
{
	struct fix *f = *state;
	uint8_t *data;

	open_pieces(f, MANY);
	f->fault->is_sticky = true;
	fail_at(f, FAULT_STAGE, 1, EIO);
	wait_for(f, 0);
	begin(f, 0);
	fill(f, 0, 0, false);
	fill(f, 0, 1, false);
	settle(f);
	assert_string_equal(f->said, "f");
	assert_state(f, 0, PIECE_WANTED);
	assert_int_equal(pieces_segment_bytes(f->ps, 0), PIECE);
	assert_int_equal(pieces_begin(f->ps, 0), 0);
	data = pieces_place(f->ps, 0, 0);
	assert_non_null(data);
	assert_counted(f, PIECE);
	fix_fill(data, 0, PIECE);
	pieces_filled(f->ps, 0, 0);
	settle(f);
	assert_string_equal(f->said, "fvw");
	assert_int_equal(read_later(f, 0, PIECE), 0);
}

/* What was staged cannot be read back for its hash. */
static void fails_with_a_read(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	begin(f, 0);
	fill(f, 0, 1, false);
	settle(f);
	pieces_shut(f->ps, 0);
	fail_at(f, FAULT_READ, 0, EIO);
	fill(f, 0, 0, false);
	settle(f);
	assert_string_equal(f->said, "f");
	assert_state(f, 0, PIECE_ABSENT);
	assert_counted(f, 0);
}

/* It is right, and the store will not keep it: at once, or later. */
static void fails_with_its_put(void **state)
{
	struct fix *f = *state;

	open_pieces(f, COST + 3 * SEG);
	fail_at(f, FAULT_PUT_START, 0, ENOMEM);
	wait_for(f, 0);
	get(f, 0);
	assert_string_equal(f->said, "fe");
	assert_unreadable(f, 0);
	close_pieces(f);
	piece_mem_free(f->mem);
	memset(f->said, 0, sizeof(f->said));
	open_pieces(f, MANY);
	fail_at(f, FAULT_PUT_DURABLE, 0, EIO);
	get(f, 0);
	assert_string_equal(f->said, "vl");
	assert_state(f, 0, PIECE_ABSENT);
	get(f, 0);
	assert_string_equal(f->said, "vlv");
	assert_counted(f, 0);
}

/* A store that has no room, and nothing that may go, says so. */
static void fails_when_the_store_is_full(void **state)
{
	struct fix *f = *state;
	struct bits pins = {0};

	store_free(&f->fault->base);
	make_store(f, PIECE + SEG);
	open_pieces(f, COST + 3 * SEG);
	assert_int_equal(bits_init(&pins, f->mi->n_files), 0);
	bits_set(&pins, 0);
	assert_int_equal(pieces_keep_pins(f->ps, &pins), 0);
	bits_fini(&pins);
	get(f, 0);
	begin(f, 1);
	fill(f, 1, 0, false);
	fill(f, 1, 1, false);
	settle(f);
	assert_string_equal(f->said, "vf");
	assert_int_equal(f->last_err, ENOSPC);
	assert_int_equal(read_later(f, 0, PIECE), 0);
	assert_counted(f, 0);
}

/* ---- Tests: ends ---- */

/* Given up in the middle of its writes, it cannot begin anew before they are
 * through: they would come behind the new ones. */
static void begins_anew_after_its_writes(void **state)
{
	struct fix *f = *state;

	open_pieces(f, MANY);
	f->fault->holds_stages = true;
	begin(f, 0);
	fill(f, 0, 0, true);
	assert_int_equal(pieces_open(f->ps, 0, SEG), 0);
	pieces_abandon(f->ps, 0);
	assert_state(f, 0, PIECE_ABSENT);
	settle(f);
	assert_counted(f, COST + SEG); /* what is written is in memory */
	assert_int_equal(pieces_begin(f->ps, 0), EBUSY);
	assert_int_equal(f->fault->n_unstages, 0);
	f->fault->holds_stages = false;
	fault_release_stages(f->fault);
	settle(f);
	assert_string_equal(f->said, "r");
	assert_int_equal(f->fault->n_unstages, 1);
	assert_counted(f, 0);
	get(f, 0);
	assert_int_equal(read_later(f, 0, PIECE), 0);
}

/* Closed at any point of a piece's way, with writes and hashes under way. */
static void closes_at_any_point(void **state)
{
	struct fix *f = *state;

	for (unsigned n = 0; n <= 4; n++)
		for (unsigned holds = 0; holds < 2; holds++) {
			open_pieces(f, MANY);
			f->fault->holds_stages = holds;
			begin(f, 0);
			for (uint32_t seg = 0; seg < n; seg++)
				fill(f, 0, seg, seg == 1);
			close_pieces(f);
			settle(f);
			assert_counted(f, 0);
			piece_mem_free(f->mem);
			f->mem = NULL;
		}
}

/* Whatever allocation fails, nothing leaks, hangs, or is read that should not
 * be; and in the end it works. */
static void survives_no_memory(void **state)
{
	struct fix *f = *state;
	bool is_done = false;

	for (unsigned n = 0; !is_done; n++) {
		uint32_t seg = 0;
		int err;

		open_pieces(f, MANY);
		memset(f->said, 0, sizeof(f->said));
		mem_fail_after(n, 0);
		err = pieces_begin(f->ps, 0);
		for (; err == 0 && seg < 4; seg++) {
			uint32_t k = seg ^ 1; /* so that some are read back */

			err = pieces_open(f->ps, 0, k * SEG);
			if (err != 0)
				break;
			fix_fill(pieces_place(f->ps, 0, k * SEG), k * SEG, SEG);
			pieces_filled(f->ps, 0, k * SEG);
			settle(f);
			if (pieces_state(f->ps, 0) == PIECE_ABSENT)
				break;
			pieces_shut(f->ps, 0);
		}
		mem_fail_after(UINT64_MAX, 0);
		settle(f);
		is_done = strcmp(f->said, "v") == 0 && n > 30;
		if (bits_has(pieces_have(f->ps), 0))
			assert_int_equal(read_later(f, 0, PIECE), 0);
		close_pieces(f);
		assert_counted(f, 0);
		piece_mem_free(f->mem);
		f->mem = NULL;
		store_free(&f->fault->base);
		make_store(f, MANY);
		assert_true(n < 300);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(goes_all_the_way),
		T(takes_segments_in_any_order),
		T(waits_for_its_writes),
		T(a_slow_store_is_felt),
		T(shuts_what_is_not_full),
		T(tells_where_it_was_wrong),
		T(may_be_wrong_again),
		T(what_is_believed_stays),
		T(is_wrong_without_evidence),
		T(fails_with_a_write),
		T(falls_back_to_memory),
		T(fails_with_a_read),
		T(fails_with_its_put),
		T(fails_when_the_store_is_full),
		T(begins_anew_after_its_writes),
		T(closes_at_any_point),
		T(survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
