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
	/* The kernel's own read-ahead, where we may set it; see DESIGN.md. */
	MOUNT_KERNEL_AHEAD_KB = 512,
	/* /proc/self/mountinfo: 100 000 mounts of 160 bytes. */
	MOUNTINFO_MAX_BYTES = 16 << 20,
	/* Peers listed a torrent in the status. */
	CONTROL_PEERS_MAX = 100,
	/* Waiting reads listed in the status. */
	CONTROL_READS_MAX = 1000,
	/* A request on the control socket: a path of PATH_MAX, escaped. */
	STEER_LINE_MAX = 64 << 10,
	/* An answer: the status of some 100 000 torrents. */
	STEER_ANSWER_MAX = 64 << 20,
	STEER_CONNECTIONS_MAX = 16,
	/* Nothing moves on a connection: a person at a terminal is done. */
	STEER_IDLE_MS = 30000,
	/* The listener, when descriptors have run out. */
	STEER_REST_MS = 1000,
	/* Torrents that were named and not added, being looked for; and how
	 * long after the last look-up gave up. */
	GUESTS_MAX = 64,
	GUESTS_LINGER_MS = 30000,
	GUESTS_STAND_MS = 3000, /* an answer that was no */
	/* How long a handle believes its figures of the network. */
	HANDLE_NET_US = 100000,
	/* Within this time the kernel has asked again for the page of a read
	 * that failed; a program's own second try is a new read after it. */
	HANDLE_AGAIN_US = 50000,
};

#endif
