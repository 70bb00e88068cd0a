/* magnet — magnet links (BEP 9, BEP 53, BEP 46): xt with btih and btmh, dn, tr,
 * x.pe, so, ws; xs with btpk, and its s. Pure. */
#ifndef SHOAL_CORE_MAGNET_H
#define SHOAL_CORE_MAGNET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/btpk.h"
#include "core/metainfo.h"

struct magnet_range {
	uint32_t first, last; /* file indices, both included */
};

struct magnet {
	struct torrent_id id; /* of a link with xs, none need be known */
	bool has_key;	      /* xs: a key that names a torrent */
	struct btpk btpk;
	char *name; /* dn, sanitised; NULL when there is none */
	char **trackers;
	uint32_t n_trackers;
	char **peers; /* x.pe, "host:port" as written */
	uint32_t n_peers;
	char **web_seeds;
	uint32_t n_web_seeds;
	struct magnet_range *select; /* so; empty: all */
	uint32_t n_select;
};

/* magnet_is — the text begins like a magnet link (case-insensitive). */
bool magnet_is(const char *text);

/* magnet_parse — 0, EINVAL, EFBIG or ENOMEM; `err` names what is wrong, for
 * instance that there is no xt, or that the link looks cut at an unquoted
 * '&' (an xt and nothing else is valid, but a "dn=" that ends in '=' is
 * not a cut). Past a cap the surplus is dropped, not refused. Gives. */
int magnet_parse(const char *text, struct magnet **out, struct mi_error *err);
void magnet_free(struct magnet *m);

/* magnet_names_torrent — not only a key. */
static inline bool magnet_names_torrent(const struct magnet *m)
{
	return m->id.v1.len != 0 || m->id.v2.len != 0;
}

/* magnet_format — a link for a torrent: xt of every hash, dn, tr…, x.pe….
 * Gives a string, NULL on ENOMEM. */
char *magnet_format(const struct torrent_id *id, const char *name,
		    const char *const *trackers, uint32_t n_trackers,
		    const char *const *peers, uint32_t n_peers);

#endif
