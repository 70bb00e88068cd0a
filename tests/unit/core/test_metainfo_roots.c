/* test_metainfo_roots — a torrent's files in the order of their roots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/metainfo.h"

enum { N_FILES = 3000 };

/* ---- Helpers ---- */

/* Roots are random, begin alike, or are the same; one file is empty. */
static void root_of(uint32_t i, uint8_t root[HASH_SHA256_BYTES])
{
	memset(root, 0x5a, HASH_SHA256_BYTES);
	if (i % 3 == 0)
		return;
	for (unsigned at = i % 3 == 1 ? 0 : 28; at < HASH_SHA256_BYTES; at++)
		root[at] = (uint8_t)((i + 1) * 2654435761u >> (at % 4 * 8));
}

static uint64_t len_of(uint32_t i)
{
	return i == 7 ? 0 : 1 + i % 5;
}

static struct metainfo *torrent(void)
{
	static uint8_t roots[N_FILES][HASH_SHA256_BYTES];
	static struct mi_source_file files[N_FILES];
	static char names[N_FILES][16];
	static const char *paths[N_FILES];
	struct mi_source src = {.name = "many",
				.files = files,
				.n_files = N_FILES,
				.piece_bytes = 16 << 10,
				.has_v2 = true};
	struct buf out = {0};
	struct metainfo *mi;
	struct mi_error why;
	struct hasher *h;

	for (uint32_t i = 0; i < N_FILES; i++) {
		root_of(i, roots[i]);
		snprintf(names[i], sizeof(names[i]), "%05u", i);
		paths[i] = names[i];
		files[i] = (struct mi_source_file){
			.path = &paths[i],
			.n_path = 1,
			.len_bytes = len_of(i),
			.root = len_of(i) > 0 ? roots[i] : NULL};
	}
	assert_int_equal(hasher_new(&h), 0);
	assert_int_equal(metainfo_encode(&src, &out), 0);
	assert_int_equal(metainfo_parse_file(out.data, out.len, h, &mi, &why),
			 0);
	hasher_free(h);
	buf_fini(&out);
	return mi;
}

static int compare(const struct mi_file *a, const struct mi_file *b)
{
	int c = memcmp(a->root, b->root, HASH_SHA256_BYTES);

	return c != 0			     ? c
	       : a->len_bytes < b->len_bytes ? -1
					     : a->len_bytes > b->len_bytes;
}

/* ---- Tests ---- */

/* By root, by length, by number; each once, and the empty one is none. */
static void all_are_in_order(void **state)
{
	struct metainfo *mi = torrent();

	assert_int_equal(mi->n_by_root, N_FILES - 1);
	for (uint32_t i = 1; i < mi->n_by_root; i++) {
		uint32_t x = mi->by_root[i - 1], y = mi->by_root[i];
		int c = compare(&mi->files[x], &mi->files[y]);

		assert_true(c < 0 || (c == 0 && x < y));
	}
	metainfo_free(mi);
}

/* Each is found at the first of its like; what is not there is found between.
 */
static void each_is_found(void **state)
{
	struct metainfo *mi = torrent();
	uint8_t last[HASH_SHA256_BYTES];

	for (uint32_t i = 0; i < mi->n_by_root; i++) {
		const struct mi_file *f = &mi->files[mi->by_root[i]];
		uint32_t at = metainfo_root_from(mi, f->root, f->len_bytes);

		assert_true(metainfo_root_is(mi, at, f->root, f->len_bytes));
		assert_true(at <= i);
		assert_false(at > 0 && metainfo_root_is(mi, at - 1, f->root,
							f->len_bytes));
		at = metainfo_root_from(mi, f->root, 1000);
		assert_true(at > i);
		assert_false(metainfo_root_is(mi, at, f->root, 1000));
	}
	memset(last, 0xff, sizeof(last));
	assert_int_equal(metainfo_root_from(mi, last, 9), mi->n_by_root);
	assert_false(metainfo_root_is(mi, mi->n_by_root, last, 9));
	metainfo_free(mi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_in_order),
		cmocka_unit_test(each_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
