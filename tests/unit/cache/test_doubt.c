/* test_doubt — blobs that somebody else changes, between runs and within one:
 * what was in them is not believed, found out, and fetched anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/store_disk.h"
#include "cache/store_share.h"
#include "cache/store_vet.h"
#include "tests/lib/cache_fix.h"

/* ---- Fixture: a torrent of three files, all of it in a disk store ---- */

enum { LAST_PIECE = 4 };

struct fix {
	struct fix_loop l;
	char dir[64];
	struct store *s;
	struct piece_mem *mem;
	struct metainfo *mi;
	struct fix_answer open;
	struct pieces *ps;
	bool is_open, is_gone;
	unsigned n_lost;
};

/* f0 ends in piece 2, f1 lies in it, f2 goes on to piece 4. */
static const uint64_t three_files[] = {40000, 5, 30000};

/* The threads, and what needs them. */
static void begin(struct fix *f)
{
	struct piece_mem_cfg mem = {.unverified_bytes = 1 << 20};

	fix_loop_init(&f->l, 2);
	f->mi = fix_torrent(&f->l, "three", three_files, 3);
	mem.pool = f->l.pool;
	fix_must(piece_mem_new(&mem, &f->mem), "memory");
}

/* Who forks does so before there are threads. */
static int set_up_bare(void **state)
{
	struct fix *f = mem_new(struct fix);

	fix_dir_make(f->dir, sizeof(f->dir));
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	int err = set_up_bare(state);

	begin(*state);
	return err;
}

static void start(struct fix *f)
{
	fix_must(fix_disk(&f->l, f->dir, NULL, &f->s), "store");
}

static void open_store(struct fix *f)
{
	start(f);
	fix_must(fix_open(&f->l, f->s, f->mi, &f->open), "open");
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void close_all(struct fix *f)
{
	if (f->open.st != NULL)
		store_close(f->open.st);
	f->open.st = NULL;
	if (f->ps != NULL) {
		pieces_check(f->ps);
		f->is_gone = false;
		pieces_close(f->ps, on_gone, f);
		f->ps = NULL;
		fix_until(&f->l, fix_is_set, &f->is_gone);
	}
	store_free(f->s);
	f->s = NULL;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close_all(f);
	piece_mem_free(f->mem);
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void put(struct fix *f, uint32_t ix)
{
	struct fix_answer a = {0};

	fix_put(&f->l, f->open.st, f->mi, ix, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.err, 0);
	assert_int_equal(a.n_durable, 1);
}

/* All of it, in an open store. */
static void fill_open(struct fix *f)
{
	open_store(f);
	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		put(f, ix);
}

static void fill(struct fix *f)
{
	fill_open(f);
	close_all(f);
}

static const char *blob(struct fix *f, unsigned n)
{
	static char path[2][256];
	static unsigned at;
	char hex[TORRENT_HEX_BYTES];

	at ^= 1;
	snprintf(path[at], sizeof(path[at]), "%s/torrents/%s/%u", f->dir,
		 torrent_id_hex(&f->mi->id, hex), n);
	return path[at];
}

/* Change one byte, and no length; the clock has ticked before. */
static void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	usleep(12000);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Another file of the same length, in its place. */
static void replace(const char *path)
{
	char other[300];
	uint8_t *zeros = mem_zalloc(1, 40000);
	int fd;

	snprintf(other, sizeof(other), "%s.other", path);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, zeros, 40000), 40000);
	close(fd);
	mem_free(zeros);
	assert_int_equal(rename(other, path), 0);
}

static int vet(struct fix *f, uint32_t ix)
{
	const struct vet_ask hurried = {.is_hurried = true};
	struct fix_answer a = {0};

	fix_must(store_vet(f->open.st, ix, &hurried, fix_on_done, &a), "vet");
	fix_until(&f->l, fix_is_set, &a.is_done);
	return a.err;
}

static unsigned n_doubtful(struct fix *f)
{
	unsigned n = 0;

	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++)
		n += store_is_doubtful(f->open.st, ix);
	return n;
}

/* ---- Tests: between two runs ---- */

/* What nobody touched is believed, without a look at a byte of it. */
static void believes_what_is_as_it_was(void **state)
{
	struct fix *f = *state;

	fill(f);
	open_store(f);
	assert_true(bits_is_full(&f->open.held));
	assert_int_equal(n_doubtful(f), 0);
}

/* A byte that was changed: its file is doubtful, no other one; hashing finds
 * the piece and clears the rest. */
