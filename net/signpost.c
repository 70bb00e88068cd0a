/* signpost — what keys of BEP 46 name now.
 *
 * Happy path of one that nobody knew: signpost_use starts a look; its errand
 * brings the item, the item's value says which torrent; the owner above is
 * told. From then on each use is answered from memory, and a timer looks again
 * (SIGNPOST_POLL_MS while it is used, SIGNPOST_IDLE_MS else; at a use, if
 * SIGNPOST_FRESH_MS have passed) and puts the item
 * again (SIGNPOST_PUT_MS), which keeps it alive in the DHT (BEP 46; BEP 44 lets
 * items go after two hours). The next run begins with what was known.
 *
 * An item is put from here the same way, but is `offered` first, and known
 * when nodes have taken it.
 *
 * No look begins before the store has said what the last run knew, so that
 * nothing older is ever told, not even for a moment.
 *
 * Failure modes
 *   nobody has it        looked for twice (if there is time), since a node that
 * has just come up may ask the wrong ones; then err is ENOENT the network is
 * back  what is known is newer than what nodes have: it is put its value is no
 * known, but leads nowhere: hash.len is 0 torrent              (BEP 44's items
 * may say anything)
 *
 * Invariants: `get` while a look is under way, `put` while a put is; n_strange
 * counts those that are neither known nor kept; one timer each. */
#include "net/signpost.h"

#include <string.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/rng.h"
#include "dht/items.h"
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/signpost_internal.h"

_Static_assert((int)BTPK_SALT_MAX == (int)DHT_SALT_MAX, "of the same thing");

static void put_again(struct signpost *s);

uint64_t signpost_now_us(const struct signpost *s)
{
	return loop_now_us(s->all->e->cfg.loop);
}

uint64_t signpost_about_us(uint64_t ms)
{
	return ms * 750 + rng_u64() % (ms * 500 + 1);
}

/* ---- when what is due ---- */

static bool is_busy(const struct signpost *s)
{
	return s->get != NULL || s->put != NULL || s->is_wanted;
}

void signpost_arm(struct signpost *s)
{
	uint64_t due_us = s->look_due_us, now = signpost_now_us(s);

	if (s->is_known && s->put_due_us < due_us)
		due_us = s->put_due_us;
	loop_timer_start(s->timer, due_us > now ? due_us - now : 0);
}

void signpost_forget(struct signpost *s)
{
	struct signposts *all = s->all;

	errand_cancel(s->get);
	errand_cancel(s->put);
	loop_timer_free(s->timer);
	TAILQ_REMOVE(&all->list, s, link);
	all->n--;
	mem_free(s->offered);
	mem_free(s);
}

static bool is_used(const struct signpost *s)
{
	return s->is_kept ||
	       (s->used_us != 0 && signpost_now_us(s) - s->used_us <
					   SIGNPOST_USED_MS * UINT64_C(1000));
}

static void plan_look(struct signpost *s)
{
	uint64_t wait_us = signpost_about_us(SIGNPOST_IDLE_MS);

	if (!s->is_known && !s->is_kept)
		wait_us = SIGNPOST_LINGER_MS * UINT64_C(1000);
	else if (!s->is_known)
		wait_us = signpost_about_us(SIGNPOST_RETRY_MS);
	else if (is_used(s))
		wait_us = signpost_about_us(SIGNPOST_POLL_MS);
	s->look_due_us = signpost_now_us(s) + wait_us;
	signpost_arm(s);
}

static void look_calmly(struct signpost *s)
{
	if (signpost_look(s) != 0)
		plan_look(s);
}

static void on_timer(void *arg)
{
	struct signpost *s = arg;
	uint64_t now = signpost_now_us(s);

	if (is_busy(s))
		return; /* its end arms it */
	if (!s->is_known && !s->is_kept) {
		signpost_forget(s);
		return;
	}
	if (s->is_known && s->put_due_us <= now)
		put_again(s);
	else if (s->look_due_us <= now)
		look_calmly(s);
	else
		signpost_arm(s);
}

/* ---- what is known ---- */

