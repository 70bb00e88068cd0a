/* daemon — fork once, report through a pipe: one byte of exit code, then the
 * text. An end of file without a byte means that the child died. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static _Noreturn void wait_for_report(int fd, pid_t child, const char *program)
{
	char text[1 + WHY_BYTES + 1];
	size_t len = 0;
	ssize_t n;
	int status;

	while (len < sizeof(text) - 1) {
		n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	if (len == 0) {
		(void)waitpid(child, &status, 0);
		fprintf(stderr, "%s: the background process died\n", program);
		exit(EXITS_INTERNAL);
	}
	if (len > 1)
		fprintf(stderr, "%s: %s\n", program, text + 1);
	exit((unsigned char)text[0]);
}

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
	int fds[2];
	pid_t pid;
	int r;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return errno;
	pid = fork();
	if (pid < 0) {
		r = errno;
		(void)close(fds[0]);
		(void)close(fds[1]);
		return r;
	}
	if (pid > 0) {
		(void)close(fds[1]);
		wait_for_report(fds[0], pid, program);
	}
	(void)close(fds[0]);
	d->report_fd = fds[1];
	d->has_reported = false;
	detach();
	return 0;
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
