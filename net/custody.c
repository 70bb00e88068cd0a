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
 * A piece that a read waits for goes first, else the order is that in which
 * they became whole.
 *
 * A piece of several segments is staged as it comes and hashed as it goes
 * (cache/pieces.h): nothing of it can be held, and it is never here, but for
 * the trust that its senders earn.
 *
 * Invariants
 *   1 held       whole_us != 0, in `held`, its memory is there, of one segment
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
	pieces_filled(in->sw->t->ps, ip->ix, 0);
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
static bool makes_wait(const struct intake *in, const struct intake_piece *ip,
		       const struct peer *p, bool is_fair)
{
	bool is_alone = custody_is_alone(in, ip);

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
	bool is_fair = now_us < held_until_us(ip);
	struct part at;

	if (ip->is_suspect)
		return false;
	first_part(in, &at);
	while (next_part(in, ip, &at))
		if (makes_wait(in, ip, at.peer, is_fair))
			return true;
	return false;
}

void custody_on_whole(struct intake *in, struct intake_piece *ip)
{
	uint64_t now_us = loop_now_us(in->sw->loop);

	ip->whole_us = now_us;
	if (!must_wait(in, ip, now_us)) {
		hand_over(in, ip);
		return;
	}
	ip->is_held = true;
	TAILQ_INSERT_TAIL(&in->held, ip, held);
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
}

void custody_leave(struct intake *in, struct intake_piece *ip)
{
	if (ip->is_held)
		TAILQ_REMOVE(&in->held, ip, held);
	ip->is_held = false;
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

static void run(struct intake *in, uint64_t now_us, bool urgent_only)
{
	struct intake_piece *ip, *next;

	TAILQ_FOREACH_SAFE (ip, &in->held, held, next) {
		if ((urgent_only && !is_urgent(in, ip)) ||
		    must_wait(in, ip, now_us))
			continue;
		custody_leave(in, ip);
		hand_over(in, ip);
	}
}

uint64_t custody_run(struct intake *in, uint64_t now_us)
{
	const struct intake_piece *ip;

	if (TAILQ_EMPTY(&in->held))
		return UINT64_MAX;
	run(in, now_us, true);
	run(in, now_us, false);
	TAILQ_FOREACH (ip, &in->held, held)
		if (held_until_us(ip) > now_us)
			return held_until_us(ip);
	return UINT64_MAX;
}
