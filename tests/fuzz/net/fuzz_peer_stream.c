/* Any bytes from a peer, cut anywhere, with right and wrong predictions, tell
 * the owner exactly what a plain parser of the flat stream would. */
#include "tests/lib/rx_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Half of the blocks in the stream were asked for; found without regard to
 * framing, so that a mutation elsewhere does not lose them. */
static void ask(struct model *m, const uint8_t *p, size_t len, struct rng *rng)
{
	struct wire_block b;

	for (size_t i = 0; i + WIRE_PIECE_HEADER <= len; i++)
		if (p[i + 4] == WIRE_PIECE &&
		    wire_decode_piece_header(p + i, &b) == WIRE_OK &&
		    rng_below(rng, 8) != 0)
			(void)model_ask(m, &b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct model want = {0}, got = {0};
	enum peer_end want_why, got_why;
	struct rng rng;

	if (len < 1)
		return 0;
	for (int swap = 0; swap < 2; swap++) {
		struct model *m = swap ? &got : &want;

		rng_seed(&rng, data[0]);
		ask(m, data + 1, len - 1, &rng);
	}
	want_why = model_reference(&want, data + 1, len - 1);
	got_why = model_run(&got, data + 1, len - 1, &rng);
	if (want_why != got_why || want.payload_bytes != got.payload_bytes ||
	    want.log.len != got.log.len ||
	    (got.log.len > 0 &&
	     memcmp(want.log.data, got.log.data, got.log.len) != 0))
		abort();
	model_fini(&want);
	model_fini(&got);
	return 0;
}
