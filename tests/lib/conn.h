/* conn — a whole engine with one torrent, and peers of it that are the ends of
 * socketpairs: what a peer sends is a matter of bytes, and of no port or clock.
 *
 *   conn_begin      an engine, and its torrent: READY, holding what is said, or
 *                   a magnet that nobody has told of its metadata yet
 *   line_come       a peer comes in; line_dialled: the engine dials one
 *   conn_settle     run the loop until nobody has anything to say; what waits
 *                   for a timer is not waited for
 *   conn_end        stop, and look that nothing is left
 *
 * What the engine says is taken apart: it must be a handshake and messages,
 * and every block must have the torrent's bytes. What reads get must be right,
 * too. Anything else aborts, for a fuzzer to see; there is no cmocka here.
 *
 * Nothing leaves the process: connect is ours, whatever addresses peers make
 * up for the engine to dial. */
#ifndef SHOAL_TESTS_LIB_CONN_H
#define SHOAL_TESTS_LIB_CONN_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/store.h"
#include "cache/store_mem.h"
#include "core/be.h"
#include "core/bits.h"
#include "core/blk.h"
#include "core/buf.h"
#include "core/hash.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/worker.h"
#include "net/engine.h"
#include "net/engine_internal.h"
#include "net/ext.h"
#include "net/handshake.h"
#include "net/incoming.h"
#include "net/swarm.h"
#include "net/torrent_internal.h"
#include "net/wire.h"

enum {
	CONN_LINES = 3,
	CONN_READS = 2,
	CONN_ASKED = 64,
	CONN_PIECES = 4,
	CONN_PIECE_BYTES = 20 << 10, /* a block, and a short one */
	CONN_LAST_BYTES = 100,	     /* so that its block is short to write */
	CONN_TOTAL = (CONN_PIECES - 1) * CONN_PIECE_BYTES + CONN_LAST_BYTES,
	/* Of v2, where pieces are powers of two: two leaves each, and one. */
	CONN_V2_PIECE_BYTES = 32 << 10,
	CONN_V2_TOTAL =
		(CONN_PIECES - 1) * CONN_V2_PIECE_BYTES + CONN_LAST_BYTES,
	CONN_LEAVES = 8, /* of the tree; the last is behind the end */
	CONN_QUIET = 8,	 /* turns in which nothing happened: it is settled */
};

enum conn_flags {
	CONN_MAGNET = 1,
	CONN_HOLDS_EVEN = 2,
	CONN_HOLDS_ODD = 4,
	CONN_V2 = 8,	/* v2 … */
	CONN_V1 = 16,	/* … and v1 too; alone it changes nothing */
	CONN_BARE = 32, /* the metadata is known, its piece layers are not */
};

struct conn;

struct line {
	struct conn *c;
	int fd; /* -1: not there, or closed */
	bool was_opened, is_greeted;
	bool is_v1; /* of a hybrid: it knows the other hash only */
	struct buf out, in;
	unsigned n[256];		     /* messages by id */
	struct wire_block asked[CONN_ASKED]; /* of us, in order */
	unsigned n_asked;
	struct wire_block refused; /* the last REJECT */
	struct wire_hashes hash_asked[CONN_ASKED];
	unsigned n_hash_asked;
	struct wire_hashes hash_refused;
	struct buf ext; /* the last EXTENDED, with its id */
};

struct conn_read {
	struct conn *c;
	struct torrent_read *rd;
	uint64_t off_bytes;
	uint32_t len_bytes;
	bool is_done;
};

struct conn {
	struct loop *loop;
	struct workers *workers;
	struct blk_pool *pool;
	struct hasher *hasher;
	struct store *store;
	struct engine *engine;
	struct torrent *t;
	struct metainfo *mi;
	struct buf file;		   /* the .torrent */
	uint32_t piece_bytes, total_bytes; /* as conn_flags have it */
	uint8_t content[CONN_V2_TOTAL];
	/* [level][index]: from the leaves to the root; pieces are level 1 */
	uint8_t tree[4][CONN_LEAVES][HASH_SHA256_BYTES];
	struct line lines[CONN_LINES];
	struct conn_read reads[CONN_READS];
	struct loop_task tick;
	unsigned n_quiet;
	bool is_stopping, is_stopped;
	struct store_torrent *filling;
};

