/* custody — whole pieces that wait to be hashed.
 *
 * Words. Held: whole, in its buffer, not handed over. Part: one block at least.
 *
 * A liar is found by a piece that is wrong, and by then he has a part in many
 * others: asked for, half there, whole, and in the hands of the workers. Each
 * that is found wrong while nobody knows him costs all who sent it their
 * blocks, and makes them suspect. Once he is known it costs only what he sent
 * himself (intake_on_bad). So no more is hashed than is needed to know him:
 *
 *   alone    A piece of one sender judges nobody but him: it need not wait.
 *   unknown  Of one peer's pieces CUSTODY_FIRST are being hashed at a time, and
 *            one more for each CUSTODY_EARN that were right. The one tells
 *            whether to look at the others. It takes milliseconds, and nobody
 *            is asked for less because of it.
 *   suspect  A piece in which a suspect peer has a part is held until he is
 *            cleared or convicted. The suspect piece itself is not: it clears
 *            him. Nor one that is his alone, unless he is suspect for two
 *            pieces already.
 *   gone     Of one who left nobody knows whether he is suspect: while anybody
 *            is, he is.
 *
 * What could go on for ever ends: a liar who is asked for the suspect piece may
 * bring it by drops. So a piece is held CUSTODY_HOLD_MS for suspicion, then
 * only the second rule counts.
 *
 * To look at a piece is to look at all its blocks, so it is done when something
 * came to be known, and each CUSTODY_LOOK_MS: peers come and go.
 *
 * A piece that a read waits for goes first, else the order is that in which
 * they became whole.
 *
 * A piece of several segments is staged as it comes and hashed as it goes
 * (cache/pieces.h), but for the segment that makes it whole: as long as that is
 * not handed over there is no verdict, and so it is held as any other piece,
 * for the memory of one segment.
 *
 * Invariants
 *   1 held       whole_us != 0, in `held`, the memory of its last segment is
 *                there
 *   2 handed     is_handed, not in `held`; its senders do not change
 *   3 n_handed   of a peer: pieces that are handed and in which it has a part
 */
#include "net/custody.h"

#include "cache/pieces.h"
#include "core/log.h"
#include "core/loop.h"
#include "net/intake.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

/* ---- who has a part ---- */

struct part {
	const struct intake_sender *from;
	struct peer *peer; /* NULL: it left */
	uint32_t next;	   /* block */
};

static void first_part(struct intake *in, struct part *at)
{
	in->mark++;
	*at = (struct part){.next = 0};
}

/* Each peer that is there comes once, each that left at least once. Web seeds
 * answer for themselves: what one brings, nobody else had a part in asking. */
static bool next_part(struct intake *in, const struct intake_piece *ip,
		      struct part *at)
{
	while (at->next < ip->n_blocks) {
		uint32_t i = at->next++;
		const struct intake_sender *from = &ip->sender[i];

		if (from->is_web || (i > 0 && from->id == ip->sender[i - 1].id))
			continue;
		at->from = from;
		at->peer = swarm_peer(in->sw, from->id);
		if (at->peer == NULL)
			return true;
		if (at->peer->mark == in->mark)
			continue;
		at->peer->mark = in->mark;
		return true;
	}
	return false;
}

/* ---- handing over ---- */

static void hand_over(struct intake *in, struct intake_piece *ip)
{
	struct part at;

	first_part(in, &at);
	while (next_part(in, ip, &at))
		if (at.peer != NULL)
			at.peer->n_handed++;
	ip->is_handed = true;
	pieces_filled(in->sw->t->ps, ip->ix, ip->last_bytes);
}

static uint64_t held_until_us(const struct intake_piece *ip)
{
	return ip->whole_us + (uint64_t)CUSTODY_HOLD_MS * 1000;
}

uint32_t custody_first(const struct intake *in, const struct intake_piece *ip)
{
	uint32_t i = 0;

	while (i < ip->n_blocks && intake_is_right(in, ip, i))
		i++;
	return i < ip->n_blocks ? i : 0;
}

bool custody_is_alone(const struct intake *in, const struct intake_piece *ip)
{
	uint32_t first = custody_first(in, ip), i;

	for (i = first + 1; i < ip->n_blocks; i++)
		if (!intake_is_same(&ip->sender[i], &ip->sender[first]) &&
		    !intake_is_right(in, ip, i))
			return false;
	return true;
}

