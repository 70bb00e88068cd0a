/* seed — serve files where they lie, from a stack of its own. */
#ifndef SHOAL_CMD_SEED_H
#define SHOAL_CMD_SEED_H

#include <stdbool.h>

#include "cmd/exits.h"

struct content;
struct metainfo;
struct stack_net;

struct seed_cfg {
	const struct content *content;
	struct metainfo *mi; /* taken */
	const char *const *trackers;
	unsigned n_trackers;
	const struct stack_net *net;
	bool stay; /* false: print the link and return */
};

/* seed_run — print the magnet link; with `stay`, listen first, and serve until
 * SIGINT, SIGTERM or SIGHUP. 0 or an errno, with one line for a person. */
int seed_run(const struct seed_cfg *cfg, char why[WHY_BYTES]);

#endif
