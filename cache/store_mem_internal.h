/* store_mem_internal — what the files of store_mem share. */
#ifndef SHOAL_CACHE_STORE_MEM_INTERNAL_H
#define SHOAL_CACHE_STORE_MEM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/evict.h"
#include "cache/joint.h"
#include "cache/store_mem.h"
#include "cache/store_ops.h"
#include "cache/store_share.h"
#include "cache/tally.h"
#include "core/loop.h"
#include "core/queue.h"

struct hasher;
struct hmap;

/* What is evicted at once, of one owner, as far as it is there: number ->
 * struct mem_unit. */
struct mem_units {
	struct mem_store *store;
	struct hmap *map; /* NULL: none ever was */
	struct record *r; /* its own pieces; or NULL, and: */
	struct joint_file *f;
	uint32_t unit_leaves;
};

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
	struct mem_units units;
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
	/* of what may wait for room: so much, and then what is done */
	uint64_t (*needs_bytes)(const struct call *c);
	int (*act)(struct call *c);
	TAILQ_ENTRY(call) waits;
	uint32_t piece_ix, at_bytes;
	struct blk *data; /* held while it waits */
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
	uint64_t slab_bytes;
	struct store_stats stats;
	struct evict evict;
	struct call_list waiting; /* for room */
	struct loop_task room_task;
	struct record_list records;
	struct joints joints;
	struct call_list calls; /* in the order they were made */
	struct tally tally;
};

static inline struct mem_store *mem_of(struct store *s)
{
	return CONTAINER_OF(s, struct mem_store, base);
}

static inline struct record *record_of(struct store_torrent *st)
{
	return CONTAINER_OF(st, struct record, handle);
}

/* ---- store_mem.c ---- */

struct call *mem_call_new(struct mem_store *m, void (*say)(struct call *c),
			  void *arg);
void mem_call_queue(struct call *c);
void mem_call_end(struct call *c);
void mem_say_done(struct call *c);

/* ---- store_mem_put.c ---- */

int mem_stage(struct store_torrent *st, uint32_t piece_ix, uint32_t at_bytes,
	      struct blk *data, store_done_fn *done, void *arg);
void mem_unstage(struct store_torrent *st, uint32_t piece_ix);
void mem_unstage_all(struct record *r);
int mem_put(struct store_torrent *st, uint32_t piece_ix, struct blk *data,
	    store_put_fn *done, void *arg);
int mem_put_leaves(struct store_torrent *st, uint32_t piece_ix,
		   uint32_t at_bytes, struct blk *data, store_put_fn *done,
		   void *arg);
void mem_forget(struct store_torrent *st, uint32_t piece_ix);

/* mem_own_evict — a piece of the torrent's own goes, and it is told. */
void mem_own_evict(struct record *r, uint32_t ix);

/* ---- store_mem_room.c ---- */

int mem_room_init(struct mem_store *m);
void mem_room_fini(struct mem_store *m);

/* mem_room_begin — the call acts, and answers on a later turn; or waits for
 * room. mem_room_close — what waits of this torrent does so no longer. */
void mem_room_begin(struct call *c);
void mem_room_close(struct record *r);
bool mem_room_fits(const struct mem_store *m, uint64_t bytes);

void mem_units_init(struct mem_units *s, struct mem_store *m, struct record *r);
void mem_units_init_file(struct mem_units *s, struct mem_store *m,
			 struct joint_file *f, uint32_t piece_bytes);
void mem_units_fini(struct mem_units *s);

/* mem_units_add / _sub — a unit has so much more (0 or ENOMEM), or less; what
 * is used and held follows. */
int mem_units_add(struct mem_units *s, uint32_t ix, uint32_t bytes);
void mem_units_sub(struct mem_units *s, uint32_t ix, uint32_t bytes);

/* mem_room_use — somebody reads here. */
void mem_room_use(struct record *r, uint64_t off_bytes);
int mem_keep_pins(struct store_torrent *st, const struct bits *files);

/* ---- store_mem_files.c ---- */

struct mem_units *mem_file_units(struct joint_file *jf);

/* mem_files_evict — these leaves go, and who has them is told. */
void mem_files_evict(struct joint_file *jf, uint32_t first, uint32_t n);

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
bool mem_files_is_for(struct record *r, uint32_t ix, bool has_data,
		      struct joint_piece *out);

struct mem_piece;

/* mem_files_keep — `data` (NULL: it is there already) are these leaves.
 * mem_files_keep_parts — the same of a piece in parts; there need be no room.
 * mem_files_add — they are there to be read. */
int mem_files_keep(struct record *r, const struct joint_piece *p,
		   struct blk *data);
int mem_files_keep_parts(struct record *r, const struct joint_piece *p,
			 const struct mem_piece *parts);
int mem_files_add(struct record *r, const struct joint_piece *p, uint32_t ix,
		  bool is_piece);
void mem_files_forget(struct record *r, uint32_t ix);

uint64_t mem_coming_us(struct store_torrent *st, uint32_t piece_ix,
		       uint32_t at_bytes, uint32_t len_bytes, bool only_asked);
void mem_vouch(struct store_torrent *st, uint32_t piece_ix);
void mem_watch(struct store_torrent *st, const struct store_share_ops *ops,
	       void *arg);
void mem_put_nodes(struct store_torrent *st, uint32_t file_ix, unsigned level,
		   uint64_t index, uint32_t n, const uint8_t *hashes);
int mem_nodes(const struct record *r, uint32_t file_ix, unsigned level,
	      uint64_t index, uint32_t n, uint8_t *dst);

#endif
