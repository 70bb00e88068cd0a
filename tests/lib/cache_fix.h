/* cache_fix — what tests of cache/ share: a loop with its threads, torrents
 * with known bytes, and "run the loop until this is true". */
#ifndef SHOAL_TESTS_CACHE_FIX_H
#define SHOAL_TESTS_CACHE_FIX_H

#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/store.h"
#include "cache/store_disk.h"
#include "core/blk.h"
#include "core/buf.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/worker.h"

enum { FIX_PIECE_BYTES = 16 << 10, FIX_MAX_FILES = 64, FIX_WAIT_S = 20 };

struct fix_loop {
	struct loop *loop;
	struct workers *workers;
	struct workers *thread;
	struct blk_pool *pool;
	struct hasher *hasher;
	struct loop_task task;
	struct loop_timer *limit;
	bool (*is_true)(void *arg);
	void *arg;
};

static inline void fix_die(const char *what)
{
	fprintf(stderr, "fixture: %s\n", what);
	abort();
}

static inline void fix_must(int err, const char *what)
{
	if (err != 0)
		fix_die(what);
}

/* ---- a directory of one's own ---- */

static inline void fix_dir_make(char *dir, size_t size)
{
	snprintf(dir, size, "/tmp/shoal-test-XXXXXX");
	if (mkdtemp(dir) == NULL)
		fix_die("mkdtemp");
}

static inline int fix_dir_entry(const char *path, const struct stat *sb,
				int type, struct FTW *ftw)
{
	return remove(path);
}

static inline void fix_dir_remove(const char *dir)
{
	if (nftw(dir, fix_dir_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
		fix_die("cannot remove the directory");
}

/* ---- the loop ---- */

static inline void fix_look(void *arg)
{
	struct fix_loop *f = arg;

	if (f->is_true(f->arg))
		loop_stop(f->loop);
	else
		loop_defer(f->loop, &f->task);
}

static inline void fix_too_long(void *arg)
{
	fix_die("what was waited for did not come");
}

static inline void fix_loop_init(struct fix_loop *f, unsigned n_workers)
{
	*f = (struct fix_loop){0};
	fix_must(loop_new(&f->loop), "loop");
	fix_must(workers_new(f->loop, n_workers, "work", &f->workers),
		 "workers");
	fix_must(workers_new(f->loop, 1, "store", &f->thread), "thread");
	fix_must(blk_pool_new(1 << 20, &f->pool), "pool");
	fix_must(hasher_new(&f->hasher), "hasher");
	fix_must(loop_timer_new(f->loop, fix_too_long, f, &f->limit), "timer");
	loop_task_init(&f->task, fix_look, f);
}

static inline void fix_loop_fini(struct fix_loop *f)
{
	workers_free(f->workers);
	workers_free(f->thread);
	loop_timer_free(f->limit);
	hasher_free(f->hasher);
	blk_pool_free(f->pool);
	loop_free(f->loop);
}

/* A disk store over this directory; `why` may be NULL. */
static inline int fix_disk(struct fix_loop *f, const char *dir, char *why,
			   struct store **out)
{
	const struct store_disk_cfg cfg = {.loop = f->loop,
					   .workers = f->workers,
					   .thread = f->thread,
					   .dir = dir};

	return store_disk_new(&cfg, out, why);
}

/* Turn the loop until is_true(arg). */
static inline void fix_until(struct fix_loop *f, bool (*is_true)(void *arg),
			     void *arg)
{
	f->is_true = is_true;
	f->arg = arg;
	loop_timer_start(f->limit, (uint64_t)FIX_WAIT_S * 1000000);
	loop_defer(f->loop, &f->task);
	loop_run(f->loop);
	loop_timer_stop(f->limit);
}

static inline bool fix_is_set(void *arg)
{
	return *(bool *)arg;
}

static inline bool fix_is_quiet(void *arg)
{
	struct fix_loop *f = arg;

	return workers_pending(f->workers) == 0 &&
	       workers_pending(f->thread) == 0;
}

/* Until no job is under way, and a pass over the tasks after that. */
static inline void fix_quiet(struct fix_loop *f)
{
	fix_until(f, fix_is_quiet, f);
	fix_until(f, fix_is_quiet, f);
}

/* The byte at `off` of every test torrent. */
static inline uint8_t fix_byte(uint64_t off)
{
	uint64_t x = off * UINT64_C(0x9e3779b97f4a7c15);

	return (uint8_t)(x >> 37 ^ x >> 11);
}

static inline void fix_fill(uint8_t *dst, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = fix_byte(off + i);
}

static inline bool fix_matches(const uint8_t *p, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != fix_byte(off + i))
			return false;
	return true;
}

static inline uint8_t *fix_hashes(struct fix_loop *f, uint64_t total,
				  uint32_t piece_bytes, uint32_t *n)
{
	uint8_t *piece = mem_alloc(piece_bytes);
	uint8_t *hashes;

	*n = (uint32_t)((total + piece_bytes - 1) / piece_bytes);
	hashes = mem_alloc((size_t)*n * HASH_SHA1_BYTES);
	for (uint32_t i = 0; i < *n; i++) {
		uint64_t off = (uint64_t)i * piece_bytes;
		size_t len = total - off < piece_bytes ? (size_t)(total - off)
						       : piece_bytes;

		fix_fill(piece, off, len);
		hasher_once(f->hasher, HASH_SHA1, piece, len,
			    hashes + (size_t)i * HASH_SHA1_BYTES);
	}
	mem_free(piece);
	return hashes;
}

/* A v1 torrent of files of these lengths, called by `name`. */
static inline struct metainfo *fix_torrent_of(struct fix_loop *f,
					      const char *name,
					      const uint64_t *lens, uint32_t n,
					      uint32_t piece_bytes)
{
	static char names[FIX_MAX_FILES][16];
	static const char *paths[FIX_MAX_FILES];
	struct mi_source_file files[FIX_MAX_FILES];
	struct mi_source src = {.name = name,
				.files = files,
				.n_files = n,
				.is_single = n == 1,
				.piece_bytes = piece_bytes};
	struct buf out = {0};
	struct metainfo *mi;
	struct mi_error why;
	uint64_t total = 0;

	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "f%u", i);
		paths[i] = n == 1 ? name : names[i];
		files[i] = (struct mi_source_file){
			.path = &paths[i], .n_path = 1, .len_bytes = lens[i]};
		total += lens[i];
	}
	src.v1_hashes = fix_hashes(f, total, piece_bytes, &src.n_pieces);
	fix_must(metainfo_encode(&src, &out), "encode");
	fix_must(metainfo_parse_file(out.data, out.len, f->hasher, &mi, &why),
		 "parse");
	buf_fini(&out);
	mem_free((void *)(uintptr_t)src.v1_hashes);
	return mi;
}

