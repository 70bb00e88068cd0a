/* test_dhtcrowd — ten thousand whole nodes that come and go, some behind NATs:
 * what is stored is found, and a seed is a run. Built as it is released, since
 * with sanitizers it would take minutes; test_dhtsim has the same with them,
 * smaller. The same run is made twice at a time, in two processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sim/dht_scenes.h"

static const struct sim_crowd crowd = {
	.seed = 21,
	.link = {.rtt_ms = 80, .sigma = 0.6, .jitter = 0.1, .loss = 0.01},
	.n_nodes = 10000,
	.nat = 0.3,
	.session_s = 600,
	.join_s = 20,
	.settle_s = 20,
	.n_keys = 20,
	.n_searches = 200,
	.searches_s = 20,
	.check_every = 1,
};

/* Runs it elsewhere, without checks, which change nothing; what came of it can
 * be read from the descriptor. */
static pid_t run_beside(int *fd)
{
	struct sim_crowd same = crowd;
	struct sim_crowd_figures f;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		same.check_every = 0;
		sim_crowd_run(&same, &f);
		_exit(write(ends[1], &f, sizeof(f)) == (ssize_t)sizeof(f) ? 0
									  : 1);
	}
	(void)close(ends[1]);
	*fd = ends[0];
	return pid;
}

/* Whatever is stored is found, each announce is taken by the closest, every
 * event leaves the invariants of its node as they were, and the second run is
 * the first. */
static void ten_thousand(void **state)
{
	struct sim_crowd_figures f, again;
	int fd, status;
	pid_t pid = run_beside(&fd);

	(void)state;
	sim_crowd_run(&crowd, &f);
	assert_int_equal(read(fd, &again, sizeof(again)), sizeof(again));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)close(fd);
	print_message("seed %llu, trace %016llx; found %u of %u, stored by %u "
		      "or more; p50 %.0f p99 %.0f ms; %.2f M datagrams, %llu "
		      "checks\n",
		      (unsigned long long)crowd.seed,
		      (unsigned long long)f.trace, f.searches.n_found,
		      f.searches.n, f.n_stored_least, f.searches.p50_ms,
		      f.searches.p99_ms, (double)f.counts.sent / 1e6,
		      (unsigned long long)f.n_checks);
	assert_int_equal(f.searches.n_found, crowd.n_searches);
	assert_true(f.n_stored_least >= 5);
	assert_true(f.n_checks > f.counts.delivered);
	assert_true(f.trace == again.trace);
	assert_true(f.counts.sent == again.counts.sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
