/* hashserve — a queue of hash requests for each peer, answered in order,
 * what is owed first.
 *
 * Happy path: what layers_get can tell is told on the same turn. Leaves that
 * are not known are computed (leafmake.c) from the piece, if we hold it, one
 * piece at a time for the whole torrent, and kept for the next who asks.
 *
 * Owed. Whoever asked for a block and is served it may ask for the leaves of
 * it, and must not be rejected (BEP 52): the blocks it asked for last are
 * remembered. Such a request passes every limit but that of memory; it costs
 * less than the block.
 *
 * All others have limits: HASHSERVE_QUEUE of a peer wait; what a peer makes us
 * read, hash and send is paid from a bucket, in which bytes sent to one that
 * is choked weigh more; under an upload limit nothing that is not owed leaves
 * while there is a debt. What leaves is charged to the peer's share of it.
 *
 * A HASH_REJECT is the answer to what makes no sense in this torrent (and too
 * much of that ends the peer), what is not known, what would take more than one
 * piece's leaves and 512, and what comes when the queue is full. One that is
 * rejected because we do not know goes out once a second only: some ask again
 * at once.
 *
 * Files of one root: the first that can answer does. */
#include "net/hashserve.h"

#include "cache/pieces.h"
#include "core/bits.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/layers.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/merkle.h"
#include "core/metainfo.h"
#include "core/queue.h"
#include "net/engine_internal.h"
#include "net/hashget.h"
#include "net/hashkeep.h"
#include "net/leafmake.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "net/throttle.h"
#include "net/torrent_internal.h"

enum {
	RETRY_US = 50000, /* for room in a socket, or for memory */
	IGNORANT_US = 1000000,
	SAME_ROOT_MAX = 16, /* files looked at for one request */
	EXTRA_MAKES = 4,    /* leaves may fall out of the cache again */
};

struct hash_request {
	TAILQ_ENTRY(hash_request) link;
	struct wire_hashes asked;
	struct hash_span span;
	unsigned n_makes; /* pieces computed for it */
	bool is_owed;
};

struct hash_queue {
	TAILQ_HEAD(, hash_request) list;
	unsigned n, n_owed;
	unsigned n_refused;
	struct rate_bucket bucket;
	uint64_t ignorant_us; /* when we last said that we do not know */
	struct wire_block recent[HASHSERVE_RECENT];
	unsigned n_recent;
};

struct hashserve {
	struct torrent *t; /* Owner: */
	struct loop_task pump;
	struct loop_timer *timer;
	struct leafmake *making;
	uint32_t making_ix;
	bool is_reading; /* what hashkeep has of it */
};

static void on_pump(void *arg);

int hashserve_new(struct torrent *t, struct hashserve **out)
{
	struct hashserve *hs = mem_new(struct hashserve);
	int r;

	if (hs == NULL)
		return ENOMEM;
	hs->t = t;
	loop_task_init(&hs->pump, on_pump, hs);
	r = loop_timer_new(t->e->cfg.loop, on_pump, hs, &hs->timer);
	if (r != 0) {
		mem_free(hs);
		return r;
	}
	*out = hs;
	return 0;
}

void hashserve_stop(struct hashserve *hs)
{
	if (hs == NULL)
		return;
	if (hs->making != NULL)
		leafmake_cancel(hs->making);
	hs->making = NULL;
	hs->is_reading = false;
	loop_task_cancel(hs->t->e->cfg.loop, &hs->pump);
	loop_timer_stop(hs->timer);
}

void hashserve_free(struct hashserve *hs)
{
	if (hs == NULL)
		return;
	hashserve_stop(hs);
	loop_timer_free(hs->timer);
	mem_free(hs);
}

/* ---- a peer's queue ---- */

static struct hash_queue *queue_of(struct peer *p)
{
	struct hash_queue *q = p->hashes;

	if (q != NULL)
		return q;
	q = mem_new(struct hash_queue);
	if (q == NULL)
		return NULL;
	TAILQ_INIT(&q->list);
	rate_bucket_init(&q->bucket, HASHSERVE_BPS, loop_now_us(p->sw->loop));
	/* A newcomer's first request does not wait. */
	rate_bucket_take(&q->bucket, -1);
	p->hashes = q;
	return q;
}