static inline void conn_must(bool is_so)
{
	if (!is_so)
		abort();
}

/* ---- the network that there is not ---- */

/* The line that the next dial is for. */
static struct line *conn_dialled;
static unsigned conn_dials; /* so far */
/* Whoever else is dialled accepts, and says nothing. */
static bool conn_is_mute;
static int conn_mute[64];
static unsigned conn_n_mute;

static inline void line_open(struct line *l, int pair[2])
{
	conn_must(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     pair) == 0);
	l->fd = pair[0];
	l->was_opened = true;
}

/* Instead of libc's. */
int connect(int fd, __CONST_SOCKADDR_ARG sa, socklen_t len)
{
	int pair[2];

	(void)sa;
	(void)len;
	conn_dials++;
	if (conn_dialled == NULL && conn_is_mute) {
		conn_must(conn_n_mute < 64);
		conn_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				     pair) == 0);
		conn_mute[conn_n_mute++] = pair[0];
		conn_must(dup3(pair[1], fd, O_CLOEXEC) == fd &&
			  fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
		(void)close(pair[1]);
		return 0;
	}
	if (conn_dialled == NULL) {
		errno = ECONNREFUSED;
		return -1;
	}
	line_open(conn_dialled, pair);
	conn_dialled = NULL;
	conn_must(dup3(pair[1], fd, O_CLOEXEC) == fd);
	(void)close(pair[1]);
	return 0;
}

/* ---- hashes ---- */

/* The hashes that answer this, by the definition; how many. 0: no such span. */
static inline unsigned conn_hashes(const struct conn *c,
				   const struct wire_hashes *h,
				   uint8_t out[16 * HASH_SHA256_BYTES])
{
	unsigned up = 0, n = 0;

	if (memcmp(h->root, c->tree[3][0], sizeof(h->root)) != 0 ||
	    h->base > 2 || h->length > CONN_LEAVES || h->length == 0 ||
	    (h->length & (h->length - 1)) != 0 || h->index % h->length != 0 ||
	    h->index >= (unsigned)CONN_LEAVES >> h->base ||
	    h->length > ((unsigned)CONN_LEAVES >> h->base) - h->index ||
	    h->proof_layers >= 3 - h->base)
		return 0;
	while (1u << up < h->length)
		up++;
	for (; n < h->length; n++)
		memcpy(out + n * HASH_SHA256_BYTES,
		       c->tree[h->base][h->index + n], HASH_SHA256_BYTES);
	for (; up <= h->proof_layers; up++)
		memcpy(out + n++ * HASH_SHA256_BYTES,
		       c->tree[h->base + up][(h->index >> up) ^ 1],
		       HASH_SHA256_BYTES);
	return n;
}

static inline void line_check_hashes(struct line *l, const struct wire_msg *m)
{
	uint8_t want[16 * HASH_SHA256_BYTES];
	unsigned n = conn_hashes(l->c, &m->span, want);

	conn_must(n > 0 && m->body.len == n * HASH_SHA256_BYTES &&
		  memcmp(m->body.ptr, want, m->body.len) == 0);
}

/* ---- what the engine says ---- */

static inline void line_on_msg(struct line *l, const uint8_t *p, uint32_t len)
{
	struct wire_block b;
	struct wire_msg m;
	uint64_t at;

	if (len == 0)
		return;
	l->n[p[0]]++;
	if (p[0] == WIRE_PIECE) {
		conn_must(wire_decode_piece_header(p - 4, &b) == WIRE_OK);
		at = (uint64_t)b.piece_ix * l->c->piece_bytes + b.begin_bytes;
		conn_must(at + b.len_bytes <= l->c->total_bytes &&
			  memcmp(p + 9, l->c->content + at, b.len_bytes) == 0);
		return;
	}
	conn_must(wire_decode(p, len, &m) == WIRE_OK);
	if (m.id == WIRE_REQUEST && l->n_asked < CONN_ASKED)
		l->asked[l->n_asked++] = m.block;
	if (m.id == WIRE_REJECT)
		l->refused = m.block;
	if (m.id == WIRE_HASH_REQUEST && l->n_hash_asked < CONN_ASKED)
		l->hash_asked[l->n_hash_asked++] = m.span;
	if (m.id == WIRE_HASH_REJECT)
		l->hash_refused = m.span;
	if (m.id == WIRE_HASHES)
		line_check_hashes(l, &m);
	if (m.id == WIRE_EXTENDED) {
		buf_reset(&l->ext);
		buf_add(&l->ext, p + 1, len - 1);
	}
}

