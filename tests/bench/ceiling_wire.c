/* ceiling_wire — the ceiling's talk with its seed: see ceiling_fetch.c.
 *
 * What comes is received straight to where it belongs if it comes in the order
 * in which it was asked for. What does not is copied there. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ceiling_fetch.h"

enum {
	HEADER = 13, /* length, 7, piece, offset */
	REQUEST = 17,
	DEPTH = 480, /* requests; our own seeds take 500 */
	ASK = 64,    /* so many at a time, or more */
	TAKE = 64,   /* blocks in a read */
	MARK = 128 << 10,
};

static int line;

/* Blocks: all below `low` have come, and some from there to `asked`; `part` is
 * the one that is coming, of which `part_got` bytes with the header are here.
 * In whose order they come is the seed's affair, but mostly it is ours. */
static unsigned low, asked, n_out;
static uint8_t *has;
static unsigned *piece_left; /* blocks of each piece that have not come */
static uint8_t headers[TAKE + 1][HEADER];
static uint8_t aside[(TAKE + 1) * (HEADER + BLOCK)];

static uint32_t block_len(unsigned block)
{
	return (uint32_t)min(BLOCK, size - (uint64_t)block * BLOCK);
}

static uint8_t *block_at(unsigned block)
{
	uint64_t at = (uint64_t)block * BLOCK;

	return buffer_of((unsigned)(at / piece_bytes)) + at % piece_bytes;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
}

