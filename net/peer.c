/* peer — one peer's life.
 *
 *   dialled ──on_handshake──> up ──peer_end──> ended ──turn's end──> freed
 *   adopted (handshake read) ─┘
 *
 * Happy path: a peer that we dial hears with our handshake what we have and
 * that we are interested, which saves a round trip before it unchokes us. Both
 * handshakes are through; if it is not us, and not somebody
 * we are connected to already, it is up: it is greeted (peer_msg.c), says what
 * it has, and we say that we are interested as soon as it has a piece we lack.
 * We stay interested, so that we are unchoked when a reader comes; nothing is
 * asked for without demand.
 *
 * The same peer twice. When two sides dial each other at once both see a
 * second connection; both must drop the same one. Of two connections in
 * different directions the one stays that the greater peer id dialled; else
 * the older one. The address of the one that goes is remembered by the one
 * that stays, so that it is not dialled over and over.
 *
 * Ending. peer_end lets go of everything shared with others: our requests are
 * free again, its are dropped, its address goes back to the book. The
 * struct stays for the callers up the stack, which look at p->end. */
#include "net/peer.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/bans.h"
#include "net/crowd.h"
#include "net/engine_internal.h"
#include "net/gossip.h"
#include "net/hashget.h"
#include "net/hashserve.h"
#include "net/intake.h"
#include "net/metafetch.h"
#include "net/net_limits.h"
#include "net/offences.h"
#include "net/opening.h"
#include "net/pace.h"
#include "net/picker.h"
#include "net/rarity.h"
#include "net/sides.h"
#include "net/slots.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/upgrade.h"
#include "net/upload.h"

enum { METER_SPAN_US = 4000000 };

static const struct peerio_ops ops;

/* ---- birth ---- */

static struct peer *peer_new(struct swarm *sw, const struct addr *a)
{
	uint64_t now_us = loop_now_us(sw->loop);
	struct peer *p = mem_new(struct peer);

	if (p == NULL)
		return NULL;
	p->sw = sw;
	p->addr = *a;
	p->id = ++sw->last_peer_id;
	p->since_us = now_us;
	p->reqq = PEER_REQQ_DEFAULT;
	p->choked_us = true;
	slots_init(p);
	upload_init_peer(p);
	LIST_INIT(&p->reads);
	buf_init(&p->early);
	rate_window_init(&p->window, now_us);
	rate_meter_init(&p->down, METER_SPAN_US, now_us);
	rate_meter_init(&p->up, METER_SPAN_US, now_us);
	return p;
}

static void link_peer(struct peer *p)
{
	TAILQ_INSERT_TAIL(&p->sw->peers, p, link);
	p->sw->n_peers++;
	p->sw->e->n_peers++;
	if (p->is_incoming)
		p->sw->n_incoming++;
	else
		p->sw->n_dialing++;
}

static struct handshake our_handshake(const struct swarm *sw,
				      enum torrent_side side)
{
	struct handshake hs = {.has_ext = true, .has_fast = true};

	sides_say(&sw->t->id, side, &hs);
	hs.has_dht = peer_msg_speaks_dht(sw);
	memcpy(hs.peer_id, sw->e->peer_id, sizeof(hs.peer_id));
	return hs;
}

int peer_dial(struct swarm *sw, struct cand *c)
{
	enum torrent_side side = sides_choose(&sw->t->id, addrbook_side(c));
	struct handshake ours = our_handshake(sw, side);
	struct peer *p = peer_new(sw, addrbook_addr(c));
	int r;

	if (p == NULL)
		return ENOMEM;
	p->side = side;
	p->said_v2 = ours.has_v2;
	r = peerio_dial(sw->loop, &p->addr, &ours, &ops, p, &p->io);
	if (r != 0) {
		peer_free(p);
		return r;
	}
	p->cand = c;
	link_peer(p);
	opening_say(p);
	return 0;
}

/* Somebody else of this name at the same host; NULL: nobody. */
static struct peer *find_same(const struct swarm *sw, const struct peer *but,
			      const uint8_t peer_id[20])
{
	struct peer *p;

	TAILQ_FOREACH (p, &sw->peers, link)
		if (p != but && p->is_up &&
		    addr_eq_host(&p->addr, &but->addr) &&
		    memcmp(p->peer_id, peer_id, PEER_ID_BYTES) == 0)
			return p;
	return NULL;
}

