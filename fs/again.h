/* again — a request that comes again: what it asks for is being read from disk
 * by a worker, and operations never wait. Thread: loop. */
#ifndef SHOAL_FS_AGAIN_H
#define SHOAL_FS_AGAIN_H

#include "core/own.h"
#include "core/queue.h"
#include "fs/fuse_api.h"

struct again;
struct mount;

TAILQ_HEAD(again_list, again);

/* again_park — take the request that is being answered off libfuse's hands, and
 * hand it over anew at again_all. Answers it itself when it cannot. */
void again_park(struct mount *m, fuse_req_t req TAKES);

/* again_all — something was read; what still misses its own parks again. */
void again_all(struct mount *m);

/* again_drop — the mount is over: they end with the connection. */
void again_drop(struct mount *m);

#endif