static void finds_a_flipped_byte(void **state)
{
	struct fix *f = *state;

	fill(f);
	flip(blob(f, 0), 20000);
	open_store(f);
	assert_true(bits_is_full(&f->open.held));
	assert_int_equal(n_doubtful(f), 3);
	assert_int_equal(vet(f, 0), 0);
	assert_int_equal(vet(f, 1), EBADMSG);
	assert_int_equal(vet(f, 2), 0);
	assert_int_equal(n_doubtful(f), 1);
	put(f, 1);
	assert_int_equal(n_doubtful(f), 0);
	close_all(f);
	open_store(f);
	assert_int_equal(n_doubtful(f), 0);
}

/* A doubt that nobody looked into is there at the next start, and the next. */
static void doubts_outlive_the_process(void **state)
{
	struct fix *f = *state;

	fill(f);
	flip(blob(f, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		open_store(f);
		assert_int_equal(n_doubtful(f), 3);
		assert_int_equal(vet(f, 1), 0);
		close_all(f);
	}
}

/* A copy of the same length and times, another file by the same name. */
static void finds_a_replaced_blob(void **state)
{
	struct fix *f = *state;
	struct timespec times[2];
	struct stat sb;

	fill(f);
	assert_int_equal(stat(blob(f, 0), &sb), 0);
	replace(blob(f, 0));
	times[0] = sb.st_atim;
	times[1] = sb.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, blob(f, 0), times, 0), 0);
	open_store(f);
	assert_int_equal(n_doubtful(f), 3);
	assert_int_equal(vet(f, 0), EBADMSG);
}

/* Bytes changed, and the time of the change set back. */
static void is_not_deceived_by_mtime(void **state)
{
	struct fix *f = *state;
	struct timespec times[2];
	struct stat sb;

	fill(f);
	assert_int_equal(stat(blob(f, 0), &sb), 0);
	flip(blob(f, 0), 100);
	times[0] = sb.st_atim;
	times[1] = sb.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, blob(f, 0), times, 0), 0);
	open_store(f);
	assert_int_equal(vet(f, 0), EBADMSG);
}

/* ---- Tests: a process that ends by itself ---- */

static void die_after(struct fix *f, bool is_written)
{
	struct fix_answer a = {0};
	struct blk *b = fix_piece(&f->l, f->mi, 3);

	put(f, 0);
	put(f, LAST_PIECE);
	if (is_written) {
		usleep(12000);
		fix_must(store_put(f->open.st, 3, b, fix_on_put, &a), "put");
		while (a.n_written == 0)
			fix_quiet(&f->l);
	}
	_exit(0);
}

static void crash(struct fix *f, bool is_written)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		begin(f);
		open_store(f);
		die_after(f, is_written);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	begin(f);
}

/* Killed when all was committed: each commit has written down how its blobs
 * are, so nothing is hashed. */
static void proves_what_was_committed(void **state)
{
	struct fix *f = *state;

	crash(f, false);
	open_store(f);
	assert_int_equal(f->open.held.n_set, 2);
	assert_int_equal(n_doubtful(f), 0);
}

/* Killed behind a write that no commit has seen: that blob is doubtful, the
 * other one is not. */
static void doubts_what_was_written_last(void **state)
{
	struct fix *f = *state;

	crash(f, true);
	open_store(f);
	assert_int_equal(f->open.held.n_set, 2);
	assert_false(store_is_doubtful(f->open.st, 0));
	assert_true(store_is_doubtful(f->open.st, LAST_PIECE));
	assert_int_equal(vet(f, LAST_PIECE), 0);
}

/* ---- Tests: within a run ---- */

/* A read notices that the blob is not as it was left, whatever of it it read,
 * and gives nothing. */
static void reads_nothing_of_a_changed_blob(void **state)
{
	struct fix *f = *state;
	uint8_t dst[100];

	fill_open(f);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), 0);
	assert_int_equal(store_read_now(f->open.st, 0, 100, dst), 0);
	flip(blob(f, 0), 20000);
	assert_int_equal(store_read_now(f->open.st, 0, 100, dst), EAGAIN);
	assert_int_equal(n_doubtful(f), 0);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), ENOENT);
	assert_int_equal(n_doubtful(f), 3);
	assert_int_equal(vet(f, 0), 0);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), 0);
	assert_true(fix_matches(dst, 0, 100));
	assert_int_equal(vet(f, 1), EBADMSG);
}

/* Who asks for a part gets the bytes that were hashed: across files, behind the
 * last one, and of a piece that is wrong no matter what. */
