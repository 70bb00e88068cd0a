/* bencode — the decoder (BEP 3).
 *
 * Purpose: turn a stranger's bytes into an array of tokens that can be walked
 * without another look at whether they are well-formed.
 *
 * Words: a *token* stands for one value: an integer, a string (keys too), a
 * list or a dictionary. Tokens lie in the order of their first byte, so the
 * tokens of a container's content follow its own, and `next` leaps over them.
 *
 * What a token does not hold, the bytes tell: its type is its first byte, the
 * end of a container is the 'e' behind its last item. That keeps it at 16
 * bytes. Of a large torrent there are millions, twice its own size: so those
 * of a container that is folded are dropped when it closes. It was looked
 * through like any other: decoding it again can find nothing new.
 *
 * Happy path: one loop over the bytes. The innermost open container is `open`;
 * while it is open its token's `next` names the container around it and its
 * `len` the last key seen, so nesting needs neither recursion nor a stack.
 * Closing it puts the final values there.
 *
 * Key order: an ascending key cannot be a duplicate, so only a dictionary that
 * broke the order (allowed by BENCODE_LAX_KEYS) is sorted when it closes, to
 * look for equal neighbours.
 *
 * Failure modes: malformed input EBADMSG, past depth, tokens or 4 GiB EFBIG,
 * ENOMEM; the token array is freed in each case.
 *
 * Limits: the token array grows by doubling as tokens are met, never by a
 * number that the input states, up to limits->tokens. */
#include "core/bencode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

struct benc_tok {
	uint32_t off;  /* of the first byte of the value */
	uint32_t len;  /* of the value; of an open dict: its last key */
	uint32_t next; /* token behind this value; of an open container: the
			  container around it */
	uint32_t aux;  /* string: bytes of "len:"; container: items */
};

/* Set in an open dictionary's aux when its keys were not ascending, and in a
 * closed container's when it is folded. */
#define AUX_UNSORTED 0x80000000u
#define AUX_FOLDED   0x80000000u
#define AUX_COUNT    0x7fffffffu

enum {
	TOKENS_AT_FIRST = 32,
	INT_MAX_DIGITS = 20,
	LEN_MAX_DIGITS = 10,
};

struct decoder {
	struct benc *b;
	const struct benc_limits *limits;
	struct benc_error *err;
	size_t in_len;
	size_t at;
	uint32_t open; /* token of the innermost open container, or NONE */
	uint32_t depth;
};

