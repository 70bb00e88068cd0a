/* fake_signpost — a handful of keys, of one engine. */
#include "tests/lib/fake_signpost.h"

#include <assert.h>
#include <string.h>

#include "core/err.h"

enum { KEYS = 8 };

struct signpost {
	struct btpk btpk;
	bool is_known, is_asking, is_kept;
	int64_t seq;
	struct info_hash hash;
	int err;
};

static struct signpost all[KEYS];
static unsigned n_all, n_looks, n_hurries;
static struct signpost_offer put;
static uint8_t put_value[1000];
static int64_t put_cas;
static bool has_put;
static int put_err;

struct signpost *signpost_find(const struct engine *e, const struct btpk *b)
{
	for (unsigned i = 0; i < n_all; i++)
		if (btpk_eq(&all[i].btpk, b))
			return &all[i];
	return NULL;
}

struct signpost *signpost_next(const struct engine *e, const struct signpost *s)
{
	unsigned i = s != NULL ? (unsigned)(s - all) + 1 : 0;

	return i < n_all ? &all[i] : NULL;
}

static struct signpost *find_or_add(const struct btpk *b)
{
	struct signpost *s = signpost_find(NULL, b);

	if (s != NULL)
		return s;
	assert(n_all < KEYS);
	s = &all[n_all++];
	*s = (struct signpost){.btpk = *b};
	return s;
}

int signpost_use(struct engine *e, const struct btpk *b, struct signpost **out)
{
	struct signpost *s = find_or_add(b);

	*out = s;
	n_looks++;
	if (s->is_known)
		return s->hash.len != 0 ? 0 : ENOENT;
	if (s->err != 0)
		return s->err;
	s->is_asking = true;
	return EAGAIN;
}

int signpost_keep(struct engine *e, const struct btpk *b, struct signpost **out)
{
	bool was_kept;

	*out = find_or_add(b);
	was_kept = (*out)->is_kept;
	(*out)->is_kept = true;
	return was_kept ? EEXIST : 0;
}

void signpost_bring(struct signpost *s)
{
}

int signpost_drop(struct signpost *s)
{
	memmove(s, s + 1, (size_t)(&all[n_all] - (s + 1)) * sizeof(*s));
	n_all--;
	return 0;
}

/* As with a store in memory. */
int signpost_settle(struct engine *e, struct signpost_wait *w)
{
	return ENOENT;
}

void signpost_settle_cancel(struct signpost_wait *w)
{
}

void signpost_hurry(struct engine *e)
{
	n_hurries++;
}

unsigned fake_signpost_hurries(void)
{
	return n_hurries;
}

int signpost_put(struct engine *e, const struct signpost_offer *o,
		 struct signpost **out)
{
	if (put_err != 0)
		return put_err;
	*out = find_or_add(&o->btpk);
	memcpy(put_value, o->value.ptr, o->value.len);
	put = *o;
	put.value.ptr = put_value;
	put_cas = o->cas != NULL ? *o->cas : 0;
	put.cas = o->cas != NULL ? &put_cas : NULL;
	has_put = true;
	return 0;
}

void signpost_view(const struct signpost *s, struct signpost_view *out)
{
	static const struct info_hash none;

	*out = (struct signpost_view){
		.brought = &none,
		.btpk = &s->btpk,
		.is_known = s->is_known,
		.seq = s->seq,
		.hash = s->hash,
		.is_kept = s->is_kept,
		.is_asking = s->is_asking,
		.err = s->err,
		.n_stored = has_put ? 8 : 0,
		.looked_ago_us = UINT64_MAX,
		.put_ago_us = UINT64_MAX,
	};
}

struct signpost *fake_signpost_tell(const struct btpk *b, uint8_t fill,
				    int64_t seq, int err)
{
	struct signpost *s = find_or_add(b);

	s->is_asking = false;
	s->err = err;
	s->is_known = fill != 0;
	s->seq = seq;
	s->hash = (struct info_hash){.len = fill != 0 ? 20 : 0};
	memset(s->hash.bytes, fill, s->hash.len);
	return s;
}

unsigned fake_signpost_looks(void)
{
	return n_looks;
}

const struct signpost_offer *fake_signpost_offer(int err)
{
	put_err = err;
	return has_put ? &put : NULL;
}

void fake_signpost_forget(void)
{
	n_all = n_looks = 0;
	has_put = false;
	put_err = 0;
}
