/* steer_key — keys, over the control socket.
 *
 * Answers never wait: `key` says what is known and whether a look or a put is
 * under way, and who wants its end asks again. A mount never sees anybody's
 * secret; `publish` brings what was signed elsewhere.
 *
 *   key      "key", "known", "seq", "info_hash", "link": the name in the root,
 *            "magnet", "own", "followed", "asking", "putting": under way,
 *            "look_error", "put_error": of the last look and put,
 *            "stored": nodes that took that, "outdone": and that had something
 *            newer, "looked_s", "put_s": so long ago
 *   publish  the same; what was brought is being put */
#include "fs/steer_key.h"

#include <jansson.h>
#include <string.h>

#include "core/btpk.h"
#include "core/err.h"
#include "core/hex.h"
#include "fs/control_internal.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/steer_request.h"
#include "net/engine.h"
#include "net/signpost.h"

/* ---- answers ---- */

static void put_ago(struct control_json *o, json_t *j, const char *key,
		    uint64_t ago_us)
{
	control_put(o, j, key,
		    ago_us == UINT64_MAX
			    ? json_null()
			    : json_integer((json_int_t)(ago_us / 1000000)));
}

static void put_err(struct control_json *o, json_t *j, const char *key, int err)
{
	control_put(o, j, key,
		    err == 0 ? json_null()
			     : control_text_value(control_key_error(err)));
}

const char *control_key_error(int err)
{
	switch (err) {
	case ENOENT:
		return "nobody in the DHT has it";
	case EEXIST:
		return "the DHT has it with this seq, or a later one, and "
		       "another value";
	case EAGAIN:
		return "somebody published meanwhile";
	case ECONNREFUSED:
		return "every node refused it";
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return "no node of the DHT answers";
	case ENETDOWN:
		return "this mount is not in the DHT";
	}
	return err_text(err);
}

void control_json_key(struct control_json *o, const struct signpost *s,
		      json_t *j)
{
	char text[BTPK_MAGNET_BYTES], hex[TORRENT_HEX_BYTES];
	struct signpost_view v;

	signpost_view(s, &v);
	control_put(o, j, "link", control_text_value(btpk_name(v.btpk, text)));
	control_put(o, j, "magnet",
		    control_text_value(btpk_magnet(v.btpk, text)));
	control_put(o, j, "known", json_boolean(v.is_known));
	control_put(o, j, "seq",
		    v.is_known ? json_integer(v.seq) : json_null());
	control_put(o, j, "info_hash",
		    v.hash.len == 0
			    ? json_null()
			    : control_text_value(info_hash_hex(&v.hash, hex)));
	control_put(o, j, "own", json_boolean(v.is_own));
	control_put(o, j, "followed", json_boolean(v.is_kept));
	control_put(o, j, "asking", json_boolean(v.is_asking));
	control_put(o, j, "putting", json_boolean(v.is_putting));
	put_err(o, j, "look_error", v.err);
	put_err(o, j, "put_error", v.put_err);
	control_put_int(o, j, "stored", v.n_stored);
	control_put_int(o, j, "outdone", v.n_outdone);
	put_ago(o, j, "looked_s", v.looked_ago_us);
	put_ago(o, j, "put_s", v.put_ago_us);
}

/* ---- verbs ---- */

const char *steer_key(struct mount *m, const struct steer_request *r,
		      struct control_json *o, json_t *answer)
{
	struct signpost *s;
	struct btpk b;
	int err = btpk_parse(&b, r->key);

	if (err != 0)
		return "no key: btpk-, 64 hex digits, and perhaps - and a "
		       "salt in hex";
	err = signpost_use(m->engine, &b, &s);
	if (err != 0 && err != EAGAIN && err != ENOENT && err != ETIMEDOUT)
		return err_text(err);
	control_json_key(o, s, answer);
	return NULL;
}

/* Of bytes in hex; false: not so, or too many. */
static bool read_hex(const char *text, uint8_t *out, size_t room, size_t *len)
{
	size_t n = strlen(text);

	if (n % 2 != 0 || n / 2 > room)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int high = hex_value(text[i]), low = hex_value(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = n / 2;
	return true;
}

const char *steer_publish(struct mount *m, const struct steer_request *r,
			  struct control_json *o, json_t *answer)
{
	uint8_t value[STEER_VALUE_MAX], sig[64];
	struct signpost_offer offer = {
		.seq = r->seq,
		.sig = sig,
		.cas = r->has_cas ? &r->cas : NULL,
	};
	size_t value_len, sig_len;
	struct signpost *s;
	int err;

	if (btpk_parse(&offer.btpk, r->key) != 0 ||
	    !read_hex(r->value, value, sizeof(value), &value_len) ||
	    !read_hex(r->sig, sig, sizeof(sig), &sig_len) ||
	    sig_len != sizeof(sig))
		return "a key, and a value and its signature in hex";
	offer.value = span_of(value, value_len);
	err = signpost_put(m->engine, &offer, &s);
	if (err == EINVAL)
		return "it is not rightly signed";
	if (err != 0)
		return control_key_error(err);
	control_json_key(o, s, answer);
	return NULL;
}
