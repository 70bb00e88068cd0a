/* fs_limits — the numbers of the mount, each with its reason. */
#ifndef SHOAL_FS_LIMITS_H
#define SHOAL_FS_LIMITS_H

enum {
	/* Requests taken in one turn of the loop: enough for a burst of the
	 * kernel's read-ahead, few enough that peers get their turn within a
	 * millisecond of held reads. */
	MOUNT_TURN_REQUESTS = 32,
	/* Above what any load parks; see DESIGN.md. */
	MOUNT_BACKGROUND = 4096,
	/* The largest READ at 4 KiB pages; also the largest readdir reply. */
	MOUNT_BUFFER_BYTES = 1 << 20,
	/* While requests come this close to each other's answers, and when so
	 * many have, we wait for the next one awake, so long: a sleep and the
	 * wake-up from it take longer than most answers. */
	MOUNT_CLOSE_US = 200,
	MOUNT_PACE = 8,
	MOUNT_LINGER_US = 50,
	MOUNT_TURN_US = MOUNT_TURN_REQUESTS * MOUNT_LINGER_US,
	/* CPUs are kept awake after so many questions that came so close to the
	 * last answer (that of a sleeping machine is slow), and until none has
	 * come for so long: `ls -l` of some files is no walk. */
	LATENCY_ROW = 256,
	LATENCY_CLOSE_US = 1000,
	LATENCY_LINGER_US = 20000,
	/* Directories that are listed with their files' attributes after one
	 * of a file was asked for by its name: who asks for all of them
	 * asks for those of one directory in so many. */
	OPS_PLUS_LISTINGS = 64,
	/* Directories that are told of with their attributes and not gone into:
	 * more than fts takes from a directory before it goes on (10 000), and
	 * some 20 MiB in the kernel; and how many fewer those are for each
	 * that somebody does go into. */
	OPS_TOLD_MAX = 16384,
	OPS_TOLD_LESS = 2,
	/* Nodes of a torrent whose directories are read in one request with the
	 * smallest buffer that the C library has for one (32 KiB): that is said
	 * by st_blksize, and the kernel takes and maps a larger one anew for
	 * each request. */
	NODE_SMALL_NODES = 128,
	/* The kernel's own read-ahead, where we may set it; see DESIGN.md. */
	MOUNT_KERNEL_AHEAD_KB = 512,
	/* /proc/self/mountinfo: 100 000 mounts of 160 bytes. */
	MOUNTINFO_MAX_BYTES = 16 << 20,
	/* Peers listed a torrent in the status. */
	CONTROL_PEERS_MAX = 100,
	/* Waiting reads listed in the status. */
	CONTROL_READS_MAX = 1000,
	/* A request on the control socket, but for a .torrent behind it: the
	 * longest link, each byte as JSON may write it. It is decoded on the
	 * loop, in about a millisecond. */
	STEER_LINE_MAX = 400 << 10,
	/* An answer: the status of some 100 000 torrents. */
	STEER_ANSWER_MAX = 64 << 20,
	STEER_CONNECTIONS_MAX = 16,
	STEER_READ_BYTES = 64 << 10, /* of a line at a time */
	/* Metadata that comes from the disk, or a torrent that is being
	 * opened: five seconds. */
	STEER_AGAIN_MS = 20,
	STEER_TRIES = 250,
	STEER_VALUE_MAX = 1000, /* of an item: BEP 44's limit */
	/* Nothing moves on a connection: a person at a terminal is done. */
	STEER_IDLE_MS = 30000,
	/* The listener, when descriptors have run out. */
	STEER_REST_MS = 1000,
	/* Torrents that were named and not added, being looked for; and how
	 * long after the last look-up gave up. */
	GUESTS_MAX = 64,
	GUESTS_LINGER_MS = 30000,
	GUESTS_STAND_MS = 3000, /* an answer that was no */
	/* Files that are being copied in: one is a .torrent of at most
	 * METAINFO_MAX_BYTES, in memory until it is closed; and how long one
	 * of another name waits to be renamed. */
	UPLOADS_MAX = 256,
	UPLOADS_MAX_BYTES = 128 << 20,
	UPLOAD_FIRST_BYTES = 64 << 10,
	UPLOAD_LINGER_MS = 60000,
	UPLOAD_GHOST_MS = 1000, /* its name, when it was added */
	/* Files and tree nodes of those that were parsed ahead of their name,
	 * all together: of one torrent of a million files, which come to some
	 * 120 MiB. Past that the older ones are bytes again. */
	UPLOADS_PARSED_MAX = 2 << 20,
	/* A .torrent that is parsed on the loop: in about a millisecond. */
	WARMTH_NOW_MAX = 256 << 10,
	/* Metadata in memory of torrents that nobody reads, so that who looks
	 * through a library finds it there the second time; what a torrent
	 * costs in it, and what a file of it. */
	WARMTH_WARM_BYTES = 24 << 20,
	WARMTH_COST_BYTES = 8 << 10,
	WARMTH_FILE_COST_BYTES = 200,
	/* Who walks through a library (walkahead.c): when so many torrents were
	 * each the next of the last, so many are made WARM ahead, of which all
	 * that may walk at a time (in each order) can have a few times as much
	 * within WARMTH_WARM_BYTES; what is longer is parsed by a worker: on
	 * the loop it would take more than some tenths of a millisecond. */
	WALKAHEAD_ROW = 4,
	WALKAHEAD_MAX = 32,
	WALKAHEAD_BYTES = 1 << 20,
	WALKAHEAD_WALKS = 4,
	WALKAHEAD_NOW_MAX = 64 << 10,
	/* Torrents that have peers and trackers at a time, though nobody may
	 * read them: some 60 KiB each, and a few packets a minute. */
	WARMTH_AWAKE_MAX = 64,
	/* … and when more are because peers are served from them: past that
	 * nobody else is woken but by a reader. */
	WARMTH_SERVED_MAX = 128,
	/* Sleepers: all have their turn within the time after which the DHT is
	 * announced to again, if there are so few that its messages suffice
	 * (net_limits.h); while there is room; and what strangers may wake. */
	SLEEPERS_ROUND_MS = 1200000,
	SLEEPERS_TURN_MIN_MS = 3000,
	SLEEPERS_TURN_MAX_MS = 60000,
	SLEEPERS_FIRST_MS = 50,
	SLEEPERS_ASKED_BURST = 32,
	SLEEPERS_ASKED_MS = 250,
	/* How long a handle believes its figures of the network. */
	HANDLE_NET_US = 100000,
	/* Opens of files that are read past us, at one time: more than a
	 * process may have. */
	NOTES_OPENS_MAX = 65536,
	/* A sample of the network: info-hashes, of them so many looked for at a
	 * time, and for how long each; searches of some thirty messages, the
	 * pause between two; all of it; and how long it stands. */
	SURVEY_FINDS_MAX = 50,
	SURVEY_NAMES_MAX = 8,
	SURVEY_NAME_MS = 10000,
	SURVEY_ROUNDS_MAX = 5,
	SURVEY_PAUSE_MS = 2000,
	SURVEY_MS = 60000,
	SURVEY_STANDS_MS = 600000,
	SURVEY_TICK_MS = 200,
	/* Within this time the kernel has asked again for the page of a read
	 * that failed; a program's own second try is a new read after it. */
	HANDLE_AGAIN_US = 50000,
	/* A read of the kernel's read-ahead waits so long before it is nudged
	 * into a wait that signals and the freezer can end: longer than what
	 * comes from a swarm in good health takes. */
	READOP_NUDGE_MS = 1000,
	/* A torrent that is to be hashed again is looked at so often until it
	 * is READY; rounds that somebody asked for, and that are kept until he
	 * has heard of them; the mount's own begin so long after the last. */
	VERIFY_POLL_MS = 50,
	VERIFY_ROUNDS_MAX = 16,
	VERIFY_REST_S = 3600,
	/* What the kernel asks again for is at least this. */
	READOP_PAGE_BYTES = 4096,
};

#endif
