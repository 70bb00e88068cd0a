/* test_survey — MOUNT/.shoalfs/dht/sample, without a kernel and without a DHT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "kernel.h"
#include "tests/lib/fake_dht.h"
#include "tests/lib/fake_torrent.h"

#define AAAA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BBBB "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { READ_MS = 40, LOOKUP_MS = 300 };

/* ---- Fixture ---- */

static struct kernel *setup(void)
{
	struct kernel *k = kernel_new(READ_MS, LOOKUP_MS);

	fake_dht_forget();
	fake_set_dht(k->engine);
	return k;
}

/* ---- Helpers ---- */

static uint64_t open_sample(struct kernel *k)
{
	struct fuse_open_out out;

	assert_int_equal(kernel_open(k, INODE_DHT_SAMPLE, 0, &out), 0);
	return out.fh;
}

static uint64_t ask(struct kernel *k, uint64_t fh, uint64_t off)
{
	return kernel_read_start(k, INODE_DHT_SAMPLE, fh, off, 4096);
}

static const char *text(struct kernel *k)
{
	k->data[k->len] = '\0';
	return (const char *)k->data;
}

/* A node says that it has these. */
static void find(uint8_t node, const uint8_t *fills, size_t n)
{
	uint8_t hashes[4 * 20];
	struct addr a = {.in4 = {.sin_family = AF_INET, .sin_port = 1}};
	struct dht_samples samples = {.from = &a, .hashes = hashes, .n = n};
	const struct dht_search_cfg *cfg = fake_dht_search();

	assert_non_null(cfg);
	a.in4.sin_addr.s_addr = htonl(0x14000000u + node);
	for (size_t i = 0; i < n; i++)
		memset(hashes + i * 20, fills[i], 20);
	cfg->on_samples(cfg->arg, &samples);
}

static struct torrent *torrent_of(const struct kernel *k, uint8_t fill)
{
	struct info_hash h = {.len = 20};

	memset(h.bytes, fill, 20);
	return engine_find(k->engine, &h);
}

static struct metainfo *named(const char *name, uint8_t fill)
{
	const struct fake_file file = {"x", 1, 0};

	return fake_metainfo_new(name, fill, &file, 1);
}

/* Rounds that meet nobody new. */
static void end_rounds(struct kernel *k)
{
	fake_dht_end();
	kernel_run(k, SURVEY_PAUSE_MS + 2 * SURVEY_TICK_MS);
	assert_non_null(fake_dht_search());
	fake_dht_end();
}

/* ---- Tests ---- */

/* A find is a line when its name is there, or when nobody has it; who reads
 * gets each as it comes, and the end when there are no more. The torrents leave
 * the engine, and nothing is shown. */
static void lines_as_they_come(void **state)
{
	struct kernel *k = setup();
	struct metainfo *mi = named("a\nname", 0xaa);
	struct fuse_entry_out e;
	uint64_t fh = open_sample(k);
	uint64_t one = ask(k, fh, 0), two;

	kernel_turn(k);
	assert_false(kernel_poll(k, one));
	find(1, (const uint8_t[]){0xaa, 0xbb}, 2);
	kernel_run(k, 2 * SURVEY_TICK_MS);
	assert_non_null(torrent_of(k, 0xaa));
	assert_true(torrent_is_guest(torrent_of(k, 0xaa)));
	fake_ready(torrent_of(k, 0xaa), mi);
	assert_int_equal(mount_on_ready(k->m, torrent_of(k, 0xaa)), 0);
	kernel_wait(k, one);
	assert_string_equal(text(k), AAAA " a_name\n");
	assert_null(torrent_of(k, 0xaa));
	two = ask(k, fh, 48);
	kernel_turn(k);
	assert_false(kernel_poll(k, two));
	fake_set_failed(torrent_of(k, 0xbb));
	mount_on_failed(k->m, torrent_of(k, 0xbb));
	kernel_wait(k, two);
	assert_string_equal(text(k), BBBB "\n");
	end_rounds(k);
	kernel_wait(k, ask(k, fh, 48 + 41));
	assert_int_equal(k->len, 0);
	assert_int_equal(kernel_lookup(k, INODE_ROOT, "a_name", &e), ENOENT);
	kernel_release(k, INODE_DHT_SAMPLE, fh);

	/* It stands: no search, and the same text. */
	fh = open_sample(k);
	kernel_wait(k, ask(k, fh, 0));
	assert_string_equal(text(k), AAAA " a_name\n" BBBB "\n");
	assert_null(fake_dht_search());
	kernel_release(k, INODE_DHT_SAMPLE, fh);
	kernel_free(k);
	fake_metainfo_free(mi);
	(void)state;
}

