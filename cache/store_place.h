/* store_place — the user's own files as a store: every piece of one torrent
 * is held where it already lies, read-only (`shoalctl create --seed`). */
#ifndef SHOAL_CACHE_STORE_PLACE_H
#define SHOAL_CACHE_STORE_PLACE_H

struct loop;
struct store;
struct workers;

struct store_place_cfg {
	struct loop *loop;	 /* kept */
	struct workers *workers; /* kept */
	/* Where the torrent's content lies: the file of a single-file torrent,
	 * the top directory of another; copied. */
	const char *path;
	/* The raw path of each file below `path` in the torrent's order,
	 * pads and symlinks included as NULL; borrowed during the call, copied.
	 * NULL for a single file. */
	const char *const *rel_paths;
	unsigned n_rel_paths;
};

/* store_place_new — the caller has hashed the files. 0, ENOMEM, or an errno of
 * opening them. store_open says EPROTO if the torrent's sizes differ. */
int store_place_new(const struct store_place_cfg *cfg, struct store **out);

#endif
