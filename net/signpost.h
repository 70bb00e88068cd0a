/* signpost — a key of BEP 46 and the torrent that it names now: looked up in
 * the DHT, followed, kept alive there, and remembered by the store.
 *
 * Only what its key signed is believed, and never an earlier seq than one that
 * was: not from the network, not after a restart.
 *
 * Life: signpost_use, signpost_keep or signpost_put makes one. What is known
 * stays until signpost_drop, up to SIGNPOSTS_MAX, those that nobody used for
 * longest going first;
 * one that leads nowhere goes SIGNPOST_LINGER_MS after its last look. Pointers
 * are lent until the loop's next turn. Thread: loop. */
#ifndef SHOAL_NET_SIGNPOST_H
#define SHOAL_NET_SIGNPOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/btpk.h"
#include "core/span.h"
#include "core/torrent_id.h"

struct engine;
struct signpost;

/* signpost_use — somebody wants to know where it leads. 0: view says; what it
 * says may be some minutes old, and is looked at again meanwhile. EAGAIN: it is
 * being looked for; engine_ops.on_signpost tells when that is over, within
 * SIGNPOST_AGAIN_MS and SIGNPOST_LOOK_MS. ENOENT: the DHT has nothing, or
 * nothing that is a torrent, or there is no DHT; ETIMEDOUT: no answer. Both
 * stand for SIGNPOST_STAND_MS. EBUSY: too many are being looked for; ENOMEM. */
int signpost_use(struct engine *e, const struct btpk *b, struct signpost **out);

/* signpost_keep — follow it from now on, also after a restart, whether it is
 * known yet or not; who asks once more wants its torrent once more. 0; EEXIST:
 * that was so before, `*out` is it; EBUSY: too
 * many are; ENOMEM. */
int signpost_keep(struct engine *e, const struct btpk *b,
		  struct signpost **out);

/* signpost_bring — the torrent that it names was added because it is followed;
 * view.brought says so, also after a restart, whatever becomes of that. */
void signpost_bring(struct signpost *s);

/* signpost_drop — nobody wants it any more: who waits for it is told ENOENT,
 * and it is forgotten; used again it is a stranger. EAGAIN: the store has not
 * said yet what the last run knew. */
int signpost_drop(struct signpost *s);

/* signpost_settle — `done` (from a later turn) says when what was kept, put and
 * dropped until now is durable. `w` is lent until then, or
 * signpost_settle_cancel. ENOENT: nothing of it outlives the process, nothing
 * is to be waited for; EAGAIN: as of signpost_drop; ENOMEM. */
struct signpost_wait {
	void (*done)(void *arg, int err);
	void *arg;
	struct signpost_saving *saving; /* not the caller's; NULL: no wait */
};

int signpost_settle(struct engine *e, struct signpost_wait *w);
void signpost_settle_cancel(struct signpost_wait *w);

/* signpost_hurry — what is to be remembered of keys goes to the store now, and
 * so is durable before what is asked of the store next. */
void signpost_hurry(struct engine *e);

/* What somebody signed, to be put. */
struct signpost_offer {
	struct btpk btpk;
	int64_t seq;
	struct span value;  /* bencoded */
	const uint8_t *sig; /* 64 bytes */
	const int64_t *cas; /* as of errand_put; NULL: none */
};

/* signpost_put — put it (it is copied) and, once nodes have taken it, keep it
 * alive from now on, also after a restart. The view tells how it went. 0;
 * EINVAL: not rightly signed, or it breaks another rule of BEP 44; EEXIST: its
 * seq, or a later one, is known with another value; EBUSY: one is being put, or
 * too many are known; ENOMEM. */
int signpost_put(struct engine *e, const struct signpost_offer *o,
		 struct signpost **out);

/* signpost_find — NULL: there is none. signpost_next walks, in the order in
 * which they came; NULL begins and ends. */
struct signpost *signpost_find(const struct engine *e, const struct btpk *b);
struct signpost *signpost_next(const struct engine *e,
			       const struct signpost *s);

struct signpost_view {
	const struct btpk *btpk; /* lent */
	bool is_known;		 /* then: */
	int64_t seq;
	struct info_hash hash; /* len 0: it names no torrent */
	bool is_own;  /* put from here: kept alive without being used */
	bool is_kept; /* signpost_keep */
	const struct info_hash *brought; /* lent; len 0: none yet */
	bool is_asking;
	int err; /* of the last look; 0 also before the first */
	bool is_putting;
	int put_err;		/* of the last put; what errand_put says */
	unsigned n_stored;	/* nodes that took it then, … */
	unsigned n_outdone;	/* … and that had something newer */
	uint64_t looked_ago_us; /* UINT64_MAX: never */
	uint64_t put_ago_us;
};

void signpost_view(const struct signpost *s, struct signpost_view *out);

/* ---- the engine's ---- */

struct signposts;

int signposts_new(struct engine *e, struct signposts **out);

/* signposts_free — gives the store what changed. NULL is fine. */
void signposts_free(struct signposts *all);

#endif
