/* test_door — what the holder opens for a daemon that may be anybody's by now:
 * plain files beneath a directory that was opened, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/door.h"
#include "tests/lib/cache_fix.h"

struct fix {
	char dir[64];
	int fd; /* of it */
};

static int set_up(void **state)
{
	struct fix *f = mem_new(struct fix);
	int fd;

	*state = f;
	fix_dir_make(f->dir, sizeof(f->dir));
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fix_must(mkdirat(f->fd, "sub", 0700), "mkdir");
	fd = openat(f->fd, "sub/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	fix_must(symlinkat("file", f->fd, "sub/link"), "symlink");
	fix_must(symlinkat("sub", f->fd, "way"), "symlink");
	fix_must(mkfifoat(f->fd, "pipe", 0600), "pipe");
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	close(f->fd);
	fix_dir_remove(f->dir);
	mem_free(f);
	return 0;
}

/* What is answered: an errno, or 0 and then the descriptor is looked at. */
static int asks(int dir_fd, const char *path)
{
	int err = -1, fd = -1, ends[2];
	struct iovec iov = {&err, sizeof(err)};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	char byte = 0;

	fix_must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "sockets");
	door_answer(dir_fd, ends[1], path);
	assert_int_equal(recvmsg(ends[0], &msg, MSG_DONTWAIT), sizeof(err));
	if (CMSG_FIRSTHDR(&msg) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_int_equal(err == 0, fd >= 0);
	if (fd >= 0) {
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'x');
		assert_int_equal(write(fd, &byte, 1), -1);
		close(fd);
	}
	close(ends[0]);
	close(ends[1]);
	return err;
}

static void opens_a_file_for_reading(void **state)
{
	struct fix *f = *state;

	assert_int_equal(asks(f->fd, "sub/file"), 0);
	assert_int_equal(asks(f->fd, "sub/none"), ENOENT);
}

static void opens_nothing_outside(void **state)
{
	static const char *const paths[] = {
		"",	     "/etc/passwd", "../file",	"sub/../sub/file",
		"sub//file", "./sub/file",  "sub/link", "way/file",
	};
	struct fix *f = *state;

	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_not_equal(asks(f->fd, paths[i]), 0);
}

static void opens_plain_files_only(void **state)
{
	struct fix *f = *state;

	assert_int_equal(asks(f->fd, "sub"), EPERM);
	assert_int_equal(asks(f->fd, "pipe"), EPERM);
}

/* Anybody can make a path's descriptor, also one who may not look into it. */
static void believes_no_mere_path(void **state)
{
	struct fix *f = *state;
	int fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(asks(fd, "sub/file"), EPERM);
	close(fd);
	assert_int_equal(asks(-1, "sub/file"), EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_a_file_for_reading),
		cmocka_unit_test(opens_nothing_outside),
		cmocka_unit_test(opens_plain_files_only),
		cmocka_unit_test(believes_no_mere_path),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
