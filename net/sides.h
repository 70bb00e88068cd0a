/* sides — a hybrid torrent's two hashes in one connection (BEP 52, "Upgrade
 * Path"): which is said first, what is answered, and on which side the two then
 * are. Only on v2's side may hashes be asked for. Pure. */
#ifndef SHOAL_NET_SIDES_H
#define SHOAL_NET_SIDES_H

#include <stdbool.h>

#include "core/torrent_id.h"

struct handshake;

/* sides_choose — the side that is meant, or the only one that is known. */
enum torrent_side sides_choose(const struct torrent_id *id,
			       enum torrent_side meant);

/* sides_say — hash and bit of a handshake on this side, which `id` knows. */
void sides_say(const struct torrent_id *id, enum torrent_side side,
	       struct handshake *ours);

/* sides_answer — on which side to answer a stranger's handshake: his, or v2's
 * if he offers that. False: his hash is none of ours. */
bool sides_answer(const struct torrent_id *id, const struct handshake *theirs,
		  enum torrent_side *out);

/* sides_settle — where we are, now that our handshake on side `said` was
 * answered; false: the answer is of another torrent, or of v1's when we said
 * v2's. */
bool sides_settle(const struct torrent_id *id, enum torrent_side said,
		  const struct handshake *theirs, enum torrent_side *out);

#endif
