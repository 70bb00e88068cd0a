/* test_pieces_pad — pieces that are padding alone are held from the start, if
 * the torrent means the same zeros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/pieces.h"
#include "cache/store_mem.h"
#include "tests/lib/cache_fix.h"

enum { PIECE = 32 << 10, N = 6, LAST = 7237 };

struct fix {
	struct fix_loop l;
	struct store *s;
	struct piece_mem *mem;
	struct metainfo *mi;
	struct pieces *ps;
	bool is_open, is_gone;
};

static void on_room(void *arg)
{
}

static const struct pieces_ops ops = {.on_room = on_room};

static void on_open(void *arg, int err, struct pieces *ps)
{
	struct fix *f = arg;

	assert_int_equal(err, 0);
	assert_ptr_equal(ps, f->ps);
	f->is_open = true;
}

/* Pieces 2, 3 and 5, the last, are padding; `liar`'s hash is of other bytes. */
static struct metainfo *torrent(struct fix_loop *l, uint32_t liar)
{
	static const char *const names[][1] = {{"a"}, {"b"}, {"c"}};
	static const char *const pad[] = {".pad", "0"};
	static const uint64_t lens[] = {100,   32668, 20000, 12768,
					65536, 5,     40000};
	static uint8_t zeros[PIECE];
	uint8_t hashes[N * HASH_SHA1_BYTES];
	struct mi_source_file files[7];
	struct mi_source src = {.name = "n",
				.files = files,
				.n_files = 7,
				.piece_bytes = PIECE,
				.v1_hashes = hashes,
				.n_pieces = N};
	struct buf out = {0};
	struct metainfo *mi;
	struct mi_error why;

	for (unsigned i = 0; i < 7; i++) {
		bool is_pad = i != 0 && i != 2 && i != 5;

		files[i] = (struct mi_source_file){
			.path = is_pad ? pad : names[i / 2],
			.n_path = is_pad ? 2 : 1,
			.len_bytes = lens[i],
			.attr = is_pad ? MI_ATTR_PAD : 0};
	}
	for (uint32_t ix = 0; ix < N; ix++) {
		zeros[0] = ix == liar;
		hasher_once(l->hasher, HASH_SHA1, zeros,
			    ix + 1 < N ? PIECE : LAST,
			    hashes + (size_t)ix * HASH_SHA1_BYTES);
	}
	fix_must(metainfo_encode(&src, &out), "encode");
	if (metainfo_parse_file(out.data, out.len, l->hasher, &mi, &why) != 0)
		fix_die(why.text);
	buf_fini(&out);
	return mi;
}

static void start(struct fix *f, uint32_t liar)
{
	struct piece_mem_cfg mem = {.unverified_bytes = 1 << 20,
				    .recent_bytes = 1 << 20};
	struct pieces_cfg cfg = {.ops = &ops, .arg = f};

	fix_loop_init(&f->l, 2);
	f->mi = torrent(&f->l, liar);
	mem.pool = f->l.pool;
	fix_must(store_mem_new(f->l.loop, 1 << 20, &f->s), "store");
	fix_must(piece_mem_new(&mem, &f->mem), "memory");
	cfg.loop = f->l.loop;
	cfg.workers = f->l.workers;
	cfg.store = f->s;
	cfg.mem = f->mem;
	cfg.mi = f->mi;
	fix_must(pieces_open_start(&cfg, on_open, f, &f->ps), "pieces");
}

static void on_gone(void *arg)
{
	((struct fix *)arg)->is_gone = true;
}

static void stop(struct fix *f)
{
	pieces_close(f->ps, on_gone, f);
	fix_until(&f->l, fix_is_set, &f->is_gone);
	store_free(f->s);
	piece_mem_free(f->mem);
	metainfo_free(f->mi);
	fix_loop_fini(&f->l);
}

static void assert_holds(uint32_t liar, bool two, bool three, bool five)
{
	struct fix f = {0};
	const bool want[N] = {[2] = two, [3] = three, [5] = five};

	start(&f, liar);
	fix_until(&f.l, fix_is_set, &f.is_open);
	for (uint32_t ix = 0; ix < N; ix++) {
		assert_int_equal(bits_has(pieces_have(f.ps), ix), want[ix]);
		assert_int_equal(pieces_state(f.ps, ix),
				 want[ix] ? PIECE_CLEAN : PIECE_ABSENT);
	}
	pieces_check(f.ps);
	stop(&f);
}

static void padding_is_held(void **state)
{
	assert_holds(N, true, true, true);
}

/* Where the hash says otherwise the piece is not held, nor are those that
 * could only be judged by it. */
static void lies_are_not_held(void **state)
{
	assert_holds(3, true, false, true);
	assert_holds(5, true, true, false);
	assert_holds(2, false, false, true);
}

/* Closed while the hash is under way. */
static void closes_early(void **state)
{
	struct fix f = {0};

	start(&f, N);
	stop(&f);
	assert_false(f.is_open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_is_held),
		cmocka_unit_test(lies_are_not_held),
		cmocka_unit_test(closes_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
