/* pace — see pace.h for what it is for.
 *
 * Happy path
 *   1. A pass has demand and peers with room: pace_assign asks the throttle.
 *   2. It gets bytes: so many blocks are picked and asked for; what is left
 *      over goes back. All were used: it asks again.
 *   3. It gets none: its turn comes later, in the order of the torrents'
 *      shares. The bytes wait in `down_given` for the pass at the turn's end.
 *
 * Paid. A source's `paid_bytes` are those that were counted when they were
 * asked for and have not come. It is one number, and nobody minds which block
 * they belong to: with what came it sums up to what was taken from the bucket,
 * at all times. When nothing is asked of the source any more it is given back.
 *
 * Deaf. Bytes that nobody paid for when they were asked make a debt: what was
 * out when a limit was set, late blocks that were given up and came after
 * all, what nobody asked for. While it is small others just ask later. When it
 * is past `most_debt` no peer is read from until half of it is made good.
 * That is our silence and not the peers': their clocks start anew then
 * (peer_ask_on_deaf). Web seeds cannot make one, for they are asked for little
 * at a time and what was longer ends when a limit is set (webseed_trim).
 *
 * Mood: the torrent that a read waits for may be served before others that only
 * read ahead, by a quarter of a second's worth; in the end it gets its share,
 * and a reader in one torrent cannot starve one in another. Torrents that want
 * something for their pins alone get what readers leave.
 *
 * Invariant: down_given is 0 but between a turn and the pass after it. */
#include "net/pace.h"

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/peerio.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/throttle.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"

enum {
	LUMP_MIN_BYTES = 4 * WIRE_BLOCK_BYTES,
	DEBT_MIN_BYTES = 4 * WIRE_BLOCK_BYTES,
	TURN_BYTES = 256 << 10, /* at most, if so many are there */
};

struct pace {
	struct engine *e; /* Owner: */
	struct throttle *th;
	struct loop_timer *hear;
	bool is_deaf;
};

bool pace_is_on(const struct engine *e)
{
	return throttle_Bps(e->pace->th) > 0;
}

bool pace_is_deaf(const struct engine *e)
{
	return e->pace->is_deaf;
}

uint64_t pace_lump_bytes(const struct engine *e)
{
	uint64_t lump = throttle_Bps(e->pace->th) / 8;

	if (lump > WEBSEED_RUN_MAX)
		return WEBSEED_RUN_MAX;
	return lump > LUMP_MIN_BYTES ? lump : LUMP_MIN_BYTES;
}

/* ---- deaf ---- */

static uint64_t most_debt(const struct pace *pc)
{
	return throttle_Bps(pc->th) / 4 + DEBT_MIN_BYTES;
}

static void pause_all(struct pace *pc, bool is_deaf)
{
	uint64_t now_us = loop_now_us(pc->e->cfg.loop);
	struct torrent *t;
	struct peer *p;

	pc->is_deaf = is_deaf;
	TAILQ_FOREACH (t, &pc->e->torrents, link) {
		TAILQ_FOREACH (p, &t->swarm->peers, link) {
			if (p->is_up)
				peerio_pause(p->io, is_deaf);
			if (!is_deaf)
				peer_ask_on_deaf(p, now_us);
		}
		swarm_kick(t->swarm);
	}
}

static void look_at_debt(struct pace *pc)
{
	uint64_t most = pc->is_deaf ? most_debt(pc) / 2 : most_debt(pc);
	bool is_deaf = throttle_debt(pc->th) > most;

	if (is_deaf != pc->is_deaf)
		pause_all(pc, is_deaf);
	if (is_deaf)
		loop_timer_start(pc->hear,
				 throttle_until_us(pc->th, most_debt(pc) / 2));
	else
		loop_timer_stop(pc->hear);
}

static void on_hear(void *arg)
{
	look_at_debt(arg);
}

/* ---- life ---- */

int pace_new(struct engine *e, struct pace **out)
{
	struct pace *pc = mem_new(struct pace);
	int r;

	if (pc == NULL)
		return ENOMEM;
	pc->e = e;
	r = throttle_new(e->cfg.loop, &pc->th);
	if (r == 0)
		r = loop_timer_new(e->cfg.loop, on_hear, pc, &pc->hear);
	if (r != 0) {
		pace_free(pc);
		return r;
	}
	*out = pc;
	return 0;
}

void pace_free(struct pace *pc)
{
	if (pc == NULL)
		return;
	loop_timer_free(pc->hear);
	throttle_free(pc->th);
	mem_free(pc);
}

void pace_set(struct pace *pc, uint64_t Bps)
{
	struct torrent *t;

	throttle_set(pc->th, Bps);
	look_at_debt(pc);
	TAILQ_FOREACH (t, &pc->e->torrents, link) {
		if (Bps > 0)
			webseed_trim(t->swarm, 2 * pace_lump_bytes(pc->e));
		swarm_kick(t->swarm);
	}
}

uint64_t pace_Bps(const struct pace *pc)
{
	return throttle_Bps(pc->th);
}

