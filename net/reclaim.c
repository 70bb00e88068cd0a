/* reclaim — the cap on unverified bytes is one for all torrents, and a piece
 * keeps its share of it until it is whole: if its peers are gone, for ever. So
 * who needs memory takes it from those who need it less, in this order:
 *
 *   1. pieces nobody wants any more, and pieces of the background that for long
 *      nobody could be asked for more of
 *   2. for a piece that a reader waits for or will get to: pieces of the
 *      background, the one of which the least is there
 *   3. for a piece that a read waits for: pieces of windows, the one that a
 *      reader would get to last
 *   4. for the same: pieces that reads wait for, too, of which nothing has come
 *      for RECLAIM_HUNG_MS. Else one who withholds the end of every piece would
 *      keep all the memory until his readers' deadlines end them
 *
 * always the torrent's own, then the others'.
 *
 * All these keep their places in the demand, and are fetched anew when there is
 * room.
 *
 * This ends: each call gives one piece back, and the piece that gets its
 * memory is of a higher order than that, or has not hung yet. */
#include "net/reclaim.h"

#include <stddef.h>

#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

typedef uint32_t find_fn(const struct picker *p);

static bool take_one(struct swarm *sw, find_fn *find)
{
	uint32_t ix;

	if (!sw->is_running || sw->intake == NULL)
		return false;
	ix = find(sw->picker);
	return ix != UINT32_MAX && intake_give_back(sw->intake, ix);
}

static bool take_any(struct swarm *sw, find_fn *find)
{
	struct torrent *t;

	if (take_one(sw, find))
		return true;
	TAILQ_FOREACH (t, &sw->e->torrents, link) {
		if (t->swarm != sw && take_one(t->swarm, find)) {
			swarm_kick(t->swarm); /* it waits for room now */
			return true;
		}
	}
	return false;
}

static bool take_hung_of(struct swarm *sw)
{
	uint64_t now_us = loop_now_us(sw->loop);
	uint32_t ix;

	if (!sw->is_running || sw->intake == NULL)
		return false;
	ix = intake_hung(sw->intake, now_us);
	if (ix == UINT32_MAX)
		return false;
	fetch_on_hung(sw->t->fetch, ix, intake_find(sw->intake, ix)->n_arrived);
	return intake_give_back(sw->intake, ix);
}

/* The others' first: of its own the torrent can hardly hope for more. */
static bool take_hung(struct swarm *sw)
{
	struct torrent *t;

	TAILQ_FOREACH (t, &sw->e->torrents, link) {
		if (t->swarm != sw && take_hung_of(t->swarm)) {
			swarm_kick(t->swarm);
			return true;
		}
	}
	return take_hung_of(sw);
}

uint64_t reclaim_wake_us(const struct swarm *sw, uint64_t now_us)
{
	if (!sw->intake->is_short || sw->intake->short_for != WANT_URGENT)
		return UINT64_MAX;
	return now_us + (uint64_t)RECLAIM_LOOK_MS * 1000;
}

bool reclaim_for(struct swarm *sw)
{
	enum want_class c = sw->intake->short_for;

	return take_any(sw, picker_first_idle) ||
	       take_any(sw, picker_left_background) ||
	       (c >= WANT_WINDOW && take_any(sw, picker_last_background)) ||
	       (c == WANT_URGENT && take_any(sw, picker_last_window)) ||
	       (c == WANT_URGENT && take_hung(sw));
}
