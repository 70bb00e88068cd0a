/* sides — of v1's and v2's hash, and the bit between them.
 *
 *   dialled by   who is dialled              so the connection is
 *   v1's         knows v1 only               v1
 *   v1's + bit   answers with v2's           v2: upgraded
 *   v1's + bit   answers with v1's           v1
 *   v2's         answers with v2's           v2
 *   v2's         knows v1 only               closed; dialled again by v1's
 *
 * The bit is said with v1's hash by those who know v2's as well, in the answer
 * too: there it tells the other only that it could have asked. Who says the bit
 * about a torrent that has no v2 side means something else by it, or knows no
 * better, and is answered as if he had not. */
#include "net/sides.h"

#include <assert.h>
#include <string.h>

#include "net/handshake.h"

enum torrent_side sides_choose(const struct torrent_id *id,
			       enum torrent_side meant)
{
	if (torrent_id_side(id, meant) != NULL)
		return meant;
	return meant == TORRENT_V1 ? TORRENT_V2 : TORRENT_V1;
}

void sides_say(const struct torrent_id *id, enum torrent_side side,
	       struct handshake *ours)
{
	const uint8_t *hash = torrent_id_side(id, side);

	assert(hash != NULL);
	memcpy(ours->info_hash, hash, sizeof(ours->info_hash));
	ours->has_v2 =
		side == TORRENT_V1 && torrent_id_side(id, TORRENT_V2) != NULL;
}

bool sides_answer(const struct torrent_id *id, const struct handshake *theirs,
		  enum torrent_side *out)
{
	if (!torrent_id_side_of(id, theirs->info_hash, out))
		return false;
	if (theirs->has_v2 && torrent_id_side(id, TORRENT_V2) != NULL)
		*out = TORRENT_V2;
	return true;
}

bool sides_settle(const struct torrent_id *id, enum torrent_side said,
		  const struct handshake *theirs, enum torrent_side *out)
{
	if (!torrent_id_side_of(id, theirs->info_hash, out))
		return false;
	return *out == said || *out == TORRENT_V2;
}
