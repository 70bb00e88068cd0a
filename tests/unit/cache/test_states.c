/* test_states — an index that is not as it was left: cut at every page and
 * between, with a byte flipped in each, overwritten, of nothing, gone, without
 * its log, from a newer version, read-only, locked by another program. Either
 * the store starts and has all that the story (tests/lib/story.h) was promised,
 * and no wrong byte; or it says why not, and has changed nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/index_internal.h"
#include "cache/index_vfs_job.h"
#include "cache/store_disk.h"
#include "cache/store_disk_internal.h"
#include "core/log.h"
#include "core/mem.h"
#include "tests/lib/drive.h"
#include "tests/lib/story.h"

enum {
	PAGE_BYTES = 4096,
	INDEX_MAX = 1 << 20,
	NOBODY = 65534,
	PATH_BYTES = STORY_DIR + 64,
};

/* ---- Fixture: a store after the first part of its story ---- */

struct fix {
	struct story told, y;
	char dir[STORY_DIR];
	uint8_t *index; /* as it was left */
	size_t len;
	unsigned n_found;
};

static const char *path_of(struct fix *f, const char *name)
{
	static char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static size_t read_index(struct fix *f, uint8_t *dst)
{
	FILE *file = fopen(path_of(f, "index.db"), "r");
	size_t n;

	assert_non_null(file);
	n = fread(dst, 1, INDEX_MAX, file);
	fclose(file);
	return n;
}

static void write_index(struct fix *f, const uint8_t *src, size_t len)
{
	FILE *file = fopen(path_of(f, "index.db"), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(src, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	snprintf(f->dir, sizeof(f->dir), "/dev/shm/shoal-test-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		fix_dir_make(f->dir, sizeof(f->dir));
	story_init(&f->told, f->dir);
	story_begin(&f->told, f->dir, false);
	story_first(&f->told);
	story_stop(&f->told);
	story_index_lost(&f->told);
	story_init(&f->y, f->dir);
	f->index = mem_alloc(INDEX_MAX);
	f->len = read_index(f, f->index);
	assert_true(f->len > 8 * PAGE_BYTES && f->len < INDEX_MAX);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	story_stop(&f->y);
	story_fini(&f->y);
	story_fini(&f->told);
	mem_free(f->index);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

/* Those that were put aside; they go. */
static unsigned take_aside(struct fix *f)
{
	DIR *d = opendir(f->dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "index.db.damaged-", 17) != 0)
			continue;
		n += strstr(e->d_name, "-wal") == NULL;
		assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	}
	closedir(d);
	return n;
}

/* It starts, and all is there that was promised. */
static void look(struct fix *f, const char *what)
{
	story_check(&f->y, &f->told, SIZE_MAX, what);
	f->n_found += take_aside(f);
}

static void restore(struct fix *f)
{
	write_index(f, f->index, f->len);
}

static int refused(struct fix *f)
{
	int err;

	story_begin(&f->y, f->dir, true);
	err = story_start(&f->y, 0);
	assert_true(err != 0 && f->y.s == NULL);
	assert_true(f->y.why[0] != '\0');
	assert_int_equal(take_aside(f), 0);
	return err;
}

static void exec_index(struct fix *f, const char *vfs, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(index_vfs_init(), SQLITE_OK);
	assert_int_equal(sqlite3_open_v2(path_of(f, "index.db"), &db,
					 SQLITE_OPEN_READWRITE, vfs),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* ---- Tests: it goes on ---- */

static void cut_anywhere(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;
	char what[64];

	for (size_t at = 0; at < f->len; at += PAGE_BYTES) {
		static const size_t odd[] = {0, 1, 99, 101, 2049};

		for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
			if (i > 0 && at > 0 && (at / PAGE_BYTES + i) % 4 != 0)
				continue;
			write_index(f, f->index, at + odd[i]);
			snprintf(what, sizeof(what), "cut to %zu bytes",
				 at + odd[i]);
			look(f, what);
			n++;
		}
		restore(f);
	}
	printf("index: cut at %u lengths, 0 failed\n", n);
	assert_int_equal(f->n_found, n - 1); /* of nothing nothing is kept */
}

static void a_byte_is_flipped(void **state)
{
	static const size_t places[] = {0,  7,	 18,   20,   27,   40,
					63, 100, 1500, 3000, 4080, 4095};
	struct fix *f = *state;
	unsigned n = 0;
	char what[64];

	for (size_t at = 0; at < f->len; at += PAGE_BYTES)
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]);
		     i++) {
			size_t ix = at + places[i];

			if (at > 0 && (at / PAGE_BYTES + i) % 4 != 0)
				continue;
			restore(f);
			f->index[ix] ^= 0x10;
			write_index(f, f->index, f->len);
			f->index[ix] ^= 0x10;
			snprintf(what, sizeof(what), "byte %zu flipped", ix);
			look(f, what);
			n++;
		}
	printf("index: %u bytes flipped, %u found, 0 failed\n", n, f->n_found);
	assert_true(f->n_found == n);
}

static void pages_are_overwritten(void **state)
{
	struct fix *f = *state;
	uint8_t *index = mem_alloc(INDEX_MAX);

	for (unsigned kind = 0; kind < 4; kind++) {
		memcpy(index, f->index, f->len);
		for (size_t at = kind * PAGE_BYTES; at < f->len;
		     at += 3 * PAGE_BYTES)
			fix_fill(index + at, at, PAGE_BYTES);
		if (kind == 3) /* none of them */
			fix_fill(index, 0, f->len);
		write_index(f, index, f->len);
		look(f, "pages overwritten");
	}
	mem_free(index);
	assert_int_equal(f->n_found, 4);
}

/* Two that are damaged in the same second are both kept. */
static void none_is_written_over(void **state)
{
	struct fix *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		write_index(f, (const uint8_t *)"no database", 11);
		story_begin(&f->y, f->dir, true);
		assert_int_equal(story_start(&f->y, 0), 0);
		story_stop(&f->y);
	}
	assert_int_equal(take_aside(f), 2);
}

