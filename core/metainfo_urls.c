/* metainfo_urls — trackers (BEP 3, BEP 12) and web seeds (BEP 17, BEP 19).
 *
 * These lie outside the info dictionary: anybody who passes a .torrent on can
 * change them. What is not an address that we would use is left out in
 * silence, and past the limits the surplus is; a wrong tracker is no reason
 * to refuse a good torrent. */
#include "core/metainfo_internal.h"

#include <errno.h>

#include "core/core_limits.h"
#include "core/urlcheck.h"

struct reader {
	struct mi_parse *p;
	uint32_t n_trackers; /* of all tiers */
};

static bool is_listed(char *const *urls, uint32_t n, struct span url)
{
	for (uint32_t i = 0; i < n; i++)
		if (span_is(url, urls[i]))
			return true;
	return false;
}

static bool has_tracker(const struct metainfo *mi, struct span url)
{
	for (uint32_t i = 0; i < mi->n_tiers; i++)
		if (is_listed(mi->tiers[i].urls, mi->tiers[i].n, url))
			return true;
	return false;
}

static int add_url(struct mi_parse *p, char **urls, uint32_t *n,
		   struct span url)
{
	urls[*n] = mi_arena_strdup(&p->arena, url.ptr, url.len);
	if (!urls[*n])
		return ENOMEM;
	(*n)++;
	return 0;
}

static int add_tracker(struct reader *rd, struct mi_tier *tier, benc_ref value)
{
	struct metainfo *mi = &rd->p->mi;
	struct span url;
	int r;

	if (!benc_is(&rd->p->doc, value, BENC_STR) ||
	    rd->n_trackers == METAINFO_MAX_TRACKERS)
		return 0;
	url = urlcheck_trim(benc_str(&rd->p->doc, value));
	if (!urlcheck_is_tracker(url) || has_tracker(mi, url) ||
	    is_listed(tier->urls, tier->n, url))
		return 0;
	r = add_url(rd->p, tier->urls, &tier->n, url);
	if (r == 0)
		rd->n_trackers++;
	return r;
}

/* One tier: a list of addresses, or the single one of "announce". */
static int add_tier(struct reader *rd, benc_ref value)
{
	const struct benc *doc = &rd->p->doc;
	struct metainfo *mi = &rd->p->mi;
	uint32_t room = METAINFO_MAX_TRACKERS - rd->n_trackers;
	struct mi_tier tier = {0};
	int r = 0;

	if (room == 0)
		return 0;
	tier.urls = mi_arena_alloc(&rd->p->arena, room, sizeof(*tier.urls));
	if (!tier.urls)
		return ENOMEM;
	if (benc_is(doc, value, BENC_STR))
		r = add_tracker(rd, &tier, value);
	else if (benc_is(doc, value, BENC_LIST))
		for (benc_ref u = benc_first(doc, value);
		     u != BENC_NONE && r == 0; u = benc_next(doc, u))
			r = add_tracker(rd, &tier, u);
	if (tier.n > 0)
		mi->tiers[mi->n_tiers++] = tier;
	return r;
}

static int read_trackers(struct mi_parse *p)
{
	const struct benc *doc = &p->doc;
	benc_ref list =
		benc_get_type(doc, BENC_ROOT, "announce-list", BENC_LIST);
	benc_ref one = benc_get_type(doc, BENC_ROOT, "announce", BENC_STR);
	struct reader rd = {.p = p};
	int r = 0;

	if (list == BENC_NONE && one == BENC_NONE)
		return 0;
	/* No tier is empty, so there are at most as many as trackers. */
	p->mi.tiers = mi_arena_alloc(&p->arena, METAINFO_MAX_TRACKERS,
				     sizeof(*p->mi.tiers));
	if (!p->mi.tiers)
		return ENOMEM;
	if (list != BENC_NONE)
		for (benc_ref t = benc_first(doc, list);
		     t != BENC_NONE && r == 0; t = benc_next(doc, t))
			r = add_tier(&rd, t);
	/* BEP 12: where there is a list, "announce" is ignored. */
	if (r == 0 && p->mi.n_tiers == 0 && one != BENC_NONE)
		r = add_tier(&rd, one);
	return r;
}

/* A list of web seeds, of which the metainfo has two. */
struct seeds {
	char ***urls;
	uint32_t *n;
};

static int add_web_seed(struct mi_parse *p, struct seeds to, benc_ref value)
{
	struct span url;

	if (!benc_is(&p->doc, value, BENC_STR) ||
	    *to.n == METAINFO_MAX_WEB_SEEDS)
		return 0;
	url = urlcheck_trim(benc_str(&p->doc, value));
	if (!urlcheck_is_web_seed(url) || is_listed(*to.urls, *to.n, url))
		return 0;
	return add_url(p, *to.urls, to.n, url);
}

/* A list, or one address alone. */
static int read_web_seeds(struct mi_parse *p, const char *key, struct seeds to)
{
	const struct benc *doc = &p->doc;
	benc_ref list = benc_get(doc, BENC_ROOT, key);
	int r = 0;

	if (!benc_is(doc, list, BENC_STR) && !benc_is(doc, list, BENC_LIST))
		return 0;
	*to.urls = mi_arena_alloc(&p->arena, METAINFO_MAX_WEB_SEEDS,
				  sizeof(**to.urls));
	if (!*to.urls)
		return ENOMEM;
	if (benc_is(doc, list, BENC_STR))
		return add_web_seed(p, to, list);
	for (benc_ref u = benc_first(doc, list); u != BENC_NONE && r == 0;
	     u = benc_next(doc, u))
		r = add_web_seed(p, to, u);
	return r;
}

int mi_urls_read(struct mi_parse *p)
{
	struct seeds files = {&p->mi.web_seeds, &p->mi.n_web_seeds};
	struct seeds pieces = {&p->mi.http_seeds, &p->mi.n_http_seeds};
	int r = read_trackers(p);

	if (r == 0)
		r = read_web_seeds(p, "url-list", files);
	return r == 0 ? read_web_seeds(p, "httpseeds", pieces) : r;
}
