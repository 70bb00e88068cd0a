/* tally — what was counted of each torrent, and how much of that is written
 * down. Thread: loop. */
#ifndef SHOAL_CACHE_TALLY_H
#define SHOAL_CACHE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"
#include "core/torrent_id.h"
#include "core/traffic.h"

struct hmap;

/* What is to be written of one, or was: all of it, not what is new. */
struct tally_row {
	struct torrent_id id;
	struct traffic counted;
};

struct tally_rows {
	struct tally_row *v;
	uint32_t n;
};

struct tally_one;
TAILQ_HEAD(tally_list, tally_one);

struct tally {
	struct hmap *by_hash; /* of both hashes, 20 bytes */
	struct tally_list dirty, clean;
	uint32_t n_dirty;
	struct traffic all; /* written down, of all there ever were */
};

int tally_init(struct tally *t);
void tally_fini(struct tally *t);

/* tally_load — what was written down in an earlier run. 0 or ENOMEM. */
int tally_load(struct tally *t, const struct tally_row *row);

/* tally_count — so much more. 0 or ENOMEM. */
int tally_count(struct tally *t, const struct torrent_id *id,
		const struct traffic *more);

/* tally_take — what is not written down; `rows->v` is the caller's. Without
 * memory it is nothing, and stays for the next time. tally_kept — it is.
 * tally_back — it is not. Both free `rows->v`. */
void tally_take(struct tally *t, struct tally_rows *rows);
void tally_kept(struct tally *t, struct tally_rows *rows);
void tally_back(struct tally *t, struct tally_rows *rows);

/* tally_counted — all that was counted of it; false: nothing ever. tally_drop —
 * it was removed, with all that was counted of it written down. tally_forget —
 * it was never here. */
bool tally_counted(const struct tally *t, const struct torrent_id *id,
		   struct traffic *out);
void tally_drop(struct tally *t, const struct torrent_id *id);
void tally_forget(struct tally *t, const struct torrent_id *id);

/* tally_get — what is written down of it. */
void tally_get(const struct tally *t, const struct torrent_id *id,
	       struct traffic *out);

#endif
