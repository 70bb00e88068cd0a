/* coming — see coming.h.
 *
 * Whoever has the blocks under way is believed as long as it makes progress:
 * somebody who is at work owes some of the piece, or a block has just come and
 * the next pass will ask for more, or what came is being judged. Its peers
 * choke it, or are gone, or silent: then it is not, and nobody waits. Nor if
 * nothing came for SILENT_MS all the same, or what was whole was not put within
 * LATE_MS: there may be no room. */
#include "net/coming.h"

enum {
	/* Who waits for a read, or is ahead of one, waits so long. */
	READ_MS = 2000,
	AHEAD_MS = 5000,
	SILENT_MS = 1000,
	LATE_MS = 2000,
	MOMENT_US = 50000, /* from a block to the pass that asks for more */
};

static bool is_at_work(const struct coming_facts *f)
{
	if (f->now_us > f->came_us + (uint64_t)SILENT_MS * 1000)
		return false;
	if (f->is_owed)
		return true;
	return f->can_ask &&
	       (f->is_judged || f->now_us < f->came_us + MOMENT_US);
}

uint64_t coming_us(const struct coming_facts *f)
{
	if (f->is_whole)
		return f->came_us;
	if (!f->is_promised || !is_at_work(f))
		return UINT64_MAX;
	if (f->rate_Bps == 0)
		return f->now_us;
	return f->now_us + f->left_bytes * 1000000 / f->rate_Bps;
}

bool coming_is_worth(uint64_t us, bool is_read, uint64_t now_us)
{
	uint64_t patience_us = (uint64_t)(is_read ? READ_MS : AHEAD_MS) * 1000;

	return us != UINT64_MAX && us <= now_us + patience_us &&
	       now_us <= us + (uint64_t)LATE_MS * 1000;
}
