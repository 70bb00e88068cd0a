/* hashget — hashes asked of peers: the loop's half of hashplan.
 *
 * Happy path
 *   1. A block of a piece is asked for whose hash is not known: its span of up
 *      to 512 piece hashes is wanted; a reader waits for some bytes: so are
 *      their leaves.
 *   2. The pass has put its REQUESTs; behind them, in the same write, go the
 *      HASH_REQUESTs, first to whom a block of the span was just asked of.
 *   3. HASHES: proven by layers_add, kept (hashkeep.c), and told above.
 *
 * Failure modes
 *   wrong hashes       nobody can pass on what was wrong without having seen
 *                      it: a liar, banned
 *   not as asked for   too few or too many hashes, or nobody asked: ended, for
 *                      that is no accident of a network either
 *   reject, silence    another one is asked; with nobody left on_hopeless
 *   no memory          as if it had been rejected
 *
 * Not here: what we tell others (hashserve.c). */
#include "net/hashget.h"

#include <string.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/layers.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/hashkeep.h"
#include "net/hashplan.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

struct hashget {
	struct torrent *t; /* Owner: */
	const struct hashget_ops *ops;
	void *arg;
	struct hashplan *plan;
	struct loop_timer *timer;
};

static bool owes(void *arg, uint32_t id, const struct hashplan_want *want);

static void on_timer(void *arg)
{
	hashget_run(arg);
}

int hashget_new(struct torrent *t, const struct hashget_ops *ops, void *arg,
		struct hashget **out)
{
	struct hashget *hg = mem_new(struct hashget);
	struct hashplan_cfg cfg = {.owes = owes, .arg = hg};
	int r;

	if (hg == NULL)
		return ENOMEM;
	hg->t = t;
	hg->ops = ops;
	hg->arg = arg;
	r = hashplan_new(&cfg, &hg->plan);
	if (r == 0)
		r = loop_timer_new(t->e->cfg.loop, on_timer, hg, &hg->timer);
	if (r != 0) {
		hashplan_free(hg->plan);
		mem_free(hg);
		return r;
	}
	*out = hg;
	return 0;
}

void hashget_free(struct hashget *hg)
{
	if (hg == NULL)
		return;
	loop_timer_free(hg->timer);
	hashplan_free(hg->plan);
	mem_free(hg);
}

bool hashget_applies(const struct peer *p)
{
	return p->side == TORRENT_V2 && p->sw->t->layers != NULL;
}

/* ---- what is wanted ---- */

static bool want(struct hashget *hg, struct hashplan_want *w)
{
	int r;

	memcpy(w->root, layers_root(hg->t->layers, w->span.file_ix),
	       sizeof(w->root));
	r = hashplan_want(hg->plan, w);
	if (r == 0)
		swarm_kick(hg->t->swarm);
	return r == 0;
}

void hashget_renew(struct hashget *hg)
{
	if (hg != NULL)
		hashplan_renew(hg->plan);
}

bool hashget_want_piece(struct hashget *hg, uint32_t piece_ix)
{
	struct hashplan_want w = {.piece_ix = piece_ix};

	if (hg == NULL || !layers_ask_piece(hg->t->layers, piece_ix, &w.span))
		return true;
	return want(hg, &w);
}

bool hashget_want(struct hashget *hg, uint32_t piece_ix, uint32_t at_bytes,
		  uint32_t len_bytes)
{
	uint32_t block = at_bytes / MERKLE_LEAF_BYTES;
	uint32_t end =
		len_bytes == 0
			? block
			: (at_bytes + len_bytes - 1) / MERKLE_LEAF_BYTES + 1;
	bool is_good = true;

	if (hg == NULL)
		return false;
	while (block < end) {
		struct hashplan_want w = {.piece_ix = piece_ix,
					  .block = block,
					  .is_leaves = true};

		if (!layers_ask_leaves(hg->t->layers, piece_ix, block,
				       end - block, &w.span)) {
			block++; /* known, or behind the file's end */
			continue;
		}
		is_good = want(hg, &w) && is_good;
		block += w.span.length - block % w.span.length;
	}
	return is_good;
}

/* ---- asking ---- */

