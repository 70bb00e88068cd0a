/* bencode — a strict, iterative decoder and an encoder (BEP 3).
 *
 * The decoder makes one token array over the caller's bytes; nothing is
 * copied. Strict means: no leading zeros, no "-0", dictionary keys strictly
 * ascending, nothing behind the end, integers within int64. Real torrents
 * break the key order, so it can be let pass (BENCODE_LAX_KEYS); duplicate
 * keys never. No recursion, no allocation from a number in the input. */
#ifndef SHOAL_CORE_BENCODE_H
#define SHOAL_CORE_BENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/span.h"

enum benc_type { BENC_INT, BENC_STR, BENC_LIST, BENC_DICT };

enum { BENCODE_LAX_KEYS = 1, BENCODE_TRAILING_OK = 2 };

/* The longest container that is folded: what looking into it costs again. */
enum { BENCODE_FOLD_BYTES = 4096 };

struct benc_limits {
	uint32_t depth;
	uint32_t tokens;
	unsigned flags; /* BENCODE_LAX_KEYS, BENCODE_TRAILING_OK */
	/* Containers below so many others are folded, unless they are long; 0:
	 * none are. The root is below none. */
	uint32_t fold_below;
};

/* Why and where decoding stopped. */
struct benc_error {
	const char *why; /* a constant */
	size_t at;	 /* byte offset */
};

struct benc_tok; /* bencode.c's own */

struct benc {
	const uint8_t *bytes; /* kept until benc_fini */
	size_t len;	      /* of the value: less than the input's only with
				 BENCODE_TRAILING_OK */
	struct benc_tok *tok;
	uint32_t n_tok, cap;
	bool is_unsorted; /* keys of some dictionary are, and were let pass */
};

/* A value inside a decoded document: an index, 0 the root. */
typedef uint32_t benc_ref;
#define BENC_NONE UINT32_MAX
#define BENC_ROOT 0u

/* benc_decode — 0; EBADMSG for malformed input; EFBIG past a limit; ENOMEM.
 * `err` (may be NULL) is filled on EBADMSG and EFBIG. On failure nothing is
 * left to free. */
int benc_decode(struct benc *b, const void *bytes, size_t len,
		const struct benc_limits *limits, struct benc_error *err);
void benc_fini(struct benc *b);

enum benc_type benc_type(const struct benc *b, benc_ref r);
bool benc_is(const struct benc *b, benc_ref r, enum benc_type type);

/* benc_int / benc_str — the value; r must be of that type. */
int64_t benc_int(const struct benc *b, benc_ref r);
struct span benc_str(const struct benc *b, benc_ref r);

/* benc_raw — the exact bytes of the value, as received. */
struct span benc_raw(const struct benc *b, benc_ref r);

/* benc_is_folded — is it? benc_type, benc_is, benc_raw and benc_count tell the
 * truth of it; what else walks takes it for empty. */
bool benc_is_folded(const struct benc *b, benc_ref r);

/* benc_unfold — value r, folded or not, as the root of a document of its own
 * with nothing folded: `room`, zeroed or decoded before, whose memory is used
 * again; it takes benc_fini. 0; EFBIG: it has more values than what is folded
 * can have; ENOMEM. */
int benc_unfold(const struct benc *b, benc_ref r, struct benc *room);

/* benc_get — the value of `key` in dictionary r, or BENC_NONE (also when r is
 * BENC_NONE or no dictionary). The typed ones give BENC_NONE, false or an
 * empty span when the type differs. */
benc_ref benc_get(const struct benc *b, benc_ref r, const char *key);
benc_ref benc_get_type(const struct benc *b, benc_ref r, const char *key,
		       enum benc_type type);
bool benc_get_int(const struct benc *b, benc_ref r, const char *key,
		  int64_t *out);
bool benc_get_str(const struct benc *b, benc_ref r, const char *key,
		  struct span *out);

/* benc_first / benc_next — walk a list's items, or a dictionary's keys and
 * values by turns (key, value, key, …). BENC_NONE at the end. */
benc_ref benc_first(const struct benc *b, benc_ref container);
benc_ref benc_next(const struct benc *b, benc_ref item);

/* benc_count — items of a list, pairs of a dictionary. */
uint32_t benc_count(const struct benc *b, benc_ref container);

/* ---- encoding: straight into a buf; the caller keeps keys in order ---- */

enum { BENC_DIGITS_MAX = 20 }; /* of 2^64 - 1 */

/* benc_digits — `v` in decimal, at the end of `room`, which is lent. */
struct span benc_digits(uint64_t v, uint8_t room[BENC_DIGITS_MAX]);

void benc_put_int(struct buf *out, int64_t v);
void benc_put_str(struct buf *out, const void *ptr, size_t len);
void benc_put_cstr(struct buf *out, const char *s);
void benc_put_raw(struct buf *out, struct span raw);
void benc_put_dict(struct buf *out);
void benc_put_list(struct buf *out);
void benc_put_end(struct buf *out);

#endif
