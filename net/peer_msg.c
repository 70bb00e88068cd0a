/* peer_msg — what a peer says, and what that means for us: BEP 3's flags and
 * sets, BEP 6's additions, BEP 10's handshake.
 *
 * Before the metadata is known (a magnet) what a peer has is kept as it was
 * said, bounded by the largest torrent there may be, and believed or not in
 * peer_learn.
 *
 * A broken rule ends the peer: a set that does not fit the torrent or comes
 * twice, a piece that does not exist, BEP 6 from one who did not say he speaks
 * it, BEP 52 where there is no v2. What is only useless (a SUGGEST) is passed
 * over. */
#include "net/peer.h"

#include <string.h>

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/metainfo.h"
#include "net/addrbook.h"
#include "net/engine_internal.h"
#include "net/gossip.h"
#include "net/hashget.h"
#include "net/hashserve.h"
#include "net/mainline.h"
#include "net/metafetch.h"
#include "net/net_limits.h"
#include "net/picker.h"
#include "net/slots.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"
#include "net/upload.h"

static bool knows_pieces(const struct peer *p)
{
	return p->have.data != NULL;
}

/* ---- greeting ---- */

bool peer_msg_speaks_dht(const struct swarm *sw)
{
	return sw->e->mainline != NULL &&
	       !(sw->t->mi != NULL && sw->t->mi->is_private);
}

static void say_have(struct peer *p)
{
	const struct bits *ours = pieces_have(p->sw->t->ps);
	struct buf *out = peerio_out(p->io);

	if (p->has_fast && bits_is_full(ours))
		wire_put_plain(out, WIRE_HAVE_ALL);
	else if (p->has_fast && ours->n_set == 0)
		wire_put_plain(out, WIRE_HAVE_NONE);
	else if (ours->n_set > 0)
		wire_put_bitfield(out,
				  span_of(ours->data, bits_bytes(ours->n)));
}

void peer_msg_say_ext(struct peer *p)
{
	const struct torrent *t = p->sw->t;
	struct ext_ours ours = {
		.metadata_bytes = t->mi != NULL ? (uint32_t)t->mi->info.len : 0,
		.reqq = PEER_REQQ,
		.listen_port = engine_port(t->e),
		.takes_pex = gossip_is_wanted(p->sw),
		.is_upload_only =
			t->ps != NULL && bits_is_full(pieces_have(t->ps)),
		.to = &p->addr,
	};
	struct buf body = {0};

	p->said_upload_only = ours.is_upload_only;
	ext_put_handshake(&body, &ours);
	if (buf_err(&body) == 0)
		wire_put_extended(peerio_out(p->io), EXT_ID_HANDSHAKE,
				  buf_span(&body));
	buf_fini(&body);
}

void peer_msg_say_lost(struct peer *p, uint32_t piece_ix)
{
	struct buf body = {0};

	if (p->lt_donthave == 0)
		return;
	ext_put_donthave(&body, piece_ix);
	if (buf_err(&body) == 0)
		wire_put_extended(peerio_out(p->io), p->lt_donthave,
				  buf_span(&body));
	buf_fini(&body);
}

void peer_msg_greet(struct peer *p)
{
	struct swarm *sw = p->sw;

	if (sw->picker != NULL) {
		if (bits_init(&p->have, sw->t->mi->n_pieces) != 0) {
			peer_end(p, PEER_END_NOMEM);
			return;
		}
		if (!p->said_ours)
			say_have(p);
	} else if (p->has_fast) {
		wire_put_plain(peerio_out(p->io), WIRE_HAVE_NONE);
	}
	if (p->has_ext)
		peer_msg_say_ext(p);
	if (p->has_dht && peer_msg_speaks_dht(sw))
		wire_put_port(peerio_out(p->io), engine_port(sw->e));
	if (sw->picker != NULL)
		upload_grant(p);
}

/* ---- what it has ---- */

static void on_have_early(struct peer *p, uint32_t ix)
{
	if (ix >= METAINFO_MAX_PIECES) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	while (p->early.len <= ix / 8 && buf_err(&p->early) == 0)
		buf_add_u8(&p->early, 0);
	if (buf_err(&p->early) != 0)
		peer_end(p, PEER_END_NOMEM);
	else
		p->early.data[ix / 8] |= (uint8_t)(0x80u >> (ix % 8));
}

