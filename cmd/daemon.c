/* daemon — fork once, report through a pipe: one byte of exit code, then the
 * text. An end of file without a byte means that the child died.
 *
 * The child has a session of its own, so a ^C in the terminal reaches only the
 * parent. It hands the signal on and goes on waiting: the child ends in order
 * and reports that it was interrupted. One that was not that far yet dies of
 * the signal, with nothing mounted. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/daemon.h"
#include "core/err.h"

void daemon_in_front(struct daemon *d)
{
	d->report_fd = -1;
	d->has_reported = false;
}

static void write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

void daemon_open_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

bool daemon_is_ignored(int signo)
{
	struct sigaction sa;

	return sigaction(signo, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

/* ---- the parent ---- */

struct parent {
	const char *program;
	pid_t child;
	int report_fd;
	int signal_fd;
	bool is_interrupted;
};

/* A signal that is ignored would be seen all the same once it is blocked. */
static void signals_of_parent(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	(void)sigemptyset(set);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!daemon_is_ignored(signals[i]))
			(void)sigaddset(set, signals[i]);
}

static void hand_on(struct parent *p)
{
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	p->is_interrupted = true;
	(void)kill(p->child, (int)info.ssi_signo);
}

/* Until the report can be read without waiting. */
static void wait_readable(struct parent *p)
{
	struct pollfd fds[] = {{.fd = p->report_fd, .events = POLLIN},
			       {.fd = p->signal_fd, .events = POLLIN}};

	do {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return; /* the read below waits, too */
		if (fds[1].revents != 0)
			hand_on(p);
	} while (fds[0].revents == 0);
}

static _Noreturn void no_report(struct parent *p)
{
	(void)waitpid(p->child, NULL, 0);
	fprintf(stderr, "%s: %s\n", p->program,
		p->is_interrupted ? "interrupted"
				  : "the background process died");
	exit(p->is_interrupted ? EXITS_INTERRUPTED : EXITS_INTERNAL);
}

static _Noreturn void wait_for_report(struct parent *p)
{
	char text[1 + WHY_BYTES + 1];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) - 1) {
		wait_readable(p);
		n = read(p->report_fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	if (len == 0)
		no_report(p);
	if (len > 1)
		fprintf(stderr, "%s: %s\n", p->program, text + 1);
	exit((unsigned char)text[0]);
}

/* ---- the child ---- */

static void detach(void)
{
	int fd;

	(void)setsid();
	if (chdir("/") != 0)
		abort();
	fd = open("/dev/null", O_RDWR);
	if (fd < 0)
		return;
	(void)dup2(fd, 0);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	if (fd > 2)
		(void)close(fd);
}

int daemon_fork(struct daemon *d, const char *program)
{
	struct parent p = {.program = program};
	sigset_t set, before;
	int fds[2];
	int r = 0;

	signals_of_parent(&set);
	p.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (p.signal_fd < 0)
		return errno;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		r = errno;
		goto close_signals;
	}
	p.report_fd = fds[0];
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	p.child = fork();
	if (p.child > 0) {
		(void)close(fds[1]);
		wait_for_report(&p);
	}
	if (p.child < 0)
		r = errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	(void)close(fds[0]);
	if (r) {
		(void)close(fds[1]);
	} else {
		d->report_fd = fds[1];
		d->has_reported = false;
		detach();
	}
close_signals:
	(void)close(p.signal_fd);
	return r;
}

void daemon_hand_over(struct daemon *d)
{
	if (d->report_fd >= 0)
		(void)close(d->report_fd);
	d->report_fd = -1;
	d->has_reported = true;
}

void daemon_report(struct daemon *d, const char *program, enum exits code,
		   const char *text)
{
	char byte = (char)code;

	if (d->has_reported)
		return;
	d->has_reported = true;
	if (d->report_fd < 0) {
		if (text && text[0])
			fprintf(stderr, "%s: %s\n", program, text);
		return;
	}
	write_all(d->report_fd, &byte, 1);
	if (text)
		write_all(d->report_fd, text, strnlen(text, WHY_BYTES));
	(void)close(d->report_fd);
	d->report_fd = -1;
}
