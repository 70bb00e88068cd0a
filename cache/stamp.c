/* stamp — was it us who changed the blob?
 *
 * Purpose: a blob may be changed behind our back at any time, and reading it
 * does not tell. What tells are its size, its times and its number.
 *
 * How
 *   1. a job that writes looks at the blob before and behind the write. Alone
 *      with it, it must have found what was last seen.
 *   2. several at a time cannot be told apart: the newest of what they saw
 *      behind their writes is what is seen when the last of them has ended.
 *   3. a job that reads looks behind the read. If none of ours wrote meanwhile,
 *      it must find what was last seen. Nobody may have found a change since
 *      the job began, either: what it read may be from behind that.
 *
 * Failure modes: a stamp that is older than the truth (a file system that sets
 * times later) makes a blob doubtful for nothing: it is hashed again. The wall
 * clock may jump: times are compared for being the same, and tell which of two
 * looks is the newer one only when they are close. */
#include "cache/stamp.h"

#include <stddef.h>
#include <sys/stat.h>

#include "core/be.h"

/* Writes that run at a time are not further apart. */
#define JUMP_NS INT64_C(1000000000)

/* ---- values ---- */

static int64_t ns_of(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

void stamp_of(const struct stat *sb, struct stamp *out)
{
	*out = (struct stamp){
		.size_bytes = (uint64_t)sb->st_size,
		.inode = (uint64_t)sb->st_ino,
		.mtime_ns = ns_of(&sb->st_mtim),
		.ctime_ns = ns_of(&sb->st_ctim),
	};
}

bool stamp_is_equal(const struct stamp *a, const struct stamp *b)
{
	return a->size_bytes == b->size_bytes && a->inode == b->inode &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

void stamp_encode(const struct stamp *s, uint8_t out[STAMP_BYTES])
{
	be64_put(out, s->size_bytes);
	be64_put(out + 8, s->inode);
	be64_put(out + 16, (uint64_t)s->mtime_ns);
	be64_put(out + 24, (uint64_t)s->ctime_ns);
}

void stamp_decode(const uint8_t in[STAMP_BYTES], struct stamp *out)
{
	out->size_bytes = be64_get(in);
	out->inode = be64_get(in + 8);
	out->mtime_ns = (int64_t)be64_get(in + 16);
	out->ctime_ns = (int64_t)be64_get(in + 24);
}

/* ---- looks ---- */

bool seen_is_now(const struct sight *s, const struct stamp *now)
{
	return s->n_writers > 0 || !s->is_known ||
	       stamp_is_equal(&s->last, now);
}

void look_begin(struct glance *l, struct sight *seen, bool is_write)
{
	*l = (struct glance){.seen = seen, .is_write = is_write};
	if (seen == NULL)
		return;
	l->was_quiet = seen->n_writers == 0;
	if (is_write) {
		seen->n_writers++;
		seen->n_writes++;
	}
	l->n_writes = seen->n_writes;
	l->n_changes = seen->n_changes;
}

static void see(struct sight *s, const struct glance *l)
{
	s->last = l->after;
	s->last_us = l->after_us;
	s->is_known = true;
	s->is_kept = false;
}

/* A look beside a write of another may see the new time of one kind with the
 * old one of the other, or the new times with the old size. What is further
 * apart than writes can be was not: the wall clock jumped, and when it was
 * looked counts; not always, for the time is taken a moment before the look. */
static bool is_older(const struct glance *l, const struct sight *s)
{
	const struct stamp *a = &l->after, *b = &s->last;
	int64_t apart_ns = a->ctime_ns - b->ctime_ns;

	if (apart_ns > JUMP_NS || apart_ns < -JUMP_NS)
		return l->after_us < s->last_us;
	if (apart_ns != 0)
		return apart_ns < 0;
	if (a->mtime_ns != b->mtime_ns)
		return a->mtime_ns < b->mtime_ns;
	return a->size_bytes < b->size_bytes;
}

static enum look_end end_write(struct glance *l)
{
	struct sight *s = l->seen;
	bool is_alone = l->was_quiet && s->n_writes == l->n_writes;
	bool is_changed = is_alone && l->has_before && s->is_known &&
			  !stamp_is_equal(&l->before, &s->last);

	s->n_writers--;
	s->n_changes += is_changed;
	/* Of those that write at a time the newest counts. */
	if (l->has_after && (is_alone || !s->is_known || !is_older(l, s)))
		see(s, l);
	return is_changed ? LOOK_CHANGED : LOOK_SAME;
}

static enum look_end end_read(struct glance *l)
{
	struct sight *s = l->seen;
	bool is_changed;

	if (l->n_changes != s->n_changes)
		return LOOK_LATE;
	if (!l->was_quiet || s->n_writes != l->n_writes || !l->has_after)
		return LOOK_SAME;
	is_changed = s->is_known && !stamp_is_equal(&l->after, &s->last);
	s->n_changes += is_changed;
	if (is_changed)
		see(s, l);
	return is_changed ? LOOK_CHANGED : LOOK_SAME;
}

enum look_end look_end(struct glance *l)
{
	struct sight *s = l->seen;
	enum look_end end;

	if (s == NULL)
		return LOOK_SAME;
	end = l->is_write ? end_write(l) : end_read(l);
	l->seen = NULL;
	if (!l->is_lost)
		return end;
	s->n_changes += !s->is_lost;
	s->is_lost = true;
	return LOOK_LOST;
}
