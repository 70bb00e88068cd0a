/* blame — find the liar, and only him.
 *
 * A piece whose hash is wrong was sent by one peer or by several.
 *   one      He lied: his address is banned.
 *   several  Who sent which block is kept, with a digest of each block, and
 *            the piece becomes suspect: it is fetched again whole from one
 *            peer. Wrong again: that peer is the one sender, and is banned.
 *            Right: whoever sent a block that differs from it is banned.
 * So each bad piece costs a liar at least one ban within two fetches, and
 * nobody who sent right bytes is ever banned.
 *
 * Which peer is asked: one that can be asked now, not stalled, the one we have
 * the most bytes of; if he leaves, another takes over, and then the piece has
 * several senders again, which only means another round.
 *
 * The digest is keyed (core/siphash.h): a liar cannot prepare wrong bytes that
 * collide with right ones. */
#include "net/blame.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/blk.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/bans.h"
#include "net/engine_internal.h"
#include "net/intake.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

static void convict(struct intake *in, const struct addr *liar,
		    uint32_t piece_ix)
{
	char text[ADDR_TEXT_BYTES];

	if (bans_has(in->sw->e->bans, liar))
		return;
	log_debug("%s: %s sent wrong bytes of piece %u, banned",
		  torrent_name(in->sw->t), addr_format(liar, text), piece_ix);
	swarm_ban(in->sw, liar);
}

static bool has_one_sender(const struct intake_piece *ip)
{
	uint32_t i;

	for (i = 1; i < ip->n_blocks; i++)
		if (!addr_eq(&ip->sender[i], &ip->sender[0]))
			return false;
	return true;
}

static uint64_t digest(const struct intake *in, const struct blk *buffer,
		       uint32_t block)
{
	size_t at = (size_t)block * WIRE_BLOCK_BYTES;
	size_t len = buffer->len - at;

	if (len > WIRE_BLOCK_BYTES)
		len = WIRE_BLOCK_BYTES;
	return siphash(&in->key, buffer->data + at, len);
}

/* Without memory for the evidence nobody is convicted by it; that the piece
 * is fetched from one peer alone still finds the liar. */
static void keep_evidence(struct intake *in, struct intake_piece *ip,
			  const struct blk *buffer)
{
	uint32_t i;

	if (ip->bad_sender == NULL)
		ip->bad_sender = mem_zalloc(ip->n_blocks, sizeof(struct addr));
	if (ip->bad_digest == NULL)
		ip->bad_digest = mem_zalloc(ip->n_blocks, sizeof(uint64_t));
	if (ip->bad_sender == NULL || ip->bad_digest == NULL)
		return;
	memcpy(ip->bad_sender, ip->sender, ip->n_blocks * sizeof(struct addr));
	for (i = 0; i < ip->n_blocks; i++)
		ip->bad_digest[i] = digest(in, buffer, i);
}

void blame_on_bad(struct intake *in, struct intake_piece *ip)
{
	struct blk *buffer = pieces_buffer(in->sw->t->ps, ip->ix);
	struct addr liar = ip->sender[0];

	blk_drop(ip->data);
	ip->data = NULL;
	if (has_one_sender(ip)) {
		convict(in, &liar, ip->ix);
		return;
	}
	if (buffer != NULL)
		keep_evidence(in, ip, buffer);
	if (!ip->is_suspect) {
		ip->is_suspect = true;
		in->n_suspects++;
	}
	ip->only_peer = 0;
}

void blame_on_good(struct intake *in, struct intake_piece *ip)
{
	uint32_t i;

	if (ip->data == NULL || ip->bad_sender == NULL ||
	    ip->bad_digest == NULL)
		return;
	for (i = 0; i < ip->n_blocks; i++)
		if (digest(in, ip->data, i) != ip->bad_digest[i])
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
	return a->down_bytes > b->down_bytes;
}

void blame_choose(struct intake *in)
{
	struct intake_piece *ip;

	LIST_FOREACH (ip, &in->pieces, link) {
		struct peer *best = NULL, *p;

		if (!ip->is_suspect)
			continue;
		p = swarm_peer(in->sw, ip->only_peer);
		if (p != NULL && can_serve(p, ip->ix) && !p->is_snubbed)
			continue;
		TAILQ_FOREACH (p, &in->sw->peers, link)
			if (can_serve(p, ip->ix) &&
			    (best == NULL || is_better(p, best)))
				best = p;
		ip->only_peer = best == NULL ? 0 : best->id;
	}
}

const struct bits *blame_have(struct intake *in, struct peer *p)
{
	struct intake_piece *ip;

	if (in->n_suspects == 0)
		return &p->have;
	if (p->masked.data == NULL && bits_init(&p->masked, p->have.n) != 0)
		return NULL;
	memcpy(p->masked.data, p->have.data, bits_bytes(p->have.n));
	p->masked.n_set = p->have.n_set;
	LIST_FOREACH (ip, &in->pieces, link)
		if (ip->is_suspect && ip->only_peer != p->id &&
		    bits_has(&p->masked, ip->ix))
			bits_clear(&p->masked, ip->ix);
	return &p->masked;
}
