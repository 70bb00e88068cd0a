/* metaget — an info dictionary from peers that may lie (BEP 9).
 *
 * Purpose: until the whole is hashed nothing that a peer says can be checked:
 * not the size, not a single block. So one guess is worked on at a time, and
 * a guess that fails costs its authors their turn.
 *
 * Words. *Target*: the guess: a size, and either everybody who claims it
 * (shared) or one of them alone (solo). *Assembly*: the blocks that have come
 * for the target. *Liar*: a peer who alone supplied a whole that was wrong.
 *
 * Happy path: the first claim becomes the target; each peer who claims that
 * size is given blocks nobody was asked for; when the last has come, the
 * blocks are joined, and the caller hashes them.
 *
 * Choosing: among the sizes that peers who may be asked claim: fewest
 * failures first, then most claims, then the oldest claim. A size that never
 * failed is tried shared; after that solo, since a mixture of one liar
 * with many honest peers never comes out right and never says who it was.
 * Every solo failure removes one liar, so it ends.
 *
 * Failure modes: a target from which nothing has come for METAGET_GIVE_UP_US
 * is left when there is another to try. A peer who rejects is left alone for
 * METAGET_STALE_US. An answer to a request of an earlier target is not held
 * against anybody: it is dropped. A request that stays unanswered for
 * METAGET_FORGET_US frees its place; `n_forgotten` lets the late answer pass.
 *
 * Invariants:
 *   1. n_have == the number of blocks with data, or n_blocks once joined
 *   2. whole != NULL exactly when all blocks had come; then no block has data
 *   3. a peer has at most METAGET_PEER_REQUESTS requests out
 *   4. memory: what has come, and once more while it is joined
 *
 * Not here: the wire (ext), hashing, deciding to hang up. */
#include "net/metaget.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/mem.h"
#include "net/ext.h"
#include "net/net_limits.h"

#define NOBODY UINT32_MAX

struct request {
	uint32_t block_ix;
	uint32_t len_bytes; /* that the answer must have */
	uint32_t target_no;
	uint64_t asked_us;
};

struct mg_peer {
	uint32_t peer; /* the caller's number */
	uint32_t size_bytes;
	bool is_liar;
	uint64_t rest_until_us;
	uint32_t n_out;
	uint32_t n_forgotten;
	struct request out[METAGET_PEER_REQUESTS];
};

struct mg_block {
	uint8_t *data;	   /* NULL: not here */
	uint64_t asked_us; /* last time, of anybody; 0: never */
};

struct mg_failure {
	uint32_t size_bytes;
	uint32_t n;
};

struct metaget {
	struct mg_peer *peers; /* in the order of their claims */
	uint32_t n_peers;
	struct mg_failure failed[METAGET_SIZES_MAX];
	uint32_t n_failed;
	uint64_t now_us;

	/* the target; size_bytes 0: none */
	uint32_t size_bytes;
	uint32_t solo; /* a peer, or NOBODY: shared */
	uint32_t target_no;
	uint64_t progress_us;

	/* its assembly */
	struct mg_block *blocks;
	uint32_t n_blocks;
	uint32_t n_have;
	uint32_t from; /* who sent all there is; NOBODY: several, or none */
	uint8_t *whole;
};

int metaget_new(struct metaget **out)
{
	struct metaget *mg = mem_new(struct metaget);

	if (!mg)
		return ENOMEM;
	mg->solo = NOBODY;
	mg->from = NOBODY;
	*out = mg;
	return 0;
}

static void drop_target(struct metaget *mg)
{
	for (uint32_t i = 0; i < mg->n_blocks; i++)
		mem_free(mg->blocks[i].data);
	mem_free(mg->blocks);
	mem_free(mg->whole);
	mg->blocks = NULL;
	mg->whole = NULL;
	mg->n_blocks = 0;
	mg->n_have = 0;
	mg->size_bytes = 0;
	mg->solo = NOBODY;
	mg->from = NOBODY;
	mg->target_no++;
}

void metaget_free(struct metaget *mg)
{
	if (!mg)
		return;
	drop_target(mg);
	mem_free(mg->peers);
	mem_free(mg);
}

static struct mg_peer *find_peer(const struct metaget *mg, uint32_t peer)
{
	for (uint32_t i = 0; i < mg->n_peers; i++)
		if (mg->peers[i].peer == peer)
			return &mg->peers[i];
	return NULL;
}

