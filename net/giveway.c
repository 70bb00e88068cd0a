/* giveway — the background of all torrents makes way for who reads.
 *
 * Pins fill every peer's request window, and the line with it. A read that
 * comes then would wait behind all that: a window at its own peers, and its
 * share of a full line. So when a reader waits for a piece
 *
 *   1. what is out for the background is taken back, in every torrent: peers
 *      drop what they have not sent (BEP 3 CANCEL). What comes all the same
 *      is used.
 *   2. nothing new is asked for the background, in any torrent, for GIVEWAY_MS:
 *      all share the line. Not only while the reader waits: who has just read
 *      reads again, and peers that put what they are asked for into their
 *      sockets at once take nothing back.
 *   3. while nobody reads, no more is out than keeps the peers busy
 *      (rate_window_calm_bytes): what queues on the line cannot be taken back.
 *
 * It ends by time alone, or a reader of a torrent with one slow peer would stop
 * all pins for as long as he reads: on a healthy swarm he has his bytes by
 * then, on another one the line is not what he lacks.
 *
 * The background rests altogether while its torrent's pins rest (fetch.c), and
 * when the store has stopped keeping anything. */
#include "net/giveway.h"

#include "cache/store.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/picker.h"
#include "net/rarity.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

void giveway_init(struct engine *e)
{
	LIST_INIT(&e->giveway.backgrounds);
}

int giveway_start(struct swarm *sw)
{
	struct peer *p;
	int r;

	if (picker_rarity(sw->picker) != NULL)
		return 0;
	r = picker_start_background(sw->picker, sw->t->mi->n_pieces,
				    rng_next(&sw->rng));
	if (r != 0)
		return r;
	TAILQ_FOREACH (p, &sw->peers, link)
		peer_count(p);
	return 0;
}

void giveway_on_background(struct swarm *sw, bool is_any)
{
	if (sw->has_background == is_any)
		return;
	sw->has_background = is_any;
	if (is_any)
		LIST_INSERT_HEAD(&sw->e->giveway.backgrounds, sw, background);
	else
		LIST_REMOVE(sw, background);
}

void giveway_on_stop(struct swarm *sw)
{
	giveway_on_background(sw, false);
}

void giveway_on_read(struct swarm *sw)
{
	struct giveway *g = &sw->e->giveway;
	struct swarm *other;

	g->until_us = loop_now_us(sw->loop) + (uint64_t)GIVEWAY_MS * 1000;
	LIST_FOREACH (other, &g->backgrounds, background) {
		other->must_give_way = true;
		swarm_kick(other);
	}
}

/* ---- the pass ---- */

static bool is_paused(const struct swarm *sw, uint64_t now_us)
{
	return fetch_rests_until_us(sw->t->fetch, now_us) != 0 ||
	       store_err(sw->e->cfg.store) != 0;
}

void giveway_begin_pass(struct swarm *sw, uint64_t now_us)
{
	bool somebody_reads = now_us < sw->e->giveway.until_us;
	struct peer *p;

	sw->is_calm = !somebody_reads && fetch_is_calm(sw->t->fetch);
	if (!sw->has_background)
		return;
	if (sw->must_give_way)
		TAILQ_FOREACH (p, &sw->peers, link)
			peer_ask_cancel_background(p);
	sw->must_give_way = false;
	picker_rest(sw->picker, somebody_reads || is_paused(sw, now_us));
}

uint64_t giveway_wake_us(const struct swarm *sw, uint64_t now_us)
{
	uint64_t us;

	if (!sw->has_background)
		return UINT64_MAX;
	us = fetch_rests_until_us(sw->t->fetch, now_us);
	if (us == 0)
		us = sw->e->giveway.until_us;
	return us > now_us ? us : UINT64_MAX;
}
