/* core_limits — every quantity in core/ that a stranger influences. */
#ifndef SHOAL_CORE_LIMITS_H
#define SHOAL_CORE_LIMITS_H

enum {
	/* Deepest nesting of a .torrent or an info dictionary: a v2 file tree
	 * nests once a directory level. Peers and trackers get far less. */
	BENCODE_DEPTH_FILE = 128,
	BENCODE_DEPTH_WIRE = 16,
	/* Of a million files: a file that is folded (bencode.h) is one or two.
	 * 16 bytes each, while a torrent is parsed. */
	BENCODE_TOKENS_FILE = 4000000,
	BENCODE_TOKENS_WIRE = 4096,

	/* The largest .torrent on the public trackers is below 10 MB; v2's
	 * piece layers double it. A million files are 60 to 90 MB: whoever has
	 * such a file may mount it, but strangers do not make us take it. */
	METAINFO_MAX_BYTES = 96 << 20,
	METAINFO_WIRE_BYTES = 32 << 20,
	METAINFO_MAX_PIECES = 1 << 21,
	METAINFO_MAX_PIECE_BYTES = 512 << 20,
	METAINFO_MIN_V2_PIECE_BYTES = 16 << 10, /* BEP 52 */
	METAINFO_MAX_FILES = 1000000,
	METAINFO_MAX_DEPTH = 100,
	/* Path elements of all files together: deep trees with many files
	 * repeat their directories in each path. */
	METAINFO_MAX_ELEMENTS = 4 << 20,
	METAINFO_MAX_TRACKERS = 64,
	METAINFO_MAX_WEB_SEEDS = 32, /* of each kind */
	/* Names that only differ after sanitising get a suffix; more than
	 * this many of one name is an attack. */
	METAINFO_MAX_DUPLICATES = 500,
	METAINFO_MAX_URL_BYTES = 2048,

	/* Hashes in one message of BEP 52: what we ask for at a time; and what
	 * we give, for others ask for all leaves of a piece at once. */
	HASH_SPAN_ASK = 512,
	HASH_SPAN_MAX = 8192,
	LAYERS_ASK_LEAST = 64, /* leaves at a time: of 1 MiB, in 2 KiB */
	/* Leaves kept of pieces that are read or served, a torrent: of 2 GiB.
	 */
	LAYERS_LEAVES_BYTES = 4 << 20,
	LAYERS_TURN_NODES = 8192, /* computed at a stranger's word, a turn */

	MAGNET_MAX_BYTES = 64 << 10,
	MAGNET_MAX_PEERS = 64,
	MAGNET_MAX_SELECT = 1024,

	BTPK_SALT_MAX = 64,	/* BEP 44 */
	BTPK_VALUE_TOKENS = 64, /* one is needed */

	NAME_MAX_BYTES = 240, /* below NAME_MAX, so that a suffix fits */
};

/* A file or torrent below 2^48 bytes keeps every sum of offsets in int64. */
#define METAINFO_MAX_TOTAL_BYTES (INT64_C(1) << 48)

#endif
