/* test_store_disk — what is on disk after what has happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/cache_limits.h"
#include "cache/index_job.h"
#include "cache/index_vfs_job.h"
#include "cache/store.h"
#include "cache/store_vet.h"
#include "cache/store_disk.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/fixtures/torrents.h"

/* ---- Fixture: a directory, a loop, maybe a store ---- */

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	struct store *s;
	struct metainfo *mi;
	struct fix_answer open;
};

static const uint64_t three_files[] = {40000, 5, 30000};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_loop_init(&f->l, 2);
	fix_dir_make(f->dir, sizeof(f->dir));
	f->mi = fix_torrent(&f->l, "three", three_files, 3);
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

/* ---- Helpers ---- */

/* Stands before libc's: while it is set, no blob can be synced. The index,
 * which SQLite syncs, can. */
static atomic_bool syncs_fail;

int fdatasync(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (atomic_load(&syncs_fail) && strstr(path, "/torrents/") != NULL) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static int start(struct fix *f)
{
	return fix_disk(&f->l, f->dir, f->why, &f->s);
}

static void open_all(struct fix *f)
{
	assert_int_equal(start(f), 0);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
}

static void close_all(struct fix *f)
{
	store_close(f->open.st);
	f->open.st = NULL;
	store_free(f->s);
	f->s = NULL;
}

static void put_all(struct fix *f, struct fix_answer *a)
{
	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, a);
}

/* Put everything, durably, and close. */
static void fill(struct fix *f)
{
	struct fix_answer a = {0};

	open_all(f);
	put_all(f, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, f->mi->n_pieces);
	close_all(f);
}

static char *path_of(struct fix *f, const char *leaf)
{
	static char path[256];
	char hex[TORRENT_HEX_BYTES];

	snprintf(path, sizeof(path), "%s/torrents/%s/%s", f->dir,
		 torrent_id_hex(&f->mi->id, hex), leaf);
	return path;
}

