/* mainline — our node of the Mainline DHT, in the program.
 *
 * Happy path: the store gives back the table of the last run; the node asks
 * around in it. When it does not find itself in the network soon, the bootstrap
 * names are looked up, one after the other, and asked. Every so often, and at
 * the end, the table is saved.
 *
 * Names are looked up one at a time, since there are few threads for it and
 * trackers need them too.
 *
 * Failure modes
 *   nobody answers        bootstrap again, later each time (MAINLINE_BOOT_MS,
 *                         doubling up to MAINLINE_BOOT_MAX_MS)
 *   the saved table lies  the node's matter: it believes nothing in it */
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
#include "net/mainline_internal.h"
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

uint64_t mainline_now_us(const struct mainline *m)
{
	return loop_now_us(m->cfg.loop);
}

struct dht_node *mainline_node(struct mainline *m)
{
	return m->node;
}

/* ---- the node's clock and datagrams ---- */

/* Searches wait for the first contact, calm ones for more. */
static void note_network(struct mainline *m)
{
	if (m->found_us == 0 && !dht_node_is_lost(m->node)) {
		m->found_us = mainline_now_us(m);
		mainline_look_soon(m);
	}
	if (m->found_us != 0 && !m->is_ready && dht_node_is_ready(m->node)) {
		m->is_ready = true;
		log_debug("dht: the network is found");
		mainline_look_soon(m);
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

/* The node wakes up several times a minute, whatever happens. */
static void mark_traffic(struct mainline *m)
{
	uint64_t now_us = mainline_now_us(m);
	struct dht_stats s;

	if (now_us - m->mark[0].us < MAINLINE_MARK_MS * UINT64_C(1000))
		return;
	dht_node_stats(m->node, &s);
	m->mark[1] = m->mark[0];
	m->mark[0] = (struct traffic_mark){now_us, s.in_bytes, s.out_bytes};
}

static void on_wake(void *arg)
{
	struct mainline *m = arg;

	dht_node_wake(m->node, mainline_now_us(m));
	note_network(m);
	mainline_note_growth(m);
	mark_traffic(m);
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
		(void)store_keep_note(m->cfg.store, NOTE, buf_span(&b), NULL,
				      NULL);
	buf_fini(&b);
}

static void on_save(void *arg)
{
	struct mainline *m = arg;

	if (dht_node_is_ready(m->node))
		mainline_save(m);
	loop_timer_start(m->save, MAINLINE_SAVE_MS * UINT64_C(1000));
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
		.answer_Bps = MAINLINE_ANSWER_BPS,
	};

	rng_bytes(cfg.seed, sizeof(cfg.seed));
	return dht_node_new(&cfg, mainline_now_us(m), &m->node);
}

static int make_timers(struct mainline *m)
{
	struct loop *loop = m->cfg.loop;
	int r = loop_timer_new(loop, on_wake, m, &m->wake);

	if (r == 0)
		r = loop_timer_new(loop, mainline_on_turn, m, &m->turn);
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
	m->mark[0].us = m->mark[1].us = mainline_now_us(m);
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

static uint64_t rate(uint64_t bytes, uint64_t us)
{
	return us > 0 ? bytes * 1000000 / us : 0;
}

void mainline_view(const struct mainline *m, struct mainline_view *out)
{
	uint64_t age_us;

	*out = (struct mainline_view){
		.port = m->cfg.port,
		.seeks = m->n_seeks,
		.running = m->n_hurried + m->n_calm_running,
	};
	dht_node_stats(m->node, &out->node);
	age_us = mainline_now_us(m) - m->mark[1].us;
	out->in_Bps = rate(out->node.in_bytes - m->mark[1].in_bytes, age_us);
	out->out_Bps = rate(out->node.out_bytes - m->mark[1].out_bytes, age_us);
}
