/* blame — find the liar, and only him.
 *
 * Words. Suspect piece: one that was wrong and had several senders. Suspect
 * peer: one of those senders, until the piece is right.
 *
 * A piece whose hash is wrong was sent by one peer or by several.
 *   one      He lied: his address is banned; a web seed, itself.
 *   several  Who sent which block is kept, with a digest of each block, and
 *            the piece becomes suspect: it is fetched again whole from one
 *            peer. Wrong again: that peer is the one sender, and is banned.
 *            Right: whoever sent a block that differs from it is banned.
 * So each bad piece costs a liar at least one ban within two fetches, and
 * nobody who sent right bytes is ever banned. What else he brought of pieces
 * that are not hashed yet is thrown away with him. But who lies seldom brings
 * much that is right: pieces that are whole, of peers who all sent right ones
 * before, are hashed; if such a one is wrong, his blocks alone are fetched
 * again, and nobody is suspect for it.
 *
 * Where a block's own hash is known (BEP 52) it tells who lied, at once.
 *
 * A liar under suspicion would spoil piece after piece until he is convicted.
 * So suspect peers work alone: each is asked for pieces that nobody else has a
 * part in, and nobody else gets one. The honest among them lose nothing by it,
 * and the next lie convicts. What they have a part in already is not hashed
 * before they are cleared or convicted (custody.c).
 *
 * Which peer is asked: one that can be asked now, not stalled, who had a part
 * in the fewest suspect pieces, of those the one we have the most bytes of; if
 * he leaves, another takes over, and then the piece has several senders again,
 * which only means another round.
 *
 * The digests are keyed, so that a liar cannot prepare wrong bytes that collide
 * with right ones; they are made where the piece is hashed (pieces_digests). */
#include "net/blame.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/bans.h"
#include "net/custody.h"
#include "net/engine_internal.h"
#include "net/intake.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/webseed.h"

static void convict(struct intake *in, const struct intake_sender *liar,
		    uint32_t piece_ix)
{
	char text[ADDR_TEXT_BYTES];

	intake_disbelieve(in, liar);
	if (liar->is_web) {
		struct webseed *ws = webseed_find(in->sw, liar->id);

		if (ws != NULL) /* else it was the store (intake_joint.c) */
			webseed_ban(ws);
		return;
	}
	if (bans_has(in->sw->e->bans, &liar->addr))
		return;
	log_debug("%s: %s sent wrong bytes of piece %u, banned",
		  torrent_name(in->sw->t), addr_format(&liar->addr, text),
		  piece_ix);
	swarm_ban(in->sw, &liar->addr);
}

/* Without memory for the evidence nobody is convicted by it; that the piece
 * is fetched from one peer alone still finds the liar. */
static void keep_evidence(struct intake *in, struct intake_piece *ip)
{
	const uint64_t *digests = pieces_digests(in->sw->t->ps, ip->ix);

	mem_free(ip->bad_sender);
	mem_free(ip->bad_digest);
	ip->bad_sender = NULL;
	ip->bad_digest = NULL;
	if (digests == NULL)
		return;
	ip->bad_sender =
		mem_dup(ip->sender, ip->n_blocks * sizeof(*ip->sender));
	ip->bad_digest = mem_dup(digests, ip->n_blocks * sizeof(*digests));
}

/* ---- suspect peers ---- */

/* A piece that nobody wants is not fetched, and would never clear them. */
static void accuse_senders(struct intake *in, const struct intake_piece *ip)
{
	struct peer *p;
	uint32_t i;

	if (!ip->is_suspect || ip->bad_sender == NULL ||
	    picker_class(in->sw->picker, ip->ix) == WANT_NONE)
		return;
	in->mark++;
	for (i = 0; i < ip->n_blocks; i++) {
		p = ip->bad_sender[i].is_web
			    ? NULL
			    : swarm_peer(in->sw, ip->bad_sender[i].id);
		if (p != NULL && p->mark != in->mark)
			p->n_accused++;
		if (p != NULL)
			p->mark = in->mark;
	}
}

static void find_suspects(struct intake *in)
{
	const struct intake_piece *ip;
	struct peer *p;

	TAILQ_FOREACH (p, &in->sw->peers, link)
		p->n_accused = 0;
	if (in->n_suspects > 0)
		LIST_FOREACH (ip, &in->pieces, link)
			accuse_senders(in, ip);
}

/* ---- what the hash said ---- */

bool blame_is_convict(const struct intake *in, const struct intake_sender *from)
{
	const struct webseed *ws;

	if (!from->is_web)
		return bans_has(in->sw->e->bans, &from->addr);
	ws = webseed_find(in->sw, from->id);
	return ws != NULL && ws->is_banned;
}

void blame_on_bad_leaf(struct intake *in, const struct intake_sender *liar,
		       uint32_t piece_ix)
{
	convict(in, liar, piece_ix);
}

