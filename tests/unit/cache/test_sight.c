/* test_sight — our own changes of a file are none, however many threads make
 * them; anybody else's is found, between any two of ours, by the next who
 * looks, and told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/sight.h"
#include "core/mem.h"

enum { FILE_BYTES = 64 * 1024 };

struct fix {
	struct sight s;
	char path[64];
	int fd;
};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	snprintf(f->path, sizeof(f->path), "/tmp/shoal-sight.XXXXXX");
	f->fd = mkstemp(f->path);
	assert_true(f->fd >= 0);
	assert_int_equal(ftruncate(f->fd, FILE_BYTES), 0);
	sight_init(&f->s);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close(f->fd);
	unlink(f->path);
	sight_fini(&f->s);
	mem_free(f);
	return 0;
}

/* ---- jobs of ours ---- */

static void write_begins(struct fix *f, struct glance *l)
{
	struct stat sb;

	look_turn(l);
	assert_int_equal(look_before(l, f->fd, true, &sb), 0);
}

static void write_ends(struct fix *f, struct glance *l)
{
	assert_int_equal(pwrite(f->fd, "ours", 4, 0), 4);
	look_turn_end(l, f->fd, FILE_BYTES);
}

static enum look_end writes(struct fix *f)
{
	struct glance l;

	look_begin(&l, &f->s, true);
	write_begins(f, &l);
	write_ends(f, &l);
	return look_end(&l);
}

static enum look_end reads(struct fix *f)
{
	struct glance l;

	look_begin(&l, &f->s, false);
	look_behind(&l, f->fd, FILE_BYTES);
	return look_end(&l);
}

/* ---- somebody else ---- */

static void is_changed(struct fix *f)
{
	int fd = open(f->path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "not ours", 8, 4096), 8);
	close(fd);
}

/* ---- Tests ---- */

static void our_own_changes_are_none(void **state)
{
	struct fix *f = *state;

	assert_int_equal(reads(f), LOOK_SAME);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(writes(f), LOOK_SAME);
		assert_int_equal(reads(f), LOOK_SAME);
		assert_true(sight_is_now(&f->s, f->fd));
	}
}

/* At once: not even a tick of the clock is between our write and his. */
static void a_change_right_behind_ours_is_found(void **state)
{
	struct fix *f = *state;

	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(writes(f), LOOK_SAME);
		is_changed(f);
		assert_false(sight_is_now(&f->s, f->fd));
		assert_int_equal(i % 2 == 0 ? reads(f) : writes(f),
				 LOOK_CHANGED);
		assert_int_equal(reads(f), LOOK_SAME);
	}
}

static void a_time_that_is_set_back_does_not_hide_it(void **state)
{
	struct fix *f = *state;
	struct stat sb;
	struct timespec times[2];

	assert_int_equal(writes(f), LOOK_SAME);
	assert_int_equal(fstat(f->fd, &sb), 0);
	is_changed(f);
	times[0] = sb.st_atim;
	times[1] = sb.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, f->path, times, 0), 0);
	assert_int_equal(reads(f), LOOK_CHANGED);
}

/* Of two reads at a time the first finds the change; what the other one read
 * may be from behind it, too: it is told, and the change is not told twice. */
static void a_change_is_found_once_and_for_all_who_read(void **state)
{
	struct fix *f = *state;
	struct glance a, b;

	assert_int_equal(writes(f), LOOK_SAME);
	look_begin(&a, &f->s, false);
	look_begin(&b, &f->s, false);
	is_changed(f);
	look_behind(&a, f->fd, FILE_BYTES);
	look_behind(&b, f->fd, FILE_BYTES);
	assert_int_equal(look_end(&a), LOOK_CHANGED);
	assert_int_equal(look_end(&b), LOOK_LATE);
	assert_int_equal(reads(f), LOOK_SAME);
}

/* Found by a write that lasts: whoever reads meanwhile, from before it or from
 * within, hears of it, and the loop the sooner. */
static void a_change_that_a_write_finds_is_not_read(void **state)
{
	struct fix *f = *state;
	struct glance r, w, within;

	assert_int_equal(writes(f), LOOK_SAME);
	look_begin(&r, &f->s, false);
	is_changed(f);
	look_begin(&w, &f->s, true);
	write_begins(f, &w);
	assert_false(sight_is_now(&f->s, f->fd));
	look_begin(&within, &f->s, false);
	look_behind(&within, f->fd, FILE_BYTES);
	look_behind(&r, f->fd, FILE_BYTES);
	assert_int_equal(look_end(&within), LOOK_CHANGED);
	assert_true(sight_is_now(&f->s, f->fd)); /* the doubt is told */
	assert_int_equal(look_end(&r), LOOK_LATE);
	write_ends(f, &w);
	assert_int_equal(look_end(&w), LOOK_SAME);
	assert_int_equal(reads(f), LOOK_SAME);
}

