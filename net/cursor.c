/* cursor — one reader's read-ahead window on a torrent's pieces.
 *
 * The window is a range of pieces that are counted in fetch.c. Moving it adds
 * what is new before it takes out what is old, so that nothing in both is
 * ever unwanted in between; what is in both is not touched, for a long window
 * moves in short steps. Without memory the window ends early: read-ahead is a
 * courtesy.
 *
 * Where parts of pieces can be right (fetch_takes_parts) a window's ends are
 * not rounded to pieces: of a piece of 16 MiB the reader may want a few KiB.
 *
 * A cursor outlives its torrent's READY state: after that it counts nothing.
 * The owner closes it before the torrent is freed. */
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/torrent.h"
#include "net/torrent_internal.h"

enum { READER_BYTES_PER_US = 8 };

/* An end of a window in the middle of a piece: what of it the window covers. */
struct edge {
	struct fetch_part part;
	uint32_t ix;
	bool is_in;
};

struct cursor {
	struct torrent *t;   /* Owner: the layer above; t outlives it */
	uint32_t first, end; /* pieces counted: [first, end) */
	uint64_t due_us;     /* the last one's */
	struct edge edge[2]; /* of pieces that are not in them */
};

int cursor_open(struct torrent *t, struct cursor **out)
{
	struct cursor *c = mem_new(struct cursor);

	if (c == NULL)
		return ENOMEM;
	c->t = t;
	*out = c;
	return 0;
}

static uint32_t clamp(uint32_t x, uint32_t low, uint32_t high)
{
	return x < low ? low : x > high ? high : x;
}

/* Counts [from, to) in a window that begins at `first`; where it stopped. A
 * piece is due when a reader of READER_BYTES_PER_US gets there, but not before
 * those in front of it: of one who is quicker, the pieces that are added as he
 * moves on would be due before those that were there. */
static uint32_t add(struct cursor *c, uint32_t first, uint32_t from,
		    uint32_t to)
{
	uint64_t piece_bytes = c->t->mi->piece_bytes;
	uint64_t now_us = loop_now_us(c->t->e->cfg.loop), us;
	uint32_t ix;

	for (ix = from; ix < to; ix++) {
		us = now_us + (ix - first) * piece_bytes / READER_BYTES_PER_US;
		if (us > c->due_us)
			c->due_us = us;
		if (fetch_add_window(c->t->fetch, ix, c->due_us) != 0)
			break;
	}
	return ix;
}

static void del(struct cursor *c, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		fetch_del_window(c->t->fetch, from);
}

/* ---- a window's ends ---- */

/* An end of the window that covers a part of its piece; len_bytes 0: none. */
static void set_edge(struct cursor *c, struct edge *e, uint32_t ix,
		     const struct fetch_part *to)
{
	struct fetch *f = c->t->fetch;
	struct edge old = *e;

	if (e->is_in && to->len_bytes > 0 && e->ix == ix) {
		fetch_move_edge(f, ix, &e->part, to->at_bytes, to->len_bytes);
		return;
	}
	if (e->is_in)
		fetch_del_edge(f, old.ix, &e->part);
	*e = (struct edge){.ix = ix, .part = *to};
	e->is_in = to->len_bytes > 0 &&
		   fetch_add_edge(f, ix, &e->part, c->due_us) == 0;
}

static void move_to(struct cursor *c, uint32_t first, uint32_t end,
		    const struct fetch_part edge[2], const uint32_t edge_ix[2])
{
	uint32_t old_first = c->first, old_end = c->end, at;
	uint32_t kept = clamp(old_first, first, end); /* [kept, kept_end): */
	uint32_t kept_end = clamp(old_end, kept, end);

	if (first < old_first || kept == kept_end)
		c->due_us = 0; /* it does not go on where it was */
	at = add(c, first, first, kept);
	if (at == kept)
		at = add(c, first, kept_end, end);
	c->first = first;
	c->end = at;
	for (unsigned i = 0; i < 2; i++)
		set_edge(c, &c->edge[i], edge_ix[i], &edge[i]);
	del(c, old_first, clamp(first, old_first, old_end));
	del(c, clamp(at, old_first, old_end), old_end);
}

static void move_off(struct cursor *c)
{
	static const struct fetch_part none[2];
	static const uint32_t nowhere[2];

	move_to(c, 0, 0, none, nowhere);
}

/* The window's pieces; where parts count, those that it covers whole, and its
 * ends. */
static void move_over(struct cursor *c, uint64_t off_bytes, uint64_t len_bytes)
{
	uint32_t piece_bytes = c->t->mi->piece_bytes;
	uint64_t last = off_bytes + len_bytes - 1;
	uint32_t first = (uint32_t)(off_bytes / piece_bytes);
	uint32_t end = (uint32_t)(last / piece_bytes) + 1;
	uint32_t head = (uint32_t)(off_bytes % piece_bytes);
	uint32_t tail = (uint32_t)(last % piece_bytes) + 1;
	struct fetch_part edge[2] = {{.len_bytes = 0}, {.len_bytes = 0}};
	const uint32_t edge_ix[2] = {first, end - 1};

	if (fetch_takes_parts(c->t->fetch)) {
		if (first + 1 == end && (head > 0 || tail < piece_bytes)) {
			edge[0].at_bytes = head;
			edge[0].len_bytes = tail - head;
			end = first;
		} else {
			if (head > 0) {
				edge[0].at_bytes = head;
				edge[0].len_bytes = piece_bytes - head;
				first++;
			}
			if (tail < piece_bytes && end > first) {
				edge[1].len_bytes = tail;
				end--;
			}
		}
	}
	move_to(c, first, end, edge, edge_ix);
}

void cursor_set(struct cursor *c, uint64_t off_bytes, uint64_t len_bytes)
{
	struct torrent *t = c->t;

	if (t->state != TORRENT_READY)
		return;
	if (off_bytes >= t->mi->total_bytes || len_bytes == 0) {
		move_off(c);
		return;
	}
	if (len_bytes > t->mi->total_bytes - off_bytes)
		len_bytes = t->mi->total_bytes - off_bytes;
	move_over(c, off_bytes, len_bytes);
}

void cursor_close(struct cursor *c)
{
	if (c == NULL)
		return;
	if (c->t->state == TORRENT_READY)
		move_off(c);
	mem_free(c);
}