static void who_has_it_hashed_may_have_it(void **state)
{
	struct fix *f = *state;
	uint8_t dst[FIX_PIECE_BYTES];

	fill_open(f);
	for (uint32_t ix = 0; ix < f->mi->n_pieces; ix++) {
		uint32_t len = metainfo_piece_bytes(f->mi, ix);
		struct vet_ask ask = {.is_hurried = ix % 2,
				      .dst = dst,
				      .at_bytes = len / 3,
				      .len_bytes = len / 2};
		struct fix_answer a = {0};

		memset(dst, 0xee, sizeof(dst));
		fix_must(store_vet(f->open.st, ix, &ask, fix_on_done, &a),
			 "vet");
		fix_until(&f->l, fix_is_set, &a.is_done);
		assert_int_equal(a.err, 0);
		assert_true(fix_matches(
			dst, (uint64_t)ix * FIX_PIECE_BYTES + len / 3,
			len / 2));
		assert_int_equal(dst[len / 2], 0xee);
	}
}

/* Before we write to it ourselves, too: the change does not become ours. */
static void our_write_does_not_hide_a_change(void **state)
{
	struct fix *f = *state;

	open_store(f);
	put(f, 0);
	flip(blob(f, 0), 5);
	put(f, 1);
	assert_true(store_is_doubtful(f->open.st, 0));
	assert_false(store_is_doubtful(f->open.st, 1));
	assert_int_equal(vet(f, 0), EBADMSG);
	close_all(f);
	open_store(f);
	assert_true(store_is_doubtful(f->open.st, 0));
}

/* Not even between two of several that are under way at once. */
static void our_writes_do_not_hide_a_change(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};
	uint8_t byte = 0;
	int fd;

	open_store(f);
	put(f, 0);
	fix_put(&f->l, f->open.st, f->mi, 1, &a);
	fd = open(blob(f, 0), O_RDONLY);
	while (byte != fix_byte(FIX_PIECE_BYTES))
		assert_int_equal(pread(fd, &byte, 1, FIX_PIECE_BYTES), 1);
	close(fd);
	flip(blob(f, 0), 5); /* and the loop has not heard of that write */
	fix_put(&f->l, f->open.st, f->mi, 2, &a);
	assert_int_equal(fix_flush(&f->l, f->s), 0);
	assert_int_equal(a.n_durable, 2);
	assert_true(store_is_doubtful(f->open.st, 0));
	assert_int_equal(vet(f, 0), EBADMSG);
	assert_int_equal(vet(f, 1), 0);
}

/* A blob that changes while it is hashed says so. */
static void a_blob_is_not_given_away_changed(void **state)
{
	struct fix *f = *state;
	struct fix_answer a = {0};

	fill(f);
	flip(blob(f, 2), 5);
	open_store(f);
	for (uint32_t ix = 2; ix <= LAST_PIECE; ix++)
		assert_true(store_is_doubtful(f->open.st, ix));
	close_all(f);
	assert_int_equal(a.err, 0);
}

/* ---- Tests: what is gone may come again ---- */

static void on_store_lost(void *arg, uint32_t ix)
{
	((struct fix *)arg)->n_lost++;
}

static bool are_three_lost(void *arg)
{
	return ((struct fix *)arg)->n_lost == 3;
}

static void lose(struct fix *f)
{
	static const struct store_share_ops ops = {.on_lost = on_store_lost};
	uint8_t dst[100];

	store_watch(f->open.st, &ops, f);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), EIO);
	fix_until(&f->l, are_three_lost, f);
	fix_quiet(&f->l);
	for (uint32_t ix = 0; ix < 3; ix++)
		put(f, ix);
	assert_int_equal(n_doubtful(f), 0);
	assert_int_equal(fix_read(&f->l, f->open.st, 0, 100, dst), 0);
	assert_true(fix_matches(dst, 0, 100));
	close_all(f);
	open_store(f);
	assert_true(bits_is_full(&f->open.held));
	assert_int_equal(n_doubtful(f), 0);
}

/* Removed while it is open: all that was in it is lost, and a new one is made.
 */
static void makes_a_removed_blob_anew(void **state)
{
	struct fix *f = *state;

	fill_open(f);
	assert_int_equal(unlink(blob(f, 0)), 0);
	lose(f);
}

static void makes_a_cut_blob_anew(void **state)
{
	struct fix *f = *state;

	fill_open(f);
	assert_int_equal(truncate(blob(f, 0), 50), 0);
	lose(f);
}

/* ---- Tests: pieces ---- */

static void on_verified(void *arg, uint32_t ix)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	struct fix *f = arg;

	assert_false(bits_has(pieces_have(f->ps), ix));
	f->n_lost++;
}

static void on_open(void *arg, int err, struct pieces *ps)
{
	assert_int_equal(err, 0);
	((struct fix *)arg)->is_open = true;
}

