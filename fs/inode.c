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

#include <string.h>

#include "core/be.h"
#include "core/siphash.h"

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

bool inode_is_upload(uint64_t ino)
{
	return ino >= INODE_UPLOAD_FIRST && ino <= INODE_UPLOAD_LAST;
}

/* Both have zeros behind their ends. */
uint64_t inode_link(const struct btpk *b, const struct info_hash *h)
{
	static const struct siphash_key same_for_all;
	struct info_hash hash = {.len = h->len};
	struct btpk key = {.salt_len = b->salt_len};
	uint8_t text[sizeof(key) + sizeof(hash)];
	uint64_t base;

	memcpy(key.key, b->key, sizeof(key.key));
	memcpy(key.salt, b->salt, b->salt_len);
	memcpy(hash.bytes, h->bytes, h->len);
	memcpy(text, &key, sizeof(key));
	memcpy(text + sizeof(key), &hash, sizeof(hash));
	base = siphash(&same_for_all, text, sizeof(text)) & BASE_MASK;
	return (base != 0 ? base : UINT64_C(1) << INODE_IX_BITS) | IX_MASK;
}

bool inode_is_link(uint64_t ino)
{
	return inode_base_of(ino) != 0 && inode_ix(ino) == IX_MASK;
}
