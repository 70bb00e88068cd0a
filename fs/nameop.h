/* nameop — a lookup of an info-hash in the root, which may have to wait for
 * the torrent's metadata.
 *
 * Life: as readop's. Thread: loop. */
#ifndef SHOAL_FS_NAMEOP_H
#define SHOAL_FS_NAMEOP_H

#include "core/own.h"
#include "fs/fuse_api.h"

struct mount;
struct signpost;
struct torrent;

/* nameop_start — answer the lookup of `name`, which roster_name_is_hash.
 * Takes req. The torrent's directory; ENOENT when it is not there and nobody in
 * the DHT has it, or there is no DHT; EIO when it failed; else it waits:
 * ETIMEDOUT after lookup_wait_ms, EINTR when interrupted. EBUSY: too many are
 * being looked for. */
void nameop_start(struct mount *m, fuse_req_t req TAKES, const char *name);

/* nameop_start_key — the same of a name that keylink_name_is: the link; ENOENT
 * when nobody has put it. */
void nameop_start_key(struct mount *m, fuse_req_t req TAKES, const char *name);

/* nameop_on_signpost — a look at `s` is over. */
void nameop_on_signpost(struct mount *m, struct signpost *s);

/* nameop_on_change — `t` was shown, or failed: answer who waits for it. */
void nameop_on_change(struct mount *m, const struct torrent *t);

/* nameop_on_gone — `t` is going: who waits for it gets `err`. */
void nameop_on_gone(struct mount *m, const struct torrent *t, int err);

/* nameop_end_all — answer every parked lookup with EIO. */
void nameop_end_all(struct mount *m);

#endif
