/* pieces_vet — held pieces that are hashed again where the store has them.
 *
 * Purpose: bytes on a disk may be changed by anybody who may write there. What
 * the store calls doubtful is hashed before the store is read; and any piece
 * can be, for whoever wants to know (verify).
 *
 * How: one vet a piece at a time, however many wait for it. It has no memory of
 * its own: the store's worker reads and hashes slice by slice. Right: who asked
 * for it has what he wants of it by then, of the very bytes that were hashed;
 * so he gets on however often somebody changes the file. Who came later reads
 * the store, or asks for the next. Wrong, or gone: the row goes, and the piece
 * is ABSENT, as if a read had failed; what memory has of it stays, and is there
 * only (unkept).
 *
 * A piece of v2 alone is judged by a hash that may have to be read back from
 * the store first (net/); if it is not there in time the piece counts as wrong,
 * and its hash comes with its bytes. A hybrid is judged by v1 then.
 *
 * Failure modes: no memory: nothing is known, and the error is the waiter's. */
#include "cache/pieces_internal.h"

#include <errno.h>

#include "cache/store.h"
#include "cache/store_vet.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/layers.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

LIST_HEAD(vet_waits, vet_wait);

struct vet {
	struct pieces *ps; /* Owner */
	uint32_t ix;
	unsigned n_tries;
	bool is_hurried;
	bool is_offer;	 /* it is not held yet */
	bool is_lacking; /* its v2 hash is not known; nothing runs */
	uint64_t since_us;
	bool is_read; /* `first` has what it wants */
	struct vet_wait *first;
	struct vet_waits waits;
	TAILQ_ENTRY(vet) link; /* ps->vets.list */
};

static struct vet *find(const struct pieces *ps, uint32_t ix)
{
	struct vet *v;

	TAILQ_FOREACH (v, &ps->vets.list, link)
		if (v->ix == ix)
			return v;
	return NULL;
}

bool pieces_vet_is_on(const struct pieces *ps, uint32_t ix)
{
	return find(ps, ix) != NULL;
}

/* Whoever is called may close everything. */
static void end(struct vet *v, int err)
{
	struct pieces *ps = v->ps;
	struct vet_wait *w;

	TAILQ_REMOVE(&ps->vets.list, v, link);
	pieces_job_begin(ps);
	while ((w = LIST_FIRST(&v->waits)) != NULL) {
		LIST_REMOVE(w, link);
		w->is_read = v->is_read && w == v->first;
		w->fn(w->arg, ps->is_closed ? ESTALE : err);
	}
	mem_free(v);
	pieces_job_end(ps);
}

/* Not what it must be. */
static void lose(struct pieces *ps, uint32_t ix)
{
	struct slot *s = pieces_slot(ps, ix);

	ps->vets.n_bad++;
	log_info("piece %u is not on the disk as it was written: it is fetched "
		 "anew",
		 ix);
	if (s == NULL || s->blk == NULL) {
		pieces_lose(ps, ix);
		return;
	}
	store_forget(ps->st, ix);
	if (piece_state(ps, ix) == PIECE_CLEAN)
		s->is_unkept = true; /* a put under way says so itself */
}

static int start(struct vet *v);

/* Of the user's files, and what it must be: it is held from now on. */
static void take_offer(struct vet *v, int err)
{
	struct pieces *ps = v->ps;

	if (err == 0)
		pieces_gain(ps, v->ix);
	if (!ps->is_closed && ps->is_barred)
		loop_defer(ps->cfg.loop, &ps->room_task);
	ps->is_barred = false;
}

static void on_vetted(void *arg, int err)
{
	struct vet *v = arg;
	struct pieces *ps = v->ps;

	ps->n_hashed += err == 0 || err == EBUSY || err == EBADMSG;
	v->is_read = (err == 0 || err == EBUSY) && v->first->dst != NULL;
	if (ps->is_closed)
		err = ESTALE;
	else if (v->is_offer)
		take_offer(v, err);
	else if (!bits_has(&ps->have, v->ix))
		err = ENOENT;
	else if (err == EBUSY)
		err = 0;
	else if (err == EAGAIN && ++v->n_tries < VET_TRIES)
		err = start(v) == 0 ? EINPROGRESS : ENOMEM;
	else if (err == EAGAIN || err == EBADMSG || err == EIO) {
		lose(ps, v->ix);
		err = EIO;
	}
	if (err != EINPROGRESS)
		end(v, err);
	pieces_job_end(ps);
}