static void it_is_gone(void **state)
{
	struct fix *f = *state;

	assert_int_equal(unlink(path_of(f, "index.db")), 0);
	look(f, "no index");
	/* … and a log is there that is nobody's. */
	assert_int_equal(unlink(path_of(f, "index.db")), 0);
	close(open(path_of(f, "index.db-wal"), O_WRONLY | O_CREAT, 0600));
	look(f, "no index, and a log");
	assert_int_equal(f->n_found, 0);
}

/* The same pins, the same time of adding. */
static void what_only_the_index_knew(void **state)
{
	struct fix *f = *state;
	struct story_torrent *t = &f->y.torrents[STORY_V1];
	int64_t added_s;

	story_begin(&f->y, f->dir, true);
	assert_int_equal(story_start(&f->y, 0), 0);
	fix_must(fix_open(&f->y.l, f->y.s, t->mi, &t->open), "open");
	added_s = store_added_s(t->open.st);
	story_stop(&f->y);
	assert_int_equal(unlink(path_of(f, "index.db")), 0);
	assert_int_equal(story_start(&f->y, 0), 0);
	fix_must(fix_open(&f->y.l, f->y.s, t->mi, &t->open), "open");
	assert_non_null(store_pinned(t->open.st));
	assert_int_equal(store_pinned(t->open.st)->n_set, 1);
	assert_true(bits_has(store_pinned(t->open.st), 1));
	assert_in_range(store_added_s(t->open.st), added_s - 1, added_s + 1);
}

static void kill_one(struct fix *f)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/proc/self/exe", "test_states", f->dir, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* A process that is killed leaves a log; it goes. */
static void its_log_is_gone(void **state)
{
	struct fix *f = *state;

	kill_one(f);
	assert_int_equal(unlink(path_of(f, "index.db-wal")), 0);
	look(f, "no log");
	assert_int_equal(f->n_found, 1);
}

/* The disk is full when it stops: that it has ended cannot be said, and the
 * index is as good as ever. */
static void a_full_disk_at_the_stop(void **state)
{
	struct fix *f = *state;

	for (uint64_t n = 0; n < 8; n++) {
		story_begin(&f->y, f->dir, true);
		assert_int_equal(story_start(&f->y, 0), 0);
		drive_watch(f->dir, false);
		drive_fail(DRIVE_WRITE | DRIVE_SYNC, n, ENOSPC, true);
		story_stop(&f->y);
		drive_fail(0, 0, 0, false);
		drive_stop();
		look(f, "full at the stop");
		assert_int_equal(f->n_found, 0);
	}
}

/* Starts that come to nothing, after a kill, cost nothing. */
static void starts_without_memory_after_a_kill(void **state)
{
	struct fix *f = *state;
	int err = ENOMEM;

	kill_one(f);
	story_begin(&f->y, f->dir, true);
	for (uint64_t n = 0; err != 0; n++) {
		mem_fail_after(n, true);
		err = story_start(&f->y, 0);
		mem_fail_after(UINT64_MAX, false);
		assert_true(err == 0 || err == ENOMEM);
	}
	story_stop(&f->y);
	look(f, "started at last");
	assert_int_equal(f->n_found, 0);
}

