/* scrub — held pieces of a torrent hashed again where the store has them. What
 * is wrong is not held any more: peers hear of it, and it is fetched anew when
 * somebody wants it. Thread: loop. */
#ifndef SHOAL_NET_SCRUB_H
#define SHOAL_NET_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

struct bits;
struct scrub;
struct torrent;

struct scrub_sums {
	uint64_t pieces, bytes; /* hashed */
	uint64_t bad;		/* of these pieces: wrong, or gone */
};

/* On a turn of its own, or when the torrent is closed; `sums` is lent. ESTALE:
 * closed; ENOTSUP: the store has nothing that could change; ENOMEM. */
typedef void scrub_fn(void *arg, int err, const struct scrub_sums *sums);

struct scrub_cfg {
	const struct bits *pieces; /* copied; NULL: all */
	bool only_doubtful;
	bool is_slow; /* SCRUB_BPS, one at a time, and none while others read;
			 else as fast as the workers hash */
	scrub_fn *done;
	void *arg;
};

/* scrub_start — of a READY torrent. 0 or ENOMEM; ESTALE: it is not READY. STYLE
 * habit 21. scrub_cancel — `done` does not run. scrub_look — how far it is. */
int scrub_start(struct torrent *t, const struct scrub_cfg *cfg,
		struct scrub **out);
void scrub_cancel(struct scrub *s);
void scrub_look(const struct scrub *s, struct scrub_sums *out);

/* scrub_end_all — the torrent is about to be closed. */
void scrub_end_all(struct torrent *t);

#endif