static void drop_request(struct hash_queue *q, struct hash_request *req)
{
	TAILQ_REMOVE(&q->list, req, link);
	q->n--;
	q->n_owed -= req->is_owed;
	mem_free(req);
}

void hashserve_forget(struct peer *p)
{
	struct hash_queue *q = p->hashes;

	if (q == NULL)
		return;
	while (!TAILQ_EMPTY(&q->list))
		drop_request(q, TAILQ_FIRST(&q->list));
	mem_free(q);
	p->hashes = NULL;
}

void hashserve_on_block(struct peer *p, const struct wire_block *b)
{
	struct hash_queue *q;

	if (!hashget_applies(p))
		return;
	q = queue_of(p);
	if (q != NULL)
		q->recent[q->n_recent++ % HASHSERVE_RECENT] = *b;
}

/* Leaves of the whole span, whatever its level. */
static uint64_t first_leaf(const struct hash_span *span)
{
	return (uint64_t)span->index << span->base;
}

static uint64_t n_leaves(const struct hash_span *span)
{
	return (uint64_t)span->length << span->base;
}

static bool is_owed(const struct peer *p, const struct hash_span *span)
{
	const struct metainfo *mi = p->sw->t->mi;
	const struct mi_file *f = &mi->files[span->file_ix];
	const struct hash_queue *q = p->hashes;
	unsigned n =
		q->n_recent < HASHSERVE_RECENT ? q->n_recent : HASHSERVE_RECENT;

	for (unsigned i = 0; span->base == 0 && i < n; i++) {
		const struct wire_block *b = &q->recent[i];
		uint64_t off = (uint64_t)b->piece_ix * mi->piece_bytes +
			       b->begin_bytes;
		uint64_t leaf;

		if (off < f->off_bytes || off - f->off_bytes >= f->len_bytes)
			continue;
		leaf = (off - f->off_bytes) / MERKLE_LEAF_BYTES;
		if (leaf >= span->index && leaf - span->index < span->length)
			return true;
	}
	return false;
}

/* ---- what is asked ---- */

static uint32_t first_piece(const struct metainfo *mi,
			    const struct hash_span *span)
{
	const struct mi_file *f = &mi->files[span->file_ix];
	uint64_t off = first_leaf(span) * MERKLE_LEAF_BYTES;

	if (off >= f->len_bytes)
		return mi->n_pieces;
	return (uint32_t)((f->off_bytes + off) / mi->piece_bytes);
}

/* The file that is meant: of several with this root one of which we hold the
 * piece. EINVAL: no such span; ENOENT: no such root. */
static int choose_file(struct torrent *t, const struct wire_hashes *asked,
		       struct hash_span *out)
{
	struct hash_span span = {.base = asked->base,
				 .index = asked->index,
				 .length = asked->length,
				 .proof_layers = asked->proof_layers};
	int best = ENOENT;

	span.file_ix = layers_find(t->layers, asked->root, 0);
	for (unsigned i = 0; i < SAME_ROOT_MAX && span.file_ix < t->mi->n_files;
	     i++) {
		int r = layers_check_span(t->layers, &span);

		if (r == 0 &&
		    bits_has(pieces_have(t->ps), first_piece(t->mi, &span))) {
			*out = span;
			return 0;
		}
		if (r == 0 && best != 0)
			*out = span;
		if (best != 0)
			best = r;
		span.file_ix =
			layers_find(t->layers, asked->root, span.file_ix + 1);
	}
	return best;
}

/* A stranger may not make us read far more than a piece. */
static bool is_modest(const struct torrent *t, const struct hash_span *span)
{
	uint64_t most = t->mi->piece_bytes / MERKLE_LEAF_BYTES;

	return n_leaves(span) <=
		       (most > HASH_SPAN_ASK ? most : HASH_SPAN_ASK) ||
	       layers_lacks_leaves(t->layers, span) == UINT32_MAX;
}