/* Whoever waits can be called off, and with the last who has it open all of it
 * ends: the search, and what was looked for. */
static void interrupted(void **state)
{
	struct kernel *k = setup();
	uint64_t fh = open_sample(k), other = open_sample(k);
	uint64_t one = ask(k, fh, 0);

	kernel_run(k, SURVEY_TICK_MS);
	find(1, (const uint8_t[]){0xaa}, 1);
	kernel_run(k, 2 * SURVEY_TICK_MS);
	assert_non_null(torrent_of(k, 0xaa));
	assert_false(kernel_poll(k, one));
	kernel_interrupt(k, one);
	kernel_wait(k, one);
	assert_int_equal(k->err, EINTR);
	kernel_release(k, INODE_DHT_SAMPLE, fh);
	assert_non_null(fake_dht_search());
	kernel_release(k, INODE_DHT_SAMPLE, other);
	assert_null(fake_dht_search());
	assert_null(torrent_of(k, 0xaa));
	kernel_free(k);
	(void)state;
}

/* One that somebody names meanwhile is his: it stays. And what is in the mount
 * already has its name at once. */
static void named_meanwhile(void **state)
{
	struct kernel *k = setup();
	struct metainfo *mi = named("mine", 0xaa);
	struct fuse_entry_out e;
	uint64_t fh = open_sample(k), look;

	kernel_run(k, SURVEY_TICK_MS);
	find(1, (const uint8_t[]){0xaa}, 1);
	kernel_run(k, 2 * SURVEY_TICK_MS);
	look = kernel_send(k, FUSE_LOOKUP, INODE_ROOT, NULL, 0, AAAA);
	kernel_turn(k);
	fake_ready(torrent_of(k, 0xaa), mi);
	assert_int_equal(mount_on_ready(k->m, torrent_of(k, 0xaa)), 0);
	kernel_wait(k, look);
	assert_int_equal(k->err, 0);
	kernel_release(k, INODE_DHT_SAMPLE, fh);
	assert_non_null(torrent_of(k, 0xaa));
	assert_int_equal(kernel_lookup(k, INODE_ROOT, "mine", &e), 0);
	fh = open_sample(k);
	kernel_run(k, SURVEY_TICK_MS);
	find(1, (const uint8_t[]){0xaa}, 1);
	kernel_run(k, 2 * SURVEY_TICK_MS);
	kernel_wait(k, ask(k, fh, 0));
	assert_string_equal(text(k), AAAA " mine\n");
	kernel_release(k, INODE_DHT_SAMPLE, fh);
	kernel_free(k);
	fake_metainfo_free(mi);
	(void)state;
}

/* Without a DHT there is nothing to ask; and a mount that ends answers. */
static void ends(void **state)
{
	struct kernel *k = kernel_new(READ_MS, LOOKUP_MS);
	struct fuse_open_out out;
	uint64_t fh, one;

	fake_dht_forget();
	assert_int_equal(kernel_open(k, INODE_DHT_SAMPLE, 0, &out), ENETDOWN);
	fake_set_dht(k->engine);
	fh = open_sample(k);
	one = ask(k, fh, 0);
	kernel_run(k, SURVEY_TICK_MS);
	assert_non_null(fake_dht_search());
	mount_stop(k->m);
	kernel_wait(k, one);
	assert_int_equal(k->err, EIO);
	assert_null(fake_dht_search());
	kernel_free(k);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_as_they_come),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(named_meanwhile),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
