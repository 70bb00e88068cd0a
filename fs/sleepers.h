/* sleepers — torrents that are not awake and of which something is held: they
 * have turns at being awake, so that trackers and the DHT know of us, and are
 * woken by a peer who asks for them. Thread: loop. */
#ifndef SHOAL_FS_SLEEPERS_H
#define SHOAL_FS_SLEEPERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/queue.h"

struct loop_timer;
struct mount;
struct shown;

TAILQ_HEAD(sleeper_list, shown);

struct sleepers {
	struct sleeper_list list; /* whose turn was longest ago first */
	unsigned n;
	bool is_served;		 /* turns have begun */
	struct loop_timer *turn; /* NULL: they have no turns */
	uint64_t asked_us;	 /* sleepers.c's */
};

/* sleepers_init — 0 or ENOMEM. sleepers_end — nobody is woken any more. */
int sleepers_init(struct mount *m);
void sleepers_end(struct mount *m);

/* sleepers_start — turns begin. */
void sleepers_start(struct mount *m);

/* sleepers_enter — `s` is not awake; it becomes a sleeper if something of it is
 * held, and peers may have it. sleepers_leave — it is awake, or goes; fine of
 * one that is none. */
void sleepers_enter(struct mount *m, struct shown *s);
void sleepers_leave(struct mount *m, struct shown *s);

/* sleepers_on_asked — a peer wants the torrent with this hash, as 20 bytes.
 * True: it is a sleeper, and will be awake. */
bool sleepers_on_asked(struct mount *m, const uint8_t hash[20]);

/* sleepers_turn_ms — how long a turn is among `n`. Pure. */
uint64_t sleepers_turn_ms(unsigned n, bool has_room);

#endif