/* Writes that the loop has begun both; somebody else comes in between. */
static void a_change_between_two_writes_is_found(void **state)
{
	struct fix *f = *state;
	struct glance a, b;

	assert_int_equal(writes(f), LOOK_SAME);
	look_begin(&a, &f->s, true);
	look_begin(&b, &f->s, true);
	write_begins(f, &b);
	write_ends(f, &b);
	is_changed(f);
	write_begins(f, &a);
	write_ends(f, &a);
	assert_int_equal(look_end(&b), LOOK_CHANGED);
	assert_int_equal(look_end(&a), LOOK_SAME);
	assert_int_equal(reads(f), LOOK_SAME);
}

/* While it is our turn nobody can open it, who does not want to wait. */
static void nobody_comes_in_while_we_write(void **state)
{
	struct fix *f = *state;
	struct glance l;
	int fd;

	look_begin(&l, &f->s, true);
	write_begins(f, &l);
	if (!l.is_alone) {
		look_turn_end(&l, f->fd, FILE_BYTES);
		(void)look_end(&l);
		print_message("skipped: /tmp is on a file system without "
			      "leases\n");
		skip();
	}
	fd = open(f->path, O_WRONLY | O_NONBLOCK);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EWOULDBLOCK);
	write_ends(f, &l);
	fd = open(f->path, O_WRONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(look_end(&l), LOOK_SAME);
	look_begin(&l, &f->s, true);
	write_begins(f, &l);
	assert_false(
		l.is_alone); /* he has it open; it is written all the same */
	write_ends(f, &l);
	close(fd);
	assert_int_equal(look_end(&l), LOOK_SAME);
}

static void bytes_that_are_gone_are_lost(void **state)
{
	struct fix *f = *state;
	struct glance l, late;

	assert_int_equal(writes(f), LOOK_SAME);
	look_begin(&late, &f->s, false);
	assert_int_equal(ftruncate(f->fd, FILE_BYTES - 1), 0);
	assert_int_equal(reads(f), LOOK_LOST);
	assert_true(f->s.is_lost);
	look_behind(&late, f->fd, 0);
	assert_int_equal(look_end(&late), LOOK_LATE);
	sight_forget(&f->s);
	assert_false(f->s.is_lost);
	look_begin(&l, &f->s, true);
	look_turn(&l);
	look_turn_end(&l, -1, FILE_BYTES); /* it could not be opened */
	assert_int_equal(look_end(&l), LOOK_SAME);
}

/* ---- Tests: threads ---- */

enum { THREADS = 3, TURNS = 300 };

struct crowd {
	struct fix *f;
	atomic_bool is_changing;
	atomic_uint n_changed, n_lost;
};

/* Jobs end on one thread, the loop's; here each has its own part of it under
 * the same lock. */
static pthread_mutex_t loop = PTHREAD_MUTEX_INITIALIZER;

static void begins(struct glance *l, struct fix *f, bool is_write)
{
	pthread_mutex_lock(&loop);
	look_begin(l, &f->s, is_write);
	pthread_mutex_unlock(&loop);
}

static void ends(struct crowd *c, struct glance *l)
{
	enum look_end end;

	pthread_mutex_lock(&loop);
	end = look_end(l);
	pthread_mutex_unlock(&loop);
	c->n_changed += end == LOOK_CHANGED;
	c->n_lost += end == LOOK_LOST;
}

static void *work(void *arg)
{
	struct crowd *c = arg;
	struct glance l;

	for (unsigned i = 0; i < TURNS; i++) {
		begins(&l, c->f, true);
		write_begins(c->f, &l);
		write_ends(c->f, &l);
		ends(c, &l);
		begins(&l, c->f, false);
		look_behind(&l, c->f->fd, FILE_BYTES);
		ends(c, &l);
	}
	return NULL;
}

/* Each of his comes when all have heard of the one before. */
static void *change(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; c->is_changing; i++) {
		unsigned n = c->n_changed;

		is_changed(c->f);
		while (c->n_changed == n && c->is_changing)
			usleep(100);
	}
	return NULL;
}

static void run(struct crowd *c)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, c), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void many_writers_are_no_change(void **state)
{
	struct crowd c = {.f = *state};

	run(&c);
	assert_int_equal(c.n_changed, 0);
	assert_int_equal(reads(c.f), LOOK_SAME);
}

/* He opens and closes it each time, so each of his is between two of ours. */
static void among_many_writers_each_change_is_found(void **state)
{
	struct crowd c = {.f = *state, .is_changing = true};
	pthread_t other;

	assert_int_equal(writes(c.f), LOOK_SAME);
	assert_int_equal(pthread_create(&other, NULL, change, &c), 0);
	while (c.n_changed < 20)
		run(&c);
	c.is_changing = false;
	pthread_join(other, NULL);
	assert_int_equal(c.n_lost, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(our_own_changes_are_none),
		T(a_change_right_behind_ours_is_found),
		T(a_time_that_is_set_back_does_not_hide_it),
		T(a_change_is_found_once_and_for_all_who_read),
		T(a_change_that_a_write_finds_is_not_read),
		T(a_change_between_two_writes_is_found),
		T(nobody_comes_in_while_we_write),
		T(bytes_that_are_gone_are_lost),
		T(many_writers_are_no_change),
		T(among_many_writers_each_change_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
