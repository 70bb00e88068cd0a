/* test_extent — piece space cut into files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/extent.h"
#include "core/metainfo.h"
#include "core/queue.h"

enum { PIECE = 16384 };

/* A v2 shape: each file begins at a piece; one pad, one empty file. */
static struct mi_file files[] = {
	{.off_bytes = 0, .len_bytes = 100},
	{.off_bytes = PIECE, .len_bytes = 0},
	{.off_bytes = PIECE, .len_bytes = PIECE + 7},
	{.off_bytes = 2 * PIECE + 7, .len_bytes = 93, .attr = MI_ATTR_PAD},
	{.off_bytes = 3 * PIECE, .len_bytes = 5},
};

static const struct metainfo mi = {
	.files = files,
	.n_files = 5,
	.piece_bytes = PIECE,
	.n_pieces = 4,
	.total_bytes = 3 * PIECE + 5,
};

struct want {
	uint32_t file_ix;
	uint64_t off;
	uint32_t len;
};

static void assert_walk(uint64_t off, uint32_t len, const struct want *want,
			unsigned n)
{
	struct extent_walk walk;
	struct extent e;
	uint32_t pos = 0;

	extent_walk_init(&walk, &mi, off, len);
	for (unsigned i = 0; i < n; i++) {
		assert_true(extent_next(&walk, &e));
		assert_int_equal(e.file_ix, want[i].file_ix);
		assert_int_equal(e.len_bytes, want[i].len);
		assert_int_equal(e.pos_bytes, pos);
		if (e.file_ix != EXTENT_NO_FILE)
			assert_int_equal(e.off_bytes, want[i].off);
		pos += e.len_bytes;
	}
	assert_false(extent_next(&walk, &e));
	assert_int_equal(pos, len);
}

/* The whole space is files, gaps and pads, without a hole between them. */
static void covers_everything(void **state)
{
	const struct want want[] = {
		{0, 0, 100},
		{EXTENT_NO_FILE, 0, PIECE - 100},
		{2, 0, PIECE + 7},
		{EXTENT_NO_FILE, 0, 93},
		{EXTENT_NO_FILE, 0, PIECE - 100},
		{4, 0, 5},
	};

	assert_walk(0, 3 * PIECE + 5, want, 6);
}

/* A run may begin and end inside a file, a gap, or behind the end. */
static void begins_anywhere(void **state)
{
	const struct want inside[] = {{2, 3, 4}};
	const struct want gap[] = {{EXTENT_NO_FILE, 0, 2}};
	const struct want end[] = {{4, 3, 2}, {EXTENT_NO_FILE, 0, 10}};

	assert_walk(PIECE + 3, 4, inside, 1);
	assert_walk(200, 2, gap, 1);
	assert_walk(3 * PIECE + 3, 12, end, 2);
	assert_walk(5, 0, NULL, 0);
}

/* A file's pieces are those that its bytes lie in. */
static void knows_a_files_pieces(void **state)
{
	uint32_t last;

	assert_int_equal(extent_pieces(&mi, 0, &last), 0);
	assert_int_equal(last, 0);
	assert_int_equal(extent_pieces(&mi, 2, &last), 1);
	assert_int_equal(last, 2);
	assert_int_equal(extent_pieces(&mi, 4, &last), 3);
	assert_int_equal(last, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(covers_everything),
		cmocka_unit_test(begins_anywhere),
		cmocka_unit_test(knows_a_files_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
