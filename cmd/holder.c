/* holder — starts daemons, keeps what outlives them.
 *
 *   STARTING ──MOUNTED──> MOUNTED ──END──> ENDING
 *   (no descriptor yet)   (a daemon that is killed has a successor)
 *
 * Happy path: fork; the daemon makes the mount and sends its descriptor up the
 * line. A daemon that is killed leaves the connection to us: the kernel keeps
 * every request that was not answered, and the successor has it sent again.
 * A daemon that ends by itself has said END before, upon which we let go of our
 * copy and detach the mount; its exit code becomes ours. One that ends without
 * that word has crashed, whatever its code is.
 *
 * The mount is detached from here and not by the daemon: that one
 * has locked itself in by then (cmd/sandbox.h) and may neither unmount nor
 * start fusermount3.
 *
 * What the locked-in daemon may not open itself, of directories that a user
 * lends it, we open for it (cmd/door.h).
 *
 * Signals that end us are handed on, once each, and then it is the daemon that
 * decides. It has a process group of its own, or a ^C would come twice. If we
 * are killed with -9, so is it, and the mount is dead, as that of any daemon.
 *
 * Failure modes. A daemon that dies before there is a mount has none to leave:
 * we end too. One that dies on an old kernel, which cannot send requests again,
 * cannot be followed. One that crashes again and again, HOLDER_CRASHES times
 * within HOLDER_CALM_MS each, is not started any more. In all three the mount
 * goes; a dead mount would make everyone who comes near it wait for nothing.
 *
 * SIGUSR2 means an upgrade: the daemon is killed, and its successor is the
 * program that is on disk now (cmd/successor.h); so are all after it. Nothing
 * is lost by that which a kill does not lose. If there is no such program, or
 * it crashes, the successor is a fork of us again, of the old program.
 *
 * Who kills (SIGKILL) means that one process; who crashes will crash again. So
 * the first are followed at once, the others after a pause that doubles. */
#include "cmd/holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/daemon.h"
#include "cmd/door.h"
#include "cmd/mounts.h"
#include "cmd/notify.h"
#include "cmd/successor.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "fs/mountinfo.h"
#include "fs/notes.h"

enum {
	HOLDER_CRASHES = 5,
	HOLDER_CALM_MS = 10000,
	HOLDER_PAUSE_MS = 100, /* after the first crash */
	HOLDER_OPENERS_MAX = 64,
};

enum word {
	WORD_MOUNTED = 'M',
	WORD_UP = 'U',
	WORD_END = 'E',
	WORD_OPEN = DOOR_WORD,
};

struct holder {
	const char *mountpoint;
	int signal_fd;
	sigset_t before; /* the mask that daemons get */
	int notes_fd;
	int fuse_fd; /* -1: not yet, or not any more */
	struct mountinfo *info;
	bool is_ending; /* END was said, or somebody wants us to end */
	const struct successor *next;
	bool is_upgraded; /* daemons are the program on disk */
	unsigned crashes;
	unsigned n_openers; /* children that open a file for the daemon */
	/* of the daemon that runs */
	pid_t daemon;
	int line;
	uint64_t since_ms;
};

struct held holder_none(void)
{
	return (struct held){-1, -1, -1, true};
}

static uint64_t now_ms(void)
{
	return clock_mono_us() / 1000;
}

/* ---- the daemon's side ---- */

static void say(const struct held *h, enum word word, int fd)
{
	char byte = (char)word;
	struct iovec iov = {&byte, 1};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (h->line < 0)
		return;
	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)sendmsg(h->line, &msg, MSG_NOSIGNAL);
}

void holder_on_mounted(const struct held *h, int fuse_fd)
{
	say(h, WORD_MOUNTED, fuse_fd);
}

void holder_on_up(const struct held *h)
{
	say(h, WORD_UP, -1);
}

void holder_on_end(const struct held *h)
{
	say(h, WORD_END, -1);
}

/* ---- the mount ---- */

/* Only what is ours and on top; what somebody mounted over it is his. */
static void detach(struct holder *h)
{
	if (h->fuse_fd >= 0)
		close(h->fuse_fd);
	h->fuse_fd = -1;
	if (h->info != NULL && mountinfo_is_on_top(h->info))
		mounts_detach(h->mountpoint);
	mountinfo_close(h->info);
	h->info = NULL;
}

