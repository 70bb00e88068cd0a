/* torrent_hints — trackers, web seeds and peers that a torrent or a link names,
 * when it is made and when it is added once more. They are strangers' words:
 * what is malformed, there already or too much is left out. */
#include "core/err.h"
#include "core/magnet.h"
#include "net/announcer.h"
#include "net/engine.h"
#include "net/swarm.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"

static int add_webs(struct torrent *t, enum webseed_kind kind,
		    char *const *urls, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (webseed_add(t->swarm, kind, urls[i]) != 0)
			return ENOMEM;
	return 0;
}

int torrent_hint_web_seeds(struct torrent *t, const struct metainfo *mi)
{
	int r = add_webs(t, WEBSEED_FILES, mi->web_seeds, mi->n_web_seeds);

	if (r == 0)
		r = add_webs(t, WEBSEED_PIECES, mi->http_seeds,
			     mi->n_http_seeds);
	return r;
}

int torrent_hint_magnet(struct torrent *t, const struct magnet *m)
{
	uint32_t i;

	for (i = 0; i < m->n_trackers; i++)
		if (announcer_add(t->announcer, m->trackers[i]) == ENOMEM)
			return ENOMEM;
	for (i = 0; i < m->n_peers; i++)
		if (swarm_add_name(t->swarm, m->peers[i]) == ENOMEM)
			return ENOMEM;
	return add_webs(t, WEBSEED_FILES, m->web_seeds, m->n_web_seeds);
}

void torrent_add_hints(struct torrent *t, const struct engine_source *src)
{
	uint32_t i, k;

	if (t->state == TORRENT_FAILED || t->state == TORRENT_CLOSED)
		return;
	t->is_guest = t->is_guest && src->is_guest;
	/* Hints: what is there already, malformed or too much is left out. */
	if (src->magnet != NULL)
		(void)torrent_hint_magnet(t, src->magnet);
	for (i = 0; src->mi != NULL && i < src->mi->n_tiers; i++)
		for (k = 0; k < src->mi->tiers[i].n; k++)
			(void)announcer_add(t->announcer,
					    src->mi->tiers[i].urls[k]);
	if (src->mi != NULL)
		(void)torrent_hint_web_seeds(t, src->mi);
}