static inline struct metainfo *fix_torrent(struct fix_loop *f, const char *name,
					   const uint64_t *lens, uint32_t n)
{
	return fix_torrent_of(f, name, lens, n, FIX_PIECE_BYTES);
}

/* A blk with the right bytes of piece `ix`. */
static inline struct blk *fix_piece(struct fix_loop *f,
				    const struct metainfo *mi, uint32_t ix)
{
	struct blk *b = blk_new(f->pool, metainfo_piece_bytes(mi, ix));

	fix_fill(b->data, (uint64_t)ix * mi->piece_bytes, b->len);
	return b;
}

/* ---- one answer of a store ---- */

struct fix_answer {
	bool is_done;
	int err;
	struct store_torrent *st;
	struct bits held;
	struct span info; /* a copy */
	unsigned n_written;
	unsigned n_durable;
	unsigned n_failed;
};

static inline void fix_on_open(void *arg, int err, struct store_torrent *st,
			       const struct bits *held)
{
	struct fix_answer *a = arg;

	a->is_done = true;
	a->err = err;
	a->st = st;
	if (err == 0 && bits_init(&a->held, held->n) == 0)
		fix_must(bits_load(&a->held, held->data, bits_bytes(held->n)),
			 "bits");
}

static inline void fix_on_done(void *arg, int err)
{
	struct fix_answer *a = arg;

	a->is_done = true;
	a->err = err;
}

static inline void fix_on_info(void *arg, int err, struct span info)
{
	struct fix_answer *a = arg;

	a->is_done = true;
	a->err = err;
	if (err == 0)
		a->info = span_of(mem_dup(info.ptr, info.len), info.len);
}

static inline void fix_on_put(void *arg, uint32_t ix, enum store_phase phase,
			      int err)
{
	struct fix_answer *a = arg;

	if (err != 0) {
		a->n_failed++;
		a->err = err;
	} else if (phase == STORE_WRITTEN) {
		a->n_written++;
	} else {
		a->n_durable++;
	}
}

/* Open, and wait for it. */
static inline int fix_open(struct fix_loop *f, struct store *s,
			   const struct metainfo *mi, struct fix_answer *a)
{
	bits_fini(&a->held);
	*a = (struct fix_answer){0};
	fix_must(store_open(s, mi, fix_on_open, a), "store_open");
	fix_until(f, fix_is_set, &a->is_done);
	return a->err;
}

static inline int fix_read(struct fix_loop *f, struct store_torrent *st,
			   uint64_t off, uint32_t len, uint8_t *dst)
{
	struct fix_answer a = {0};

	fix_must(store_read(st, off, len, dst, fix_on_done, &a), "store_read");
	fix_until(f, fix_is_set, &a.is_done);
	return a.err;
}

static inline int fix_flush(struct fix_loop *f, struct store *s)
{
	struct fix_answer a = {0};

	fix_must(store_flush(s, fix_on_done, &a), "store_flush");
	fix_until(f, fix_is_set, &a.is_done);
	return a.err;
}

static inline void fix_put(struct fix_loop *f, struct store_torrent *st,
			   const struct metainfo *mi, uint32_t ix,
			   struct fix_answer *a)
{
	struct blk *b = fix_piece(f, mi, ix);

	fix_must(store_put(st, ix, b, fix_on_put, a), "store_put");
	blk_drop(b);
}

#endif