static void exec_index(struct fix *f, const char *sql)
{
	char path[96];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_int_equal(index_vfs_init(), SQLITE_OK);
	assert_int_equal(
		sqlite3_open_v2(path, &db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
				INDEX_VFS),
		SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static bool all_written(void *arg)
{
	const struct fix_answer *a = arg;

	return a->n_written >= 5;
}

/* ---- Assertions ---- */

static void assert_reads(struct fix *f, uint64_t off, uint32_t len)
{
	uint8_t *dst = mem_alloc(len);

	assert_int_equal(fix_read(&f->l, f->open.st, off, len, dst), 0);
	assert_true(fix_matches(dst, off, len));
	memset(dst, 0, len);
	if (store_read_now(f->open.st, off, len, dst) == 0)
		assert_true(fix_matches(dst, off, len));
	mem_free(dst);
}

static void assert_mode(const char *path, mode_t mode)
{
	struct stat sb;

	assert_int_equal(stat(path, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, mode);
}

/* ---- Tests ---- */

/* What was durable is held after a restart, byte for byte, across files. */
static void holds_after_reopen(void **state)
{
	struct fix *f = *state;
	struct store_stats st;

	fill(f);
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
	assert_reads(f, 0, (uint32_t)f->mi->total_bytes);
	assert_reads(f, 39999, 7); /* three files in seven bytes */
	store_stats(f->s, &st);
	assert_int_equal(st.held_bytes, f->mi->total_bytes);
	assert_int_equal(st.pending_bytes, 0);
}

/* Right after a write its bytes are in the page cache, and are read at once;
 * a blob that is not open asks for a worker. */
static void reads_now_when_open(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t dst[100];

	open_all(f);
	put_all(f, &a);
	fix_until(&f->l, all_written, &a);
	assert_int_equal(store_read_now(f->open.st, 39950, 100, dst), 0);
	assert_true(fix_matches(dst, 39950, 100));
	close_all(f);
	open_all(f);
	assert_int_equal(store_read_now(f->open.st, 0, 100, dst), EAGAIN);
}

/* WRITTEN comes before DURABLE, and the timer alone brings the latter. */
static bool all_durable(void *arg)
{
	const struct fix_answer *a = arg;

	return a->n_durable >= 5;
}

static void commits_by_timer(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct store_stats st;

	open_all(f);
	put_all(f, &a);
	fix_until(&f->l, all_written, &a);
	assert_int_equal(a.n_durable, 0);
	fix_until(&f->l, all_durable, &a);
	store_stats(f->s, &st);
	assert_int_equal(st.commits, 1);
}

/* The directory is 0700, its files 0600, whatever the umask was. */
static void keeps_files_private(void **state)
{
	struct fix *f = *state;
	mode_t old = umask(0);
	char path[96];

	assert_int_equal(rmdir(f->dir), 0);
	fill(f);
	umask(old);
	assert_mode(f->dir, 0700);
	snprintf(path, sizeof(path), "%s/index.db", f->dir);
	assert_mode(path, 0600);
	assert_mode(path_of(f, ""), 0700);
	assert_mode(path_of(f, "info"), 0600);
	assert_mode(path_of(f, "0"), 0600);
}

/* What the child of the next test does: this program, run again. */
static int die_before_commit(const char *dir)
{
	struct fix f = {0};
	struct fix_answer a = {0};

	fix_loop_init(&f.l, 2);
	snprintf(f.dir, sizeof(f.dir), "%s", dir);
	f.mi = fix_torrent(&f.l, "three", three_files, 3);
	if (start(&f) != 0 || fix_open(&f.l, f.s, f.mi, &f.open) != 0)
		_exit(2);
	fix_put(&f.l, f.open.st, f.mi, 0, &a);
	if (fix_flush(&f.l, f.s) != 0)
		_exit(3);
	a.n_written = 0;
	put_all(&f, &a);
	fix_until(&f.l, all_written, &a);
	_exit(a.n_durable == 1 ? 0 : 4);
}

/* A process that dies after WRITTEN and before DURABLE leaves no claim. */
static void crash_claims_nothing(void **state)
{
	struct fix *f = *state;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", "test_store_disk", f->dir, NULL);
		_exit(5);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 1);
	assert_true(bits_has(&f->open.held, 0));
	assert_reads(f, 0, FIX_PIECE_BYTES);
}

/* A blob that is gone takes its own pieces with it, and no others; what is
 * put again is held again. */
static void missing_blob_drops_rows(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct store_stats st;

	fill(f);
	assert_int_equal(unlink(path_of(f, "2")), 0);
	open_all(f);
	/* file 2 begins in piece 2 */
	assert_int_equal(f->open.held.n_set, 2);
	assert_true(bits_has(&f->open.held, 1));
	store_stats(f->s, &st);
	assert_int_equal(st.held_bytes, 2 * FIX_PIECE_BYTES);
	for (uint32_t ix = 2; ix < 5; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	close_all(f);
	assert_int_equal(a.n_durable, 3);
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
	assert_reads(f, 0, (uint32_t)f->mi->total_bytes);
}

/* A short blob is a lost one. */
static void short_blob_drops_rows(void **state)
{
	struct fix *f = *state;

	fill(f);
	assert_int_equal(truncate(path_of(f, "0"), 39999), 0);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 2);
	close_all(f);
	open_all(f); /* the rows went, not only the answer */
	assert_int_equal(f->open.held.n_set, 2);
}

/* A blob that vanishes under a running store is EIO. A new one is made when
 * what was in it is forgotten: a hole in it never looks held. */
static void vanished_blob_is_eio(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t dst[10];

	fill(f);
	open_all(f);
	assert_int_equal(unlink(path_of(f, "0")), 0);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 10, dst), EIO);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.err, 0);
	assert_int_equal(store_err(f->s), 0);
	close_all(f);
	open_all(f);
	assert_true(bits_has(&f->open.held, 0));
	assert_false(bits_has(&f->open.held, 1)); /* a hole in the new one */
	assert_int_equal(f->open.held.n_set, 3);
	assert_reads(f, 0, 10);
}

/* A cut blob gives EIO and not zeros. */
static void cut_blob_is_eio(void **state)
{
	struct fix *f = *state;
	uint8_t dst[100];

	fill(f);
	open_all(f);
	assert_reads(f, 0, 100);
	assert_int_equal(truncate(path_of(f, "0"), 50), 0);
	assert_int_equal(store_read_now(f->open.st, 0, 100, dst), EAGAIN);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), EIO);
}

/* Nor does a write behind the cut stretch it again: what was lost in between
 * would read as zeros, and be believed. */
static void cut_blob_stays_cut(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t dst[100];

	open_all(f);
	for (uint32_t ix = 0; ix < 2; ix++)
		fix_put(&f->l, f->open.st, f->mi, ix, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 2);
	assert_int_equal(truncate(path_of(f, "0"), 100), 0);
	fix_put(&f->l, f->open.st, f->mi, 2, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_failed, 1);
	assert_int_equal(a.err, EIO);
	assert_int_equal(fix_read(&f->l, f->open.st, 20000, 100, dst), EIO);
	close_all(f);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 0);
}

