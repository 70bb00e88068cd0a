/* warmth — how much of each torrent is in memory (struct shown): nothing but
 * its record, what its directories show, or all that it takes to read it.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_WARMTH_H
#define SHOAL_FS_WARMTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/own.h"
#include "core/queue.h"

struct engine_leave;
struct metainfo;
struct mount;
struct warmth_leave;
struct warmth_read;
struct shown;
struct torrent;
struct tree;

TAILQ_HEAD(shown_list, shown);
LIST_HEAD(warmth_reads, warmth_read);
LIST_HEAD(warmth_leaves, warmth_leave);

struct warmth {
	struct shown_list warm;	 /* used longest ago first */
	struct shown_list awake; /* likewise */
	unsigned n_awake;
	uint64_t warm_bytes;
	size_t now_max;	       /* longer metadata is parsed by a worker */
	uint64_t asleep_bytes; /* held by those that are not awake */
	struct warmth_reads reads;
	struct warmth_leaves leaves; /* on their way out of the engine */
	struct loop_task trim;
	struct hasher *hasher;
};

int warmth_init(struct mount *m);

/* warmth_end — reads of records that are under way come to nothing. */
void warmth_end(struct mount *m);

/* warmth_put — `s` is WARM with these. */
void warmth_put(struct mount *m, struct shown *s, struct metainfo *mi TAKES,
		struct tree *tree TAKES);

/* warmth_adopt — `s` is AWAKE with a READY torrent that was not made for it.
 * `tree`: of its metadata. */
void warmth_adopt(struct mount *m, struct shown *s, struct torrent *t,
		  struct tree *tree TAKES);

/* warmth_warm — at least WARM. 0; EAGAIN: its metadata is being read, and
 * whoever parks with again.h is called when it is there; EIO: it cannot be;
 * ENOMEM. */
int warmth_warm(struct mount *m, struct shown *s);

/* warmth_ahead — WARM before anybody asks, and nobody hears of an error. 0,
 * also when a worker has it now; EAGAIN: that would wait for a disk; EIO;
 * ENOMEM. warmth_cost — what `s` takes when it is WARM, by its record. */
int warmth_ahead(struct mount *m, struct shown *s);
uint64_t warmth_cost(const struct shown *s);

/* warmth_wake — AWAKE; the torrent may not be READY yet. 0; EAGAIN: as soon as
 * its metadata has been read; or as warmth_warm. */
int warmth_wake(struct mount *m, struct shown *s);

/* warmth_start — what is remembered wakes up, if all of it may be awake. */
void warmth_start(struct mount *m);

/* warmth_has_room — may one more be awake though nobody reads it? */
bool warmth_has_room(const struct mount *m);

/* warmth_trim — send to sleep what is too much, on the next turn.
 * warmth_is_over — it is too much, though nobody can be: all are in use.
 * warmth_is_full — so much that nobody is woken for a peer. */
void warmth_trim(struct mount *m);
bool warmth_is_over(const struct mount *m);
bool warmth_is_full(const struct mount *m);

/* warmth_sleeping — how much of `s`, which is not AWAKE, is held. */
void warmth_sleeping(struct mount *m, struct shown *s, uint64_t held_bytes);

/* warmth_is_ready — it is AWAKE, and the torrent READY. warmth_held — bytes
 * that are held of it; of what sleeps, when it fell asleep. warmth_held_bytes —
 * of all. */
bool warmth_is_ready(const struct shown *s);
uint64_t warmth_held(const struct shown *s);
uint64_t warmth_held_bytes(const struct mount *m);

/* warmth_forget — `s` is going: off every list; it keeps what it has. Gives
 * what the engine is still closing of it, or NULL. */
struct engine_leave *warmth_forget(struct mount *m, struct shown *s);

#endif
