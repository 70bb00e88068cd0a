/* test_inode — node numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/inode.h"

static struct torrent_id id_of(uint8_t v1_byte, uint8_t v2_byte)
{
	struct torrent_id id = {0};

	if (v1_byte != 0) {
		id.v1.len = 20;
		memset(id.v1.bytes, v1_byte, 20);
	}
	if (v2_byte != 0) {
		id.v2.len = 32;
		memset(id.v2.bytes, v2_byte, 32);
	}
	return id;
}

/* The parts that a number is made of come out again, whatever they are. */
static void parts_come_back(void **state)
{
	struct torrent_id id = id_of(0xff, 0);
	uint64_t base = inode_base(&id);
	uint64_t ino = base | INODE_IX_MAX;

	assert_true(inode_base_of(ino) == base);
	assert_int_equal(inode_ix(ino), INODE_IX_MAX);
	assert_false(inode_is_twin(ino));
	assert_true(inode_is_twin(ino | INODE_TWIN));
	assert_true(inode_base_of(ino | INODE_TWIN) == base);
	assert_int_equal(inode_ix(ino | INODE_TWIN), INODE_IX_MAX);
}

/* A hybrid has v1's number, so that it keeps it when v2 becomes known. */
static void v1_comes_first(void **state)
{
	struct torrent_id v1 = id_of(7, 0), both = id_of(7, 9),
			  v2 = id_of(0, 9);

	assert_true(inode_base(&v1) == inode_base(&both));
	assert_false(inode_base(&v1) == inode_base(&v2));
}

/* No torrent's numbers are the mount's own, not even those of a hash that
 * begins with zeros. */
static void never_the_mounts_own(void **state)
{
	struct torrent_id id = id_of(1, 0);

	memset(id.v1.bytes, 0, 12);
	assert_true(inode_base(&id) > INODE_STATUS_JSON);
	assert_true(inode_base_of(INODE_ROOT) == 0);
	assert_true(inode_base_of(INODE_STATUS_JSON) == 0);
}

/* The number of a known hash is fixed for ever: file systems remember it. */
static void numbers_never_change(void **state)
{
	struct torrent_id id = {.v1 = {.len = 20}};

	for (int i = 0; i < 20; i++)
		id.v1.bytes[i] = (uint8_t)(0x10 + i);
	assert_true(inode_base(&id) == UINT64_C(0x080889098a000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_come_back),
		cmocka_unit_test(v1_comes_first),
		cmocka_unit_test(never_the_mounts_own),
		cmocka_unit_test(numbers_never_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
