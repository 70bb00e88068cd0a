/* test_hash — digests against the vectors of FIPS 180-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"
#include "core/mem.h"

static void expect(const uint8_t *digest, size_t len, const char *hex)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * HASH_SHA256_BYTES + 1] = "";

	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	assert_string_equal(text, hex);
}

static const char two_blocks[] =
	"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

/* SHA-1 of the empty string, one block and two. */
static void sha1_vectors(void **state)
{
	struct hasher *h = *state;
	uint8_t out[HASH_SHA1_BYTES];

	hasher_once(h, HASH_SHA1, "", 0, out);
	expect(out, sizeof(out), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	hasher_once(h, HASH_SHA1, "abc", 3, out);
	expect(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
	hasher_once(h, HASH_SHA1, two_blocks, strlen(two_blocks), out);
	expect(out, sizeof(out), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

/* SHA-256 of the same. */
static void sha256_vectors(void **state)
{
	struct hasher *h = *state;
	uint8_t out[HASH_SHA256_BYTES];

	hasher_once(h, HASH_SHA256, "", 0, out);
	expect(out, sizeof(out),
	       "e3b0c44298fc1c149afbf4c8996fb924"
	       "27ae41e4649b934ca495991b7852b855");
	hasher_once(h, HASH_SHA256, "abc", 3, out);
	expect(out, sizeof(out),
	       "ba7816bf8f01cfea414140de5dae2223"
	       "b00361a396177a9cb410ff61f20015ad");
	hasher_once(h, HASH_SHA256, two_blocks, strlen(two_blocks), out);
	expect(out, sizeof(out),
	       "248d6a61d20638b8e5c026930c3e6039"
	       "a33ce45964ff2167f6ecedd419db06c1");
}

/* A million letters in uneven parts: how it is cut does not matter. */
static void parts_make_the_whole(void **state)
{
	struct hasher *h = *state;
	uint8_t out[HASH_SHA1_BYTES];
	char a[1000];
	size_t left = 1000000;

	memset(a, 'a', sizeof(a));
	hasher_begin(h, HASH_SHA1);
	for (size_t n = 1; left > 0; n = n % sizeof(a) + 7) {
		size_t part = n < left ? n : left;

		part = part < sizeof(a) ? part : sizeof(a);
		hasher_add(h, a, part);
		left -= part;
	}
	hasher_end(h, out);
	expect(out, sizeof(out), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* A digest that was begun and left does not taint the next. */
static void begins_afresh(void **state)
{
	struct hasher *h = *state;
	uint8_t out[HASH_SHA1_BYTES];

	hasher_begin(h, HASH_SHA1);
	hasher_add(h, "left over", 9);
	hasher_once(h, HASH_SHA1, "abc", 3, out);
	expect(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

/* Without memory there is no hasher, and nothing is left behind. */
static void says_no_memory(void **state)
{
	struct hasher *h = NULL;
	uint64_t before = mem_in_use_bytes();

	mem_fail_after(0, 0);
	assert_int_not_equal(hasher_new(&h), 0);
	assert_null(h);
	assert_int_equal(mem_in_use_bytes(), before);
	hasher_free(NULL);
}

static int set_up(void **state)
{
	return hasher_new((struct hasher **)state);
}

static int tear_down(void **state)
{
	hasher_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_vectors),
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(begins_afresh),
		cmocka_unit_test(says_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
