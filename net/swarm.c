/* swarm — the peers of one torrent, and the pass that gives them work.
 *
 * Words. Candidate: an address where a peer may be (addrbook.c). Pass: one
 * look at all demand and all peers, which asks for every block that can be
 * asked for now.
 *
 * The pass runs at the end of a turn in which something changed (swarm_kick):
 * new demand, a block, an unchoke, a HAVE, a lost peer, memory. There is no
 * tick; what depends on time alone (late blocks, stalled and held peers) has
 * the `wake` timer, set by each pass to the earliest of them.
 *
 *   1. Peers that stalled are snubbed and their blocks are free again; for a
 *      new reader the background's are taken back (giveway.c).
 *   2. Every peer that may be asked is described to the picker; its decisions
 *      become REQUESTs, which leave in one write for each peer.
 *      Hashes that are wanted (v2) are asked for behind them (hashget.c).
 *   3. Short of memory: pieces that are wanted less give theirs back
 *      (reclaim.c), and 2 runs again.
 *   4. Hungry and nobody to ask: the trackers hear of it.
 *
 * Ended peers stay in a list until the turn's end (`reap`), for they may be on
 * the call stack. Invariants: swarm_check. */
#include "net/swarm.h"

#include <assert.h>
#include <string.h>

#include "cache/pieces.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/announcer.h"
#include "net/bans.h"
#include "net/blame.h"
#include "net/crowd.h"
#include "net/custody.h"
#include "net/dialer.h"
#include "net/dialpace.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/giveway.h"
#include "net/gossip.h"
#include "net/hashget.h"
#include "net/intake.h"
#include "net/intake_joint.h"
#include "net/named.h"
#include "net/net_limits.h"
#include "net/opening.h"
#include "net/pace.h"
#include "net/parole.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/reclaim.h"
#include "net/slots.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/upgrade.h"
#include "net/upload.h"
#include "net/webseed.h"

enum {
	PICKS = 256, /* decisions fetched from the picker at a time */
	NOMEM_RETRY_US = 200000, /* nothing else would wake us */
	METER_SPAN_US = 4000000,
};

static void swarm_check(const struct swarm *sw)
{
#ifdef SHOAL_CHECKS
	unsigned n = 0, n_incoming = 0, n_dialing = 0;
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link) {
		assert(p->end == PEER_END_NONE && p->io != NULL);
		assert(p->n_released <= p->asks.n);
		n++;
		n_incoming += p->is_incoming;
		n_dialing += !p->is_up && !p->is_incoming;
	}
	assert(n == sw->n_peers && n_incoming == sw->n_incoming);
	assert(n_dialing == sw->n_dialing);
	if (sw->picker != NULL)
		picker_check(sw->picker);
#else
	(void)sw;
#endif
}

/* ---- life ---- */

static void on_pass(void *arg);

static void on_reap(void *arg)
{
	struct swarm *sw = arg;
	struct peer *p;

	while ((p = TAILQ_FIRST(&sw->ended)) != NULL) {
		TAILQ_REMOVE(&sw->ended, p, link);
		peer_free(p);
	}
}

static void on_wake(void *arg)
{
	swarm_kick(arg);
}

static void on_round(void *arg)
{
	slots_round(arg);
}

static int on_named(void *arg, const struct addr *addrs, unsigned n)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < n; i++)
		if (swarm_add_addr(arg, &addrs[i]) != 0)
			r = ENOMEM;
	return r;
}

static int make_parts(struct swarm *sw)
{
	int r = addrbook_new(&sw->book);

	if (r == 0)
		r = named_new(sw->loop, sw->e->cfg.names, on_named, sw,
			      &sw->named);
	if (r == 0)
		r = loop_timer_new(sw->loop, on_wake, sw, &sw->wake);
	if (r == 0)
		r = loop_timer_new(sw->loop, dialer_on_timer, sw, &sw->dial);
	if (r == 0)
		r = loop_timer_new(sw->loop, on_round, sw, &sw->round);
	if (r == 0)
		r = loop_timer_new(sw->loop, gossip_on_timer, sw, &sw->gossip);
	return r;
}

int swarm_new(struct torrent *t, struct swarm **out)
{
	struct swarm *sw = mem_new(struct swarm);
	uint64_t now_us;
	int r;

	if (sw == NULL)
		return ENOMEM;
	sw->t = t;
	sw->e = t->e;
	sw->loop = t->e->cfg.loop;
	now_us = loop_now_us(sw->loop);
	TAILQ_INIT(&sw->peers);
	TAILQ_INIT(&sw->ended);
	TAILQ_INIT(&sw->webs);
	loop_task_init(&sw->pass, on_pass, sw);
	loop_task_init(&sw->reap, on_reap, sw);
	pace_init(sw);
	upload_init(sw);
	rng_seed(&sw->rng, rng_u64());
	rate_meter_init(&sw->down, METER_SPAN_US, now_us);
	rate_meter_init(&sw->up, METER_SPAN_US, now_us);
	rate_line_init(&sw->line, now_us);
	r = make_parts(sw);
	if (r != 0) {
		swarm_free(sw);
		return r;
	}
	*out = sw;
	return 0;
}

