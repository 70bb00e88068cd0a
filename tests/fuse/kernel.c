/* kernel — plays Linux's side of a FUSE mount. */
#include "kernel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "tests/lib/fake_torrent.h"

/* ---- the device ---- */

static ssize_t io_read(int fd, void *buf, size_t len, void *userdata)
{
	ssize_t n = recv(fd, buf, len, 0);

	if (n != 0)
		return n;
	errno = ENODEV; /* the other end was closed: unmounted */
	return -1;
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	return writev(fd, iov, count);
}

const struct fuse_custom_io kernel_device = {
	.read = io_read,
	.writev = io_writev,
};

/* ---- life ---- */

static void on_pause(void *arg)
{
	loop_stop(arg);
}

static void on_up(void *arg)
{
	struct kernel *k = arg;

	k->ups++;
}

static void on_end(void *arg, enum mount_end why)
{
	struct kernel *k = arg;

	k->ends++;
	k->why = why;
}

static uint32_t offered, offered_too;

void kernel_offer(uint32_t flags2)
{
	offered = flags2;
}

void kernel_offer_too(uint32_t flags)
{
	offered_too = flags;
}

static const struct keeper *keeper;

void kernel_keep(const struct keeper *kept)
{
	keeper = kept;
}

void kernel_forgo(struct kernel *k, uint64_t unique)
{
	assert_int_equal(k->answers[unique], 0);
	k->answers[unique] = 1;
}

static void init(struct kernel *k)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = 128 << 10,
		.flags = FUSE_ASYNC_READ | FUSE_EXPORT_SUPPORT |
			 FUSE_AUTO_INVAL_DATA | FUSE_ASYNC_DIO |
			 FUSE_PARALLEL_DIROPS | FUSE_EXPLICIT_INVAL_DATA |
			 FUSE_DO_READDIRPLUS | FUSE_SPLICE_READ |
			 FUSE_SPLICE_WRITE | offered_too |
			 (offered ? FUSE_INIT_EXT : 0),
		.flags2 = offered,
	};
	const struct fuse_init_out *out = (const void *)k->data;
	uint64_t u = kernel_send(k, FUSE_INIT, 0, &in, sizeof(in), NULL);

	kernel_wait(k, u);
	assert_int_equal(k->err, 0);
	assert_int_equal(out->max_background, 4096);
	assert_int_equal(out->congestion_threshold, 4096);
	assert_true(out->flags & FUSE_ASYNC_READ);
	assert_true(out->flags & FUSE_PARALLEL_DIROPS);
	assert_true(out->flags & FUSE_EXPLICIT_INVAL_DATA);
	assert_true(out->flags & FUSE_EXPORT_SUPPORT);
	assert_int_equal(out->flags2, offered);
	assert_int_equal(out->unused[0], offered ? 1 : 0);
	assert_false(out->flags & FUSE_ASYNC_DIO);
	assert_false(out->flags & FUSE_AUTO_INVAL_DATA);
	assert_false(out->flags & (FUSE_SPLICE_READ | FUSE_SPLICE_WRITE));
}

struct kernel *kernel_new(uint32_t read_timeout_ms, uint32_t lookup_wait_ms)
{
	struct kernel *k = mem_new(struct kernel);
	struct mount_cfg cfg = {
		.keeper = keeper,
		.uid = 1000,
		.gid = 100,
		.umask = 0022,
		.read_timeout_ms = read_timeout_ms,
		.lookup_wait_ms = lookup_wait_ms,
		.on_end = on_end,
		.arg = k,
	};
	int fds[2], size = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	k->fd = fds[0];
	assert_int_equal(loop_new(&k->loop), 0);
	assert_int_equal(loop_timer_new(k->loop, on_pause, k->loop, &k->pause),
			 0);
	k->engine = fake_engine_new(k->loop);
	cfg.loop = k->loop;
	cfg.engine = k->engine;
	assert_int_equal(mount_new_on_fd(&cfg, fds[1], &kernel_device, &k->m),
			 0);
	assert_int_equal(mount_serve(k->m, on_up, k), 0);
	assert_int_equal(k->ups, 0);
	init(k);
	kernel_turn(k);
	assert_int_equal(k->ups, 1);
	return k;
}

static void take(struct kernel *k);

void kernel_free(struct kernel *k)
{
	kernel_turn(k);
	take(k);
	for (uint64_t u = 1; u <= k->last; u++)
		if (k->answers[u] != 1)
			fail_msg("request %d has %d replies", (int)u,
				 k->answers[u]);
	mount_free(k->m);
	fake_engine_free(k->engine);
	loop_timer_free(k->pause);
	loop_free(k->loop);
	close(k->fd);
	mem_free(k);
}

/* ---- packets ---- */

