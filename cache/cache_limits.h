/* cache_limits — the numbers of the store, each with its reason. */
#ifndef SHOAL_CACHE_LIMITS_H
#define SHOAL_CACHE_LIMITS_H

enum {
	/* A batch is synced and committed this long after its first put … */
	STORE_BATCH_MS = 1000,
	/* … or when this much was written, whichever is first: what a crash
	 * may cost is bounded by both. */
	STORE_BATCH_BYTES = 64 << 20,
	/* Larger pwrite calls are slower on fragmented memory. */
	STORE_SLICE_BYTES = 256 << 10,
	/* Open blob descriptors kept per store. */
	STORE_OPEN_BLOBS = 256,
	/* A batch of many small files is committed when it holds this many of
	 * them: their descriptors cannot be closed before. */
	STORE_DIRTY_BLOBS = STORE_OPEN_BLOBS / 2,
	/* Pieces a row of the index speaks of. 512 bytes: the index of 500 GB
	 * in pieces of 1 MiB loads in half a millisecond, where a row a piece
	 * takes 270 ms; a commit of 64 random pieces costs the same. */
	INDEX_CHUNK_PIECES = 4096,
	/* Waits are kept in this many lists a torrent: more than a mount has
	 * readers of one torrent. */
	PIECES_WAIT_LISTS = 64,
};

#endif
