/* stack — what every program of shoalfs stands on: loop, threads, buffers,
 * store, engine; built bottom up, torn down top down.
 *
 *     engine      peers, trackers, torrents
 *     store       disk, memory, or the user's own files
 *     pool        piece buffers
 *     workers     hashing and blobs;  thread: the index;  names: resolution
 *     loop
 */
#ifndef SHOAL_CMD_STACK_H
#define SHOAL_CMD_STACK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "cmd/exits.h"
#include "cache/store_lend.h"
#include "net/engine.h"

struct ledger;
struct options;
struct store;

struct stack {
	struct loop *loop;
	struct workers *workers;
	struct workers *thread;
	struct workers *names;
	struct blk_pool *pool;
	struct store *store;
	struct ledger *ledger; /* NULL: nothing is remembered */
	struct engine *engine;
	/* the engine keeps a pointer to it */
	struct engine_ops ops;
	timer_t deadline;
	bool has_deadline;
};

/* stack_init — loop, threads and buffers. 0 or an errno; on failure nothing
 * is left. Call it after any fork: threads do not survive one. */
int stack_init(struct stack *s);

/* What the store may take; quota_bytes 0: what is right for most. */
struct stack_room {
	uint64_t quota_bytes, min_free_bytes;
	struct lend_door door; /* nothing: no directories are lent */
};

/* stack_store_disk / _mem — the store; `why` for a person. stack_ledger — what
 * a mount remembers, in the directory of the disk store. */
int stack_store_disk(struct stack *s, const char *dir,
		     const struct stack_room *room, char why[WHY_BYTES]);
int stack_store_mem(struct stack *s, uint64_t max_bytes);
int stack_ledger(struct stack *s, const char *dir, char why[WHY_BYTES]);

struct stack_net {
	const char *bind; /* an address without a port, or NULL */
	uint16_t port;
	const char *const *peers;
	unsigned n_peers;
	bool no_pex, no_dht, no_seed;
	const char *const *dht_bootstrap;
	unsigned n_dht_bootstrap;
	uint64_t down_Bps, up_Bps; /* 0: no limit */
};

/* stack_net_of — as the options want it; what they point at is lent. */
struct stack_net stack_net_of(const struct options *o);

/* stack_engine — the engine on top. ops are copied. */
int stack_engine(struct stack *s, const struct stack_net *net,
		 const struct engine_ops *ops, void *arg, char why[WHY_BYTES]);

/* stack_deadline — the end begins: if stack_fini has not returned a few seconds
 * from now, the process leaves with `code` from where it stands. */
void stack_deadline(struct stack *s, int code);

/* stack_fini — top down; the engine was stopped. Waits for every thread: who
 * has had jobs under way calls stack_deadline before. */
void stack_fini(struct stack *s);

#endif