static inline void line_take(struct line *l)
{
	struct handshake hs;
	size_t at = 0;

	if (!l->is_greeted && l->in.len >= HANDSHAKE_BYTES) {
		conn_must(handshake_decode(l->in.data, &hs) == 0);
		l->is_greeted = true;
		at = HANDSHAKE_BYTES;
	}
	while (l->is_greeted && l->in.len - at >= 4) {
		uint32_t len = be32_get(l->in.data + at);

		conn_must(len <= 1 << 20);
		if (l->in.len - at - 4 < len)
			break;
		line_on_msg(l, l->in.data + at + 4, len);
		at += 4 + len;
	}
	buf_cut(&l->in, at);
}

static inline void line_close(struct line *l)
{
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
	buf_reset(&l->out);
}

/* True when something went either way. */
static inline bool line_pump(struct line *l)
{
	bool is_busy = false;
	ssize_t n;

	if (l->fd < 0)
		return false;
	n = recv(l->fd, buf_room(&l->in, 64 << 10), 64 << 10, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		line_close(l);
		return true;
	}
	if (n > 0) {
		buf_took(&l->in, (size_t)n);
		line_take(l);
		is_busy = true;
	}
	if (l->out.len == 0)
		return is_busy;
	n = send(l->fd, l->out.data, l->out.len, MSG_NOSIGNAL);
	if (n > 0)
		buf_cut(&l->out, (size_t)n);
	return n > 0 || is_busy;
}

/* ---- time ---- */

static void conn_on_tick(void *arg)
{
	struct conn *c = arg;
	bool is_busy = workers_pending(c->workers) > 0 ||
		       (c->is_stopping && !c->is_stopped);

	for (unsigned i = 0; i < CONN_LINES; i++)
		is_busy |= line_pump(&c->lines[i]);
	c->n_quiet = is_busy ? 0 : c->n_quiet + 1;
	if (c->n_quiet >= CONN_QUIET)
		loop_stop(c->loop);
	else
		loop_defer(c->loop, &c->tick);
}

static inline void conn_settle(struct conn *c)
{
	c->n_quiet = 0;
	loop_defer(c->loop, &c->tick);
	conn_must(loop_run(c->loop) == 0);
}

/* ---- what it holds ---- */

static inline uint32_t conn_piece_bytes(const struct conn *c, uint32_t ix)
{
	return ix + 1 < CONN_PIECES ? c->piece_bytes : CONN_LAST_BYTES;
}

static void conn_on_open(void *arg, int err, struct store_torrent *st,
			 const struct bits *held)
{
	struct conn *c = arg;

	(void)held;
	conn_must(err == 0);
	c->filling = st;
}

static void conn_on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	(void)arg;
	(void)ix;
	(void)phase;
	conn_must(err == 0);
}

static inline void conn_fill(struct conn *c, unsigned flags)
{
	conn_must(store_open(c->store, c->mi, conn_on_open, c) == 0);
	conn_settle(c);
	for (uint32_t ix = 0; ix < CONN_PIECES; ix++) {
		struct blk *b;

		if ((flags &
		     (ix % 2 == 0 ? CONN_HOLDS_EVEN : CONN_HOLDS_ODD)) == 0)
			continue;
		b = blk_new(c->pool, conn_piece_bytes(c, ix));
		conn_must(b != NULL);
		memcpy(b->data, c->content + (size_t)ix * c->piece_bytes,
		       conn_piece_bytes(c, ix));
		conn_must(store_put(c->filling, ix, b, conn_on_put, c) == 0);
		blk_drop(b);
	}
	conn_settle(c);
	store_close(c->filling);
}

/* ---- the torrent ---- */

