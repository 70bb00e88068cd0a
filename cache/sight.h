/* sight — what we last saw of one blob, and whose turn it is to change it: so
 * that no change of somebody else's is taken for ours.
 *
 *   1. Our own jobs change a blob one after the other. Each finds it as the
 *      last one left it, or somebody else has changed it.
 *   2. Behind its change a job gives the file a time of its own: the kernel's
 *      clock of files may stand still for 4 ms (none since Linux 6.13), and
 *      what is changed right after us would look like us.
 *   3. While a job changes the file nobody else has it open, nor can open it (a
 *      lease, fcntl(2)). The job waits some milliseconds for one who has.
 *   4. Who has read looks behind himself. Linux sets the times of a file before
 *      its bytes change, so what was read and then found as it was left is what
 *      was written. While one of ours changes it there is nothing to compare,
 *      but that job has just compared.
 *
 * What is not told from ours: a change in the very moment of ours by somebody
 * who has the file open for long, or on a file system without leases, and none
 * besides.
 *
 * Thread: look_begin, look_end and what has no other word: loop. */
#ifndef SHOAL_CACHE_SIGHT_H
#define SHOAL_CACHE_SIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/stamp.h"
#include "core/mutex.h"

struct stat;

/* Of one blob. Embedded in its owner, which lives while jobs look. */
struct sight {
	struct mutex turn;   /* held by the job that changes the blob; */
	bool is_awaited;     /* somebody waited to open it while we did */
	uint64_t crowded_us; /* when we last waited in vain for others */
	struct mutex lock;   /* briefly; of what follows: */
	struct stamp last;
	bool is_known;	  /* else there is nothing to compare with */
	bool is_turn;	  /* it is being changed by us */
	uint64_t n_found; /* changes of others, by whichever job */
	/* loop only */
	bool is_kept;	    /* `last` is in the index */
	bool is_lost;	    /* it was missing, or short, when somebody looked */
	unsigned n_writers; /* our own jobs that change it */
	uint64_t n_told;    /* changes that the loop knows of */
};

void sight_init(struct sight *s);
void sight_fini(struct sight *s);

/* sight_see — this is how it was left; reads that are under way are late.
 * sight_forget — what is known of it is of another file. sight_last — false:
 * nothing is known. */
void sight_see(struct sight *s, const struct stamp *now);
void sight_forget(struct sight *s);
bool sight_last(struct sight *s, struct stamp *out);

/* sight_is_now — what was just read of `fd` is as we left it. Never waits:
 * false also when it cannot be told at once. */
bool sight_is_now(struct sight *s, int fd);

/* One job's look at a blob. */
struct glance {
	/* set by look_begin */
	struct sight *seen; /* NULL: nobody watches it */
	bool is_write;
	uint64_t n_told;
	/* the job's own */
	bool has_turn;
	bool is_alone; /* nobody else has it open, nor can open it */
	/* the job's reply */
	bool is_changed; /* by somebody else */
	bool is_late;	 /* another job found that while this one ran */
	bool is_lost;	 /* it is not there, or was cut or unlinked */
};

enum look_end {
	LOOK_SAME,
	LOOK_CHANGED, /* by somebody else, and nobody was told yet */
	LOOK_LATE,    /* everybody was, while this job ran */
	LOOK_LOST,    /* changed, and bytes are gone */
};

void look_begin(struct glance *l, struct sight *seen, bool is_write);
enum look_end look_end(struct glance *l);

/* Worker. look_turn … look_before … look_turn_end — around a change, in this
 * order; the second may be missing, if the blob could not be opened. look_turn
 * waits for others of ours. look_before: how it is, in `sb` too, before the
 * change; 0 or what fstat said. `is_patient`: it waits for others to close the
 * file; not for who has it open twice himself. look_turn_end: `fd` -1, or how
 * it was left, of at least `file_bytes`. look_behind — how it is, after it was
 * read. look_wait — it could not be opened without waiting, since somebody has
 * a lease; if it was one of ours, that is over. */
void look_turn(struct glance *l);
int look_before(struct glance *l, int fd, bool is_patient, struct stat *sb);
void look_turn_end(struct glance *l, int fd, uint64_t file_bytes);
void look_behind(struct glance *l, int fd, uint64_t file_bytes);
void look_wait(struct glance *l);

/* look_is_cut — it is short, or has no name any more. */
bool look_is_cut(const struct stat *sb, uint64_t file_bytes);

#endif
