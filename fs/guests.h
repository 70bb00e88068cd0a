/* guests — torrents that somebody named by their info-hash in the root, and
 * nobody added: looked for in the DHT while somebody waits, and a while longer,
 * so that a second try finds the first one's work. One whose metadata comes is
 * a torrent like others from then on.
 *
 * Life: guests_invite → guests_on_change, or its time is over. Thread: loop. */
#ifndef SHOAL_FS_GUESTS_H
#define SHOAL_FS_GUESTS_H

#include "core/torrent_id.h"

struct mount;
struct torrent;

/* guests_invite — look for it. 0 and the torrent; ENOENT: there is nobody to
 * ask; EBUSY: GUESTS_MAX are being looked for; ENOMEM, ESHUTDOWN. */
int guests_invite(struct mount *m, const struct info_hash *h,
		  struct torrent **out);

/* guests_renew — somebody waits for it again. Does nothing for others. */
void guests_renew(struct mount *m, const struct torrent *t);

/* guests_on_change — it was shown, or failed: then it leaves the engine; who
 * waits for it was told before. */
void guests_on_change(struct mount *m, struct torrent *t);

/* guests_end_all — the mount is over; the engine keeps them to its end. */
void guests_end_all(struct mount *m);

#endif