/* ---- the line ---- */

/* What came along; -1 in the place of what did not. */
static void take_fds(struct msghdr *msg, int fds[DOOR_FDS])
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	for (unsigned i = 0; i < DOOR_FDS; i++)
		fds[i] = -1;
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len <= CMSG_LEN(DOOR_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
}

/* A file is opened by a child, for it may take its time. */
static void on_open(struct holder *h, const char *path, const int fds[DOOR_FDS])
{
	pid_t child;

	if (fds[1] < 0 || h->n_openers >= HOLDER_OPENERS_MAX)
		return;
	child = fork();
	if (child == 0) {
		close(h->line);
		close(h->signal_fd);
		close(h->notes_fd);
		if (h->fuse_fd >= 0)
			close(h->fuse_fd);
		door_answer(fds[0], fds[1], path);
		_exit(0);
	}
	h->n_openers += child > 0;
}

static void on_mounted(struct holder *h, int *fd)
{
	if (*fd < 0 || h->fuse_fd >= 0)
		return;
	h->fuse_fd = *fd;
	*fd = -1;
	if (mountinfo_open(h->mountpoint, &h->info) != 0)
		h->info = NULL;
}

static void on_word(struct holder *h, const char *line, int fds[DOOR_FDS])
{
	if (line[0] == WORD_MOUNTED) {
		on_mounted(h, &fds[0]);
	} else if (line[0] == WORD_UP) {
		notify_ready();
	} else if (line[0] == WORD_OPEN) {
		on_open(h, line + 1, fds);
	} else if (line[0] == WORD_END) {
		h->is_ending = true;
		notify_stopping();
		detach(h);
	}
}

enum heard { HEARD_NOTHING, HEARD_WORD, HEARD_END };

static enum heard hear(struct holder *h)
{
	char line[DOOR_LINE_BYTES + 1];
	struct iovec iov = {line, DOOR_LINE_BYTES};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(DOOR_FDS * sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(h->line, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fds[DOOR_FDS];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return HEARD_NOTHING;
	if (n <= 0)
		return HEARD_END;
	line[n] = '\0';
	take_fds(&msg, fds);
	on_word(h, line, fds);
	for (unsigned i = 0; i < DOOR_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return HEARD_WORD;
}

/* ---- signals ---- */

static int block_signals(struct holder *h)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD,
				      SIGUSR2};
	sigset_t set;

	(void)sigemptyset(&set);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!daemon_is_ignored(signals[i]))
			(void)sigaddset(&set, signals[i]);
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (h->signal_fd < 0)
		return errno;
	return sigprocmask(SIG_BLOCK, &set, &h->before) != 0 ? errno : 0;
}

static void upgrade(struct holder *h)
{
	if (h->fuse_fd < 0 || h->is_ending || !notes_can_resend(h->notes_fd)) {
		log_warn("no upgrade now: nobody could take over the mount");
		return;
	}
	h->is_upgraded = true;
	h->crashes = 0;
	if (h->daemon > 0)
		(void)kill(h->daemon, SIGKILL);
}

static void on_signals(struct holder *h)
{
	struct signalfd_siginfo info;

	while (read(h->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (info.ssi_signo == SIGUSR2) {
			upgrade(h);
			continue;
		}
		h->is_ending = true;
		if (h->daemon > 0)
			(void)kill(h->daemon, (int)info.ssi_signo);
	}
}

/* ---- daemons ---- */

static void become_daemon(struct holder *h, pid_t holder, struct held *out,
			  int line)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != holder)
		_exit(EXITS_INTERNAL); /* it is gone already */
	(void)setpgid(0, 0);
	(void)sigprocmask(SIG_SETMASK, &h->before, NULL);
	close(h->signal_fd);
	mountinfo_close(h->info);
	*out = (struct held){.line = line,
			     .fuse_fd = h->fuse_fd,
			     .notes_fd = h->notes_fd,
			     .is_first = h->fuse_fd < 0};
	if (h->is_upgraded && h->crashes == 0)
		log_err("%s: %s; the old program goes on", h->next->path,
			err_text(successor_exec(h->next, out, h->mountpoint)));
}

