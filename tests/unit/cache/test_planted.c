/* test_planted — somebody else has put symbolic links into the store: nothing
 * that they lead to is read, written, cut, punched or removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/path_job.h"
#include "cache/store.h"
#include "cache/store_disk.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/v2_fix.h"

/* ---- Fixture: a store, and a directory that is none of its business ---- */

struct fix {
	struct fix_loop l;
	char dir[64], outside[64];
	char why[160];
	struct store *s;
	struct metainfo *one, *two; /* v1; v2 */
	struct v2_source src;
	struct fix_answer a, b;
};

static int set_up(void **state)
{
	static const uint64_t lens[] = {40000, 5, 30000};
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	fix_dir_make(f->outside, sizeof(f->outside));
	f->one = fix_torrent(&f->l, "one", lens, 3);
	f->src = (struct v2_source){.name = "two",
				    .files = {{.seed = 1, .len = 150000}},
				    .n = 1,
				    .piece_bytes = 64 << 10};
	f->two = v2_torrent(&f->l, &f->src);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	bits_fini(&f->a.held);
	bits_fini(&f->b.held);
	metainfo_free(f->one);
	metainfo_free(f->two);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	fix_dir_remove(f->outside);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static char *join(const char *dir, const char *name)
{
	static char paths[4][320];
	static unsigned at;
	char *path = paths[at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static const char *dir_of(const struct fix *f)
{
	static char name[TORRENT_HEX_BYTES + 16];
	char hex[TORRENT_HEX_BYTES];

	snprintf(name, sizeof(name), "torrents/%s",
		 torrent_id_hex(&f->one->id, hex));
	return name;
}

static void put_all(struct fix *f, struct store_torrent *st,
		    const struct metainfo *mi, bool is_v2)
{
	struct fix_answer a = {0};

	for (uint32_t ix = 0; ix < mi->n_pieces; ix++) {
		struct blk *b =
			blk_new(f->l.pool, metainfo_piece_bytes(mi, ix));

		if (is_v2)
			v2_fill(&f->src, mi, (uint64_t)ix * mi->piece_bytes,
				b->len, b->data);
		else
			fix_fill(b->data, (uint64_t)ix * mi->piece_bytes,
				 b->len);
		if (store_put(st, ix, b, fix_on_put, &a) != 0)
			a.n_failed++;
		blk_drop(b);
	}
	(void)fix_flush(&f->l, f->s);
}

static void read_all(struct fix *f, struct store_torrent *st,
		     const struct metainfo *mi)
{
	static uint8_t got[128 << 10];

	for (uint32_t ix = 0; ix < mi->n_pieces; ix++)
		(void)fix_read(&f->l, st, (uint64_t)ix * mi->piece_bytes,
			       metainfo_piece_bytes(mi, ix), got);
}

static void remove_one(struct fix *f, const struct metainfo *mi)
{
	struct fix_answer a = {0};

	if (store_remove(f->s, &mi->id, fix_on_done, &a) == 0)
		fix_until(&f->l, fix_is_set, &a.is_done);
}

/* Everything that a store does; most of it may fail, and nothing hangs. */
static void live(struct fix *f)
{
	if (fix_disk(&f->l, f->dir, f->why, &f->s) != 0)
		return;
	if (fix_open(&f->l, f->s, f->one, &f->a) == 0) {
		read_all(f, f->a.st, f->one);
		put_all(f, f->a.st, f->one, false);
		store_forget(f->a.st, 1);
		fix_quiet(&f->l);
		store_close(f->a.st);
	}
	if (fix_open(&f->l, f->s, f->two, &f->b) == 0) {
		read_all(f, f->b.st, f->two);
		put_all(f, f->b.st, f->two, true);
		store_close(f->b.st);
	}
	fix_quiet(&f->l);
	remove_one(f, f->one);
	remove_one(f, f->two);
	store_free(f->s);
}

/* A store in which both torrents are whole. */
static void fill(struct fix *f)
{
	fix_must(fix_disk(&f->l, f->dir, f->why, &f->s), f->why);
	fix_must(fix_open(&f->l, f->s, f->one, &f->a), "open");
	fix_must(fix_open(&f->l, f->s, f->two, &f->b), "open");
	put_all(f, f->a.st, f->one, false);
	put_all(f, f->b.st, f->two, true);
	store_close(f->a.st);
	store_close(f->b.st);
	fix_quiet(&f->l);
	store_free(f->s);
}

/* What `name` was is outside now, and a link to it in its place. */
static void plant(struct fix *f, const char *name)
{
	char *target = join(f->outside, "victim");

	assert_int_equal(rename(join(f->dir, name), target), 0);
	assert_int_equal(symlink(target, join(f->dir, name)), 0);
}

static uint64_t tree_sum;

static int add_entry(const char *path, const struct stat *sb, int type,
		     struct FTW *ftw)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	const uint64_t facts[] = {
		(uint64_t)sb->st_mode,	       (uint64_t)sb->st_size,
		(uint64_t)sb->st_blocks,       (uint64_t)sb->st_mtim.tv_sec,
		(uint64_t)sb->st_mtim.tv_nsec, (uint64_t)sb->st_ctim.tv_nsec,
		(uint64_t)sb->st_ino};

	for (const char *p = path; *p != '\0'; p++)
		sum = (sum ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		sum = (sum ^ facts[i]) * UINT64_C(0x100000001b3);
	tree_sum += sum;
	return 0;
}

static uint64_t sum_outside(struct fix *f)
{
	tree_sum = 0;
	assert_int_equal(nftw(f->outside, add_entry, 16, FTW_PHYS), 0);
	return tree_sum;
}

static void untouched(struct fix *f, const char *name)
{
	uint64_t before;

	fill(f);
	plant(f, name);
	before = sum_outside(f);
	live(f);
	assert_int_equal(sum_outside(f), before);
}

/* ---- Tests ---- */

static void a_blob(void **state)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/0", dir_of(*state));
	untouched(*state, name);
}

static void a_dictionary(void **state)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/info", dir_of(*state));
	untouched(*state, name);
}

static void a_directory_of_a_torrent(void **state)
{
	untouched(*state, dir_of(*state));
}

static void all_torrents(void **state)
{
	untouched(*state, "torrents");
}

static void all_files(void **state)
{
	untouched(*state, "files");
}

static void the_index(void **state)
{
	untouched(*state, "index.db");
}

static void the_lock(void **state)
{
	untouched(*state, "lock");
}

/* It is put there while the store has the torrent open. */
static void under_a_running_store(void **state)
{
	struct fix *f = *state;
	uint64_t before;

	fix_must(fix_disk(&f->l, f->dir, f->why, &f->s), f->why);
	fix_must(fix_open(&f->l, f->s, f->one, &f->a), "open");
	plant(f, dir_of(f));
	before = sum_outside(f);
	put_all(f, f->a.st, f->one, false);
	read_all(f, f->a.st, f->one);
	store_close(f->a.st);
	fix_quiet(&f->l);
	remove_one(f, f->one);
	store_free(f->s);
	assert_int_equal(sum_outside(f), before);
}

/* A link that leads nowhere is not made true by a write. */
static void a_dangling_directory(void **state)
{
	struct fix *f = *state;
	uint64_t before;

	fill(f);
	plant(f, dir_of(f));
	assert_int_equal(rename(join(f->outside, "victim"),
				join(f->outside, "elsewhere")),
			 0);
	before = sum_outside(f);
	live(f);
	assert_int_equal(sum_outside(f), before);
}

/* Neither a link on the way nor one at the end is followed, whatever is done
 * by it. */
static void paths_of_two(void **state)
{
	struct fix *f = *state;
	int at = open(f->dir, O_RDONLY | O_DIRECTORY);
	struct stat sb;

	assert_true(at >= 0);
	assert_int_equal(mkdir(join(f->dir, "a"), 0700), 0);
	assert_int_equal(
		close(path_job_open(at, "a/x", O_CREAT | O_RDWR, 0600)), 0);
	assert_int_equal(path_job_stat(at, "a/x", &sb), 0);
	assert_int_equal(path_job_rename(at, "a/x", "a/y", 0), 0);
	assert_int_equal(symlink("a", join(f->dir, "l")), 0);
	assert_int_equal(path_job_open(at, "l/y", O_RDONLY, 0), -1);
	assert_int_equal(path_job_stat(at, "l/y", &sb), -1);
	assert_int_equal(path_job_rename(at, "l/y", "a/z", 0), -1);
	assert_int_equal(path_job_rename(at, "a/y", "l/z", 0), -1);
	assert_int_equal(symlink("y", join(f->dir, "a/l")), 0);
	assert_int_equal(path_job_open(at, "a/l", O_RDONLY, 0), -1);
	close(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_blob, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dictionary, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_directory_of_a_torrent,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_torrents, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(all_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_index, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(under_a_running_store, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_dangling_directory, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(paths_of_two, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
