/* test_wall_net — the wall clock jumps by years, forward and back: peers are
 * not dropped, nothing falls due early or late, and reads end with their bytes.
 */
#include "net/torrent_internal.h"
#include "tests/lib/wall_jumps.h"
#include "tests/unit/net/net_world.h"

#include "core/clock.h"

enum { PIECE = 64 << 10, PIECES = 24 };

static const unsigned SEED0[] = {0};

/* A leecher reads all of it, piece after piece. */
static void reads_go_on(void **state)
{
	struct world *w = *state;
	struct node *n = &w->nodes[1];
	int64_t least = INT64_MAX, most = INT64_MIN;

	world_torrent(w, PIECES, PIECE, (uint64_t)PIECES * PIECE - 1000);
	node_seed(w, 0, HOLDS_ALL);
	node_start(w, 1, HOLDS_NONE, SEED0, 1, false);
	node_add(n);
	for (uint64_t at = 0; at + PIECE < w->total; at += PIECE) {
		int64_t now = clock_wall_s();

		least = now < least ? now : least;
		most = now > most ? now : most;
		node_read(n, at, PIECE);
	}
	assert_true(most - least > 365 * 86400);
	assert_int_equal(node_view(n).down_bytes, (PIECES - 1) * PIECE);
	assert_int_equal(node_view(n).waste_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_go_on, world_setup,
						world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