bool signpost_take(struct signpost *s, const struct dht_item *item)
{
	char name[BTPK_NAME_BYTES], hex[TORRENT_HEX_BYTES];

	if (s->is_known && item->seq <= s->known.item.seq)
		return false;
	if (!item_box_set(&s->known, item))
		return false;
	if (!s->is_known)
		s->put_due_us =
			signpost_now_us(s) + signpost_about_us(SIGNPOST_PUT_MS);
	s->is_known = true;
	if (btpk_value_read(&s->hash, s->known.item.value) != 0)
		s->hash = (struct info_hash){0};
	signposts_save_soon(s->all);
	log_debug("%s: %s, seq %lld", btpk_name(&s->btpk, name),
		  s->hash.len != 0 ? info_hash_hex(&s->hash, hex)
				   : "no torrent",
		  (long long)item->seq);
	return true;
}

void signpost_tell(struct signpost *s)
{
	const struct engine *e = s->all->e;

	if (e->cfg.ops->on_signpost != NULL)
		e->cfg.ops->on_signpost(e->cfg.arg, s);
}

/* ---- looks ---- */

/* Nodes have what is older than what we know, or nothing: put it soon, but not
 * with each look. */
static void mend(struct signpost *s)
{
	uint64_t soon_us = s->put_us + SIGNPOST_MEND_MS * UINT64_C(1000);

	if (soon_us < s->put_due_us)
		s->put_due_us = soon_us;
}

void signpost_end_look(struct signpost *s, int err)
{
	s->err = err;
	s->tries = 0;
	s->looked_us = signpost_now_us(s);
	plan_look(s);
	signpost_tell(s);
}

static int err_of(int err)
{
	switch (err) {
	case 0:
	case ENOENT:
	case ENOMEM:
	case EBUSY:
		return err;
	case ENETDOWN:
		return ENOENT;
	}
	return ETIMEDOUT;
}

/* What those who answered have counts, should others be silent. */
static int verdict(const struct errand_result *result)
{
	if (result->err == ETIMEDOUT && result->n_answered >= SIGNPOST_ENOUGH)
		return ENOENT;
	return err_of(result->err);
}

/* There is time for another try. */
static bool is_young(const struct signpost *s)
{
	return signpost_now_us(s) - s->begun_us <
	       SIGNPOST_AGAIN_MS * UINT64_C(1000);
}

static void on_got(void *arg, const struct errand_result *result)
{
	struct signpost *s = arg;
	int err = verdict(result);

	s->get = NULL;
	if (result->err == ESHUTDOWN)
		return;
	if (result->err == 0 && !signpost_take(s, result->item) &&
	    result->item->seq < s->known.item.seq)
		mend(s);
	if (err == ENOENT && s->is_known)
		mend(s);
	else if (err == ENOENT && s->tries++ == 0 && is_young(s) &&
		 signpost_look(s) == 0)
		return;
	signpost_end_look(s, s->is_known ? 0 : err);
}

int signpost_look(struct signpost *s)
{
	struct errand_want want = {
		.is_mutable = true,
		.salt = span_of(s->btpk.salt, s->btpk.salt_len),
		.is_calm = s->is_known,
	};
	int r;

	if (s->get != NULL)
		return 0;
	s->is_wanted = !s->all->is_loaded;
	if (s->is_wanted)
		return 0;
	if (s->tries == 0)
		s->begun_us = signpost_now_us(s);
	memcpy(want.key, s->btpk.key, sizeof(want.key));
	r = errand_get(s->all->e, &want, SIGNPOST_LOOK_MS, on_got, s, &s->get);
	if (r != 0)
		s->get = NULL;
	return r;
}

/* ---- puts ---- */

static void end_put(struct signpost *s, const struct errand_result *result)
{
	s->put_us = signpost_now_us(s);
	s->put_due_us = s->put_us + signpost_about_us(SIGNPOST_PUT_MS);
	s->put_err = result->err;
	s->n_stored = result->n_stored;
	s->n_outdone = result->n_outdone;
	signpost_arm(s);
}

