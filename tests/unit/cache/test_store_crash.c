/* test_store_crash — kill -9 at any moment, and a disk that is full. Every
 * third piece is staged, wrong at first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store.h"
#include "cache/store_disk.h"
#include "core/rng.h"
#include "core/torrent_id.h"
#include "tests/lib/cache_fix.h"

enum {
	N_CRASHES = 50,
	CRASH_MAX_MS = 40,
	GROUP = 6, /* pieces put at once */
	DISK_BYTES = 4 << 20,
	PAGE_BYTES = 4096,
	PARTS = 4, /* of a piece that is staged */
	MAX_PIECES = 256,
	REPORT_FD = 100,
};

static unsigned n_crashes = N_CRASHES;

/* ---- Fixture: a directory, a loop, maybe a store ---- */

struct fix {
	struct fix_loop l;
	char dir[64];
	char why[160];
	struct store *s;
	struct metainfo *mi;
	struct fix_answer open;
	bool is_mounted;
};

/* Small files and large ones, none on a piece's boundary. */
static const uint64_t lens[] = {700001, 3,	40000, 1,     90001,
				30,	500009, 20000, 16383, 1200000};

enum { N_LENS = sizeof(lens) / sizeof(lens[0]) };

static void fix_init(struct fix *f, const char *dir)
{
	fix_loop_init(&f->l, 2);
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->mi = fix_torrent(&f->l, "crash", lens, N_LENS);
}

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);
	char dir[64];

	fix_dir_make(dir, sizeof(dir));
	fix_init(f, dir);
	*state = f;
	return 0;
}

/* A small disk of its own, for the threads of this fixture alone, if that is
 * allowed: so it comes before them. */
static int set_up_disk(void **state)
{
	struct fix *f = mem_new(struct fix);
	char dir[64], size[32];

	fix_dir_make(dir, sizeof(dir));
	snprintf(size, sizeof(size), "size=%d,mode=0700", DISK_BYTES);
	f->is_mounted =
		unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("tmpfs", dir, "tmpfs", 0, size) == 0;
	fix_init(f, dir);
	*state = f;
	return 0;
}

static void close_all(struct fix *f)
{
	if (f->open.st != NULL)
		store_close(f->open.st);
	f->open.st = NULL;
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close_all(f);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	if (f->is_mounted)
		umount2(f->dir, MNT_DETACH);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static int open_all(struct fix *f)
{
	int err = fix_disk(&f->l, f->dir, f->why, &f->s);

	return err != 0 ? err : fix_open(&f->l, f->s, f->mi, &f->open);
}

/* One put of which the end is waited for. */
struct a_put {
	struct fix_answer answer;
	uint32_t ix;
	bool is_over;
	int report_fd;
	unsigned *n_open;
	/* of one that is staged */
	struct fix *f;
	unsigned n_parts; /* under way */
	bool is_wrong;	  /* the bytes that are */
	int stage_err;
};

static void on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	struct a_put *p = arg;

	fix_on_put(&p->answer, ix, phase, err);
	assert_int_equal(ix, p->ix);
	assert_false(p->is_over);
	assert_true(p->answer.n_written <= 1);
	if (err == 0 && phase == STORE_WRITTEN)
		return;
	assert_int_equal(p->answer.n_failed + p->answer.n_durable, 1);
	assert_true(err != 0 || p->answer.n_written == 1);
	p->is_over = true;
	--*p->n_open;
	if (p->report_fd >= 0 && err == 0 &&
	    write(p->report_fd, &ix, sizeof(ix)) != (ssize_t)sizeof(ix))
		_exit(9);
}

/* ---- pieces that are staged: garbage first, then what is right ---- */

static void stage(struct a_put *p, bool is_wrong);

static void on_staged(void *arg, int err)
{
	struct a_put *p = arg;

	if (err != 0)
		p->stage_err = err;
	if (--p->n_parts > 0)
		return;
	if (p->stage_err != 0)
		on_put(p, p->ix, STORE_WRITTEN, p->stage_err);
	else if (p->is_wrong)
		stage(p, false);
	else
		fix_must(store_put(p->f->open.st, p->ix, NULL, on_put, p),
			 "store_put");
}