/* Leaf number `out` in its file, of a block of ours that is out. */
static uint64_t leaf_of(const struct metainfo *mi, uint32_t file_ix,
			const struct wire_block *b)
{
	uint64_t off = (uint64_t)b->piece_ix * mi->piece_bytes + b->begin_bytes;

	return off < mi->files[file_ix].off_bytes
		       ? UINT64_MAX
		       : (off - mi->files[file_ix].off_bytes) /
				 MERKLE_LEAF_BYTES;
}

static bool owes(void *arg, uint32_t id, const struct hashplan_want *w)
{
	const struct hashget *hg = arg;
	const struct peer *p = swarm_peer(hg->t->swarm, id);

	if (p == NULL || !w->is_leaves)
		return false;
	for (uint32_t i = 0; i < p->asks.n; i++) {
		uint64_t leaf = leaf_of(hg->t->mi, w->span.file_ix,
					&p->asks.v[p->asks.head + i].block);

		if (leaf >= w->span.index &&
		    leaf - w->span.index < w->span.length)
			return true;
	}
	return false;
}

static uint64_t patience_us(const struct peer *p)
{
	uint64_t us = rate_window_timeout_us(
		&p->window, p->out_bytes + HASH_SPAN_ASK * WIRE_NODE_BYTES);
	uint64_t most_us = HASHGET_PATIENCE_MS * UINT64_C(1000);

	return us < most_us ? us : most_us;
}

static unsigned describe(const struct hashget *hg, uint64_t now_us,
			 struct hashplan_peer *out, struct peer **peers)
{
	struct peer *p;
	unsigned n = 0;

	TAILQ_FOREACH (p, &hg->t->swarm->peers, link) {
		if (n == SWARM_PEERS_MAX)
			break;
		if (!p->is_up || !hashget_applies(p) || p->have.data == NULL)
			continue;
		peers[n] = p;
		out[n++] = (struct hashplan_peer){
			.id = p->id,
			.have = &p->have,
			.delay_us = p->window.delay_us,
			.patience_us = patience_us(p),
			.is_slow = p->is_snubbed ||
				   peer_ask_is_doubtful(p, now_us),
		};
	}
	return n;
}

static struct wire_hashes wire_of(const struct hashplan_want *w)
{
	struct wire_hashes h = {.base = w->span.base,
				.index = w->span.index,
				.length = w->span.length,
				.proof_layers = w->span.proof_layers};

	memcpy(h.root, w->root, sizeof(h.root));
	return h;
}

static void ask_all(struct hashget *hg, uint64_t now_us)
{
	struct hashplan_peer desc[SWARM_PEERS_MAX];
	struct peer *peers[SWARM_PEERS_MAX];
	unsigned n = describe(hg, now_us, desc, peers), at;
	struct hashplan_want w;

	while (hashplan_next(hg->plan, desc, n, now_us, &w, &at)) {
		struct wire_hashes h = wire_of(&w);

		wire_put_hash_span(peerio_out(peers[at]->io), WIRE_HASH_REQUEST,
				   &h);
	}
	while (hashplan_hopeless(hg->plan, now_us, &w))
		hg->ops->on_hopeless(hg->arg, w.piece_ix, w.is_leaves);
}

static void set_timer(struct hashget *hg, uint64_t now_us)
{
	uint64_t wake_us = hashplan_wake_us(hg->plan);

	if (wake_us == UINT64_MAX)
		loop_timer_stop(hg->timer);
	else
		loop_timer_start(hg->timer,
				 wake_us > now_us ? wake_us - now_us : 0);
}

void hashget_run(struct hashget *hg)
{
	uint64_t now_us;

	if (hg == NULL || !hg->t->swarm->is_running)
		return;
	now_us = loop_now_us(hg->t->e->cfg.loop);
	hashplan_on_time(hg->plan, now_us);
	if (!hashplan_is_idle(hg->plan))
		ask_all(hg, now_us);
	set_timer(hg, now_us);
	hashplan_check(hg->plan);
}

/* ---- answers ---- */

static void ban(struct peer *p, const struct hashplan_want *w)
{
	char text[ADDR_TEXT_BYTES];
	struct addr liar = p->addr;

	log_debug("%s: %s sent wrong hashes of piece %u, banned",
		  torrent_name(p->sw->t), addr_format(&liar, text),
		  w->piece_ix);
	swarm_ban(p->sw, &liar);
}

