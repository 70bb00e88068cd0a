/* test_sandbox — what a process can do once it has entered. Each test is a
 * child, since there is no way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/sandbox.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/worker.h"

/* ---- Fixture: three directories; what a child found ---- */

struct dirs {
	char written[PATH_MAX], read[PATH_MAX], other[PATH_MAX];
};

static void make_dir(char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "/tmp/shoal-sandbox-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static const char *in(const char *dir, const char *name)
{
	static char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put_file(const char *dir)
{
	int fd = open(in(dir, "file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void clear(const char *dir)
{
	(void)unlink(in(dir, "file"));
	(void)unlink(in(dir, "new"));
	(void)rmdir(in(dir, "sub"));
	assert_int_equal(rmdir(dir), 0);
}

/* 0, or the errno of an open. */
static int open_err(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

#define CHECK(is_so) ((is_so) ? (void)0 : complain(__LINE__, #is_so))

static int complaints;

static void complain(int line, const char *what)
{
	fprintf(stderr, "line %d: not so: %s (errno %d)\n", line, what, errno);
	complaints++;
}

static void in_child(void (*fn)(const struct dirs *d))
{
	struct dirs d;
	int status;
	pid_t pid;

	make_dir(d.written);
	make_dir(d.read);
	make_dir(d.other);
	put_file(d.read);
	put_file(d.other);
	fflush(stderr);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fn(&d);
		_exit(complaints != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	clear(d.written);
	clear(d.read);
	clear(d.other);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct sandbox_cfg cfg_of(const struct dirs *d, const char *lists[2])
{
	lists[0] = d->written;
	lists[1] = d->read;
	return (struct sandbox_cfg){
		.written = &lists[0],
		.n_written = 1,
		.read = &lists[1],
		.n_read = 1,
	};
}

static void need_landlock(const char *text)
{
	if (strstr(text, "Landlock") != NULL)
		return;
	fprintf(stderr, "skipped: this kernel has no Landlock\n");
	_exit(77);
}

/* ---- Tests ---- */

static void files_child(const struct dirs *d)
{
	const char *lists[2];
	struct sandbox_cfg cfg = cfg_of(d, lists);
	char text[SANDBOX_TEXT_BYTES], to[PATH_MAX + 16];

	CHECK(sandbox_enter(&cfg, text) == 0);
	need_landlock(text);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* the store */
	CHECK(open_err(in(d->written, "file"), O_CREAT | O_RDWR) == 0);
	CHECK(mkdir(in(d->written, "sub"), 0700) == 0);
	(void)snprintf(to, sizeof(to), "%s", in(d->written, "sub/file"));
	CHECK(rename(in(d->written, "file"), to) == 0);
	CHECK(truncate(to, 5) == 0);
	CHECK(unlink(to) == 0);
	/* what is watched */
	CHECK(open_err(in(d->read, "file"), O_RDONLY) == 0);
	CHECK(open_err(d->read, O_RDONLY | O_DIRECTORY) == 0);
	CHECK(open_err(in(d->read, "file"), O_WRONLY) == EACCES);
	CHECK(open_err(in(d->read, "new"), O_CREAT | O_WRONLY) == EACCES);
	CHECK(unlink(in(d->read, "file")) == -1 && errno == EACCES);
	/* anything else */
	CHECK(open_err(in(d->other, "file"), O_RDONLY) == EACCES);
	CHECK(open_err(d->other, O_RDONLY | O_DIRECTORY) == EACCES);
	CHECK(mkdir(in(d->other, "new"), 0700) == -1 && errno == EACCES);
	CHECK(open_err("/", O_RDONLY | O_DIRECTORY) == EACCES);
	CHECK(execl("/bin/true", "true", NULL) == -1 && errno == EACCES);
}

/* The store can be written to, what is watched read, and nothing else. */
static void files_are_out_of_reach(void **state)
{
	in_child(files_child);
}

static void system_child(const struct dirs *d)
{
	const char *lists[2];
	struct sandbox_cfg cfg = cfg_of(d, lists);
	char text[SANDBOX_TEXT_BYTES];
	struct addrinfo *found = NULL;

	CHECK(sandbox_enter(&cfg, text) == 0);
	CHECK(open_err("/proc/self/mountinfo", O_RDONLY) == 0);
	CHECK(open_err("/dev/null", O_RDWR) == 0);
	CHECK(getaddrinfo("localhost", "80", NULL, &found) == 0);
	freeaddrinfo(found);
	CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
}

/* Names resolve, and what the system offers for that can be read. */
static void what_it_needs_is_there(void **state)
{
	in_child(system_child);
}

static void list_child(const struct dirs *d)
{
	const char *lists[2];
	struct sandbox_cfg cfg = cfg_of(d, lists);
	char text[SANDBOX_TEXT_BYTES];

	cfg.seccomp = true;
	CHECK(sandbox_enter(&cfg, text) == 0);
	if (strstr(text, "system calls") == NULL) {
		fprintf(stderr, "skipped: no list for this machine\n");
		_exit(77);
	}
	CHECK(syscall(SYS_ptrace, 0, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_unshare, 0) == -1 && errno == EPERM);
	CHECK(execl("/bin/true", "true", NULL) == -1 && errno == EPERM);
	CHECK(syscall(SYS_adjtimex, NULL) == -1 && errno == EPERM);
	/* the first and the last of those that are not on it */
	CHECK(syscall(SYS_getppid) > 0);
	CHECK(open_err(in(d->written, "file"), O_CREAT | O_RDWR) == 0);
}

/* System calls of the list are EPERM, others are as before. */
static void the_list_refuses(void **state)
{
	in_child(list_child);
}

struct
try {
	struct job job;
	const char *path;
	int err;
	struct loop *loop;
};

static void try_run(struct job *job, struct worker_env *env)
{
	struct try *t = (struct try *)job;

	t->err = open_err(t->path, O_RDONLY);
	if (t->err == 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		t->err = 0;
}

static void try_done(struct job *job)
{
	loop_stop(((struct try *)job)->loop);
}

static void workers_child(const struct dirs *d)
{
	const char *lists[2];
	struct sandbox_cfg cfg = cfg_of(d, lists);
	char text[SANDBOX_TEXT_BYTES];
	struct try t = {.job = {.run = try_run, .done = try_done}};
	struct workers *w = NULL;

	CHECK(loop_new(&t.loop) == 0);
	CHECK(workers_new(t.loop, 1, "testing", &w) == 0);
	cfg.pools[0] = w;
	CHECK(sandbox_enter(&cfg, text) == 0);
	need_landlock(text);
	t.path = in(d->other, "file");
	workers_submit(w, &t.job);
	CHECK(loop_run(t.loop) == 0);
	CHECK(t.err == EACCES);
	workers_free(w);
	loop_free(t.loop);
}

/* Threads that were there before are inside as well. */
static void workers_come_along(void **state)
{
	in_child(workers_child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_out_of_reach),
		cmocka_unit_test(what_it_needs_is_there),
		cmocka_unit_test(the_list_refuses),
		cmocka_unit_test(workers_come_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