/* `p` is a second connection to the peer of `other`: who goes? */
static enum peer_end settle_duplicate(struct peer *p, struct peer *other)
{
	bool we_are_greater =
		memcmp(p->sw->e->peer_id, p->peer_id, PEER_ID_BYTES) > 0;
	struct peer *stays = other, *goes = p;

	if (p->is_incoming != other->is_incoming &&
	    p->is_incoming != we_are_greater) {
		stays = p;
		goes = other;
	}
	if (stays->cand == NULL) {
		stays->cand = goes->cand;
		goes->cand = NULL;
	}
	if (goes == p)
		return PEER_END_DUPLICATE;
	peer_end(goes, PEER_END_DUPLICATE);
	return PEER_END_NONE;
}

/* Their handshake is right; may they be a peer? */
static enum peer_end come_up(struct peer *p, const struct handshake *hs)
{
	struct swarm *sw = p->sw;
	enum peer_end why;
	struct peer *other;

	if (p->is_incoming ? !sides_answer(&sw->t->id, hs, &p->side)
			   : !sides_settle(&sw->t->id, p->side, hs, &p->side))
		return PEER_END_HANDSHAKE;
	if (memcmp(hs->peer_id, sw->e->peer_id, PEER_ID_BYTES) == 0) {
		if (!p->is_incoming)
			bans_add_port(sw->e->bans, &p->addr);
		return PEER_END_SELF;
	}
	memcpy(p->peer_id, hs->peer_id, PEER_ID_BYTES);
	p->has_fast = hs->has_fast;
	p->has_ext = hs->has_ext;
	p->has_dht = hs->has_dht;
	p->knows_v2 = hs->has_v2;
	if (upgrade_is_due(p)) /* it was on its way when the other hash came */
		return PEER_END_UPGRADE;
	other = find_same(sw, p, hs->peer_id);
	if (other != NULL) {
		why = settle_duplicate(p, other);
		if (why != PEER_END_NONE)
			return why;
	}
	return PEER_END_NONE;
}

static void begin(struct peer *p)
{
	if (pace_is_deaf(p->sw->e))
		peerio_pause(p->io, true);
	swarm_on_up(p->sw, p);
	peer_msg_greet(p);
}

static enum peer_end io_on_handshake(void *arg, struct peerio *io,
				     const struct handshake *hs)
{
	struct peer *p = arg;
	enum peer_end why = come_up(p, hs);

	(void)io;
	if (why != PEER_END_NONE)
		return why;
	opening_on_handshake(p);
	begin(p);
	return PEER_END_NONE;
}

enum peer_end peer_adopt(struct swarm *sw, struct peerio *io,
			 const struct handshake *hs)
{
	struct peer *p = peer_new(sw, peerio_addr(io));
	struct handshake ours;
	enum peer_end why;

	if (p == NULL)
		return PEER_END_NOMEM;
	p->is_incoming = true;
	why = come_up(p, hs);
	if (why != PEER_END_NONE) {
		peer_free(p);
		return why;
	}
	p->io = io;
	link_peer(p);
	crowd_make_way(p); /* not before he is known to be a peer */
	peerio_bind(io, &ops, p);
	ours = our_handshake(sw, p->side);
	peerio_send_handshake(io, &ours);
	begin(p);
	return PEER_END_NONE;
}

/* ---- end ---- */

bool peer_was_unknown(const struct peer *p)
{
	const struct torrent_id *id = &p->sw->t->id;

	return !p->is_incoming && p->is_connected && !p->is_up &&
	       (p->end == PEER_END_EOF || p->end == PEER_END_IO) &&
	       id->v1.len != 0 && id->v2.len != 0 && p->cand != NULL &&
	       addrbook_can_turn(p->cand);
}

/* What no right client does. Whatever else ends a connection may happen to
 * anybody. */