/* What is forgotten stays so, committed before or just under way. */
static void forgets(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	fill(f);
	open_all(f);
	store_forget(f->open.st, 3);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	store_forget(f->open.st, 1);
	close_all(f);
	assert_int_equal(a.n_failed, 1);
	assert_int_equal(a.err, ENOENT);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 3);
	assert_false(bits_has(&f->open.held, 1));
	assert_false(bits_has(&f->open.held, 3));
}

/* A second opener is told who has the store. */
static void is_locked(void **state)
{
	struct fix *f = *state;
	struct store *other;
	char pid[32];

	assert_int_equal(start(f), 0);
	assert_int_equal(fix_disk(&f->l, f->dir, f->why, &other), EBUSY);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(f->why, pid));
	store_free(f->s);
	f->s = NULL;
	assert_int_equal(start(f), 0);
}

/* Directories that are not ours alone are refused, with the reason. */
static void refuses_strange_dirs(void **state)
{
	struct fix *f = *state;
	char path[96];
	int fd;

	assert_int_equal(chmod(f->dir, 0770), 0);
	assert_int_equal(start(f), EPERM);
	assert_non_null(strstr(f->why, "others may write"));
	assert_int_equal(chmod(f->dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/thesis.tex", f->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(start(f), EPERM);
	assert_non_null(strstr(f->why, "not empty"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(start(f), 0);
}

/* A store of a newer version is left alone. */
static void refuses_newer_version(void **state)
{
	struct fix *f = *state;

	fill(f);
	exec_index(f, "PRAGMA user_version = 99");
	assert_int_equal(start(f), EPROTO);
	assert_non_null(strstr(f->why, "newer"));
	exec_index(f, "PRAGMA user_version = 6");
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
}

/* A store of the first format is brought to today's, and has lost nothing. */
static void upgrades_the_first_format(void **state)
{
	struct fix *f = *state;

	fill(f);
	exec_index(f, "DROP TABLE pinned; DROP TABLE member; DROP TABLE leaf;"
		      "DROP TABLE agreed; DROP TABLE file;"
		      "DROP TABLE leaving; DROP TABLE own_stamp;"
		      "DROP TABLE file_stamp; DROP TABLE tally;"
		      "DROP TABLE departed; PRAGMA user_version = 1");
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
	assert_null(store_pinned(f->open.st));
}

/* The third format did not know how its blobs were left: all is there, and all
 * is doubtful. */
static void upgrades_the_third_format(void **state)
{
	struct fix *f = *state;

	fill(f);
	exec_index(f, "DROP TABLE own_stamp; DROP TABLE file_stamp;"
		      "DROP TABLE tally; DROP TABLE departed;"
		      "PRAGMA user_version = 3");
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		assert_true(store_is_doubtful(f->open.st, ix));
}

/* The set of pinned files that was named last is there after a restart; none,
 * and a row that makes no sense, are none. */
static void remembers_pins(void **state)
{
	struct fix *f = *state;
	struct bits files;

	assert_int_equal(bits_init(&files, 3), 0);
	bits_set(&files, 1);
	open_all(f);
	assert_null(store_pinned(f->open.st));
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	bits_set(&files, 2);
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	close_all(f);
	open_all(f);
	assert_non_null(store_pinned(f->open.st));
	assert_int_equal(store_pinned(f->open.st)->n_set, 2);
	assert_false(bits_has(store_pinned(f->open.st), 0));
	close_all(f);
	exec_index(f, "UPDATE pinned SET files = x'6000'");
	open_all(f);
	assert_null(store_pinned(f->open.st));
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	bits_clear_all(&files);
	assert_int_equal(store_keep_pins(f->open.st, &files), 0);
	close_all(f);
	open_all(f);
	assert_null(store_pinned(f->open.st));
	bits_fini(&files);
}

/* Rows that make no sense are skipped, the others count. */
static void skips_senseless_rows(void **state)
{
	struct fix *f = *state;

	fill(f);
	exec_index(f, "INSERT INTO held VALUES (1, 7000000, 1, zeroblob(512));"
		      "INSERT INTO held VALUES (1, -1, 1, zeroblob(512));");
	/* bits beyond the last piece */
	exec_index(f, "UPDATE held SET bits ="
		      " CAST(x'ff' || substr(bits, 2) AS BLOB)"
		      " WHERE chunk = 0");
	open_all(f);
	assert_int_equal(f->open.held.n_set, 5);
}

/* The info dictionary is remembered, and found by the hash. */
static void remembers_info(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct torrent_id other = f->mi->id;

	open_all(f);
	close_all(f);
	assert_int_equal(start(f), 0);
	assert_int_equal(store_load_info(f->s, &f->mi->id, fix_on_info, &a), 0);
	assert_false(a.is_done);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.info.len, f->mi->info.len);
	assert_memory_equal(a.info.ptr, f->mi->info.ptr, a.info.len);
	mem_free((void *)(uintptr_t)a.info.ptr);
	a.is_done = false;
	other.v1.bytes[3] ^= 1;
	assert_int_equal(store_load_info(f->s, &other, fix_on_info, &a), 0);
	fix_until(&f->l, fix_is_set, &a.is_done);
	assert_int_equal(a.err, ENOENT);
}

/* Every kind of torrent (v1, v2, hybrid; pads, gaps, empty files) keeps every
 * byte of every file over a restart. */
static void parse_fixture(struct fix *f, const struct fixture *fx)
{
	struct mi_error why;

	metainfo_free(f->mi);
	assert_int_equal(metainfo_parse_file(fx->bytes, fx->len, f->l.hasher,
					     &f->mi, &why),
			 0);
}

static void keeps_every_kind(void **state)
{
	struct fix *f = *state;

	for (int i = 0; i < N_FIXTURES; i++) {
		parse_fixture(f, &fixtures[i]);
		fill(f);
		open_all(f);
		assert_true(bits_is_full(&f->open.held));
		for (uint32_t ix = 0; ix < f->mi->n_files; ix++) {
			const struct mi_file *file = &f->mi->files[ix];

			if (file->len_bytes > 0 && !(file->attr & MI_ATTR_PAD))
				assert_reads(f, file->off_bytes,
					     (uint32_t)file->len_bytes);
		}
		close_all(f);
	}
}

/* A hybrid is found by either of its hashes alone. */
static void finds_hybrids(void **state)
{
	struct fix *f = *state;

	parse_fixture(f, &fixtures[N_FIXTURES - 1]);
	assert_true(f->mi->has_v1 && f->mi->has_v2);
	open_all(f);
	for (int i = 0; i < 2; i++) {
		struct torrent_id id = {0};
		struct fix_answer a = {0};

		if (i == 0)
			id.v1 = f->mi->id.v1;
		else
			id.v2 = f->mi->id.v2;
		assert_int_equal(store_load_info(f->s, &id, fix_on_info, &a),
				 0);
		fix_until(&f->l, fix_is_set, &a.is_done);
		assert_int_equal(a.err, 0);
		assert_int_equal(a.info.len, f->mi->info.len);
		mem_free((void *)(uintptr_t)a.info.ptr);
	}
}

/* A torrent is open once. */
static void opens_once(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &a), EEXIST);
	store_close(f->open.st);
	assert_int_equal(fix_open(&f->l, f->s, f->mi, &f->open), 0);
}

/* A write that fails is that put's error; the store goes on. */
static void failed_write_is_one_puts(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0}, b = {0};
	struct rlimit old, small;

	open_all(f);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 35000; /* less than file 0 */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	fix_put(&f->l, f->open.st, f->mi, 3, &b);
	fix_quiet(&f->l);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.err, EFBIG);
	assert_int_equal(a.n_written + a.n_durable, 0);
	assert_int_equal(b.n_durable, 1);
	assert_int_equal(store_err(f->s), 0);
	fix_put(&f->l, f->open.st, f->mi, 0, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 1);
	assert_reads(f, 0, FIX_PIECE_BYTES);
}

