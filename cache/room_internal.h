/* room_internal — what room.c (accounts) and room_evict.c (what goes) share,
 * and the job between them. */
#ifndef SHOAL_CACHE_ROOM_INTERNAL_H
#define SHOAL_CACHE_ROOM_INTERNAL_H

#include "cache/cache_limits.h"
#include "cache/room.h"
#include "cache/store_disk_internal.h"

enum {
	/* Larger blocks than these are counted as if they were these. */
	ROOM_BLOCK_BYTES = 4096,
};

/* What of one blob is to be punched: whole blocks. */
struct cut {
	const struct blob_home *home;
	const char *name; /* or NULL, and: */
	uint32_t file_ix;
	uint64_t off_bytes, len_bytes;
	struct unit_set *set; /* loop only */
	struct glance look;
	int err; /* reply */
};

/* The rows of one unit. */
struct leaving_row {
	int64_t row; /* of the torrent; 0: … */
	uint32_t piece_ix, bytes;
	struct index_file file; /* … of leaves */
	uint32_t first, n;
};

struct eviction {
	struct job job;
	/* set before hand-over */
	struct disk *disk;
	const struct home *home;
	struct index_db *index;
	struct leaving_row rows[ROOM_EVICT_UNITS];
	unsigned n;
	struct cut *cuts;
	uint32_t n_cuts, cuts_room;
	/* loop only */
	struct unit *units[ROOM_EVICT_UNITS];
	struct disk_torrent *held[ROOM_EVICT_UNITS]; /* who has the unit */
	unsigned era; /* of the reads that it waits for */
	bool is_handed;
	bool is_short; /* no memory for all cuts */
	/* reply */
	uint64_t dropped_bytes;
	int err;       /* of the rows: nothing was punched */
	int punch_err; /* the first one */
	uint64_t free_bytes, index_bytes;
};

/* What is kept of torrents that are not open goes, until so much is free. */
struct room_closed {
	struct job job;
	/* set before hand-over */
	struct disk *disk;
	const struct home *home;
	struct index_db *index;
	int64_t *torrents, *files; /* rows of those that are open */
	uint32_t n_torrents, n_files;
	/* Files that are open, and of which a row may be on its way. */
	uint8_t (*ids)[JOINT_ID_BYTES];
	uint32_t n_ids;
	uint64_t want_bytes;
	/* reply */
	uint64_t freed_bytes, dropped_bytes;
	uint64_t free_bytes, index_bytes;
	bool is_dry; /* there is no more */
	int err;
};

void room_job_closed(struct job *job, struct worker_env *env);

/* room_job_path_bytes — what lies at "files/<name>", its hash tree too, or in
 * "torrents/<id>". */
uint64_t room_job_path_bytes(const struct home *home, const char *path);

/* room_close_some — begin that; false: there is nothing to begin. */
bool room_close_some(struct disk *d, uint64_t want_bytes);

void room_job_evict(struct job *job, struct worker_env *env);

/* ---- room_unit.c ---- */

struct unit *room_unit(struct unit_set *set, uint32_t ix);

static inline uint32_t unit_ix(const struct unit *u)
{
	return (uint32_t)(u - u->set->units);
}

/* room_set_state — with what goes with it: policy, lists, cost. */
void room_set_state(struct disk *d, struct unit *u, enum unit_state to);

/* room_set_cost — the unit takes so much from now on. */
void room_set_cost(struct disk *d, struct unit *u, uint32_t bytes);

/* The leaves of a file's unit. */
static inline uint32_t unit_first_leaf(const struct unit *u)
{
	return unit_ix(u) * u->set->unit_leaves;
}

uint32_t unit_n_leaves(const struct unit *u);

/* room_piece_cost — the blocks that a piece of the torrent's own touches. */
uint32_t room_piece_cost(const struct metainfo *mi, uint32_t ix);

/* room_kept_state — KEPT, or FIXED. */
enum unit_state room_kept_state(const struct unit *u);

bool room_is_fixed(const struct unit *u);

/* room_leaves_there — how many of a file's unit can be read. */
uint32_t room_leaves_there(const struct unit *u);

/* room_is_held — the kernel reads the unit's blob by itself. */
bool room_is_held(const struct unit *u);

/* ---- room_evict.c ---- */

/* room_evict — begin, if there is reason to. */
void room_evict(struct disk *d);

/* room_evict_on_reads — the reads of an era have ended. */
void room_evict_on_reads(struct disk *d);

#endif