uint64_t kernel_send(struct kernel *k, uint32_t opcode, uint64_t node,
		     const void *a, size_t a_len, const char *name)
{
	size_t name_len = name != NULL ? strlen(name) + 1 : 0;
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + a_len + name_len),
		.opcode = opcode,
		.unique = ++k->last,
		.nodeid = node,
		.uid = 1000,
		.gid = 100,
		.pid = 1,
	};
	struct iovec iov[3] = {
		{.iov_base = &h, .iov_len = sizeof(h)},
		{.iov_base = (void *)(uintptr_t)a, .iov_len = a_len},
		{.iov_base = (void *)(uintptr_t)name, .iov_len = name_len},
	};

	assert_true(k->last < KERNEL_REQUESTS);
	assert_int_equal(writev(k->fd, iov, 3), h.len);
	return k->last;
}

void kernel_run(struct kernel *k, unsigned ms)
{
	loop_timer_start(k->pause, (uint64_t)ms * 1000);
	assert_int_equal(loop_run(k->loop), 0);
}

void kernel_turn(struct kernel *k)
{
	for (int i = 0; i < 3; i++)
		kernel_run(k, 0);
}

/* Replies may come in any order; the one that is asked for must be the next,
 * since tests have one thing in flight or know the order. */
static bool take_one(struct kernel *k, uint64_t *unique)
{
	struct fuse_out_header h;
	struct iovec iov[2] = {
		{.iov_base = &h, .iov_len = sizeof(h)},
		{.iov_base = k->data, .iov_len = sizeof(k->data)},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(k->fd, &msg, MSG_DONTWAIT);

	if (n <= 0)
		return false;
	assert_true((size_t)n >= sizeof(h));
	assert_int_equal(h.len, n);
	if (h.unique == 0) {
		k->notified[h.error]++;
		return take_one(k, unique);
	}
	assert_true(h.unique <= k->last);
	k->answers[h.unique]++;
	k->err = -h.error;
	k->len = (size_t)n - sizeof(h);
	*unique = h.unique;
	return true;
}

static void take(struct kernel *k)
{
	uint64_t u;

	while (take_one(k, &u))
		;
}

bool kernel_poll(struct kernel *k, uint64_t unique)
{
	uint64_t u;

	kernel_turn(k);
	if (!take_one(k, &u))
		return false;
	assert_int_equal(u, unique);
	return true;
}

void kernel_wait(struct kernel *k, uint64_t unique)
{
	if (!kernel_poll(k, unique))
		fail_msg("no reply");
}

/* ---- the usual requests ---- */

int kernel_lookup(struct kernel *k, uint64_t dir, const char *name,
		  struct fuse_entry_out *out)
{
	kernel_wait(k, kernel_send(k, FUSE_LOOKUP, dir, NULL, 0, name));
	if (k->err == 0)
		memcpy(out, k->data, sizeof(*out));
	return k->err;
}

int kernel_getattr(struct kernel *k, uint64_t node, struct fuse_attr_out *out)
{
	struct fuse_getattr_in in = {0};

	kernel_wait(k,
		    kernel_send(k, FUSE_GETATTR, node, &in, sizeof(in), NULL));
	if (k->err == 0)
		memcpy(out, k->data, sizeof(*out));
	return k->err;
}

int kernel_open(struct kernel *k, uint64_t node, uint32_t flags,
		struct fuse_open_out *out)
{
	struct fuse_open_in in = {.flags = flags};

	kernel_wait(k, kernel_send(k, FUSE_OPEN, node, &in, sizeof(in), NULL));
	if (k->err == 0)
		memcpy(out, k->data, sizeof(*out));
	return k->err;
}

void kernel_release(struct kernel *k, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = {.fh = fh};

	kernel_wait(k,
		    kernel_send(k, FUSE_RELEASE, node, &in, sizeof(in), NULL));
	assert_int_equal(k->err, 0);
}

uint64_t kernel_read_start(struct kernel *k, uint64_t node, uint64_t fh,
			   uint64_t off, uint32_t size)
{
	struct fuse_read_in in = {.fh = fh, .offset = off, .size = size};

	return kernel_send(k, FUSE_READ, node, &in, sizeof(in), NULL);
}

int kernel_getxattr(struct kernel *k, uint64_t node, const char *name,
		    uint32_t size)
{
	struct fuse_getxattr_in in = {.size = size};

	kernel_wait(k,
		    kernel_send(k, FUSE_GETXATTR, node, &in, sizeof(in), name));
	return k->err;
}

/* INTERRUPT itself is never answered. */
void kernel_interrupt(struct kernel *k, uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};

	k->answers[kernel_send(k, FUSE_INTERRUPT, 0, &in, sizeof(in), NULL)] =
		1;
}
