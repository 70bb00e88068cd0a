/* keep — the ledger (cache/) as the mount (fs/) wants it. */
#ifndef SHOAL_CMD_KEEP_H
#define SHOAL_CMD_KEEP_H

#include "fs/keeper.h"

struct ledger;
struct store;
struct workers;

struct keep {
	struct ledger *ledger;
	struct store *store;
	struct workers *workers;
};

/* keep_with — what fs/ is given; `k`, and what is in it, is kept. */
struct keeper keep_with(struct keep *k);

#endif
