/* The roster: who is in the root, under which name, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/inode.h"
#include "fs/roster.h"

/* ---- Helpers ---- */

static struct record record_of(const char *name, uint8_t seed)
{
	struct record r = {.size_bytes = 100, .n_nodes = 3, .source_len = 1};

	memset(r.id.v1.bytes, seed, 20);
	r.id.v1.len = 20;
	(void)snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

/* v2's first 20 bytes are `seed` too. */
static struct record record_of_v2(const char *name, uint8_t seed)
{
	struct record r = record_of(name, seed);

	memset(&r.id, 0, sizeof(r.id));
	memset(r.id.v2.bytes, seed, 32);
	r.id.v2.len = 32;
	return r;
}

static struct shown *add(struct roster *r, const char *name, uint8_t seed)
{
	struct record rec = record_of(name, seed);
	struct shown *s;

	assert_int_equal(roster_add(r, &rec, &s), 0);
	return s;
}

static struct roster fresh(void)
{
	struct roster r;

	assert_int_equal(roster_init(&r), 0);
	return r;
}

/* ---- Assertions ---- */

static void assert_listed(const struct roster *r, const char *names)
{
	char found[1000] = "";
	const struct shown *s;
	uint64_t base = 0;

	for (uint32_t at = 0; (s = roster_from(r, base)) != NULL; at++) {
		(void)snprintf(found + strlen(found),
			       sizeof(found) - strlen(found), "%s|", s->name);
		assert_ptr_equal(roster_by_name(r, s->name), s);
		assert_ptr_equal(roster_by_base(r, s->base), s);
		assert_ptr_equal(roster_by_id(r, &s->id), s);
		assert_int_equal(roster_listed_ix(r, s), at);
		assert_ptr_equal(r->by_name[roster_name_ix(r, s)], s);
		base = s->base + 1;
	}
	assert_string_equal(found, names);
}

/* ---- Tests ---- */

/* The first of a name keeps it; later ones get a suffix, then their whole hash,
 * and who has taken even that has meant to: the later one is refused. */
static void equal_names_differ(void **state)
{
	struct roster r = fresh();
	struct record rec = record_of("x", 0x33);
	struct shown *s;

	add(&r, "x", 0x11);
	add(&r, "x", 0x22);
	add(&r, "x [33333333]", 0x44);
	add(&r, "x", 0x33);
	assert_listed(&r, "x|x [22222222]|"
			  "[3333333333333333333333333333333333333333]|"
			  "x [33333333]|");
	roster_remove(&r, roster_by_name(&r, "x"));
	assert_null(roster_by_name(&r, "x"));
	add(&r, "x", 0x55); /* the name is free again */
	assert_non_null(roster_by_name(&r, "x"));
	roster_remove(&r, roster_by_id(&r, &rec.id));
	add(&r, "[3333333333333333333333333333333333333333]", 0x66);
	assert_int_equal(roster_add(&r, &rec, &s), EEXIST);
	assert_int_equal(r.n, 4);
	roster_fini(&r);
}

/* No torrent stands in for a hash, a key, the status, or a directory. */
static void names_with_a_meaning_are_not_taken(void **state)
{
	static const char *const names[] = {
		"0123456789abcdefABCDEF0123456789abcdefab",
		".shoalfs",
		".trackerignore",
		".",
		"..",
		"",
		"a/b",
		"btpk-"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
		"abcdef",
	};
	struct roster r = fresh();

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct record rec = record_of(names[i], (uint8_t)(i + 1));
		struct shown *s;

		assert_int_equal(roster_add(&r, &rec, &s), 0);
		assert_string_not_equal(s->name, names[i]);
		assert_null(strchr(s->name, '/'));
		assert_null(roster_by_name(&r, names[i]));
	}
	roster_fini(&r);
}

/* The same torrent is not in twice, by either hash, nor two whose numbers are
 * equal; nothing is left of who was refused. */
static void one_torrent_is_in_once(void **state)
{
	struct roster r = fresh();
	struct record hybrid = record_of("h", 1), rec;
	struct info_hash cut = {.len = 20};
	struct shown *s;

	memset(hybrid.id.v2.bytes, 2, 32);
	hybrid.id.v2.len = 32;
	assert_int_equal(roster_add(&r, &hybrid, &s), 0);
	rec = record_of("other", 1);
	assert_int_equal(roster_add(&r, &rec, &s), EEXIST);
	rec = record_of_v2("other", 2);
	assert_int_equal(roster_add(&r, &rec, &s), EEXIST);
	memset(cut.bytes, 2, 20); /* v2's, as the wire has it */
	assert_non_null(roster_by_hash(&r, &cut));
	rec = record_of("twin", 1); /* equal in the bits that numbers have */
	rec.id.v1.bytes[19] ^= 1;
	if (inode_base(&rec.id) == inode_base(&hybrid.id))
		assert_int_equal(roster_add(&r, &rec, &s), EEXIST);
	assert_listed(&r, "h|");
	assert_int_equal(r.size_bytes, 100);
	roster_fini(&r);
}

/* A v2 hash that agrees in 20 bytes only is another torrent's. */
static void a_cut_hash_is_not_the_whole(void **state)
{
	struct roster r = fresh();
	struct record rec = record_of_v2("a", 7);
	struct info_hash h = rec.id.v2;
	struct shown *s;

	assert_int_equal(roster_add(&r, &rec, &s), 0);
	assert_ptr_equal(roster_by_hash(&r, &h), s);
	h.bytes[31] ^= 1;
	assert_null(roster_by_hash(&r, &h));
	h.len = 0;
	assert_null(roster_by_hash(&r, &h));
	roster_fini(&r);
}

