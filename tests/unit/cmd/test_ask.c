/* test_ask — one question over a socket: what leaves, and how long it waits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/ask.h"
#include "core/buf.h"
#include "core/mem.h"

#define LINE "{\"verb\":\"ls\"}\n"

/* ---- Helpers ---- */

/* The other side: hears `len` bytes, and answers if they are those. */
static pid_t play(int fd, const void *want, size_t len)
{
	pid_t pid = fork();
	uint8_t *got;
	size_t n = 0;
	ssize_t r;

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	got = mem_alloc(len);
	while (got && n < len) {
		r = read(fd, got + n, len - n);
		if (r <= 0)
			_exit(1);
		n += (size_t)r;
	}
	if (!got || memcmp(got, want, len) != 0)
		_exit(1);
	_exit(write(fd, "{\"ok\":true}\n", 12) == 12 ? 0 : 1);
}

static time_t limit_s(int fd, int which)
{
	struct timeval limit;
	socklen_t len = sizeof(limit);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, which, &limit, &len), 0);
	assert_int_equal(limit.tv_usec, 0);
	return limit.tv_sec;
}

/* Asks with `len` bytes behind the line; how long it would have waited. */
static time_t ask_with_bytes(size_t len)
{
	struct ask_parcel with = {.fd = -1};
	struct buf all = {0}, answer = {0};
	json_t *request = json_pack("{ss}", "verb", "ls");
	time_t limit;
	int fds[2], status;
	uint8_t *room;
	pid_t pid;

	buf_add_str(&all, LINE);
	room = buf_room(&all, len);
	assert_non_null(room);
	memset(room, 'x', len);
	buf_took(&all, len);
	with.bytes = span_of(all.data + strlen(LINE), len);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = play(fds[1], all.data, all.len);
	(void)close(fds[1]);
	assert_int_equal(ask_over(fds[0], request, &with, &answer), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(answer.len, 12);
	limit = limit_s(fds[0], SO_RCVTIMEO);
	assert_int_equal(limit_s(fds[0], SO_SNDTIMEO), limit);
	(void)close(fds[0]);
	json_decref(request);
	buf_fini(&all);
	buf_fini(&answer);
	return limit;
}

/* ---- Tests ---- */

/* A short question waits for ten seconds, and one that brings a .torrent for a
 * second more for each MiB of it. */
static void waits_longer_for_what_is_long(void **state)
{
	time_t least = ask_with_bytes(0);

	assert_int_equal(least, 10);
	assert_int_equal(ask_with_bytes(1000), least);
	assert_int_equal(ask_with_bytes(1 << 20), least + 1);
	assert_int_equal(ask_with_bytes(7 << 20), least + 7);
}

/* Who hangs up at once leaves his word. */
static void hears_who_hangs_up(void **state)
{
	static const char word[] = "{\"error\":\"no\"}\n";
	struct ask_parcel with = {.fd = -1};
	json_t *request = json_pack("{ss}", "verb", "ls");
	struct buf answer = {0};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(write(fds[1], word, strlen(word)), strlen(word));
	(void)close(fds[1]);
	assert_int_equal(ask_over(fds[0], request, &with, &answer), 0);
	assert_non_null(strstr(buf_cstr(&answer), "no"));
	(void)close(fds[0]);
	json_decref(request);
	buf_fini(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_longer_for_what_is_long),
		cmocka_unit_test(hears_who_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
