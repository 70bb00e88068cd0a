/* story — what a store goes through in its life, as one scenario: four torrents
 * are added and remembered, pieces come (whole, staged, as leaves), are read,
 * are evicted, the index is lost and the store started anew, they are read
 * again, and the torrents go. Every promise that was made on the way is written
 * down with the number of operations that the disk (drive.h) had seen by then;
 * so of the disk as it was after any of them, story_check can say whether the
 * promises hold.
 *
 * In a story that may fail an error ends what it meets, and the rest goes on.
 *
 * Thread: one, with its own loop. */
#ifndef SHOAL_TESTS_STORY_H
#define SHOAL_TESTS_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/lib/v2_fix.h"

struct ledger;

/* A sweep takes every so-many-th point: a thread sanitizer looks for races,
 * which are the same at each, and takes five times as long. */
#ifdef __SANITIZE_THREAD__
enum { STORY_STRIDE = 5 };
#else
enum { STORY_STRIDE = 1 };
#endif

enum story_who {
	STORY_V1,     /* three files, odd ends, every third piece staged */
	STORY_CLOSED, /* v1; never opened again */
	STORY_V2,
	STORY_HYBRID, /* has a file of STORY_V2's */
	STORY_N,
};

enum { STORY_PIECES = 32, STORY_MARKS = 1024, STORY_DIR = 64 };

/* A promise, or the end of one. `from`: of an end, where it may begin to show.
 */
struct story_mark {
	enum {
		STORY_DURABLE,
		STORY_LOST,
		STORY_OPENED,
		STORY_REMOVING,
		STORY_REMOVED,
		STORY_KEPT, /* by the ledger */
		STORY_FORGETTING,
		STORY_FORGOTTEN,
		STORY_INDEX_LOST, /* and what was counted */
		STORY_COUNTED,	  /* `ix` bytes came, of all, it is shown */
	} kind;
	enum story_who who;
	uint32_t ix;
	size_t from, at;
};

struct story_torrent {
	struct story *story;
	enum story_who who;
	struct v2_source src; /* of no files: v1 */
	struct metainfo *mi;
	struct fix_answer open;
	bool has[STORY_PIECES]; /* what may be read */
};

struct story {
	struct fix_loop l;
	struct story_torrent torrents[STORY_N];
	char dir[STORY_DIR];
	char why[160];
	struct store *s;
	struct ledger *ledger;
	bool may_fail;
	const char *what;     /* for messages */
	unsigned n_open;      /* answers that are waited for */
	unsigned n_staging;   /* pieces on the way to their put */
	size_t losing_since;  /* evictions may have begun; SIZE_MAX: none can */
	size_t evicting_from; /* the first of them */
	struct story_mark marks[STORY_MARKS];
	unsigned n_marks;
	bool is_remembered[STORY_N]; /* by the ledger that was opened last */
	unsigned n_reads, n_errors;
	unsigned n_wrong; /* pieces that were doubtful, and are not there */
};

void story_init(struct story *y, const char *dir);
void story_fini(struct story *y);

/* story_begin — forgets what was promised. */
void story_begin(struct story *y, const char *dir, bool may_fail);

/* story_run — the whole scenario. Wrong bytes end the process. */
void story_run(struct story *y);

/* story_first — until the first stop, which it leaves out. */
void story_first(struct story *y);

/* story_mend — put what is missing of the three that are opened again, until it
 * is durable: after faults have ended. */
void story_mend(struct story *y);

/* story_start — with a quota, or 0; its err. story_stop — closes what is open.
 * For a beginning or an end that a test makes itself. */
int story_start(struct story *y, uint64_t quota_bytes);
void story_stop(struct story *y);

/* story_index_lost — the index goes now, by a test's doing. */
void story_index_lost(struct story *y);

/* story_check — is what `told` was promised by operation `n` true of the store
 * in y's directory? It is started, and each torrent opened and read. Then it
 * is started again, and nothing may change by that. What is wrong ends the
 * process, with `what` in the message. */
void story_check(struct story *y, const struct story *told, size_t n,
		 const char *what);

#endif
