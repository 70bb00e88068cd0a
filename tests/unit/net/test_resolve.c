/* resolve: numbers, and parting with an answer nobody wants. No name server is
 * asked here: what is looked up is numeric, or not a name at all. */
#include "tests/lib/tiny_http.h"

#include "core/mem.h"
#include "core/worker.h"
#include "net/resolve.h"

struct fx {
	struct loop *loop;
	struct workers *names;
	unsigned ended;
	int err;
	unsigned n;
	char text[ADDR_TEXT_BYTES];
};

static int set_up(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));

	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(workers_new(f->loop, 1, "names", &f->names), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fx *f = *state;

	workers_free(f->names);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void on_done(void *arg, int err, const struct addr *addrs, unsigned n)
{
	struct fx *f = arg;

	f->ended++;
	f->err = err;
	f->n = n;
	if (n > 0)
		(void)addr_format(&addrs[0], f->text);
}

static int look_up(struct fx *f, const char *host)
{
	struct resolve *r;

	f->ended = 0;
	assert_int_equal(resolve_start(f->names, host, 6969, on_done, f, &r),
			 0);
	assert_int_equal(f->ended, 0);
	assert_true(spin(f->loop, &f->ended, 1));
	return f->err;
}

/* Numbers of both families come back with the port, once. */
static void numeric(void **state)
{
	struct fx *f = *state;

	assert_int_equal(look_up(f, "127.0.0.1"), 0);
	assert_int_equal(f->n, 1);
	assert_string_equal(f->text, "127.0.0.1:6969");
	assert_int_equal(look_up(f, "::1"), 0);
	assert_int_equal(f->n, 1);
	assert_string_equal(f->text, "[::1]:6969");
}

/* What cannot be a name fails, and lends no address. */
static void no_name(void **state)
{
	struct fx *f = *state;

	assert_int_not_equal(look_up(f, "no name has spaces"), 0);
	assert_int_equal(f->n, 0);
}

/* A cancelled look-up is silent, and its memory is freed when the worker is
 * through with it, be that before or after its turn came. */
static void cancel(void **state)
{
	struct fx *f = *state;
	uint64_t before = mem_in_use_bytes();
	struct resolve *r[8];

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(resolve_start(f->names, "127.0.0.1", 1,
					       on_done, f, &r[i]),
				 0);
	for (unsigned i = 0; i < 8; i++)
		resolve_cancel(r[i]);
	resolve_cancel(NULL);
	assert_int_equal(workers_drain(f->names, 5000), 0);
	assert_int_equal(f->ended, 0);
	assert_true(mem_in_use_bytes() == before);
}

/* Out of memory starts nothing. */
static void no_memory(void **state)
{
	struct fx *f = *state;
	struct resolve *r;

	for (unsigned n = 0; n < 2; n++) {
		mem_fail_after(n, 0);
		assert_int_equal(
			resolve_start(f->names, "127.0.0.1", 1, on_done, f, &r),
			ENOMEM);
	}
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(workers_pending(f->names), 0);
}

/* Text falls into host and port in just one way, or is refused. */
static void split(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} cases[] = {
		{"t.example:80", "t.example", 80},
		{"1.2.3.4:65535", "1.2.3.4", 65535},
		{"[::1]:6969", "::1", 6969},
		{"[fe80::1%2]:1", "fe80::1%2", 1},
		{"t.example", NULL, 0},
		{"t.example:", NULL, 0},
		{":80", NULL, 0},
		{"t.example:0", NULL, 0},
		{"t.example:65536", NULL, 0},
		{"t.example:99999999", NULL, 0},
		{"t.example:8x", NULL, 0},
		{"t.example:-1", NULL, 0},
		{"t.example:+1", NULL, 0},
		{"::1:80", NULL, 0},
		{"[::1]", NULL, 0},
		{"[::1:80", NULL, 0},
		{"[]:80", NULL, 0},
		{"[:80", NULL, 0},
		{"]:80", NULL, 0},
		{"a]b:80", NULL, 0},
		{"[[::1]]:80", NULL, 0},
		{"", NULL, 0},
		{"0123456789abcdef:80", NULL, 0}, /* too long for `host` */
	};
	char host[16];
	uint16_t port;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err =
			resolve_split(cases[i].text, host, sizeof(host), &port);

		if (!cases[i].host) {
			assert_int_equal(err, EINVAL);
			continue;
		}
		assert_int_equal(err, 0);
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port, cases[i].port);
	}
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(numeric),	 TEST(no_name),		  TEST(cancel),
		TEST(no_memory), cmocka_unit_test(split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