/* On v2's side: 0 and the hash, or none; EAGAIN: not yet. */
static int root_of(const struct pieces *ps, uint32_t ix,
		   uint8_t hash[HASH_SHA256_BYTES], const uint8_t **root)
{
	*root = NULL;
	if (ps->cfg.layers == NULL || metainfo_v2_bytes(ps->cfg.mi, ix) == 0)
		return 0;
	if (layers_piece(ps->cfg.layers, ix, hash)) {
		*root = hash;
		return 0;
	}
	return ps->cfg.mi->has_v1 ? 0 : EAGAIN;
}

bool pieces_vet_can(const struct pieces *ps, uint32_t ix)
{
	uint8_t hash[HASH_SHA256_BYTES];
	const uint8_t *root;

	return root_of(ps, ix, hash, &root) == 0;
}

static void on_timer(void *arg)
{
	struct pieces *ps = arg;
	uint64_t now_us = loop_now_us(ps->cfg.loop);
	struct vet *v, *next;

	pieces_job_begin(ps);
	TAILQ_FOREACH_SAFE (v, &ps->vets.list, link, next) {
		if (!v->is_lacking ||
		    now_us - v->since_us < VET_HASH_MS * UINT64_C(1000))
			continue;
		v->is_lacking = false;
		if (bits_has(&ps->have, v->ix))
			lose(ps, v->ix);
		end(v, EIO);
		if (ps->is_closed)
			break;
		next = TAILQ_FIRST(&ps->vets.list);
	}
	if (!ps->is_closed && !TAILQ_EMPTY(&ps->vets.list))
		loop_timer_start(ps->vets.timer, VET_HASH_MS * UINT64_C(1000));
	pieces_job_end(ps);
}

static int lack(struct vet *v)
{
	struct pieces *ps = v->ps;
	int err = 0;

	if (ps->vets.timer == NULL)
		err = loop_timer_new(ps->cfg.loop, on_timer, ps,
				     &ps->vets.timer);
	if (err != 0)
		return err;
	v->is_lacking = true;
	v->since_us = loop_now_us(ps->cfg.loop);
	if (!loop_timer_is_armed(ps->vets.timer))
		loop_timer_start(ps->vets.timer, VET_HASH_MS * UINT64_C(1000));
	return 0;
}

static int start(struct vet *v)
{
	struct pieces *ps = v->ps;
	uint8_t hash[HASH_SHA256_BYTES];
	struct vet_ask ask = {.is_hurried = v->is_hurried,
			      .dst = v->first->dst,
			      .at_bytes = v->first->at_bytes,
			      .len_bytes = v->first->len_bytes};
	int err = root_of(ps, v->ix, hash, &ask.root);

	if (err == EAGAIN)
		return lack(v);
	err = store_vet(ps->st, v->ix, &ask, on_vetted, v);
	if (err == 0)
		pieces_job_begin(ps);
	return err;
}

int pieces_vet(struct pieces *ps, uint32_t ix, bool is_hurried,
	       struct vet_wait *w)
{
	const struct slot *s = pieces_slot(ps, ix);
	struct vet *v = find(ps, ix);
	int err;

	ASSERT_LOOP(ps->cfg.loop);
	if (s != NULL && s->is_unkept)
		return ENOENT;
	if (v == NULL) {
		v = mem_new(struct vet);
		if (v == NULL)
			return ENOMEM;
		v->ps = ps;
		v->ix = ix;
		v->is_hurried = is_hurried;
		v->first = w;
		v->is_offer = !bits_has(&ps->have, ix);
		LIST_INIT(&v->waits);
		err = start(v);
		if (err != 0) {
			mem_free(v);
			return err;
		}
		TAILQ_INSERT_TAIL(&ps->vets.list, v, link);
	}
	LIST_INSERT_HEAD(&v->waits, w, link);
	return 0;
}

bool pieces_is_doubtful(const struct pieces *ps, uint32_t ix)
{
	return ps->st != NULL && bits_has(&ps->have, ix) &&
	       store_is_doubtful(ps->st, ix);
}

uint64_t pieces_bad(const struct pieces *ps)
{
	return ps->vets.n_bad;
}

void pieces_vet_on_hashes(struct pieces *ps, uint32_t ix)
{
	struct vet *v = find(ps, ix);
	int err;

	pieces_offer_on_hashes(ps, ix);
	if (v == NULL || !v->is_lacking)
		return;
	v->is_lacking = false;
	err = start(v);
	if (err != 0)
		end(v, err);
}

/* Those that run end when they come back. */
void pieces_vet_close(struct pieces *ps)
{
	struct vet *v, *next;

	pieces_offer_close(ps);
	TAILQ_FOREACH_SAFE (v, &ps->vets.list, link, next)
		if (v->is_lacking)
			end(v, ESTALE);
}

void pieces_vet_fini(struct pieces *ps)
{
	loop_timer_free(ps->vets.timer);
}