/* True in the daemon. */
static bool start(struct holder *h, struct held *out, int *err)
{
	pid_t holder = getpid();
	int ends[2];

	*err = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		*err = errno;
		return false;
	}
	h->since_ms = now_ms();
	h->daemon = fork();
	if (h->daemon == 0) {
		close(ends[0]);
		become_daemon(h, holder, out, ends[1]);
		return true;
	}
	if (h->daemon < 0)
		*err = errno;
	close(ends[1]);
	h->line = ends[0];
	if (*err != 0)
		close(ends[0]);
	return false;
}

/* True: the daemon is gone. Others that are were openers. */
static bool reap(struct holder *h, int *status)
{
	pid_t pid;

	while ((pid = waitpid(-1, status, WNOHANG)) > 0) {
		if (pid == h->daemon)
			return true;
		h->n_openers -= h->n_openers > 0;
	}
	return false;
}

/* Until the daemon is gone; its wait status. */
static int attend(struct holder *h)
{
	struct pollfd fds[] = {{.fd = h->line, .events = POLLIN},
			       {.fd = h->signal_fd, .events = POLLIN}};
	int status;

	for (;;) {
		if (reap(h, &status))
			break;
		(void)poll(fds, 2, 1000);
		if (fds[0].revents != 0 && hear(h) == HEARD_END)
			fds[0].fd = -1;
		on_signals(h);
	}
	while (hear(h) == HEARD_WORD)
		; /* what it said last */
	close(h->line);
	h->daemon = 0;
	return status;
}

/* ---- succession ---- */

/* Wait, and hear who wants us to end meanwhile. */
static void pause_ms(struct holder *h, unsigned ms)
{
	uint64_t until = now_ms() + ms;
	struct pollfd fds = {.fd = h->signal_fd, .events = POLLIN};

	while (now_ms() < until && !h->is_ending) {
		(void)poll(&fds, 1, (int)(until - now_ms()));
		on_signals(h);
	}
}

/* How it died, for a person. */
static const char *how(int status)
{
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
				   : "it ended without a word";
}

/* May another daemon follow this one? */
static bool may_follow(struct holder *h, int status)
{
	bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (h->fuse_fd < 0 || h->is_ending)
		return false;
	if (!notes_can_resend(h->notes_fd)) {
		log_err("the daemon died: %s; nobody can take over from it "
			"before the mount has answered, or before Linux 6.9",
			how(status));
		return false;
	}
	if (is_killed || now_ms() - h->since_ms > HOLDER_CALM_MS)
		h->crashes = 0;
	if (!is_killed && ++h->crashes > HOLDER_CRASHES) {
		log_err("the daemon died again: %s; giving up", how(status));
		return false;
	}
	log_warn("the daemon died: %s; another one takes over", how(status));
	if (h->crashes > 0)
		pause_ms(h, HOLDER_PAUSE_MS << (h->crashes - 1));
	return !h->is_ending;
}

static void end(struct holder *h)
{
	detach(h);
	close(h->notes_fd);
	close(h->signal_fd);
}

bool holder_run(const char *mountpoint, struct daemon *daemon,
		const struct successor *next, struct held *out,
		enum exits *code)
{
	struct holder h = {
		.mountpoint = mountpoint, .fuse_fd = -1, .next = next};
	int status, r;

	*code = EXITS_SYSTEM;
	h.notes_fd = memfd_create("shoalfs-notes", MFD_CLOEXEC);
	if (h.notes_fd < 0)
		return false;
	r = block_signals(&h);
	for (;;) {
		if (r == 0 && start(&h, out, &r))
			return true;
		daemon_hand_over(daemon);
		if (r != 0)
			break;
		status = attend(&h);
		*code = WIFEXITED(status) ? (enum exits)WEXITSTATUS(status)
					  : EXITS_INTERNAL;
		if (!may_follow(&h, status))
			break;
		*code = EXITS_INTERNAL; /* unless another one says otherwise */
	}
	end(&h);
	return false;
}
