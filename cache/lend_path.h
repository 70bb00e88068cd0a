/* lend_path — what the files of a torrent are called where other clients put
 * them. Pure. Thread: any. */
#ifndef SHOAL_CACHE_LEND_PATH_H
#define SHOAL_CACHE_LEND_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct metainfo;

/* lend_path — of a file, below the folder that has the torrent's file or top
 * directory; relative, without "." and "..". NULL: no memory, or no such file
 * is anywhere (pads, links, empty ones). lend_has_path — the latter is not so.
 */
char *lend_path(const struct metainfo *mi, uint32_t file_ix);
bool lend_has_path(const struct metainfo *mi, uint32_t file_ix);

/* lend_top_bytes — how far in such a path the part below the top directory
 * begins; 0: there is none. */
uint32_t lend_top_bytes(const struct metainfo *mi);

#endif
