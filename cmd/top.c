/* top — the terminal of `shoalctl top`; what it shows is top_view.c's.
 *
 * Once a second, and when the window changes, the mount is asked for its
 * status and the screen drawn anew, in one write: the cursor goes home, each
 * line ends by clearing what was behind it, and the last by clearing below. So
 * nothing flickers, and no library is needed for five escape sequences. It is
 * the terminal's second screen, without wrapping: the first is as it was when
 * we leave.
 *
 * q, ^C, SIGTERM and the terminal's end leave. ^Z would leave the shell in our
 * mode, so it is off. When the standard output is no terminal, or TERM says
 * that it knows no sequences, the status is written once, all of it; with
 * --json as it came.
 *
 * A mount that changes daemons does not answer for a moment: that is said in
 * place of the figures, and only when it goes on is it the end. */
#include "cmd/top.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/ask.h"
#include "cmd/top_view.h"
#include "core/buf.h"
#include "core/err.h"

const char top_usage[] = "       shoalctl [-m MOUNTPOINT] top [--json]\n";

enum { TOP_EVERY_MS = 1000, TOP_FAILURES_MAX = 10 };

#define ENTER	    "\033[?1049h\033[?25l\033[?7l"
#define LEAVE	    "\033[?7h\033[?25h\033[?1049l"
#define HOME	    "\033[H"
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"
#define EOL	    CLEAR_LINE "\n"

struct top {
	char point[PATH_MAX];
	char why[WHY_BYTES];
	struct termios before;
	int signal_fd;
	unsigned failures; /* in a row */
};

static int fail(const char *why)
{
	fprintf(stderr, "shoalctl top: %s\n", why);
	return 1;
}

/* The status, or NULL with `why`. */
static json_t *look(struct top *t)
{
	json_t *answer, *request = json_pack("{ss}", "verb", "status");

	if (request == NULL) {
		(void)snprintf(t->why, WHY_BYTES, "%s", err_text(ENOMEM));
		return NULL;
	}
	return ask(t->point, request, &answer, t->why) == 0 ? answer : NULL;
}

/* ---- once ---- */

static int print_once(struct top *t, bool as_json)
{
	json_t *status = look(t);
	struct buf out = {0};

	if (status == NULL)
		return fail(t->why);
	if (as_json) {
		(void)json_dumpf(status, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	} else {
		top_view(status, TOP_COLUMNS_MAX, TOP_ALL_ROWS, "\n", &out);
		(void)fwrite(out.data, 1, out.len, stdout);
	}
	buf_fini(&out);
	json_decref(status);
	return 0;
}

/* ---- in a terminal ---- */

static bool put(const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool draw(struct top *t)
{
	struct winsize w = {.ws_col = 80, .ws_row = 24};
	json_t *status = look(t);
	struct buf out = {0};
	bool is_drawn;

	t->failures = status != NULL ? 0 : t->failures + 1;
	if (t->failures > TOP_FAILURES_MAX)
		return false;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	buf_add_str(&out, HOME);
	/* The last row stays empty: a line's end there would scroll. */
	if (status != NULL)
		top_view(status, w.ws_col, w.ws_row > 1 ? w.ws_row - 1u : 1,
			 EOL, &out);
	else
		buf_addf(&out, "%.*s" EOL, (int)w.ws_col, t->why);
	buf_add_str(&out, CLEAR_BELOW);
	is_drawn = buf_err(&out) == 0 && put(out.data, out.len);
	buf_fini(&out);
	json_decref(status);
	return is_drawn;
}

/* False when it is time to go. */
static bool take_signals(const struct top *t)
{
	struct signalfd_siginfo info;
	bool go_on = true;

	while (read(t->signal_fd, &info, sizeof(info)) == sizeof(info))
		go_on = go_on && info.ssi_signo == SIGWINCH;
	return go_on;
}

static bool take_keys(void)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && memchr(keys, 'q', (size_t)n) == NULL &&
	       memchr(keys, 'Q', (size_t)n) == NULL;
}

static void watch(struct top *t)
{
	struct pollfd fds[] = {{.fd = t->signal_fd, .events = POLLIN},
			       {.fd = STDIN_FILENO, .events = POLLIN}};

	while (draw(t)) {
		if (poll(fds, 2, TOP_EVERY_MS) < 0 && errno != EINTR)
			return;
		if (fds[0].revents != 0 && !take_signals(t))
			return;
		if (fds[1].revents != 0 && !take_keys())
			return;
	}
}

static int take_terminal(struct top *t)
{
	struct termios raw;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return errno;
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signal_fd < 0 || tcgetattr(STDIN_FILENO, &t->before) != 0)
		return errno;
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	return tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0 ? errno : 0;
}

static int run_terminal(struct top *t)
{
	int r = take_terminal(t);

	if (r != 0)
		return fail(err_text(r));
	(void)put(ENTER, strlen(ENTER));
	watch(t);
	(void)put(LEAVE, strlen(LEAVE));
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	close(t->signal_fd);
	return t->failures > TOP_FAILURES_MAX ? fail(t->why) : 0;
}

/* One that understands our sequences? */
static bool is_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && term &&
	       term[0] != '\0' && strcmp(term, "dumb") != 0;
}

int top_run(const char *mountpoint, int argc, char **argv)
{
	struct top t = {.failures = 0};
	bool as_json = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") != 0) {
			fprintf(stderr,
				"shoalctl: top does not take %s; see -h\n",
				argv[i]);
			return 2;
		}
		as_json = true;
	}
	if (ask_mount(mountpoint, t.point, t.why) != 0)
		return fail(t.why);
	if (as_json || !is_screen())
		return print_once(&t, as_json);
	return run_terminal(&t);
}
