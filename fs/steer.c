/* steer — the control socket.
 *
 * Happy path
 *   1. A connection is accepted if the kernel says that its other end is root
 *      or who runs us.
 *   2. Bytes are read up to the end of a line, the line is decoded
 *      (steer_request.c) and answered (steer_verb.c). The .torrent that it may
 *      announce, maybe of a million files, is read behind it into its own room.
 *   3. While an answer waits to leave, or is not known yet (what is added is
 *      being written down), nothing more is read.
 *
 * Nothing here may hold up the mount: sockets do not block, one request of a
 * connection is served a turn, an answer has a limit, and a connection on
 * which nothing moves for STEER_IDLE_MS is closed, whether it owes us a line
 * or does not take ours.
 *
 * Failure modes: a line that is too long, or an answer without memory for it,
 * ends the connection, the first with a word. One connection too many is told
 * so. Without descriptors the loop would spin on the one that waits: the
 * listener rests for a while.
 *
 * A socket that was left by a process that died refuses connections; it is
 * removed. Anything else that is in its place stays, and there is no control
 * socket. */
#include "fs/steer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/steer_internal.h"
#include "fs/steer_request.h"

struct steer_conn {
	LIST_ENTRY(steer_conn) link;
	struct steer *s; /* Owner: */
	int fd;
	struct loop_io *io;
	struct loop_timer *idle;
	struct loop_task next;	  /* another line is there already */
	struct loop_timer *again; /* the same line once more */
	unsigned n_tries;
	int given_fd; /* that came along with the line; -1: none */
	struct steer_later later;
	bool is_waiting;	    /* for `later` or `again` */
	struct steer_request about; /* what `file_got` bytes are there of */
	size_t file_got;
	struct buf in, out;
	size_t looked_at; /* no line ends in so much of `in` */
	size_t sent;	  /* of out */
	bool is_eof;	  /* they say nothing more */
	bool is_last;	  /* close when `out` has left */
};

struct steer {
	struct mount *m;
	int dir_fd, fd;
	struct loop_io *io;
	struct loop_timer *rest;
	char *path, *name;
	bool is_bound;
	LIST_HEAD(, steer_conn) conns;
	unsigned n_conns;
};

/* ---- a connection ---- */

static void drop_given(struct steer_conn *c)
{
	if (c->given_fd >= 0)
		(void)close(c->given_fd);
	c->given_fd = -1;
}

static void conn_free(struct steer_conn *c)
{
	LIST_REMOVE(c, link);
	c->s->n_conns--;
	loop_task_cancel(c->s->m->loop, &c->next);
	steer_later_cancel(&c->later);
	loop_io_free(c->io);
	loop_timer_free(c->idle);
	loop_timer_free(c->again);
	(void)close(c->fd);
	drop_given(c);
	steer_request_fini(&c->about);
	buf_fini(&c->in);
	buf_fini(&c->out);
	mem_free(c);
}

static void on_idle(void *arg)
{
	conn_free(arg);
}

/* Something moved. */
static void is_alive(struct steer_conn *c)
{
	loop_timer_start(c->idle, (uint64_t)STEER_IDLE_MS * 1000);
}

/* Send what can be sent; false: the connection is gone. */
static bool flush(struct steer_conn *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent,
				 c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return loop_io_want(c->io, LOOP_WRITE) == 0;
		if (n < 0) {
			conn_free(c);
			return false;
		}
		c->sent += (size_t)n;
		is_alive(c);
	}
	buf_fini(&c->out);
	c->sent = 0;
	if (c->is_last) {
		conn_free(c);
		return false;
	}
	return loop_io_want(c->io, LOOP_READ) == 0;
}

/* What is ready leaves; with more lines behind it, one a turn. */
static void send_answer(struct steer_conn *c, int err)
{
	if (err == 0 && c->out.len > STEER_ANSWER_MAX) {
		buf_reset(&c->out);
		err = steer_refuse("the answer is too long", &c->out);
	}
	if (err != 0)
		conn_free(c);
	else
		(void)flush(c);
}