void blame_on_bad(struct intake *in, struct intake_piece *ip)
{
	struct intake_sender liar = ip->sender[custody_first(in, ip)];

	if (custody_is_alone(in, ip)) {
		convict(in, &liar, ip->ix);
		return;
	}
	keep_evidence(in, ip);
	if (!ip->is_suspect) {
		ip->is_suspect = true;
		in->n_suspects++;
	}
	ip->only_peer = 0;
	find_suspects(in);
}

void blame_on_good(struct intake *in, struct intake_piece *ip)
{
	const uint64_t *digests = pieces_digests(in->sw->t->ps, ip->ix);
	uint32_t i;

	if (digests == NULL || ip->bad_sender == NULL || ip->bad_digest == NULL)
		return;
	for (i = 0; i < ip->n_blocks; i++)
		if (digests[i] != ip->bad_digest[i])
			convict(in, &ip->bad_sender[i], ip->ix);
}

/* ---- one peer alone ---- */

static bool can_serve(const struct peer *p, uint32_t ix)
{
	return p->have.data != NULL && bits_has(&p->have, ix) &&
	       (!p->choked_us ||
		(p->allowed.data != NULL && bits_has(&p->allowed, ix)));
}

static bool is_better(const struct peer *a, const struct peer *b)
{
	if (a->is_snubbed != b->is_snubbed)
		return b->is_snubbed;
	if (a->n_accused != b->n_accused)
		return a->n_accused < b->n_accused;
	return a->down_bytes > b->down_bytes;
}

/* Who was chosen before goes on as long as he can: two senders find no liar. */
static bool still_serves(const struct intake *in, const struct intake_piece *ip)
{
	const struct peer *p = swarm_peer(in->sw, ip->only_peer);
	const struct webseed *ws = webseed_find(in->sw, ip->only_peer);

	if (p != NULL)
		return can_serve(p, ip->ix) && !p->is_snubbed;
	return ws != NULL && webseed_is_usable(ws) && !webseed_is_late(ws);
}

static uint32_t first_web(const struct swarm *sw)
{
	const struct webseed *ws;
	uint32_t late = 0;

	TAILQ_FOREACH (ws, &sw->webs, link) {
		if (!webseed_is_usable(ws))
			continue;
		if (!webseed_is_late(ws))
			return ws->id;
		late = late != 0 ? late : ws->id;
	}
	return late;
}

static void choose_for(struct intake *in, struct intake_piece *ip)
{
	struct peer *best = NULL, *p;
	uint32_t web;

	TAILQ_FOREACH (p, &in->sw->peers, link)
		if (can_serve(p, ip->ix) &&
		    (best == NULL || is_better(p, best)))
			best = p;
	web = best == NULL || best->is_snubbed ? first_web(in->sw) : 0;
	ip->only_peer = web != 0 ? web : best != NULL ? best->id : 0;
}

/* ---- who works alone ---- */

/* A piece that is not suspect belongs to one peer only while that is so. */
static bool stays_alone(const struct intake *in, const struct intake_piece *ip)
{
	const struct peer *p = swarm_peer(in->sw, ip->only_peer);

	return p != NULL && p->n_accused > 0 && still_serves(in, ip);
}

void blame_choose(struct intake *in)
{
	struct intake_piece *ip;

	find_suspects(in);
	if (in->n_suspects == 0 && !in->has_alone)
		return;
	in->has_alone = false;
	LIST_FOREACH (ip, &in->pieces, link) {
		if (ip->is_suspect && !still_serves(in, ip))
			choose_for(in, ip);
		else if (!ip->is_suspect && ip->only_peer != 0 &&
			 !stays_alone(in, ip))
			ip->only_peer = 0;
		if (!ip->is_suspect && ip->only_peer != 0)
			in->has_alone = true;
	}
}

void blame_on_ask(struct intake *in, const struct peer *p, uint32_t piece_ix)
{
	struct intake_piece *ip = intake_find(in, piece_ix);

	if (ip == NULL || ip->only_peer != 0)
		return;
	ip->only_peer = p->id;
	in->has_alone = true;
}

/* One who is suspect has a part in no piece that others have one in. */
static bool is_denied(const struct intake_piece *ip, uint32_t id,
		      bool is_suspect)
{
	if (ip->only_peer == id)
		return false;
	return is_suspect || ip->is_suspect || ip->only_peer != 0;
}

const struct bits *blame_have(struct intake *in, uint32_t id,
			      const struct bits *have, struct bits *masked)
{
	const struct peer *p = swarm_peer(in->sw, id);
	struct intake_piece *ip;

	if (in->n_suspects == 0 && !in->has_alone)
		return have;
	if (masked->data == NULL && bits_init(masked, have->n) != 0)
		return NULL;
	memcpy(masked->data, have->data, bits_bytes(have->n));
	masked->n_set = have->n_set;
	LIST_FOREACH (ip, &in->pieces, link)
		if (is_denied(ip, id, p != NULL && p->n_accused > 0) &&
		    bits_has(masked, ip->ix))
			bits_clear(masked, ip->ix);
	return masked;
}
