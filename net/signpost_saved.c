/* signpost_saved — a bencoded list of dictionaries:
 *
 *   k  the key          g  the signature      q  seq
 *   s  the salt         v  the signed value, as it was
 *   o  1: put from here u  when it was used last, in seconds of 1970
 *   f  followed: the info-hash that it brought last, or nothing
 *
 * What is followed and was not found yet has neither g, q nor v.
 *
 * Whoever can write the store could only set us back to an earlier seq, and
 * could not make us believe what no key signed: each is checked. One that is
 * wrong is passed over. */
#include "net/signpost_saved.h"

#include <string.h>

#include "core/bencode.h"
#include "core/err.h"
#include "dht/dht_limits.h"
#include "dht/items.h"
#include "net/net_limits.h"

void signpost_saved_begin(struct buf *out)
{
	benc_put_list(out);
}

static void put_bytes(struct buf *out, const char *key, struct span bytes)
{
	benc_put_cstr(out, key);
	benc_put_str(out, bytes.ptr, bytes.len);
}

static void put_number(struct buf *out, const char *key, int64_t v)
{
	benc_put_cstr(out, key);
	benc_put_int(out, v);
}

void signpost_saved_add(struct buf *out, const struct signpost_saved *s)
{
	const struct dht_item *item = &s->item;

	benc_put_dict(out);
	if (s->is_kept)
		put_bytes(out, "f", span_of(s->brought.bytes, s->brought.len));
	if (item->value.len > 0)
		put_bytes(out, "g", span_of(item->sig, 64));
	put_bytes(out, "k", span_of(item->key, 32));
	if (s->is_own)
		put_number(out, "o", 1);
	if (item->value.len > 0)
		put_number(out, "q", item->seq);
	if (item->salt.len > 0)
		put_bytes(out, "s", item->salt);
	put_number(out, "u", s->used_s);
	if (item->value.len > 0)
		put_bytes(out, "v", item->value);
	benc_put_end(out);
}

void signpost_saved_end(struct buf *out)
{
	benc_put_end(out);
}

/* What it brought: nothing, or an info-hash. */
static bool read_brought(struct span text, struct info_hash *out)
{
	if (text.len != 0 && text.len != HASH_SHA1_BYTES &&
	    text.len != HASH_SHA256_BYTES)
		return false;
	out->len = (uint8_t)text.len;
	if (text.len > 0)
		memcpy(out->bytes, text.ptr, text.len);
	return true;
}

static bool read_item(const struct benc *doc, benc_ref r, struct dht_item *out)
{
	struct span sig;

	if (!benc_get_str(doc, r, "g", &sig) || sig.len != 64 ||
	    !benc_get_int(doc, r, "q", &out->seq) ||
	    !benc_get_str(doc, r, "v", &out->value))
		return false;
	out->sig = sig.ptr;
	return item_look(out) == ITEM_GOOD;
}

static bool read_one(const struct benc *doc, benc_ref r,
		     struct signpost_saved *out)
{
	struct span key, brought;
	int64_t own;

	*out = (struct signpost_saved){.item.is_mutable = true};
	if (!benc_get_str(doc, r, "k", &key) || key.len != 32)
		return false;
	out->item.key = key.ptr;
	if (!benc_get_str(doc, r, "s", &out->item.salt))
		out->item.salt = span_of(NULL, 0);
	if (out->item.salt.len > DHT_SALT_MAX)
		return false;
	if (!benc_get_int(doc, r, "u", &out->used_s))
		out->used_s = 0;
	out->is_own = benc_get_int(doc, r, "o", &own) && own == 1;
	out->is_kept = benc_get_str(doc, r, "f", &brought) &&
		       read_brought(brought, &out->brought);
	if (read_item(doc, r, &out->item))
		return true;
	out->item.value = span_of(NULL, 0);
	return out->is_kept;
}

int signpost_saved_read(struct span saved,
			void (*fn)(void *arg, const struct signpost_saved *s),
			void *arg)
{
	const struct benc_limits limits = {.depth = 2,
					   .tokens = SIGNPOST_SAVED_TOKENS};
	struct signpost_saved s;
	struct benc doc;
	unsigned n = 0;
	int r = benc_decode(&doc, saved.ptr, saved.len, &limits, NULL);

	if (r != 0)
		return r == ENOMEM ? ENOMEM : EBADMSG;
	if (!benc_is(&doc, BENC_ROOT, BENC_LIST)) {
		benc_fini(&doc);
		return EBADMSG;
	}
	for (benc_ref at = benc_first(&doc, BENC_ROOT);
	     at != BENC_NONE && n < SIGNPOSTS_MAX; at = benc_next(&doc, at)) {
		if (!read_one(&doc, at, &s))
			continue;
		fn(arg, &s);
		n++;
	}
	benc_fini(&doc);
	return 0;
}
