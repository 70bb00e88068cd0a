/* ceiling — a file system that does nothing but know a library by heart, to see
 * what the kernel and its callers leave to any: every name is computed, every
 * attribute is good for an hour, nothing is opened, and one thread reads
 * requests from the descriptor and writes what is due. The tree is that of
 * library.py: torrents of files, each fourth in a directory "extras".
 *
 * Says at its end (umount) how many requests of each kind came.
 *
 * usage: ceiling TORRENTS FILES MOUNTPOINT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	ROOT = FUSE_ROOT_ID,
	IX_BITS = 20, /* of a node number; 0 is the torrent's directory */
	REQUEST_BYTES = 1 << 20,
	REPLY_BYTES = 1 << 20,
	FOR_S = 3600,
	N_OPCODES = 64,
};

static unsigned n_torrents, n_files;
static int device;
static unsigned long counts[N_OPCODES];
static char reply_bytes[REPLY_BYTES];

static uint64_t base_of(uint64_t node)
{
	return node >> IX_BITS << IX_BITS;
}

static unsigned ix_of(uint64_t node)
{
	return (unsigned)(node - base_of(node));
}

static int is_dir(uint64_t node)
{
	return node == ROOT || ix_of(node) == 0 || ix_of(node) == n_files + 1;
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = {.ino = node, .nlink = 1, .blksize = 4096};

	if (is_dir(node)) {
		a.mode = S_IFDIR | 0555;
		a.nlink = 3;
	} else {
		a.mode = S_IFREG | 0444;
		a.size = 4096;
		a.blocks = 8;
	}
	return a;
}

static struct fuse_entry_out entry_of(uint64_t node)
{
	return (struct fuse_entry_out){.nodeid = node,
				       .entry_valid = FOR_S,
				       .attr_valid = FOR_S,
				       .attr = attr_of(node)};
}

/* The n-th entry of a directory; 0: there is none. */
static uint64_t child(uint64_t dir, uint64_t n, char name[32])
{
	uint64_t file;

	if (dir == ROOT) {
		(void)snprintf(name, 32, "torrent %07u", (unsigned)n);
		return n < n_torrents ? (n + 1) << IX_BITS : 0;
	}
	if (ix_of(dir) != 0) {
		file = 4 * n + 3;
	} else if (n == 0) {
		(void)snprintf(name, 32, "extras");
		return base_of(dir) + n_files + 1;
	} else {
		n--;
		file = n / 3 * 4 + n % 3;
	}
	(void)snprintf(name, 32, "file %06u.bin", (unsigned)file);
	return file < n_files ? base_of(dir) + file + 1 : 0;
}

static uint64_t find(uint64_t dir, const char *name)
{
	unsigned n;

	if (dir == ROOT && sscanf(name, "torrent %u", &n) == 1 &&
	    n < n_torrents)
		return (uint64_t)(n + 1) << IX_BITS;
	if (dir != ROOT && strcmp(name, "extras") == 0)
		return base_of(dir) + n_files + 1;
	if (dir != ROOT && sscanf(name, "file %u", &n) == 1 && n < n_files)
		return base_of(dir) + n + 1;
	return 0;
}

static void reply(const struct fuse_in_header *h, int err, const void *data,
		  size_t len)
{
	struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + len),
				      .error = -err,
				      .unique = h->unique};
	struct iovec parts[2] = {{&out, sizeof(out)},
				 {(void *)(uintptr_t)data, len}};

	if (writev(device, parts, len > 0 ? 2 : 1) < 0 && errno != ENOENT)
		perror("reply");
}

/* As a file system does that means well: directories whole, files by name. */
static void list(const struct fuse_in_header *h, const struct fuse_read_in *in)
{
	size_t used = 0;
	uint64_t node;
	char name[32];

	for (uint64_t n = in->offset; (node = child(h->nodeid, n, name)) != 0;
	     n++) {
		struct fuse_direntplus *d = (void *)(reply_bytes + used);
		size_t len = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS +
					       strlen(name));

		if (used + len > in->size || used + len > REPLY_BYTES)
			break;
		memset(d, 0, len);
		if (is_dir(node))
			d->entry_out = entry_of(node);
		d->dirent.ino = node;
		d->dirent.off = n + 1;
		d->dirent.namelen = (uint32_t)strlen(name);
		d->dirent.type = is_dir(node) ? S_IFDIR >> 12 : S_IFREG >> 12;
		memcpy(d->dirent.name, name, strlen(name));
		used += len;
	}
	reply(h, 0, reply_bytes, used);
}

static void begin(const struct fuse_in_header *h, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
				    .minor = 31,
				    .max_readahead = in->max_readahead,
				    .max_write = REQUEST_BYTES / 2,
				    .flags = in->flags &
					     (FUSE_DO_READDIRPLUS |
					      FUSE_PARALLEL_DIROPS |
					      FUSE_NO_OPENDIR_SUPPORT)};

	reply(h, 0, &out, sizeof(out));
}

static void answer(const struct fuse_in_header *h)
{
	const void *in = h + 1;
	struct fuse_attr_out attr = {.attr_valid = FOR_S};
	struct fuse_statfs_out statfs = {.st = {.bsize = 4096}};
	struct fuse_entry_out entry;

	counts[h->opcode % N_OPCODES]++;
	switch (h->opcode) {
	case FUSE_INIT:
		begin(h, in);
		break;
	case FUSE_LOOKUP:
		entry = entry_of(find(h->nodeid, in));
		reply(h, entry.nodeid != 0 ? 0 : ENOENT, &entry,
		      entry.nodeid != 0 ? sizeof(entry) : 0);
		break;
	case FUSE_GETATTR:
		attr.attr = attr_of(h->nodeid);
		reply(h, 0, &attr, sizeof(attr));
		break;
	case FUSE_READDIRPLUS:
		list(h, in);
		break;
	case FUSE_STATFS:
		reply(h, 0, &statfs, sizeof(statfs));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(h, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char request[REQUEST_BYTES];
	char options[128];
	ssize_t n;

	if (argc != 4) {
		fprintf(stderr, "usage: ceiling TORRENTS FILES MOUNTPOINT\n");
		return 2;
	}
	n_torrents = (unsigned)strtoul(argv[1], NULL, 10);
	n_files = (unsigned)strtoul(argv[2], NULL, 10);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40555,user_id=0,group_id=0", device);
	if (device < 0 || mount("ceiling", argv[3], "fuse.ceiling",
				MS_NOSUID | MS_NODEV, options) != 0) {
		perror(argv[3]);
		return 1;
	}
	while ((n = read(device, request, sizeof(request))) > 0 ||
	       errno == EINTR || errno == ENOENT)
		if (n > 0)
			answer((const void *)request);
	printf("LOOKUP %lu, GETATTR %lu, READDIRPLUS %lu\n",
	       counts[FUSE_LOOKUP], counts[FUSE_GETATTR],
	       counts[FUSE_READDIRPLUS]);
	return 0;
}