static void stage(struct a_put *p, bool is_wrong)
{
	struct blk *b = fix_piece(&p->f->l, p->f->mi, p->ix);
	uint32_t left = (uint32_t)b->len, at = 0, part = left / PARTS + 1;

	p->is_wrong = is_wrong;
	p->n_parts = (left + part - 1) / part;
	for (; left > 0; left -= part, at += part) {
		struct blk *seg;

		if (part > left)
			part = left;
		seg = blk_new(p->f->l.pool, part);
		memcpy(seg->data, b->data + at, part);
		if (is_wrong)
			memset(seg->data, 0xee, part);
		fix_must(store_stage(p->f->open.st, p->ix, at, seg, on_staged,
				     p),
			 "store_stage");
		blk_drop(seg);
	}
	blk_drop(b);
}

static bool is_for_stage(uint32_t ix)
{
	return ix % 3 == 1;
}

static void put(struct fix *f, uint32_t ix, struct a_put *p, unsigned *n_open)
{
	struct blk *b;

	*p = (struct a_put){
		.ix = ix, .report_fd = -1, .n_open = n_open, .f = f};
	++*n_open;
	if (is_for_stage(ix)) {
		stage(p, true);
		return;
	}
	b = fix_piece(&f->l, f->mi, ix);
	fix_must(store_put(f->open.st, ix, b, on_put, p), "store_put");
	blk_drop(b);
}

static bool is_zero(void *arg)
{
	return *(unsigned *)arg == 0;
}

/* Every piece that is claimed has its bytes. */
static void check_claims(struct fix *f)
{
	static uint8_t bytes[FIX_PIECE_BYTES];
	const struct bits *held = &f->open.held;

	for (uint32_t ix = bits_next(held, 0); ix < held->n;
	     ix = bits_next(held, ix + 1)) {
		uint64_t off = (uint64_t)ix * FIX_PIECE_BYTES;
		uint32_t len = metainfo_piece_bytes(f->mi, ix);

		assert_int_equal(fix_read(&f->l, f->open.st, off, len, bytes),
				 0);
		assert_true(fix_matches(bytes, off, len));
	}
}

/* ---- kill -9 ---- */

/* What the child does, this program run again: it puts what it lacks, some of
 * it at a time, and tells of each piece that is durable. */
static int load(const char *dir, int report_fd)
{
	static struct a_put puts[MAX_PIECES];
	struct fix f = {0};
	unsigned n_open = 0;
	uint32_t none = UINT32_MAX;
	uint32_t n = 0;

	fix_init(&f, dir);
	if (open_all(&f) != 0 ||
	    write(report_fd, &none, sizeof(none)) != (ssize_t)sizeof(none))
		_exit(2);
	for (uint32_t ix = 0; ix < f.mi->n_pieces; ix++) {
		if (bits_has(&f.open.held, ix))
			continue;
		put(&f, ix, &puts[ix], &n_open);
		puts[ix].report_fd = report_fd;
		if (++n % GROUP == 0 && fix_flush(&f.l, f.s) != 0)
			_exit(3);
	}
	fix_until(&f.l, is_zero, &n_open);
	(void)pause();
	return 0;
}

static pid_t start_child(const char *dir, int *report_fd)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], REPORT_FD);
		execl("/proc/self/exe", "test_store_crash", dir, NULL);
		_exit(5);
	}
	close(fds[1]);
	*report_fd = fds[0];
	return pid;
}

/* Let it run for a while; `told` gets what it said was durable. */
static void crash(struct fix *f, struct rng *rng, struct bits *told)
{
	struct timespec ts = {0};
	uint32_t ix;
	int fd, status;
	pid_t pid = start_child(f->dir, &fd);

	assert_int_equal(read(fd, &ix, sizeof(ix)), sizeof(ix));
	ts.tv_nsec = (long)rng_below(rng, CRASH_MAX_MS * 1000) * 1000;
	nanosleep(&ts, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(fd, &ix, sizeof(ix)) == (ssize_t)sizeof(ix))
		bits_set(told, ix);
	close(fd);
}

/* However often and whenever the process is killed, what it said was durable
 * is held when the store is opened again, and whatever is held has its bytes.
 */