void swarm_start(struct swarm *sw)
{
	if (sw->is_running)
		return;
	sw->is_running = true;
	named_start(sw->named);
	dialer_run(sw);
}

static bool open_segment(void *arg, uint32_t piece_ix, uint32_t at_bytes)
{
	struct swarm *sw = arg;

	return intake_open(sw->intake, piece_ix, at_bytes);
}

static enum picker_begin may_begin(void *arg, uint32_t piece_ix)
{
	struct swarm *sw = arg;

	return intake_may_begin(sw->intake, piece_ix);
}

static enum picker_fill fill_block(void *arg, const struct wire_block *b)
{
	struct swarm *sw = arg;

	return intake_fill(sw->intake, b);
}

static uint32_t segment_len(void *arg, uint32_t piece_ix)
{
	const struct swarm *sw = arg;

	return pieces_segment_bytes(sw->t->ps, piece_ix);
}

static uint32_t piece_len(void *arg, uint32_t piece_ix)
{
	const struct swarm *sw = arg;

	return metainfo_body_bytes(sw->t->mi, piece_ix);
}

int swarm_on_ready(struct swarm *sw)
{
	struct picker_cfg cfg = {.open = open_segment,
				 .begin = may_begin,
				 .fill = fill_block,
				 .segment = segment_len,
				 .len = piece_len,
				 .arg = sw};
	struct peer *p, *next;
	int r;

	r = picker_new(&cfg, &sw->picker);
	if (r == 0)
		r = intake_new(sw, &sw->intake);
	if (r != 0)
		return r;
	webseed_on_ready(sw);
	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next)
		if (p->is_up)
			peer_learn(p);
	return 0;
}

void swarm_stop(struct swarm *sw, enum peer_end why)
{
	struct peer *p;

	sw->is_running = false;
	giveway_on_stop(sw);
	while ((p = TAILQ_FIRST(&sw->peers)) != NULL)
		peer_end(p, why);
	webseed_stop(sw);
	pace_stop(sw);
	loop_task_cancel(sw->loop, &sw->pass);
	loop_timer_stop(sw->wake);
	loop_timer_stop(sw->dial);
	loop_timer_stop(sw->round);
	loop_timer_stop(sw->gossip);
	named_free(sw->named); /* cancels its look-ups */
	sw->named = NULL;
}

void swarm_free(struct swarm *sw)
{
	struct webseed *ws;

	if (sw == NULL)
		return;
	assert(TAILQ_EMPTY(&sw->peers));
	loop_task_cancel(sw->loop, &sw->reap);
	loop_task_cancel(sw->loop, &sw->pass);
	on_reap(sw);
	account_settle(sw);
	while ((ws = TAILQ_FIRST(&sw->webs)) != NULL) {
		TAILQ_REMOVE(&sw->webs, ws, link);
		webseed_free(ws);
	}
	bits_fini(&sw->all);
	intake_free(sw->intake);
	picker_free(sw->picker);
	named_free(sw->named);
	addrbook_free(sw->book);
	loop_timer_free(sw->wake);
	loop_timer_free(sw->dial);
	loop_timer_free(sw->round);
	loop_timer_free(sw->gossip);
	mem_free(sw);
}

/* ---- the pass ---- */

void swarm_kick(struct swarm *sw)
{
	if (sw->is_running && sw->picker != NULL)
		loop_defer(sw->loop, &sw->pass);
}

bool swarm_describe(struct swarm *sw, struct peer *p, uint64_t now_us,
		    struct pick_peer *out)
{
	const struct bits *have;

	if (!p->is_up)
		return opening_describe(p, out);
	if (p->have.data == NULL || p->have.n_set == 0)
		return false;
	if (now_us < p->hold_until_us)
		return false; /* nothing is to wait for it */
	if (p->choked_us && (p->allowed.data == NULL || p->allowed.n_set == 0))
		return false;
	have = blame_have(sw->intake, p->id, &p->have, &p->masked);
	if (have == NULL)
		return false;
	*out = (struct pick_peer){
		.id = p->id,
		.have = have,
		.only = p->choked_us ? &p->allowed : NULL,
		.rate_Bps = p->window.rate_Bps,
		.rtt_us = p->window.delay_us,
		.out_bytes = p->out_bytes,
		.room = peer_ask_room(p, now_us),
		.down_bytes = p->down_bytes,
		.heard_us = p->heard_us,
		.doubt_us = peer_ask_doubt_us(p),
		.is_proven = p->is_proven,
		.is_snubbed = p->is_snubbed,
	};
	return true;
}

