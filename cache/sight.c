/* sight — was it us who changed the blob?
 *
 * Purpose: of a blob that several of our threads write to, any byte may be
 * changed by somebody else at any moment; each such change has to be noticed
 * before a byte of the blob goes to anybody.
 *
 * How: the two locks. `turn` is held over a whole change, a write to a slow
 * disk included; the kernel would let only one of them write to a file at a
 * time anyway. `lock` is held over one fstat and the comparison, so that both
 * are of one moment; nobody who holds it waits for a disk, and the loop does
 * not even wait for it.
 *
 * Found and told: whoever finds a change counts it (n_found), on its own
 * thread. The loop tells the owner (n_told), perhaps much later, when that
 * job's change was written. Whoever began to read in between is late all the
 * same: what he compares with at his end is what the loop knew when he began.
 *
 * A lease keeps others waiting who want to open the file, and the kernel does
 * not keep them in a line: whoever waits comes in only between two leases. So
 * the next turn leaves him the time to (is_awaited), and then waits until he
 * has closed it. Who keeps it open (a backup, a player) is not waited for again
 * within a second.
 *
 * Failure modes: no lease (another file system, or he stays): see sight.h. A
 * file whose times cannot be set keeps those of the kernel. A file that cannot
 * be looked at any more is found changed at the next look: it is hashed again.
 */
#include "cache/sight.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "cache/cache_limits.h"
#include "core/clock.h"

/* ---- what was seen ---- */

void sight_init(struct sight *s)
{
	*s = (struct sight){0};
	mutex_init(&s->turn);
	mutex_init(&s->lock);
}

void sight_fini(struct sight *s)
{
	assert(s->n_writers == 0);
	mutex_fini(&s->turn);
	mutex_fini(&s->lock);
}

static void set(struct sight *s, const struct stamp *now)
{
	mutex_lock(&s->lock);
	s->is_known = now != NULL;
	if (now != NULL)
		s->last = *now;
	s->n_told = ++s->n_found;
	mutex_unlock(&s->lock);
	s->is_kept = false;
	s->is_lost = false;
}

void sight_see(struct sight *s, const struct stamp *now)
{
	set(s, now);
}

void sight_forget(struct sight *s)
{
	set(s, NULL);
}

bool sight_last(struct sight *s, struct stamp *out)
{
	bool is_known;

	mutex_lock(&s->lock);
	is_known = s->is_known;
	*out = s->last;
	mutex_unlock(&s->lock);
	return is_known;
}

bool look_is_cut(const struct stat *sb, uint64_t file_bytes)
{
	return sb->st_nlink == 0 || (uint64_t)sb->st_size < file_bytes;
}

static bool is_as_left(const struct sight *s, const struct stat *sb)
{
	struct stamp now;

	stamp_of(sb, &now);
	return s->is_turn || !s->is_known || stamp_is_equal(&s->last, &now);
}

bool sight_is_now(struct sight *s, int fd)
{
	struct stat sb;
	bool is_now;

	if (!mutex_try(&s->lock))
		return false;
	is_now = s->n_found == s->n_told && fstat(fd, &sb) == 0 &&
		 !look_is_cut(&sb, 0) && is_as_left(s, &sb);
	mutex_unlock(&s->lock);
	return is_now;
}

/* ---- looks ---- */

void look_begin(struct glance *l, struct sight *seen, bool is_write)
{
	*l = (struct glance){.seen = seen, .is_write = is_write};
	if (seen == NULL)
		return;
	seen->n_writers += is_write;
	l->n_told = seen->n_told;
}

enum look_end look_end(struct glance *l)
{
	struct sight *s = l->seen;
	bool is_news;

	assert(!l->has_turn);
	if (s == NULL)
		return LOOK_SAME;
	l->seen = NULL;
	s->n_writers -= l->is_write;
	if (l->is_write || l->is_changed)
		s->is_kept = false;
	mutex_lock(&s->lock);
	s->n_found += l->is_lost && !s->is_lost;
	is_news = s->n_told != s->n_found;
	s->n_told = s->n_found;
	mutex_unlock(&s->lock);
	s->is_lost |= l->is_lost;
	if (l->is_lost)
		return LOOK_LOST;
	if (is_news)
		return LOOK_CHANGED;
	return l->is_late ? LOOK_LATE : LOOK_SAME;
}

