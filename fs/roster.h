/* roster — which torrents are shown in the root, under which names.
 *
 * A torrent that is in stays under its name until it is removed. A name is the
 * torrent's for as long as it is remembered, whatever order a mount starts in.
 * Thread: loop. */
#ifndef SHOAL_FS_ROSTER_H
#define SHOAL_FS_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"
#include "core/record.h"

struct hmap;
struct metainfo;
struct torrent;
struct tree;

/* A torrent in the root.
 *
 *   state   mi, tree          torrent
 *   COLD    NULL              NULL     what the record says, and no more
 *   WARM    there, mi ours    NULL     somebody looked into its directories
 *   AWAKE   there, mi lent    there    it can be read (net/torrent.h), or will
 *                                      be when that is READY */
enum shown_place { SHOWN_COLD, SHOWN_WARM, SHOWN_AWAKE };

struct shown {
	struct torrent_id id;
	enum record_by by;
	bool is_kept;	 /* remembered, or about to be */
	bool is_leaving; /* it is being forgotten */
	int64_t added_s, time_s;
	uint64_t size_bytes;
	uint64_t source_at; /* struct record's */
	uint32_t source_len;
	uint32_t n_nodes, n_subdirs;
	uint64_t base; /* fs/inode.h */
	char *name;

	struct torrent *torrent;
	struct metainfo *mi;
	struct tree *tree;
	unsigned n_handles; /* open files */

	/* warmth.c's */
	enum shown_place place; /* which list it is in */
	TAILQ_ENTRY(shown) link;
	uint64_t used_us;
	uint64_t held_bytes; /* when it was AWAKE last */
	bool is_read;	     /* its metadata is being read */
	bool is_wanted;	     /* it is to be AWAKE as soon as it can be */
	bool is_closing;     /* the engine has not let go of it yet */
	int read_err;	     /* of those who wait for it */

	/* sleepers.c's */
	bool is_sleeper;
	TAILQ_ENTRY(shown) doze;
};

/* … and its place in a listing, which is its own for good. */
struct listed {
	uint64_t base;
	struct shown *shown;
};

struct roster {
	struct listed *listed; /* by base */
	struct shown **by_name;
	uint32_t n;
	uint32_t room;
	uint64_t n_changes; /* of the two lists */
	struct hmap *by_base;
	struct hmap *by_side[TORRENT_SIDES]; /* by 20 bytes (torrent_id.h) */
	uint64_t size_bytes, n_nodes;	     /* of all */
};

int roster_init(struct roster *r);

/* roster_fini — the torrents of those that are AWAKE must still live. */
void roster_fini(struct roster *r);

/* roster_add — show what the record says, COLD, under its name or one like it
 * if that is another's. 0; EEXIST: it is in already, its node numbers are
 * another's, or every name it may have is taken; ENOMEM. */
int roster_add(struct roster *r, const struct record *rec, struct shown **out);

/* roster_expect — about so many are to be loaded: their tables are made once.
 * roster_load — as roster_add, of many: names are looked at in the end, by
 * roster_loaded, until when nothing is found by its name, or listed. */
void roster_expect(struct roster *r, uint32_t n);
int roster_load(struct roster *r, const struct record *rec);
int roster_loaded(struct roster *r);

/* roster_wake — `t` is what it is read by from now on; its metainfo is lent,
 * or NULL: `s` has what t lends. roster_drop — back to COLD. */
void roster_wake(struct shown *s, struct torrent *t);
void roster_drop(struct shown *s);

/* roster_remove — it is not shown any more; frees `s`. */
void roster_remove(struct roster *r, struct shown *s);

/* roster_record — what `s` is remembered by. */
void roster_record(const struct shown *s, struct record *out);

/* Lent until it is removed; NULL when there is none. roster_by_hash: by either
 * of its hashes, v2's also when it is cut to 20 bytes. roster_by_wire: by what
 * handshakes have. */
struct shown *roster_by_name(const struct roster *r, const char *name);
struct shown *roster_by_base(const struct roster *r, uint64_t base);
struct shown *roster_by_hash(const struct roster *r, const struct info_hash *h);
struct shown *roster_by_wire(const struct roster *r,
			     const uint8_t wire[TORRENT_WIRE_BYTES]);
struct shown *roster_by_id(const struct roster *r, const struct torrent_id *id);

/* roster_from — the first in a listing whose base is not below `base`.
 * roster_listed_ix, roster_name_ix — where `s` is in either list. */
struct shown *roster_from(const struct roster *r, uint64_t base);
uint32_t roster_listed_ix(const struct roster *r, const struct shown *s);
uint32_t roster_name_ix(const struct roster *r, const struct shown *s);

/* roster_name_is_hash — 40 or 64 hex digits: never a torrent's own name. */
bool roster_name_is_hash(const char *name);

#endif
