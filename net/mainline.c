/* mainline — our node of the Mainline DHT, in the program.
 *
 * Happy path: the store gives back the table of the last run; the node asks
 * around in it. When it does not find itself in the network soon, the bootstrap
 * names are looked up, one after the other, and asked. Every so often, and at
 * the end, the table is saved.
 *
 * Seeks. `hurried` holds info-hashes that somebody waits for, `calm` those that
 * are announced again and again, in the order of their turns. Calm ones have a
 * budget of messages, so that a library of thousands is announced slowly and
 * not in a storm: each search is paid for when it ends, with what it sent; the
 * next begins when that is earned. Hurried ones have no budget, but a place:
 * SEEKS_HURRIED_MAX at a time.
 *
 * Names are looked up one at a time, since there are few threads for it and
 * trackers need them too.
 *
 * Failure modes
 *   nobody answers        bootstrap again, later each time (MAINLINE_BOOT_MS,
 *                         doubling up to MAINLINE_BOOT_MAX_MS)
 *   a search cannot start  its turn comes again after SEEK_RETRY_MS
 *   the saved table lies  the node's matter: it believes nothing in it
 *
 * Invariants: a seek is in the list that its state names; `calm` and `hurried`
 * are sorted by due_us; n_running counts SEEK_RUNNING of both kinds. */
#include "net/mainline.h"

#include <stdio.h>
#include <string.h>

#include "cache/store.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/rng.h"
#include "net/datagrams.h"
#include "net/net_limits.h"
#include "net/resolve.h"

enum { HOST_BYTES = 256 };

static const char NOTE[] = "dht";

/* Who lets newcomers into the Mainline DHT. */
static const char *const public_nodes[] = {
	"dht.libtorrent.org:25401",
	"dht.transmissionbt.com:6881",
	"router.bittorrent.com:6881",
	"router.utorrent.com:6881",
};

TAILQ_HEAD(seek_list, seek);

struct loading;

struct mainline {
	struct mainline_cfg cfg;
	struct datagrams *io;
	struct hasher *hasher;
	struct dht_node *node;
	struct loop_timer *wake; /* the node's */
	struct loop_timer *turn; /* the next seek's */
	struct loop_timer *boot, *save;

	struct seek_list calm, hurried, running;
	unsigned n_seeks, n_hurried, n_calm_running;
	uint64_t paid_us; /* calm searches before now are paid for until then */

	char **bootstrap;
	unsigned n_bootstrap, boot_ix;
	uint64_t boot_ms;
	struct resolve *name;	 /* while one is looked up */
	struct loading *loading; /* while the store looks */
	uint64_t found_us;	 /* the first contact; 0: none yet */
	bool is_ready;		 /* enough of them, once */
};

uint64_t mainline_now_us(const struct mainline *m)
{
	return loop_now_us(m->cfg.loop);
}

struct dht_node *mainline_node(struct mainline *m)
{
	return m->node;
}

/* ---- the node's clock and datagrams ---- */

static void look_soon(struct mainline *m)
{
	loop_timer_start(m->turn, 0);
}

/* Searches wait for the first contact, calm ones for more. */
static void note_network(struct mainline *m)
{
	if (m->found_us == 0 && !dht_node_is_lost(m->node)) {
		m->found_us = mainline_now_us(m);
		look_soon(m);
	}
	if (m->found_us != 0 && !m->is_ready && dht_node_is_ready(m->node)) {
		m->is_ready = true;
		log_debug("dht: the network is found");
		look_soon(m);
	}
}

void mainline_settle(struct mainline *m)
{
	uint64_t next_us = dht_node_next_us(m->node);
	uint64_t now_us = mainline_now_us(m);

	if (next_us == UINT64_MAX)
		loop_timer_stop(m->wake);
	else
		loop_timer_start(m->wake,
				 next_us > now_us ? next_us - now_us : 0);
}

static void on_wake(void *arg)
{
	struct mainline *m = arg;

	dht_node_wake(m->node, mainline_now_us(m));
	note_network(m);
	mainline_settle(m);
}

static void on_datagram(void *arg, const struct addr *from,
			const uint8_t *bytes, size_t len)
{
	struct mainline *m = arg;

	(void)dht_node_receive(m->node, mainline_now_us(m), from, bytes, len);
}

static void after_datagrams(void *arg)
{
	struct mainline *m = arg;

	note_network(m);
	mainline_settle(m);
}

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	struct mainline *m = arg;

	datagrams_send(m->io, to, bytes, len);
}

void mainline_endpoint(struct mainline *m, const struct addr *a)
{
	dht_node_endpoint(m->node, mainline_now_us(m), a);
	mainline_settle(m);
}

/* ---- bootstrap ---- */

static void boot_next(struct mainline *m);