static int refuse(struct decoder *d, int code, const char *why)
{
	if (d->err)
		*d->err = (struct benc_error){.why = why, .at = d->at};
	return code;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static int add_token(struct decoder *d, uint32_t *ix)
{
	struct benc *b = d->b;
	struct benc_tok *tok;
	uint32_t cap;

	if (b->n_tok >= d->limits->tokens)
		return refuse(d, EFBIG, "too many values");
	if (b->n_tok == b->cap) {
		cap = b->cap > 0 ? b->cap * 2 : TOKENS_AT_FIRST;
		if (cap > d->limits->tokens)
			cap = d->limits->tokens;
		tok = mem_grow(b->tok, cap, sizeof(*tok));
		if (!tok)
			return ENOMEM;
		b->tok = tok;
		b->cap = cap;
	}
	*ix = b->n_tok++;
	b->tok[*ix] = (struct benc_tok){
		.off = (uint32_t)d->at,
		.next = *ix + 1,
	};
	return 0;
}

/* ---- the scalar forms; each leaves d->at behind the value ---- */

/* Digits of an int64 from `p` to `end`, both excluding sign and 'e'. */
static bool digits_fit(const uint8_t *p, const uint8_t *end, bool negative)
{
	uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	uint64_t v = 0;

	for (; p < end; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	return true;
}

static int read_int(struct decoder *d)
{
	const uint8_t *bytes = d->b->bytes;
	size_t first = d->at + 1;
	bool negative = first < d->in_len && bytes[first] == '-';
	size_t end;
	uint32_t ix;
	int r;

	first += negative ? 1 : 0;
	end = first;
	while (end < d->in_len && is_digit(bytes[end]) &&
	       end - first <= INT_MAX_DIGITS)
		end++;
	if (end >= d->in_len)
		return refuse(d, EBADMSG, "integer is cut off");
	if (end == first || bytes[end] != 'e')
		return refuse(d, EBADMSG, "integer is malformed");
	if (bytes[first] == '0' && (end - first > 1 || negative))
		return refuse(d, EBADMSG, "integer has a leading zero");
	if (!digits_fit(bytes + first, bytes + end, negative))
		return refuse(d, EBADMSG, "integer is beyond 64 bits");

	r = add_token(d, &ix);
	if (r != 0)
		return r;
	d->b->tok[ix].len = (uint32_t)(end + 1 - d->at);
	d->at = end + 1;
	return 0;
}

static int read_str(struct decoder *d)
{
	const uint8_t *bytes = d->b->bytes;
	size_t colon = d->at;
	uint64_t len = 0;
	uint32_t ix;
	int r;

	while (colon < d->in_len && is_digit(bytes[colon]) &&
	       colon - d->at < LEN_MAX_DIGITS)
		len = len * 10 + (uint64_t)(bytes[colon++] - '0');
	if (colon >= d->in_len)
		return refuse(d, EBADMSG, "string length is cut off");
	if (bytes[colon] != ':')
		return refuse(d, EBADMSG, "string length is malformed");
	if (bytes[d->at] == '0' && colon - d->at > 1)
		return refuse(d, EBADMSG, "string length has a leading zero");
	if (len > d->in_len - (colon + 1))
		return refuse(d, EBADMSG, "string is cut off");

	r = add_token(d, &ix);
	if (r != 0)
		return r;
	d->b->tok[ix].aux = (uint32_t)(colon + 1 - d->at);
	d->b->tok[ix].len = d->b->tok[ix].aux + (uint32_t)len;
	d->at = colon + 1 + (size_t)len;
	return 0;
}

/* ---- keys ---- */

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a;
	const struct span *y = b;
	size_t shorter = x->len < y->len ? x->len : y->len;
	int r = shorter > 0 ? memcmp(x->ptr, y->ptr, shorter) : 0;

	if (r != 0)
		return r;
	return (x->len > y->len) - (x->len < y->len);
}

/* Called with the token of a key that was just read. */
static int check_key(struct decoder *d, uint32_t key)
{
	struct benc_tok *dict = &d->b->tok[d->open];
	struct span now = benc_str(d->b, key);
	struct span before;
	int order;

	/* The root is never a key, so token 0 says that there was none. */
	if (dict->len != 0) {
		before = benc_str(d->b, dict->len);
		order = compare_spans(&before, &now);
		if (order == 0)
			return refuse(d, EBADMSG, "dictionary has a key twice");
		if (order > 0) {
			if (!(d->limits->flags & BENCODE_LAX_KEYS))
				return refuse(d, EBADMSG,
					      "dictionary keys are unsorted");
			dict->aux |= AUX_UNSORTED;
			d->b->is_unsorted = true;
		}
	}
	dict->len = key;
	return 0;
}

/* The dictionary from token `ix` to the newest; its values' `next` are set. */
static int find_duplicates(struct decoder *d, uint32_t ix, uint32_t n_keys)
{
	const struct benc *b = d->b;
	struct span *keys = mem_zalloc(n_keys, sizeof(*keys));
	uint32_t at = ix + 1;
	int r = 0;

	if (!keys)
		return ENOMEM;
	for (uint32_t i = 0; i < n_keys; i++) {
		keys[i] = benc_str(b, at);
		at = b->tok[at + 1].next; /* a key's value is one behind it */
	}
	qsort(keys, n_keys, sizeof(*keys), compare_spans);
	for (uint32_t i = 1; i < n_keys && r == 0; i++)
		if (compare_spans(&keys[i - 1], &keys[i]) == 0)
			r = refuse(d, EBADMSG, "dictionary has a key twice");
	mem_free(keys);
	return r;
}

/* ---- containers ---- */

static bool is_open_dict(const struct decoder *d)
{
	return d->open != BENC_NONE &&
	       d->b->bytes[d->b->tok[d->open].off] == 'd';
}

static uint32_t open_items(const struct decoder *d)
{
	return d->b->tok[d->open].aux & AUX_COUNT;
}

static int open_container(struct decoder *d)
{
	uint32_t ix;
	int r;

	if (d->depth >= d->limits->depth)
		return refuse(d, EFBIG, "nested too deeply");
	r = add_token(d, &ix);
	if (r != 0)
		return r;
	d->b->tok[ix].next = d->open;
	d->open = ix;
	d->depth++;
	d->at++;
	return 0;
}

static void fold(struct decoder *d, uint32_t ix)
{
	struct benc_tok *tok = &d->b->tok[ix];

	if (d->limits->fold_below == 0 || d->depth < d->limits->fold_below ||
	    tok->len > BENCODE_FOLD_BYTES || tok->aux == 0)
		return;
	tok->aux |= AUX_FOLDED;
	tok->next = ix + 1;
	d->b->n_tok = ix + 1;
}

static int close_container(struct decoder *d)
{
	uint32_t ix = d->open;
	struct benc_tok *tok;
	int r;

	if (ix == BENC_NONE)
		return refuse(d, EBADMSG, "end without a beginning");
	tok = &d->b->tok[ix];
	if (is_open_dict(d)) {
		if (open_items(d) % 2 != 0)
			return refuse(d, EBADMSG, "key without a value");
		if (tok->aux & AUX_UNSORTED) {
			r = find_duplicates(d, ix, open_items(d) / 2);
			if (r != 0)
				return r;
		}
		tok->aux = open_items(d) / 2;
	}
	d->at++;
	d->depth--;
	d->open = tok->next;
	tok->next = d->b->n_tok;
	tok->len = (uint32_t)(d->at - tok->off);
	fold(d, ix);
	return 0;
}

/* ---- the loop ---- */

/* One value, or the beginning or the end of a container. */
static int step(struct decoder *d)
{
	uint8_t c = d->b->bytes[d->at];
	bool wants_key = is_open_dict(d) && open_items(d) % 2 == 0;
	int r;

	if (c == 'e')
		return close_container(d);
	if (d->open != BENC_NONE)
		d->b->tok[d->open].aux++;
	if (is_digit(c)) {
		r = read_str(d);
		if (r == 0 && wants_key)
			r = check_key(d, d->b->n_tok - 1);
		return r;
	}
	if (wants_key)
		return refuse(d, EBADMSG, "key is not a string");
	if (c == 'i')
		return read_int(d);
	if (c == 'l' || c == 'd')
		return open_container(d);
	return refuse(d, EBADMSG, "no value begins with this byte");
}

static int decode(struct decoder *d)
{
	int r;

	if (d->in_len > UINT32_MAX)
		return refuse(d, EFBIG, "too long");
	do {
		if (d->at >= d->in_len)
			return refuse(d, EBADMSG, "ends too early");
		r = step(d);
		if (r != 0)
			return r;
	} while (d->open != BENC_NONE);

	if (d->at < d->in_len && !(d->limits->flags & BENCODE_TRAILING_OK))
		return refuse(d, EBADMSG, "bytes behind the end");
	d->b->len = d->at;
	return 0;
}

/* What `b` has of tokens is used. */
static int decode_into(struct benc *b, struct span in,
		       const struct benc_limits *limits, struct benc_error *err)
{
	struct decoder d = {
		.b = b,
		.limits = limits,
		.err = err,
		.in_len = in.len,
		.open = BENC_NONE,
	};
	int r;

	assert(limits->tokens <= AUX_COUNT);
	*b = (struct benc){.bytes = in.ptr, .tok = b->tok, .cap = b->cap};
	r = decode(&d);
	if (r != 0)
		benc_fini(b);
	return r;
}

int benc_decode(struct benc *b, const void *bytes, size_t len,
		const struct benc_limits *limits, struct benc_error *err)
{
	*b = (struct benc){0};
	return decode_into(b, span_of(bytes, len), limits, err);
}

bool benc_is_folded(const struct benc *b, benc_ref r)
{
	assert(r < b->n_tok);
	return (b->tok[r].aux & AUX_FOLDED) != 0;
}

int benc_unfold(const struct benc *b, benc_ref r, struct benc *room)
{
	static const struct benc_limits limits = {
		.depth = BENCODE_FOLD_BYTES,
		.tokens = BENCODE_FOLD_BYTES,
		.flags = BENCODE_LAX_KEYS,
	};

	return decode_into(room, benc_raw(b, r), &limits, NULL);
}

void benc_fini(struct benc *b)
{
	mem_free(b->tok);
	*b = (struct benc){0};
}

/* ---- reading ---- */

enum benc_type benc_type(const struct benc *b, benc_ref r)
{
	assert(r < b->n_tok);
	switch (b->bytes[b->tok[r].off]) {
	case 'i':
		return BENC_INT;
	case 'l':
		return BENC_LIST;
	case 'd':
		return BENC_DICT;
	}
	return BENC_STR;
}

bool benc_is(const struct benc *b, benc_ref r, enum benc_type type)
{
	return r != BENC_NONE && benc_type(b, r) == type;
}

int64_t benc_int(const struct benc *b, benc_ref r)
{
	const uint8_t *p = b->bytes + b->tok[r].off + 1;
	bool negative = *p == '-';
	uint64_t v = 0;

	assert(benc_type(b, r) == BENC_INT);
	for (p += negative ? 1 : 0; *p != 'e'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return (int64_t)(negative ? 0 - v : v);
}

struct span benc_str(const struct benc *b, benc_ref r)
{
	const struct benc_tok *t = &b->tok[r];

	assert(benc_type(b, r) == BENC_STR);
	return span_of(b->bytes + t->off + t->aux, t->len - t->aux);
}

struct span benc_raw(const struct benc *b, benc_ref r)
{
	assert(r < b->n_tok);
	return span_of(b->bytes + b->tok[r].off, b->tok[r].len);
}

benc_ref benc_first(const struct benc *b, benc_ref container)
{
	assert(benc_type(b, container) == BENC_LIST ||
	       benc_type(b, container) == BENC_DICT);
	if (b->tok[container].aux == 0 || benc_is_folded(b, container))
		return BENC_NONE;
	return container + 1;
}

benc_ref benc_next(const struct benc *b, benc_ref item)
{
	const struct benc_tok *t = &b->tok[item];
	size_t behind = (size_t)t->off + t->len;

	if (behind >= b->len || b->bytes[behind] == 'e')
		return BENC_NONE;
	return t->next;
}

uint32_t benc_count(const struct benc *b, benc_ref container)
{
	assert(benc_type(b, container) == BENC_LIST ||
	       benc_type(b, container) == BENC_DICT);
	return b->tok[container].aux & AUX_COUNT;
}

benc_ref benc_get(const struct benc *b, benc_ref r, const char *key)
{
	if (!benc_is(b, r, BENC_DICT))
		return BENC_NONE;
	for (benc_ref k = benc_first(b, r); k != BENC_NONE;) {
		benc_ref value = benc_next(b, k);

		if (span_is(benc_str(b, k), key))
			return value;
		k = benc_next(b, value);
	}
	return BENC_NONE;
}

benc_ref benc_get_type(const struct benc *b, benc_ref r, const char *key,
		       enum benc_type type)
{
	benc_ref value = benc_get(b, r, key);

	return benc_is(b, value, type) ? value : BENC_NONE;
}

bool benc_get_int(const struct benc *b, benc_ref r, const char *key,
		  int64_t *out)
{
	benc_ref value = benc_get_type(b, r, key, BENC_INT);

	if (value == BENC_NONE)
		return false;
	*out = benc_int(b, value);
	return true;
}

bool benc_get_str(const struct benc *b, benc_ref r, const char *key,
		  struct span *out)
{
	benc_ref value = benc_get_type(b, r, key, BENC_STR);

	*out = value == BENC_NONE ? span_of(NULL, 0) : benc_str(b, value);
	return value != BENC_NONE;
}

/* ---- encoding ---- */

/* By hand: printf is what took most of the time of a large torrent's. */
struct span benc_digits(uint64_t v, uint8_t room[BENC_DIGITS_MAX])
{
	size_t at = BENC_DIGITS_MAX;

	do {
		room[--at] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return span_of(room + at, BENC_DIGITS_MAX - at);
}

static void put_digits(struct buf *out, uint64_t v)
{
	uint8_t room[BENC_DIGITS_MAX];

	benc_put_raw(out, benc_digits(v, room));
}

void benc_put_int(struct buf *out, int64_t v)
{
	buf_add_u8(out, 'i');
	if (v < 0)
		buf_add_u8(out, '-');
	put_digits(out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	buf_add_u8(out, 'e');
}

void benc_put_str(struct buf *out, const void *ptr, size_t len)
{
	put_digits(out, len);
	buf_add_u8(out, ':');
	buf_add(out, ptr, len);
}

void benc_put_cstr(struct buf *out, const char *s)
{
	benc_put_str(out, s, strlen(s));
}

void benc_put_raw(struct buf *out, struct span raw)
{
	buf_add(out, raw.ptr, raw.len);
}

void benc_put_dict(struct buf *out)
{
	buf_add_u8(out, 'd');
}

void benc_put_list(struct buf *out)
{
	buf_add_u8(out, 'l');
}

void benc_put_end(struct buf *out)
{
	buf_add_u8(out, 'e');
}
