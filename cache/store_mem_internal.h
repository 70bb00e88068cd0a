/* store_mem_internal — what store_mem.c and store_mem_files.c share. */
#ifndef SHOAL_CACHE_STORE_MEM_INTERNAL_H
#define SHOAL_CACHE_STORE_MEM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/joint.h"
#include "cache/store_mem.h"
#include "cache/store_ops.h"
#include "core/loop.h"
#include "core/queue.h"

struct hasher;
struct hmap;

/* The v1 hash of a hybrid's piece, some of it a turn. */
struct mem_check {
	struct loop_task task;
	struct hasher *hasher; /* NULL: none is under way */
	uint32_t piece_ix;
	uint32_t at_bytes;
};

struct record {
	struct store_torrent handle; /* while is_open */
	struct mem_store *store;     /* Owner */
	struct torrent_id id;
	uint8_t *info;
	size_t info_len;
	uint32_t piece_bytes;
	uint64_t total_bytes;
	struct hmap *pieces; /* piece index -> struct mem_piece */
	struct bits own;     /* those */
	struct joint_torrent joint;
	struct mem_check check;
	struct hmap *staged;	   /* the same, while is_open */
	const struct metainfo *mi; /* while is_open */
	bool is_open;
	LIST_ENTRY(record) link;
};

struct call {
	struct mem_store *store; /* Owner */
	struct loop_task task;
	void (*say)(struct call *c);
	TAILQ_ENTRY(call) link;
	int err;
	struct record *rec;
	struct torrent_id id;
	uint32_t piece_ix;
	void *arg;
	union {
		store_info_fn *info;
		store_open_fn *open;
		store_read_fn *read;
		store_put_fn *put;
		store_done_fn *done;
	} done;
};

TAILQ_HEAD(call_list, call);
LIST_HEAD(record_list, record);

struct mem_store {
	struct store base;
	struct loop *loop;
	uint64_t max_bytes;
	uint64_t used_bytes;
	struct store_stats stats;
	struct record_list records;
	struct joints joints;
	struct call_list calls; /* in the order they were made */
};

static inline struct mem_store *mem_of(struct store *s)
{
	return CONTAINER_OF(s, struct mem_store, base);
}

static inline struct record *record_of(struct store_torrent *st)
{
	return CONTAINER_OF(st, struct record, handle);
}

/* ---- store_mem_files.c ---- */

int mem_read_now(struct store_torrent *st, uint64_t off_bytes,
		 uint32_t len_bytes, uint8_t *dst);

int mem_files_init(struct mem_store *m);
void mem_files_fini(struct mem_store *m);

/* mem_files_new / _begin / _close / _free — of a record: made; open, with what
 * is held; closed; gone. */
int mem_files_new(struct record *r, const struct metainfo *mi);
int mem_files_begin(struct record *r, struct bits *held);
void mem_files_close(struct record *r);
void mem_files_free(struct record *r);

/* mem_files_is_for — are the piece's bytes everybody's? What was put before, if
 * there is no data. */
bool mem_files_is_for(const struct record *r, uint32_t ix, bool has_data,
		      struct joint_piece *out);

/* mem_files_keep — `data` (NULL: it is there already) are these leaves.
 * mem_files_add — they are there to be read. */
int mem_files_keep(struct record *r, const struct joint_piece *p,
		   struct blk *data);
int mem_files_add(struct record *r, const struct joint_piece *p, uint32_t ix,
		  bool is_piece);
void mem_files_forget(struct record *r, uint32_t ix);

void mem_vouch(struct store_torrent *st, uint32_t file_ix);
void mem_watch(struct store_torrent *st, const struct store_share_ops *ops,
	       void *arg);
void mem_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		   uint64_t index, uint32_t n, const uint8_t *hashes);
int mem_nodes(const struct record *r, uint32_t file_ix, unsigned level,
	      uint64_t index, uint32_t n, uint8_t *dst);

#endif
