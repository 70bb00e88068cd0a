/* guests — torrents that somebody named by their info-hash in the root, and
 * nobody added: looked for in the DHT while somebody waits, and a while longer,
 * so that a second try finds the first one's work. One whose metadata comes is
 * a torrent like others from then on.
 *
 * Life: guests_find → guests_on_change, or its time is over. Thread: loop. */
#ifndef SHOAL_FS_GUESTS_H
#define SHOAL_FS_GUESTS_H

#include "core/torrent_id.h"

struct mount;
struct torrent;

/* guests_find — the torrent of this hash; one that is not there is looked for
 * from now on. 0; ENOENT: nobody has it, or there is nobody to ask; ETIMEDOUT:
 * the last wait for it was in vain, and just now; EBUSY: GUESTS_MAX are being
 * looked for; ENOMEM, ESHUTDOWN. */
int guests_find(struct mount *m, const struct info_hash *h,
		struct torrent **out);

/* guests_on_timeout — who waited for it was told `err`. */
void guests_on_timeout(struct mount *m, const struct torrent *t, int err);

/* guests_on_change — it was shown, or failed: then it leaves the engine; who
 * waits for it was told before. */
void guests_on_change(struct mount *m, struct torrent *t);

/* guests_let_go — it was added, or is going: no guest any more, if it was one.
 */
void guests_let_go(struct mount *m, const struct torrent *t);

/* guests_end_all — the mount is over; the engine keeps them to its end. */
void guests_end_all(struct mount *m);

#endif