static void refuse(struct peer *p, const struct wire_hashes *asked)
{
	wire_put_hash_span(peerio_out(p->io), WIRE_HASH_REJECT, asked);
}

/* Refused without having waited; too many, and it is not for us to answer. */
static void refuse_now(struct peer *p, const struct wire_hashes *asked)
{
	refuse(p, asked);
	if (++p->hashes->n_refused > HASHSERVE_REFUSED_MAX)
		peer_end(p, PEER_END_PROTOCOL);
}

static bool has_room(const struct hash_queue *q, bool owed)
{
	return owed ? q->n_owed < PEER_REQQ
		    : q->n - q->n_owed < HASHSERVE_QUEUE;
}

/* What is owed goes before what is not. */
static void insert(struct hash_queue *q, struct hash_request *req)
{
	struct hash_request *before = NULL;

	if (req->is_owed) {
		before = TAILQ_FIRST(&q->list);
		while (before != NULL && before->is_owed)
			before = TAILQ_NEXT(before, link);
	}
	if (before != NULL)
		TAILQ_INSERT_BEFORE(before, req, link);
	else
		TAILQ_INSERT_TAIL(&q->list, req, link);
	q->n++;
	q->n_owed += req->is_owed;
}

void hashserve_on_request(struct peer *p, const struct wire_hashes *asked)
{
	struct torrent *t = p->sw->t;
	struct hash_span span;
	struct hash_request *req;
	bool owed;

	if (!hashget_applies(p)) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	if (queue_of(p) == NULL) {
		refuse(p, asked);
		return;
	}
	if (t->state != TORRENT_READY || t->e->cfg.no_seed ||
	    choose_file(t, asked, &span) != 0) {
		refuse_now(p, asked);
		return;
	}
	owed = is_owed(p, &span);
	if ((!owed && !is_modest(t, &span)) || !has_room(p->hashes, owed)) {
		refuse_now(p, asked);
		return;
	}
	req = mem_new(struct hash_request);
	if (req == NULL) {
		refuse(p, asked);
		return;
	}
	*req = (struct hash_request){
		.asked = *asked, .span = span, .is_owed = owed};
	insert(p->hashes, req);
	loop_defer(p->sw->loop, &t->hashserve->pump);
}

/* ---- answers ---- */

enum step {
	STEP_DONE, /* answered, and out of the queue */
	STEP_TURN, /* more on the next turn */
	STEP_WAIT, /* for a computation, whose end calls us */
	STEP_LATER /* for time */
};

static void charge(struct peer *p, uint64_t bytes)
{
	rate_bucket_take(&p->hashes->bucket, (int64_t)bytes);
}

static void tell(struct peer *p, const struct hash_request *req,
		 const uint8_t *hashes, uint32_t n)
{
	uint32_t bytes = WIRE_HASHES_HEADER + n * WIRE_NODE_BYTES;
	uint64_t weight = p->choked_them ? HASHSERVE_CHOKED_COST : 1;

	wire_put_hashes(peerio_out(p->io), &req->asked, hashes, n);
	throttle_settle(p->sw->e->up, &p->up_turn, 0, bytes);
	if (!req->is_owed)
		charge(p, bytes * weight);
}

static void on_made(void *arg, int err, const uint8_t *leaves, uint32_t n)
{
	struct hashserve *hs = arg;

	hs->making = NULL;
	if (err == 0 &&
	    layers_add_piece(hs->t->layers, hs->making_ix, leaves, n) == 0)
		hashkeep_put_leaves(hs->t->hashkeep, hs->making_ix, leaves, n);
	loop_defer(hs->t->e->cfg.loop, &hs->pump);
}

static int begin_make(struct hashserve *hs)
{
	struct torrent *t = hs->t;

	return leafmake_start(t->ps, t->e->cfg.workers, t->mi, hs->making_ix,
			      on_made, hs, &hs->making);
}

/* What the store remembers costs less than reading the piece. */
static void on_kept(void *arg, int err)
{
	struct hashserve *hs = arg;

	hs->is_reading = false;
	if (err == 0 || begin_make(hs) != 0)
		loop_defer(hs->t->e->cfg.loop, &hs->pump);
}