static void on_have(struct peer *p, uint32_t ix)
{
	if (!knows_pieces(p)) {
		on_have_early(p, ix);
		return;
	}
	if (ix >= p->have.n) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	if (bits_has(&p->have, ix))
		return;
	peer_take(p, ix);
	if (!bits_has(pieces_have(p->sw->t->ps), ix)) {
		p->useful++;
		swarm_kick(p->sw);
	}
	peer_tell_interest(p);
}

/* HAVE_ALL and HAVE_NONE come in place of the first bitfield (BEP 6). */
static bool may_say_all(struct peer *p)
{
	if (p->said_have || !p->has_fast) {
		peer_end(p, PEER_END_PROTOCOL);
		return false;
	}
	p->said_have = true;
	return true;
}

static void on_set(struct peer *p)
{
	peer_count_useful(p);
	peer_tell_interest(p);
	swarm_kick(p->sw);
}

/* BEP 3 knows one bitfield, at the beginning. Some say it again when that is
 * shorter than the HAVEs that are due (aria2 does), and the last word counts.
 */
static void on_bitfield(struct peer *p, struct span body)
{
	int r;

	p->said_have = true;
	p->early_all = false;
	if (knows_pieces(p)) {
		peer_uncount(p);
		r = bits_load(&p->have, body.ptr, body.len);
		peer_count(p);
		if (r != 0)
			peer_end(p, PEER_END_PROTOCOL);
		else
			on_set(p);
		return;
	}
	buf_reset(&p->early);
	buf_add(&p->early, body.ptr, body.len);
	p->early_is_whole = true;
	if (buf_err(&p->early) != 0)
		peer_end(p, PEER_END_NOMEM);
}

static void on_have_all(struct peer *p)
{
	if (!may_say_all(p))
		return;
	if (!knows_pieces(p)) {
		p->early_all = true;
		return;
	}
	peer_uncount(p);
	bits_set_all(&p->have);
	peer_count(p);
	on_set(p);
}

/* ---- flags ---- */

static void on_choke(struct peer *p)
{
	p->choked_us = true;
	/* BEP 6: requests stay out until each is rejected; BEP 3: they are
	 * forgotten. */
	if (!p->has_fast)
		peer_ask_drop_all(p);
	swarm_kick(p->sw);
}

static void on_interest(struct peer *p, bool is_interested)
{
	if (p->interested_them == is_interested)
		return;
	p->interested_them = is_interested;
	slots_on_interest(p);
}

static void on_allowed_fast(struct peer *p, uint32_t ix)
{
	if (!knows_pieces(p))
		return; /* it is only a favour */
	if (ix >= p->have.n) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	if (p->allowed.data == NULL && bits_init(&p->allowed, p->have.n) != 0)
		return;
	if (!bits_has(&p->allowed, ix))
		bits_set(&p->allowed, ix);
	swarm_kick(p->sw);
}

/* ---- extensions ---- */

/* Who came in is known by a port of no use; this one can be dialled. */
static void on_listen_port(struct peer *p, uint16_t port)
{
	struct addrbook *book = p->sw->book;
	struct addr a = p->addr;
	struct cand *c = NULL;
	int r;

	if (!p->is_incoming || p->cand != NULL || port == 0)
		return;
	addr_set_port(&a, port);
	r = addrbook_add(book, &a, ADDRBOOK_TOLD, loop_now_us(p->sw->loop), &c);
	if ((r == 0 || r == EEXIST) && addrbook_use(book, c))
		p->cand = c;
}

/* BEP 10: what a later handshake does not name stays as it was. */
static void take_ids(struct peer *p, const struct ext_handshake *hs)
{
	if (hs->says & EXT_SAYS_UT_METADATA)
		p->ut_metadata = hs->ut_metadata;
	if (hs->says & EXT_SAYS_UT_PEX)
		p->ut_pex = hs->ut_pex;
	if (hs->says & EXT_SAYS_LT_DONTHAVE)
		p->lt_donthave = hs->lt_donthave;
	if (hs->says & EXT_SAYS_UPLOAD_ONLY)
		p->is_upload_only = hs->upload_only;
}

/* BEP 40 wants our address as others see it. */
static void on_yourip(struct peer *p, const struct addr *yourip)
{
	struct addr self = *yourip;

	addr_set_port(&self, engine_port(p->sw->e));
	addrbook_on_self(p->sw->book, &self, &p->addr);
}