static void on_later(struct steer_later *later, int err, struct buf *out)
{
	struct steer_conn *c = CONTAINER_OF(later, struct steer_conn, later);

	c->is_waiting = false;
	is_alive(c);
	if (err == 0) {
		buf_add(&c->out, out->data, out->len);
		err = buf_err(&c->out);
	}
	loop_defer(c->s->m->loop, &c->next);
	send_answer(c, err);
}

/* EINPROGRESS: the answer comes later. EAGAIN: try the line once more. */
static int answer(struct steer_conn *c, struct steer_request *r, unsigned tries)
{
	int err;

	c->later.on_answer = on_later;
	r->data_fd = c->given_fd;
	err = steer_answer(c->s->m, r, &c->later, &c->out);
	steer_request_fini(r);
	if (err == EAGAIN && ++c->n_tries > tries)
		err = steer_refuse("what it asks for does not come from the "
				   "disk",
				   &c->out);
	return err;
}

static void wait_for_it(struct steer_conn *c)
{
	c->is_waiting = true;
	(void)loop_io_want(c->io, 0);
	is_alive(c);
}

static void end_line(struct steer_conn *c, int err)
{
	c->n_tries = 0;
	drop_given(c);
	if (err == EINPROGRESS) {
		wait_for_it(c);
		return;
	}
	loop_defer(c->s->m->loop, &c->next);
	send_answer(c, err);
}

static void refuse_and_close(struct steer_conn *c, const char *why)
{
	c->is_last = true;
	send_answer(c, steer_refuse(why, &c->out));
}

/* What of the file was read with its line stays in `in` until its turn. */
static void begin_file(struct steer_conn *c, struct steer_request *r)
{
	r->file = mem_alloc(r->file_len);
	c->file_got = 0;
	c->about = *r;
	if (r->file == NULL)
		refuse_and_close(c, err_text(ENOMEM));
	else
		loop_defer(c->s->m->loop, &c->next);
}

static void serve_line(struct steer_conn *c, size_t len)
{
	struct steer_request r;
	char why[STEER_WHY_BYTES];
	int err = steer_request_decode((const char *)c->in.data, len, &r, why);

	if (err == 0 && r.file_len > 0) {
		buf_cut(&c->in, len + 1);
		begin_file(c, &r);
		return;
	}
	err = err == 0 ? answer(c, &r, STEER_TRIES)
		       : steer_refuse(why, &c->out);
	if (err == EAGAIN) {
		wait_for_it(c);
		loop_timer_start(c->again, STEER_AGAIN_MS * UINT64_C(1000));
		return;
	}
	buf_cut(&c->in, len + 1);
	end_line(c, err);
}

/* All of it is there, or waited for. To add it is not tried again: it is gone
 * with the first time. */
static void serve_file(struct steer_conn *c)
{
	struct steer_request r = c->about;
	size_t left = r.file_len - c->file_got;
	size_t n = left < c->in.len ? left : c->in.len;

	if (n > 0)
		memcpy(r.file + c->file_got, c->in.data, n);
	c->file_got += n;
	buf_cut(&c->in, n);
	if (c->file_got == r.file_len) {
		c->about = (struct steer_request){0};
		end_line(c, answer(c, &r, 0));
	} else if (c->is_eof) {
		conn_free(c);
	}
}

/* Answer the first line that is there. */
static void serve(struct steer_conn *c)
{
	const uint8_t *end = NULL;

	if (c->about.file != NULL) {
		serve_file(c);
		return;
	}
	if (c->in.len > c->looked_at)
		end = memchr(c->in.data + c->looked_at, '\n',
			     c->in.len - c->looked_at);
	if (end != NULL) {
		c->looked_at = 0;
		serve_line(c, (size_t)(end - c->in.data));
	} else if (c->in.len >= STEER_LINE_MAX) {
		refuse_and_close(c, "the line is too long");
	} else if (c->is_eof) {
		conn_free(c);
	} else {
		c->looked_at = c->in.len;
	}
}

