/* mainline_internal — the fields of mainline, for mainline.c (the node's life)
 * and seeks.c (whose turn it is). */
#ifndef SHOAL_NET_MAINLINE_INTERNAL_H
#define SHOAL_NET_MAINLINE_INTERNAL_H

#include "net/mainline.h"

struct loop_timer;
struct resolve;

TAILQ_HEAD(seek_list, seek);

struct loading;

struct mainline {
	struct mainline_cfg cfg;
	struct datagrams *io;
	struct hasher *hasher;
	struct dht_node *node;
	struct loop_timer *wake; /* the node's */
	struct loop_timer *turn; /* the next seek's: seeks.c */
	struct loop_timer *boot, *save;

	/* seeks.c's */
	struct seek_list calm, hurried, running;
	unsigned n_seeks, n_hurried, n_calm_running;
	uint64_t paid_us; /* calm searches before now are paid for until then */

	char **bootstrap;
	unsigned n_bootstrap, boot_ix;
	uint64_t boot_ms;
	struct resolve *name;	 /* while one is looked up */
	struct loading *loading; /* while the store looks */
	uint64_t found_us;	 /* the first contact; 0: none yet */
	bool is_ready;		 /* enough of them, once */
};

/* mainline_look_soon — something changed: see whose turn it is.
 * mainline_on_turn — the timer's. */
void mainline_look_soon(struct mainline *m);
void mainline_on_turn(void *arg);

#endif
