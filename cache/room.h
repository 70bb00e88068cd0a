/* room — how much the disk store may take, and what goes when that is full.
 *
 * Words. Unit: what is evicted at once: a piece of the torrent's own, or a run
 * of leaves of a file that torrents have in common (counted once, evicted once
 * for all). Cost: the file-system blocks that a unit's bytes touch, all of
 * them, also those that it shares with its neighbours; so the sum is never less
 * than what lies on the disk. Limit: the quota, or what `min_free` leaves.
 *
 *   unit       costs  in the policy  its bytes
 *   EMPTY      no     no             none
 *   FILLING    yes    no             being written, or written and not durable;
 *                                    staged
 *   KEPT       yes    yes            durable, all or some
 *   FIXED      yes    no             the same; pinned, or given away
 * (store_blob) DOOMED     yes    no             nobody's: to be punched LEAVING
 * yes    no             an eviction is under way for it
 *
 *   EMPTY   -> FILLING     a write begins (room_take), or was staged for
 *   FILLING -> KEPT, FIXED the row is committed
 *   FILLING -> DOOMED      what was written is not to be believed, or given up
 *   KEPT   <-> FIXED       pinned, held, and not any more
 *   KEPT, FIXED -> DOOMED  forgotten (store_forget)
 *   KEPT    -> LEAVING     picked: nobody may read it from now on (on_lost),
 *                          then the reads under way end, the row goes, the
 *                          bytes are punched
 *   DOOMED  -> LEAVING     at the next eviction
 *   LEAVING -> EMPTY       the bytes are gone
 *   LEAVING -> KEPT, DOOMED  they are not: the rows could not be written
 *
 * A unit that is busy (somebody writes to it, or stands on it) is not picked;
 * a unit that is leaving, or whose neighbour is, is not written to.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_ROOM_H
#define SHOAL_CACHE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/evict.h"
#include "core/loop.h"

struct blob_io;
struct disk;
struct disk_file;
struct disk_torrent;
struct eviction;
struct home;
struct put;
struct staging;

enum unit_state {
	UNIT_EMPTY,
	UNIT_FILLING,
	UNIT_KEPT,
	UNIT_FIXED,
	UNIT_DOOMED,
	UNIT_LEAVING,
};

struct unit {
	struct evict_item item; /* bytes: the cost; DOOMED: in room->doomed */
	struct unit_set *set;	/* Owner; set when it is used first */
	uint16_t n_busy;
	uint8_t state;
	bool is_staged; /* which is one of n_busy */
	bool is_spoilt; /* some of what was staged may be lost */
};

/* The units of a torrent's own pieces, or of a file. */
struct unit_set {
	struct unit *units;
	uint32_t n;
	uint32_t unit_leaves;	/* of a file: leaves a unit */
	struct disk_torrent *t; /* its own pieces; or NULL, and: */
	struct disk_file *f;
	uint32_t key; /* of unit 0 */
};

struct room {
	uint64_t quota_bytes, min_free_bytes; /* the user's; quota 0: none */
	uint64_t limit_bytes;	 /* for everything below together */
	uint64_t used_bytes;	 /* costs of units, and of what is on its way */
	uint64_t closed_bytes;	 /* what lies there of torrents not open */
	uint64_t overhead_bytes; /* the index, hash trees */
	struct evict evict;
	struct evict_queue doomed;
	struct eviction *now; /* of which there is one at most */
	bool is_evicting;
	/* Reads under way, by whether they began after the last pick. */
	unsigned n_reads[2];
	unsigned era;
	struct loop_task task;
	struct loop_timer *timer;
	bool is_closing;    /* room_closed.c's job is under way */
	bool is_closed_dry; /* it has found no more */
	bool has_warned;    /* that nothing can be punched */
	uint64_t full_us;   /* when something was refused last; 0: never */
	/* Files that the kernel may read by itself. */
	uint32_t n_wholes;
	uint32_t at_whole;  /* where the next look begins */
	uint64_t wholes_us; /* when it may */
	bool is_looking;
	uint64_t n_evicted, evicted_bytes;
};

/* ---- life ---- */

int room_init(struct disk *d, uint64_t quota_bytes, uint64_t min_free_bytes);
void room_fini(struct disk *d);