/* ---- a torrent's passes ---- */

static void give_back(struct swarm *sw)
{
	throttle_settle(sw->e->pace->th, &sw->down_turn, sw->down_given, 0);
	sw->down_given = 0;
}

static void on_turn(void *arg, uint32_t bytes)
{
	struct swarm *sw = arg;

	sw->down_given += bytes;
	if (sw->is_running)
		swarm_kick(sw);
	else
		give_back(sw);
}

void pace_init(struct swarm *sw)
{
	throttle_user_init(&sw->down_turn, throttle_root(sw->e->pace->th),
			   on_turn, sw);
}

void pace_stop(struct swarm *sw)
{
	throttle_leave(sw->e->pace->th, &sw->down_turn);
	give_back(sw);
}

static enum throttle_mood mood_of(enum want_class class)
{
	if (class == WANT_URGENT)
		return THROTTLE_HURRY;
	return class == WANT_WINDOW ? THROTTLE_CALM : THROTTLE_LAST;
}

static bool has_only_webs(const struct swarm *sw)
{
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->is_up && !p->choked_us)
			return false;
	return webseed_is_any_usable(sw);
}

/* Those of the last turn, or more. A web seed is better asked for much at a
 * time, and while there is no peer to ask it is: on credit, if need be. Beside
 * peers it gets what they leave, which piles up until it is asked. */
static uint32_t get_bytes(struct swarm *sw, enum want_class class)
{
	struct throttle *th = sw->e->pace->th;
	uint32_t bytes = sw->down_given, least = WIRE_BLOCK_BYTES;
	uint32_t most = TURN_BYTES;

	sw->down_given = 0;
	if (bytes > 0)
		return bytes;
	if (has_only_webs(sw))
		least = (uint32_t)pace_lump_bytes(sw->e);
	if (most < least)
		most = least;
	return throttle_ask(th, &sw->down_turn, least, most, mood_of(class));
}

static bool has_room(const struct pick_peer *peers, unsigned n_peers)
{
	unsigned i;

	for (i = 0; i < n_peers; i++)
		if (peers[i].room > 0)
			return true;
	return false;
}

/* Up to `bytes`, but one block in any case; the rest goes back. */
static unsigned assign_some(struct swarm *sw, struct pick_peer *peers,
			    unsigned n_peers, uint64_t now_us, uint32_t bytes,
			    struct pick *out, unsigned max)
{
	uint32_t used = 0;
	unsigned n, i;

	n = picker_assign(sw->picker, peers, n_peers, now_us, out, max);
	for (i = 0; i < n; i++)
		used += out[i].block.len_bytes;
	throttle_settle(sw->e->pace->th, &sw->down_turn, bytes, used);
	return n;
}

unsigned pace_assign(struct swarm *sw, struct pick_peer *peers,
		     unsigned n_peers, uint64_t now_us, struct pick *out,
		     unsigned max)
{
	unsigned n = 0, got, may;
	enum want_class class;
	uint32_t bytes;

	do {
		class = WANT_NONE;
		if (pace_is_on(sw->e) && has_room(peers, n_peers))
			class = picker_next_class(sw->picker);
		if (class == WANT_NONE) {
			/* No limit; or it only says when to look again. */
			give_back(sw);
			return n + assign_some(sw, peers, n_peers, now_us, 0,
					       out + n, max - n);
		}
		bytes = get_bytes(sw, class);
		if (bytes == 0)
			return n;
		may = bytes > WIRE_BLOCK_BYTES ? bytes / WIRE_BLOCK_BYTES : 1;
		if (may > max - n)
			may = max - n;
		got = assign_some(sw, peers, n_peers, now_us, bytes, out + n,
				  may);
		n += got;
	} while (got == may && n < max);
	return n;
}

bool pace_is_waiting(const struct swarm *sw)
{
	return sw->down_turn.share.is_waiting;
}

uint64_t pace_next_late_us(const struct swarm *sw)
{
	if (pace_is_waiting(sw))
		return UINT64_MAX;
	return picker_next_late_us(sw->picker);
}

/* ---- what became of it ---- */

void pace_on_ask(struct engine *e, uint64_t *paid, uint32_t bytes)
{
	if (pace_is_on(e))
		*paid += bytes;
}

void pace_on_gone(struct engine *e, uint64_t *paid, uint64_t bytes)
{
	if (bytes > *paid)
		bytes = *paid;
	if (bytes == 0)
		return;
	*paid -= bytes;
	throttle_take(e->pace->th, -(int64_t)bytes);
}

void pace_on_payload(struct engine *e, uint64_t *paid, uint32_t bytes)
{
	uint64_t of_paid = bytes < *paid ? bytes : *paid;

	*paid -= of_paid;
	if (of_paid == bytes || !pace_is_on(e))
		return;
	throttle_take(e->pace->th, (int64_t)(bytes - of_paid));
	if (!e->pace->is_deaf)
		look_at_debt(e->pace);
}

void pace_on_idle(struct engine *e, uint64_t *paid)
{
	pace_on_gone(e, paid, *paid);
}
