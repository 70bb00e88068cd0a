/* Peers say anything about hashes (BEP 52), to an engine with a v1, v2 or
 * hybrid torrent or a magnet of one, and anything else besides: it lives, tells
 * nobody a wrong hash or byte (conn.h looks), believes none, and leaves nothing
 * behind.
 *
 * The first byte of an input chooses the torrent. The others are what the peer
 * sends; ESCAPE and a byte stand for what a mutation would never find: a
 * message about a span of the torrent's own root, the right answer to what was
 * asked, leaves that a reader wants. */
#include "core/layers.h"
#include "core/log.h"
#include "net/hashget.h"
#include "tests/lib/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum stage {
	STAGE_V2 = 1,
	STAGE_V1 = 2, /* both: a hybrid */
	STAGE_MAGNET = 4,
	STAGE_BARE = 8, /* no piece layers */
	STAGE_EVEN = 16,
	STAGE_OLD = 32, /* the first peer knows v1's hash */
	STAGE_READS = 64,
	STAGE_LENDS = 128, /* the first peer has all and chokes nobody */
};

enum { ESCAPE = 0xf5 };

enum escape {
	DO_LITERAL,
	DO_SETTLE,
	DO_SPAN, /* id - 21, base, index, length, proof: a byte each */
	DO_WIDE, /* the same, in four bytes each */
	DO_HASHES,
	DO_HASHES_WRONG,
	DO_HASHES_CHANGED, /* and two bytes: where, and by what */
	DO_HASH_REJECT,
	DO_WANT, /* leaves: and a byte, the leaf */
	DO_SERVE,
	DO_SERVE_WRONG,
	DO_METADATA,
	DO_NEXT_PEER,
	DO_LEND,
	DO_CLOSE,
	DO_N,
};

struct play {
	struct conn *c;
	struct line *l;
	unsigned stage;
	bool has_read;
};

/* What is known must be so, whoever said it. */
static void check_known(const struct conn *c)
{
	uint8_t hash[HASH_SHA256_BYTES];

	if (c->t->layers == NULL)
		return;
	for (uint32_t i = 0; i < CONN_LEAVES; i++) {
		if (layers_piece(c->t->layers, i, hash))
			conn_must(memcmp(hash, c->tree[1][i], sizeof(hash)) ==
				  0);
		if (layers_leaf(c->t->layers, i / 2, i % 2, hash))
			conn_must(memcmp(hash, c->tree[0][i], sizeof(hash)) ==
				  0);
	}
}

static void settle(struct play *play)
{
	conn_settle(play->c);
	check_known(play->c);
	if (play->has_read || (play->stage & STAGE_READS) == 0 ||
	    torrent_state(play->c->t) != TORRENT_READY)
		return;
	play->has_read = true;
	conn_read(play->c, 0, 5, play->c->piece_bytes);
	conn_settle(play->c);
}

static void lend(struct play *play)
{
	wire_put_plain(&play->l->out, WIRE_HAVE_ALL);
	wire_put_plain(&play->l->out, WIRE_UNCHOKE);
}

static void open_line(struct play *play)
{
	if (play->l->was_opened)
		return;
	line_come(play->l);
	line_put_handshake(play->l, true, true);
}

static uint32_t number(const uint8_t **p, size_t *len, bool is_wide)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < (is_wide ? 4u : 1u) && *len > 0; i++) {
		v = v << 8 | **p;
		(*p)++;
		(*len)--;
	}
	return v;
}

/* How many bytes it took. */
static size_t put_span(struct play *play, const uint8_t *p, size_t len,
		       bool is_wide)
{
	size_t had = len;
	enum wire_id id = WIRE_HASH_REQUEST + number(&p, &len, false) % 3;
	struct wire_hashes h = {.base = number(&p, &len, is_wide)};
	uint8_t hashes[16 * HASH_SHA256_BYTES] = {0};
	unsigned n;

	h.index = number(&p, &len, is_wide);
	h.length = number(&p, &len, is_wide);
	h.proof_layers = number(&p, &len, is_wide);
	memcpy(h.root, play->c->tree[3][0], sizeof(h.root));
	n = conn_hashes(play->c, &h, hashes);
	if (id == WIRE_HASHES)
		wire_put_hashes(&play->l->out, &h, hashes, n == 0 ? 3 : n);
	else
		wire_put_hash_span(&play->l->out, id, &h);
	return had - len;
}

