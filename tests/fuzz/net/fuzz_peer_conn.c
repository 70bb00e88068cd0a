/* A peer says anything at all, from the first byte of its handshake on: the
 * engine lives, gives nobody a wrong byte, and leaves nothing behind.
 *
 * The first byte of an input chooses the stage. The others are what the peer
 * sends, as they are on the wire; but ESCAPE and a byte stand for what a
 * mutation would never find: to wait for the answer, to send the very block
 * that was asked for, the right metadata, to be another peer. */
#include "core/log.h"
#include "tests/lib/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum stage {
	STAGE_MAGNET = 1,
	STAGE_DIALLED = 2,
	STAGE_RAW = 4,	  /* the input has its own handshake */
	STAGE_PLAIN = 8,  /* no BEP 6 */
	STAGE_BARE = 16,  /* no BEP 10 */
	STAGE_READS = 32, /* somebody waits for bytes */
	STAGE_EVEN = 64,  /* pieces are held */
	STAGE_ODD = 128,
};

enum { ESCAPE = 0xf5 };

enum escape {
	DO_LITERAL,
	DO_SETTLE,
	DO_SERVE,
	DO_SERVE_WRONG,
	DO_REJECT,
	DO_SERVE_ALL,
	DO_METADATA,
	DO_NEXT_PEER,
	DO_ZEROS, /* and a byte: how many, times 64 */
	DO_CLOSE,
	DO_CANCEL_READ,
	DO_HALF, /* of the block that was asked for */
	DO_PIN,	 /* all is wanted, and nobody waits for it */
	DO_N,
};

struct play {
	struct conn *c;
	struct line *l;
	unsigned stage;
	bool has_read;
};

static void begin_reads(struct play *play)
{
	if (play->has_read || (play->stage & STAGE_READS) == 0 ||
	    torrent_state(play->c->t) != TORRENT_READY)
		return;
	play->has_read = true;
	conn_read(play->c, 0, 5, CONN_PIECE_BYTES);
	conn_read(play->c, 1, CONN_TOTAL - CONN_LAST_BYTES, CONN_LAST_BYTES);
}

static void settle(struct play *play)
{
	conn_settle(play->c);
	begin_reads(play);
}

static void open_line(struct play *play)
{
	if (play->l->was_opened)
		return;
	if ((play->stage & STAGE_DIALLED) != 0)
		line_dialled(play->l);
	else
		line_come(play->l);
	if ((play->stage & STAGE_RAW) == 0)
		line_put_handshake(play->l, (play->stage & STAGE_PLAIN) == 0,
				   (play->stage & STAGE_BARE) == 0);
}

static void serve(struct play *play, enum escape how)
{
	struct wire_block b;

	settle(play);
	while (line_take_asked(play->l, &b)) {
		if (how == DO_REJECT)
			wire_put_block(&play->l->out, WIRE_REJECT, &b);
		else
			line_put_piece(play->l, &b, how != DO_SERVE_WRONG);
		if (how == DO_HALF)
			play->l->out.len -= b.len_bytes / 2;
		if (how != DO_SERVE_ALL)
			break;
	}
}

static void next_peer(struct play *play)
{
	struct line *lines = play->c->lines;

	settle(play);
	play->l = &lines[(play->l - lines + 1) % CONN_LINES];
	open_line(play);
}

static void cancel_read(struct play *play)
{
	struct conn_read *r = &play->c->reads[0];

	if (r->rd != NULL)
		torrent_read_cancel(r->rd);
	r->rd = NULL;
}

/* How many bytes behind the escape's were its own. */
static size_t escape(struct play *play, enum escape what, const uint8_t *p,
		     size_t len)
{
	static const uint8_t zeros[64];

	switch (what) {
	case DO_SETTLE:
		settle(play);
		break;
	case DO_SERVE:
	case DO_SERVE_WRONG:
	case DO_REJECT:
	case DO_SERVE_ALL:
	case DO_HALF:
		serve(play, what);
		break;
	case DO_METADATA:
		settle(play);
		line_put_metadata(play->l);
		break;
	case DO_NEXT_PEER:
		next_peer(play);
		break;
	case DO_ZEROS:
		for (unsigned i = 0; len > 0 && i < p[0]; i++)
			buf_add(&play->l->out, zeros, sizeof(zeros));
		return len > 0;
	case DO_CLOSE:
		settle(play);
		line_close(play->l);
		break;
	case DO_CANCEL_READ:
		cancel_read(play);
		break;
	case DO_PIN:
		settle(play);
		if (torrent_state(play->c->t) == TORRENT_READY)
			(void)torrent_pin(play->c->t, 0);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct play play = {0};

	if (len < 1)
		return 0;
	log_open("fuzz", LOG_SINK_STDERR, LOG_LEVEL_ERR);
	play.stage = data[0];
	play.c = conn_begin(
		((play.stage & STAGE_MAGNET) != 0 ? CONN_MAGNET : 0u) |
		((play.stage & STAGE_EVEN) != 0 ? CONN_HOLDS_EVEN : 0u) |
		((play.stage & STAGE_ODD) != 0 ? CONN_HOLDS_ODD : 0u));
	play.l = &play.c->lines[0];
	begin_reads(&play);
	open_line(&play);
	run(&play, data + 1, len - 1);
	conn_end(play.c);
	return 0;
}
