/* stamp — what the system says of a blob without reading it, and what we last
 * saw of one: so that a change that is not ours is noticed.
 *
 * A stamp is taken behind each of our own writes, and compared with the next
 * look at the blob. Linux sets the times of a file before its bytes change, so
 * bytes that were read and found with the stamp that they were written under
 * are those that were written. Two things look the same: a change within the
 * clock tick of our own last write (4 ms; none since Linux 6.13), and one while
 * we are writing to that very blob ourselves.
 *
 * Thread: stamp_…: any; seen_…: loop. Pure. */
#ifndef SHOAL_CACHE_STAMP_H
#define SHOAL_CACHE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stat;

enum { STAMP_BYTES = 32 };

struct stamp {
	uint64_t size_bytes;
	uint64_t inode;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

void stamp_of(const struct stat *sb, struct stamp *out);
bool stamp_is_equal(const struct stamp *a, const struct stamp *b);
void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES]);
void stamp_decode(const uint8_t in[STAMP_BYTES], struct stamp *out);

/* What we last saw of one blob. Embedded in its owner. */
struct sight {
	struct stamp last;
	uint64_t last_us; /* when that was seen; monotonic */
	bool is_known;	  /* else there is nothing to compare with */
	bool is_kept;	  /* `last` is in the index */
	bool is_lost;	  /* it was missing, or short, when somebody looked */
	/* Our own jobs that change it, and how many ever began. */
	unsigned n_writers;
	uint64_t n_writes;
	uint64_t n_changes; /* how often others' were found */
};

/* One job's look at a blob. */
struct glance {
	/* set by look_begin */
	struct sight *seen; /* NULL: nobody watches it */
	bool is_write;
	bool was_quiet;
	uint64_t n_writes, n_changes;
	/* the job's reply */
	bool has_before, has_after;
	struct stamp before; /* of a write */
	struct stamp after;
	uint64_t after_us; /* just before that; monotonic */
	bool is_lost;	   /* it is not there, or was cut or unlinked */
};

enum look_end {
	LOOK_SAME,
	LOOK_CHANGED, /* by somebody else; it is seen as it is now */
	LOOK_LATE,    /* another look found that while this job ran */
	LOOK_LOST,    /* changed, and bytes are gone */
};

void look_begin(struct glance *l, struct sight *seen, bool is_write);
enum look_end look_end(struct glance *l);

/* seen_is_now — is this how we left it? True while we write to it. */
bool seen_is_now(const struct sight *s, const struct stamp *now);

#endif
