/* test_home — what a store makes of its directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/store.h"
#include "tests/lib/cache_fix.h"

enum { CANNOT = -1 };

/* FS_*_FL of what lies there; CANNOT: this file system has none. */
static int flags_of(const char *dir, const char *name)
{
	char path[256];
	int fd, flags;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
		flags = CANNOT;
	close(fd);
	return flags;
}

/* Are access times left out here, if somebody asks for it? */
static bool can_spare_atime(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int flags, r;

	assert_true(fd >= 0);
	r = ioctl(fd, FS_IOC_GETFLAGS, &flags);
	if (r == 0) {
		flags |= FS_NOATIME_FL;
		r = ioctl(fd, FS_IOC_SETFLAGS, &flags);
		flags &= ~FS_NOATIME_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	close(fd);
	return r == 0;
}

/* Each read of a blob would pay for a time that nobody asks for. */
static void blobs_have_no_access_times(void **state)
{
	struct fix_loop l;
	struct store *s;
	char dir[64], why[160], hex[TORRENT_HEX_BYTES], name[96];
	uint64_t len = 40000;
	struct fix_answer open = {0}, put = {0};
	struct metainfo *mi;

	(void)state;
	fix_dir_make(dir, sizeof(dir));
	if (!can_spare_atime(dir)) {
		print_message("%s: no FS_NOATIME_FL on this file system\n",
			      dir);
		fix_dir_remove(dir);
		skip();
	}
	fix_loop_init(&l, 2);
	mi = fix_torrent(&l, "one", &len, 1);
	fix_must(fix_disk(&l, dir, why, &s), why);
	fix_must(fix_open(&l, s, mi, &open), "open");
	fix_put(&l, open.st, mi, 0, &put);
	fix_must(fix_flush(&l, s), "flush");
	store_close(open.st);
	store_free(s);
	snprintf(name, sizeof(name), "torrents/%s/0",
		 torrent_id_hex(&mi->id, hex));
	assert_true(flags_of(dir, "torrents") & FS_NOATIME_FL);
	assert_true(flags_of(dir, "files") & FS_NOATIME_FL);
	assert_true(flags_of(dir, name) & FS_NOATIME_FL);
	assert_false(flags_of(dir, "index.db") & FS_NOATIME_FL);
	bits_fini(&open.held);
	metainfo_free(mi);
	fix_loop_fini(&l);
	fix_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blobs_have_no_access_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
