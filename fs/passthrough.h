/* passthrough — files that the kernel reads by itself: a file of which all is
 * held is opened with the descriptor of its blob, and no read of it comes to
 * us.
 *
 * Such a file has a node number of its own (INODE_TWIN), for the kernel does
 * not open one inode in two ways at once. Whoever looks it up while it
 * is whole gets that number; who has it open under the other one goes on there.
 *
 * Thread: loop. */
#ifndef SHOAL_FS_PASSTHROUGH_H
#define SHOAL_FS_PASSTHROUGH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/own.h"
#include "fs/fuse_api.h"

struct handle;
struct mount;
struct node;

/* What the kernel and the system let us do. */
enum passthrough_state {
	PASSTHROUGH_OLD,      /* the kernel does not know it */
	PASSTHROUGH_UNWANTED, /* mount_cfg says so */
	PASSTHROUGH_ON,
	PASSTHROUGH_REFUSED, /* EPERM: it takes CAP_SYS_ADMIN */
};

/* passthrough_wants — shall this file be looked up by its twin number? */
bool passthrough_wants(const struct mount *m, const struct node *n);

/* passthrough_open — answer OPEN of a twin, at once or when its blob is open.
 * Takes req and `h`. */
void passthrough_open(struct mount *m, fuse_req_t req TAKES,
		      struct handle *h TAKES);

/* passthrough_release — one open of a twin less. */
void passthrough_release(struct mount *m, uint64_t number);

/* passthrough_restore — the opens that the mount's notes speak of. */
void passthrough_restore(struct mount *m);

/* passthrough_end_all — answer every OPEN that waits with EIO, forget all. */
void passthrough_end_all(struct mount *m);

/* passthrough_text — for the status: is it on, and if not, why. A constant. */
const char *passthrough_text(const struct mount *m);

/* passthrough_count — files that are open that way now. */
unsigned passthrough_count(const struct mount *m);

#endif
