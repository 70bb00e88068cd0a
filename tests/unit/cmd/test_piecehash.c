/* What piecehash makes of files is what the definition says, whatever the
 * number of threads, the size of pieces and of files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/content.h"
#include "cmd/piecehash.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "tests/lib/cache_fix.h"

enum { LEAF = MERKLE_LEAF_BYTES, V1 = HASH_SHA1_BYTES, V2 = HASH_SHA256_BYTES };

struct fix {
	struct loop *loop;
	struct hasher *hasher;
	struct content content;
	char dir[64];
};

/* ---- Fixture ---- */

static int setup(void **state)
{
	struct fix *x = mem_new(struct fix);

	fix_dir_make(x->dir, sizeof(x->dir));
	assert_int_equal(loop_new(&x->loop), 0);
	assert_int_equal(hasher_new(&x->hasher), 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fix *x = *state;

	content_fini(&x->content);
	hasher_free(x->hasher);
	loop_free(x->loop);
	fix_dir_remove(x->dir);
	mem_free(x);
	return 0;
}

/* ---- Helpers ---- */

/* File `ix`, of its own bytes. */
static void write_file(struct fix *x, unsigned ix, uint32_t len)
{
	uint8_t *data = mem_alloc((size_t)len + 1);
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/f%04u", x->dir, ix);
	fix_fill(data, (uint64_t)ix << 32, len);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	assert_int_equal(close(fd), 0);
	mem_free(data);
}

static void scan(struct fix *x, uint32_t piece_bytes, struct content_kind kind)
{
	char why[WHY_BYTES];

	content_fini(&x->content);
	assert_int_equal(content_scan(x->loop, x->dir, 0, &x->content, why), 0);
	assert_int_equal(content_layout(&x->content, piece_bytes, kind, why),
			 0);
}

static int run(struct fix *x, uint32_t piece_bytes, struct content_kind kind,
	       unsigned n_threads, struct piecehash_result *out,
	       char why[WHY_BYTES])
{
	const struct piecehash_cfg cfg = {.loop = x->loop,
					  .content = &x->content,
					  .piece_bytes = piece_bytes,
					  .kind = kind,
					  .n_threads = n_threads};

	return piecehash_all(&cfg, out, why);
}

/* All of piece space. */
static uint8_t *space_of(const struct content *c)
{
	uint8_t *data = mem_zalloc(1, (size_t)c->total_bytes);
	unsigned ix = 0;

	for (uint32_t i = 0; i < c->n_files; i++) {
		const struct content_file *f = &c->files[i];

		if (f->rel != NULL)
			fix_fill(data + f->off_bytes, (uint64_t)ix++ << 32,
				 (size_t)f->len_bytes);
	}
	return data;
}

static void check_v1(struct fix *x, uint32_t piece_bytes,
		     const struct piecehash_result *got)
{
	uint8_t *data = space_of(&x->content), hash[V1];

	for (uint32_t i = 0; i < got->n_pieces; i++) {
		uint64_t off = (uint64_t)i * piece_bytes;
		uint64_t left = x->content.total_bytes - off;

		hasher_once(x->hasher, HASH_SHA1, data + off,
			    left < piece_bytes ? left : piece_bytes, hash);
		assert_memory_equal(got->v1 + (size_t)i * V1, hash, V1);
	}
	mem_free(data);
}

/* A file's root by one tree over all its leaves, which is what BEP 52 says. */
static void check_v2(struct fix *x, uint32_t piece_bytes,
		     const struct piecehash_result *got)
{
	static const uint8_t none[V2];
	uint8_t *data = space_of(&x->content), hash[V2];
	unsigned up = merkle_height(piece_bytes / LEAF);

	for (uint32_t i = 0; i < x->content.n_files; i++) {
		const struct content_file *f = &x->content.files[i];
		uint64_t n = (f->len_bytes + LEAF - 1) / LEAF;
		struct merkle m;

		if (f->rel == NULL || f->len_bytes == 0) {
			assert_memory_equal(got->roots + (size_t)i * V2, none,
					    V2);
			continue;
		}
		merkle_begin(&m, x->hasher, 0);
		merkle_add_data(&m, data + f->off_bytes, (size_t)f->len_bytes);
		merkle_root(&m, merkle_height(n), hash);
		assert_memory_equal(got->roots + (size_t)i * V2, hash, V2);
		for (uint64_t at = 0;
		     f->len_bytes > piece_bytes && at < f->len_bytes;
		     at += piece_bytes) {
			uint64_t left = f->len_bytes - at;
			uint64_t ix = (f->off_bytes + at) / piece_bytes;

			merkle_begin(&m, x->hasher, 0);
			merkle_add_data(&m, data + f->off_bytes + at,
					left < piece_bytes ? left
							   : piece_bytes);
			merkle_root(&m, up, hash);
			assert_memory_equal(got->v2 + ix * V2, hash, V2);
		}
	}
	mem_free(data);
}

static void check(struct fix *x, uint32_t piece_bytes, struct content_kind kind,
		  unsigned n_threads)
{
	struct piecehash_result got;
	char why[WHY_BYTES];

	scan(x, piece_bytes, kind);
	assert_int_equal(run(x, piece_bytes, kind, n_threads, &got, why), 0);
	assert_int_equal(got.n_pieces,
			 content_n_pieces(&x->content, piece_bytes));
	assert_true((got.v1 != NULL) == kind.has_v1);
	assert_true((got.v2 != NULL) == kind.has_v2);
	if (kind.has_v1)
		check_v1(x, piece_bytes, &got);
	if (kind.has_v2)
		check_v2(x, piece_bytes, &got);
	piecehash_fini(&got);
}

static const struct content_kind kinds[] = {
	{.has_v1 = true}, {.has_v2 = true}, {.has_v1 = true, .has_v2 = true}};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* ---- Tests ---- */

/* Files of every awkward length: nothing, a byte, around a leaf, a piece, a
 * chunk of what is read at once, and a run of what a thread takes. */
static void as_defined(void **state)
{
	static const uint32_t lens[] = {
		0,	   1,
		LEAF - 1,  LEAF,
		LEAF + 1,  0,
		2 * LEAF,  4 * LEAF - 1,
		4 * LEAF,  4 * LEAF + 1,
		300 << 10, (5 << 20) + 3,
		256 << 10, (1 << 20) + 1,
		7,	   0,
	};
	struct fix *x = *state;

	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		write_file(x, i, lens[i]);
	for (unsigned k = 0; k < KINDS; k++) {
		check(x, LEAF, kinds[k], 1);
		check(x, 4 * LEAF, kinds[k], 3);
		check(x, 1 << 20, kinds[k], 2);
		check(x, 8 << 20, kinds[k], 0);
	}
}

/* Hundreds of files that share pieces, or have one each: more than a run. */
static void many_small_files(void **state)
{
	struct fix *x = *state;

	for (unsigned i = 0; i < 1100; i++)
		write_file(x, i, i % 97);
	for (unsigned k = 0; k < KINDS; k++)
		check(x, LEAF, kinds[k], 2);
}

/* A file alone is the torrent. */
static void one_file(void **state)
{
	struct fix *x = *state;
	struct piecehash_result got;
	char why[WHY_BYTES], path[128];

	write_file(x, 0, 5 * LEAF + 9);
	(void)snprintf(path, sizeof(path), "%s/f0000", x->dir);
	assert_int_equal(content_scan(x->loop, path, 0, &x->content, why), 0);
	assert_int_equal(content_layout(&x->content, 2 * LEAF, kinds[2], why),
			 0);
	assert_int_equal(run(x, 2 * LEAF, kinds[2], 2, &got, why), 0);
	assert_int_equal(got.n_pieces, 3);
	check_v1(x, 2 * LEAF, &got);
	check_v2(x, 2 * LEAF, &got);
	piecehash_fini(&got);
}

/* What changes under it: a file that is shorter, is gone, or has become a link
 * that leads elsewhere. One line that names it; nothing is given. */
static void the_ground_moves(void **state)
{
	struct fix *x = *state;
	struct piecehash_result got;
	char why[WHY_BYTES], path[128];

	write_file(x, 0, 100);
	write_file(x, 1, 3 * LEAF);
	write_file(x, 2, 100);
	(void)snprintf(path, sizeof(path), "%s/f0001", x->dir);
	for (unsigned k = 0; k < KINDS; k++) {
		write_file(x, 1, 3 * LEAF);
		scan(x, LEAF, kinds[k]);
		assert_int_equal(truncate(path, 2 * LEAF), 0);
		assert_int_equal(run(x, LEAF, kinds[k], 2, &got, why), ENODATA);
		assert_non_null(strstr(why, "f0001: it became shorter"));
		assert_null(got.v1);
		assert_null(got.v2);
		assert_null(got.roots);

		assert_int_equal(unlink(path), 0);
		assert_int_equal(run(x, LEAF, kinds[k], 1, &got, why), ENOENT);
		assert_non_null(strstr(why, "f0001"));

		assert_int_equal(symlink("f0002", path), 0);
		assert_int_equal(run(x, LEAF, kinds[k], 2, &got, why), ELOOP);
		assert_non_null(strstr(why, "f0001"));
		assert_int_equal(unlink(path), 0);
	}
}

/* Each failing allocation is ENOMEM, and leaves nothing behind. */
static void no_memory(void **state)
{
	struct fix *x = *state;
	struct piecehash_result got;
	char why[WHY_BYTES];
	int r = ENOMEM;

	write_file(x, 0, LEAF + 1);
	scan(x, LEAF, kinds[2]);
	for (uint64_t n = 0; r == ENOMEM; n++) {
		uint64_t before = mem_in_use_bytes();

		assert_true(n < 100);
		mem_fail_after(n, 0);
		r = run(x, LEAF, kinds[2], 1, &got, why);
		mem_fail_after(UINT64_MAX, 0);
		if (r == ENOMEM)
			assert_int_equal(mem_in_use_bytes(), before);
	}
	assert_int_equal(r, 0);
	check_v2(x, LEAF, &got);
	piecehash_fini(&got);
}

#define WITH_FIX(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIX(as_defined), WITH_FIX(many_small_files),
		WITH_FIX(one_file),   WITH_FIX(the_ground_moves),
		WITH_FIX(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