/* ---- failures of sizes ---- */

static struct mg_failure *find_failure(struct metaget *mg, uint32_t size_bytes)
{
	for (uint32_t i = 0; i < mg->n_failed; i++)
		if (mg->failed[i].size_bytes == size_bytes)
			return &mg->failed[i];
	return NULL;
}

static uint32_t failures_of(struct metaget *mg, uint32_t size_bytes)
{
	const struct mg_failure *f = find_failure(mg, size_bytes);

	return f ? f->n : 0;
}

/* When the table is full the size that failed least is forgotten: it costs
 * one more try, should it be claimed again. */
static void count_failure(struct metaget *mg, uint32_t size_bytes)
{
	struct mg_failure *f = find_failure(mg, size_bytes);

	if (!f && mg->n_failed < METAGET_SIZES_MAX) {
		f = &mg->failed[mg->n_failed++];
		*f = (struct mg_failure){.size_bytes = size_bytes};
	}
	if (!f) {
		f = &mg->failed[0];
		for (uint32_t i = 1; i < mg->n_failed; i++)
			if (mg->failed[i].n < f->n)
				f = &mg->failed[i];
		*f = (struct mg_failure){.size_bytes = size_bytes};
	}
	f->n++;
}

/* ---- choosing a target ---- */

static bool can_ask(const struct metaget *mg, const struct mg_peer *p)
{
	return !p->is_liar && p->rest_until_us <= mg->now_us;
}

static uint32_t claims_of(const struct metaget *mg, uint32_t size_bytes)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < mg->n_peers; i++)
		n += mg->peers[i].size_bytes == size_bytes &&
		     can_ask(mg, &mg->peers[i]);
	return n;
}

static const struct mg_peer *best_candidate(struct metaget *mg)
{
	const struct mg_peer *best = NULL;
	uint32_t best_failures = 0, best_claims = 0;

	for (uint32_t i = 0; i < mg->n_peers; i++) {
		const struct mg_peer *p = &mg->peers[i];
		uint32_t failures, claims;

		if (!can_ask(mg, p))
			continue;
		failures = failures_of(mg, p->size_bytes);
		claims = claims_of(mg, p->size_bytes);
		if (best &&
		    (failures > best_failures ||
		     (failures == best_failures && claims <= best_claims)))
			continue;
		best = p;
		best_failures = failures;
		best_claims = claims;
	}
	return best;
}

static bool set_target(struct metaget *mg, const struct mg_peer *p)
{
	uint32_t n =
		(p->size_bytes + EXT_METADATA_BLOCK - 1) / EXT_METADATA_BLOCK;

	drop_target(mg);
	mg->blocks = mem_zalloc(n, sizeof(*mg->blocks));
	if (!mg->blocks)
		return false;
	mg->n_blocks = n;
	mg->size_bytes = p->size_bytes;
	mg->solo = failures_of(mg, p->size_bytes) > 0 ? p->peer : NOBODY;
	mg->progress_us = mg->now_us;
	return true;
}

/* Is there anybody of whom the target could still be had? */
static bool is_target_alive(const struct metaget *mg)
{
	const struct mg_peer *p;

	if (mg->size_bytes == 0)
		return false;
	if (mg->solo == NOBODY)
		return claims_of(mg, mg->size_bytes) > 0;
	p = find_peer(mg, mg->solo);
	return p && p->size_bytes == mg->size_bytes && can_ask(mg, p);
}

/* Nothing came for long: whom we waited for rests, unless that leaves nobody
 * to ask. */
static void give_up_target(struct metaget *mg)
{
	uint32_t n_others = 0;

	for (uint32_t i = 0; i < mg->n_peers; i++) {
		const struct mg_peer *p = &mg->peers[i];
		bool is_ours = mg->solo != NOBODY
				       ? p->peer == mg->solo
				       : p->size_bytes == mg->size_bytes;

		n_others += !is_ours && can_ask(mg, p);
	}
	mg->progress_us = mg->now_us;
	if (n_others == 0)
		return;
	if (mg->solo != NOBODY)
		find_peer(mg, mg->solo)->rest_until_us =
			mg->now_us + METAGET_FORGET_US;
	count_failure(mg, mg->size_bytes);
	drop_target(mg);
}

