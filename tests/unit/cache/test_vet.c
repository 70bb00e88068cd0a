/* test_vet — pieces of a store hashed again, many at a time: each is said to be
 * what it is by itself, of v1, of v2 and of both; also while the store closes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store_disk.h"
#include "cache/store_share.h"
#include "cache/store_vet.h"
#include "core/bits.h"
#include "tests/lib/cache_fix.h"
#include "tests/lib/v2_torrent.h"

/* ---- Fixture: a torrent of one file in a disk store ---- */

enum {
	PIECE_BYTES = 32 << 10,
	N_PIECES = 53, /* the last is short */
	FILE_BYTES = (N_PIECES - 1) * PIECE_BYTES + 1234,
};

enum kind { V1, V2, HYBRID, N_KINDS };

struct fix {
	struct fix_loop l;
	char dir[64];
	struct store *s;
	struct metainfo *mi;
	struct fix_answer open;
	struct fix_answer vets[N_PIECES];
};

static struct metainfo *torrent_of(struct fix *f, enum kind kind)
{
	static const uint64_t len = FILE_BYTES;
	struct v2_spec spec = {.name = "film",
			       .len_bytes = FILE_BYTES,
			       .piece_bytes = PIECE_BYTES,
			       .is_hybrid = kind == HYBRID};

	return kind == V1 ? fix_torrent_of(&f->l, "film", &len, 1, PIECE_BYTES)
			  : v2_torrent(f->l.hasher, &spec);
}

static void start(struct fix *f)
{
	fix_must(fix_disk(&f->l, f->dir, NULL, &f->s), "store");
	fix_must(fix_open(&f->l, f->s, f->mi, &f->open), "open");
}

static void stop(struct fix *f)
{
	store_close(f->open.st);
	store_free(f->s);
}

/* All of it is held. */
static void begin(struct fix *f, enum kind kind, unsigned n_workers)
{
	*f = (struct fix){0};
	fix_dir_make(f->dir, sizeof(f->dir));
	fix_loop_init(&f->l, n_workers);
	f->mi = torrent_of(f, kind);
	assert_int_equal(f->mi->n_pieces, N_PIECES);
	start(f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		struct fix_answer a = {0};

		fix_put(&f->l, f->open.st, f->mi, ix, &a);
		assert_int_equal(fix_flush(&f->l, f->s), 0);
		assert_int_equal(a.n_durable, 1);
	}
	stop(f);
}

static void end(struct fix *f)
{
	bits_fini(&f->open.held);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
	fix_dir_remove(f->dir);
}

static const off_t *flips;

static int flip_in_blob(const char *path, const struct stat *sb, int type,
			struct FTW *ftw)
{
	uint8_t byte;
	int fd;

	if (type != FTW_F || sb->st_size != FILE_BYTES)
		return 0;
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (const off_t *at = flips; *at >= 0; at++) {
		assert_int_equal(pread(fd, &byte, 1, *at), 1);
		byte ^= 0x40;
		assert_int_equal(pwrite(fd, &byte, 1, *at), 1);
	}
	close(fd);
	return 0;
}

/* Up to a negative one. */
static void flip(struct fix *f, const off_t *at)
{
	flips = at;
	usleep(12000); /* the clock ticks */
	assert_int_equal(nftw(f->dir, flip_in_blob, 16, FTW_PHYS), 0);
}

static void vet_all(struct fix *f)
{
	const struct vet_ask idle = {0};

	memset(f->vets, 0, sizeof(f->vets));
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		fix_must(store_vet(f->open.st, ix, &idle, fix_on_done,
				   &f->vets[ix]),
			 "vet");
}

static bool are_done(void *arg)
{
	struct fix *f = arg;
	unsigned n = 0;

	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		n += f->vets[ix].is_done;
	return n == N_PIECES;
}

/* ---- Tests ---- */

static bool is_in(uint32_t ix, const off_t *at)
{
	for (; *at >= 0; at++)
		if (*at / PIECE_BYTES == ix)
			return true;
	return false;
}

/* Wherever the wrong ones are, they are named, and no others. */
static void names_the_wrong_ones(void **state)
{
	static const off_t wrong[] = {0, 7 * PIECE_BYTES + 20000,
				      8 * PIECE_BYTES, FILE_BYTES - 1, -1};

	for (unsigned kind = 0; kind < N_KINDS; kind++)
		for (unsigned n_workers = 1; n_workers <= 3; n_workers += 2) {
			struct fix f;

			begin(&f, kind, n_workers);
			flip(&f, wrong);
			start(&f);
			vet_all(&f);
			fix_until(&f.l, are_done, &f);
			for (uint32_t ix = 0; ix < N_PIECES; ix++)
				assert_int_equal(f.vets[ix].err,
						 is_in(ix, wrong) ? EBADMSG
								  : 0);
			stop(&f);
			end(&f);
		}
}