/* The picker's peers are the peers, then the web seeds. */
static void ask(struct swarm *sw, const struct pick *pick, struct peer **peers,
		struct webseed **webs, unsigned n_peers, uint64_t now_us)
{
	struct peer *before = swarm_peer(sw, pick->instead_of);

	if (before != NULL)
		peer_ask_release(before, &pick->block);
	if (pick->peer_ix < n_peers) {
		peer_ask_block(peers[pick->peer_ix], &pick->block, now_us);
		peer_ask_plan_nudge(peers[pick->peer_ix], pick->is_urgent,
				    now_us);
	} else {
		webseed_ask(webs[pick->peer_ix - n_peers], &pick->block);
	}
	(void)hashget_want_piece(sw->t->hashget, pick->block.piece_ix);
}

/* The requests that can leave now; how many peers could be asked at all. */
static unsigned assign(struct swarm *sw, uint64_t now_us, uint64_t *late_us)
{
	struct pick_peer desc[SWARM_PEERS_MAX + WEBSEEDS_MAX];
	struct peer *peers[SWARM_PEERS_MAX];
	struct webseed *webs[WEBSEEDS_MAX], *ws;
	struct pick picks[PICKS];
	unsigned n_peers = 0, n_webs = 0, n, i;
	struct peer *p;

	blame_choose(sw->intake);
	TAILQ_FOREACH (p, &sw->peers, link) {
		if (n_peers == SWARM_PEERS_MAX)
			break;
		if (p->n_accused == 0 &&
		    swarm_describe(sw, p, now_us, &desc[n_peers]))
			peers[n_peers++] = p;
	}
	TAILQ_FOREACH (ws, &sw->webs, link)
		if (webseed_describe(ws, &desc[n_peers + n_webs]))
			webs[n_webs++] = ws;
	/* Without peers, too: it says when to look again. */
	do {
		n = pace_assign(sw, desc, n_peers + n_webs, now_us, picks,
				PICKS);
		for (i = 0; i < n; i++)
			ask(sw, &picks[i], peers, webs, n_peers, now_us);
	} while (n == PICKS);
	for (i = 0; i < n_peers; i++)
		peers[i]->has_room = desc[i].room > 0;
	*late_us = pace_next_late_us(sw);
	webseed_flush(sw);
	return n_peers + parole_assign(sw, now_us, late_us);
}

static void find_late(struct swarm *sw, uint64_t now_us)
{
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link) {
		if (peer_ask_late_us(p) <= now_us)
			peer_ask_on_late(p, now_us);
		if (p->nudge_us > 0 && p->nudge_us <= now_us)
			peer_ask_nudge(p, now_us);
	}
}

static void set_wake(struct swarm *sw, uint64_t late_us, uint64_t now_us)
{
	uint64_t wake_us = late_us;
	uint64_t web_us = webseed_wake_us(sw, now_us);
	uint64_t way_us = giveway_wake_us(sw, now_us);
	const struct peer *p;

	if (web_us < wake_us)
		wake_us = web_us;
	if (way_us < wake_us)
		wake_us = way_us;
	if (reclaim_wake_us(sw, now_us) < wake_us)
		wake_us = reclaim_wake_us(sw, now_us);
	TAILQ_FOREACH (p, &sw->peers, link) {
		uint64_t us = peer_ask_late_us(p);
		uint64_t doubt_us = peer_ask_doubt_us(p);

		if (us < wake_us)
			wake_us = us;
		if (doubt_us > now_us && doubt_us < wake_us)
			wake_us = doubt_us;
		if (p->nudge_us > 0 && p->nudge_us < wake_us)
			wake_us = p->nudge_us;
		if (p->hold_until_us > now_us && p->hold_until_us < wake_us)
			wake_us = p->hold_until_us;
	}
	if (intake_look_us(sw->intake, now_us) < wake_us)
		wake_us = intake_look_us(sw->intake, now_us);
	if (sw->intake->is_nomem && wake_us > now_us + NOMEM_RETRY_US)
		wake_us = now_us + NOMEM_RETRY_US;
	if (wake_us == UINT64_MAX)
		loop_timer_stop(sw->wake);
	else
		loop_timer_start(sw->wake,
				 wake_us > now_us ? wake_us - now_us : 0);
}

static void look_for_peers(struct swarm *sw)
{
	dialer_run(sw); /* the hungry may find room where it found none */
	if (sw->t->announcer != NULL)
		announcer_want_more(sw->t->announcer);
	torrent_seek_hurry(sw->t);
}