/* The tree of seven leaves, and of one that is not there. */
static inline void conn_make_tree(struct conn *c)
{
	unsigned n = CONN_LEAVES;

	for (uint32_t i = 0; i * WIRE_BLOCK_BYTES < c->total_bytes; i++) {
		uint32_t left = c->total_bytes - i * WIRE_BLOCK_BYTES;

		hasher_once(c->hasher, HASH_SHA256,
			    c->content + (size_t)i * WIRE_BLOCK_BYTES,
			    left < WIRE_BLOCK_BYTES ? left : WIRE_BLOCK_BYTES,
			    c->tree[0][i]);
	}
	for (unsigned level = 1; level < 4; level++) {
		n /= 2;
		for (unsigned i = 0; i < n; i++)
			hasher_once(c->hasher, HASH_SHA256,
				    c->tree[level - 1][2 * i],
				    2 * HASH_SHA256_BYTES, c->tree[level][i]);
	}
}

/* A v2 .torrent, or a hybrid: keys in their order. */
static inline void conn_encode_v2(struct conn *c, bool has_v1)
{
	uint8_t v1[HASH_SHA1_BYTES];
	struct buf *out = &c->file;

	buf_addf(out,
		 "d4:infod9:file treed11:content.bind0:d6:lengthi%ue"
		 "11:pieces root32:",
		 c->total_bytes);
	buf_add(out, c->tree[3][0], HASH_SHA256_BYTES);
	buf_addf(out, "eee");
	if (has_v1)
		buf_addf(out, "6:lengthi%ue", c->total_bytes);
	buf_addf(out,
		 "12:meta versioni2e4:name11:content.bin"
		 "12:piece lengthi%ue",
		 c->piece_bytes);
	if (has_v1)
		buf_addf(out, "6:pieces%u:", HASH_SHA1_BYTES * CONN_PIECES);
	for (uint32_t ix = 0; has_v1 && ix < CONN_PIECES; ix++) {
		hasher_once(c->hasher, HASH_SHA1,
			    c->content + (size_t)ix * c->piece_bytes,
			    conn_piece_bytes(c, ix), v1);
		buf_add(out, v1, sizeof(v1));
	}
	buf_addf(out, "e12:piece layersd32:");
	buf_add(out, c->tree[3][0], HASH_SHA256_BYTES);
	buf_addf(out, "%u:", HASH_SHA256_BYTES * CONN_PIECES);
	buf_add(out, c->tree[1], HASH_SHA256_BYTES * CONN_PIECES);
	buf_addf(out, "ee");
}

static inline void conn_encode_v1(struct conn *c)
{
	static const char *const path[] = {"content.bin"};
	struct mi_source_file file = {
		.path = path, .n_path = 1, .len_bytes = CONN_TOTAL};
	uint8_t hashes[20 * CONN_PIECES];
	struct mi_source src = {.name = "content.bin",
				.is_single = true,
				.files = &file,
				.n_files = 1,
				.piece_bytes = CONN_PIECE_BYTES,
				.n_pieces = CONN_PIECES,
				.v1_hashes = hashes};

	for (uint32_t ix = 0; ix < CONN_PIECES; ix++)
		hasher_once(c->hasher, HASH_SHA1,
			    c->content + (size_t)ix * c->piece_bytes,
			    conn_piece_bytes(c, ix), hashes + 20u * ix);
	conn_must(metainfo_encode(&src, &c->file) == 0);
}

static inline void conn_make_torrent(struct conn *c, unsigned flags)
{
	bool is_v2 = (flags & CONN_V2) != 0;
	struct mi_error err;

	c->piece_bytes = is_v2 ? CONN_V2_PIECE_BYTES : CONN_PIECE_BYTES;
	c->total_bytes = is_v2 ? CONN_V2_TOTAL : CONN_TOTAL;
	/* Readable in a corpus file: the last piece can be written there. */
	for (uint32_t i = 0; i < c->total_bytes; i++)
		c->content[i] = (uint8_t)('a' + (i / 7 + i) % 26);
	conn_make_tree(c);
	if (is_v2)
		conn_encode_v2(c, (flags & CONN_V1) != 0);
	else
		conn_encode_v1(c);
	conn_must(metainfo_parse_file(c->file.data, c->file.len, c->hasher,
				      &c->mi, &err) == 0);
}

