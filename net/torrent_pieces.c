/* torrent_pieces — what a torrent's pieces and their hashes say, and to whom it
 * goes: readers, swarm, trackers. Each call ends here or in the one place whose
 * business it is; nothing is decided. */
#include "cache/pieces.h"
#include "core/bits.h"
#include "core/loop.h"
#include "core/metainfo.h"
#include "net/announcer.h"
#include "net/fetch.h"
#include "net/hashget.h"
#include "net/intake.h"
#include "net/intake_joint.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

/* ---- pieces ---- */

static struct torrent_bad *find_bad(struct torrent *t, uint32_t piece_ix)
{
	for (unsigned i = 0; i < TORRENT_BAD_MAX; i++)
		if (t->bad[i].n > 0 && t->bad[i].ix == piece_ix)
			return &t->bad[i];
	return NULL;
}

static void note_bad(struct torrent *t, uint32_t piece_ix)
{
	struct torrent_bad *b = find_bad(t, piece_ix);

	if (b == NULL) {
		b = &t->bad[t->bad_at++ % TORRENT_BAD_MAX];
		*b = (struct torrent_bad){.ix = piece_ix};
	}
	b->n++;
}

static void forgive(struct torrent *t, uint32_t piece_ix)
{
	struct torrent_bad *b = find_bad(t, piece_ix);

	if (b != NULL)
		b->n = 0;
}

unsigned torrent_n_bad(const struct torrent *t, uint32_t piece_ix)
{
	for (unsigned i = 0; i < TORRENT_BAD_MAX; i++)
		if (t->bad[i].ix == piece_ix)
			return t->bad[i].n;
	return 0;
}

static void on_verified(void *arg, uint32_t piece_ix)
{
	struct torrent *t = arg;

	forgive(t, piece_ix);
	t->held_bytes += metainfo_piece_content(t->mi, piece_ix);
	fetch_on_verified(t->fetch, piece_ix);
	swarm_on_verified(t->swarm, piece_ix);
	if (!t->was_complete && bits_is_full(pieces_have(t->ps))) {
		t->was_complete = true;
		torrent_seek_on_complete(t);
		announcer_completed(t->announcer);
	}
}

static void on_bad(void *arg, uint32_t piece_ix)
{
	struct torrent *t = arg;

	note_bad(t, piece_ix);
	intake_on_bad(t->swarm->intake, piece_ix);
}

static void on_stage_failed(void *arg, uint32_t piece_ix, int err)
{
	struct torrent *t = arg;

	(void)err;
	intake_on_failed(t->swarm->intake, piece_ix);
}

static void on_bad_leaf(void *arg, uint32_t piece_ix, uint32_t at_bytes)
{
	struct torrent *t = arg;

	intake_on_bad_leaf(t->swarm->intake, piece_ix, at_bytes);
}

static void on_lacking(void *arg, uint32_t piece_ix)
{
	struct torrent *t = arg;

	(void)piece_ix;
	t->swarm->intake->is_lacking = true;
	swarm_kick(t->swarm);
}

static void on_brought(void *arg, uint32_t piece_ix)
{
	struct torrent *t = arg;

	intake_on_brought(t->swarm->intake, piece_ix);
}

/* There are no bytes that both sides would take for right. */
static void on_disputed(void *arg, uint32_t piece_ix)
{
	torrent_fail(arg,
		     "the torrent contradicts itself: piece %u is right for "
		     "one of its two info-hashes and wrong for the other",
		     piece_ix);
}

static void on_room(void *arg)
{
	struct torrent *t = arg;

	swarm_kick(t->swarm);
}

static void on_lost(void *arg, uint32_t piece_ix)
{
	struct torrent *t = arg;

	t->held_bytes -= metainfo_piece_content(t->mi, piece_ix);
	fetch_on_lost(t->fetch, piece_ix);
	swarm_on_lost(t->swarm, piece_ix);
}

/* Blocks of a piece that is under way need not be asked for. */
static void on_leaves(void *arg, uint32_t piece_ix)
{
	const struct torrent *t = arg;

	if (pieces_state(t->ps, piece_ix) == PIECE_FETCHING)
		swarm_kick(t->swarm);
}

static uint64_t coming_us(void *arg, uint32_t piece_ix, uint32_t at_bytes,
			  uint32_t len_bytes, bool only_asked)
{
	const struct torrent *t = arg;

	return t->swarm != NULL && t->swarm->intake != NULL
		       ? intake_coming_us(t->swarm->intake, piece_ix, at_bytes,
					  len_bytes, only_asked)
		       : UINT64_MAX;
}

const struct pieces_ops torrent_pieces_ops = {
	.on_verified = on_verified,
	.on_bad = on_bad,
	.on_bad_leaf = on_bad_leaf,
	.on_disputed = on_disputed,
	.on_brought = on_brought,
	.on_lacking = on_lacking,
	.on_failed = on_stage_failed,
	.on_room = on_room,
	.on_lost = on_lost,
	.due_us = torrent_due_us,
	.coming_us = coming_us,
	.on_leaves = on_leaves,
};

/* ---- hashes ---- */

void torrent_on_hashes(void *arg, uint32_t piece_ix, uint32_t n)
{
	struct torrent *t = arg;

	for (uint32_t i = 0; i < n && t->state == TORRENT_READY; i++)
		pieces_on_hashes(t->ps, piece_ix + i);
	swarm_kick(t->swarm);
}

static void on_no_hashes(void *arg, uint32_t piece_ix, bool is_leaves)
{
	struct torrent *t = arg;

	if (t->state != TORRENT_READY)
		return;
	if (is_leaves)
		fetch_on_no_leaves(t->fetch, piece_ix);
	else
		pieces_on_no_hash(t->ps, piece_ix);
	if (t->state == TORRENT_READY)
		swarm_kick(t->swarm);
}

const struct hashget_ops torrent_hash_ops = {.on_known = torrent_on_hashes,
					     .on_hopeless = on_no_hashes};
