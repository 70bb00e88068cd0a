/* ask — one question to a running mount, over its control socket.
 *
 * Where the socket is the mount says itself, by an attribute of its root: that
 * is answered from memory even while every read of it waits. The socket has a
 * deadline all the same: a daemon that is stopped answers nothing. */
#include "cmd/ask.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cmd/mounts.h"
#include "core/buf.h"
#include "core/err.h"
#include "fs/steer.h"

/* How long may be between two pieces of an answer; for each MiB of a request a
 * second more, since a long one is a .torrent to be taken apart. */
enum { ASK_DEADLINE_S = 10, ASK_READ_BYTES = 64 << 10, ASK_MIB = 1 << 20 };

static int refuse(char why[WHY_BYTES], const char *what, const char *reason)
{
	(void)snprintf(why, WHY_BYTES, "%.300s: %.180s", what, reason);
	return EINVAL;
}

/* ---- which mount ---- */

int ask_mount(const char *given, char point[PATH_MAX], char why[WHY_BYTES])
{
	unsigned n;

	if (given) {
		if (!realpath(given, point))
			return refuse(why, given, err_text(errno));
		if (!mounts_has(point))
			return refuse(why, given,
				      "no shoalfs is mounted there");
		return 0;
	}
	n = mounts_find(point);
	if (n == 1)
		return 0;
	(void)snprintf(why, WHY_BYTES, "%s",
		       n == 0 ? "no shoalfs is mounted"
			      : "several are mounted; name one with -m");
	return EINVAL;
}

/* Does `path` (resolved) begin with a mount of ours? */
static bool split(const char *path, char point[PATH_MAX], char below[PATH_MAX])
{
	size_t len = strlen(path);

	(void)snprintf(point, PATH_MAX, "%s", path);
	for (;;) {
		if (mounts_has(len > 0 ? point : "/")) {
			path += len + (path[len] == '/');
			memmove(below, path, strlen(path) + 1);
			return true;
		}
		if (len == 0)
			return false;
		while (len > 0 && point[len - 1] != '/')
			len--;
		len -= len > 0;
		point[len] = '\0';
	}
}

int ask_path(const char *given, const char *path, char point[PATH_MAX],
	     char below[PATH_MAX], char why[WHY_BYTES])
{
	char real[PATH_MAX];
	bool is_there = realpath(path, real) != NULL;

	if (path[0] == '\0')
		return refuse(why, "an empty path", err_text(EINVAL));
	if (is_there && split(real, point, below))
		return 0;
	/* The mount says what is wrong with one that it does not have. */
	if (!is_there && path[0] == '/' && strlen(path) < PATH_MAX &&
	    split(path, point, below))
		return 0;
	if (path[0] == '/')
		return refuse(why, path, "not in a shoalfs mount");
	if (snprintf(below, PATH_MAX, "%s", path) >= PATH_MAX)
		return refuse(why, path, err_text(ENAMETOOLONG));
	return ask_mount(given, point, why);
}

/* ---- the socket ---- */

static int find_socket(const char *point, char path[PATH_MAX],
		       char why[WHY_BYTES])
{
	ssize_t n = getxattr(point, "user.shoalfs.control", path, PATH_MAX - 1);

	if (n < 0)
		return refuse(why, point,
			      errno == ENODATA
				      ? "this mount has no control socket; its "
					"log says why"
				      : err_text(errno));
	path[n] = '\0';
	return 0;
}

static void set_deadline(int fd, size_t len)
{
	const struct timeval limit = {.tv_sec = ASK_DEADLINE_S +
						(time_t)(len / ASK_MIB)};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int connect_to(char *path, int *out)
{
	char *name = strrchr(path, '/');
	struct sockaddr_un at;
	int dir, fd, r;

	if (!name)
		return EINVAL;
	*name++ = '\0';
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno;
	r = steer_addr(dir, name, &at);
	fd = r ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!r && fd < 0)
		r = errno;
	if (!r) {
		set_deadline(fd, 0);
		if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
			r = errno;
	}
	(void)close(dir);
	if (r && fd >= 0)
		(void)close(fd);
	*out = fd;
	return r;
}

/* As send(2); `given` (-1: none) goes along. */
static ssize_t send_some(int fd, const uint8_t *text, size_t len, int given)
{
	struct iovec iov = {(void *)(uintptr_t)text, len};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (given >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &given, sizeof(given));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static int send_all(int fd, const uint8_t *text, size_t len, int given)
{
	while (len > 0) {
		ssize_t n = send_some(fd, text, len, given);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		given = -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int receive_line(int fd, struct buf *out)
{
	while (out->len == 0 || out->data[out->len - 1] != '\n') {
		uint8_t *room = buf_room(out, ASK_READ_BYTES);
		ssize_t n = room ? recv(fd, room, ASK_READ_BYTES, 0) : 0;

		if (!room)
			return ENOMEM;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? ETIMEDOUT : errno;
		if (n == 0)
			return EPROTO;
		buf_took(out, (size_t)n);
	}
	return 0;
}

static int on_dump(const char *bytes, size_t len, void *arg)
{
	buf_add(arg, bytes, len);
	return 0;
}

int ask_over(int fd, const json_t *request, const struct ask_parcel *with,
	     struct buf *out)
{
	int r = json_dump_callback(request, on_dump, out, JSON_COMPACT);

	buf_add_u8(out, '\n');
	if (r != 0 || buf_err(out) != 0)
		return ENOMEM;
	set_deadline(fd, out->len + with->bytes.len);
	r = send_all(fd, out->data, out->len, with->fd);
	if (r == 0)
		r = send_all(fd, with->bytes.ptr, with->bytes.len, -1);
	buf_reset(out);
	/* Who refuses us hangs up, and his word is there to read. */
	return r == 0 || r == EPIPE ? receive_line(fd, out) : r;
}

/* {"ok": true, …}, or the reason. */
static int read_answer(const struct buf *text, const char *point,
		       json_t **answer, char why[WHY_BYTES])
{
	json_t *j = json_loadb((const char *)text->data, text->len, 0, NULL);
	const char *error = json_string_value(json_object_get(j, "error"));

	if (error)
		(void)snprintf(why, WHY_BYTES, "%.400s", error);
	else if (!json_is_true(json_object_get(j, "ok")))
		(void)refuse(why, point, "an answer that makes no sense");
	else {
		(void)json_object_del(j, "ok");
		*answer = j;
		return 0;
	}
	json_decref(j);
	return EINVAL;
}

int ask(const char *point, json_t *request, json_t **answer,
	char why[WHY_BYTES])
{
	static const struct ask_parcel nothing = {.fd = -1};

	return ask_with(point, request, &nothing, answer, why);
}

int ask_with(const char *point, json_t *request, const struct ask_parcel *with,
	     json_t **answer, char why[WHY_BYTES])
{
	char path[PATH_MAX];
	struct buf text = {0};
	int fd = -1, r;

	r = find_socket(point, path, why);
	if (!r) {
		r = connect_to(path, &fd);
		if (!r) {
			r = ask_over(fd, request, with, &text);
			(void)close(fd);
		}
		r = r ? refuse(why, point, err_text(r))
		      : read_answer(&text, point, answer, why);
	}
	json_decref(request);
	buf_fini(&text);
	return r;
}
