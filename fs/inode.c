/* inode — node numbers.
 *
 * Why a pure function: the kernel, NFS clients and backup tools remember the
 * numbers; after a restart they must mean the same, and must never have meant
 * anything else. Then nothing needs to be counted or stored.
 *
 * The base is taken from the hash's first 43 bits. With ten thousand torrents
 * two bases are equal with a chance of one in 170 000; the roster refuses the
 * second then. A base of zero would be taken for the mount's own numbers and
 * becomes one. */
#include "fs/inode.h"

#include "core/be.h"

#define IX_MASK	  ((UINT64_C(1) << INODE_IX_BITS) - 1)
#define BASE_MASK (~(INODE_TWIN | IX_MASK))

uint64_t inode_base(const struct torrent_id *id)
{
	const uint8_t *hash = id->v1.len != 0 ? id->v1.bytes : id->v2.bytes;
	uint64_t base = (be64_get(hash) >> 1) & BASE_MASK;

	return base != 0 ? base : UINT64_C(1) << INODE_IX_BITS;
}

uint64_t inode_base_of(uint64_t ino)
{
	return ino & BASE_MASK;
}

uint32_t inode_ix(uint64_t ino)
{
	return (uint32_t)(ino & IX_MASK);
}

bool inode_is_twin(uint64_t ino)
{
	return (ino & INODE_TWIN) != 0;
}
