/* test_pieces_gain — what pieces make of what another torrent with the same
 * file brings, and loses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/store_mem.h"
#include "tests/lib/v2_fix.h"

enum { LEN = 100000, PIECE = 32 << 10, MEM_BYTES = 16 << 20 };

/* ---- Fixture: a torrent with pieces, another one in the same store ---- */

struct fix {
	struct fix_loop l;
	struct store *s;
	struct piece_mem *mem;
	struct v2_source src, other_src;
	struct metainfo *mi, *other_mi;
	struct fix_answer other;
	struct pieces *ps;
	bool is_open, is_gone;
	unsigned n_verified, n_bad, n_lost, n_brought, n_waits;
	int wait_err;
	struct piece_wait wait;
};

static void on_verified(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	assert_true(bits_has(pieces_have(f->ps), ix));
	f->n_verified++;
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	assert_false(bits_has(pieces_have(f->ps), ix));
	f->n_lost++;
}

static void on_bad(void *arg, uint32_t ix)
{
	((struct fix *)arg)->n_bad++;
}

static void on_failed(void *arg, uint32_t ix, int err)
{
	fail();
}

static void on_brought(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	f->n_brought++;
	pieces_abandon(f->ps, ix);
}

static void on_room(void *arg)
{
}

static const struct pieces_ops ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_failed = on_failed,
	.on_brought = on_brought,
	.on_room = on_room,
	.on_lost = on_lost,
};

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	assert_int_equal(err, 0);
	f->is_open = true;
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);
	struct piece_mem_cfg mem = {.unverified_bytes = 1 << 20,
				    .recent_bytes = 1 << 20};
	struct pieces_cfg cfg = {.ops = &ops, .arg = f};

	fix_loop_init(&f->l, 2);
	f->src = (struct v2_source){.name = "one",
				    .files = {{.seed = 1, .len = LEN}},
				    .n = 1,
				    .piece_bytes = PIECE};
	f->other_src = f->src;
	f->other_src.name = "other";
	f->mi = v2_torrent(&f->l, &f->src);
	f->other_mi = v2_torrent(&f->l, &f->other_src);
	mem.pool = f->l.pool;
	fix_must(store_mem_new(f->l.loop, MEM_BYTES, &f->s), "store");
	fix_must(piece_mem_new(&mem, &f->mem), "memory");
	cfg.loop = f->l.loop;
	cfg.workers = f->l.workers;
	cfg.store = f->s;
	cfg.mem = f->mem;
	cfg.mi = f->mi;
	fix_must(pieces_open_start(&cfg, on_open, f, &f->ps), "pieces");
	fix_until(&f->l, fix_is_set, &f->is_open);
	fix_must(fix_open(&f->l, f->s, f->other_mi, &f->other), "other");
	*state = f;
	return 0;
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	pieces_check(f->ps);
	pieces_close(f->ps, on_gone, f);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	store_close(f->other.st);
	store_free(f->s);
	piece_mem_free(f->mem);
	bits_fini(&f->other.held);
	metainfo_free(f->mi);
	metainfo_free(f->other_mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

/* The other torrent puts it. */
static void bring(struct fix *f, uint32_t ix)
{
	struct fix_answer a = {0};
	struct blk *b = blk_new(f->l.pool, metainfo_piece_bytes(f->mi, ix));

	v2_fill(&f->src, f->mi, (uint64_t)ix * PIECE, b->len, b->data);
	fix_must(store_put(f->other.st, ix, b, fix_on_put, &a), "put");
	blk_drop(b);
	fix_quiet(&f->l);
	fix_quiet(&f->l);
	assert_int_equal(a.n_durable, 1);
}

static void on_wait(void *arg, int err, uint32_t ix)
{
	struct fix *f = arg;

	f->n_waits++;
	f->wait_err = err;
}

static void assert_reads(struct fix *f, uint32_t ix)
{
	uint8_t got[PIECE], want[PIECE];
	uint32_t len = metainfo_piece_bytes(f->mi, ix);

	v2_fill(&f->src, f->mi, (uint64_t)ix * PIECE, len, want);
	assert_int_equal(pieces_read_now(f->ps, (uint64_t)ix * PIECE, len, got),
			 0);
	assert_memory_equal(got, want, len);
}

/* ---- Tests ---- */

/* A piece that nobody asked for is held, announced and read. */
static void absent_is_clean(void **state)
{
	struct fix *f = *state;

	bring(f, 3);
	assert_int_equal(f->n_verified, 1);
	assert_int_equal(pieces_state(f->ps, 3), PIECE_CLEAN);
	assert_reads(f, 3);
}

/* Who waits for it is answered. */
static void waiters_are_answered(void **state)
{
	struct fix *f = *state;

	f->wait = (struct piece_wait){.fn = on_wait, .arg = f};
	f->wait_err = -1;
	pieces_wait(f->ps, 1, &f->wait);
	bring(f, 0);
	assert_int_equal(f->n_waits, 0);
	bring(f, 1);
	assert_int_equal(f->n_waits, 1);
	assert_int_equal(f->wait_err, 0);
	assert_int_equal(pieces_state(f->ps, 1), PIECE_CLEAN);
}

/* One that is under way is given up, and held. */
static void under_way_is_given_up(void **state)
{
	struct fix *f = *state;

	assert_int_equal(pieces_begin(f->ps, 1), 0);
	bring(f, 1);
	assert_int_equal(f->n_brought, 1);
	assert_int_equal(f->n_verified, 1);
	assert_int_equal(pieces_state(f->ps, 1), PIECE_CLEAN);
	assert_reads(f, 1);
}

static void fill(struct fix *f, uint32_t ix, uint8_t wrong)
{
	assert_int_equal(pieces_begin(f->ps, ix), 0);
	v2_fill(&f->src, f->mi, (uint64_t)ix * PIECE, PIECE,
		pieces_place(f->ps, ix, 0));
	pieces_place(f->ps, ix, 0)[7] ^= wrong;
	pieces_filled(f->ps, ix, 0);
}

/* Being hashed, it is as any other. */
static void filled_is_settled(void **state)
{
	struct fix *f = *state;

	fill(f, 1, 0);
	bring(f, 1);
	assert_int_equal(f->n_brought, 0);
	assert_int_equal(f->n_verified, 1);
	assert_int_equal(pieces_state(f->ps, 1), PIECE_CLEAN);
	assert_reads(f, 1);
}

/* It is wrong, and another one has it. */
static void wrong_is_given_up(void **state)
{
	struct fix *f = *state;

	fill(f, 1, 1);
	bring(f, 1);
	fix_quiet(&f->l);
	assert_int_equal(f->n_bad, 1);
	assert_int_equal(f->n_brought, 1);
	assert_int_equal(f->n_verified, 1);
	assert_reads(f, 1);
}

/* What the other one loses is lost, unless it lies in memory. */
static void lost_by_another(void **state)
{
	struct fix *f = *state;

	bring(f, 0);
	store_forget(f->other.st, 0);
	fix_quiet(&f->l);
	assert_int_equal(f->n_lost, 1);
	assert_int_equal(pieces_state(f->ps, 0), PIECE_ABSENT);
	assert_int_equal(pieces_begin(f->ps, 1), 0);
	v2_fill(&f->src, f->mi, PIECE, PIECE, pieces_place(f->ps, 1, 0));
	pieces_filled(f->ps, 1, 0);
	fix_quiet(&f->l);
	fix_quiet(&f->l);
	store_forget(f->other.st, 1);
	fix_quiet(&f->l);
	assert_int_equal(f->n_lost, 1);
	assert_reads(f, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(absent_is_clean),	  T(waiters_are_answered),
		T(under_way_is_given_up), T(filled_is_settled),
		T(wrong_is_given_up),	  T(lost_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
