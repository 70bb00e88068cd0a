/* torrent_seek — a torrent in the DHT: looked for and announced under each of
 * its hashes, unless it is private (BEP 27).
 *
 * Whoever waits for metadata, or reads and has no peers, hurries; everything
 * else has its turn in mainline.c's time. What is found is gossip to the
 * address book. */
#include <string.h>

#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/engine_internal.h"
#include "net/mainline.h"
#include "net/net_limits.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static bool is_private(const struct torrent *t)
{
	return t->mi != NULL && t->mi->is_private;
}

static void take(struct torrent *t, const struct addr *peers, size_t n,
		 enum torrent_side side)
{
	for (size_t i = 0; i < n; i++)
		(void)swarm_add_gossip(t->swarm, &peers[i], side);
}

static void on_v1_peers(void *arg, const struct addr *peers, size_t n)
{
	take(arg, peers, n, TORRENT_V1);
}

static void on_v2_peers(void *arg, const struct addr *peers, size_t n)
{
	take(arg, peers, n, TORRENT_V2);
}

/* Nobody is there, and nobody was ever heard of. */
static bool is_alone(const struct torrent *t)
{
	const struct swarm *sw = t->swarm;

	return sw->n_peers == 0 && addrbook_count(sw->book) == 0;
}

static void on_end(void *arg, unsigned n_peers, bool is_sure)
{
	struct torrent *t = arg;

	if (t->state != TORRENT_META)
		return;
	if (n_peers > 0 || !is_alone(t))
		t->n_fruitless = 0;
	else if (is_sure)
		t->n_fruitless++;
	if (t->is_guest && t->n_fruitless >= TORRENT_FRUITLESS)
		torrent_fail(t, "the DHT knows nobody who has it");
	else
		torrent_seek_hurry(t);
}

/* Who was only named is not announced before we know what it is. */
static bool is_hidden(const struct torrent *t)
{
	return t->e->cfg.no_seed || (t->is_guest && t->mi == NULL);
}

static void add(struct torrent *t, enum torrent_side side)
{
	struct seek *s = &t->seek[side];
	const uint8_t *hash = torrent_id_side(&t->id, side);

	if (hash == NULL || s->m != NULL)
		return;
	memcpy(s->hash, hash, sizeof(s->hash));
	s->is_seed = t->was_complete;
	s->is_hidden = is_hidden(t);
	s->on_peers = side == TORRENT_V1 ? on_v1_peers : on_v2_peers;
	s->on_end = on_end;
	s->arg = t;
	mainline_add(t->e->mainline, s);
}

void torrent_seek_start(struct torrent *t)
{
	if (t->e->mainline == NULL || is_private(t))
		return;
	add(t, TORRENT_V1);
	add(t, TORRENT_V2);
	if (t->state == TORRENT_META)
		torrent_seek_hurry(t);
}

void torrent_seek_stop(struct torrent *t)
{
	mainline_remove(&t->seek[TORRENT_V1]);
	mainline_remove(&t->seek[TORRENT_V2]);
}

void torrent_seek_on_info(struct torrent *t)
{
	if (is_private(t)) {
		torrent_seek_stop(t);
		return;
	}
	if (!t->swarm->is_running)
		return;
	torrent_seek_start(t); /* the other hash may be known now */
	if (is_hidden(t))
		return;
	mainline_show(&t->seek[TORRENT_V1]);
	mainline_show(&t->seek[TORRENT_V2]);
}

void torrent_seek_hurry(struct torrent *t)
{
	mainline_hurry(&t->seek[TORRENT_V1]);
	mainline_hurry(&t->seek[TORRENT_V2]);
}

void torrent_seek_on_complete(struct torrent *t)
{
	t->seek[TORRENT_V1].is_seed = t->seek[TORRENT_V2].is_seed = true;
}
