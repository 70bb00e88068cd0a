/* test_why — each cause has its line, and the nearest one is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "net/why.h"

static void assert_line(struct why w, const char *want)
{
	char line[256];

	why_text(&w, line, sizeof(line));
	assert_string_equal(line, want);
}

/* Nobody is connected: what is done about it, or why there is nobody. */
static void no_peers(void **state)
{
	assert_line((struct why){.piece_ix = 4},
		    "no peers known, and no tracker to ask");
	assert_line((struct why){.n_trackers = 2},
		    "no peers known; the trackers name none");
	assert_line((struct why){.n_trackers = 1,
				 .tracker_trouble = "torrent not registered"},
		    "no peers known; tracker: torrent not registered");
	assert_line((struct why){.n_known = 3},
		    "none of 3 known peers answers");
	assert_line((struct why){.n_known = 3, .tracker_trouble = "refused"},
		    "none of 3 known peers answers; tracker: refused");
	assert_line((struct why){.n_known = 3, .n_dialing = 2},
		    "connecting to 2 of 3 known peers");
}

/* Peers are there: who has it, who lets us have it, who is at it. */
static void peers(void **state)
{
	struct why w = {.piece_ix = 9, .n_up = 5};

	assert_line(w, "none of 5 connected peers has piece 9");
	w.n_has = 3;
	assert_line(w, "all 3 peers with piece 9 choke us");
	w.n_open = 2;
	assert_line(w, "piece 9 is about to be asked for");
	w.is_lacking = true;
	assert_line(w, "piece 9 waits for memory or for a peer's turn");
	w.limit_Bps = 2048;
	assert_line(w, "the limit of 2 KiB/s has piece 9 wait");
	w.n_blocks = 4;
	w.n_from = 2;
	assert_line(w, "waiting for 4 blocks of piece 9 from 2 peers");
	w.n_stalled = 2;
	assert_line(w, "all 2 peers with piece 9 have stalled");
	w.is_checking = true;
	assert_line(w, "piece 9 is being checked");
}

/* A web seed counts when no peer is at it. */
static void web_seeds(void **state)
{
	struct why w = {.piece_ix = 1, .n_web_blocks = 8};

	assert_line(w, "waiting for 8 blocks of piece 1 from a web seed");
	w = (struct why){.piece_ix = 1, .web_trouble = "404 Not Found"};
	assert_line(w, "web seed: 404 Not Found");
	w.n_up = w.n_has = w.n_open = w.n_blocks = w.n_from = 1;
	assert_line(w, "waiting for 1 blocks of piece 1 from 1 peers");
}

/* Wrong hashes, and a store without room, are said besides. */
static void besides(void **state)
{
	struct why w = {.piece_ix = 2, .n_up = 1, .n_bad = 1};

	assert_line(w, "none of 1 connected peers has piece 2; its hash was "
		       "wrong 1 time");
	w.n_bad = 3;
	w.keep_err = ENOSPC;
	assert_line(w, "none of 1 connected peers has piece 2; its hash was "
		       "wrong 3 times; the store keeps nothing: the disk is "
		       "full, or the quota used up");
	w.is_resting = true;
	assert_line(w, "the store could not keep a piece: the disk is full, or "
		       "the quota used up; trying again soon");
	w.keep_err = 0;
	assert_line(w, "the store could not keep a piece: it was lost; trying "
		       "again soon");
}

/* Metadata waits for peers, and nothing else. */
static void metadata(void **state)
{
	struct why w = {.is_metadata = true};

	assert_line(w, "waiting for metadata: no peers known, and no tracker "
		       "to ask");
	w.n_up = 2;
	assert_line(w, "waiting for metadata: none of 2 connected peers has "
		       "sent it yet");
}

/* What does not fit is cut, with its NUL. */
static void is_cut(void **state)
{
	struct why w = {.n_bad = 1, .keep_err = ENOSPC};
	char line[300];

	for (size_t len = 1; len < sizeof(line); len++) {
		memset(line, 'x', sizeof(line));
		why_text(&w, line, len);
		assert_true(strlen(line) < len);
		assert_int_equal(line[len], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_peers),  cmocka_unit_test(peers),
		cmocka_unit_test(web_seeds), cmocka_unit_test(besides),
		cmocka_unit_test(metadata),  cmocka_unit_test(is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
