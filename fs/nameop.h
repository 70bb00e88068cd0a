/* nameop — a lookup of an info-hash in the root, which may have to wait for
 * the torrent's metadata.
 *
 * Life: as readop's. Thread: loop. */
#ifndef SHOAL_FS_NAMEOP_H
#define SHOAL_FS_NAMEOP_H

#include "core/own.h"
#include "fs/fuse_api.h"

struct mount;
struct torrent;

/* nameop_start — answer the lookup of `name`, which roster_name_is_hash.
 * Takes req. The torrent's directory; ENOENT when it is not there and nobody in
 * the DHT has it, or there is no DHT; EIO when it failed; else it waits:
 * ETIMEDOUT after lookup_wait_ms, EINTR when interrupted. EBUSY: too many are
 * being looked for. */
void nameop_start(struct mount *m, fuse_req_t req TAKES, const char *name);

/* nameop_on_change — `t` was shown, or failed: answer who waits for it. */
void nameop_on_change(struct mount *m, const struct torrent *t);

/* nameop_end_all — answer every parked lookup with EIO. */
void nameop_end_all(struct mount *m);

#endif
