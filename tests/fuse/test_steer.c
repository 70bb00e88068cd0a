/* The control socket of a mount, by somebody who speaks it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/steer.h"
#include "kernel.h"
#include "tests/lib/fake_torrent.h"

/* ---- Fixture ---- */

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { LINE_BYTES = 200000 };

static const struct fake_file files[] = {
	{"movie.mkv", 1000000, 0},
	{"subs/en.srt", 3000, 0},
	{"subs/de/x.srt", 7, 0},
};

struct fixture {
	struct kernel *k;
	struct metainfo *mi;
	struct torrent *t, *unknown;
	char dir[64];
	struct steer *s;
	int fd; /* a connection */
	char line[LINE_BYTES];
};

static int dial(const struct fixture *f)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s",
		       steer_path(f->s));
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int setup(void **state)
{
	static const struct torrent_id unknown = {
		.v1 = {.bytes = "\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb"
				"\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb\xbb",
		       .len = 20}};
	struct fixture *f = mem_new(struct fixture);

	f->k = kernel_new(40, 40);
	f->mi = fake_metainfo_new("movie", 0xaa, files, 3);
	f->t = fake_add(f->k->engine, &f->mi->id);
	fake_ready(f->t, f->mi);
	assert_int_equal(mount_on_ready(f->k->m, f->t), 0);
	f->unknown = fake_add(f->k->engine, &unknown);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/shoal-steer-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(steer_open(f->k->m, f->dir, "control", &f->s), 0);
	f->fd = dial(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	steer_free(f->s);
	if (f->fd >= 0)
		(void)close(f->fd);
	assert_int_equal(rmdir(f->dir), 0); /* the socket is gone */
	kernel_free(f->k);
	fake_metainfo_free(f->mi);
	mem_free(f);
	return 0;
}

/* ---- Helpers ---- */

static void say(struct fixture *f, const char *text)
{
	assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

/* The next line that comes; NULL: they hung up. */
static const char *hear(struct fixture *f)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(f->fd, f->line + len, 1, 0);

		if (n == 0)
			return NULL;
		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			kernel_turn(f->k);
			continue;
		}
		assert_true(len + 1 < LINE_BYTES);
		if (f->line[len++] == '\n')
			break;
	}
	f->line[len] = '\0';
	return f->line;
}

static json_t *ask(struct fixture *f, const char *text)
{
	json_t *j;

	say(f, text);
	say(f, "\n");
	j = json_loads(hear(f), 0, NULL);
	assert_non_null(j);
	return j;
}

static void assert_ok(struct fixture *f, const char *text)
{
	json_t *j = ask(f, text);

	assert_true(json_is_true(json_object_get(j, "ok")));
	json_decref(j);
}

static void assert_error(struct fixture *f, const char *text, const char *has)
{
	json_t *j = ask(f, text);
	const char *error = json_string_value(json_object_get(j, "error"));

	assert_non_null(error);
	assert_non_null(strstr(error, has));
	assert_null(json_object_get(j, "ok"));
	json_decref(j);
}

static void assert_why(struct fixture *f, const char *path, const char *want)
{
	char text[256];
	json_t *j;

	(void)snprintf(text, sizeof(text), "{\"verb\":\"why\",\"path\":\"%s\"}",
		       path);
	j = ask(f, text);
	assert_string_equal(json_string_value(json_object_get(j, "why")), want);
	json_decref(j);
}

/* ---- Tests: verbs ---- */

