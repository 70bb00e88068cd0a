/* signposts — all keys that are known, and what the store remembers of them.
 *
 * Happy path: the store gives back what the last run knew; looks that were
 * wanted meanwhile begin. What changes is given to it SIGNPOST_SAVE_MS later,
 * and at the end. Without a store that outlives us every run begins with
 * nothing.
 *
 * What comes back is looked at again soon, and put again, for nobody may have
 * kept it alive meanwhile. */
#include <string.h>

#include "cache/store.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/net_limits.h"
#include "net/signpost_internal.h"
#include "net/signpost_saved.h"

static const char NOTE[] = "btpk";

/* ---- what the store remembers ---- */

static void write_one(struct buf *b, const struct signpost *s)
{
	struct signpost_saved saved = {
		.used_s = s->used_s,
		.is_own = s->is_own,
		.is_kept = s->is_kept,
		.brought = s->brought,
	};

	if (s->is_known)
		saved.item = s->known.item;
	else
		saved.item = (struct dht_item){
			.is_mutable = true,
			.key = s->btpk.key,
			.salt = span_of(s->btpk.salt, s->btpk.salt_len)};
	if (s->is_known || s->is_kept)
		signpost_saved_add(b, &saved);
}

/* What the last run knew is not overwritten before it is here. */
static int save(struct signposts *all, store_done_fn *done, void *arg)
{
	struct buf b = {0};
	struct signpost *s;
	int r;

	if (!all->is_loaded)
		return EAGAIN;
	all->is_changed = false;
	loop_timer_stop(all->save);
	signpost_saved_begin(&b);
	TAILQ_FOREACH (s, &all->list, link)
		write_one(&b, s);
	signpost_saved_end(&b);
	r = buf_err(&b);
	if (r == 0)
		r = store_keep_note(all->e->cfg.store, NOTE, buf_span(&b), done,
				    arg);
	buf_fini(&b);
	return r;
}

static void on_save(void *arg)
{
	(void)save(arg, NULL, NULL);
}

/* Somebody waits for a note to be durable; he may go. */
struct signpost_saving {
	struct signpost_wait *wait;
};

static void on_saved(void *arg, int err)
{
	struct signpost_saving *sv = arg;
	struct signpost_wait *w = sv->wait;

	mem_free(sv);
	if (w == NULL)
		return;
	w->saving = NULL;
	w->done(w->arg, err);
}

int signpost_settle(struct engine *e, struct signpost_wait *w)
{
	struct signpost_saving *sv;
	int r;

	ASSERT_LOOP(e->cfg.loop);
	if (e->signposts == NULL)
		return ENOENT;
	sv = mem_new(struct signpost_saving);
	if (sv == NULL)
		return ENOMEM;
	sv->wait = w;
	r = save(e->signposts, on_saved, sv);
	if (r != 0)
		mem_free(sv);
	else if (w != NULL)
		w->saving = sv;
	return r;
}

void signpost_settle_cancel(struct signpost_wait *w)
{
	if (w->saving != NULL)
		w->saving->wait = NULL;
	w->saving = NULL;
}

void signpost_hurry(struct engine *e)
{
	ASSERT_LOOP(e->cfg.loop);
	if (e->signposts != NULL && e->signposts->is_changed)
		(void)save(e->signposts, NULL, NULL);
}

void signposts_save_soon(struct signposts *all)
{
	if (!all->is_changed)
		loop_timer_start(all->save, SIGNPOST_SAVE_MS * UINT64_C(1000));
	all->is_changed = true;
}

/* The store's answer may come when all is over. */
struct signposts_loading {
	struct signposts *all;
};

static void restore(void *arg, const struct signpost_saved *saved)
{
	struct signposts *all = arg;
	const struct dht_item *item = &saved->item;
	struct btpk b = {.salt_len = (uint8_t)item->salt.len};
	struct signpost *s;

	if (!saved->is_own && !saved->is_kept &&
	    clock_wall_s() - saved->used_s > SIGNPOST_KEEP_S)
		return;
	memcpy(b.key, item->key, sizeof(b.key));
	if (b.salt_len > 0)
		memcpy(b.salt, item->salt.ptr, b.salt_len);
	s = signpost_find(all->e, &b);
	if (s == NULL && signpost_add(all, &b, &s) != 0)
		return;
	s->is_own |= saved->is_own;
	if (!s->is_kept)
		s->brought = saved->brought;
	s->is_kept |= saved->is_kept;
	if (s->used_s < saved->used_s)
		s->used_s = saved->used_s;
	if (item->value.len == 0) {
		s->is_wanted = true; /* on_loaded looks */
		return;
	}
	(void)signpost_take(s, item);
	/* Soon, and not all at once. */
	s->put_due_us =
		signpost_now_us(s) + signpost_about_us(SIGNPOST_MEND_MS);
	s->look_due_us =
		signpost_now_us(s) + signpost_about_us(SIGNPOST_WAKE_MS);
	signpost_arm(s);
}

static void on_loaded(struct signposts *all)
{
	struct signpost *s;

	all->is_loaded = true;
	TAILQ_FOREACH (s, &all->list, link) {
		if (!s->is_wanted)
			continue;
		if (signpost_look(s) != 0)
			signpost_end_look(s, EBUSY);
		else if (s->is_known)
			signpost_tell(s); /* it need not wait */
	}
}

static void on_note(void *arg, int err, struct span note)
{
	struct signposts_loading *ld = arg;
	struct signposts *all = ld->all;

	mem_free(ld);
	if (all == NULL)
		return;
	all->loading = NULL;
	if (err == 0)
		err = signpost_saved_read(note, restore, all);
	if (err != 0 && err != ENOENT)
		log_notice("the saved links of keys: %s", err_text(err));
	on_loaded(all);
}

static void load(struct signposts *all)
{
	struct signposts_loading *ld = mem_new(struct signposts_loading);

	if (ld != NULL) {
		ld->all = all;
		if (store_load_note(all->e->cfg.store, NOTE, on_note, ld) ==
		    0) {
			all->loading = ld;
			return;
		}
		mem_free(ld);
	}
	all->is_loaded = true;
}

int signposts_new(struct engine *e, struct signposts **out)
{
	struct signposts *all = mem_new(struct signposts);

	if (all == NULL)
		return ENOMEM;
	all->e = e;
	TAILQ_INIT(&all->list);
	if (loop_timer_new(e->cfg.loop, on_save, all, &all->save) != 0) {
		mem_free(all);
		return ENOMEM;
	}
	*out = all;
	load(all);
	return 0;
}

void signposts_free(struct signposts *all)
{
	struct signpost *s;

	if (all == NULL)
		return;
	if (all->is_changed)
		(void)save(all, NULL, NULL);
	if (all->loading != NULL)
		all->loading->all = NULL;
	while ((s = TAILQ_FIRST(&all->list)) != NULL)
		signpost_forget(s);
	loop_timer_free(all->save);
	mem_free(all);
}