static void on_ext_handshake(struct peer *p, struct span body)
{
	struct ext_handshake hs;

	if (ext_decode_handshake(body, &hs) != 0) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	take_ids(p, &hs);
	if (hs.has_yourip)
		on_yourip(p, &hs.yourip);
	if (hs.reqq > 0)
		p->reqq = hs.reqq;
	memcpy(p->client, hs.client, sizeof(p->client));
	on_listen_port(p, hs.listen_port);
	gossip_on_handshake(p);
	if (hs.ut_metadata != 0 && hs.metadata_bytes != 0)
		metafetch_on_claim(p->sw->t->meta, p, hs.metadata_bytes);
	if (p->end == PEER_END_NONE && knows_pieces(p))
		peer_tell_interest(p); /* it may want nothing of us now */
}

/* BEP 54. Before the metadata is known, "all but this" cannot be noted: a
 * request for the piece will be rejected instead. */
static void on_donthave(struct peer *p, struct span body)
{
	uint32_t ix;

	if (ext_decode_donthave(body, &ix) != 0 ||
	    ix >= (knows_pieces(p) ? p->have.n : METAINFO_MAX_PIECES)) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	if (!knows_pieces(p)) {
		if (ix / 8 < p->early.len)
			p->early.data[ix / 8] &= (uint8_t) ~(0x80u >> (ix % 8));
		return;
	}
	if (!bits_has(&p->have, ix))
		return;
	peer_untake(p, ix);
	peer_ask_cancel_piece(p, ix);
	if (!bits_has(pieces_have(p->sw->t->ps), ix))
		p->useful--;
	peer_tell_interest(p);
	swarm_kick(p->sw);
}

static void on_extended(struct peer *p, const struct wire_msg *m)
{
	if (!p->has_ext)
		peer_end(p, PEER_END_PROTOCOL);
	else if (m->ext_id == EXT_ID_HANDSHAKE)
		on_ext_handshake(p, m->body);
	else if (m->ext_id == EXT_ID_UT_METADATA)
		metafetch_on_msg(p->sw->t->meta, p, m->body);
	else if (m->ext_id == EXT_ID_UT_PEX)
		gossip_on_msg(p, m->body);
	else if (m->ext_id == EXT_ID_LT_DONTHAVE)
		on_donthave(p, m->body);
}

/* BEP 5: a node of the DHT may be there. */
static void on_dht_port(struct peer *p, uint16_t port)
{
	struct addr a = p->addr;

	if (port == 0 || !peer_msg_speaks_dht(p->sw))
		return;
	addr_set_port(&a, port);
	mainline_endpoint(p->sw->e->mainline, &a);
}

/* ---- all of them ---- */

static bool is_fast(enum wire_id id)
{
	return id == WIRE_SUGGEST || id == WIRE_HAVE_ALL ||
	       id == WIRE_HAVE_NONE || id == WIRE_REJECT ||
	       id == WIRE_ALLOWED_FAST;
}

void peer_msg_on(struct peer *p, const struct wire_msg *m)
{
	p->has_spoken = true;
	if (is_fast(m->id) && !p->has_fast) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	switch (m->id) {
	case WIRE_CHOKE:
		on_choke(p);
		break;
	case WIRE_UNCHOKE:
		p->choked_us = false;
		swarm_kick(p->sw);
		break;
	case WIRE_INTERESTED:
		on_interest(p, true);
		break;
	case WIRE_NOT_INTERESTED:
		on_interest(p, false);
		break;
	case WIRE_HAVE:
		on_have(p, m->block.piece_ix);
		break;
	case WIRE_BITFIELD:
		on_bitfield(p, m->body);
		break;
	case WIRE_REQUEST:
		upload_on_request(p, &m->block);
		break;
	case WIRE_CANCEL:
		upload_on_cancel(p, &m->block);
		break;
	case WIRE_HAVE_ALL:
		on_have_all(p);
		break;
	case WIRE_HAVE_NONE:
		(void)may_say_all(p);
		break;
	case WIRE_REJECT:
		peer_ask_on_reject(p, &m->block);
		break;
	case WIRE_ALLOWED_FAST:
		on_allowed_fast(p, m->block.piece_ix);
		break;
	case WIRE_EXTENDED:
		on_extended(p, m);
		break;
	case WIRE_HASH_REQUEST:
		hashserve_on_request(p, &m->span);
		break;
	case WIRE_HASHES:
		hashget_on_hashes(p, m);
		break;
	case WIRE_HASH_REJECT:
		hashget_on_reject(p, m);
		break;
	case WIRE_PORT:
		on_dht_port(p, m->port);
		break;
	case WIRE_PIECE: /* never here: blocks go by on_block */
	case WIRE_SUGGEST:
		break;
	}
}
