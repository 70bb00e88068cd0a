/* pieces_offer — pieces that the user may have.
 *
 * Purpose: the store says of some pieces that files of the user's are there for
 * them (store_next_offer). Each is hashed where it lies before anything is
 * believed of it (pieces_vet), OFFERS_AT_ONCE over all torrents, in order; what
 * is right is held from that turn on, as if another torrent had brought it.
 *
 * Who wants such a piece meanwhile gets it hashed first, before all others, and
 * fetches it if it is wrong: nothing is fetched that is there.
 *
 * Failure modes: what a piece must be is not known yet (v2 from a magnet): it
 * is looked at when its hash comes, and is fetched if somebody wants it before.
 * No memory: it waits for the next of those under way, of whatever torrent. */
#include "cache/pieces_internal.h"

#include "cache/store_vet.h"
#include "core/mem.h"

struct offer {
	struct vet_wait wait;
	struct pieces *ps; /* Owner */
};

/* Its own torrent goes on if it has more, else the next that waits does. */
static void on_vetted(void *arg, int err)
{
	struct offer *o = arg;
	struct pieces *ps = o->ps;
	struct offers *next = TAILQ_FIRST(&ps->cfg.mem->offers);

	mem_free(o);
	ps->offers.n_running--;
	ps->cfg.mem->n_offers--;
	if (!ps->is_closed)
		loop_defer(ps->cfg.loop, &ps->offers.task);
	if (next != NULL)
		loop_defer(ps->cfg.loop, &next->task);
}

/* False: no memory. */
static bool hash_it(struct pieces *ps, uint32_t ix, bool is_hurried)
{
	struct offer *o = mem_new(struct offer);

	if (o == NULL)
		return false;
	o->ps = ps;
	o->wait = (struct vet_wait){.fn = on_vetted, .arg = o};
	if (pieces_vet(ps, ix, is_hurried, &o->wait) != 0) {
		mem_free(o);
		return false;
	}
	ps->offers.n_running++;
	ps->cfg.mem->n_offers++;
	return true;
}

static void wait_no_more(struct pieces *ps)
{
	if (ps->offers.is_waiting)
		TAILQ_REMOVE(&ps->cfg.mem->offers, &ps->offers, waiting);
	ps->offers.is_waiting = false;
}

/* The first that is to be hashed; the number of pieces: there is none. */
static uint32_t next_of(struct pieces *ps)
{
	uint32_t ix = ps->offers.next;

	while ((ix = store_next_offer(ps->st, ix)) < ps->have.n &&
	       (bits_has(&ps->have, ix) || !pieces_vet_can(ps, ix)))
		ix++;
	ps->offers.next = ix < ps->have.n ? ix : ps->have.n;
	return ps->offers.next;
}

static void on_task(void *arg)
{
	struct pieces *ps = arg;
	struct piece_mem *pm = ps->cfg.mem;
	uint32_t ix = ps->have.n;

	while (!ps->is_closed && (ix = next_of(ps)) < ps->have.n &&
	       pm->n_offers < OFFERS_AT_ONCE) {
		if (!hash_it(ps, ix, false))
			break;
		ps->offers.next = ix + 1;
	}
	if (ix == ps->have.n) {
		wait_no_more(ps);
	} else if (!ps->offers.is_waiting) {
		ps->offers.is_waiting = true;
		TAILQ_INSERT_TAIL(&pm->offers, &ps->offers, waiting);
	}
}

void pieces_offer_init(struct pieces *ps)
{
	loop_task_init(&ps->offers.task, on_task, ps);
}

void pieces_offer_look(struct pieces *ps)
{
	ps->offers.next = 0;
	loop_defer(ps->cfg.loop, &ps->offers.task);
}

void pieces_offer_close(struct pieces *ps)
{
	loop_task_cancel(ps->cfg.loop, &ps->offers.task);
	wait_no_more(ps);
}

static bool is_open_offer(const struct pieces *ps, uint32_t ix)
{
	return !ps->is_closed && ps->st != NULL && !bits_has(&ps->have, ix) &&
	       store_next_offer(ps->st, ix) == ix && pieces_vet_can(ps, ix);
}

void pieces_offer_on_hashes(struct pieces *ps, uint32_t ix)
{
	if (is_open_offer(ps, ix))
		(void)hash_it(ps, ix, false);
}

bool pieces_offer_bars(struct pieces *ps, uint32_t ix)
{
	return is_open_offer(ps, ix) &&
	       (pieces_vet_is_on(ps, ix) || hash_it(ps, ix, true));
}

bool pieces_is_offered(const struct pieces *ps)
{
	return ps->offers.n_running > 0 ||
	       (ps->st != NULL &&
		store_next_offer(ps->st, ps->offers.next) < ps->have.n);
}
