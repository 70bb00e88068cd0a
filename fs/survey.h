/* survey — MOUNT/.shoalfs/dht/sample: some info-hashes of those that the
 * network has, a line each, with the torrent's name where its metadata could be
 * had:
 *
 *   <40 hex digits>[ <name>]
 *
 * Who reads it waits for the next lines, as they come; it ends by itself
 * (SURVEY_MS), or when nobody has it open any more. All who have it open at a
 * time read the same one, and for SURVEY_STANDS_MS it is not made anew.
 *
 * Thread: loop. One at a time in a mount. */
#ifndef SHOAL_FS_SURVEY_H
#define SHOAL_FS_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/own.h"
#include "fs/fuse_api.h"

struct mount;
struct torrent;

/* survey_open — the file is open once more. 0; ENETDOWN: there is no DHT;
 * ENOMEM. survey_close — of each that was. */
int survey_open(struct mount *m);
void survey_close(struct mount *m);

/* survey_read — of an open one. Takes req: answered once, with what is there
 * behind `off_bytes`, as soon as there is something; nothing: it is over. */
void survey_read(struct mount *m, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes);

/* survey_on_change — READY or FAILED. True: it was there only for its name, and
 * is nobody's any more. survey_let_go — somebody else wants it: true, it was
 * the survey's until now. */
bool survey_on_change(struct mount *m, struct torrent *t);
bool survey_let_go(struct mount *m, const struct torrent *t);

/* survey_end — the mount is over. */
void survey_end(struct mount *m);

#endif