/* ---- of workers ---- */

/* Compares, and what is there is what was seen from now on. */
static void compare(struct glance *l, const struct stat *sb)
{
	struct sight *s = l->seen;

	if (is_as_left(s, sb))
		return;
	l->is_changed = true;
	s->n_found++;
	stamp_of(sb, &s->last);
}

/* Who opens the file meanwhile waits until this is given back, and we get a
 * signal: one that does nothing. 0 or errno; EAGAIN: somebody has it open. */
static int lease(int fd)
{
	return fcntl(fd, F_SETSIG, SIGURG) == 0 &&
			       fcntl(fd, F_SETLEASE, F_WRLCK) == 0
		       ? 0
		       : errno;
}

static void rest(void)
{
	const struct timespec ts = {.tv_nsec = SIGHT_REST_US * 1000};

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static bool lease_patiently(struct sight *s, int fd)
{
	uint64_t until_us;
	int err;

	if (s->is_awaited)
		rest();
	s->is_awaited = false;
	err = lease(fd);
	if (err != EAGAIN)
		return err == 0;
	until_us = clock_mono_us();
	if (until_us - s->crowded_us < SIGHT_CROWDED_US)
		return false;
	until_us += SIGHT_PATIENCE_US;
	while (err == EAGAIN && clock_mono_us() < until_us) {
		rest();
		err = lease(fd);
	}
	if (err == EAGAIN)
		s->crowded_us = clock_mono_us();
	return err == 0;
}

static void give_back(struct glance *l, int fd)
{
	if (!l->is_alone)
		return;
	if (l->seen != NULL)
		l->seen->is_awaited = fcntl(fd, F_GETLEASE) != F_WRLCK;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	l->is_alone = false;
}

/* A time that no change of anybody else's gives: theirs are those of the
 * kernel's last tick, which is behind this one. */
static void set_time(int fd)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

	clock_wall(&times[1]);
	(void)futimens(fd, times);
}

void look_turn(struct glance *l)
{
	if (l->seen != NULL)
		mutex_lock(&l->seen->turn);
	l->has_turn = true;
}

int look_before(struct glance *l, int fd, bool is_patient, struct stat *sb)
{
	struct sight *s = l->seen;
	int err;

	assert(l->has_turn);
	l->is_alone = is_patient && s != NULL ? lease_patiently(s, fd)
					      : lease(fd) == 0;
	if (s == NULL)
		return fstat(fd, sb) != 0 ? errno : 0;
	mutex_lock(&s->lock);
	err = fstat(fd, sb) != 0 ? errno : 0;
	if (err == 0)
		compare(l, sb);
	s->is_turn = true;
	mutex_unlock(&s->lock);
	return err;
}

/* How it was left. */
static void leave(struct glance *l, int fd, uint64_t file_bytes)
{
	struct sight *s = l->seen;
	struct stat sb;

	set_time(fd);
	mutex_lock(&s->lock);
	s->is_turn = false;
	if (fstat(fd, &sb) == 0) {
		stamp_of(&sb, &s->last);
		s->is_known = true;
		l->is_lost |= look_is_cut(&sb, file_bytes);
	}
	mutex_unlock(&s->lock);
}

void look_turn_end(struct glance *l, int fd, uint64_t file_bytes)
{
	assert(l->has_turn);
	l->has_turn = false;
	if (fd >= 0 && l->seen != NULL)
		leave(l, fd, file_bytes);
	give_back(l, fd);
	if (l->seen != NULL)
		mutex_unlock(&l->seen->turn);
}

void look_behind(struct glance *l, int fd, uint64_t file_bytes)
{
	struct sight *s = l->seen;
	struct stat sb;

	if (s == NULL) {
		l->is_lost |=
			fstat(fd, &sb) == 0 && look_is_cut(&sb, file_bytes);
		return;
	}
	mutex_lock(&s->lock);
	l->is_late = s->n_found != l->n_told;
	if (fstat(fd, &sb) == 0) {
		compare(l, &sb);
		l->is_lost |= look_is_cut(&sb, file_bytes);
	}
	mutex_unlock(&s->lock);
}

void look_wait(struct glance *l)
{
	if (l->seen == NULL)
		return;
	mutex_lock(&l->seen->turn);
	mutex_unlock(&l->seen->turn);
}