static void on_again(void *arg)
{
	struct steer_conn *c = arg;

	c->is_waiting = false;
	if (loop_io_want(c->io, LOOP_READ) != 0)
		conn_free(c);
	else
		serve(c);
}

static void on_next(void *arg)
{
	struct steer_conn *c = arg;

	if (c->out.len == 0 && !c->is_waiting)
		serve(c);
}

/* As recv(2); a descriptor that comes along is kept until its line was
 * answered. More than one is of no use, and goes. */
static ssize_t receive(struct steer_conn *c, uint8_t *room, size_t most)
{
	struct iovec iov = {room, most};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *m = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (m != NULL && m->cmsg_level == SOL_SOCKET &&
	    m->cmsg_type == SCM_RIGHTS &&
	    m->cmsg_len == CMSG_LEN(sizeof(int))) {
		drop_given(c);
		memcpy(&c->given_fd, CMSG_DATA(m), sizeof(c->given_fd));
	}
	return n;
}

/* Where what comes next belongs, but for what is there already. */
static uint8_t *room_for(struct steer_conn *c, size_t *most)
{
	bool is_file = c->about.file != NULL && c->in.len == 0;

	*most = is_file ? c->about.file_len - c->file_got
			: STEER_LINE_MAX - c->in.len;
	if (*most > STEER_READ_BYTES)
		*most = STEER_READ_BYTES;
	return is_file ? c->about.file + c->file_got : buf_room(&c->in, *most);
}

static void on_readable(struct steer_conn *c)
{
	size_t most;
	uint8_t *room = room_for(c, &most);
	ssize_t n;

	if (room == NULL) {
		conn_free(c);
		return;
	}
	n = receive(c, room, most);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_free(c);
		return;
	}
	c->is_eof = c->is_eof || n == 0; /* a line without its end is none */
	if (c->about.file != NULL && c->in.len == 0)
		c->file_got += (size_t)n;
	else
		buf_took(&c->in, (size_t)n);
	is_alive(c);
	serve(c);
}

static void on_conn(void *arg, int fd, unsigned events)
{
	struct steer_conn *c = arg;

	if (c->is_waiting)
		return;
	if (c->out.len == 0)
		on_readable(c);
	else if (flush(c))
		loop_defer(c->s->m->loop, &c->next);
}

static int conn_new(struct steer *s, int fd)
{
	struct steer_conn *c = mem_new(struct steer_conn);
	int r;

	if (c == NULL)
		return ENOMEM;
	c->s = s;
	c->fd = fd;
	c->given_fd = -1;
	loop_task_init(&c->next, on_next, c);
	r = loop_timer_new(s->m->loop, on_idle, c, &c->idle);
	if (r == 0)
		r = loop_timer_new(s->m->loop, on_again, c, &c->again);
	if (r == 0)
		r = loop_io_new(s->m->loop, fd, on_conn, c, &c->io);
	if (r == 0)
		r = loop_io_want(c->io, LOOP_READ);
	if (r != 0) {
		loop_io_free(c->io);
		loop_timer_free(c->idle);
		loop_timer_free(c->again);
		mem_free(c);
		return r;
	}
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->n_conns++;
	is_alive(c);
	return 0;
}

/* ---- who comes in ---- */

/* Why not, or NULL. */
static const char *is_unwelcome(const struct steer *s, int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 ||
	    (who.uid != 0 && who.uid != geteuid()))
		return "{\"error\": \"this mount is not yours\"}\n";
	if (s->n_conns >= STEER_CONNECTIONS_MAX)
		return "{\"error\": \"too many connections\"}\n";
	return NULL;
}

static void on_accept(void *arg, int fd, unsigned events)
{
	struct steer *s = arg;
	int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	const char *why;

	if (got < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
			(void)loop_io_want(s->io, 0);
			loop_timer_start(s->rest, STEER_REST_MS * 1000);
		}
		return;
	}
	why = is_unwelcome(s, got);
	if (why != NULL)
		(void)send(got, why, strlen(why), MSG_NOSIGNAL);
	if (why != NULL || conn_new(s, got) != 0)
		(void)close(got);
}