/* A listing that is under way neither skips nor repeats another when one goes
 * or comes. */
static void places_in_a_listing_stay(void **state)
{
	struct roster r = fresh();
	char name[8];
	uint64_t base;

	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		add(&r, name, (uint8_t)(i + 1));
	}
	base = roster_by_name(&r, "50")->base;
	for (unsigned i = 0; i <= 50; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		roster_remove(&r, roster_by_name(&r, name));
	}
	assert_string_equal(roster_from(&r, base)->name, "51");
	assert_string_equal(roster_from(&r, base + 1)->name, "51");
	assert_string_equal(add(&r, "new", 1)->name, "new"); /* before it */
	assert_string_equal(roster_from(&r, base)->name, "51");
	assert_string_equal(roster_from(&r, 0)->name, "new");
	roster_remove(&r, roster_by_name(&r, "new"));
	assert_string_equal(add(&r, "newer", 200)->name, "newer");
	assert_string_equal(roster_from(&r, base)->name, "51");
	assert_null(roster_from(&r, roster_by_name(&r, "newer")->base + 1));
	roster_remove(&r, roster_by_name(&r, "newer"));
	assert_int_equal(r.size_bytes, 49 * 100);
	assert_int_equal(r.n_nodes, 49 * 3);
	assert_null(roster_from(&r, UINT64_MAX));
	roster_fini(&r);
}

/* What was written down keeps its names in whatever order it comes, and what
 * nobody should have written is repaired: the older of two equal names keeps
 * it. */
static void many_are_loaded_at_once(void **state)
{
	static const struct {
		const char *name;
		uint8_t seed;
	} all[] = {
		{"m", 0x33}, {"b", 0x22}, {".shoalfs", 0x11}, {"z", 0x77},
		{"b", 0x55}, {"a", 0x66}, {"b", 0x44},
	};
	struct roster r = fresh();

	for (unsigned i = 0; i < 7; i++) {
		struct record rec = record_of(all[i].name, all[i].seed);

		assert_int_equal(roster_load(&r, &rec), 0);
		assert_int_equal(roster_load(&r, &rec), EEXIST);
	}
	assert_int_equal(roster_loaded(&r), 0);
	assert_listed(&r, ".shoalfs [11111111]|b|m|b [44444444]|"
			  "b [55555555]|a|z|");
	assert_int_equal(roster_by_name(&r, "b")->id.v1.bytes[0], 0x22);
	assert_true(roster_by_name(&r, "a")->is_kept);
	roster_fini(&r);
}

static void nothing_loaded_is_fine(void **state)
{
	struct roster r = fresh();

	assert_int_equal(roster_loaded(&r), 0);
	assert_null(roster_by_name(&r, "x"));
	assert_null(roster_from(&r, 0));
	roster_fini(&r);
}

/* A record comes back as it was given, under the name that was chosen. */
static void a_record_survives(void **state)
{
	struct roster r = fresh();
	struct record rec = record_of("x", 1), out;
	struct shown *s;

	add(&r, "x", 9);
	rec.by = RECORD_BY_WATCH;
	rec.added_s = 5;
	rec.time_s = -7;
	rec.source_at = UINT64_C(1) << 40;
	rec.n_subdirs = 2;
	assert_int_equal(roster_add(&r, &rec, &s), 0);
	roster_record(s, &out);
	assert_string_equal(out.name, "x [01010101]");
	(void)snprintf(out.name, sizeof(out.name), "x");
	assert_memory_equal(&out.id, &rec.id, sizeof(rec.id));
	assert_int_equal(out.by, rec.by);
	assert_int_equal(out.added_s, 5);
	assert_int_equal(out.time_s, -7);
	assert_int_equal(out.source_at, rec.source_at);
	assert_int_equal(out.source_len, 1);
	assert_int_equal(out.n_nodes, 3);
	assert_int_equal(out.n_subdirs, 2);
	roster_fini(&r);
}

/* Whichever allocation fails, nothing has changed; tried again, it works. */
static void without_memory_nothing_changes(void **state)
{
	struct roster r = fresh();
	uint64_t before;

	for (uint8_t i = 1; i <= 40; i++) {
		struct record rec = record_of("x", i);
		struct shown *s;
		int err = ENOMEM;

		for (uint64_t n = 0; err == ENOMEM; n++) {
			before = mem_in_use_bytes();
			mem_fail_after(n, 0);
			err = i % 2 == 0 ? roster_load(&r, &rec)
					 : roster_add(&r, &rec, &s);
			mem_fail_after(UINT64_MAX, 0);
			assert_int_equal(r.n, err == 0 ? i : i - 1);
			if (err == ENOMEM && n > 3)
				assert_true(mem_in_use_bytes() >= before);
		}
		assert_int_equal(err, 0);
		if (i % 2 == 0)
			assert_int_equal(roster_loaded(&r), 0);
	}
	roster_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_names_differ),
		cmocka_unit_test(names_with_a_meaning_are_not_taken),
		cmocka_unit_test(one_torrent_is_in_once),
		cmocka_unit_test(a_cut_hash_is_not_the_whole),
		cmocka_unit_test(places_in_a_listing_stay),
		cmocka_unit_test(many_are_loaded_at_once),
		cmocka_unit_test(nothing_loaded_is_fine),
		cmocka_unit_test(a_record_survives),
		cmocka_unit_test(without_memory_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