static int die_open(const char *dir)
{
	static struct story y;

	story_init(&y, dir);
	story_begin(&y, dir, true);
	if (story_start(&y, 0) != 0)
		return 1;
	return raise(SIGKILL);
}

/* ---- Tests: it says why not ---- */

static void it_is_newer(void **state)
{
	struct fix *f = *state;
	uint8_t *after = mem_alloc(INDEX_MAX);

	exec_index(f, INDEX_VFS, "PRAGMA user_version = 99");
	f->len = read_index(f, f->index);
	assert_int_equal(refused(f), EPROTO);
	assert_non_null(strstr(f->y.why, "newer"));
	assert_int_equal(read_index(f, after), f->len);
	assert_memory_equal(after, f->index, f->len);
	mem_free(after);
}

static void it_is_locked(void **state)
{
	struct fix *f = *state;
	int told[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		sqlite3 *db;

		if (sqlite3_open(path_of(f, "index.db"), &db) != SQLITE_OK ||
		    sqlite3_exec(db,
				 "PRAGMA locking_mode = EXCLUSIVE;"
				 "BEGIN EXCLUSIVE",
				 NULL, NULL, NULL) != SQLITE_OK ||
		    write(told[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	assert_int_equal(refused(f), EBUSY);
	assert_non_null(strstr(f->y.why, "another program"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	look(f, "locked before");
	assert_int_equal(f->n_found, 0);
}

static int give_away(const char *path, const struct stat *sb, int type,
		     struct FTW *ftw)
{
	return lchown(path, NOBODY, NOBODY);
}

/* Root may write whatever the mode says. */
static void it_is_read_only(void **state)
{
	struct fix *f = *state;
	pid_t pid;
	int status;

	if (geteuid() == 0)
		assert_int_equal(nftw(f->dir, give_away, 16, FTW_PHYS), 0);
	assert_int_equal(chmod(path_of(f, "index.db"), 0400), 0);
	pid = fork();
	if (pid == 0) {
		char dir[STORY_DIR + 8];

		if (geteuid() == 0 && setuid(NOBODY) != 0)
			_exit(9);
		snprintf(dir, sizeof(dir), "?%s", f->dir);
		execl("/proc/self/exe", "test_states", dir, NULL);
		_exit(8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EACCES);
	assert_int_equal(take_aside(f), 0);
}

static int try_start(const char *dir)
{
	static struct story y;

	story_init(&y, dir);
	story_begin(&y, dir, true);
	return story_start(&y, 0);
}

/* ---- Tests: while it runs ---- */

/* Pages that go bad under us: nothing that is read is wrong, and nothing more
 * is kept; the next start makes it good. */
static void it_goes_bad_while_it_is_used(void **state)
{
	struct fix *f = *state;
	struct disk *d;
	uint8_t page[PAGE_BYTES];
	int fd, err;

	story_begin(&f->y, f->dir, true);
	assert_int_equal(story_start(&f->y, 0), 0);
	d = disk_of(f->y.s);
	sqlite3_db_release_memory(d->index->db);
	fd = open(path_of(f, "index.db"), O_WRONLY);
	fix_fill(page, 0, sizeof(page));
	for (size_t at = PAGE_BYTES; at < f->len; at += PAGE_BYTES)
		assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)at),
				 sizeof(page));
	err = fix_open(&f->y.l, f->y.s, f->y.torrents[STORY_V1].mi,
		       &f->y.torrents[STORY_V1].open);
	assert_int_equal(err, EIO);
	assert_true(d->index->is_damaged);
	story_stop(&f->y);
	close(fd);
	look(f, "bad while it was used");
	assert_int_equal(f->n_found, 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(cut_anywhere),
		T(a_byte_is_flipped),
		T(pages_are_overwritten),
		T(none_is_written_over),
		T(it_is_gone),
		T(what_only_the_index_knew),
		T(its_log_is_gone),
		T(a_full_disk_at_the_stop),
		T(starts_without_memory_after_a_kill),
		T(it_is_newer),
		T(it_is_locked),
		T(it_is_read_only),
		T(it_goes_bad_while_it_is_used),
	};

	if (argc > 1 && argv[1][0] == '?')
		return try_start(argv[1] + 1);
	if (argc > 1)
		return die_open(argv[1]);
	log_open("test_states", LOG_SINK_STDERR, LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