static void on_put_again(void *arg, const struct errand_result *result)
{
	struct signpost *s = arg;

	s->put = NULL;
	if (result->err == ESHUTDOWN)
		return;
	end_put(s, result);
	if (result->item != NULL && signpost_take(s, result->item))
		signpost_tell(s);
}

static void put_again(struct signpost *s)
{
	if (errand_put(s->all->e, &s->known.item, NULL, SIGNPOST_LOOK_MS,
		       on_put_again, s, &s->put) == 0)
		return;
	s->put = NULL;
	s->put_due_us = signpost_now_us(s) + SIGNPOST_MEND_MS * UINT64_C(1000);
	signpost_arm(s);
}

static void on_offered(void *arg, const struct errand_result *result)
{
	struct signpost *s = arg;
	bool is_new = false;

	s->put = NULL;
	if (result->err == ESHUTDOWN)
		return;
	/* What others have may be newer than what was offered. */
	if (result->item != NULL)
		is_new = signpost_take(s, result->item);
	if (result->err == 0) {
		is_new |= signpost_take(s, &s->offered->item);
		s->is_own = true;
		signposts_save_soon(s->all);
	}
	mem_free(s->offered);
	s->offered = NULL;
	end_put(s, result);
	if (s->get == NULL)
		plan_look(s);
	if (is_new)
		signpost_tell(s);
}

/* ---- birth ---- */

struct signpost *signpost_next(const struct engine *e, const struct signpost *s)
{
	if (s != NULL)
		return TAILQ_NEXT(s, link);
	return e->signposts != NULL ? TAILQ_FIRST(&e->signposts->list) : NULL;
}

struct signpost *signpost_find(const struct engine *e, const struct btpk *b)
{
	struct signpost *s = NULL;

	while ((s = signpost_next(e, s)) != NULL)
		if (btpk_eq(&s->btpk, b))
			break;
	return s;
}

/* Of those that nobody needs the one that was used longest ago. */
static bool make_room(struct signposts *all)
{
	struct signpost *s, *old = NULL;

	if (all->n < SIGNPOSTS_MAX)
		return true;
	TAILQ_FOREACH (s, &all->list, link)
		if (!s->is_own && !s->is_kept && !is_busy(s) &&
		    (old == NULL || s->used_s < old->used_s))
			old = s;
	if (old != NULL)
		signpost_forget(old);
	return old != NULL;
}

static unsigned count_strange(const struct signposts *all)
{
	const struct signpost *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &all->list, link)
		n += !s->is_known && !s->is_kept ? 1 : 0;
	return n;
}

int signpost_add(struct signposts *all, const struct btpk *b,
		 struct signpost **out)
{
	struct signpost *s;

	if (count_strange(all) >= SIGNPOSTS_STRANGE_MAX || !make_room(all))
		return EBUSY;
	s = mem_new(struct signpost);
	if (s == NULL)
		return ENOMEM;
	if (loop_timer_new(all->e->cfg.loop, on_timer, s, &s->timer) != 0) {
		mem_free(s);
		return ENOMEM;
	}
	s->all = all;
	s->btpk = *b;
	s->put_due_us = UINT64_MAX;
	s->look_due_us = UINT64_MAX;
	TAILQ_INSERT_TAIL(&all->list, s, link);
	all->n++;
	*out = s;
	return 0;
}

static int find_or_add(struct engine *e, const struct btpk *b,
		       struct signpost **out)
{
	ASSERT_LOOP(e->cfg.loop);
	if (e->signposts == NULL)
		return ESHUTDOWN;
	*out = signpost_find(e, b);
	return *out != NULL ? 0 : signpost_add(e->signposts, b, out);
}

static void mark_used(struct signpost *s)
{
	s->used_us = signpost_now_us(s);
	s->used_s = clock_wall_s();
}

static bool is_stale(const struct signpost *s, uint64_t ms)
{
	return s->looked_us == 0 ||
	       signpost_now_us(s) - s->looked_us >= ms * 1000;
}