static void on_name(void *arg, int err, const struct addr *addrs, unsigned n)
{
	struct mainline *m = arg;

	m->name = NULL;
	if (err != 0)
		log_debug("dht: %s: %s", m->bootstrap[m->boot_ix],
			  err_text(err));
	for (unsigned i = 0; err == 0 && i < n; i++)
		dht_node_endpoint(m->node, mainline_now_us(m), &addrs[i]);
	mainline_settle(m);
	m->boot_ix++;
	boot_next(m);
}

static void boot_later(struct mainline *m)
{
	m->boot_ix = 0;
	loop_timer_start(m->boot, m->boot_ms * 1000);
	m->boot_ms *= 2;
	if (m->boot_ms > MAINLINE_BOOT_MAX_MS)
		m->boot_ms = MAINLINE_BOOT_MAX_MS;
}

static void boot_next(struct mainline *m)
{
	char host[HOST_BYTES];
	uint16_t port;

	while (m->boot_ix < m->n_bootstrap) {
		/* Checked when they were given. */
		if (resolve_split(m->bootstrap[m->boot_ix], host, sizeof(host),
				  &port) == 0 &&
		    resolve_start(m->cfg.names, host, port, on_name, m,
				  &m->name) == 0)
			return;
		m->boot_ix++;
	}
	boot_later(m);
}

static void on_boot(void *arg)
{
	struct mainline *m = arg;

	if (dht_node_is_ready(m->node)) {
		m->boot_ms = MAINLINE_BOOT_MS;
		boot_later(m);
	} else if (m->name == NULL) {
		boot_next(m);
	}
}

/* ---- what the last run knew ---- */

/* The store's answer may come when the mainline is gone. */
struct loading {
	struct mainline *m;
};

static void on_note(void *arg, int err, struct span saved)
{
	struct loading *ld = arg;
	struct mainline *m = ld->m;

	mem_free(ld);
	if (m == NULL)
		return;
	m->loading = NULL;
	if (err == 0)
		err = dht_node_load(m->node, mainline_now_us(m), saved);
	if (err != 0 && err != ENOENT)
		log_notice("dht: the saved table: %s", err_text(err));
	mainline_settle(m);
	/* With a table the names are asked only if it leads nowhere. */
	loop_timer_start(m->boot, err == 0 ? MAINLINE_BOOT_MS * 1000 : 0);
}

static void load(struct mainline *m)
{
	struct loading *ld = mem_new(struct loading);

	if (ld != NULL) {
		ld->m = m;
		if (store_load_note(m->cfg.store, NOTE, on_note, ld) == 0) {
			m->loading = ld;
			return;
		}
		mem_free(ld);
	}
	loop_timer_start(m->boot, 0);
}

void mainline_save(struct mainline *m)
{
	struct buf b = {0};

	dht_node_save(m->node, &b);
	if (buf_err(&b) == 0 && b.len > 0)
		(void)store_keep_note(m->cfg.store, NOTE, buf_span(&b));
	buf_fini(&b);
}

static void on_save(void *arg)
{
	struct mainline *m = arg;

	if (dht_node_is_ready(m->node))
		mainline_save(m);
	loop_timer_start(m->save, MAINLINE_SAVE_MS * UINT64_C(1000));
}

/* ---- whose turn ---- */

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

	/* Spread, or all that were added together would come together. */
	s->due_us = mainline_now_us(m) + every_us * 3 / 4 +
		    rng_u64() % (every_us / 2);
	enter(s, SEEK_CALM);
}

static void wait_hurriedly(struct seek *s)
{
	s->due_us = s->begun_us == 0 ? mainline_now_us(s->m)
				     : s->begun_us + hurry_us(s);
	enter(s, SEEK_HURRIED);
}

/* A calm search has to be paid for, in time. */
static void pay(struct mainline *m, unsigned n_messages)
{
	uint64_t now_us = mainline_now_us(m);

	if (m->paid_us < now_us)
		m->paid_us = now_us;
	m->paid_us += n_messages * (UINT64_C(1000000) / SEEK_CALM_PER_S);
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

	s->search = NULL;
	if (s->was_hurried)
		m->n_hurried--;
	else
		m->n_calm_running--;
	if (!s->was_hurried)
		pay(m, outcome->n_asked);
	if (s->is_wanted)
		wait_hurriedly(s);
	else
		wait_calmly(s);
	s->is_wanted = false;
	look_soon(m);
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

static void on_turn(void *arg)
{
	struct mainline *m = arg;
	uint64_t now_us = mainline_now_us(m), next_us, calm_us;

	if (m->found_us == 0)
		return; /* note_network looks again */
	next_us = run_list(m, &m->hurried, 0);
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
	s->hurries = 0;
	s->is_wanted = s->was_hurried = false;
	s->due_us = mainline_now_us(m);
	m->n_seeks++;
	enter(s, SEEK_CALM);
	look_soon(m);
}

void mainline_hurry(struct seek *s)
{
	struct mainline *m = s->m;

	if (m == NULL || s->state == SEEK_HURRIED)
		return;
	if (s->begun_us != 0 && mainline_now_us(m) - s->begun_us >
					SEEK_HURRY_MAX_MS * UINT64_C(2000))
		s->hurries = 0;
	s->hurries++;
	if (s->state == SEEK_RUNNING) {
		s->is_wanted = true;
		return;
	}
	wait_hurriedly(s);
	look_soon(m);
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
		look_soon(m);
	}
	enter(s, SEEK_NONE);
	m->n_seeks--;
	s->m = NULL;
}