static bool is_known(void *arg, const struct hashplan_want *w)
{
	struct hashget *hg = arg;
	uint8_t hash[HASH_SHA256_BYTES];

	return w->is_leaves
		       ? layers_leaf(hg->t->layers, w->piece_ix, w->block, hash)
		       : layers_piece(hg->t->layers, w->piece_ix, hash);
}

/* The pieces of which the span says something, in one file. */
static void tell_file(struct hashget *hg, uint32_t file_ix,
		      const struct hashplan_want *w)
{
	const struct metainfo *mi = hg->t->mi;
	const struct mi_file *f = &mi->files[file_ix];
	uint64_t n_pieces = (f->len_bytes - 1) / mi->piece_bytes + 1;
	uint64_t step = UINT64_C(1) << w->span.base; /* leaves a node */
	uint64_t piece_leaves = mi->piece_bytes / MERKLE_LEAF_BYTES;
	uint64_t first = w->span.index * step / piece_leaves;
	uint64_t end = ((uint64_t)w->span.index + w->span.length) * step;

	end = (end + piece_leaves - 1) / piece_leaves;
	if (end > n_pieces)
		end = n_pieces;
	if (first < end)
		hg->ops->on_known(
			hg->arg,
			(uint32_t)(f->off_bytes / mi->piece_bytes + first),
			(uint32_t)(end - first));
}

/* Files of equal content and more than one piece share what is known. */
static void tell(struct hashget *hg, const struct hashplan_want *w)
{
	const struct metainfo *mi = hg->t->mi;
	uint64_t len = mi->files[w->span.file_ix].len_bytes;
	uint32_t ix;

	if (len <= mi->piece_bytes) {
		tell_file(hg, w->span.file_ix, w);
		return;
	}
	for (ix = layers_find(hg->t->layers, w->root, 0); ix < mi->n_files;
	     ix = layers_find(hg->t->layers, w->root, ix + 1))
		if (mi->files[ix].len_bytes == len)
			tell_file(hg, ix, w);
}

static void keep_and_tell(struct hashget *hg, const struct hashplan_want *w,
			  const uint8_t *hashes)
{
	hashkeep_put(hg->t->hashkeep, &w->span, hashes);
	tell(hg, w);
}

static struct hash_span numbers_of(const struct wire_hashes *h)
{
	return (struct hash_span){.base = h->base,
				  .index = h->index,
				  .length = h->length,
				  .proof_layers = h->proof_layers};
}

void hashget_on_hashes(struct peer *p, const struct wire_msg *m)
{
	struct hash_span numbers = numbers_of(&m->span);
	struct hashget *hg = p->sw->t->hashget;
	uint64_t now_us = loop_now_us(p->sw->loop);
	struct hashplan_want w;
	size_t n = m->body.len / WIRE_NODE_BYTES;
	int r;

	if (!hashget_applies(p) ||
	    !hashplan_answered(hg->plan, p->id, m->span.root, &numbers, &w) ||
	    n != hash_span_n(&numbers)) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	r = layers_add(hg->t->layers, &w.span, m->body.ptr, n);
	if (r == EBADMSG) {
		hashplan_refused(hg->plan, p->id, &w, now_us);
		ban(p, &w);
		return;
	}
	if (r != 0)
		hashplan_refused(hg->plan, p->id, &w, now_us);
	else
		keep_and_tell(hg, &w, m->body.ptr);
	hashplan_known(hg->plan, is_known, hg);
	swarm_kick(p->sw);
}

void hashget_on_reject(struct peer *p, const struct wire_msg *m)
{
	struct hash_span numbers = numbers_of(&m->span);
	struct hashget *hg = p->sw->t->hashget;
	struct hashplan_want w;

	if (!hashget_applies(p) ||
	    !hashplan_answered(hg->plan, p->id, m->span.root, &numbers, &w)) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	hashplan_refused(hg->plan, p->id, &w, loop_now_us(p->sw->loop));
	swarm_kick(p->sw);
}

void hashget_on_peer_gone(struct hashget *hg, const struct peer *p)
{
	if (hg == NULL)
		return;
	hashplan_on_gone(hg->plan, p->id);
	hashplan_check(hg->plan);
}