bool custody_is_likely(struct intake *in, const struct intake_piece *ip)
{
	struct part at;

	first_part(in, &at);
	while (next_part(in, ip, &at))
		if (at.peer == NULL || at.peer->n_right < CUSTODY_EARN)
			return false;
	return true;
}

/* Because of this one, who has a part in it. */
static bool makes_wait(const struct intake *in, const struct peer *p,
		       bool is_alone, bool is_fair)
{
	if (p == NULL)
		return is_fair && !is_alone && in->n_suspects > 0;
	if (is_fair && p->n_accused > (is_alone ? 1 : 0))
		return true;
	return !is_alone &&
	       p->n_handed >= CUSTODY_FIRST + p->n_right / CUSTODY_EARN;
}

static bool must_wait(struct intake *in, const struct intake_piece *ip,
		      uint64_t now_us)
{
	bool is_fair = now_us < held_until_us(ip), is_alone;
	struct part at;

	if (ip->is_suspect)
		return false;
	is_alone = custody_is_alone(in, ip);
	first_part(in, &at);
	while (next_part(in, ip, &at))
		if (makes_wait(in, at.peer, is_alone, is_fair))
			return true;
	return false;
}

void custody_on_whole(struct intake *in, struct intake_piece *ip,
		      uint32_t at_bytes)
{
	uint64_t now_us = loop_now_us(in->sw->loop);

	ip->whole_us = now_us;
	ip->last_bytes = at_bytes;
	if (!must_wait(in, ip, now_us)) {
		hand_over(in, ip);
		return;
	}
	ip->is_held = true;
	TAILQ_INSERT_TAIL(&in->held, ip, held);
	in->has_news = true;
}

/* Handed pieces are hashed, or given up because they cannot be staged. */
static void take_back(struct intake *in, struct intake_piece *ip)
{
	struct part at;

	if (!ip->is_handed)
		return;
	first_part(in, &at);
	while (next_part(in, ip, &at))
		if (at.peer != NULL)
			at.peer->n_handed--;
	ip->is_handed = false;
	in->has_news = true;
}

void custody_leave(struct intake *in, struct intake_piece *ip)
{
	if (ip->is_held)
		TAILQ_REMOVE(&in->held, ip, held);
	ip->is_held = false;
	in->has_news = true;
	take_back(in, ip);
}

void custody_on_hashed(struct intake *in, struct intake_piece *ip,
		       bool is_right)
{
	char text[ADDR_TEXT_BYTES];
	struct part at;

	take_back(in, ip);
	first_part(in, &at);
	while (next_part(in, ip, &at)) {
		if (at.peer != NULL)
			at.peer->n_right += is_right;
		if (!is_right)
			log_debug("%s: %s had a part in piece %u",
				  torrent_name(in->sw->t),
				  addr_format(&at.from->addr, text), ip->ix);
	}
}

static bool is_urgent(const struct intake *in, const struct intake_piece *ip)
{
	return picker_class(in->sw->picker, ip->ix) == WANT_URGENT;
}

void custody_let_go(struct intake *in, struct intake_piece *ip)
{
	custody_leave(in, ip);
	hand_over(in, ip);
}

static void run(struct intake *in, uint64_t now_us, bool urgent_only)
{
	struct intake_piece *ip, *next;

	TAILQ_FOREACH_SAFE (ip, &in->held, held, next) {
		if ((urgent_only && !is_urgent(in, ip)) ||
		    must_wait(in, ip, now_us))
			continue;
		custody_let_go(in, ip);
	}
}

uint64_t custody_run(struct intake *in, uint64_t now_us)
{
	const struct intake_piece *ip;

	if (TAILQ_EMPTY(&in->held))
		return UINT64_MAX;
	if (!in->has_news && now_us < in->look_us)
		return in->look_us;
	run(in, now_us, true);
	run(in, now_us, false);
	in->has_news = false;
	in->look_us = now_us + (uint64_t)CUSTODY_LOOK_MS * 1000;
	TAILQ_FOREACH (ip, &in->held, held)
		if (held_until_us(ip) > now_us &&
		    held_until_us(ip) < in->look_us)
			in->look_us = held_until_us(ip);
	return in->look_us;
}
