/* sleepers — torrents that sleep, and seed.
 *
 * A library has more torrents than may be awake, and what is held of those that
 * are not is to be had all the same. Peers find it because each sleeper is
 * awake for a while now and then: trackers and the DHT hear of it, and do not
 * hear that it has gone to sleep. Who then asks for it wakes it (the engine
 * keeps him waiting until it is READY).
 *
 * Turns. One begins every so often, so that all have had one within the time
 * for which the DHT remembers an announce; with many that would be too fast for
 * the DHT's budget of messages, and the round takes longer. The one that begins
 * ends nobody's: the budget of those awake does (warmth.c), which sends to
 * sleep who was used longest ago, so that each is awake for as many turns as
 * there are places. While there are places turns are short.
 *
 * Nobody who is read, or who gives to a peer, is sent to sleep for a turn; so
 * when all places are taken by such, turns are skipped.
 *
 * Strangers. Waking costs a read of the disk and an announce, and anybody may
 * know our hashes: so they wake SLEEPERS_ASKED_BURST at once, and one more each
 * SLEEPERS_ASKED_MS. asked_us is the time up to which these are spent.
 *
 * Invariants: who is in the list has no torrent; n is how many there are. */
#include "fs/sleepers.h"

#include "core/err.h"
#include "core/loop.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/warmth.h"
#include "net/engine.h"

static const uint64_t US_PER_MS = 1000;

uint64_t sleepers_turn_ms(unsigned n, bool has_room)
{
	uint64_t ms = n > 0 ? SLEEPERS_ROUND_MS / n : SLEEPERS_TURN_MAX_MS;

	if (has_room)
		return SLEEPERS_FIRST_MS;
	if (ms < SLEEPERS_TURN_MIN_MS)
		return SLEEPERS_TURN_MIN_MS;
	return ms < SLEEPERS_TURN_MAX_MS ? ms : SLEEPERS_TURN_MAX_MS;
}

static void set_timer(struct mount *m)
{
	struct sleepers *sl = &m->sleepers;

	if (!sl->is_served || sl->turn == NULL)
		return;
	if (sl->n == 0)
		loop_timer_stop(sl->turn);
	else
		loop_timer_start(
			sl->turn,
			US_PER_MS *
				sleepers_turn_ms(sl->n, warmth_has_room(m)));
}

static void take_out(struct sleepers *sl, struct shown *s)
{
	TAILQ_REMOVE(&sl->list, s, doze);
	s->is_sleeper = false;
	sl->n--;
}

static void put_last(struct sleepers *sl, struct shown *s)
{
	TAILQ_INSERT_TAIL(&sl->list, s, doze);
	s->is_sleeper = true;
	sl->n++;
}

/* Its metadata may have to be read first: then it is woken later, and stands
 * behind all others meanwhile. */
static void on_turn(void *arg)
{
	struct mount *m = arg;
	struct shown *s = TAILQ_FIRST(&m->sleepers.list);
	int err;

	warmth_trim(m);
	if (s != NULL && !warmth_is_over(m)) {
		take_out(&m->sleepers, s);
		put_last(&m->sleepers, s);
		err = warmth_wake(m, s);
		if (err != 0 && err != EAGAIN && err != ENOMEM)
			sleepers_leave(m, s);
	}
	set_timer(m);
}

int sleepers_init(struct mount *m)
{
	TAILQ_INIT(&m->sleepers.list);
	return loop_timer_new(m->loop, on_turn, m, &m->sleepers.turn);
}

void sleepers_end(struct mount *m)
{
	loop_timer_free(m->sleepers.turn);
	m->sleepers.turn = NULL;
}

void sleepers_start(struct mount *m)
{
	m->sleepers.is_served = true;
	set_timer(m);
}

void sleepers_enter(struct mount *m, struct shown *s)
{
	if (s->is_sleeper || s->held_bytes == 0 || s->source_len == 0 ||
	    m->keeper == NULL || !engine_is_seeding(m->engine))
		return;
	put_last(&m->sleepers, s);
	if (m->sleepers.n == 1)
		set_timer(m);
}

void sleepers_leave(struct mount *m, struct shown *s)
{
	if (s->is_sleeper)
		take_out(&m->sleepers, s);
}

/* ---- strangers ---- */

static bool may_be_asked(struct mount *m)
{
	const uint64_t each_us = SLEEPERS_ASKED_MS * US_PER_MS;
	uint64_t now_us = loop_now_us(m->loop);
	uint64_t *spent_us = &m->sleepers.asked_us;

	if (*spent_us < now_us)
		*spent_us = now_us;
	if (*spent_us - now_us > (SLEEPERS_ASKED_BURST - 1) * each_us)
		return false;
	*spent_us += each_us;
	return true;
}

bool sleepers_on_asked(struct mount *m, const uint8_t hash[20])
{
	struct shown *s = roster_by_wire(&m->roster, hash);
	int err;

	if (m->is_over || s == NULL || !s->is_sleeper || s->is_leaving)
		return false;
	if (s->is_wanted && (s->is_read || s->is_closing))
		return true; /* on its way */
	if (warmth_is_full(m) || !may_be_asked(m))
		return false;
	err = warmth_wake(m, s);
	return err == 0 || err == EAGAIN;
}