static int cut_blob(const char *path, const struct stat *sb, int type,
		    struct FTW *ftw)
{
	if (type == FTW_F && sb->st_size == FILE_BYTES)
		return truncate(path, 20 * PIECE_BYTES + 5);
	return 0;
}

/* What cannot be read any more takes nothing with it: those before the cut are
 * right, or were not looked at in time. */
static void survives_a_cut(void **state)
{
	struct fix f;

	begin(&f, V1, 2);
	start(&f);
	vet_all(&f);
	assert_int_equal(nftw(f.dir, cut_blob, 16, FTW_PHYS), 0);
	fix_until(&f.l, are_done, &f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		assert_true(f.vets[ix].err == 0 || f.vets[ix].err == EIO ||
			    f.vets[ix].err == EAGAIN);
	stop(&f);
	end(&f);
}

/* Each is answered, those that had not begun with an error. */
static void ends_with_the_torrent(void **state)
{
	struct fix f;

	begin(&f, HYBRID, 1);
	start(&f);
	vet_all(&f);
	store_close(f.open.st);
	fix_until(&f.l, are_done, &f);
	for (uint32_t ix = 0; ix < N_PIECES; ix++)
		assert_true(f.vets[ix].err == 0 || f.vets[ix].err == ESTALE);
	assert_int_equal(f.vets[N_PIECES - 1].err, ESTALE);
	store_free(f.s);
	end(&f);
}

/* ---- Tests: hybrids after a lost index ---- */

static struct {
	bool is_held[N_PIECES];
	unsigned n, n_disputed;
} gained;

static void on_gained(void *arg, uint32_t ix)
{
	gained.n += !gained.is_held[ix];
	gained.is_held[ix] = true;
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at, uint32_t len)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	gained.n -= gained.is_held[ix];
	gained.is_held[ix] = false;
}

static void on_disputed(void *arg, uint32_t ix)
{
	gained.n_disputed++;
}

static void on_watched(void *arg, int err, struct store_torrent *st,
		       const struct bits *held)
{
	static const struct store_share_ops ops = {
		.on_gained = on_gained,
		.on_gained_leaves = on_gained_leaves,
		.on_lost = on_lost,
		.on_disputed = on_disputed,
	};

	fix_on_open(arg, err, st, held);
	if (err == 0)
		store_watch(st, &ops, NULL);
}

static bool has_all_but(void *arg)
{
	return gained.n == N_PIECES - *(unsigned *)arg;
}

/* Both its hashes are asked at once: what matches is held, and not doubtful any
 * more. What is wrong is not held, and no contradiction: it rots. */
static void a_hybrid_is_hashed_once(void **state)
{
	static const off_t wrong[] = {5, 7 * PIECE_BYTES + 20000,
				      FILE_BYTES - 1, -1};
	unsigned n_wrong = 3;
	char path[96];
	struct fix f;

	begin(&f, HYBRID, 2);
	flip(&f, wrong);
	snprintf(path, sizeof(path), "%s/index.db", f.dir);
	assert_int_equal(unlink(path), 0);
	memset(&gained, 0, sizeof(gained));
	bits_fini(&f.open.held);
	f.open = (struct fix_answer){0};
	fix_must(fix_disk(&f.l, f.dir, NULL, &f.s), "store");
	fix_must(store_open(f.s, f.mi, on_watched, &f.open), "open");
	fix_until(&f.l, has_all_but, &n_wrong);
	fix_quiet(&f.l);
	assert_int_equal(gained.n, N_PIECES - n_wrong);
	assert_int_equal(gained.n_disputed, 0);
	for (uint32_t ix = 0; ix < N_PIECES; ix++) {
		assert_int_equal(gained.is_held[ix], !is_in(ix, wrong));
		assert_int_equal(store_is_doubtful(f.open.st, ix),
				 is_in(ix, wrong));
	}
	stop(&f);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_wrong_ones),
		cmocka_unit_test(survives_a_cut),
		cmocka_unit_test(ends_with_the_torrent),
		cmocka_unit_test(a_hybrid_is_hashed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
