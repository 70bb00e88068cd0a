/* seeks — whose turn it is to be looked for in the DHT.
 *
 * `hurried` holds info-hashes that somebody waits for, `calm` those that
 * are announced again and again, in the order of their turns. Calm ones have a
 * budget of messages, so that a library of thousands is announced slowly and
 * not in a storm: each search is paid for when it ends, with what it sent; the
 * next begins when that is earned. Hurried ones have a place, SEEKS_HURRIED_MAX
 * at a time, and a budget that nobody meets who looks at some names: a minute's
 * messages are there at once, and then SEEK_HURRY_PER_S.
 *
 * An announce that too few nodes took comes again soon, each time later
 * (SEEK_THIN_MS, doubling), and whenever we know twice as many nodes as before:
 * who is mounted in an empty network is found when it fills.
 *
 * Failure modes: a search that cannot start comes again after SEEK_RETRY_MS.
 *
 * Invariants: a seek is in the list that its state names; `calm` and `hurried`
 * are sorted by due_us; n_hurried and n_calm_running count SEEK_RUNNING. */
#include <string.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/rng.h"
#include "net/mainline_internal.h"
#include "net/net_limits.h"

void mainline_look_soon(struct mainline *m)
{
	loop_timer_start(m->turn, 0);
}

static struct seek_list *list_of(struct mainline *m, enum seek_state state)
{
	switch (state) {
	case SEEK_CALM:
		return &m->calm;
	case SEEK_HURRIED:
		return &m->hurried;
	case SEEK_RUNNING:
		return &m->running;
	case SEEK_NONE:
		break;
	}
	return NULL;
}

/* Sorted by due_us; who comes is as a rule the last. */
static void enter(struct seek *s, enum seek_state state)
{
	struct seek_list *old = list_of(s->m, s->state);
	struct seek_list *list = list_of(s->m, state);
	struct seek *before;

	if (old != NULL)
		TAILQ_REMOVE(old, s, link);
	s->state = state;
	if (list == NULL)
		return;
	before = TAILQ_LAST(list, seek_list);
	while (before != NULL && before->due_us > s->due_us)
		before = TAILQ_PREV(before, seek_list, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, s, link);
	else
		TAILQ_INSERT_HEAD(list, s, link);
}

static uint64_t hurry_us(const struct seek *s)
{
	uint64_t wait_us = SEEK_HURRY_MS * UINT64_C(1000);

	for (unsigned i = 1; i < s->hurries; i++)
		if (wait_us < SEEK_HURRY_MAX_MS * UINT64_C(1000))
			wait_us *= 2;
	return wait_us;
}

static void wait_calmly(struct seek *s)
{
	struct mainline *m = s->m;
	uint64_t every_us = SEEK_EVERY_MS * UINT64_C(1000);

	if (s->thins > 0 && s->thins <= SEEK_THINS)
		every_us = SEEK_THIN_MS * UINT64_C(1000) << (s->thins - 1);
	/* Spread, or all that were added together would come together. */
	s->due_us = mainline_now_us(m) + every_us * 3 / 4 +
		    rng_u64() % (every_us / 2);
	enter(s, SEEK_CALM);
}

static void wait_hurriedly(struct seek *s)
{
	s->due_us = s->begun_us == 0 || s->is_news ? mainline_now_us(s->m)
						   : s->begun_us + hurry_us(s);
	s->is_news = false;
	enter(s, SEEK_HURRIED);
}

/* Those of `calm` that begin now, and not when their turn would come: they keep
 * their order, and the budget still lets them go one by one. */
static void renew(struct mainline *m, bool only_thin)
{
	uint64_t now_us = mainline_now_us(m);
	struct seek *last = NULL, *s, *next;

	TAILQ_FOREACH_SAFE (s, &m->calm, link, next) {
		if (s->due_us > now_us) {
			if (s->begun_us == 0 || s->is_hidden ||
			    (only_thin && s->thins == 0))
				continue;
			s->due_us = now_us;
			TAILQ_REMOVE(&m->calm, s, link);
			if (last != NULL)
				TAILQ_INSERT_AFTER(&m->calm, last, s, link);
			else
				TAILQ_INSERT_HEAD(&m->calm, s, link);
		}
		last = s;
	}
	mainline_look_soon(m);
}

void mainline_note_growth(struct mainline *m)
{
	for (int f = 0; f < DHT_FAMILIES; f++) {
		uint32_t n = dht_node_contacts(m->node, (enum dht_family)f);

		if (n <= m->grown[f] || n < SEEK_GROWN_MIN)
			continue;
		/* A network that was not there at all is everybody's news. */
		renew(m, m->grown[f] > 0);
		m->grown[f] = n < SEEK_GROWN_MAX ? 2 * n - 1 : UINT32_MAX;
	}
}

/* A search has to be paid for, in time. */
static void pay(uint64_t *paid_us, uint64_t now_us, unsigned n_messages,
		unsigned per_s)
{
	if (*paid_us < now_us)
		*paid_us = now_us;
	*paid_us += n_messages * (UINT64_C(1000000) / per_s);
}

/* Hurried ones have a minute's credit. */
static uint64_t hurry_from_us(const struct mainline *m)
{
	const uint64_t burst_us =
		SEEK_HURRY_BURST * UINT64_C(1000000) / SEEK_HURRY_PER_S;

	return m->hurry_paid_us > burst_us ? m->hurry_paid_us - burst_us : 0;
}

static void on_peers(void *arg, const struct addr *peers, size_t n)
{
	struct seek *s = arg;

	s->on_peers(s->arg, peers, n);
}