static inline void conn_add_torrent(struct conn *c, unsigned flags)
{
	bool is_magnet = (flags & CONN_MAGNET) != 0;
	struct engine_source src = {0};
	struct mi_error err;
	char *link;

	if (is_magnet) {
		link = magnet_format(&c->mi->id, NULL, NULL, 0, NULL, 0);
		conn_must(magnet_parse(link, &src.magnet, &err) == 0);
		mem_free(link);
	} else if ((flags & CONN_BARE) == 0) {
		conn_must(metainfo_parse_file(c->file.data, c->file.len,
					      c->hasher, &src.mi, &err) == 0);
	} else {
		conn_must(metainfo_parse_info(c->mi->info.ptr, c->mi->info.len,
					      &c->mi->id, c->hasher, &src.mi,
					      &err) == 0);
	}
	conn_must(engine_add(c->engine, src, &c->t) == 0);
	conn_settle(c);
	/* The store remembers the metadata of what it was filled with. */
	conn_must(torrent_state(c->t) == (is_magnet && c->filling == NULL
						  ? TORRENT_META
						  : TORRENT_READY));
}

/* ---- begin and end ---- */

static void conn_on_event(void *arg, struct torrent *t)
{
	(void)arg;
	(void)t;
}

static const struct engine_ops conn_ops = {.on_ready = conn_on_event,
					   .on_failed = conn_on_event};

static inline void conn_begin_engine(struct conn *c)
{
	struct addr any;
	char why[160];
	struct engine_cfg cfg = {.loop = c->loop,
				 .workers = c->workers,
				 .names = c->workers,
				 .store = c->store,
				 .pool = c->pool,
				 .ops = &conn_ops,
				 .arg = c,
				 .bind_to = &any,
				 .unverified_bytes = 1 << 20,
				 .recent_bytes = 64 << 10};

	conn_must(addr_parse(&any, "127.0.0.1:0") == 0);
	conn_must(engine_new(&cfg, &c->engine, why) == 0);
}

/* conn_begin — `flags` of conn_flags. */
static inline struct conn *conn_begin(unsigned flags)
{
	struct conn *c = mem_new(struct conn);

	conn_must(c != NULL && loop_new(&c->loop) == 0 &&
		  workers_new(c->loop, 1, "hash", &c->workers) == 0 &&
		  blk_pool_new(1 << 20, &c->pool) == 0 &&
		  hasher_new(&c->hasher) == 0 &&
		  store_mem_new(c->loop, 1 << 20, &c->store) == 0);
	loop_task_init(&c->tick, conn_on_tick, c);
	for (unsigned i = 0; i < CONN_LINES; i++) {
		c->lines[i].c = c;
		c->lines[i].fd = -1;
	}
	conn_make_torrent(c, flags);
	if ((flags & (CONN_HOLDS_EVEN | CONN_HOLDS_ODD)) != 0)
		conn_fill(c, flags);
	conn_begin_engine(c);
	conn_add_torrent(c, flags);
	return c;
}

static void conn_on_stopped(void *arg)
{
	((struct conn *)arg)->is_stopped = true;
}

static inline void conn_end(struct conn *c)
{
	c->is_stopping = true;
	engine_stop(c->engine, 2000, conn_on_stopped, c);
	conn_settle(c);
	engine_free(c->engine);
	store_free(c->store);
	for (unsigned i = 0; i < CONN_READS; i++)
		conn_must(c->reads[i].rd == NULL);
	for (unsigned i = 0; i < CONN_LINES; i++) {
		line_close(&c->lines[i]);
		buf_fini(&c->lines[i].in);
		buf_fini(&c->lines[i].out);
		buf_fini(&c->lines[i].ext);
	}
	conn_dialled = NULL;
	conn_is_mute = false;
	while (conn_n_mute > 0)
		(void)close(conn_mute[--conn_n_mute]);
	workers_free(c->workers);
	hasher_free(c->hasher);
	metainfo_free(c->mi);
	buf_fini(&c->file);
	conn_must(blk_pool_live_bytes(c->pool) == 0);
	blk_pool_free(c->pool);
	loop_free(c->loop);
	mem_free(c);
}

/* ---- reads ---- */

static void conn_on_read(void *arg, int err, const struct iovec *iov,
			 unsigned n_iov)
{
	struct conn_read *r = arg;
	uint64_t at = r->off_bytes;

	r->rd = NULL;
	r->is_done = true;
	for (unsigned i = 0; err == 0 && i < n_iov; i++) {
		conn_must(memcmp(iov[i].iov_base, r->c->content + at,
				 iov[i].iov_len) == 0);
		at += iov[i].iov_len;
	}
	conn_must(err != 0 || at == r->off_bytes + r->len_bytes);
}

