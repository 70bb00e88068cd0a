/* mainline_internal — the fields of mainline, for mainline.c (the node's life)
 * and seeks.c (whose turn it is). */
#ifndef SHOAL_NET_MAINLINE_INTERNAL_H
#define SHOAL_NET_MAINLINE_INTERNAL_H

#include "net/mainline.h"

struct loop_timer;
struct resolve;

TAILQ_HEAD(seek_list, seek);

struct loading;

/* Bytes until then. */
struct traffic_mark {
	uint64_t us, in_bytes, out_bytes;
};

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
	uint64_t hurry_paid_us; /* hurried ones likewise */

	char **bootstrap;
	unsigned n_bootstrap, boot_ix;
	uint64_t boot_ms;
	struct resolve *name;	      /* while one is looked up */
	struct loading *loading;      /* while the store looks */
	uint64_t found_us;	      /* the first contact; 0: none yet */
	bool is_ready;		      /* enough of them, once */
	uint32_t grown[DHT_FAMILIES]; /* contacts that are news: seeks.c */
	struct traffic_mark mark[2];  /* ten and twenty seconds old */
};

/* mainline_look_soon — something changed: see whose turn it is.
 * mainline_on_turn — the timer's. */
void mainline_look_soon(struct mainline *m);
void mainline_on_turn(void *arg);

/* mainline_note_growth — we may know more nodes than when something was
 * announced: what too few took has its turn. */
void mainline_note_growth(struct mainline *m);

#endif