int signpost_use(struct engine *e, const struct btpk *b, struct signpost **out)
{
	struct signpost *s;
	int r = find_or_add(e, b, out);

	if (r != 0)
		return r;
	s = *out;
	mark_used(s);
	if (s->is_known) {
		if (!is_busy(s) && is_stale(s, SIGNPOST_FRESH_MS))
			look_calmly(s);
		return s->hash.len != 0 ? 0 : ENOENT;
	}
	if (!is_busy(s) && s->err != 0 && !is_stale(s, SIGNPOST_STAND_MS))
		return s->err;
	r = signpost_look(s);
	if (r != 0)
		plan_look(s);
	return r != 0 ? r : EAGAIN;
}

int signpost_keep(struct engine *e, const struct btpk *b, struct signpost **out)
{
	int r = find_or_add(e, b, out);
	bool was_kept;

	if (r != 0)
		return r;
	was_kept = (*out)->is_kept;
	mark_used(*out);
	(*out)->is_kept = true;
	(*out)->brought = (struct info_hash){0};
	signposts_save_soon(e->signposts);
	look_calmly(*out);
	return was_kept ? EEXIST : 0;
}

void signpost_bring(struct signpost *s)
{
	s->brought = s->hash;
	signposts_save_soon(s->all);
}

int signpost_drop(struct signpost *s)
{
	struct signposts *all = s->all;

	ASSERT_LOOP(all->e->cfg.loop);
	if (!all->is_loaded)
		return EAGAIN;
	errand_cancel(s->get);
	errand_cancel(s->put);
	s->get = s->put = NULL;
	s->is_known = false;
	s->hash = (struct info_hash){0};
	s->err = ENOENT;
	signpost_tell(s);
	signpost_forget(s);
	signposts_save_soon(all);
	return 0;
}

static bool same_value(const struct dht_item *a, const struct dht_item *b)
{
	return a->seq == b->seq && a->value.len == b->value.len &&
	       memcmp(a->value.ptr, b->value.ptr, a->value.len) == 0;
}

static int offer(struct signpost *s, const struct dht_item *item,
		 const int64_t *cas)
{
	int r;

	if (s->put != NULL)
		return EBUSY;
	if (s->is_known && item->seq <= s->known.item.seq &&
	    !same_value(item, &s->known.item))
		return EEXIST;
	s->offered = mem_new(struct item_box);
	if (s->offered == NULL)
		return ENOMEM;
	(void)item_box_set(s->offered, item);
	r = errand_put(s->all->e, item, cas, SIGNPOST_OFFER_MS, on_offered, s,
		       &s->put);
	if (r == 0)
		return 0;
	s->put = NULL;
	mem_free(s->offered);
	s->offered = NULL;
	return r;
}

int signpost_put(struct engine *e, const struct signpost_offer *o,
		 struct signpost **out)
{
	const struct dht_item item = {
		.value = o->value,
		.is_mutable = true,
		.key = o->btpk.key,
		.sig = o->sig,
		.seq = o->seq,
		.salt = span_of(o->btpk.salt, o->btpk.salt_len),
	};
	int r;

	if (item_look(&item) != ITEM_GOOD)
		return EINVAL;
	r = find_or_add(e, &o->btpk, out);
	if (r != 0)
		return r;
	mark_used(*out);
	r = offer(*out, &item, o->cas);
	if (r != 0 && !is_busy(*out))
		plan_look(*out);
	return r;
}

/* ---- to be seen ---- */

static uint64_t ago_us(const struct signpost *s, uint64_t then_us)
{
	return then_us != 0 ? signpost_now_us(s) - then_us : UINT64_MAX;
}

void signpost_view(const struct signpost *s, struct signpost_view *out)
{
	*out = (struct signpost_view){
		.btpk = &s->btpk,
		.is_known = s->is_known,
		.seq = s->is_known ? s->known.item.seq : 0,
		.hash = s->hash,
		.is_own = s->is_own,
		.is_kept = s->is_kept,
		.brought = &s->brought,
		.is_asking = s->get != NULL || s->is_wanted,
		.err = s->err,
		.is_putting = s->put != NULL,
		.put_err = s->put_err,
		.n_stored = s->n_stored,
		.n_outdone = s->n_outdone,
		.looked_ago_us = ago_us(s, s->looked_us),
		.put_ago_us = ago_us(s, s->put_us),
	};
}
