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
	/* Longer pieces are not received whole into memory, but in segments,
	 * which the store keeps until all are there. */
	PIECE_WHOLE_MAX_BYTES = 16 << 20,
	STAGE_SEGMENT_BYTES = 1 << 20,
	/* Segments of one piece that are being filled at a time: what is on
	 * its way at 1 Gbit/s and 100 ms, and some behind a slow peer. */
	STAGE_HOT_MAX = 24,
	/* Segments that are written and wait in memory to be hashed, counted
	 * from the one whose turn it is: reading back costs more. */
	STAGE_KEEP = 4,
	/* What a block of such a piece costs in records, here and in net/. */
	STAGE_BLOCK_COST = 128,
	/* The store would not take a piece: nothing is staged for so long. */
	STAGE_REST_MS = 5000,
	/* Leaves that are hashed on the loop before others have their turn, 9
	 * us each. */
	LEAVES_A_TURN = 64,
	/* Right leaves that are put into the store at a time. */
	KEEP_RUN_LEAVES = 64,
	/* Staged bytes that are read back at a time for a reader's leaves. */
	LEAVES_AGAIN_BYTES = 256 << 10,
	/* Waits are kept in this many lists a torrent: more than a mount has
	 * readers of one torrent. */
	PIECES_WAIT_LISTS = 64,
};

#endif