static void note_offence(const struct peer *p)
{
	uint64_t now_us = loop_now_us(p->sw->loop), until_us;
	struct offences *o = &p->sw->e->offences;
	char text[ADDR_TEXT_BYTES];

	if (p->end != PEER_END_PROTOCOL && p->end != PEER_END_TOO_LONG)
		return;
	if (!offences_on(o, &p->addr, now_us))
		return;
	until_us = offences_until_us(o, &p->addr, now_us);
	log_debug("%s: %s broke the protocol again, banned for %u min",
		  torrent_name(p->sw->t), addr_format(&p->addr, text),
		  (unsigned)((until_us - now_us) / 60000000));
}

void peer_end(struct peer *p, enum peer_end why)
{
	char text[ADDR_TEXT_BYTES];

	if (p->end != PEER_END_NONE) {
		log_debug("peer %s ended twice: %s, then %s",
			  addr_format(&p->addr, text), peerio_end_text(p->end),
			  peerio_end_text(why));
		return;
	}
	p->end = why;
	log_debug("%s: peer %s ends: %s", torrent_name(p->sw->t),
		  addr_format(&p->addr, text), peerio_end_text(why));
	note_offence(p);
	upload_forget(p);
	hashserve_forget(p);
	peer_uncount(p);
	peer_ask_drop_all(p);
	peerio_free(p->io);
	p->io = NULL;
	metafetch_on_peer_gone(p->sw->t->meta, p);
	hashget_on_peer_gone(p->sw->t->hashget, p);
	swarm_on_peer_end(p->sw, p);
	if (!p->choked_them)
		slots_fill(p->sw);
}

void peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	gossip_forget(p);
	bits_fini(&p->have);
	bits_fini(&p->allowed);
	bits_fini(&p->masked);
	buf_fini(&p->early);
	mem_free(p->asks.v);
	mem_free(p->serves.v);
	mem_free(p->scratch);
	mem_free(p);
}

/* ---- what it has ---- */

void peer_count_useful(struct peer *p)
{
	const struct bits *ours = pieces_have(p->sw->t->ps);
	uint32_t ix = bits_next(&p->have, 0);

	p->useful = 0;
	for (; ix < p->have.n; ix = bits_next(&p->have, ix + 1))
		p->useful += !bits_has(ours, ix);
}

static struct rarity *rarity_of(const struct peer *p)
{
	if (p->sw->picker == NULL || p->have.data == NULL)
		return NULL;
	return picker_rarity(p->sw->picker);
}

void peer_count(struct peer *p)
{
	struct rarity *r = rarity_of(p);

	p->is_in_all = r != NULL && bits_is_full(&p->have);
	if (r != NULL && !p->is_in_all)
		rarity_add_set(r, &p->have);
}

void peer_uncount(struct peer *p)
{
	struct rarity *r = rarity_of(p);

	if (r != NULL && !p->is_in_all)
		rarity_del_set(r, &p->have);
	p->is_in_all = false;
}

void peer_take(struct peer *p, uint32_t piece_ix)
{
	struct rarity *r = rarity_of(p);

	bits_set(&p->have, piece_ix);
	if (r != NULL && !p->is_in_all)
		rarity_on_have(r, piece_ix);
}

void peer_untake(struct peer *p, uint32_t piece_ix)
{
	struct rarity *r = rarity_of(p);
	bool was_in_all = p->is_in_all;

	p->is_in_all = false;
	bits_clear(&p->have, piece_ix);
	if (was_in_all)
		rarity_add_set(r, &p->have);
	else if (r != NULL)
		rarity_on_lost(r, piece_ix);
}

void peer_tell_interest(struct peer *p)
{
	bool wants = p->useful > 0;

	/* Whoever heard it with our handshake first says what he has: some
	 * (rTorrent) choke at once a peer that takes its interest back, and
	 * look at it again half a minute later. */
	if (p->said_ours && !p->said_have)
		wants = true;
	if (wants != p->interested_us) {
		p->interested_us = wants;
		if (!wants)
			slots_on_content(p);
		wire_put_plain(peerio_out(p->io),
			       wants ? WIRE_INTERESTED : WIRE_NOT_INTERESTED);
	}
	/* BEP 21: of two who want nothing neither needs the other. */
	if (bits_is_full(pieces_have(p->sw->t->ps)) &&
	    (p->is_upload_only || bits_is_full(&p->have)))
		peer_end(p, PEER_END_USELESS);
}