/* ---- life ---- */

static int copy_bootstrap(struct mainline *m, bool is_local)
{
	const char *const *names = m->cfg.bootstrap;
	unsigned n = m->cfg.n_bootstrap;

	/* From a loopback address they cannot be reached. */
	if (n == 0 && !is_local) {
		names = public_nodes;
		n = sizeof(public_nodes) / sizeof(public_nodes[0]);
	}
	m->bootstrap = mem_zalloc(n + 1, sizeof(*m->bootstrap));
	if (m->bootstrap == NULL)
		return ENOMEM;
	for (; m->n_bootstrap < n; m->n_bootstrap++) {
		m->bootstrap[m->n_bootstrap] =
			mem_strdup(names[m->n_bootstrap]);
		if (m->bootstrap[m->n_bootstrap] == NULL)
			return ENOMEM;
	}
	m->cfg.bootstrap = NULL;
	return 0;
}

static int make_node(struct mainline *m)
{
	struct dht_cfg cfg = {
		.send = on_send,
		.arg = m,
		.hasher = m->hasher,
		.has = {[DHT_IPV4] = datagrams_has(m->io, AF_INET),
			[DHT_IPV6] = datagrams_has(m->io, AF_INET6)},
	};

	rng_bytes(cfg.seed, sizeof(cfg.seed));
	return dht_node_new(&cfg, mainline_now_us(m), &m->node);
}

static int make_timers(struct mainline *m)
{
	struct loop *loop = m->cfg.loop;
	int r = loop_timer_new(loop, on_wake, m, &m->wake);

	if (r == 0)
		r = loop_timer_new(loop, on_turn, m, &m->turn);
	if (r == 0)
		r = loop_timer_new(loop, on_boot, m, &m->boot);
	if (r == 0)
		r = loop_timer_new(loop, on_save, m, &m->save);
	return r;
}

int mainline_new(const struct mainline_cfg *cfg, struct mainline **out)
{
	struct mainline *m = mem_new(struct mainline);
	struct datagrams_cfg io = {
		.loop = cfg->loop,
		.bind_to = cfg->bind_to,
		.port = cfg->port,
		.on_datagram = on_datagram,
		.after = after_datagrams,
		.arg = m,
	};
	int r;

	if (m == NULL)
		return ENOMEM;
	m->cfg = *cfg;
	m->cfg.bind_to = NULL;
	m->boot_ms = MAINLINE_BOOT_MS;
	TAILQ_INIT(&m->calm);
	TAILQ_INIT(&m->hurried);
	TAILQ_INIT(&m->running);
	r = copy_bootstrap(m, cfg->bind_to != NULL &&
				      addr_is_loopback(cfg->bind_to));
	if (r == 0)
		r = make_timers(m);
	if (r == 0)
		r = datagrams_new(&io, &m->io);
	if (r == 0)
		r = hasher_new(&m->hasher);
	if (r == 0)
		r = make_node(m);
	if (r != 0) {
		mainline_free(m);
		return r;
	}
	load(m);
	mainline_settle(m);
	loop_timer_start(m->save, MAINLINE_SAVE_MS * UINT64_C(1000));
	*out = m;
	return 0;
}

void mainline_free(struct mainline *m)
{
	if (m == NULL)
		return;
	if (m->loading != NULL)
		m->loading->m = NULL;
	resolve_cancel(m->name);
	dht_node_free(m->node);
	hasher_free(m->hasher);
	datagrams_free(m->io);
	loop_timer_free(m->wake);
	loop_timer_free(m->turn);
	loop_timer_free(m->boot);
	loop_timer_free(m->save);
	for (unsigned i = 0; i < m->n_bootstrap; i++)
		mem_free(m->bootstrap[i]);
	mem_free(m->bootstrap);
	mem_free(m);
}

void mainline_view(const struct mainline *m, struct mainline_view *out)
{
	*out = (struct mainline_view){
		.port = m->cfg.port,
		.seeks = m->n_seeks,
		.running = m->n_hurried + m->n_calm_running,
	};
	dht_node_stats(m->node, &out->node);
}