static void on_rested(void *arg)
{
	struct steer *s = arg;

	(void)loop_io_want(s->io, LOOP_READ);
}

/* ---- the socket ---- */

int steer_addr(int dir_fd, const char *name, struct sockaddr_un *out)
{
	int n;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(out->sun_path, sizeof(out->sun_path),
		     "/proc/self/fd/%d/%s", dir_fd, name);
	return n < 0 || (size_t)n >= sizeof(out->sun_path) ? EFBIG : 0;
}

static int open_dir(struct steer *s, const char *dir)
{
	struct stat st;

	s->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd < 0 || fstat(s->dir_fd, &st) != 0)
		return errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return EPERM;
	return 0;
}

/* A socket that nobody listens on is removed. */
static int clear_stale(struct steer *s, const struct sockaddr_un *at)
{
	int r = EADDRINUSE, fd;
	struct stat st;

	if (fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISSOCK(st.st_mode))
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 &&
	    errno == ECONNREFUSED)
		r = unlinkat(s->dir_fd, s->name, 0) != 0 ? errno : 0;
	(void)close(fd);
	return r;
}

static int bind_here(struct steer *s)
{
	struct sockaddr_un at;
	int r = steer_addr(s->dir_fd, s->name, &at);

	if (r != 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return errno;
	if (bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		r = errno == EADDRINUSE ? clear_stale(s, &at) : errno;
		if (r == 0 &&
		    bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
			r = errno;
		if (r != 0)
			return r;
	}
	s->is_bound = true;
	if (fchmodat(s->dir_fd, s->name, 0600, 0) != 0 ||
	    listen(s->fd, STEER_CONNECTIONS_MAX) != 0)
		return errno;
	return 0;
}

static int serve_here(struct steer *s)
{
	int r = loop_timer_new(s->m->loop, on_rested, s, &s->rest);

	if (r == 0)
		r = loop_io_new(s->m->loop, s->fd, on_accept, s, &s->io);
	if (r == 0)
		r = loop_io_want(s->io, LOOP_READ);
	return r;
}

static int keep_names(struct steer *s, const char *dir, const char *name)
{
	struct buf path = {0};

	buf_addf(&path, "%s/%s", dir, name);
	if (buf_cstr(&path) != NULL)
		s->path = mem_strdup((const char *)path.data);
	buf_fini(&path);
	s->name = mem_strdup(name);
	return s->path == NULL || s->name == NULL ? ENOMEM : 0;
}

int steer_open(struct mount *m, const char *dir, const char *name,
	       struct steer **out)
{
	struct steer *s = mem_new(struct steer);
	int r;

	ASSERT_LOOP(m->loop);
	if (s == NULL)
		return ENOMEM;
	s->m = m;
	s->dir_fd = s->fd = -1;
	LIST_INIT(&s->conns);
	r = keep_names(s, dir, name);
	if (r == 0)
		r = open_dir(s, dir);
	if (r == 0)
		r = bind_here(s);
	if (r == 0)
		r = serve_here(s);
	if (r != 0) {
		steer_free(s);
		return r;
	}
	m->steer = s;
	*out = s;
	return 0;
}

void steer_free(struct steer *s)
{
	struct steer_conn *c;

	if (s == NULL)
		return;
	if (s->m->steer == s)
		s->m->steer = NULL;
	while ((c = LIST_FIRST(&s->conns)) != NULL)
		conn_free(c);
	loop_io_free(s->io);
	loop_timer_free(s->rest);
	if (s->is_bound)
		(void)unlinkat(s->dir_fd, s->name, 0);
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	mem_free(s->path);
	mem_free(s->name);
	mem_free(s);
}

const char *steer_path(const struct steer *s)
{
	return s->path;
}