static size_t answer(struct play *play, enum escape how, const uint8_t *p,
		     size_t len)
{
	struct wire_hashes h;
	struct buf *out = &play->l->out;

	settle(play);
	if (!line_take_hash_asked(play->l, &h))
		return 0;
	if (how == DO_HASH_REJECT) {
		wire_put_hash_span(out, WIRE_HASH_REJECT, &h);
		return 0;
	}
	line_put_hashes(play->l, &h, how != DO_HASHES_WRONG);
	if (how != DO_HASHES_CHANGED || len < 2)
		return 0;
	out->data[out->len - 1 - p[0] % out->len] ^= p[1];
	return 2;
}

static void serve(struct play *play, bool is_right)
{
	struct wire_block b;

	settle(play);
	if (line_take_asked(play->l, &b))
		line_put_piece(play->l, &b, is_right);
}

static size_t want(struct play *play, const uint8_t *p, size_t len)
{
	struct torrent *t = play->c->t;

	settle(play);
	if (len == 0)
		return 0;
	if (t->hashget != NULL && torrent_state(t) == TORRENT_READY)
		(void)hashget_want(t->hashget, p[0] / 2 % CONN_PIECES,
				   p[0] % 2 * WIRE_BLOCK_BYTES, p[0]);
	return 1;
}

static void next_peer(struct play *play)
{
	struct line *lines = play->c->lines;

	settle(play);
	play->l = &lines[(play->l - lines + 1) % CONN_LINES];
	open_line(play);
}

/* How many bytes behind the escape's were its own. */
static size_t escape(struct play *play, enum escape what, const uint8_t *p,
		     size_t len)
{
	switch (what) {
	case DO_SETTLE:
		settle(play);
		break;
	case DO_SPAN:
	case DO_WIDE:
		return put_span(play, p, len, what == DO_WIDE);
	case DO_HASHES:
	case DO_HASHES_WRONG:
	case DO_HASHES_CHANGED:
	case DO_HASH_REJECT:
		return answer(play, what, p, len);
	case DO_WANT:
		return want(play, p, len);
	case DO_SERVE:
	case DO_SERVE_WRONG:
		serve(play, what == DO_SERVE);
		break;
	case DO_METADATA:
		settle(play);
		line_put_metadata(play->l);
		break;
	case DO_NEXT_PEER:
		next_peer(play);
		break;
	case DO_LEND:
		lend(play);
		break;
	case DO_CLOSE:
		settle(play);
		line_close(play->l);
		break;
	case DO_LITERAL:
	case DO_N:
		buf_add_u8(&play->l->out, ESCAPE);
		break;
	}
	return 0;
}

static void run(struct play *play, const uint8_t *p, size_t len)
{
	while (len > 0) {
		size_t n = 1;

		if (p[0] != ESCAPE || len < 2)
			buf_add_u8(&play->l->out, p[0]);
		else
			n = 2 + escape(play, (enum escape)(p[1] % DO_N), p + 2,
				       len - 2);
		p += n;
		len -= n;
	}
	settle(play);
}

static unsigned flags_of(unsigned stage)
{
	unsigned flags = 0;

	if ((stage & STAGE_V2) != 0)
		flags |= CONN_V2;
	if ((stage & STAGE_V1) != 0)
		flags |= CONN_V1;
	if ((stage & STAGE_MAGNET) != 0)
		flags |= CONN_MAGNET;
	if ((stage & STAGE_BARE) != 0)
		flags |= CONN_BARE;
	if ((stage & STAGE_EVEN) != 0)
		flags |= CONN_HOLDS_EVEN;
	return flags;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct play play = {0};

	if (len < 1)
		return 0;
	log_open("fuzz", LOG_SINK_STDERR, LOG_LEVEL_ERR);
	play.stage = data[0];
	play.c = conn_begin(flags_of(play.stage));
	play.l = &play.c->lines[0];
	play.l->is_v1 = (play.stage & STAGE_OLD) != 0;
	open_line(&play);
	settle(&play);
	if ((play.stage & STAGE_LENDS) != 0)
		lend(&play);
	run(&play, data + 1, len - 1);
	if (play.c->reads[0].rd != NULL)
		torrent_read_cancel(play.c->reads[0].rd);
	play.c->reads[0].rd = NULL;
	conn_end(play.c);
	return 0;
}