/* A file, a directory, everything; by name and by hash. */
static void pins(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	assert_ok(f, "{\"verb\":\"pin\",\"path\":\"movie/subs/en.srt\"}");
	assert_false(torrent_is_pinned(f->t, 0));
	assert_true(torrent_is_pinned(f->t, 1));
	assert_ok(f, "{\"verb\":\"pin\",\"path\":\"/" HEX_A "/subs/\"}");
	assert_true(torrent_is_pinned(f->t, 2));
	assert_false(torrent_is_pinned(f->t, 0));
	j = ask(f, "{\"verb\":\"pin\",\"path\":\"\"}");
	assert_true(torrent_is_pinned(f->t, 0));
	assert_int_equal(json_integer_value(json_object_get(j, "files")), 3);
	assert_int_equal(json_integer_value(json_object_get(j, "size_bytes")),
			 1003007);
	json_decref(j);
	assert_int_equal(kernel_getxattr(f->k, inode_base(&f->mi->id) | 1,
					 "user.shoalfs.pin", 9),
			 0);
	assert_ok(f, "{\"verb\":\"unpin\",\"path\":\"movie\"}");
	for (uint32_t ix = 0; ix < 3; ix++)
		assert_false(torrent_is_pinned(f->t, ix));
	assert_int_equal(kernel_getxattr(f->k, inode_base(&f->mi->id) | 1,
					 "user.shoalfs.pin", 9),
			 ENODATA);
}

/* Paths that are none, or no part of a torrent. */
static void wrong_paths(void **state)
{
	struct fixture *f = *state;

	assert_error(f, "{\"verb\":\"pin\",\"path\":\"nothing\"}", "nothing");
	assert_error(f, "{\"verb\":\"pin\",\"path\":\"movie/movie.mkv/x\"}",
		     "movie.mkv");
	assert_error(f, "{\"verb\":\"pin\",\"path\":\".shoalfs/status\"}",
		     "no part of a torrent");
	assert_error(f, "{\"verb\":\"pin\",\"path\":\"" HEX_B "\"}", HEX_B);
	assert_error(f, "{\"verb\":\"peers\",\"torrent\":\"x\"}", "x");
	assert_error(f, "{\"verb\":\"fly\"}", "fly");
	assert_error(f, "no json", "JSON");
	assert_ok(f, "{\"verb\":\"ls\"}"); /* the connection lives */
}

/* What a read waits for, and what there is to say when none does. */
static void why(void **state)
{
	struct fixture *f = *state;
	uint64_t file = inode_base(&f->mi->id) | 1, u;
	struct fuse_open_out o;
	json_t *j;

	assert_why(f, "movie/movie.mkv",
		   "nothing: nobody reads what is missing, and it is not "
		   "pinned");
	assert_why(f, HEX_B, "waiting for metadata");
	assert_ok(f, "{\"verb\":\"pin\",\"path\":\"movie/movie.mkv\"}");
	assert_why(f, "movie/movie.mkv", "no peers for the file");
	assert_int_equal(kernel_open(f->k, file, O_RDONLY, &o), 0);
	u = kernel_read_start(f->k, file, o.fh, 4096, 4096);
	j = ask(f, "{\"verb\":\"why\",\"path\":\"movie\"}");
	assert_string_equal(json_string_value(json_object_get(j, "why")),
			    "no peers");
	assert_int_equal(json_array_size(json_object_get(j, "reads")), 1);
	json_decref(j);
	j = ask(f, "{\"verb\":\"why\",\"path\":\"movie/subs\"}");
	assert_int_equal(json_array_size(json_object_get(j, "reads")), 0);
	json_decref(j);
	fake_hold(f->t, 1000000);
	kernel_turn(f->k);
	kernel_wait(f->k, u);
	assert_why(f, "movie/movie.mkv", "nothing: all of it is held");
}

/* ls, status, peers and limit say what they should. */
static void figures(void **state)
{
	struct fixture *f = *state;
	json_t *j, *t;

	j = ask(f, "{\"verb\":\"ls\"}");
	assert_int_equal(json_array_size(json_object_get(j, "torrents")), 2);
	t = json_array_get(json_object_get(j, "torrents"), 0);
	assert_string_equal(json_string_value(json_object_get(t, "name")),
			    "movie");
	assert_null(json_object_get(t, "peers"));
	json_decref(j);
	j = ask(f, "{\"verb\":\"status\"}");
	assert_int_equal(json_integer_value(json_object_get(j, "port")), 6881);
	json_decref(j);
	j = ask(f, "{\"verb\":\"peers\",\"torrent\":\"" HEX_A "\"}");
	assert_int_equal(json_array_size(json_object_get(j, "peers")), 1);
	json_decref(j);
	assert_ok(f, "{\"verb\":\"limit\",\"way\":\"up\",\"Bps\":5000}");
	j = ask(f, "{\"verb\":\"limit\"}");
	assert_true(json_is_null(json_object_get(j, "down_Bps")));
	assert_int_equal(json_integer_value(json_object_get(j, "up_Bps")),
			 5000);
	json_decref(j);
}