static enum step make_leaves(struct hashserve *hs, struct peer *p,
			     struct hash_request *req, uint32_t piece_ix)
{
	struct torrent *t = hs->t;
	uint64_t n_pieces =
		n_leaves(&req->span) * MERKLE_LEAF_BYTES / t->mi->piece_bytes +
		1;

	if (piece_ix == UINT32_MAX || !bits_has(pieces_have(t->ps), piece_ix) ||
	    req->n_makes >= n_pieces + EXTRA_MAKES)
		return STEP_DONE;
	if (hs->making != NULL || hs->is_reading)
		return STEP_WAIT;
	hs->making_ix = piece_ix;
	hs->is_reading =
		hashkeep_get_leaves(t->hashkeep, piece_ix, on_kept, hs) == 0;
	if (!hs->is_reading && begin_make(hs) != 0)
		return STEP_LATER;
	req->n_makes++;
	if (!req->is_owed)
		charge(p, metainfo_piece_bytes(t->mi, piece_ix));
	return STEP_WAIT;
}

static enum step cannot_tell(struct hashserve *hs, struct peer *p,
			     struct hash_request *req)
{
	struct hash_queue *q = p->hashes;
	uint64_t now_us = loop_now_us(p->sw->loop);
	enum step step = make_leaves(
		hs, p, req, layers_lacks_leaves(hs->t->layers, &req->span));

	if (step != STEP_DONE)
		return step;
	if (q->ignorant_us != 0 && now_us < q->ignorant_us + IGNORANT_US)
		return STEP_LATER;
	q->ignorant_us = now_us;
	refuse(p, &req->asked);
	return STEP_DONE;
}

static bool may_answer(struct peer *p, const struct hash_request *req)
{
	if (peerio_queued_bytes(p->io) > HASHSERVE_OUT_BYTES)
		return false;
	return req->is_owed ||
	       (rate_bucket_may(&p->hashes->bucket, loop_now_us(p->sw->loop)) &&
		throttle_debt(p->sw->e->up) == 0);
}

static enum step answer(struct hashserve *hs, struct peer *p,
			struct hash_request *req)
{
	uint32_t n = hash_span_n(&req->span);
	uint8_t *hashes;
	enum step step = STEP_DONE;
	int r;

	if (!may_answer(p, req))
		return STEP_LATER;
	hashes = mem_alloc((size_t)n * WIRE_NODE_BYTES);
	if (hashes == NULL)
		return STEP_LATER;
	r = layers_get(hs->t->layers, &req->span, hashes);
	if (r == 0)
		tell(p, req, hashes, n);
	else if (r == EAGAIN)
		step = STEP_TURN;
	else if (r == ENOENT)
		step = cannot_tell(hs, p, req);
	else
		refuse(p, &req->asked);
	mem_free(hashes);
	return step;
}

/* The peer's queue as far as it can be answered now. */
static enum step serve(struct hashserve *hs, struct peer *p)
{
	struct hash_queue *q = p->hashes;
	struct hash_request *req;
	enum step step = STEP_DONE;

	while (step == STEP_DONE && (req = TAILQ_FIRST(&q->list)) != NULL) {
		step = answer(hs, p, req);
		if (step == STEP_DONE)
			drop_request(q, req);
	}
	return step;
}

static void on_pump(void *arg)
{
	struct hashserve *hs = arg;
	struct torrent *t = hs->t;
	bool is_later = false;
	struct peer *p;

	if (t->state != TORRENT_READY)
		return;
	TAILQ_FOREACH (p, &t->swarm->peers, link) {
		enum step step = p->hashes == NULL ? STEP_DONE : serve(hs, p);

		if (step == STEP_TURN)
			loop_defer(t->e->cfg.loop, &hs->pump);
		is_later = is_later || step == STEP_LATER;
	}
	if (is_later && !loop_timer_is_armed(hs->timer))
		loop_timer_start(hs->timer, RETRY_US);
}
