/* store_ops — what a store implements; for store.c, the stores and tests'
 * wrappers (a store that injects faults wraps another one). Each operation's
 * contract is its store_… namesake in store.h. */
#ifndef SHOAL_CACHE_STORE_OPS_H
#define SHOAL_CACHE_STORE_OPS_H

#include "cache/store.h"
#include "cache/store_share.h"
#include "cache/store_held.h"
#include "cache/store_tally.h"

struct vet_ask;

struct store_ops {
	int (*load_info)(struct store *s, const struct torrent_id *id,
			 store_info_fn *done, void *arg);
	int (*open)(struct store *s, const struct metainfo *mi,
		    store_open_fn *done, void *arg);
	int (*remove)(struct store *s, const struct torrent_id *id,
		      store_done_fn *done, void *arg);
	int (*flush)(struct store *s, store_done_fn *done, void *arg);
	/* NULL, both: it does not outlive the process */
	int (*load_note)(struct store *s, const char *name, store_info_fn *done,
			 void *arg);
	int (*keep_note)(struct store *s, const char *name, struct span note,
			 store_done_fn *done, void *arg);
	/* NULL: nothing of an earlier run */
	int (*each_held)(struct store *s, store_held_fn *fn, void *arg);
	/* NULL, both: it does not count; `id` NULL: of all */
	void (*count)(struct store *s, const struct torrent_id *id,
		      const struct traffic *more);
	void (*traffic)(const struct store *s, const struct torrent_id *id,
			struct traffic *out);
	int (*err)(const struct store *s);
	void (*stats)(const struct store *s, struct store_stats *out);
	void (*free)(struct store *s);

	int (*read_now)(struct store_torrent *st, uint64_t off_bytes,
			uint32_t len_bytes, uint8_t *dst);
	int (*read)(struct store_torrent *st, uint64_t off_bytes,
		    uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		    void *arg);
	int (*stage)(struct store_torrent *st, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_done_fn *done,
		     void *arg);
	int (*read_staged)(struct store_torrent *st, uint32_t piece_ix,
			   uint32_t at_bytes, uint32_t len_bytes, uint8_t *dst,
			   store_read_fn *done, void *arg);
	void (*unstage)(struct store_torrent *st, uint32_t piece_ix);
	int (*put)(struct store_torrent *st, uint32_t piece_ix,
		   struct blk *data, store_put_fn *done, void *arg);
	int (*put_leaves)(struct store_torrent *st, uint32_t piece_ix,
			  uint32_t at_bytes, struct blk *data,
			  store_put_fn *done, void *arg);
	void (*vouch)(struct store_torrent *st, uint32_t piece_ix);
	void (*forget)(struct store_torrent *st, uint32_t piece_ix);
	/* NULL, both: nobody else can change what it has */
	bool (*is_doubtful)(const struct store_torrent *st, uint32_t piece_ix);
	int (*vet)(struct store_torrent *st, uint32_t piece_ix,
		   const struct vet_ask *ask, store_read_fn *done, void *arg);
	/* NULL: nothing is offered */
	uint32_t (*next_offer)(const struct store_torrent *st, uint32_t from);
	void (*watch)(struct store_torrent *st,
		      const struct store_share_ops *ops, void *arg);
	/* NULL: torrents share nothing */
	uint64_t (*coming_us)(struct store_torrent *st, uint32_t piece_ix,
			      uint32_t at_bytes, uint32_t len_bytes,
			      bool only_asked);
	void (*put_nodes)(struct store_torrent *st, uint32_t file_ix,
			  unsigned level, uint64_t index, uint32_t n,
			  const uint8_t *hashes);
	int (*read_nodes)(struct store_torrent *st, uint32_t file_ix,
			  unsigned level, uint64_t index, uint32_t n,
			  uint8_t *dst, store_read_fn *done, void *arg);
	/* NULL: it does not outlive the process */
	int (*keep_pins)(struct store_torrent *st, const struct bits *files);
	/* NULL: it has no files, or cannot vouch for them */
	int (*blob)(struct store_torrent *st, uint32_t file_ix,
		    store_blob_fn *done, void *arg);
	void (*close)(struct store_torrent *st);
};

/* The first member of every store and of every torrent handle. */
struct store {
	const struct store_ops *ops;
};

struct store_torrent {
	struct store *store;
	int64_t added_s;    /* 0: the store does not remember */
	struct bits pinned; /* no data: none, or the same */
	struct bits leaves; /* no data: none */
};

#endif
