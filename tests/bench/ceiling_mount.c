/* ceiling_mount — the ceiling as a file system of its one file: see
 * ceiling_fetch.c. As ceiling.c is, but that it has reads, which wait until
 * their pieces are right; the kernel keeps what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ceiling_fetch.h"

enum {
	READ_MAX = 1 << 20, /* of the kernel */
	READ_PARTS = READ_MAX / BLOCK + 2,
	WAITING_MAX = 4096,
	AHEAD_KB = 512, /* MOUNT_KERNEL_AHEAD_KB in fs/fs_limits.h */
	FILE_NODE = 2,
	FOR_S = 3600,
};

struct waiting {
	uint64_t unique, offset;
	uint32_t size;
};

static int device = -1;
static const char *place;		    /* NULL: it is not mounted */
static struct waiting waiting[WAITING_MAX]; /* under the lock */
static unsigned n_waiting;

static void reply(uint64_t unique, int err, const void *data, size_t len)
{
	struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + len),
				      .error = -err,
				      .unique = unique};
	struct iovec parts[2] = {{&out, sizeof(out)},
				 {(void *)(uintptr_t)data, len}};

	if (writev(device, parts, len > 0 ? 2 : 1) < 0 && errno != ENOENT)
		perror("reply");
}

/* Bytes whose pieces are right, from their buffers; they cannot go before
 * their bytes are counted as read. */
static void reply_buffers(const struct waiting *w)
{
	struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + w->size),
				      .unique = w->unique};
	struct iovec parts[READ_PARTS] = {{&out, sizeof(out)}};
	unsigned piece = (unsigned)(w->offset / piece_bytes);
	int n = 1;

	for (uint64_t at = w->offset, end = at + w->size; at < end;) {
		unsigned now = (unsigned)(at / piece_bytes);
		uint64_t in = at % piece_bytes;
		uint64_t len = min(end - at, piece_len(now) - in);

		parts[n++] = (struct iovec){buffer_of(now) + in, len};
		at += len;
	}
	if (writev(device, parts, n) < 0 && errno != ENOENT)
		perror("reply");
	pthread_mutex_lock(&lock);
	for (unsigned i = 1; i < (unsigned)n; i++, piece++)
		unread[piece] -= (uint32_t)min(unread[piece], parts[i].iov_len);
	free_buffers();
	pthread_mutex_unlock(&lock);
}

static void reply_file(const struct waiting *w)
{
	static uint8_t bytes[READ_MAX];
	ssize_t n = pread(blob, bytes, w->size, (off_t)w->offset);

	reply(w->unique, n == w->size ? 0 : EIO, bytes,
	      n == w->size ? w->size : 0);
}

static void read_request(const struct fuse_in_header *h,
			 const struct fuse_read_in *in)
{
	struct waiting w = {.unique = h->unique, .offset = in->offset};
	int is_here, is_buffered;

	w.size = in->offset < size ? (uint32_t)min(in->size, size - in->offset)
				   : 0;
	if (w.size == 0) {
		reply(h->unique, 0, NULL, 0);
		return;
	}
	pthread_mutex_lock(&lock);
	is_here = (w.offset + w.size - 1) / piece_bytes < verified;
	is_buffered = w.offset / piece_bytes >= freed;
	if (!is_here) {
		if (n_waiting == WAITING_MAX)
			fail("too many reads");
		waiting[n_waiting++] = w;
	}
	pthread_mutex_unlock(&lock);
	if (is_here && is_buffered)
		reply_buffers(&w);
	else if (is_here)
		reply_file(&w);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = {.ino = node, .nlink = 1, .blksize = 4096};

	a.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
	a.size = node == FUSE_ROOT_ID ? 0 : size;
	return a;
}

static void begin(const struct fuse_in_header *h, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
				    .minor = 31,
				    .max_readahead = in->max_readahead,
				    .max_write = READ_MAX,
				    .max_background = WAITING_MAX,
				    .congestion_threshold = WAITING_MAX,
				    .max_pages = READ_MAX / 4096,
				    .flags = in->flags &
					     (FUSE_ASYNC_READ | FUSE_MAX_PAGES |
					      FUSE_NO_OPENDIR_SUPPORT)};

	reply(h->unique, 0, &out, sizeof(out));
}

static void answer(const struct fuse_in_header *h)
{
	const void *in = h + 1;
	struct fuse_attr_out attr = {.attr_valid = FOR_S};
	struct fuse_open_out opened = {.open_flags = FOPEN_KEEP_CACHE};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE,
				       .entry_valid = FOR_S,
				       .attr_valid = FOR_S,
				       .attr = attr_of(FILE_NODE)};

	switch (h->opcode) {
	case FUSE_INIT:
		begin(h, in);
		break;
	case FUSE_LOOKUP:
		reply(h->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attr.attr = attr_of(h->nodeid);
		reply(h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		start();
		reply(h->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		read_request(h, in);
		break;
	case FUSE_RELEASE:
		reply(h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(h->unique, ENOSYS, NULL, 0);
	}
}

static void *serve(void *arg)
{
	static char request[READ_MAX + 4096];
	ssize_t n;

	while ((n = read(device, request, sizeof(request))) > 0 ||
	       errno == EINTR || errno == ENOENT)
		if (n > 0)
			answer((const void *)request);
	return arg;
}

void mount_at(const char *point)
{
	char text[128];
	pthread_t thread;
	struct stat st;
	int fd;

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	(void)snprintf(text, sizeof(text),
		       "fd=%d,rootmode=40555,user_id=0,group_id=0", device);
	if (device < 0 || mount("ceiling", point, "fuse.ceiling",
				MS_NOSUID | MS_NODEV, text) != 0)
		fail(point);
	place = point;
	if (pthread_create(&thread, NULL, serve, NULL) != 0)
		fail("thread");
	if (stat(point, &st) != 0)
		fail(point);
	(void)snprintf(text, sizeof(text), "/sys/class/bdi/%u:%u/read_ahead_kb",
		       major(st.st_dev), minor(st.st_dev));
	fd = open(text, O_WRONLY);
	if (fd < 0 || dprintf(fd, "%d", AHEAD_KB) < 0)
		fail(text);
	close(fd);
}

int is_mounted(void)
{
	return place != NULL;
}

void unmount(void)
{
	if (place != NULL)
		umount2(place, MNT_DETACH);
}

/* The reads that waited for pieces that are right now. */
void wake_readers(void)
{
	static struct waiting due[WAITING_MAX];
	unsigned n = 0, left = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_waiting; i++) {
		struct waiting *w = &waiting[i];
		uint64_t last = w->offset + w->size - 1;

		if (last / piece_bytes < verified)
			due[n++] = *w;
		else
			waiting[left++] = *w;
	}
	n_waiting = left;
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < n; i++)
		reply_buffers(&due[i]);
}
