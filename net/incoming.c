/* incoming — from an accepted socket to a peer of some torrent.
 *
 * A stranger is closed at once when there are too many of them, or of his host,
 * or when his address is banned, or his host for what it did (offences.h), or
 * when it has asked for many torrents that we do not have (probes.h); without
 * an answer when he asks for a torrent that we do not serve (so that nobody
 * learns what we have by asking), or one whose swarm is full. Else the
 * connection goes over to the swarm, and the stranger struct is done. peerio's
 * own deadline ends the silent ones.
 *
 * A torrent may sleep: the engine's owner knows it and the engine does not. Who
 * asks for it waits until it is READY, at most INCOMING_WAIT_MS, unread behind
 * his handshake; he is in `sleepless`, oldest first, and counts as before.
 *
 * One host may have INCOMING_HOST_MAX connections with us, so that he does not
 * take the places of all others; on loopback a host is everybody.
 *
 * Ourselves: a tracker tells us our own address, and we dial it. Only the end
 * that dialled knows that address; it learns from our answer whom it found,
 * bans it, and hangs up.
 *
 * A stranger is freed at the end of the turn: he may be on the call stack. */
#include "net/incoming.h"

#include <string.h>
#include <unistd.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/bans.h"
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/offences.h"
#include "net/peer.h"
#include "net/peerio.h"
#include "net/probes.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

struct stranger {
	struct incoming *in; /* Owner: */
	TAILQ_ENTRY(stranger) link;
	struct peerio *io; /* NULL: it is a swarm's now, or ended */
	bool is_sleepless; /* waits for a torrent that wakes up, … */
	uint64_t until_us;
	struct handshake hs; /* … of this hash */
};

TAILQ_HEAD(strangers, stranger);

struct incoming {
	struct engine *e; /* Owner: */
	struct strangers waiting, sleepless, done;
	unsigned n; /* waiting or sleepless */
	struct loop_task reap;
	struct loop_timer *limit; /* of the first of the sleepless */
	struct probes probes;
};

static void free_all(struct strangers *list)
{
	struct stranger *s;

	while ((s = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, s, link);
		if (s->io != NULL)
			peerio_free(s->io);
		mem_free(s);
	}
}

static void on_reap(void *arg)
{
	struct incoming *in = arg;

	free_all(&in->done);
}

static void on_limit(void *arg);

int incoming_new(struct engine *e, struct incoming **out)
{
	struct incoming *in = mem_new(struct incoming);

	if (in == NULL)
		return ENOMEM;
	in->e = e;
	TAILQ_INIT(&in->waiting);
	TAILQ_INIT(&in->sleepless);
	TAILQ_INIT(&in->done);
	loop_task_init(&in->reap, on_reap, in);
	if (loop_timer_new(e->cfg.loop, on_limit, in, &in->limit) != 0) {
		mem_free(in);
		return ENOMEM;
	}
	*out = in;
	return 0;
}

void incoming_free(struct incoming *in)
{
	if (in == NULL)
		return;
	loop_task_cancel(in->e->cfg.loop, &in->reap);
	loop_timer_free(in->limit);
	free_all(&in->waiting);
	free_all(&in->sleepless);
	free_all(&in->done);
	mem_free(in);
}

static void retire(struct stranger *s)
{
	struct incoming *in = s->in;

	TAILQ_REMOVE(s->is_sleepless ? &in->sleepless : &in->waiting, s, link);
	TAILQ_INSERT_TAIL(&in->done, s, link);
	in->n--;
	loop_defer(in->e->cfg.loop, &in->reap);
}

/* ---- who is too many ---- */

/* `n` others are there already. */
static bool is_one_too_many(const struct addr *a, unsigned n)
{
	return n >= INCOMING_HOST_MAX && !addr_is_loopback(a);
}

static unsigned strangers_like(const struct incoming *in, const struct addr *a)
{
	const struct stranger *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &in->waiting, link)
		n += addr_eq_host(peerio_addr(s->io), a);
	TAILQ_FOREACH (s, &in->sleepless, link)
		n += addr_eq_host(peerio_addr(s->io), a);
	return n;
}

static unsigned peers_like(const struct swarm *sw, const struct addr *a)
{
	const struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &sw->peers, link)
		n += p->is_incoming && addr_eq_host(&p->addr, a);
	return n;
}

/* ---- the connection's callbacks: only the first handshake and the end ---- */

/* We dialled none of them. */
static void io_on_connect(void *arg)
{
	(void)arg;
}

static enum peer_end join(struct stranger *s, struct torrent *t,
			  const struct handshake *hs)
{
	struct peerio *io = s->io;
	enum peer_end why;

	if (is_one_too_many(peerio_addr(io),
			    peers_like(t->swarm, peerio_addr(io))))
		return PEER_END_LIMIT;
	if (!swarm_may_accept(t->swarm, peerio_addr(io)))
		return PEER_END_LIMIT;
	why = peer_adopt(t->swarm, io, hs);
	if (why != PEER_END_NONE)
		return why;
	s->io = NULL;
	retire(s);
	return PEER_END_NONE;
}

