/* mountinfo — is our mount still there?
 *
 * Purpose. A lazy unmount while files are open leaves the FUSE connection
 * alive, and the daemon is told nothing. /proc/self/mountinfo can be polled:
 * the kernel raises EPOLLERR | EPOLLPRI whenever a mount of our namespace
 * comes or goes. The loop knows only read and write, so the file sits in an
 * epoll set of its own, and that set's descriptor is watched for reading.
 *
 * Words. Device: "major:minor" of the mounted file system, which nothing else
 * has while our connection lives. We ask for the device, not for one mount of
 * it: a bind mount keeps the file system in use after the first is gone.
 *
 * Failure modes: a list that cannot be read (no memory, no descriptor) says
 * nothing; the mount then counts as there, since to end a session that lives
 * is the worse mistake. */
#include "fs/mountinfo.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "fs/mountlist.h"

struct mountinfo {
	int fd;
	int set_fd; /* the epoll set; -1: not watched */
	struct loop_io *io;
	char *point;
	struct mountinfo_dev dev;
	struct buf text;
	void (*on_gone)(void *arg);
	void *arg;
};

/* ---- the text ---- */

static bool same_dev(struct mountinfo_dev a, struct mountinfo_dev b)
{
	return a.major == b.major && a.minor == b.minor;
}

int mountinfo_at(const char *text, const char *point, struct mountinfo_dev *out)
{
	struct mountlist_entry e;
	int r = ENOENT;

	while (mountlist_next(&text, &e)) {
		if (strcmp(e.point, point) != 0)
			continue;
		*out = (struct mountinfo_dev){e.major, e.minor};
		r = 0;
	}
	return r;
}

bool mountinfo_has(const char *text, struct mountinfo_dev dev)
{
	struct mountlist_entry e;

	while (mountlist_next(&text, &e))
		if (same_dev((struct mountinfo_dev){e.major, e.minor}, dev))
			return true;
	return false;
}

/* ---- the file ---- */

/* The whole list, lent until the next call; NULL when it cannot be read. */
static const char *load(struct mountinfo *mi)
{
	return mountlist_read(mi->fd, &mi->text) == 0
		       ? (const char *)mi->text.data
		       : NULL;
}

bool mountinfo_is_mounted(struct mountinfo *mi)
{
	const char *text = load(mi);

	return text == NULL || mountinfo_has(text, mi->dev);
}

bool mountinfo_is_on_top(struct mountinfo *mi)
{
	const char *text = load(mi);
	struct mountinfo_dev dev;

	return text == NULL || (mountinfo_at(text, mi->point, &dev) == 0 &&
				same_dev(dev, mi->dev));
}

int mountinfo_open(const char *point, struct mountinfo **out)
{
	struct mountinfo *mi = mem_new(struct mountinfo);
	const char *text;
	int r;

	if (mi == NULL)
		return ENOMEM;
	mi->set_fd = -1;
	mi->point = mem_strdup(point);
	mi->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	r = mi->fd < 0 ? errno : mi->point == NULL ? ENOMEM : 0;
	if (r != 0)
		goto close;
	text = load(mi);
	r = text != NULL ? mountinfo_at(text, point, &mi->dev) : ENOMEM;
	if (r != 0)
		goto close;
	*out = mi;
	return 0;
close:
	mountinfo_close(mi);
	return r;
}

struct mountinfo_dev mountinfo_device(const struct mountinfo *mi)
{
	return mi->dev;
}

void mountinfo_close(struct mountinfo *mi)
{
	if (mi == NULL)
		return;
	loop_io_free(mi->io);
	if (mi->set_fd >= 0)
		close(mi->set_fd);
	if (mi->fd >= 0)
		close(mi->fd);
	buf_fini(&mi->text);
	mem_free(mi->point);
	mem_free(mi);
}

/* ---- the watch ---- */

static void on_change(void *arg, int fd, unsigned events)
{
	struct mountinfo *mi = arg;
	struct epoll_event ev;

	(void)epoll_wait(fd, &ev, 1, 0);
	if (mountinfo_is_mounted(mi))
		return;
	(void)loop_io_want(mi->io, 0);
	mi->on_gone(mi->arg);
}

int mountinfo_watch(struct mountinfo *mi, struct loop *loop,
		    void (*on_gone)(void *arg), void *arg)
{
	struct epoll_event ev = {.events = EPOLLERR | EPOLLPRI};
	int r;

	mi->on_gone = on_gone;
	mi->arg = arg;
	mi->set_fd = epoll_create1(EPOLL_CLOEXEC);
	if (mi->set_fd < 0)
		return errno;
	if (epoll_ctl(mi->set_fd, EPOLL_CTL_ADD, mi->fd, &ev) != 0)
		return errno;
	r = loop_io_new(loop, mi->set_fd, on_change, mi, &mi->io);
	if (r == 0)
		r = loop_io_want(mi->io, LOOP_READ);
	return r;
}
