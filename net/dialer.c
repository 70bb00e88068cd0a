/* dialer — candidates that are due are dialled at once, side by side: who has
 * the fastest line answers first, and nobody waits for a dead one.
 *
 * Words. Late: no handshake after SWARM_DIAL_LATE_MS. The late are still given
 * their time, but others are dialled as if they were not there: hosts that
 * accept and say nothing do not keep us from those who would.
 *
 * Limits, in the order of asking: SWARM_DIALS_MAX who are not late,
 * SWARM_HALF_OPEN_MAX with the late, SWARM_PEERS_MAX in all, the engine's
 * connections (crowd.c), the paces of hosts and sources (dialpace.c) and the
 * bans of those who broke the protocol (offences.c), by which a candidate is
 * put off.
 *
 * Making way. A swarm can be full of peers of whom nothing comes: by chance, or
 * because somebody wants it so. When a reader waits, or a window, and there is
 * an address that has not failed, the most useless peer goes, after some
 * patience:
 *   no handshake, nothing that we lack, or stalled   SWARM_PATIENCE_MS
 *   chokes us, and never gave anything               SWARM_CHOKED_MS; while
 *                     nobody gives anything SWARM_PATIENCE_MS, for half of the
 *                     places: in the others luck is waited for (an optimistic
 *                     unchoke may take its half minute)
 * Who gave us something and did not stall never goes, nor who takes from us.
 * Who went has failed, and is dialled after all others.
 *
 * Who goes is ended by the timer alone: whoever else calls may be walking the
 * swarm's peers.
 *
 * One timer, set to the earliest time at which anything of this changes. */
#include "net/dialer.h"

#include "net/addrbook.h"
#include "net/bans.h"
#include "net/crowd.h"
#include "net/dialpace.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/net_limits.h"
#include "net/offences.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static void sooner(uint64_t *at_us, uint64_t us)
{
	if (us < *at_us)
		*at_us = us;
}

/* ---- who makes way ---- */

static bool is_starving(const struct swarm *sw)
{
	const struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p->is_proven)
			return false;
	return sw->n_webs == 0;
}

static bool only_chokes(const struct peer *p)
{
	return p->is_up && p->choked_us && p->down_bytes == 0 && p->useful > 0;
}

/* When its place may be another's; UINT64_MAX: while it is as it is, never. */
static uint64_t patience_us(const struct peer *p, uint64_t choked_ms)
{
	uint64_t ms = SWARM_PATIENCE_MS;

	if (p->is_proven || p->serves.n > 0 || p->reading_bytes > 0)
		return UINT64_MAX;
	if (only_chokes(p))
		ms = choked_ms;
	else if (p->is_up && p->useful > 0 && !p->is_snubbed)
		return UINT64_MAX; /* it may still give something */
	return p->since_us + ms * 1000;
}

static bool is_half_open(const struct peer *p)
{
	return !p->is_up && !p->is_incoming;
}

/* The one whose time is up first. */
static struct peer *most_useless(const struct swarm *sw, bool half_open_only,
				 uint64_t *at_us)
{
	uint64_t choked_ms = SWARM_CHOKED_MS;
	struct peer *p, *found = NULL;
	unsigned n_choked = 0;

	TAILQ_FOREACH (p, &sw->peers, link)
		n_choked += only_chokes(p);
	if (is_starving(sw) && n_choked > SWARM_PEERS_MAX / 2)
		choked_ms = SWARM_PATIENCE_MS;
	*at_us = UINT64_MAX;
	TAILQ_FOREACH (p, &sw->peers, link) {
		uint64_t us = patience_us(p, choked_ms);

		if (us < *at_us && (is_half_open(p) || !half_open_only)) {
			*at_us = us;
			found = p;
		}
	}
	return found;
}

static bool is_wanting(const struct swarm *sw)
{
	return sw->t->fetch == NULL || fetch_is_hungry(sw->t->fetch);
}

/* Is there a place, or does somebody make way for one who was not tried? Before
 * the metadata is there nobody knows who is of use. */
static bool has_place(struct swarm *sw, uint64_t now_us, bool may_end,
		      uint64_t *again_us)
{
	bool too_many_open = sw->n_dialing >= SWARM_HALF_OPEN_MAX;
	struct peer *p;
	uint64_t us;

	if (sw->n_peers < SWARM_PEERS_MAX && !too_many_open)
		return true;
	if (!is_wanting(sw) || !addrbook_has_untried(sw->book, now_us))
		return false;
	p = most_useless(sw, too_many_open || sw->t->fetch == NULL, &us);
	if (p == NULL)
		return false;
	if (us > now_us || !may_end) {
		sooner(again_us, us > now_us ? us : now_us);
		return false;
	}
	sw->e->is_moving = true; /* its place is taken */
	peer_end(p, PEER_END_SILENT);
	sw->e->is_moving = false;
	return true;
}

/* ---- dialling ---- */

/* May one more be dialled beside those that are not late? */
static bool may_race(const struct swarm *sw, uint64_t now_us,
		     uint64_t *again_us)
{
	uint64_t first_us = UINT64_MAX;
	const struct peer *p;
	unsigned n = 0;

	if (sw->n_dialing < SWARM_DIALS_MAX)
		return true;
	TAILQ_FOREACH (p, &sw->peers, link) {
		uint64_t us = p->since_us + (uint64_t)SWARM_DIAL_LATE_MS * 1000;

		if (!is_half_open(p) || us <= now_us)
			continue;
		n++;
		sooner(&first_us, us);
	}
	if (n < SWARM_DIALS_MAX)
		return true;
	sooner(again_us, first_us);
	return false;
}

static void dial(struct swarm *sw, struct cand *c, uint64_t now_us)
{
	const struct addr *a = addrbook_addr(c);
	enum addrbook_from from = addrbook_source(c);
	uint64_t when_us = dialpace_when_us(sw->e->dials, a, from, now_us);
	uint64_t banned_us = offences_until_us(&sw->e->offences, a, now_us);

	if (banned_us > when_us)
		when_us = banned_us;
	if (bans_has(sw->e->bans, a))
		addrbook_on_end(sw->book, c, ADDRBOOK_NEVER, now_us);
	else if (when_us > now_us)
		addrbook_postpone(sw->book, c, when_us);
	else if (dialpace_on_dial(sw->e->dials, a, from, now_us) != 0 ||
		 peer_dial(sw, c) != 0)
		addrbook_on_end(sw->book, c, ADDRBOOK_FAILED, now_us);
}

static void run(struct swarm *sw, bool may_end)
{
	uint64_t now_us = loop_now_us(sw->loop), again_us = UINT64_MAX;

	if (!sw->is_running)
		return;
	while (addrbook_next_us(sw->book) <= now_us &&
	       may_race(sw, now_us, &again_us) &&
	       has_place(sw, now_us, may_end, &again_us) && crowd_has_room(sw))
		dial(sw, addrbook_take(sw->book, now_us), now_us);
	/* At a limit the next peer that ends comes back here. */
	if (addrbook_next_us(sw->book) > now_us)
		sooner(&again_us, addrbook_next_us(sw->book));
	if (again_us == UINT64_MAX)
		loop_timer_stop(sw->dial);
	else
		loop_timer_start(sw->dial, again_us - now_us);
}

void dialer_run(struct swarm *sw)
{
	run(sw, false);
}

void dialer_on_timer(void *swarm)
{
	run(swarm, true);
}

void dialer_on_pass(struct swarm *sw)
{
	if (sw->n_peers >= SWARM_PEERS_MAX && is_wanting(sw) &&
	    !loop_timer_is_armed(sw->dial))
		run(sw, false);
}
