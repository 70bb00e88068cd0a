/* store — the calls of store.h, handed to whichever store is behind them.
 *
 * Purpose: one place where a call of the interface can be seen. The stores
 * check what is theirs to check; here is nothing but the dispatch, and the
 * rule that freeing no store is fine. */
#include "cache/store.h"
#include "cache/store_share.h"
#include "cache/store_vet.h"

#include <errno.h>

#include "cache/store_ops.h"
#include "core/err.h"

int store_load_info(struct store *s, const struct torrent_id *id,
		    store_info_fn *done, void *arg)
{
	return s->ops->load_info(s, id, done, arg);
}

int store_open(struct store *s, const struct metainfo *mi, store_open_fn *done,
	       void *arg)
{
	return s->ops->open(s, mi, done, arg);
}

int store_remove(struct store *s, const struct torrent_id *id,
		 store_done_fn *done, void *arg)
{
	return s->ops->remove(s, id, done, arg);
}

int store_flush(struct store *s, store_done_fn *done, void *arg)
{
	return s->ops->flush(s, done, arg);
}

int store_load_note(struct store *s, const char *name, store_info_fn *done,
		    void *arg)
{
	return s->ops->load_note != NULL ? s->ops->load_note(s, name, done, arg)
					 : ENOENT;
}

int store_keep_note(struct store *s, const char *name, struct span note,
		    store_done_fn *done, void *arg)
{
	if (note.len > STORE_NOTE_MAX)
		return EFBIG;
	if (s->ops->keep_note == NULL)
		return ENOENT;
	return s->ops->keep_note(s, name, note, done, arg);
}

int store_each_held(struct store *s, store_held_fn *fn, void *arg)
{
	return s->ops->each_held != NULL ? s->ops->each_held(s, fn, arg) : 0;
}

void store_count(struct store *s, const struct torrent_id *id,
		 const struct traffic *more)
{
	if (s->ops->count != NULL)
		s->ops->count(s, id, more);
}

bool store_traffic(const struct store *s, const struct torrent_id *id,
		   struct traffic *out)
{
	*out = (struct traffic){0};
	if (s->ops->traffic == NULL)
		return false;
	s->ops->traffic(s, id, out);
	return true;
}

int store_err(const struct store *s)
{
	return s->ops->err(s);
}

void store_stats(const struct store *s, struct store_stats *out)
{
	s->ops->stats(s, out);
}

void store_free(struct store *s)
{
	if (s != NULL)
		s->ops->free(s);
}

bool store_is_doubtful(const struct store_torrent *st, uint32_t piece_ix)
{
	const struct store_ops *ops = st->store->ops;

	return ops->is_doubtful != NULL && ops->is_doubtful(st, piece_ix);
}

int store_vet(struct store_torrent *st, uint32_t piece_ix,
	      const struct vet_ask *ask, store_read_fn *done, void *arg)
{
	const struct store_ops *ops = st->store->ops;

	return ops->vet == NULL ? ENOTSUP
				: ops->vet(st, piece_ix, ask, done, arg);
}

uint32_t store_next_offer(const struct store_torrent *st, uint32_t from)
{
	const struct store_ops *ops = st->store->ops;

	return ops->next_offer != NULL ? ops->next_offer(st, from) : UINT32_MAX;
}

int64_t store_added_s(const struct store_torrent *st)
{
	return st->added_s;
}

int store_read_now(struct store_torrent *st, uint64_t off_bytes,
		   uint32_t len_bytes, uint8_t *dst)
{
	return st->store->ops->read_now(st, off_bytes, len_bytes, dst);
}

int store_read(struct store_torrent *st, uint64_t off_bytes, uint32_t len_bytes,
	       uint8_t *dst, store_read_fn *done, void *arg)
{
	return st->store->ops->read(st, off_bytes, len_bytes, dst, done, arg);
}

int store_stage(struct store_torrent *st, uint32_t piece_ix, uint32_t at_bytes,
		struct blk *data, store_done_fn *done, void *arg)
{
	return st->store->ops->stage(st, piece_ix, at_bytes, data, done, arg);
}

int store_read_staged(struct store_torrent *st, uint32_t piece_ix,
		      uint32_t at_bytes, uint32_t len_bytes, uint8_t *dst,
		      store_read_fn *done, void *arg)
{
	return st->store->ops->read_staged(st, piece_ix, at_bytes, len_bytes,
					   dst, done, arg);
}

void store_unstage(struct store_torrent *st, uint32_t piece_ix)
{
	st->store->ops->unstage(st, piece_ix);
}

int store_put(struct store_torrent *st, uint32_t piece_ix, struct blk *data,
	      store_put_fn *done, void *arg)
{
	return st->store->ops->put(st, piece_ix, data, done, arg);
}

int store_put_leaves(struct store_torrent *st, uint32_t piece_ix,
		     uint32_t at_bytes, struct blk *data, store_put_fn *done,
		     void *arg)
{
	return st->store->ops->put_leaves(st, piece_ix, at_bytes, data, done,
					  arg);
}

void store_vouch(struct store_torrent *st, uint32_t piece_ix)
{
	st->store->ops->vouch(st, piece_ix);
}

void store_forget(struct store_torrent *st, uint32_t piece_ix)
{
	st->store->ops->forget(st, piece_ix);
}

const struct bits *store_leaves(const struct store_torrent *st)
{
	return st->leaves.data != NULL ? &st->leaves : NULL;
}

void store_watch(struct store_torrent *st, const struct store_share_ops *ops,
		 void *arg)
{
	st->store->ops->watch(st, ops, arg);
}

uint64_t store_coming_us(struct store_torrent *st, uint32_t piece_ix,
			 uint32_t at_bytes, uint32_t len_bytes, bool only_asked)
{
	const struct store_ops *ops = st->store->ops;

	return ops->coming_us != NULL ? ops->coming_us(st, piece_ix, at_bytes,
						       len_bytes, only_asked)
				      : UINT64_MAX;
}

void store_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		     uint64_t index, uint32_t n, const uint8_t *hashes)
{
	st->store->ops->put_nodes(st, file_ix, level, index, n, hashes);
}

int store_read_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		     uint64_t index, uint32_t n, uint8_t *dst,
		     store_read_fn *done, void *arg)
{
	return st->store->ops->read_nodes(st, file_ix, level, index, n, dst,
					  done, arg);
}

const struct bits *store_pinned(const struct store_torrent *st)
{
	return st->pinned.data != NULL ? &st->pinned : NULL;
}

int store_keep_pins(struct store_torrent *st, const struct bits *files)
{
	const struct store_ops *ops = st->store->ops;

	return ops->keep_pins != NULL ? ops->keep_pins(st, files) : 0;
}

int store_blob(struct store_torrent *st, uint32_t file_ix, store_blob_fn *done,
	       void *arg)
{
	const struct store_ops *ops = st->store->ops;

	return ops->blob != NULL ? ops->blob(st, file_ix, done, arg) : ENOENT;
}

void store_close(struct store_torrent *st TAKES)
{
	st->store->ops->close(st);
}