static inline void conn_read(struct conn *c, unsigned ix, uint64_t off_bytes,
			     uint32_t len_bytes)
{
	struct conn_read *r = &c->reads[ix];

	conn_must(r->rd == NULL);
	*r = (struct conn_read){
		.c = c, .off_bytes = off_bytes, .len_bytes = len_bytes};
	conn_must(torrent_read_start(c->t, off_bytes, len_bytes, conn_on_read,
				     r, &r->rd) == 0);
}

/* ---- peers ---- */

static inline struct addr line_addr(const struct line *l)
{
	static const char *const hosts[CONN_LINES] = {
		"198.51.100.1:6881", "198.51.100.2:6882", "198.51.100.3:6883"};
	struct addr a;

	conn_must(addr_parse(&a, hosts[l - l->c->lines]) == 0);
	return a;
}

static inline void line_come(struct line *l)
{
	struct addr from = line_addr(l);
	int pair[2];

	line_open(l, pair);
	incoming_on_accept(l->c->engine->incoming, pair[1], &from);
}

static inline void line_dialled(struct line *l)
{
	struct addr at = line_addr(l);

	conn_dialled = l;
	conn_must(swarm_add_addr(l->c->t->swarm, &at) == 0);
	conn_settle(l->c);
	conn_dialled = NULL;
}

static inline void line_put_handshake(struct line *l, bool has_fast,
				      bool has_ext)
{
	struct handshake hs = {.has_fast = has_fast, .has_ext = has_ext};
	const struct torrent_id *id = &l->c->t->id;
	uint8_t raw[HANDSHAKE_BYTES];

	memcpy(hs.info_hash,
	       id->v2.len != 0 && !l->is_v1 ? id->v2.bytes
					    : torrent_id_wire(id),
	       sizeof(hs.info_hash));
	memset(hs.peer_id, 'a' + (int)(l - l->c->lines), sizeof(hs.peer_id));
	handshake_encode(&hs, raw);
	buf_add(&l->out, raw, sizeof(raw));
}

/* The block itself, or one of which a byte is wrong. */
static inline void line_put_piece(struct line *l, const struct wire_block *b,
				  bool is_right)
{
	uint64_t at =
		(uint64_t)b->piece_ix * l->c->piece_bytes + b->begin_bytes;
	uint8_t hdr[WIRE_PIECE_HEADER];

	conn_must(at + b->len_bytes <= l->c->total_bytes && b->len_bytes > 0);
	wire_encode_piece_header(hdr, b);
	buf_add(&l->out, hdr, sizeof(hdr));
	buf_add(&l->out, l->c->content + at, b->len_bytes);
	if (!is_right)
		l->out.data[l->out.len - 1] ^= 1;
}

/* The answer to a request of the engine's, with one hash changed unless it is
 * to be right. */
static inline void line_put_hashes(struct line *l, const struct wire_hashes *h,
				   bool is_right)
{
	uint8_t hashes[16 * HASH_SHA256_BYTES];
	unsigned n = conn_hashes(l->c, h, hashes);

	conn_must(n > 0);
	if (!is_right)
		hashes[7] ^= 1;
	wire_put_hashes(&l->out, h, hashes, n);
}

static inline bool line_take_hash_asked(struct line *l, struct wire_hashes *h)
{
	if (l->n_hash_asked == 0)
		return false;
	*h = l->hash_asked[0];
	l->n_hash_asked--;
	memmove(l->hash_asked, l->hash_asked + 1,
		l->n_hash_asked * sizeof(l->hash_asked[0]));
	return true;
}

/* The oldest of what we were asked for. */
static inline bool line_take_asked(struct line *l, struct wire_block *b)
{
	if (l->n_asked == 0)
		return false;
	*b = l->asked[0];
	l->n_asked--;
	memmove(l->asked, l->asked + 1, l->n_asked * sizeof(l->asked[0]));
	return true;
}

static inline void line_put_metadata(struct line *l)
{
	struct ext_metadata m = {.type = EXT_METADATA_DATA,
				 .total_bytes = (uint32_t)l->c->mi->info.len,
				 .data = l->c->mi->info};
	struct buf body = {0};

	ext_put_metadata(&body, &m);
	wire_put_extended(&l->out, EXT_ID_UT_METADATA, buf_span(&body));
	buf_fini(&body);
}

#endif