static void open_pieces(struct fix *f)
{
	static const struct pieces_ops ops = {.on_verified = on_verified,
					      .on_lost = on_lost};
	struct pieces_cfg cfg = {
		.loop = f->l.loop,
		.workers = f->l.workers,
		.mem = f->mem,
		.mi = f->mi,
		.ops = &ops,
		.arg = f,
	};

	start(f);
	cfg.store = f->s;
	f->is_open = false;
	fix_must(pieces_open_start(&cfg, on_open, f, &f->ps), "pieces");
	fix_until(&f->l, fix_is_set, &f->is_open);
}

static int read_pieces(struct fix *f, uint64_t off, uint32_t len, uint8_t *dst)
{
	struct fix_answer a = {0};
	int err = pieces_read(f->ps, off, len, dst, fix_on_done, &a);

	if (err != 0)
		return err;
	fix_until(&f->l, fix_is_set, &a.is_done);
	return a.err;
}

/* A reader of a doubtful piece gets right bytes, or is told that they are gone;
 * pieces next to it stay. */
static void readers_get_right_bytes_or_none(void **state)
{
	struct fix *f = *state;
	uint8_t dst[16384];

	fill(f);
	flip(blob(f, 0), 20000);
	open_pieces(f);
	assert_int_equal(pieces_read_now(f->ps, 0, 100, dst), EAGAIN);
	assert_int_equal(read_pieces(f, 0, sizeof(dst), dst), 0);
	assert_true(fix_matches(dst, 0, sizeof(dst)));
	assert_int_equal(pieces_read_now(f->ps, 0, 100, dst), 0);
	assert_int_equal(read_pieces(f, 16384, 100, dst), ENOENT);
	assert_int_equal(f->n_lost, 1);
	assert_int_equal(pieces_state(f->ps, 1), PIECE_ABSENT);
	assert_int_equal(pieces_bad(f->ps), 1);
	assert_int_equal(pieces_hashed(f->ps), 2);
}

/* The same while the torrent is open: what is noticed by one read is known to
 * the next. */
static void notices_while_open(void **state)
{
	struct fix *f = *state;
	uint8_t dst[100];
	int err;

	fill(f);
	open_pieces(f);
	assert_int_equal(read_pieces(f, 0, 100, dst), 0);
	flip(blob(f, 0), 10);
	assert_int_equal(pieces_read_now(f->ps, 0, 100, dst), EAGAIN);
	for (unsigned i = 0; i < 2; i++) {
		err = read_pieces(f, 0, 100, dst);
		assert_int_equal(err, ENOENT);
	}
	assert_int_equal(pieces_state(f->ps, 0), PIECE_ABSENT);
	assert_int_equal(read_pieces(f, 16384, 100, dst), 0);
	assert_true(fix_matches(dst, 16384, 100));
}

/* Two readers of one piece: it is hashed once. Closing ends them both. */
static void one_vet_for_all(void **state)
{
	struct fix *f = *state;
	struct fix_answer a[2] = {0};
	uint8_t dst[2][100];

	fill(f);
	flip(blob(f, 0), 20000);
	open_pieces(f);
	for (unsigned i = 0; i < 2; i++)
		fix_must(pieces_read(f->ps, 0, 100, dst[i], fix_on_done, &a[i]),
			 "read");
	fix_until(&f->l, fix_is_set, &a[0].is_done);
	fix_until(&f->l, fix_is_set, &a[1].is_done);
	assert_int_equal(pieces_hashed(f->ps), 1);
	for (unsigned i = 0; i < 2; i++)
		fix_must(pieces_read(f->ps, 33000, 100, dst[i], fix_on_done,
				     &a[i]),
			 "read");
	a[0].is_done = a[1].is_done = false;
	pieces_close(f->ps, on_gone, f);
	f->ps = NULL;
	fix_until(&f->l, fix_is_set, &f->is_gone);
	assert_true(a[0].is_done && a[1].is_done);
	assert_int_equal(a[0].err, ESTALE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(believes_what_is_as_it_was),
		T(finds_a_flipped_byte),
		T(doubts_outlive_the_process),
		T(finds_a_replaced_blob),
		T(is_not_deceived_by_mtime),
		cmocka_unit_test_setup_teardown(proves_what_was_committed,
						set_up_bare, tear_down),
		cmocka_unit_test_setup_teardown(doubts_what_was_written_last,
						set_up_bare, tear_down),
		T(reads_nothing_of_a_changed_blob),
		T(who_has_it_hashed_may_have_it),
		T(our_write_does_not_hide_a_change),
		T(our_writes_do_not_hide_a_change),
		T(a_blob_is_not_given_away_changed),
		T(makes_a_removed_blob_anew),
		T(makes_a_cut_blob_anew),
		T(readers_get_right_bytes_or_none),
		T(notices_while_open),
		T(one_vet_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
