/* incoming — from an accepted socket to a peer of some torrent.
 *
 * A stranger is closed at once when there are too many of them, or of his host,
 * or when his address is banned, or when his host has asked for many torrents
 * that we do not have (probes.h); without an answer when he asks for a torrent
 * that we do not serve (so that nobody learns what we have by asking), or one
 * whose swarm is full. Else the connection goes over to the swarm, and the
 * stranger struct is done. peerio's own deadline ends the silent ones.
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
};

TAILQ_HEAD(strangers, stranger);

struct incoming {
	struct engine *e; /* Owner: */
	struct strangers waiting, done;
	unsigned n;
	struct loop_task reap;
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

int incoming_new(struct engine *e, struct incoming **out)
{
	struct incoming *in = mem_new(struct incoming);

	if (in == NULL)
		return ENOMEM;
	in->e = e;
	TAILQ_INIT(&in->waiting);
	TAILQ_INIT(&in->done);
	loop_task_init(&in->reap, on_reap, in);
	*out = in;
	return 0;
}

void incoming_free(struct incoming *in)
{
	if (in == NULL)
		return;
	loop_task_cancel(in->e->cfg.loop, &in->reap);
	free_all(&in->waiting);
	free_all(&in->done);
	mem_free(in);
}

static void retire(struct stranger *s)
{
	struct incoming *in = s->in;

	TAILQ_REMOVE(&in->waiting, s, link);
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

static enum peer_end io_on_handshake(void *arg, struct peerio *io,
				     const struct handshake *hs)
{
	struct stranger *s = arg;
	struct torrent *t = engine_by_wire(s->in->e, hs->info_hash);
	enum peer_end why;

	if (t == NULL) {
		probes_on_miss(&s->in->probes, peerio_addr(io),
			       loop_now_us(s->in->e->cfg.loop));
		return PEER_END_HANDSHAKE;
	}
	if (memcmp(hs->peer_id, s->in->e->peer_id, PEER_ID_BYTES) == 0) {
		peerio_send_handshake(io, hs); /* word for word our own */
		return PEER_END_NONE;
	}
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

void incoming_on_accept(struct incoming *in, int fd, const struct addr *from)
{
	struct stranger *s;

	if (in->n >= ENGINE_PENDING_MAX || in->e->n_peers >= ENGINE_PEERS_MAX ||
	    bans_has(in->e->bans, from) ||
	    is_one_too_many(from, strangers_like(in, from)) ||
	    probes_is_over(&in->probes, from, loop_now_us(in->e->cfg.loop))) {
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
