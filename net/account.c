/* account — what is counted of each torrent goes to the store.
 *
 * Purpose: a swarm lives as long as its torrent is awake, and its figures with
 * it; the store's outlive both. What is new is told a moment after it was
 * counted, all torrents' at once, so that a block costs an addition, and a
 * torrent without traffic no timer. */
#include "net/account.h"

#include "cache/store_tally.h"
#include "core/loop.h"
#include "net/engine_internal.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

/* What was counted goes to the store so long after. */
enum { ACCOUNT_MS = 1000 };

static uint64_t take(uint64_t now, uint64_t *told)
{
	uint64_t more = now - *told;

	*told = now;
	return more;
}

void account_settle(struct swarm *sw)
{
	struct account *a = &sw->account;
	const struct traffic more = {
		.down_bytes = take(sw->down_bytes, &a->told.down_bytes),
		.up_bytes = take(sw->up_bytes, &a->told.up_bytes),
		.waste_bytes = take(sw->waste_bytes, &a->told.waste_bytes),
	};

	if (a->is_open)
		LIST_REMOVE(sw, account.link);
	a->is_open = false;
	if (more.down_bytes + more.up_bytes + more.waste_bytes > 0)
		store_count(sw->e->cfg.store, &sw->t->id, &more);
}

static void on_timer(void *arg)
{
	struct engine *e = arg;
	struct swarm *sw;

	while ((sw = LIST_FIRST(&e->accounts.open)) != NULL)
		account_settle(sw);
}

void account_note(struct swarm *sw)
{
	struct accounts *all = &sw->e->accounts;

	if (sw->account.is_open)
		return;
	sw->account.is_open = true;
	LIST_INSERT_HEAD(&all->open, sw, account.link);
	if (!loop_timer_is_armed(all->timer))
		loop_timer_start(all->timer, ACCOUNT_MS * UINT64_C(1000));
}

int account_init(struct engine *e)
{
	LIST_INIT(&e->accounts.open);
	return loop_timer_new(e->cfg.loop, on_timer, e, &e->accounts.timer);
}

void account_fini(struct engine *e)
{
	loop_timer_free(e->accounts.timer);
	e->accounts.timer = NULL;
}
