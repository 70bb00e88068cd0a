/* webseed_life — which web seeds a torrent has: named by its metadata or a
 * magnet link, each kind and URL once, up to WEBSEEDS_MAX.
 *
 * Of a magnet the metadata comes later than its web seeds. What can be judged
 * without it is judged at once, the rest when it is there (webseed_on_ready).
 */
#include <assert.h>
#include <string.h>

#include "core/bits.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/net_limits.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"
#include "net/webseed_url.h"

enum { METER_SPAN_US = 4000000 };

static bool is_known(const struct swarm *sw, enum webseed_kind kind,
		     const char *url)
{
	const struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		if (ws->kind == kind && strcmp(ws->url, url) == 0)
			return true;
	return false;
}

/* Of magnets the metadata comes later: webseed_on_ready. */
static bool is_of_use(const struct swarm *sw, enum webseed_kind kind,
		      const char *url)
{
	const struct metainfo *mi = sw->t->mi;

	return mi != NULL ? webseed_url_fits(kind, url, mi)
			  : webseed_url_may_be(kind, url);
}

int webseed_add(struct swarm *sw, enum webseed_kind kind, const char *url)
{
	uint64_t now_us = loop_now_us(sw->loop);
	struct webseed *ws;

	if (sw->n_webs == WEBSEEDS_MAX || !is_of_use(sw, kind, url) ||
	    is_known(sw, kind, url))
		return 0;
	ws = mem_new(struct webseed);
	if (ws == NULL)
		return ENOMEM;
	ws->sw = sw;
	ws->kind = kind;
	ws->id = ++sw->last_peer_id;
	rate_window_init(&ws->window, now_us);
	rate_meter_init(&ws->down, METER_SPAN_US, now_us);
	ws->url = mem_strdup(url);
	if (ws->url == NULL) {
		mem_free(ws);
		return ENOMEM;
	}
	TAILQ_INSERT_TAIL(&sw->webs, ws, link);
	sw->n_webs++;
	swarm_kick(sw);
	return 0;
}

void webseed_free(struct webseed *ws)
{
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++) {
		assert(ws->runs[i].get == NULL);
		mem_free(ws->runs[i].stage);
	}
	bits_fini(&ws->masked);
	mem_free(ws->queue);
	mem_free(ws->url);
	mem_free(ws);
}

void webseed_on_ready(struct swarm *sw)
{
	struct webseed *ws, *next;

	TAILQ_FOREACH_SAFE (ws, &sw->webs, link, next) {
		if (webseed_url_fits(ws->kind, ws->url, sw->t->mi))
			continue;
		TAILQ_REMOVE(&sw->webs, ws, link);
		sw->n_webs--;
		webseed_free(ws);
	}
}

struct webseed *webseed_find(const struct swarm *sw, uint32_t id)
{
	struct webseed *ws;

	TAILQ_FOREACH (ws, &sw->webs, link)
		if (ws->id == id)
			return ws;
	return NULL;
}
