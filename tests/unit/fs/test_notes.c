/* Unit: notes. What one process noted, the next one reads. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/fs_limits.h"
#include "fs/fuse_kernel.h"
#include "fs/notes.h"

static int memory(void)
{
	int fd = memfd_create("notes", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* An open is there for whoever maps the notes next, until it is deleted. */
static void outlives_who_noted(void **state)
{
	const struct notes_open a = {11, 101, 7}, b = {12, 102, 0};
	struct notes_open got;
	struct notes *n;
	int fd = memory();
	int32_t at, to;

	assert_int_equal(notes_new(fd, &n), 0);
	at = notes_add(n, &a);
	to = notes_add(n, &b);
	assert_true(at >= 0 && to >= 0 && at != to);
	notes_del(n, at);
	notes_del(n, NOTES_NONE);
	notes_free(n);

	assert_int_equal(notes_new(fd, &n), 0);
	assert_int_equal(notes_next(n, 0, &got), to);
	assert_int_equal(got.fh, b.fh);
	assert_int_equal(got.number, b.number);
	assert_int_equal(got.id, b.id);
	assert_int_equal(notes_next(n, to + 1, &got), NOTES_NONE);
	notes_free(n);
	close(fd);
}

/* A full table says so, and has room again. */
static void is_bounded(void **state)
{
	struct notes_open o = {1, 1, 0};
	struct notes *n;

	assert_int_equal(notes_new(-1, &n), 0);
	for (; o.fh <= NOTES_OPENS_MAX; o.fh++)
		assert_true(notes_add(n, &o) >= 0);
	assert_int_equal(notes_add(n, &o), NOTES_NONE);
	notes_del(n, 77);
	assert_int_equal(notes_add(n, &o), 77);
	notes_free(n);
}

/* Whether there can be a successor is in the kernel's INIT. */
static void knows_the_kernel(void **state)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in in;
	} init = {.in = {.flags = FUSE_INIT_EXT}};
	const uint8_t *noted;
	struct notes *n;
	int fd = memory();

	assert_false(notes_can_resend(fd));
	assert_int_equal(notes_new(fd, &n), 0);
	assert_int_equal(notes_init(n, &noted), 0);
	assert_false(notes_can_resend(fd));
	notes_set_init(n, (const uint8_t *)&init, sizeof(init));
	assert_false(notes_can_resend(fd));
	init.in.flags2 = KERNEL_RESEND;
	notes_set_init(n, (const uint8_t *)&init, sizeof(init));
	assert_true(notes_can_resend(fd));
	assert_int_equal(notes_init(n, &noted), sizeof(init));
	assert_memory_equal(noted, &init, sizeof(init));
	notes_free(n);
	close(fd);
}

/* What is no notes of ours is not believed. */
static void refuses_strangers(void **state)
{
	struct notes *n;
	int fd = memory();

	assert_int_equal(write(fd, "something else", 14), 14);
	assert_int_equal(notes_new(fd, &n), EPROTO);
	assert_false(notes_can_resend(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlives_who_noted),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(knows_the_kernel),
		cmocka_unit_test(refuses_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
