/* follow — keys that are followed.
 *
 * The engine keeps them looked up, and remembers them; each time that one names
 * another torrent, that is added as if it had been given itself. What was there
 * before stays. */
#include "cmd/follow.h"

#include <string.h>

#include "cmd/source.h"
#include "core/err.h"
#include "core/log.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "fs/library.h"
#include "net/signpost.h"

static bool is_awaited(const struct follow *f, const struct btpk *b,
		       unsigned *at)
{
	for (*at = 0; *at < f->n_keys; ++*at)
		if (btpk_eq(&f->keys[*at], b))
			return true;
	return false;
}

int follow_key(struct follow *f, struct engine *e, const struct magnet *m)
{
	struct btpk *grown;
	struct signpost *s;
	unsigned at;
	int r;

	if (!m || !m->has_key || is_awaited(f, &m->btpk, &at))
		return 0;
	grown = mem_grow(f->keys, f->n_keys + 1u, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	f->keys = grown;
	r = signpost_keep(e, &m->btpk, &s);
	if (r == 0)
		f->keys[f->n_keys++] = m->btpk;
	return r == EEXIST ? 0 : r;
}

void follow_fini(struct follow *f)
{
	mem_free(f->keys);
	f->keys = NULL;
	f->n_keys = 0;
}

static bool is_same(const struct info_hash *a, const struct info_hash *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static void on_added(void *arg, int err, const char *text)
{
	struct follow *f = arg;

	f->n_adding--;
	if (err && err != EEXIST)
		log_err("cannot add what a key names: %s", text);
	f->on_change(f->arg);
}

static bool add(struct follow *f, const struct info_hash *hash)
{
	struct library_source src = {0};
	int r = source_of_hash(hash, &src);

	if (!r)
		r = library_add(f->mount, &src, RECORD_BY_COMMAND, on_added, f,
				NULL);
	if (!r)
		f->n_adding++;
	else
		log_err("cannot add what a key names: %s", err_text(r));
	source_free(&src);
	return r == 0;
}

void follow_on_signpost(struct follow *f, struct signpost *s)
{
	struct signpost_view v;
	unsigned at;

	signpost_view(s, &v);
	if (!v.is_kept || v.is_asking)
		return;
	/* One that was removed meanwhile does not come back by itself. */
	if (v.hash.len != 0 && !is_same(&v.hash, v.brought) && add(f, &v.hash))
		signpost_bring(s);
	if (is_awaited(f, v.btpk, &at))
		f->keys[at] = f->keys[--f->n_keys];
	f->on_change(f->arg);
}
