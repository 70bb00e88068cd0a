/* options — the command line of shoalfs and shoal-cat, turned into a struct.
 * Pure but for memory: nothing is opened, looked up or resolved here. */
#ifndef SHOAL_CMD_OPTIONS_H
#define SHOAL_CMD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd/exits.h"
#include "core/buf.h"

enum { OPTIONS_PEERS_MAX = 64, OPTIONS_SOURCES_MAX = 4096 };
/* The index has to go somewhere. */
enum { OPTIONS_QUOTA_MIN = 16 << 20, OPTIONS_MIN_FREE = 1 << 30 };

struct options {
	bool foreground, debug, help, version;
	/* Operands as they stand: the last one is the mount point or path. */
	const char *operand[OPTIONS_SOURCES_MAX];
	unsigned n_operands;
	char *store;		  /* directory, or NULL */
	uint64_t store_mem_bytes; /* store=memory:SIZE, else 0 */
	uint64_t quota_bytes;	  /* 0: not said */
	uint64_t min_free_bytes;
	uint16_t port;
	char *bind;
	char *peer[OPTIONS_PEERS_MAX];
	unsigned n_peers;
	bool is_ro; /* nothing is added or removed through the mount */
	bool no_pex, no_dht, no_seed;
	bool no_passthrough, no_latency, no_sandbox, seccomp;
	char *dht_bootstrap[OPTIONS_PEERS_MAX];
	unsigned n_dht_bootstrap;
	uint64_t down_Bps, up_Bps; /* 0: no limit */
	uint32_t read_timeout_s, wait_s;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	struct buf fuse; /* options for libfuse: comma-separated, with a NUL */
};

/* options_parse — 0; EINVAL, with what is wrong in `why`; ENOMEM. Operands
 * are borrowed from argv; the rest is freed by options_fini, also after a
 * failure. */
int options_parse(struct options *o, int argc, char *const *argv,
		  char why[WHY_BYTES]);
void options_fini(struct options *o);

/* options_size — "64M", "1G", "512" into bytes. False when it is no size. */
bool options_size(const char *text, uint64_t *bytes);

/* options_help — the table of options, as --help prints it. A constant. */
const char *options_help(void);

#endif
