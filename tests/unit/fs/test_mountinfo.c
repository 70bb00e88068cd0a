/* test_mountinfo — the kernel's list of mounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"
#include "fs/mountinfo.h"
#include "fs/mountlist.h"

static const char list[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:21 / /proc rw - proc proc rw\n"
	"90 22 0:50 / /mnt/a rw master:3 - fuse.shoalfs shoalfs ro\n"
	"91 22 0:51 / /mnt/with\\040space\\134x rw - fuse.shoalfs s ro\n"
	"92 22 0:52 / /mnt/a rw - tmpfs tmpfs rw\n"
	"93 22 0:53 / /mnt/a\\040 rw - tmpfs tmpfs rw";

/* The last mount on a point is the one on top. */
static void topmost_counts(void **state)
{
	struct mountinfo_dev dev;

	assert_int_equal(mountinfo_at(list, "/mnt/a", &dev), 0);
	assert_int_equal(dev.major, 0);
	assert_int_equal(dev.minor, 52);
}

/* Escapes are undone; a prefix or an extension of a path is another path. */
static void names_are_exact(void **state)
{
	struct mountinfo_dev dev;

	assert_int_equal(mountinfo_at(list, "/mnt/with space\\x", &dev), 0);
	assert_int_equal(dev.minor, 51);
	assert_int_equal(mountinfo_at(list, "/mnt/a ", &dev), 0);
	assert_int_equal(dev.minor, 53);
	assert_int_equal(mountinfo_at(list, "/mnt", &dev), ENOENT);
	assert_int_equal(mountinfo_at(list, "/mnt/aa", &dev), ENOENT);
	assert_int_equal(mountinfo_at(list, "/", &dev), 0);
	assert_int_equal(dev.minor, 1);
}

/* A device is found under whatever is mounted over it. */
static void finds_devices(void **state)
{
	struct mountinfo_dev hidden = {0, 50}, last = {0, 53}, none = {0, 5};

	assert_true(mountinfo_has(list, hidden));
	assert_true(mountinfo_has(list, last));
	assert_false(mountinfo_has(list, none));
}

/* Text that is no list is no match, and ends. */
static void garbage_is_nothing(void **state)
{
	struct mountinfo_dev dev = {0, 1};

	assert_int_equal(mountinfo_at("", "/", &dev), ENOENT);
	assert_int_equal(mountinfo_at("\n\n\\\\ \\04", "/", &dev), ENOENT);
	assert_int_equal(mountinfo_at("1 2 3:4 / ", "/", &dev), ENOENT);
	assert_int_equal(mountinfo_at("1 2 3:4 / / rw", "/", &dev), ENOENT);
	assert_int_equal(mountinfo_at("1 2 3:4 / / rw - ", "/", &dev), ENOENT);
	assert_false(mountinfo_has("x y 0:1 / /", dev));
}

/* Each line has its type, behind however many optional fields. */
static void types_are_found(void **state)
{
	struct mountlist_entry e;
	const char *at = list;
	unsigned ours = 0, all = 0;

	while (mountlist_next(&at, &e)) {
		ours += strcmp(e.type, "fuse.shoalfs") == 0;
		all++;
	}
	assert_int_equal(all, 6);
	assert_int_equal(ours, 2);
	assert_string_equal(e.point, "/mnt/a ");
}

/* What is mounted right now is known: /proc is, wherever tests run. */
static void reads_the_real_list(void **state)
{
	struct mountinfo *mi;

	assert_int_equal(mountinfo_open("/proc", &mi), 0);
	assert_true(mountinfo_is_mounted(mi));
	assert_true(mountinfo_is_on_top(mi));
	mountinfo_close(mi);
	assert_int_equal(mountinfo_open("/no/such/mount", &mi), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(topmost_counts),
		cmocka_unit_test(names_are_exact),
		cmocka_unit_test(finds_devices),
		cmocka_unit_test(garbage_is_nothing),
		cmocka_unit_test(types_are_found),
		cmocka_unit_test(reads_the_real_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
