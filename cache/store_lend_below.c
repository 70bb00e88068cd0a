/* store_lend_below — the calls that are not about what is lent: they go to the
 * store below as they came. */
#include "cache/store_lend_internal.h"

static struct store *store_of(const struct store *s)
{
	return ((const struct lend *)(uintptr_t)s)->below;
}

static struct store_torrent *torrent_of(struct store_torrent *st)
{
	return lend_torrent_of(st)->below;
}

static int stage(struct store_torrent *st, uint32_t ix, uint32_t at_bytes,
		 struct blk *data, store_done_fn *done, void *arg)
{
	return store_stage(torrent_of(st), ix, at_bytes, data, done, arg);
}

static int read_staged(struct store_torrent *st, uint32_t ix, uint32_t at_bytes,
		       uint32_t len_bytes, uint8_t *dst, store_read_fn *done,
		       void *arg)
{
	return store_read_staged(torrent_of(st), ix, at_bytes, len_bytes, dst,
				 done, arg);
}

static void unstage(struct store_torrent *st, uint32_t ix)
{
	store_unstage(torrent_of(st), ix);
}

static int put_leaves(struct store_torrent *st, uint32_t ix, uint32_t at_bytes,
		      struct blk *data, store_put_fn *done, void *arg)
{
	return store_put_leaves(torrent_of(st), ix, at_bytes, data, done, arg);
}

static void vouch(struct store_torrent *st, uint32_t ix)
{
	store_vouch(torrent_of(st), ix);
}

static uint64_t coming_us(struct store_torrent *st, uint32_t ix,
			  uint32_t at_bytes, uint32_t len_bytes,
			  bool only_asked)
{
	return store_coming_us(torrent_of(st), ix, at_bytes, len_bytes,
			       only_asked);
}

static void put_nodes(struct store_torrent *st, uint32_t file_ix,
		      unsigned level, uint64_t index, uint32_t n,
		      const uint8_t *hashes)
{
	store_put_nodes(torrent_of(st), file_ix, level, index, n, hashes);
}

static int read_nodes(struct store_torrent *st, uint32_t file_ix,
		      unsigned level, uint64_t index, uint32_t n, uint8_t *dst,
		      store_read_fn *done, void *arg)
{
	return store_read_nodes(torrent_of(st), file_ix, level, index, n, dst,
				done, arg);
}

static int keep_pins(struct store_torrent *st, const struct bits *files)
{
	return store_keep_pins(torrent_of(st), files);
}

static int load_info(struct store *s, const struct torrent_id *id,
		     store_info_fn *done, void *arg)
{
	return store_load_info(store_of(s), id, done, arg);
}

static int flush(struct store *s, store_done_fn *done, void *arg)
{
	return store_flush(store_of(s), done, arg);
}

static int load_note(struct store *s, const char *name, store_info_fn *done,
		     void *arg)
{
	return store_load_note(store_of(s), name, done, arg);
}

static int keep_note(struct store *s, const char *name, struct span note,
		     store_done_fn *done, void *arg)
{
	return store_keep_note(store_of(s), name, note, done, arg);
}

static void count(struct store *s, const struct torrent_id *id,
		  const struct traffic *more)
{
	store_count(store_of(s), id, more);
}

static void traffic(const struct store *s, const struct torrent_id *id,
		    struct traffic *out)
{
	(void)store_traffic(store_of(s), id, out);
}

static int err(const struct store *s)
{
	return store_err(store_of(s));
}

static void stats(const struct store *s, struct store_stats *out)
{
	store_stats(store_of(s), out);
}

const struct store_ops lend_below_ops = {
	.stage = stage,
	.read_staged = read_staged,
	.unstage = unstage,
	.put_leaves = put_leaves,
	.vouch = vouch,
	.coming_us = coming_us,
	.put_nodes = put_nodes,
	.read_nodes = read_nodes,
	.keep_pins = keep_pins,
	.load_info = load_info,
	.flush = flush,
	.load_note = load_note,
	.keep_note = keep_note,
	.count = count,
	.traffic = traffic,
	.err = err,
	.stats = stats,
};