static void on_search_end(void *arg, const struct dht_outcome *outcome)
{
	struct seek *s = arg;
	struct mainline *m = s->m;

	log_debug("dht: %02x%02x%02x%02x…: %u asked, %u answered, %u peers, "
		  "announced to %u",
		  s->hash[0], s->hash[1], s->hash[2], s->hash[3],
		  outcome->n_asked, outcome->n_answered, outcome->n_peers,
		  outcome->n_stored);
	s->search = NULL;
	s->thins = !s->is_hidden && (outcome->is_thin || outcome->n_stored == 0)
			   ? s->thins + 1
			   : 0;
	if (s->was_hurried) {
		m->n_hurried--;
		pay(&m->hurry_paid_us, mainline_now_us(m), outcome->n_asked,
		    SEEK_HURRY_PER_S);
	} else {
		m->n_calm_running--;
		pay(&m->paid_us, mainline_now_us(m), outcome->n_asked,
		    SEEK_CALM_PER_S);
	}
	if (s->is_wanted)
		wait_hurriedly(s);
	else
		wait_calmly(s);
	s->is_wanted = false;
	mainline_look_soon(m);
	s->on_end(s->arg, outcome->n_peers,
		  outcome->why == DHT_END_DONE && outcome->n_answered > 0);
}

static int begin(struct mainline *m, struct seek *s, bool is_hurried)
{
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_PEERS,
		.pace = is_hurried ? DHT_PACE_URGENT : DHT_PACE_BACKGROUND,
		.announce_port = s->is_hidden ? 0 : m->cfg.port,
		.is_seed = s->is_seed,
		.on_peers = on_peers,
		.on_end = on_search_end,
		.arg = s,
	};
	uint64_t now_us = mainline_now_us(m);
	int r;

	memcpy(cfg.target.b, s->hash, sizeof(cfg.target.b));
	r = dht_search_start(m->node, now_us, &cfg, &s->search);
	mainline_settle(m);
	if (r != 0)
		return r;
	s->begun_us = now_us;
	s->was_hurried = is_hurried;
	enter(s, SEEK_RUNNING);
	if (is_hurried)
		m->n_hurried++;
	else
		m->n_calm_running++;
	return 0;
}

/* What is due begins; returns when to look again, or UINT64_MAX: when something
 * ends. */
static uint64_t run_list(struct mainline *m, struct seek_list *list,
			 uint64_t not_before_us)
{
	uint64_t now_us = mainline_now_us(m);
	bool is_hurried = list == &m->hurried;
	struct seek *s;

	while ((s = TAILQ_FIRST(list)) != NULL) {
		unsigned n = is_hurried ? m->n_hurried : m->n_calm_running;
		unsigned max = is_hurried ? SEEKS_HURRIED_MAX : SEEKS_CALM_MAX;
		uint64_t at_us =
			s->due_us > not_before_us ? s->due_us : not_before_us;

		if (n >= max)
			return UINT64_MAX;
		if (at_us > now_us)
			return at_us;
		if (begin(m, s, is_hurried) != 0)
			return now_us + SEEK_RETRY_MS * UINT64_C(1000);
	}
	return UINT64_MAX;
}

/* A small network has no more than this. */
static bool is_settled(const struct mainline *m)
{
	return m->is_ready || mainline_now_us(m) - m->found_us >=
				      MAINLINE_SMALL_MS * UINT64_C(1000);
}

void mainline_on_turn(void *arg)
{
	struct mainline *m = arg;
	uint64_t now_us = mainline_now_us(m), next_us, calm_us;

	if (m->found_us == 0)
		return; /* note_network looks again */
	next_us = run_list(m, &m->hurried, hurry_from_us(m));
	calm_us = m->found_us + MAINLINE_SMALL_MS * UINT64_C(1000);
	if (is_settled(m))
		calm_us = run_list(m, &m->calm, m->paid_us);
	if (calm_us < next_us)
		next_us = calm_us;
	if (next_us != UINT64_MAX)
		loop_timer_start(m->turn, next_us - now_us);
}

void mainline_add(struct mainline *m, struct seek *s)
{
	s->m = m;
	s->state = SEEK_NONE;
	s->search = NULL;
	s->begun_us = 0;
	s->hurries = s->thins = 0;
	s->is_wanted = s->is_news = s->was_hurried = false;
	s->due_us = mainline_now_us(m);
	m->n_seeks++;
	enter(s, SEEK_CALM);
	mainline_look_soon(m);
}

void mainline_hurry(struct seek *s)
{
	struct mainline *m = s->m;

	if (m == NULL || s->state == SEEK_HURRIED)
		return;
	if (s->begun_us != 0 && mainline_now_us(m) - s->begun_us >
					SEEK_HURRY_MAX_MS * UINT64_C(2000))
		s->hurries = 0;
	if (s->begun_us != 0)
		s->hurries++;
	if (s->state == SEEK_RUNNING) {
		s->is_wanted = true;
		return;
	}
	wait_hurriedly(s);
	mainline_look_soon(m);
}

void mainline_show(struct seek *s)
{
	struct mainline *m = s->m;

	if (m == NULL || !s->is_hidden)
		return;
	s->is_hidden = false;
	s->hurries = 0;
	if (s->state == SEEK_RUNNING) {
		s->is_news = s->is_wanted = true;
		return;
	}
	s->due_us = mainline_now_us(m);
	enter(s, SEEK_HURRIED);
	mainline_look_soon(m);
}

void mainline_remove(struct seek *s)
{
	struct mainline *m = s->m;

	if (m == NULL)
		return;
	if (s->state == SEEK_RUNNING) {
		dht_search_cancel(s->search);
		if (s->was_hurried)
			m->n_hurried--;
		else
			m->n_calm_running--;
		mainline_settle(m);
		mainline_look_soon(m);
	}
	enter(s, SEEK_NONE);
	m->n_seeks--;
	s->m = NULL;
}