/* BEP 21, "or if it becomes one": what we said of ourselves has changed. */
static void tell_upload_only(struct peer *p)
{
	bool is_so = bits_is_full(pieces_have(p->sw->t->ps));

	if (p->has_ext && p->said_upload_only != is_so)
		peer_msg_say_ext(p);
}

/* What was said before the metadata was known may turn out to be nonsense. */
static int load_early(struct peer *p)
{
	size_t len = bits_bytes(p->have.n);

	if (p->early_all) {
		bits_set_all(&p->have);
		return 0;
	}
	if (p->early.len == 0)
		return 0;
	if (p->early.len > len || (p->early_is_whole && p->early.len != len))
		return EBADMSG;
	while (p->early.len < len && buf_err(&p->early) == 0)
		buf_add_u8(&p->early, 0);
	if (buf_err(&p->early) != 0)
		return ENOMEM;
	return bits_load(&p->have, p->early.data, p->early.len);
}

void peer_learn(struct peer *p)
{
	const struct bits *ours = pieces_have(p->sw->t->ps);
	uint32_t ix = bits_next(ours, 0);
	int r = bits_init(&p->have, ours->n);

	if (r == 0)
		r = load_early(p);
	buf_fini(&p->early);
	if (r != 0) {
		peer_end(p, r == ENOMEM ? PEER_END_NOMEM : PEER_END_PROTOCOL);
		return;
	}
	/* It was told that we have nothing; the store knew better. */
	for (; ix < ours->n; ix = bits_next(ours, ix + 1))
		wire_put_ix(peerio_out(p->io), WIRE_HAVE, ix);
	if (p->has_ext)
		peer_msg_say_ext(p);
	upload_grant(p);
	peer_count_useful(p);
	peer_tell_interest(p);
	if (p->end == PEER_END_NONE && p->interested_them)
		slots_on_interest(p);
}

void peer_on_verified(struct peer *p, uint32_t piece_ix)
{
	wire_put_ix(peerio_out(p->io), WIRE_HAVE, piece_ix);
	if (!p->is_up)
		return; /* what it has is not known yet */
	if (bits_has(&p->have, piece_ix))
		p->useful--;
	tell_upload_only(p);
	peer_tell_interest(p);
}

void peer_on_lost(struct peer *p, uint32_t piece_ix)
{
	peer_msg_say_lost(p, piece_ix);
	tell_upload_only(p);
	if (!bits_has(&p->have, piece_ix))
		return;
	p->useful++;
	peer_tell_interest(p);
}

/* ---- the connection's callbacks ---- */

static void io_on_connect(void *arg)
{
	opening_on_connect(arg);
}

static void io_on_msg(void *arg, const struct wire_msg *m)
{
	peer_msg_on(arg, m);
}

static unsigned io_expect(void *arg, struct peerio_slot *slots, unsigned max)
{
	return peer_ask_expect(arg, slots, max);
}

static uint8_t *io_place(void *arg, const struct wire_block *b)
{
	struct peer *p = arg;

	intake_begin_slots(p);
	return intake_place(p, b);
}

static void io_on_block(void *arg, const struct wire_block *b, uint8_t *dst)
{
	intake_on_block(arg, b, dst);
}

static void io_on_payload(void *arg, uint32_t bytes)
{
	struct peer *p = arg;
	uint64_t now_us = loop_now_us(p->sw->loop);

	peer_ask_on_payload(p, bytes, now_us);
	p->sw->down_bytes += bytes;
	account_note(p->sw);
	rate_line_on_bytes(&p->sw->line, bytes, now_us);
	rate_meter_add(&p->sw->down, bytes, now_us);
}

static void io_on_sent(void *arg, uint32_t bytes)
{
	upload_on_sent(arg, bytes);
}

static void io_on_end(void *arg, enum peer_end why)
{
	peer_end(arg, why);
}

static const struct peerio_ops ops = {
	.on_connect = io_on_connect,
	.on_handshake = io_on_handshake,
	.on_msg = io_on_msg,
	.expect = io_expect,
	.place = io_place,
	.on_block = io_on_block,
	.on_payload = io_on_payload,
	.on_sent = io_on_sent,
	.on_end = io_on_end,
};