/* A failed sync is never believed: its puts are EIO, the store takes nothing
 * more, goes on reading, and has no row of it after a restart. */
static void failed_sync_is_final(void **state)
{
	struct fix *f = *state;
	struct fix_answer first = {0}, a = {0}, b = {0};

	open_all(f);
	fix_put(&f->l, f->open.st, f->mi, 0, &first);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	atomic_store(&syncs_fail, true);
	assert_int_equal(fix_flush(&f->l, f->s), EIO);
	atomic_store(&syncs_fail, false);
	assert_int_equal(a.n_written, 1);
	assert_int_equal(a.n_durable, 0);
	assert_int_equal(a.err, EIO);
	assert_int_equal(store_err(f->s), EIO);
	fix_put(&f->l, f->open.st, f->mi, 2, &b);
	assert_int_equal(b.n_failed, 0); /* not from inside the call */
	fix_quiet(&f->l);
	assert_int_equal(b.err, EIO);
	assert_int_equal(b.n_written, 0);
	assert_reads(f, 0, FIX_PIECE_BYTES);
	close_all(f);
	open_all(f);
	assert_int_equal(f->open.held.n_set, 1);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 1);
}

/* Puts after a close are through before the store is freed. */
static void drains_on_free(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	open_all(f);
	put_all(f, &a);
	close_all(f);
	assert_int_equal(a.n_written, 5);
	assert_int_equal(a.n_durable, 5);
	open_all(f);
	assert_true(bits_is_full(&f->open.held));
}