static void survives_kill(void **state)
{
	struct fix *f = *state;
	struct bits told = {0};
	unsigned n_partial = 0, n_told = 0, n_held = 0;
	struct rng rng;

	rng_seed(&rng, n_crashes);
	assert_int_equal(bits_init(&told, f->mi->n_pieces), 0);
	for (unsigned i = 0; i < n_crashes; i++) {
		crash(f, &rng, &told);
		assert_int_equal(open_all(f), 0);
		for (uint32_t ix = 0; ix < told.n; ix++)
			if (bits_has(&told, ix))
				assert_true(bits_has(&f->open.held, ix));
		check_claims(f);
		n_told += told.n_set;
		n_held += f->open.held.n_set;
		n_partial +=
			f->open.held.n_set > 0 && !bits_is_full(&f->open.held);
		if (!bits_is_full(&f->open.held)) {
			close_all(f);
			continue;
		}
		close_all(f);
		fix_dir_remove(f->dir); /* from the start */
		bits_fini(&told);
		assert_int_equal(bits_init(&told, f->mi->n_pieces), 0);
	}
	bits_fini(&told);
	if (access(f->dir, F_OK) != 0)
		assert_int_equal(mkdir(f->dir, 0700), 0);
	printf("kills: %u; %u pieces held and read, 0 wrong; %u said to be "
	       "durable, 0 lost\n",
	       n_crashes, n_held, n_told);
	assert_true(n_partial >= n_crashes / 4); /* or it hit nothing */
}

/* ---- a full disk ---- */

/* Fill the disk but for `spare_bytes`; by a name that the store ignores, once
 * it is one. */
static void fill_disk(struct fix *f, unsigned spare_bytes)
{
	static const uint8_t page[PAGE_BYTES];
	char path[96];
	off_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/ballast", f->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	while (write(fd, page, sizeof(page)) == (ssize_t)sizeof(page))
		len += (off_t)sizeof(page);
	assert_int_equal(errno, ENOSPC);
	assert_true(len > (off_t)spare_bytes);
	assert_int_equal(ftruncate(fd, len - (off_t)spare_bytes), 0);
	close(fd);
}

static void empty_disk(struct fix *f)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/ballast", f->dir);
	assert_int_equal(unlink(path), 0);
}

/* Put all that is not held; what was kept is. */
static void put_missing(struct fix *f, struct bits *held)
{
	static struct a_put puts[MAX_PIECES];
	unsigned n_open = 0;

	for (uint32_t ix = 0; ix < held->n; ix++)
		if (!bits_has(held, ix))
			put(f, ix, &puts[ix], &n_open);
	fix_until(&f->l, is_zero, &n_open);
	for (uint32_t ix = 0; ix < held->n; ix++) {
		if (bits_has(held, ix))
			continue;
		if (puts[ix].answer.err == 0)
			bits_set(held, ix);
		else
			assert_int_equal(puts[ix].answer.err, ENOSPC);
	}
}

/* A full disk costs the pieces that do not fit, at most their whole batch, and
 * nothing else: the store goes on, reads what it has, and takes the rest when
 * there is room. */
static void goes_on_after_full(void **state)
{
	struct fix *f = *state;
	struct bits *held = &f->open.held;
	unsigned n_open = 0;
	struct a_put p;

	if (!f->is_mounted)
		skip();
	assert_int_equal(open_all(f), 0);
	put(f, 3, &p, &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_equal(p.answer.n_durable, 1);
	bits_set(held, 3);
	fill_disk(f, 1 << 20);
	put_missing(f, held);
	assert_false(bits_is_full(held));
	assert_int_equal(store_err(f->s), 0);
	check_claims(f);
	empty_disk(f);
	put_missing(f, held);
	assert_true(bits_is_full(held));
	assert_int_equal(store_err(f->s), 0);
	close_all(f);
	assert_int_equal(open_all(f), 0);
	assert_true(bits_is_full(&f->open.held));
	check_claims(f);
}

/* The same when the bytes fit and the index does not. */
static void goes_on_after_full_index(void **state)
{
	struct fix *f = *state;
	struct bits *held = &f->open.held;

	if (!f->is_mounted)
		skip();
	assert_int_equal(open_all(f), 0);
	put_missing(f, held);
	assert_true(bits_is_full(held));
	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix += 2) {
		store_forget(f->open.st, ix);
		bits_clear(held, ix);
	}
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	fill_disk(f, 0);
	put_missing(f, held);
	assert_false(bits_is_full(held));
	assert_int_equal(store_err(f->s), 0);
	check_claims(f);
	empty_disk(f);
	put_missing(f, held);
	assert_true(bits_is_full(held));
	close_all(f);
	assert_int_equal(open_all(f), 0);
	assert_true(bits_is_full(&f->open.held));
	check_claims(f);
}