static void send_all(const void *data, size_t len)
{
	if (send(line, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send");
}

static void ask(void)
{
	static uint8_t text[DEPTH * REQUEST];
	unsigned n = 0, limit, per = piece_bytes / BLOCK;

	if (n_out + ASK > DEPTH || asked == n_blocks)
		return;
	pthread_mutex_lock(&lock);
	while (n_out == 0 && freed + n_bufs <= asked / per)
		pthread_cond_wait(&changed, &lock);
	limit = (unsigned)min(n_blocks, (uint64_t)(freed + n_bufs) * per);
	pthread_mutex_unlock(&lock);
	while (asked < limit && n_out < DEPTH) {
		uint8_t *r = text + n++ * REQUEST;

		put32(r, REQUEST - 4);
		r[4] = 6;
		put32(r + 5, asked / per);
		put32(r + 9, asked % per * BLOCK);
		put32(r + 13, block_len(asked));
		asked++;
		n_out++;
	}
	if (n > 0)
		send_all(text, (size_t)n * REQUEST);
}

static void came(unsigned block)
{
	unsigned piece = block / (piece_bytes / BLOCK), now;

	has[block] = 1;
	n_out--;
	while (low < n_blocks && has[low])
		low++;
	if (--piece_left[piece] > 0 || piece != come)
		return;
	for (now = come; now < n_pieces && piece_left[now] == 0;)
		now++;
	pieces_come(now);
}

/* The block that a header is of; n_blocks: it is of none. */
static unsigned block_of(const uint8_t *h)
{
	uint32_t piece = be32(h + 5), begin = be32(h + 9);
	unsigned block = piece * (piece_bytes / BLOCK) + begin / BLOCK;

	if (h[4] != 7)
		return n_blocks;
	if (block >= asked || has[block] ||
	    be32(h) != HEADER - 4 + block_len(block)) {
		fprintf(stderr, "not what was asked for: piece %u\n", piece);
		_exit(1);
	}
	return block;
}

/* What comes: `held` bytes of the next message are in headers[0], if fewer
 * than a header, or the block `part` lacks its last `part_left` bytes. */
static unsigned held, part, part_left;

/* Messages one after the other, as they came. */
static void parse(const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t now;

		if (part_left > 0) {
			now = min(n, part_left);
			memcpy(block_at(part) + block_len(part) - part_left, p,
			       now);
			part_left -= (unsigned)now;
			if (part_left == 0)
				came(part);
		} else {
			/* A short message is whole before a header is. */
			now = min(n, held < 4 ? 4 - held : HEADER - held);
			if (held >= 4 && be32(headers[0]) < HEADER - 4)
				now = min(now, 4 + be32(headers[0]) - held);
			memcpy(headers[0] + held, p, now);
			held += (unsigned)now;
			if (held >= 4 && be32(headers[0]) < HEADER - 4 &&
			    held == 4 + be32(headers[0])) {
				if (held == 5 && headers[0][4] == 0)
					fail("choked");
				held = 0;
			} else if (held == HEADER) {
				part = block_of(headers[0]);
				if (part == n_blocks)
					fail("a message of a kind that "
					     "was not expected");
				part_left = block_len(part);
				held = 0;
			}
		}
		p += now;
		n -= now;
	}
}

/* A batch that is laid out as if blocks came in the order in which they were
 * asked for. */
struct batch {
	unsigned n_parts, n;
	unsigned blocks[TAKE];
	struct iovec parts[2 * TAKE + 1];
};

static void lay_out(struct batch *b)
{
	unsigned block = low;

	b->n_parts = b->n = 0;
	if (part_left > 0)
		b->parts[b->n_parts++] = (struct iovec){
			block_at(part) + block_len(part) - part_left,
			part_left};
	while (b->n < TAKE) {
		unsigned skip = b->n == 0 ? held : 0;

		while (block < asked &&
		       (has[block] || (part_left > 0 && block == part)))
			block++;
		if (block == asked)
			break;
		b->parts[b->n_parts++] =
			(struct iovec){headers[b->n] + skip, HEADER - skip};
		b->parts[b->n_parts++] =
			(struct iovec){block_at(block), block_len(block)};
		b->blocks[b->n++] = block++;
	}
}

/* Is every header that came whole that of the block that it was laid out for?
 * (Of one that came in part we see later.) */
static int is_as_laid_out(const struct batch *b, size_t n, unsigned first)
{
	for (unsigned i = first, k = 0; n > 0; i += 2, k++) {
		size_t has_header = HEADER - b->parts[i].iov_len + n;

		if (n < b->parts[i].iov_len)
			return has_header < 4 || be32(headers[k]) >= HEADER - 4;
		if (block_of(headers[k]) != b->blocks[k])
			return 0;
		if (n - b->parts[i].iov_len < b->parts[i + 1].iov_len)
			return 1;
		n -= b->parts[i].iov_len + b->parts[i + 1].iov_len;
	}
	return 1;
}

static void take_as_laid_out(const struct batch *b, size_t n, unsigned first)
{
	for (unsigned i = first, k = 0; n > 0; i += 2, k++) {
		size_t header = b->parts[i].iov_len;
		size_t len = b->parts[i + 1].iov_len;

		if (n < header) {
			held = HEADER - (unsigned)(header - n);
			memmove(headers[0], headers[k], held);
			return;
		}
		held = 0;
		n -= header;
		if (n < len) {
			part = b->blocks[k];
			part_left = (unsigned)(len - n);
			return;
		}
		n -= len;
		came(b->blocks[k]);
	}
}

static void take(struct batch *b, size_t n)
{
	unsigned first = part_left > 0;
	size_t at = 0;

	if (first) {
		size_t now = min(n, part_left);

		part_left -= (unsigned)now;
		n -= now;
		if (part_left == 0)
			came(part);
	}
	if (n == 0)
		return;
	if (is_as_laid_out(b, n, first)) {
		take_as_laid_out(b, n, first);
		return;
	}
	for (unsigned i = first; at < n; i++) {
		size_t now = min(n - at, b->parts[i].iov_len);

		memcpy(aside + at, b->parts[i].iov_base, now);
		at += now;
	}
	parse(aside, n);
}

/* Wakes us when so much is here that it pays. A read that has taken less than
 * the mark is woken when as much as the mark is there again, so twice the mark
 * must be due. */
static void set_mark(void)
{
	static int mark;
	int now = n_out > 3 ? (int)min(MARK, (n_out - 2) * BLOCK / 2) : 1;

	if (now != mark &&
	    setsockopt(line, SOL_SOCKET, SO_RCVLOWAT, &now, sizeof(now)) != 0)
		fail("SO_RCVLOWAT");
	mark = now;
}

void receive(void)
{
	static struct batch b;

	has = calloc(n_blocks, 1);
	piece_left = malloc(n_pieces * sizeof(*piece_left));
	if (has == NULL || piece_left == NULL)
		fail("memory");
	for (unsigned i = 0; i < n_pieces; i++)
		piece_left[i] = (piece_len(i) + BLOCK - 1) / BLOCK;
	while (low < n_blocks) {
		ssize_t n;

		ask();
		set_mark();
		lay_out(&b);
		n = readv(line, b.parts, (int)b.n_parts);
		if (n <= 0)
			fail("the seed has hung up");
		take(&b, (size_t)n);
	}
}

/* ---- greeting ---- */

static void must_read(void *to, size_t len)
{
	if (len > 0 && recv(line, to, len, MSG_WAITALL) != (ssize_t)len)
		fail("greeting");
}

void greet(const char *address, const char *port, const char *hash)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	uint8_t hello[68 + 5] = "\x13"
				"BitTorrent protocol";
	uint8_t theirs[68], message[5];
	static uint8_t rest[1 << 20];
	unsigned byte;

	for (int i = 0; i < 20; i++) {
		if (sscanf(hash + 2 * (size_t)i, "%2x", &byte) != 1)
			fail(hash);
		hello[28 + i] = (uint8_t)byte;
	}
	memcpy(hello + 48, "-XX0000-fedcba987654", 20);
	memcpy(hello + 68, "\0\0\0\1\2", 5); /* interested */
	line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (line < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(line, (void *)&to, sizeof(to)) != 0)
		fail(address);
	send_all(hello, sizeof(hello));
	must_read(theirs, sizeof(theirs));
	do {
		must_read(message, 4);
		byte = be32(message);
		if (byte == 0)
			continue;
		must_read(message + 4, 1);
		if (byte > sizeof(rest))
			fail("greeting");
		must_read(rest, byte - 1);
	} while (byte == 0 || message[4] != 1);
}
