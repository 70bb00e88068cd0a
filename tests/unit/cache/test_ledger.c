/* What a mount remembers, over restarts, crashes and damage. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/ledger.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/worker.h"

/* ---- Fixture ---- */

struct fixture {
	char dir[64];
	struct loop *loop;
	struct workers *thread;
	struct ledger *l;
	unsigned n_done;
	int err;
	struct record last;
	char names[4096];
};

static void open_it(struct fixture *f)
{
	struct ledger_cfg cfg = {
		.thread = f->thread, .workers = f->thread, .dir = f->dir};

	assert_int_equal(ledger_new(&cfg, &f->l), 0);
}

static int setup(void **state)
{
	struct fixture *f = mem_new(struct fixture);

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/shoal-ledger-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(workers_new(f->loop, 1, "store", &f->thread), 0);
	open_it(f);
	*state = f;
	return 0;
}

static void path_of(const struct fixture *f, const char *name, char out[128])
{
	(void)snprintf(out, 128, "%s/%s", f->dir, name);
}

static int teardown(void **state)
{
	static const char *const names[] = {"library", "sources",
					    "library.new"};
	struct fixture *f = *state;
	char path[128];

	workers_free(f->thread);
	ledger_free(f->l);
	loop_free(f->loop);
	for (unsigned i = 0; i < 3; i++) {
		path_of(f, names[i], path);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void on_done(void *arg, int err, const struct record *r)
{
	struct fixture *f = arg;

	f->n_done++;
	f->err = err;
	f->last = *r;
}

static void settle(struct fixture *f)
{
	while (workers_pending(f->thread) > 0)
		assert_int_equal(workers_drain(f->thread, 5000), 0);
}

static struct record record_of(uint8_t seed, const char *name)
{
	struct record r = {.n_nodes = seed};

	memset(r.id.v1.bytes, seed, HASH_SHA1_BYTES);
	r.id.v1.len = HASH_SHA1_BYTES;
	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

static struct record keep(struct fixture *f, uint8_t seed, const char *name,
			  const char *source)
{
	struct record r = record_of(seed, name);

	assert_int_equal(ledger_keep(f->l, &r, span_str(source), on_done, f),
			 0);
	settle(f);
	assert_int_equal(f->err, 0);
	return f->last;
}

static void forget(struct fixture *f, const struct record *r)
{
	assert_int_equal(ledger_forget(f->l, r, on_done, f), 0);
	settle(f);
	assert_int_equal(f->err, 0);
}

static void restart(struct fixture *f)
{
	ledger_free(f->l);
	open_it(f);
}

static void add_name(void *arg, const struct record *r, struct span link)
{
	struct fixture *f = arg;
	size_t at = strlen(f->names);

	(void)snprintf(f->names + at, sizeof(f->names) - at, "%s%s%.*s ",
		       r->name, link.len > 0 ? "=" : "", (int)link.len,
		       (const char *)link.ptr);
	f->last = *r;
}

static const char *remembered(struct fixture *f)
{
	f->names[0] = '\0';
	ledger_each(f->l, add_name, f);
	return f->names;
}

static void assert_source(struct fixture *f, const struct record *r,
			  const char *want)
{
	uint8_t got[256] = {0};

	assert_int_equal(r->source_len, strlen(want));
	assert_int_equal(ledger_read(f->l, r, got, on_done, f), 0);
	settle(f);
	assert_int_equal(f->err, 0);
	assert_memory_equal(got, want, strlen(want));
}

static off_t size_of(const struct fixture *f, const char *name)
{
	char path[128];
	struct stat st;

	path_of(f, name, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* ---- Tests ---- */

/* What was kept is there after a restart, in the order of adding, with its
 * source; what was forgotten is not. */
static void remembers(void **state)
{
	struct fixture *f = *state;
	struct record b, c;

	assert_string_equal(remembered(f), "");
	keep(f, 1, "a", "source of a");
	b = keep(f, 2, "b", "source of b, longer");
	c = keep(f, 3, "c", "c's");
	assert_source(f, &b, "source of b, longer");
	forget(f, &b);
	restart(f);
	assert_string_equal(remembered(f), "a c ");
	assert_source(f, &c, "c's");
	assert_source(f, &f->last, "c's");
}

/* Anew under the same hash: the last word counts, at the old place; a hybrid is
 * known by both hashes. */
static void the_last_word_counts(void **state)
{
	struct fixture *f = *state;
	struct record r = record_of(1, "link");

	r.is_magnet = true;
	assert_int_equal(
		ledger_keep(f->l, &r, span_str("magnet:?x"), on_done, f), 0);
	settle(f);
	r = f->last;
	keep(f, 2, "b", "b");
	restart(f);
	assert_string_equal(remembered(f), "link=magnet:?x b ");
	r.is_magnet = false;
	memset(r.id.v2.bytes, 9, HASH_SHA256_BYTES);
	r.id.v2.len = HASH_SHA256_BYTES;
	(void)snprintf(r.name, sizeof(r.name), "whole");
	assert_int_equal(
		ledger_keep(f->l, &r, span_str("metadata"), on_done, f), 0);
	settle(f);
	restart(f);
	assert_string_equal(remembered(f), "whole b ");
	r.id.v1.len = 0; /* by its other hash alone */
	forget(f, &r);
	restart(f);
	assert_string_equal(remembered(f), "b ");
}

/* Many at once are a few commits, and each hears of its own. */
static void many_at_once(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 1; i <= 200; i++) {
		struct record r = record_of((uint8_t)i, "n");

		assert_int_equal(
			ledger_keep(f->l, &r, span_str("x"), on_done, f), 0);
	}
	settle(f);
	assert_int_equal(f->n_done, 200);
	restart(f);
	assert_int_equal(strlen(remembered(f)), 400);
}

/* A log of which more than half is of no use is written anew. */
static void is_written_anew(void **state)
{
	struct fixture *f = *state;
	struct record r = record_of(1, "a");
	off_t before;

	r = keep(f, 1, "a", "source");
	for (unsigned i = 0; i < 1200; i++)
		assert_int_equal(
			ledger_keep(f->l, &r, span_of(NULL, 0), on_done, f), 0);
	settle(f);
	before = size_of(f, "library");
	restart(f);
	assert_true(size_of(f, "library") < before / 100);
	assert_string_equal(remembered(f), "a ");
	assert_source(f, &f->last, "source");
	restart(f);
	assert_string_equal(remembered(f), "a ");
}

/* A torn end is dropped, and what is kept behind it is found. */
static void torn_end(void **state)
{
	struct fixture *f = *state;
	char path[128];

	keep(f, 1, "a", "a");
	keep(f, 2, "b", "b");
	path_of(f, "library", path);
	assert_int_equal(truncate(path, size_of(f, "library") - 3), 0);
	restart(f);
	assert_string_equal(remembered(f), "a ");
	keep(f, 3, "c", "c");
	restart(f);
	assert_string_equal(remembered(f), "a c ");
}

/* A source that is not there is EIO, wherever a record says it is. */
static void sources_that_are_not_there(void **state)
{
	struct fixture *f = *state;
	static const uint64_t places[] = {1000, INT64_MAX, UINT64_MAX};
	struct record r = keep(f, 1, "a", "a");
	uint8_t got[8];

	for (unsigned i = 0; i < 3; i++) {
		r.source_at = places[i];
		r.source_len = sizeof(got);
		assert_int_equal(ledger_read(f->l, &r, got, on_done, f), 0);
		settle(f);
		assert_int_equal(f->err, EIO);
	}
}

/* What is said to be read soon can be read then; places that are nowhere harm
 * nobody, nor does an end while a worker has them. */
static void is_told_of_what_is_read_soon(void **state)
{
	struct record_place places[] = {
		{0}, {UINT64_MAX, 1}, {1 << 20, UINT32_MAX}};
	struct fixture *f = *state;
	struct record r = keep(f, 1, "a", "one source");

	places[0] = (struct record_place){r.source_at, r.source_len};
	ledger_soon(f->l, places, 3);
	settle(f);
	assert_source(f, &r, "one source");
	ledger_soon(f->l, places, 3);
}

/* A newer format is not touched; other people's bytes are not believed. */
static void other_formats(void **state)
{
	static const struct {
		const char *head;
		int err;
	} heads[] = {
		{"shoallib\0\0\0\2\0\0\0\0", EPROTO},
		{"notours!\0\0\0\1\0\0\0\0", EIO},
	};
	struct fixture *f = *state;
	struct ledger_cfg cfg = {
		.thread = f->thread, .workers = f->thread, .dir = f->dir};
	char path[128];
	int fd;

	path_of(f, "library", path);
	for (unsigned i = 0; i < 2; i++) {
		ledger_free(f->l);
		f->l = NULL;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, heads[i].head, 16, 0), 16);
		close(fd);
		assert_int_equal(ledger_new(&cfg, &f->l), heads[i].err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(remembers, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_word_counts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(is_written_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(torn_end, setup, teardown),
		cmocka_unit_test_setup_teardown(sources_that_are_not_there,
						setup, teardown),
		cmocka_unit_test_setup_teardown(is_told_of_what_is_read_soon,
						setup, teardown),
		cmocka_unit_test_setup_teardown(other_formats, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