static void set_limit(struct incoming *in)
{
	const struct stranger *first = TAILQ_FIRST(&in->sleepless);
	uint64_t now_us = loop_now_us(in->e->cfg.loop);

	if (first == NULL)
		loop_timer_stop(in->limit);
	else
		loop_timer_start(in->limit, first->until_us > now_us
						    ? first->until_us - now_us
						    : 0);
}

static void on_limit(void *arg)
{
	struct incoming *in = arg;
	struct stranger *s, *next;

	TAILQ_FOREACH_SAFE (s, &in->sleepless, link, next)
		if (s->until_us <= loop_now_us(in->e->cfg.loop))
			retire(s);
	set_limit(in);
}

/* Will the torrent be there? Then he waits. */
static bool is_wakened(struct stranger *s, const struct handshake *hs)
{
	struct incoming *in = s->in;
	const struct engine_cfg *cfg = &in->e->cfg;
	bool is_here = engine_by_wire(in->e, hs->info_hash) != NULL;

	if (!is_here && (cfg->no_seed || cfg->ops->on_asked == NULL ||
			 !cfg->ops->on_asked(cfg->arg, hs->info_hash)))
		return false;
	TAILQ_REMOVE(&in->waiting, s, link);
	TAILQ_INSERT_TAIL(&in->sleepless, s, link);
	s->is_sleepless = true;
	s->hs = *hs;
	s->until_us =
		loop_now_us(cfg->loop) + INCOMING_WAIT_MS * UINT64_C(1000);
	peerio_pause(s->io, true);
	set_limit(in);
	return true;
}

void incoming_on_ready(struct incoming *in, struct torrent *t)
{
	struct stranger *s, *next;

	if (in == NULL)
		return;
	TAILQ_FOREACH_SAFE (s, &in->sleepless, link, next) {
		if (engine_by_wire(in->e, s->hs.info_hash) != t)
			continue;
		peerio_pause(s->io, false);
		if (join(s, t, &s->hs) != PEER_END_NONE)
			retire(s);
	}
	set_limit(in);
}

static enum peer_end io_on_handshake(void *arg, struct peerio *io,
				     const struct handshake *hs)
{
	struct stranger *s = arg;
	struct torrent *t = engine_by_wire(s->in->e, hs->info_hash);

	if ((t == NULL || t->state == TORRENT_OPENING) && is_wakened(s, hs))
		return PEER_END_NONE;
	if (t == NULL) {
		probes_on_miss(&s->in->probes, peerio_addr(io),
			       loop_now_us(s->in->e->cfg.loop));
		return PEER_END_HANDSHAKE;
	}
	if (memcmp(hs->peer_id, s->in->e->peer_id, PEER_ID_BYTES) == 0) {
		peerio_send_handshake(io, hs); /* word for word our own */
		return PEER_END_NONE;
	}
	return join(s, t, hs);
}

static void io_on_msg(void *arg, const struct wire_msg *m)
{
	(void)arg;
	(void)m;
}

static unsigned io_expect(void *arg, struct peerio_slot *slots, unsigned max)
{
	(void)arg;
	(void)slots;
	(void)max;
	return 0;
}

static uint8_t *io_place(void *arg, const struct wire_block *b)
{
	(void)arg;
	(void)b;
	return NULL;
}

static void io_on_block(void *arg, const struct wire_block *b, uint8_t *dst)
{
	(void)arg;
	(void)b;
	(void)dst;
}

static void io_on_bytes(void *arg, uint32_t bytes)
{
	(void)arg;
	(void)bytes;
}

static void io_on_end(void *arg, enum peer_end why)
{
	struct stranger *s = arg;

	(void)why;
	retire(s);
}

static const struct peerio_ops ops = {
	.on_connect = io_on_connect,
	.on_handshake = io_on_handshake,
	.on_msg = io_on_msg,
	.expect = io_expect,
	.place = io_place,
	.on_block = io_on_block,
	.on_payload = io_on_bytes,
	.on_sent = io_on_bytes,
	.on_end = io_on_end,
};

static bool is_unwelcome(const struct incoming *in, const struct addr *a,
			 uint64_t now_us)
{
	return bans_has(in->e->bans, a) ||
	       offences_until_us(&in->e->offences, a, now_us) > 0 ||
	       probes_is_over(&in->probes, a, now_us);
}

void incoming_on_accept(struct incoming *in, int fd, const struct addr *from)
{
	uint64_t now_us = loop_now_us(in->e->cfg.loop);
	struct stranger *s;

	if (in->n >= ENGINE_PENDING_MAX || in->e->n_peers >= ENGINE_PEERS_MAX ||
	    is_unwelcome(in, from, now_us) ||
	    is_one_too_many(from, strangers_like(in, from))) {
		(void)close(fd);
		return;
	}
	s = mem_new(struct stranger);
	if (s == NULL) {
		(void)close(fd);
		return;
	}
	s->in = in;
	/* Takes the descriptor also on failure. */
	if (peerio_adopt(in->e->cfg.loop, fd, from, &ops, s, &s->io) != 0) {
		mem_free(s);
		return;
	}
	TAILQ_INSERT_TAIL(&in->waiting, s, link);
	in->n++;
}