/* room_own_init — the units of a torrent's own pieces, EMPTY. 0 or ENOMEM.
 * _close: before its metainfo goes; what it has stays. _fini: that is nobody's
 * who is there from now on. */
int room_own_init(struct disk_torrent *t);
void room_own_close(struct disk_torrent *t);
void room_own_fini(struct disk_torrent *t);
int room_file_init(struct disk *d, struct disk_file *f, uint32_t piece_bytes);
void room_file_fini(struct disk *d, struct disk_file *f);

/* room_load_own / room_load_file — at the opening: what is held, is KEPT. */
void room_load_own(struct disk_torrent *t);
void room_load_file(struct disk *d, struct disk_file *f);

/* room_on_swept — so much less lies there of what is not open, for nobody could
 * use it (sweep_job.h). */
void room_on_swept(struct disk *d, uint64_t bytes);

/* room_look_pins — what is pinned, or given away, has changed. */
void room_look_pins(struct disk_torrent *t);

/* room_add_whole — the file's blob is given to somebody who reads by himself
 * from now on: nothing of it goes until a look says that nobody has it open any
 * more (whole_is_free). room_look_wholes — such a look is begun, if there are
 * any and the last one is a while ago. room_forget_wholes — t is freed. */
void room_add_whole(struct disk_torrent *t, uint32_t file_ix);
void room_look_wholes(struct disk *d);
void room_forget_wholes(struct disk_torrent *t);

/* ---- what comes ---- */

/* room_put_cost — what a piece of the torrent's own takes. room_fits — is there
 * so much? */
uint32_t room_put_cost(const struct disk_torrent *t, uint32_t piece_ix);
bool room_fits(const struct disk *d, uint64_t bytes);

/* room_take — is there room for what the put writes? Then it is the put's, and
 * its units are FILLING. Else false, and room is being made. */
bool room_take(struct put *p);

/* room_is_barred — it cannot begin, since what is there must go first. */
bool room_is_barred(const struct put *p);

/* room_begin_put / _end_put — the put writes, or stands on what is there, from
 * now on; not any more (p->err says how it went). room_on_written — in between,
 * before others hear of its leaves. */
void room_begin_put(struct put *p);
void room_on_written(struct put *p);
void room_end_put(struct put *p);

/* room_stage — the same for a piece that is staged: 0; EAGAIN: not yet
 * (batch_on_room will come); ENOSPC. room_unstage — it is given up. */
int room_stage(struct disk_torrent *t, uint32_t piece_ix);
void room_unstage(struct disk_torrent *t, uint32_t piece_ix);

/* room_begin_nodes — is there room for so much of a hash tree? Then it is
 * reserved, until room_end_nodes: by so much the tree has grown, which counts
 * among what nobody has open, for it does not go before its file does. */
bool room_begin_nodes(struct disk *d, size_t bytes, uint64_t *reserved_bytes);
void room_end_nodes(struct disk *d, uint64_t reserved_bytes,
		    uint64_t grown_bytes);

/* room_doom — the piece is not the torrent's own any more: its bytes are to go.
 * Of a file's leaves that are forgotten the bytes stay, and count, until they
 * are written anew or their unit goes. */
void room_doom(struct disk_torrent *t, uint32_t piece_ix);

/* ---- who reads ---- */

/* room_use — somebody came for these bytes of piece space. */
void room_use(struct disk_torrent *t, uint64_t off_bytes, uint32_t len_bytes);

/* room_read_begin / _end — a worker reads. Gives what _end wants back. */
unsigned room_read_begin(struct disk *d);
void room_read_end(struct disk *d, unsigned era);

/* room_look — is there more than there may be, or somebody who waits? */
void room_look(struct disk *d);

/* room_job_blob_bytes — what all in torrents/ and files/ takes on the disk; a
 * job's. */
uint64_t room_job_blob_bytes(const struct home *home);

/* room_job_measure — what the disk has free, what the index takes; a job's. */
void room_job_measure(const struct home *home, uint64_t *free_bytes,
		      uint64_t *index_bytes);

/* room_halve — the quota is not more than half of this. */
void room_halve(struct disk *d, uint64_t bytes);

/* room_set_free — the disk has so many bytes left, the index takes so many. */
void room_set_free(struct disk *d, uint64_t free_bytes, uint64_t index_bytes);

#endif
