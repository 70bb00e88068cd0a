/* test_verify_queue — whole pieces that wait to be hashed: how long, in whose
 * company, and that each is judged by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/verify_queue.h"
#include "core/hash_row.h"
#include "tests/lib/cache_fix.h"

/* ---- Fixture: the pieces of a torrent, and a queue ---- */

enum { PIECE_BYTES = 1 << 20, LONG_BYTES = 2 << 20, N_PIECES = 8 };

struct fix;

struct piece {
	struct verify_job v;
	struct fix *f;
	struct blk *blk;
	bool is_done;
};

struct fix {
	struct fix_loop l;
	struct metainfo *mi;
	struct verify_queue q;
	struct piece pieces[N_PIECES];
	unsigned n_done;
};

static int set_up_of(void **state, uint32_t piece_bytes)
{
	uint64_t len = (uint64_t)N_PIECES * piece_bytes - 1000;
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 1);
	f->mi = fix_torrent_of(&f->l, "film", &len, 1, piece_bytes);
	verify_queue_init(&f->q);
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		f->pieces[ix].f = f;
		f->pieces[ix].blk = fix_piece(&f->l, f->mi, ix);
	}
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_of(state, PIECE_BYTES);
}

static int set_up_long(void **state)
{
	return set_up_of(state, LONG_BYTES);
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	assert_int_equal(f->q.n_jobs, 0);
	verify_queue_fini(&f->q);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		blk_drop(f->pieces[ix].blk);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	mem_free(f);
	return 0;
}

static void on_hashed(struct job *job)
{
	struct piece *p = CONTAINER_OF(job, struct piece, v.job);

	assert_false(p->is_done);
	p->is_done = true;
	p->f->n_done++;
}

static void add(struct fix *f, uint32_t first, uint32_t n)
{
	for (uint32_t ix = first; ix < first + n; ix++) {
		struct piece *p = &f->pieces[ix];

		p->is_done = false;
		p->v = (struct verify_job){
			.mi = f->mi, .data = p->blk->data, .piece_ix = ix};
		verify_queue_add(&f->q, &p->v, f->l.loop, f->l.workers,
				 on_hashed);
	}
}

/* As if pieces had come just now, or long ago. */
static void come_fast(struct fix *f)
{
	for (unsigned i = 0; i < VERIFY_COMPANY; i++)
		f->q.added_us[i] = loop_now_us(f->l.loop);
	f->q.n_added = VERIFY_COMPANY;
}

static void come_slowly(struct fix *f)
{
	for (unsigned i = 0; i < VERIFY_COMPANY; i++)
		f->q.added_us[i] = 0;
}

static bool are_done(void *arg)
{
	struct fix *f = arg;

	return f->q.n_waiting == 0 && f->q.n_jobs == 0;
}

/* ---- Tests ---- */

/* As many as are waited for on this machine; 1: none ever waits. */
static unsigned company(void)
{
	return hash_row_best(HASH_SHA1, 6);
}

/* While they come fast nobody goes before there is a row; then all of it goes,
 * as one job. The wrong one among them is named, and no other. */
static void goes_in_company(void **state)
{
	struct fix *f = *state;
	unsigned n = company();

	if (n == 1)
		skip();
	come_fast(f);
	f->pieces[1].blk->data[77] ^= 1;
	add(f, 0, n - 1);
	assert_int_equal(f->q.n_waiting, n - 1);
	assert_int_equal(f->q.n_jobs, 0);
	add(f, n - 1, 1);
	assert_int_equal(f->q.n_jobs, 1);
	assert_int_equal(f->q.n_waiting, 0);
	fix_until(&f->l, are_done, f);
	assert_int_equal(f->n_done, n);
	for (uint32_t ix = 0; ix < n; ix++)
		assert_int_equal(f->pieces[ix].v.verdict,
				 ix == 1 ? PIECE_WRONG : PIECE_RIGHT);
}

/* A piece that somebody waits for takes along who is there. The last one is
 * shorter, and goes alone. */
static void goes_when_waited_for(void **state)
{
	struct fix *f = *state;

	if (company() < 3)
		skip();
	come_fast(f);
	add(f, N_PIECES - 2, 2);
	assert_int_equal(f->q.n_jobs, 0);
	verify_queue_hurry(&f->q);
	assert_int_equal(f->q.n_jobs, 1);
	fix_until(&f->l, are_done, f);
	for (uint32_t ix = N_PIECES - 2; ix < N_PIECES; ix++)
		assert_int_equal(f->pieces[ix].v.verdict, PIECE_RIGHT);
}

/* A piece whose company does not come goes; where they come slowly none waits.
 */
static void does_not_wait_for_nobody(void **state)
{
	struct fix *f = *state;

	come_fast(f);
	add(f, 0, 1);
	assert_int_equal(f->q.n_waiting, company() > 1 ? 1 : 0);
	fix_until(&f->l, are_done, f);
	assert_int_equal(f->pieces[0].v.verdict, PIECE_RIGHT);
	come_slowly(f);
	add(f, 1, 1);
	assert_int_equal(f->q.n_waiting, 0);
	fix_until(&f->l, are_done, f);
	assert_int_equal(f->n_done, 2);
}

/* Long pieces go in pairs: the first waits for one more, and not for a third.
 * One that somebody waits for goes alone. */
static void long_ones_go_in_pairs(void **state)
{
	struct fix *f = *state;

	if (hash_row_best(HASH_SHA1, 2) < 2)
		skip();
	come_fast(f);
	f->pieces[0].blk->data[77] ^= 1;
	add(f, 0, 1);
	assert_int_equal(f->q.n_waiting, 1);
	add(f, 1, 1);
	assert_int_equal(f->q.n_waiting, 0);
	assert_int_equal(f->q.n_jobs, 1);
	fix_until(&f->l, are_done, f);
	assert_int_equal(f->pieces[0].v.verdict, PIECE_WRONG);
	assert_int_equal(f->pieces[1].v.verdict, PIECE_RIGHT);
	come_fast(f);
	add(f, 2, 1);
	assert_int_equal(f->q.n_waiting, 1);
	verify_queue_hurry(&f->q);
	assert_int_equal(f->q.n_waiting, 0);
	fix_until(&f->l, are_done, f);
	assert_int_equal(f->pieces[2].v.verdict, PIECE_RIGHT);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(goes_in_company),
		T(goes_when_waited_for),
		T(does_not_wait_for_nobody),
		cmocka_unit_test_setup_teardown(long_ones_go_in_pairs,
						set_up_long, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
