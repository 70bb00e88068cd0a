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
 * A line: "36 35 98:0 /root /mount\040point ro,… - fuse.shoalfs source …",
 * where space, tab, newline and backslash are octal escapes. The last line
 * of a mount point is the one on top.
 *
 * Failure modes: a list that cannot be read (no memory, no descriptor) says
 * nothing; the mount then counts as there, since to end a session that lives
 * is the worse mistake. */
#include "fs/mountinfo.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "fs/fs_limits.h"

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

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end != NULL ? end + 1 : line + strlen(line);
}

static bool parse_dev(const char *line, struct mountinfo_dev *dev)
{
	return sscanf(line, "%*u %*u %u:%u", &dev->major, &dev->minor) == 2;
}

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' &&
	       p[2] >= '0' && p[2] <= '7';
}

/* Does the escaped field, which ends at a space, spell `point`? */
static bool field_is(const char *field, const char *point)
{
	while (*field != ' ' && *field != '\n' && *field != '\0') {
		int c = (unsigned char)*field++;

		if (c == '\\' && is_octal(field)) {
			c = (field[0] - '0') * 64 + (field[1] - '0') * 8 +
			    (field[2] - '0');
			field += 3;
		}
		if (c != (unsigned char)*point++)
			return false;
	}
	return *point == '\0';
}

/* The fifth field; NULL when the line is shorter. */
static const char *point_field(const char *line)
{
	const char *end = line + strcspn(line, "\n");

	for (int i = 0; i < 4; i++) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (line == NULL)
			return NULL;
		line++;
	}
	return line;
}

int mountinfo_at(const char *text, const char *point, struct mountinfo_dev *out)
{
	struct mountinfo_dev dev;
	int r = ENOENT;

	for (; *text != '\0'; text = next_line(text)) {
		const char *field = point_field(text);

		if (field == NULL || !field_is(field, point) ||
		    !parse_dev(text, &dev))
			continue;
		*out = dev;
		r = 0;
	}
	return r;
}

static bool same_dev(struct mountinfo_dev a, struct mountinfo_dev b)
{
	return a.major == b.major && a.minor == b.minor;
}

bool mountinfo_has(const char *text, struct mountinfo_dev dev)
{
	struct mountinfo_dev d;

	for (; *text != '\0'; text = next_line(text))
		if (parse_dev(text, &d) && same_dev(d, dev))
			return true;
	return false;
}

/* ---- the file ---- */

/* The whole list, lent until the next call; NULL when it cannot be read. */
static const char *load(struct mountinfo *mi)
{
	enum { STEP_BYTES = 64 << 10 };
	ssize_t n;

	buf_reset(&mi->text);
	if (lseek(mi->fd, 0, SEEK_SET) != 0)
		return NULL;
	do {
		uint8_t *room = buf_room(&mi->text, STEP_BYTES);

		if (room == NULL || mi->text.len > MOUNTINFO_MAX_BYTES)
			return NULL;
		n = read(mi->fd, room, STEP_BYTES);
		if (n > 0)
			buf_took(&mi->text, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 ? buf_cstr(&mi->text) : NULL;
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
