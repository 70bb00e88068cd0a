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
	/* Pieces that are hashed side by side: fewer are not worth it, and more
	 * bytes of them would hold up what else a worker has to do. */
	VET_ROW_MIN = 4,
	VET_ROW_BYTES = 64 << 20,
	/* What is read of them before it is hashed: half of a core's cache. */
	VET_ROUND_BYTES = 512 << 10,
	/* Pieces of a hybrid that are asked at a time whether v1 agrees: as
	 * many as a scrub has (net/scrub.c). */
	AGREE_AT_ONCE = 128,
	/* How blobs are is written down so long after they were changed by
	 * something that is no put, which has a commit of its own. */
	STORE_STAMP_MS = 2000,
	/* What was sent and received is written down after so long if nothing
	 * else is: it is what a crash may cost of it, and how far what is shown
	 * is behind. */
	TALLY_WRITE_MS = 10000,
	/* Entries of no use that its log beside the index may have: 800 KB. */
	TRAFFIC_SPARE_ENTRIES = 8192,
	/* Open blob descriptors kept per store. */
	STORE_OPEN_BLOBS = 256,
	/* A batch of many small files is committed when it holds this many of
	 * them: their descriptors cannot be closed before. */
	STORE_DIRTY_BLOBS = STORE_OPEN_BLOBS / 2,
	/* When the store is full, so much more goes than is needed, or this
	 * part of the quota: one commit a MiB would be too slow. */
	ROOM_SPARE_BYTES = 32 << 20,
	ROOM_SPARE_PART = 16,
	/* Counted from the start, since they grow before they are looked at:
	 * the index's log, and directories and what else is small. */
	ROOM_LOG_BYTES = 1280 << 10,
	ROOM_FIXED_BYTES = 128 << 10,
	/* Units that leave in one transaction. */
	ROOM_EVICT_UNITS = 256,
	/* A put waits so long for readers to be done with what could go for
	 * it; it is looked at again every … */
	ROOM_WAIT_MS = 2000,
	ROOM_POLL_MS = 100,
	/* That the store is full is said when it was not for so long. */
	ROOM_SAY_MS = 60000,
	/* Rows that could not be written are tried again. */
	ROOM_RETRY_MS = 1000,
	/* Blobs that were given away are looked at so many at once, so often.
	 */
	ROOM_LOOK_FILES = 64,
	ROOM_LOOK_MS = 1000,
	/* A disk that failed is tried again after this, then after twice as
	 * long each time, at most … */
	STORE_HEAL_MS = 250,
	STORE_HEAL_MAX_MS = 60000,
	/* Files that are lent and have changed are looked at again after so
	 * long, and after twice as long each time. */
	LEND_LOOK_MS = 1000,
	LEND_LOOK_MAX_MS = 60000,
	/* What was found right in them is written down so soon. */
	LEND_NOTE_MS = 2000,
	/* Offered pieces that are hashed at a time. */
	OFFERS_AT_ONCE = 16,
	/* Pieces a row of the index speaks of. 512 bytes: the index of 500 GB
	 * in pieces of 1 MiB loads in half a millisecond, where a row a piece
	 * takes 270 ms; a commit of 64 random pieces costs the same. */
	INDEX_CHUNK_PIECES = 4096,
	/* Torrents that an index which is made anew gets in one transaction. */
	REBUILD_BATCH = 256,
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
	/* A blob that others have open is written to when they have closed it,
	 * or after so long; and then not waited for again for a while. */
	SIGHT_REST_US = 500,
	SIGHT_PATIENCE_US = 20 * 1000,
	SIGHT_CROWDED_US = 1000 * 1000,
	/* A piece that somebody else may have changed is hashed again so often
	 * while it goes on changing; then it is as good as gone. */
	VET_TRIES = 4,
	/* Its v2 hash is read back from the store at the start; what is not
	 * there by then is not. */
	VET_HASH_MS = 3000,
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
	/* The entries of the library's log are read as one: some 500 000
	 * torrents, or ten changes of each of 50 000. */
	LEDGER_LOG_MAX = 64 << 20,
	/* Entries of no use that it may have before it is written anew. */
	LEDGER_SPARE_ENTRIES = 1000,
	/* An entry, about: one of a name of 40 bytes. */
	LEDGER_ENTRY_BYTES = 150,
};

#endif
