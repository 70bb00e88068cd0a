/* fuzz_bencode — any bytes: the decoder accepts only what, encoded again from
 * its tokens, is the same bytes, folded or not. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/bencode.h"
#include "core/core_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* Nested at most limits.depth deep, so recursion is bounded here. */
static void encode(const struct benc *b, benc_ref r, struct buf *out)
{
	struct benc room = {0};
	uint32_t n = 0;

	if (benc_is_folded(b, r)) {
		must(benc_first(b, r) == BENC_NONE && benc_count(b, r) > 0);
		must(benc_unfold(b, r, &room) == 0);
		encode(&room, BENC_ROOT, out);
		must(benc_count(b, r) == benc_count(&room, BENC_ROOT));
		benc_fini(&room);
		return;
	}
	if (benc_type(b, r) == BENC_INT) {
		benc_put_int(out, benc_int(b, r));
		return;
	}
	if (benc_type(b, r) == BENC_STR) {
		struct span s = benc_str(b, r);

		benc_put_str(out, s.ptr, s.len);
		return;
	}
	if (benc_type(b, r) == BENC_LIST)
		benc_put_list(out);
	else
		benc_put_dict(out);
	for (benc_ref i = benc_first(b, r); i != BENC_NONE;
	     i = benc_next(b, i), n++)
		encode(b, i, out);
	benc_put_end(out);
	must(n == benc_count(b, r) * (benc_is(b, r, BENC_DICT) ? 2 : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (unsigned way = 0; way < 12; way++) {
		const struct benc_limits limits = {
			.depth = BENCODE_DEPTH_WIRE,
			.tokens = BENCODE_TOKENS_WIRE,
			.flags = way % 4,
			.fold_below = way / 4,
		};
		struct benc_error err = {0};
		struct buf out = {0};
		struct benc b;

		if (benc_decode(&b, data, len, &limits, &err) != 0) {
			must(err.why && err.at <= len);
			continue;
		}
		encode(&b, BENC_ROOT, &out);
		must(out.len == b.len && memcmp(out.data, data, b.len) == 0);
		(void)benc_get(&b, BENC_ROOT, "a");
		buf_fini(&out);
		benc_fini(&b);
	}
	return 0;
}