static void on_pass(void *arg)
{
	struct swarm *sw = arg;
	uint64_t now_us = loop_now_us(sw->loop), late_us, held_us;
	unsigned n_peers;

	swarm_check(sw);
	find_late(sw, now_us);
	giveway_begin_pass(sw, now_us);
	sw->intake->is_nomem = false;
	intake_hold_none(sw->intake);
	do {
		sw->intake->is_short = false;
		sw->intake->short_for = WANT_NONE;
		n_peers = assign(sw, now_us, &late_us);
	} while (sw->intake->is_short && reclaim_for(sw));
	intake_on_filled(sw->intake);
	intake_find_hashes(sw->intake);
	intake_note_progress(sw->intake, now_us);
	hashget_run(sw->t->hashget); /* behind the requests for blocks */
	fetch_ask_again(sw->t->fetch);
	held_us = custody_run(sw->intake, now_us);
	set_wake(sw, held_us < late_us ? held_us : late_us, now_us);
	if (n_peers == 0 && sw->n_dialing == 0 && fetch_is_hungry(sw->t->fetch))
		look_for_peers(sw);
	dialer_on_pass(sw);
	swarm_check(sw);
}

/* ---- what we hold ---- */

void swarm_on_verified(struct swarm *sw, uint32_t piece_ix)
{
	struct peer *p, *next;

	swarm_kick(sw); /* first: HAVE and REQUEST go in one write */
	intake_on_verified(sw->intake, piece_ix);
	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next)
		if (p->is_up || p->said_ours)
			peer_on_verified(p, piece_ix);
}

void swarm_on_lost(struct swarm *sw, uint32_t piece_ix)
{
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->is_up)
			peer_on_lost(p, piece_ix);
	/* Seeds whom we left when we needed nothing are needed again. */
	addrbook_hurry(sw->book, loop_now_us(sw->loop));
	dialer_run(sw);
	swarm_kick(sw);
}

/* ---- for the peers ---- */

const struct bits *swarm_all(struct swarm *sw)
{
	if (sw->all.data == NULL) {
		if (bits_init(&sw->all, sw->t->mi->n_pieces) != 0)
			return NULL;
		bits_set_all(&sw->all);
	}
	return &sw->all;
}

struct peer *swarm_peer(const struct swarm *sw, uint32_t id)
{
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->id == id)
			return p;
	return NULL;
}

void swarm_on_up(struct swarm *sw, struct peer *p)
{
	if (!p->is_incoming) {
		sw->n_dialing--;
		dialpace_on_up(sw->e->dials, &p->addr);
	}
	p->is_up = true;
	upgrade_on_up(p);
	gossip_on_change(sw);
	dialer_run(sw);
}

/* What an end says of the address: is it worth another try? */
static enum addrbook_end book_end(const struct peer *p)
{
	if (opening_was_refused(p))
		return ADDRBOOK_PLAIN;
	if (peer_was_unknown(p))
		return ADDRBOOK_OTHER;
	switch (p->end) {
	case PEER_END_SELF:
	case PEER_END_BAD_HASH:
		return ADDRBOOK_NEVER;
	case PEER_END_LIMIT:
		return ADDRBOOK_WORKED;
	case PEER_END_PRIVATE:
		return ADDRBOOK_FORGET;
	case PEER_END_UPGRADE:
		return ADDRBOOK_AGAIN;
	case PEER_END_USELESS:
	case PEER_END_DUPLICATE:
		return ADDRBOOK_IDLE;
	case PEER_END_SILENT:
	case PEER_END_HANDSHAKE:
	case PEER_END_PROTOCOL:
	case PEER_END_TOO_LONG:
		return ADDRBOOK_FAILED;
	case PEER_END_NONE:
	case PEER_END_CLOSED:
	case PEER_END_CONNECT:
	case PEER_END_EOF:
	case PEER_END_IO:
	case PEER_END_TIMEOUT:
	case PEER_END_NOMEM:
	case PEER_END_STOPPING:
	case PEER_END_N:
		break;
	}
	return p->is_up && p->said_have ? ADDRBOOK_WORKED : ADDRBOOK_FAILED;
}

void swarm_on_peer_end(struct swarm *sw, struct peer *p)
{
	TAILQ_REMOVE(&sw->peers, p, link);
	TAILQ_INSERT_TAIL(&sw->ended, p, link);
	sw->n_peers--;
	sw->e->n_peers--;
	if (p->is_incoming)
		sw->n_incoming--;
	else if (!p->is_up)
		sw->n_dialing--;
	if (p->cand != NULL)
		addrbook_on_end(sw->book, p->cand, book_end(p),
				loop_now_us(sw->loop));
	p->cand = NULL;
	loop_defer(sw->loop, &sw->reap);
	gossip_on_change(sw);
	if (!sw->e->is_moving) {
		dialer_run(sw);
		crowd_on_end(sw->e);
	}
	swarm_kick(sw);
}
