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
};

#endif