static bool have_target(struct metaget *mg)
{
	const struct mg_peer *p;

	if (mg->whole)
		return false;
	if (is_target_alive(mg) &&
	    mg->now_us - mg->progress_us >= METAGET_GIVE_UP_US)
		give_up_target(mg);
	if (is_target_alive(mg))
		return true;
	p = best_candidate(mg);
	return p && set_target(mg, p);
}

/* ---- peers ---- */

int metaget_on_peer(struct metaget *mg, uint32_t peer, uint32_t size_bytes)
{
	struct mg_peer *p = find_peer(mg, peer);
	struct mg_peer *grown;

	if (size_bytes == 0 || size_bytes > METAINFO_WIRE_BYTES)
		return EPROTO;
	if (p) {
		p->size_bytes = size_bytes;
		return 0;
	}
	if (mg->n_peers == METAGET_PEERS_MAX)
		return ENOMEM;
	grown = mem_grow(mg->peers, mg->n_peers + 1, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	mg->peers = grown;
	grown[mg->n_peers++] = (struct mg_peer){
		.peer = peer,
		.size_bytes = size_bytes,
	};
	return 0;
}

static void forget_request(struct metaget *mg, struct mg_peer *p, uint32_t i)
{
	const struct request *r = &p->out[i];

	/* What only he was asked for may at once be asked of another. */
	if (r->target_no == mg->target_no && r->block_ix < mg->n_blocks &&
	    mg->blocks[r->block_ix].asked_us == r->asked_us)
		mg->blocks[r->block_ix].asked_us = 0;
	p->out[i] = p->out[--p->n_out];
}

void metaget_on_peer_gone(struct metaget *mg, uint32_t peer)
{
	struct mg_peer *p = find_peer(mg, peer);
	size_t behind;

	if (!p)
		return;
	while (p->n_out > 0)
		forget_request(mg, p, p->n_out - 1);
	if (mg->solo == peer && !mg->whole)
		drop_target(mg);
	/* His number may be given to another. */
	if (mg->from == peer)
		mg->from = NOBODY;
	behind = (size_t)(mg->peers + mg->n_peers - (p + 1));
	memmove(p, p + 1, behind * sizeof(*p));
	mg->n_peers--;
}

/* ---- requests ---- */

static uint32_t block_bytes(const struct metaget *mg, uint32_t ix)
{
	uint32_t begin = ix * EXT_METADATA_BLOCK;
	uint32_t left = mg->size_bytes - begin;

	return left < EXT_METADATA_BLOCK ? left : EXT_METADATA_BLOCK;
}

static int find_request(const struct metaget *mg, const struct mg_peer *p,
			uint32_t block_ix)
{
	for (uint32_t i = 0; i < p->n_out; i++)
		if (p->out[i].block_ix == block_ix &&
		    p->out[i].target_no == mg->target_no)
			return (int)i;
	return -1;
}

/* A block nobody was asked for, else the one that is out for longest. */
static uint32_t choose_block(const struct metaget *mg, const struct mg_peer *p)
{
	uint32_t oldest = NOBODY;

	for (uint32_t i = 0; i < mg->n_blocks; i++) {
		const struct mg_block *b = &mg->blocks[i];

		if (b->data)
			continue;
		if (b->asked_us == 0)
			return i;
		if (mg->now_us - b->asked_us < METAGET_STALE_US ||
		    find_request(mg, p, i) >= 0)
			continue;
		if (oldest == NOBODY ||
		    b->asked_us < mg->blocks[oldest].asked_us)
			oldest = i;
	}
	return oldest;
}

static void forget_old(struct metaget *mg, struct mg_peer *p)
{
	for (uint32_t i = p->n_out; i-- > 0;) {
		if (mg->now_us - p->out[i].asked_us < METAGET_FORGET_US)
			continue;
		forget_request(mg, p, i);
		p->n_forgotten++;
	}
}

bool metaget_next(struct metaget *mg, uint32_t peer, uint64_t now_us,
		  uint32_t *block_ix)
{
	struct mg_peer *p = find_peer(mg, peer);
	uint32_t ix;

	/* 0 stands for "never asked". */
	mg->now_us = now_us > 0 ? now_us : 1;
	if (!p || !can_ask(mg, p))
		return false;
	forget_old(mg, p);
	if (p->n_out == METAGET_PEER_REQUESTS || !have_target(mg))
		return false;
	if (p->size_bytes != mg->size_bytes ||
	    (mg->solo != NOBODY && mg->solo != peer) || !can_ask(mg, p))
		return false;
	ix = choose_block(mg, p);
	if (ix == NOBODY)
		return false;
	mg->blocks[ix].asked_us = mg->now_us;
	p->out[p->n_out++] = (struct request){
		.block_ix = ix,
		.len_bytes = block_bytes(mg, ix),
		.target_no = mg->target_no,
		.asked_us = mg->now_us,
	};
	*block_ix = ix;
	return true;
}

/* ---- answers ---- */

/* The request that an answer of `len_bytes` (0: a reject) belongs to: of the
 * target if it can be, else of an earlier one. */
static int match_request(const struct metaget *mg, const struct mg_peer *p,
			 uint32_t block_ix, size_t len_bytes)
{
	int found = -1;

	for (uint32_t i = 0; i < p->n_out; i++) {
		const struct request *r = &p->out[i];

		if (r->block_ix != block_ix ||
		    (len_bytes != 0 && r->len_bytes != len_bytes))
			continue;
		if (found < 0 || r->target_no == mg->target_no)
			found = (int)i;
	}
	return found;
}

static int join_blocks(struct metaget *mg)
{
	uint8_t *whole = mem_alloc(mg->size_bytes);

	if (!whole)
		return ENOMEM;
	for (uint32_t i = 0; i < mg->n_blocks; i++) {
		memcpy(whole + (size_t)i * EXT_METADATA_BLOCK,
		       mg->blocks[i].data, block_bytes(mg, i));
		mem_free(mg->blocks[i].data);
		mg->blocks[i].data = NULL;
	}
	mg->whole = whole;
	return 0;
}

static int take_block(struct metaget *mg, uint32_t peer, uint32_t ix,
		      struct span data)
{
	struct mg_block *b = &mg->blocks[ix];

	if (b->data || mg->whole)
		return 0;
	b->data = mem_dup(data.ptr, data.len);
	if (!b->data) {
		b->asked_us = 0;
		return ENOMEM;
	}
	mg->from = mg->n_have == 0 || mg->from == peer ? peer : NOBODY;
	mg->n_have++;
	mg->progress_us = mg->now_us;
	if (mg->n_have < mg->n_blocks || join_blocks(mg) == 0)
		return 0;
	/* The last one is given back, so that it is asked for once more. */
	mem_free(b->data);
	b->data = NULL;
	b->asked_us = 0;
	mg->n_have--;
	return ENOMEM;
}

int metaget_on_data(struct metaget *mg, uint32_t peer, uint32_t block_ix,
		    struct span data)
{
	struct mg_peer *p = find_peer(mg, peer);
	bool is_current;
	int i;

	if (!p || data.len == 0)
		return EPROTO;
	i = match_request(mg, p, block_ix, data.len);
	if (i < 0 && p->n_forgotten > 0) {
		p->n_forgotten--;
		return 0;
	}
	if (i < 0)
		return EPROTO;
	is_current = p->out[i].target_no == mg->target_no;
	p->out[i] = p->out[--p->n_out];
	return is_current ? take_block(mg, peer, block_ix, data) : 0;
}

void metaget_on_reject(struct metaget *mg, uint32_t peer, uint32_t block_ix)
{
	struct mg_peer *p = find_peer(mg, peer);
	int i = p ? match_request(mg, p, block_ix, 0) : -1;

	if (i < 0)
		return;
	forget_request(mg, p, (uint32_t)i);
	p->rest_until_us = mg->now_us + METAGET_STALE_US;
}

struct span metaget_whole(const struct metaget *mg)
{
	return span_of(mg->whole, mg->whole ? mg->size_bytes : 0);
}

void metaget_on_bad(struct metaget *mg)
{
	struct mg_peer *p = find_peer(mg, mg->from);

	assert(mg->whole);
	if (p)
		p->is_liar = true;
	count_failure(mg, mg->size_bytes);
	drop_target(mg);
}

bool metaget_is_liar(const struct metaget *mg, uint32_t peer)
{
	const struct mg_peer *p = find_peer(mg, peer);

	return p && p->is_liar;
}
