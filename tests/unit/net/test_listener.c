/* Unit tests of net/listener, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/mem.h"
#include "net/listener.h"

/* ---- Fixture ---- */

struct rig {
	struct loop *loop;
	struct listener *l;
	unsigned want; /* the loop stops after so many connections */
	unsigned n;
	bool frees; /* the listener, in its callback */
	struct addr last;
};

static void on_accept(void *arg, int fd, const struct addr *from)
{
	struct rig *r = arg;

	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)close(fd);
	r->last = *from;
	if (r->frees) {
		listener_free(r->l);
		r->l = NULL;
	}
	if (++r->n == r->want)
		loop_stop(r->loop);
}

static void rig_init(struct rig *r, const struct addr *bind_to)
{
	*r = (struct rig){.want = 1};
	assert_int_equal(loop_new(&r->loop), 0);
	assert_int_equal(listener_new(r->loop, bind_to, 0, on_accept, r, &r->l),
			 0);
	assert_true(listener_port(r->l) > 0);
}

static void rig_fini(struct rig *r)
{
	listener_free(r->l);
	loop_free(r->loop);
}

static int dial(const char *text, uint16_t port)
{
	struct addr a;
	int fd;

	assert_int_equal(addr_parse(&a, text), 0);
	addr_set_port(&a, port);
	fd = socket(a.sa.sa_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &a.sa, addr_len(&a)), 0);
	return fd;
}

static bool has_ipv6(void)
{
	struct addr a;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	int r;

	assert_int_equal(addr_parse(&a, "[::1]:1"), 0);
	addr_set_port(&a, 0);
	r = fd >= 0 ? bind(fd, &a.sa, addr_len(&a)) : -1;
	if (fd >= 0)
		(void)close(fd);
	return r == 0;
}

/* ---- Tests ---- */

/* One port takes peers of both families and says who they are. */
static void both_families_share_a_port(void **state)
{
	struct rig r;
	int fd;

	rig_init(&r, NULL);
	fd = dial("127.0.0.1:1", listener_port(r.l));
	assert_int_equal(loop_run(r.loop), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.last.sa.sa_family, AF_INET);
	(void)close(fd);
	if (has_ipv6()) {
		r.want = 2;
		fd = dial("[::1]:1", listener_port(r.l));
		assert_int_equal(loop_run(r.loop), 0);
		assert_int_equal(r.last.sa.sa_family, AF_INET6);
		(void)close(fd);
	}
	rig_fini(&r);
}

/* A port that is taken is an error, and nothing is left open. */
static void taken_port_is_an_error(void **state)
{
	struct listener *second;
	struct addr a;
	struct rig r;

	assert_int_equal(addr_parse(&a, "127.0.0.1:1"), 0);
	rig_init(&r, &a);
	assert_int_equal(listener_new(r.loop, &a, listener_port(r.l), on_accept,
				      &r, &second),
			 EADDRINUSE);
	rig_fini(&r);
}

/* An address that is not ours is an error. */
static void foreign_address_is_an_error(void **state)
{
	struct listener *l;
	struct loop *loop;
	struct addr a;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(addr_parse(&a, "192.0.2.1:1"), 0);
	assert_int_equal(listener_new(loop, &a, 0, on_accept, NULL, &l),
			 EADDRNOTAVAIL);
	loop_free(loop);
}

/* The listener may be freed by its own callback with connections waiting. */
static void freed_in_its_callback(void **state)
{
	struct rig r;
	int a, b;

	rig_init(&r, NULL);
	r.frees = true;
	a = dial("127.0.0.1:1", listener_port(r.l));
	b = dial("127.0.0.1:1", listener_port(r.l));
	assert_int_equal(loop_run(r.loop), 0);
	assert_int_equal(r.n, 1);
	(void)close(a);
	(void)close(b);
	rig_fini(&r);
}

static void give_back(void *arg)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, arg), 0);
}

/* When descriptors run out accepting rests, and goes on later. */
static void rests_without_descriptors(void **state)
{
	struct rlimit old, none;
	struct loop_timer *t;
	struct rig r;
	int fd, probe;

	rig_init(&r, NULL);
	assert_int_equal(loop_timer_new(r.loop, give_back, &old, &t), 0);
	fd = dial("127.0.0.1:1", listener_port(r.l));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	probe = dup(fd);
	(void)close(probe);
	none = old;
	none.rlim_cur = (rlim_t)probe;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	loop_timer_start(t, 20000);
	assert_int_equal(loop_run(r.loop), 0);
	assert_int_equal(r.n, 1);
	loop_timer_free(t);
	(void)close(fd);
	rig_fini(&r);
}

/* An allocation that fails leaves nothing open. */
static void every_allocation_may_fail(void **state)
{
	struct listener *l = NULL;
	struct loop *loop;
	int err = ENOMEM;

	assert_int_equal(loop_new(&loop), 0);
	for (uint64_t n = 0; err != 0; n++) {
		mem_fail_after(n, 0);
		err = listener_new(loop, NULL, 0, on_accept, NULL, &l);
		mem_fail_after(UINT64_MAX, 0);
		assert_true(err == 0 || err == ENOMEM);
	}
	listener_free(l);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_share_a_port),
		cmocka_unit_test(taken_port_is_an_error),
		cmocka_unit_test(foreign_address_is_an_error),
		cmocka_unit_test(freed_in_its_callback),
		cmocka_unit_test(rests_without_descriptors),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
