/* viewers — somebody watches: reads in order, as fast as the player's buffer
 * empties, through fs/ahead's window and the picker's two classes, with the
 * deadlines of net/fetch: in order. With `scatter` a piece that far ahead
 * may come that many times later, so that viewers at one place do not all want
 * the same of the seed.
 *
 * With `places` each begins at a place of its own, that many of them in the
 * first half, and watches half of the file.
 *
 * The player reads CHUNK bytes at a time until it has BUFFER_S seconds ahead of
 * the picture. It starts when it has START_S seconds, takes a chunk each time
 * one has been played, and stalls when there is none. */
#include "core/mem.h"
#include "fs/ahead.h"
#include "tests/sim/world.h"

#include <stdlib.h>

enum {
	CHUNK = 64 << 10,
	BUFFER_S = 2,
	START_S = 1,
	READER_BYTES_PER_US = 8,
};

struct sim_viewer {
	struct ahead ahead;
	uint64_t from_bytes, end_bytes; /* what it watches */
	uint64_t read_bytes;		/* in the player: up to there … */
	uint64_t played_bytes;		/* … and shown: up to there */
	uint64_t asked_bytes;		/* up to here ahead knows of reads */
	uint32_t window_ix, window_end; /* pieces wanted ahead */
	uint64_t start_us, stalled_us, stall_us;
	uint32_t n_stalls;
};

void viewer_free(struct sim_viewer *v)
{
	mem_free(v);
}

uint64_t viewer_start_us(const struct sim_viewer *v)
{
	return v->start_us;
}

uint64_t viewer_stall_us(const struct sim_viewer *v, uint64_t now_us)
{
	return v->stall_us + (v->stalled_us ? now_us - v->stalled_us : 0);
}

uint32_t viewer_stalls(const struct sim_viewer *v)
{
	return v->n_stalls;
}

uint64_t viewer_played_bytes(const struct sim_viewer *v)
{
	return v->played_bytes - v->from_bytes;
}

uint64_t viewer_read_bytes(const struct sim_viewer *v)
{
	return v->read_bytes - v->from_bytes;
}

/* Whole pieces, for places are. */
static void find_place(const struct world *w, const struct sim_peer *p,
		       struct sim_viewer *v)
{
	uint32_t n = w->cfg.n_pieces, first = 0, half = n;

	if (w->cfg.places > 0) {
		half = n / 2;
		first = (p->ix - 1) % w->cfg.places * half / w->cfg.places;
	}
	v->from_bytes = (uint64_t)first * w->cfg.piece_bytes;
	v->end_bytes = v->from_bytes + (uint64_t)half * w->cfg.piece_bytes;
	v->read_bytes = v->played_bytes = v->asked_bytes = v->from_bytes;
}

static void want_window(struct world *w, struct sim_peer *p)
{
	struct sim_viewer *v = p->viewer;
	uint32_t piece = w->cfg.piece_bytes;
	uint32_t first = (uint32_t)(v->ahead.from_bytes / piece);
	uint32_t end = (uint32_t)((v->ahead.from_bytes + v->ahead.window_bytes +
				   piece - 1) /
				  piece);
	uint32_t ix = v->window_end > first ? v->window_end : first;

	for (; ix < end; ix++) {
		uint64_t ahead_us =
			(uint64_t)(ix - first) * piece / READER_BYTES_PER_US;

		ahead_us += rng_below(&w->rng, ahead_us * w->cfg.scatter + 1);
		if (!bits_has(&p->have, ix) &&
		    picker_class(p->picker, ix) == WANT_NONE &&
		    picker_want(p->picker, ix, WANT_WINDOW,
				w->now_us + ahead_us) != 0)
			abort();
	}
	v->window_end = end > v->window_end ? end : v->window_end;
}

static void ask_read(struct world *w, struct sim_peer *p, uint32_t ix)
{
	struct sim_viewer *v = p->viewer;
	struct ahead_net net = {
		.rate_Bps = rate_meter_Bps(&p->down, w->now_us),
		.rtt_us = 50000,
		.piece_bytes = w->cfg.piece_bytes,
	};

	if (!bits_has(&p->have, ix) &&
	    picker_class(p->picker, ix) != WANT_URGENT &&
	    picker_want(p->picker, ix, WANT_URGENT, w->now_us) != 0)
		abort();
	if (v->asked_bytes > v->read_bytes)
		return;
	v->asked_bytes = v->read_bytes + CHUNK;
	if (ahead_on_read(&v->ahead, v->read_bytes, CHUNK, v->end_bytes, &net))
		want_window(w, p);
}

static void next_play(struct world *w, struct sim_peer *p)
{
	events_add(&w->q, (struct event){.at_us = w->now_us +
						  (uint64_t)CHUNK * 1000000 /
							  w->cfg.bitrate_Bps,
					 .kind = EV_PLAY,
					 .peer = p->ix});
}

static void show(struct world *w, struct sim_peer *p)
{
	struct sim_viewer *v = p->viewer;

	if (v->stalled_us != 0)
		v->stall_us += w->now_us - v->stalled_us;
	v->stalled_us = 0;
	v->played_bytes += CHUNK;
	if (v->played_bytes < v->end_bytes)
		next_play(w, p);
}

static void read_on(struct world *w, struct sim_peer *p)
{
	struct sim_viewer *v = p->viewer;
	uint64_t most = w->cfg.bitrate_Bps * BUFFER_S;

	while (v->read_bytes < v->end_bytes &&
	       v->read_bytes - v->played_bytes < most) {
		uint32_t ix = (uint32_t)(v->read_bytes / w->cfg.piece_bytes);

		ask_read(w, p, ix);
		if (!bits_has(&p->have, ix))
			break;
		v->read_bytes += CHUNK;
		if (v->stalled_us != 0)
			show(w, p);
	}
	if (v->start_us == 0 &&
	    v->read_bytes - v->from_bytes >= w->cfg.bitrate_Bps * START_S) {
		v->start_us = w->now_us;
		show(w, p);
	}
}

void viewer_start(struct world *w, struct sim_peer *p)
{
	p->viewer = sim_alloc(1, sizeof(*p->viewer));
	ahead_init(&p->viewer->ahead);
	find_place(w, p, p->viewer);
	read_on(w, p);
}

void viewer_on_piece(struct world *w, struct sim_peer *p, uint32_t ix)
{
	(void)ix;
	read_on(w, p);
}

void viewer_on_play(struct world *w, struct sim_peer *p)
{
	struct sim_viewer *v = p->viewer;

	if (v->played_bytes < v->read_bytes) {
		show(w, p);
		read_on(w, p);
		asks_pass(w, p);
	} else if (v->stalled_us == 0) {
		v->stalled_us = w->now_us;
		v->n_stalls++;
	}
}
