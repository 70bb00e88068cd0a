/* inode — node numbers, a pure function of (info-hash, index).
 *
 *   63      the twin bit: a directory reached through its info-hash; a file
 *           that was looked up when all of it was held (fs/passthrough.h)
 *   62…20   base: bits of the info-hash, never all zero
 *   19…0    index of the node in its torrent (fs/tree.h); all ones: a link to
 *           what a key names (fs/keylink.h)
 *
 * st_ino is the number without the twin bit. Numbers below 2^20 are the
 * mount's own. Pure. Thread: any. */
#ifndef SHOAL_FS_INODE_H
#define SHOAL_FS_INODE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/btpk.h"
#include "core/metainfo.h"

enum {
	INODE_ROOT = 1, /* FUSE_ROOT_ID */
	INODE_CONTROL = 2,
	INODE_STATUS = 3,
	INODE_STATUS_JSON = 4,
	INODE_DHT = 5,
	INODE_DHT_ID = 6,
	INODE_DHT_STATUS = 7,
	INODE_DHT_STATUS_JSON = 8,
	INODE_DHT_TABLE = 9,
	INODE_DHT_SAMPLE = 10,
	INODE_IGNORE = 11,
	/* Files that are being copied in, one after the other. */
	INODE_UPLOAD_FIRST = 1 << 19,
	INODE_UPLOAD_LAST = (1 << 20) - 1,
	INODE_IX_BITS = 20,
	INODE_IX_MAX = (1 << INODE_IX_BITS) - 2, /* the largest index */
};

#define INODE_TWIN (UINT64_C(1) << 63)

/* inode_link — of a link to what a key names: a base of its own, and an index
 * that no torrent has. inode_is_link. */
uint64_t inode_link(const struct btpk *b, const struct info_hash *h);
bool inode_is_link(uint64_t ino);

/* inode_base — of a torrent: v1's hash if there is one, else v2's. */
uint64_t inode_base(const struct torrent_id *id);

/* inode_base_of — the base in `ino`; 0 for the mount's own numbers. */
uint64_t inode_base_of(uint64_t ino);
uint32_t inode_ix(uint64_t ino);
bool inode_is_twin(uint64_t ino);

/* inode_is_upload — a file that is being copied in. */
bool inode_is_upload(uint64_t ino);

#endif