/* A torrent of more files than descriptors are kept is written and read whole,
 * and leaves no descriptor behind. */
static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void bounds_descriptors(void **state)
{
	enum { N = 700, LEN = 100 };
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct mi_file *files = mem_zalloc(N, sizeof(*files));
	struct metainfo mi = *f->mi;
	unsigned before;

	assert_int_equal(start(f), 0);
	before = count_fds();
	for (uint32_t i = 0; i < N; i++)
		files[i] = (struct mi_file){.off_bytes = (uint64_t)i * LEN,
					    .len_bytes = LEN};
	mi.files = files;
	mi.n_files = N;
	/* the same pieces, cut into other files; metainfo is a plain struct */
	mi.total_bytes = (uint64_t)N * LEN;
	mi.n_pieces = (uint32_t)((mi.total_bytes + FIX_PIECE_BYTES - 1) /
				 FIX_PIECE_BYTES);
	assert_int_equal(fix_open(&f->l, f->s, &mi, &f->open), 0);
	for (uint32_t ix = 0; ix < mi.n_pieces; ix++)
		fix_put(&f->l, f->open.st, &mi, ix, &a);
	fix_quiet(&f->l);
	assert_true(count_fds() <= before + STORE_OPEN_BLOBS);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, mi.n_pieces);
	assert_reads(f, 0, (uint32_t)mi.total_bytes);
	assert_true(count_fds() <= before + STORE_OPEN_BLOBS);
	store_close(f->open.st);
	f->open.st = NULL;
	assert_int_equal(count_fds(), before);
	mem_free(files);
}

/* Every allocation that fails is survived: an error is said, nothing leaks,
 * and the next try works. */
static void survives_no_memory(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	struct blk *b = fix_piece(&f->l, f->mi, 0);
	bool failed = true;

	for (uint64_t n = 0; failed; n++) {
		mem_fail_after(n, 0);
		failed = start(f) != 0;
		if (!failed) {
			a.is_done = false;
			failed = store_open(f->s, f->mi, fix_on_open, &a) != 0;
			if (!failed) {
				workers_drain(f->l.thread, 10000);
				failed = a.err != 0;
			}
			if (!failed)
				failed = store_put(a.st, 0, b, fix_on_put,
						   &a) != 0;
			if (a.st != NULL)
				store_close(a.st);
			a.st = NULL;
			store_free(f->s);
			f->s = NULL;
		}
		mem_fail_after(UINT64_MAX, 0);
		bits_fini(&a.held);
		a.err = 0;
		assert_true(n < 1000);
	}
	assert_int_equal(a.n_durable, 1);
	blk_drop(b);
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(holds_after_reopen),
		T(reads_now_when_open),
		T(commits_by_timer),
		T(keeps_files_private),
		T(crash_claims_nothing),
		T(missing_blob_drops_rows),
		T(short_blob_drops_rows),
		T(vanished_blob_is_eio),
		T(cut_blob_is_eio),
		T(cut_blob_stays_cut),
		T(forgets),
		T(is_locked),
		T(refuses_strange_dirs),
		T(refuses_newer_version),
		T(upgrades_the_first_format),
		T(upgrades_the_third_format),
		T(remembers_pins),
		T(skips_senseless_rows),
		T(remembers_info),
		T(keeps_every_kind),
		T(finds_hybrids),
		T(opens_once),
		T(failed_write_is_one_puts),
		T(failed_sync_is_final),
		T(drains_on_free),
		T(bounds_descriptors),
		T(survives_no_memory),
	};

	if (argc == 2)
		return die_before_commit(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
