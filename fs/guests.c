/* guests — torrents that were named and not added.
 *
 * Happy path: a look-up of an unknown info-hash adds it to the engine as a
 * guest; the DHT finds peers, they give the metadata, it is shown, and the
 * look-up answered. Its record stays in the store, so that after a restart the
 * same look-up needs nobody.
 *
 * Failure modes: the DHT knows nobody, or the metadata is malformed: it fails,
 * its look-ups are answered, and it leaves the engine at once. Nothing is heard
 * of it: its look-ups end by their own deadline, and it GUESTS_LINGER_MS after
 * the last of them. Either answer stands for GUESTS_STAND_MS, since programs
 * ask twice (ls: stat, then lstat), and is then forgotten.
 *
 * Invariants: a guest has a torrent until that failed; err is 0 until an answer
 * was given, and counts until stands_until_us.
 *
 * How many there are is bounded, since any program can name any number. */
#include "fs/guests.h"

#include <string.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/survey.h"
#include "net/engine.h"
#include "net/torrent.h"

struct guest {
	TAILQ_ENTRY(guest) link;
	struct mount *m;
	struct info_hash hash;
	struct torrent *torrent; /* NULL: it failed */
	struct loop_timer *timer;
	int err; /* the last answer */
	uint64_t stands_until_us;
};

static void forget(struct guest *g)
{
	TAILQ_REMOVE(&g->m->guests, g, link);
	g->m->n_guests--;
	loop_timer_free(g->timer);
	mem_free(g);
}

static void on_timer(void *arg)
{
	struct guest *g = arg;
	struct engine *e = g->m->engine;
	struct torrent *t = g->torrent;

	forget(g);
	if (t != NULL)
		engine_remove(e, t);
}

static void renew(struct guest *g)
{
	loop_timer_start(g->timer, g->m->lookup_wait_us +
					   GUESTS_LINGER_MS * UINT64_C(1000));
}

static int ask_for(struct engine *e, const struct info_hash *h,
		   struct torrent **out)
{
	struct engine_source src = {.is_guest = true};

	src.magnet = mem_new(struct magnet);
	if (src.magnet == NULL)
		return ENOMEM;
	if (h->len == HASH_SHA256_BYTES)
		src.magnet->id.v2 = *h;
	else
		src.magnet->id.v1 = *h;
	return engine_add(e, src, out);
}

static int welcome(struct mount *m, const struct info_hash *h,
		   struct torrent *t)
{
	struct guest *g = mem_new(struct guest);

	if (g == NULL)
		return ENOMEM;
	g->m = m;
	g->hash = *h;
	g->torrent = t;
	if (loop_timer_new(m->loop, on_timer, g, &g->timer) != 0) {
		mem_free(g);
		return ENOMEM;
	}
	TAILQ_INSERT_TAIL(&m->guests, g, link);
	m->n_guests++;
	renew(g);
	return 0;
}

static struct guest *find_torrent(const struct mount *m,
				  const struct torrent *t)
{
	struct guest *g;

	TAILQ_FOREACH (g, &m->guests, link)
		if (g->torrent == t)
			return g;
	return NULL;
}

static struct guest *find_hash(const struct mount *m, const struct info_hash *h)
{
	struct guest *g;

	TAILQ_FOREACH (g, &m->guests, link)
		if (g->hash.len == h->len &&
		    memcmp(g->hash.bytes, h->bytes, h->len) == 0)
			return g;
	return NULL;
}

static int invite(struct mount *m, const struct info_hash *h,
		  struct torrent **out)
{
	int r;

	if (engine_dht(m->engine) == NULL)
		return ENOENT;
	if (m->n_guests >= GUESTS_MAX)
		return EBUSY;
	r = ask_for(m->engine, h, out);
	if (r != 0)
		return r;
	r = welcome(m, h, *out);
	if (r != 0)
		engine_remove(m->engine, *out);
	return r;
}

int guests_find(struct mount *m, const struct info_hash *h,
		struct torrent **out)
{
	struct guest *g = find_hash(m, h);

	*out = engine_find(m->engine, h);
	if (g == NULL && *out != NULL && survey_let_go(m, *out))
		return welcome(m, h, *out);
	if (g == NULL)
		return *out != NULL ? 0 : invite(m, h, out);
	if (g->err != 0 && loop_now_us(m->loop) < g->stands_until_us)
		return g->err;
	if (*out == NULL) {
		forget(g);
		return invite(m, h, out);
	}
	g->err = 0;
	renew(g);
	return 0;
}

static void let_stand(struct guest *g, int err)
{
	uint64_t stand_us = GUESTS_STAND_MS * UINT64_C(1000);

	g->err = err;
	g->stands_until_us = loop_now_us(g->m->loop) + stand_us;
	if (g->torrent == NULL)
		loop_timer_start(g->timer, stand_us);
}

void guests_on_timeout(struct mount *m, const struct torrent *t, int err)
{
	struct guest *g = find_torrent(m, t);

	if (g != NULL)
		let_stand(g, err);
}

void guests_on_change(struct mount *m, struct torrent *t)
{
	struct guest *g = find_torrent(m, t);

	if (g == NULL)
		return;
	if (torrent_state(t) != TORRENT_FAILED) {
		forget(g);
		return;
	}
	g->torrent = NULL;
	engine_remove(m->engine, t);
	let_stand(g, ENOENT);
}

void guests_let_go(struct mount *m, const struct torrent *t)
{
	struct guest *g = find_torrent(m, t);

	(void)survey_let_go(m, t);
	if (g != NULL)
		forget(g);
}

void guests_end_all(struct mount *m)
{
	struct guest *g;

	while ((g = TAILQ_FIRST(&m->guests)) != NULL)
		forget(g);
}
