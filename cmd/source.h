/* source — what a person calls a torrent, turned into one: a .torrent file or
 * its http(s) address, a magnet link, an info-hash in hex, or the
 * name of a key. */
#ifndef SHOAL_CMD_SOURCE_H
#define SHOAL_CMD_SOURCE_H

#include "cmd/exits.h"
#include "fs/library_source.h"

struct hasher;
struct info_hash;

/* source_load — read and parse `text`; with the bytes to remember it by. 0;
 * EINVAL: not something we know, or a malformed link (a usage error); else an
 * errno of the file, or EBADMSG / EFBIG for what is in it. `why` is one line
 * that names the source. */
int source_load(const char *text, struct hasher *h, struct library_source *out,
		char why[WHY_BYTES]);

/* source_of_hash — a torrent of which only this is known. 0 or ENOMEM. */
int source_of_hash(const struct info_hash *hash, struct library_source *out);

/* source_free — of one that was not added. */
void source_free(struct library_source *src);

#endif
