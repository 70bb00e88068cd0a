/* test_store_place — the user's files, read where they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_place.h"
#include "tests/lib/cache_fix.h"

struct fix {
	struct fix_loop l;
	char dir[64];
	struct metainfo *mi;
	struct store *s;
	struct fix_answer open;
};

static const uint64_t three_files[] = {20000, 3, 60000};
static const char *const names[] = {"a", "sub/b", "c"};

static void write_file(struct fix *f, const char *name, uint64_t off,
		       uint64_t len)
{
	char path[128];
	uint8_t *data = mem_alloc(len);
	int fd;

	fix_fill(data, off, len);
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	mem_free(data);
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);
	char sub[96];
	uint64_t off = 0;

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	snprintf(sub, sizeof(sub), "%s/sub", f->dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	f->mi = fix_torrent(&f->l, "three", three_files, 3);
	for (int i = 0; i < 3; i++) {
		write_file(f, names[i], off, three_files[i]);
		off += three_files[i];
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	if (f->open.st != NULL)
		store_close(f->open.st);
	store_free(f->s);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

static int start(struct fix *f)
{
	struct store_place_cfg cfg = {.loop = f->l.loop,
				      .workers = f->l.workers,
				      .path = f->dir,
				      .rel_paths = names,
				      .n_rel_paths = 3};

	return store_place_new(&cfg, &f->s);
}

/* Everything is held, and read across files. */
static void holds_everything(void **state)
{
	struct fix *f = *state;
	uint8_t *dst = mem_alloc(f->mi->total_bytes);

	assert_int_equal(start(f), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	assert_true(bits_is_full(&f->open.held));
	assert_int_equal(store_read_now(f->open.st, 0, 10, dst), EAGAIN);
	assert_int_equal(fix_read(&f->l, f->open.st, 0,
				  (uint32_t)f->mi->total_bytes, dst),
			 0);
	assert_true(fix_matches(dst, 0, f->mi->total_bytes));
	assert_int_equal(store_read_now(f->open.st, 19990, 100, dst), 0);
	assert_true(fix_matches(dst, 19990, 100));
	mem_free(dst);
}

/* Nothing is written. */
static void takes_nothing(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	assert_int_equal(start(f), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	store_forget(f->open.st, 0);
	assert_int_equal(a.n_failed, 0);
	fix_quiet(&f->l);
	assert_int_equal(a.err, EROFS);
}

/* A file that was cut later is EIO. */
static void notices_cuts(void **state)
{
	struct fix *f = *state;
	char path[96];
	uint8_t dst[20];

	assert_int_equal(start(f), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
	snprintf(path, sizeof(path), "%s/a", f->dir);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 20, dst), EIO);
	assert_int_equal(fix_read(&f->l, f->open.st, 20010, 20, dst), 0);
}

/* Other sizes are another torrent; a missing file is said at once. */
static void refuses_other_files(void **state)
{
	struct fix *f = *state;
	char path[96];

	write_file(f, "a", 0, 20001);
	assert_int_equal(start(f), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), EPROTO);
	store_free(f->s);
	f->s = NULL;
	snprintf(path, sizeof(path), "%s/c", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(start(f), ENOENT);
}

/* A single file is named by its path alone; it can be opened again. */
static void single_file(void **state)
{
	struct fix *f = *state;
	char path[96];
	struct store_place_cfg cfg = {
		.loop = f->l.loop, .workers = f->l.workers, .path = path};
	const uint64_t len[] = {20000};
	struct metainfo *mi = fix_torrent(&f->l, "a", len, 1);
	uint8_t dst[50];

	snprintf(path, sizeof(path), "%s/a", f->dir);
	assert_int_equal(store_place_new(&cfg, &f->s), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fix_open(&f->l, f->s, mi, &f->open), 0);
		assert_int_equal(fix_read(&f->l, f->open.st, 1000, 50, dst), 0);
		assert_true(fix_matches(dst, 1000, 50));
		store_close(f->open.st);
		f->open.st = NULL;
		fix_quiet(&f->l);
	}
	metainfo_free(mi);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(holds_everything),	T(takes_nothing), T(notices_cuts),
		T(refuses_other_files), T(single_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
