/* ceiling_fetch — a leecher that does only what none can do without, to see
 * what this machine, its kernel and its memory leave to any.
 *
 * It has one file, one seed and all the time in the world for neither: blocks
 * are asked for in the file's order, come straight into the buffer of their
 * piece, pieces are hashed (by core/hash_row.h, the fastest that we know), and
 * what is right is written to a file with one pwrite(2) a piece. With a mount
 * point it is a file system of that file as well, which answers a read from the
 * buffer of its piece, or from the file.
 *
 * What it leaves out: choosing pieces and peers, more than one torrent, an
 * index of what is held, durability, uploading, and every doubt about the seed.
 * The reader of its file system reads from the front to the end: a buffer is
 * used again when its bytes have been read.
 *
 * Threads: one receives; one hashes, answers the reads that waited for it, and
 * writes; with a mount point one reads requests and answers those it can.
 *
 * It says "ready" when the seed has unchoked it, begins at a line from its
 * standard input or at the first open, says "done SECONDS" when all has been
 * written, and ends with its standard input.
 *
 * HASHES is a file of the pieces' SHA-1 digests.
 *
 * usage: ceiling_fetch ADDRESS PORT INFOHASH SIZE PIECE HASHES FILE [MOUNT] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ceiling_fetch.h"
#include "core/hash.h"
#include "core/hash_row.h"

enum { RING_BYTES = 32 << 20, BUFS_MIN = 4 };

int blob, begun;
uint64_t size;
unsigned piece_bytes, n_pieces, n_blocks, n_bufs;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
unsigned freed, written, verified, come;
uint32_t *unread;

static uint8_t *hashes, *ring;
static struct hasher *own;

static _Noreturn void quit(int code)
{
	unmount();
	_exit(code);
}

_Noreturn void fail(const char *what)
{
	perror(what);
	quit(1);
}

uint32_t piece_len(unsigned piece)
{
	return (uint32_t)min(piece_bytes, size - (uint64_t)piece * piece_bytes);
}

uint8_t *buffer_of(unsigned piece)
{
	return ring + (uint64_t)(piece % n_bufs) * piece_bytes;
}

/* A buffer goes when its piece is written and, with a reader, read. */
void free_buffers(void)
{
	unsigned was = freed;

	while (freed < written && (!is_mounted() || unread[freed] == 0))
		freed++;
	if (freed != was)
		pthread_cond_broadcast(&changed);
}

void start(void)
{
	pthread_mutex_lock(&lock);
	begun = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- hashing and writing ---- */

/* How many pieces, from `from` on, are worth hashing together, of those that
 * are there or will be. */
static unsigned together(unsigned from)
{
	unsigned n = (unsigned)min(n_bufs / 2, n_pieces - from);

	if (n == n_pieces - from && n > 1 &&
	    piece_len(n_pieces - 1) != piece_bytes)
		n--;
	n = (unsigned)min(n, HASH_ROW_MAX);
	return n > 1 ? hash_row_best(HASH_SHA1, n) : 1;
}

static void check_and_write(struct hasher *h, unsigned from, unsigned n)
{
	const uint8_t *at[HASH_ROW_MAX] = {NULL};
	uint8_t found[HASH_ROW_MAX * HASH_SHA1_BYTES];

	for (unsigned i = 0; i < n; i++)
		at[i] = buffer_of(from + i);
	hash_all(h, HASH_SHA1, at, piece_len(from), n, found);
	if (memcmp(found, hashes + (size_t)from * HASH_SHA1_BYTES,
		   (size_t)n * HASH_SHA1_BYTES) != 0) {
		fprintf(stderr, "a wrong hash, in %u to %u\n", from,
			from + n - 1);
		quit(1);
	}
	pthread_mutex_lock(&lock);
	verified = from + n;
	pthread_mutex_unlock(&lock);
	if (is_mounted())
		wake_readers();
	for (unsigned i = 0; i < n; i++) {
		uint32_t len = piece_len(from + i);

		if (pwrite(blob, at[i], len, (off_t)(from + i) * piece_bytes) !=
		    len)
			fail("pwrite");
	}
	pthread_mutex_lock(&lock);
	written = from + n;
	free_buffers();
	pthread_mutex_unlock(&lock);
}

static void *work(void *arg)
{
	for (unsigned at = 0, n; at < n_pieces; at += n) {
		n = together(at);
		pthread_mutex_lock(&lock);
		while (come < at + n)
			pthread_cond_wait(&changed, &lock);
		pthread_mutex_unlock(&lock);
		check_and_write(arg, at, n);
	}
	return arg;
}

void pieces_come(unsigned now)
{
	pthread_mutex_lock(&lock);
	come = now;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- the beginning and the end ---- */

static void make(char **argv)
{
	FILE *file = fopen(argv[6], "rb");

	size = strtoull(argv[4], NULL, 10);
	piece_bytes = (unsigned)strtoul(argv[5], NULL, 10);
	n_pieces = (unsigned)((size + piece_bytes - 1) / piece_bytes);
	n_blocks = (unsigned)((size + BLOCK - 1) / BLOCK);
	n_bufs = RING_BYTES / piece_bytes;
	if (n_bufs < BUFS_MIN)
		n_bufs = BUFS_MIN;
	hashes = malloc((size_t)n_pieces * HASH_SHA1_BYTES);
	unread = malloc(n_pieces * sizeof(*unread));
	ring = mmap(NULL, (size_t)n_bufs * piece_bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		fail("mmap");
	madvise(ring, (size_t)n_bufs * piece_bytes, MADV_HUGEPAGE);
	memset(ring, 1, (size_t)n_bufs * piece_bytes);
	if (file == NULL ||
	    fread(hashes, HASH_SHA1_BYTES, n_pieces, file) != n_pieces)
		fail(argv[6]);
	(void)fclose(file);
	for (unsigned i = 0; i < n_pieces; i++)
		unread[i] = piece_len(i);
	blob = open(argv[7], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (blob < 0 || hasher_new(&own) != 0)
		fail(argv[7]);
}

static void *start_by_line(void *arg)
{
	char text[8];

	while (read(0, text, sizeof(text)) > 0)
		start();
	quit(arg != NULL);
}

int main(int argc, char **argv)
{
	pthread_t worker, input;
	struct timespec began, now;

	if (argc != 8 && argc != 9) {
		fprintf(stderr, "usage: ceiling_fetch ADDRESS PORT INFOHASH "
				"SIZE PIECE HASHES FILE [MOUNT]\n");
		return 2;
	}
	make(argv);
	greet(argv[1], argv[2], argv[3]);
	if (argc == 9)
		mount_at(argv[8]);
	puts("ready");
	(void)fflush(stdout);
	if (pthread_create(&input, NULL, start_by_line, NULL) != 0 ||
	    pthread_create(&worker, NULL, work, own) != 0)
		fail("thread");
	pthread_mutex_lock(&lock);
	while (!begun)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	clock_gettime(CLOCK_MONOTONIC, &began);
	receive();
	pthread_join(worker, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("done %.6f\n",
	       (double)(now.tv_sec - began.tv_sec) +
		       (double)(now.tv_nsec - began.tv_nsec) / 1e9);
	(void)fflush(stdout);
	pthread_join(input, NULL);
	return 0;
}