/* ---- an index that cannot be written ---- */

static bool works(void *arg)
{
	const struct fix *f = arg;

	return store_err(f->s) == 0;
}

/* A commit that fails for any other reason stops the keeping, once, loudly; no
 * put is lost sight of, reads go on; and it begins again when the disk works.
 */
static void fails_with_its_index(void **state)
{
	struct rlimit old, small = {0};
	struct fix *f = *state;
	struct bits *held = &f->open.held;
	unsigned n_open = 0;
	struct a_put p[2];

	assert_int_equal(open_all(f), 0);
	put_missing(f, held);
	assert_true(bits_is_full(held));
	store_forget(f->open.st, 1);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){FIX_PIECE_BYTES * 2, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 200 && store_err(f->s) == 0; i++) {
		put(f, 1, &p[0], &n_open);
		fix_until(&f->l, is_zero, &n_open);
		store_forget(f->open.st, 1);
	}
	assert_int_equal(store_err(f->s), EIO);
	assert_int_equal(p[0].answer.err, EIO);
	put(f, 1, &p[1], &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_not_equal(p[1].answer.err, 0);
	check_claims(f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	fix_until(&f->l, works, f);
	put(f, 1, &p[1], &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_equal(p[1].answer.err, 0);
	close_all(f);
	assert_int_equal(open_all(f), 0);
	check_claims(f);
	put_missing(f, &f->open.held);
	assert_true(bits_is_full(&f->open.held));
}

/* The directory may be taken away while the store runs: that fails what
 * needs names, and nothing hangs. */
static void lives_without_its_directory(void **state)
{
	struct fix *f = *state;
	unsigned n_open = 0;
	struct a_put p[2];

	assert_int_equal(open_all(f), 0);
	put(f, 0, &p[0], &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_equal(p[0].answer.n_durable, 1);
	fix_dir_remove(f->dir);
	put(f, f->mi->n_pieces - 1, &p[1], &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_equal(p[1].answer.err, EIO);
	close_all(f);
	assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* ---- things that somebody has put there ---- */

static void name_of(const struct fix *f, const char *name, char out[256])
{
	char hex[TORRENT_HEX_BYTES];

	snprintf(out, 256, "%s/torrents/%s/%s", f->dir,
		 torrent_id_hex(&f->mi->id, hex), name);
}

/* A pipe is not waited for, and a link not followed: what it leads to is
 * neither read nor written. */
static void planted_things_are_left_alone(void **state)
{
	static const char text[] = "somebody else's";
	struct fix *f = *state;
	char path[256], victim[96], got[sizeof(text)] = "";
	unsigned n_open = 0;
	struct a_put p;
	int fd;

	assert_int_equal(open_all(f), 0);
	put(f, 0, &p, &n_open);
	fix_until(&f->l, is_zero, &n_open);
	close_all(f);
	snprintf(victim, sizeof(victim), "%s.victim", f->dir);
	fd = open(victim, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	name_of(f, "0", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(victim, path), 0);
	name_of(f, "info", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	name_of(f, "info.new", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_not_equal(open_all(f), 0); /* it cannot be written */
	close_all(f);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_all(f), 0);
	assert_false(bits_has(&f->open.held, 0));
	put(f, 0, &p, &n_open);
	fix_until(&f->l, is_zero, &n_open);
	assert_int_not_equal(p.answer.err, 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(text));
	assert_string_equal(got, text);
	close(fd);
	assert_int_equal(unlink(victim), 0);
}

#define T(name)	   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define DISK(name) cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(survives_kill),
		DISK(goes_on_after_full),
		DISK(goes_on_after_full_index),
		T(fails_with_its_index),
		T(lives_without_its_directory),
		T(planted_things_are_left_alone),
	};

	const struct CMUnitTest kills[] = {T(survives_kill)};

	if (argc == 2)
		return load(argv[1], REPORT_FD);
	if (argc == 3 && strcmp(argv[1], "--kills") == 0) {
		n_crashes = (unsigned)strtoul(argv[2], NULL, 10);
		return cmocka_run_group_tests(kills, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
