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
 *
 * always the torrent's own, then the others'.
 *
 * A piece of a window or of the background keeps its place in the demand, and
 * is fetched anew when there is room. Pieces that reads wait for are left
 * alone: their readers' own deadlines end them.
 *
 * This ends: each call gives one piece back, and the piece that gets its
 * memory is of a higher order than that. */
#include "net/reclaim.h"

#include <stddef.h>

#include "net/engine_internal.h"
#include "net/intake.h"
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

bool reclaim_for(struct swarm *sw)
{
	enum want_class c = sw->intake->short_for;

	return take_any(sw, picker_first_idle) ||
	       take_any(sw, picker_left_background) ||
	       (c >= WANT_WINDOW && take_any(sw, picker_last_background)) ||
	       (c == WANT_URGENT && take_any(sw, picker_last_window));
}