/* The mount says where its socket is; it is for its owner only. */
static void is_found_and_private(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(
		kernel_getxattr(f->k, INODE_ROOT, "user.shoalfs.control", 200),
		0);
	assert_int_equal(f->k->len, strlen(steer_path(f->s)));
	assert_memory_equal(f->k->data, steer_path(f->s), f->k->len);
	assert_int_equal(stat(steer_path(f->s), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* ---- Tests: the connection ---- */

/* Requests that come together, and one that comes in bits, are answered one by
 * one, also to someone who has said all he will. */
static void lines_however_they_come(void **state)
{
	struct fixture *f = *state;

	say(f, "{\"verb\":\"limit\"}\n{\"verb\":\"ls\"}\n{\"verb\":");
	assert_non_null(strstr(hear(f), "down_Bps"));
	assert_non_null(strstr(hear(f), "torrents"));
	kernel_turn(f->k);
	say(f, "\"limit\"}\n{\"verb\":\"ls\"}\n");
	(void)shutdown(f->fd, SHUT_WR);
	assert_non_null(strstr(hear(f), "down_Bps"));
	assert_non_null(strstr(hear(f), "torrents"));
	assert_null(hear(f));
}

/* A key is added by its link, or by its name as rm has it; twice is no
 * mistake. */
static void keys_are_added_and_removed(void **state)
{
#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	static const char add[] = "{\"verb\": \"add\", \"magnet\": "
				  "\"magnet:?xs=urn:btpk:" KEY "\"}";
	static const char rm[] =
		"{\"verb\": \"rm\", \"torrent\": \"btpk-" KEY "\"}";
	struct fixture *f = *state;
	json_t *j;

	assert_error(f, rm, "no key");
	for (int i = 0; i < 2; i++) {
		j = ask(f, add);
		assert_string_equal(
			json_string_value(json_object_get(j, "torrent")),
			"btpk-" KEY);
		assert_int_equal(json_is_true(json_object_get(j, "was_there")),
				 i);
		json_decref(j);
	}
	assert_ok(f, rm);
	assert_error(f, rm, "no key");
#undef KEY
}

#define TORRENT                                                            \
	"d4:infod6:lengthi1e4:name4:solo12:piece lengthi16384e6:pieces20:" \
	"aaaaaaaaaaaaaaaaaaaaee"
#define ADD "{\"verb\":\"add\",\"metainfo_bytes\":%zu}\n"

/* A .torrent follows the line that announces it, in whatever parts; behind it
 * comes the next line. */
static void a_torrent_follows_its_line(void **state)
{
	struct fixture *f = *state;
	const size_t len = sizeof(TORRENT) - 1;
	char text[512];

	(void)snprintf(text, sizeof(text), ADD "%s{\"verb\":\"ls\"}\n", len,
		       TORRENT);
	say(f, text);
	assert_non_null(strstr(hear(f), "\"solo\""));
	assert_non_null(strstr(hear(f), "torrents"));
	(void)snprintf(text, sizeof(text), ADD "%s", len, TORRENT);
	for (const char *at = text; *at != '\0'; at++) {
		assert_int_equal(send(f->fd, at, 1, MSG_NOSIGNAL), 1);
		kernel_turn(f->k);
	}
	assert_non_null(strstr(hear(f), "\"was_there\":true"));
	(void)snprintf(text, sizeof(text), ADD "%s", len - 1, TORRENT);
	say(f, text);
	assert_non_null(strstr(hear(f), "not a valid torrent"));
}

/* Who announces one and hangs up has added nothing. */
static void a_torrent_may_not_come(void **state)
{
	struct fixture *f = *state;
	char text[512];

	(void)snprintf(text, sizeof(text), ADD "%.20s", sizeof(TORRENT) - 1,
		       TORRENT);
	say(f, text);
	kernel_turn(f->k);
	(void)shutdown(f->fd, SHUT_WR);
	assert_null(hear(f));
	assert_int_equal(f->k->m->roster.n, 1);
}

/* A line without an end is not waited for for ever. */
static void a_line_has_a_limit(void **state)
{
	struct fixture *f = *state;
	static char many[STEER_LINE_MAX];
	size_t sent = 0;

	memset(many, ' ', sizeof(many));
	while (sent < sizeof(many)) {
		ssize_t n =
			send(f->fd, many, sizeof(many) - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		kernel_turn(f->k);
	}
	assert_non_null(strstr(hear(f), "too long"));
	assert_null(hear(f));
}

/* Who asks and never listens holds up nobody else. */
static void who_does_not_listen_waits_alone(void **state)
{
	struct fixture *f = *state;
	int deaf = f->fd;

	for (unsigned i = 0; i < 2000; i++) {
		(void)send(deaf, "{\"verb\":\"status\"}\n", 18, MSG_NOSIGNAL);
		if (i % 100 == 0)
			kernel_turn(f->k);
	}
	f->fd = dial(f);
	assert_ok(f, "{\"verb\":\"ls\"}");
	(void)close(deaf);
}

/* One connection too many is told so, and the others live on. */
static void connections_have_a_limit(void **state)
{
	struct fixture *f = *state;
	int first = f->fd, fds[STEER_CONNECTIONS_MAX];
	unsigned i;

	for (i = 0; i + 1 < STEER_CONNECTIONS_MAX; i++) {
		fds[i] = dial(f);
		kernel_turn(f->k);
	}
	f->fd = dial(f);
	assert_non_null(strstr(hear(f), "too many"));
	assert_null(hear(f));
	(void)close(f->fd);
	f->fd = first;
	assert_ok(f, "{\"verb\":\"ls\"}");
	while (i > 0)
		(void)close(fds[--i]);
	kernel_turn(f->k);
	(void)close(f->fd);
	f->fd = dial(f);
	assert_ok(f, "{\"verb\":\"ls\"}");
}

/* ---- Tests: the place ---- */

static struct steer *again(struct fixture *f, int err)
{
	struct steer *s = NULL;

	assert_int_equal(steer_open(f->k->m, f->dir, "other", &s), err);
	return s;
}

/* What a dead process left is replaced; what lives or is no socket is not. */
static void a_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	char path[96];
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct steer *s;

	(void)snprintf(path, sizeof(path), "%s/other", f->dir);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	(void)again(f, EADDRINUSE);
	(void)close(fd);
	s = again(f, 0);
	steer_free(s);
	assert_int_not_equal(access(path, F_OK), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	assert_int_not_equal(steer_open(f->k->m, f->dir, "other", &s), 0);
	assert_int_equal(unlink(path), 0);
	f->k->m->steer = f->s;
}

/* A directory that others may write to, or that is not there, is none. */
static void the_directory_must_be_ours(void **state)
{
	struct fixture *f = *state;
	struct steer *s;

	assert_int_equal(chmod(f->dir, 0770), 0);
	(void)again(f, EPERM);
	assert_int_equal(chmod(f->dir, 0700), 0);
	assert_int_equal(steer_open(f->k->m, "/tmp/not-there", "x", &s),
			 ENOENT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(pins),
		T(wrong_paths),
		T(why),
		T(figures),
		T(is_found_and_private),
		T(lines_however_they_come),
		T(keys_are_added_and_removed),
		T(a_torrent_follows_its_line),
		T(a_torrent_may_not_come),
		T(a_line_has_a_limit),
		T(who_does_not_listen_waits_alone),
		T(connections_have_a_limit),
		T(a_stale_socket_is_replaced),
		T(the_directory_must_be_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
