/* signpost_internal — the fields of signposts, for signpost.c (what one knows
 * and does) and signposts.c (all of them, and the store). */
#ifndef SHOAL_NET_SIGNPOST_INTERNAL_H
#define SHOAL_NET_SIGNPOST_INTERNAL_H

#include "core/queue.h"
#include "net/errand.h"
#include "net/signpost.h"

struct loop_timer;

struct signpost {
	TAILQ_ENTRY(signpost) link;
	struct signposts *all; /* Owner: */
	struct btpk btpk;
	struct loop_timer *timer;
	struct errand *get, *put;
	bool is_wanted; /* to be looked for, when the store has said */
	bool is_known, is_own, is_kept;
	struct info_hash brought; /* signpost_bring */
	struct info_hash hash;
	struct item_box known;
	struct item_box *offered; /* being put, and not known yet */
	unsigned tries;
	uint64_t begun_us; /* the first of the tries of a look */
	int err, put_err;
	unsigned n_stored, n_outdone;
	uint64_t looked_us, put_us; /* when that ended; 0: never */
	uint64_t look_due_us, put_due_us;
	uint64_t used_us;
	int64_t used_s; /* wall time */
};

struct signposts_loading;

struct signposts {
	struct engine *e; /* Owner: */
	TAILQ_HEAD(, signpost) list;
	unsigned n;
	bool is_loaded, is_changed;
	struct loop_timer *save;
	struct signposts_loading *loading;
};

uint64_t signpost_now_us(const struct signpost *s);

/* signpost_about_us — around `ms`, so that what began together does not stay
 * together. */
uint64_t signpost_about_us(uint64_t ms);

/* signpost_add — 0, EBUSY, ENOMEM. signpost_forget — it goes. */
int signpost_add(struct signposts *all, const struct btpk *b,
		 struct signpost **out);
void signpost_forget(struct signpost *s);

/* signpost_take — true: it is newer than what was known. Signed it is, by its
 * key. */
bool signpost_take(struct signpost *s, const struct dht_item *item);

/* signpost_look — 0: under way, or it will be. signpost_end_look — it is over.
 * signpost_tell — the owner above. signpost_arm — its timer. */
int signpost_look(struct signpost *s);
void signpost_end_look(struct signpost *s, int err);
void signpost_tell(struct signpost *s);
void signpost_arm(struct signpost *s);

/* signposts_save_soon — something is to be remembered. */
void signposts_save_soon(struct signposts *all);

#endif
