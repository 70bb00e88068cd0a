/* Unit tests of net/peerio_rx, without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "tests/lib/rx_model.h"

/* ---- Fixture: a stream under construction ---- */

static struct handshake a_handshake(void)
{
	struct handshake hs = {.has_ext = true, .has_fast = true};

	memset(hs.info_hash, 0x22, sizeof(hs.info_hash));
	return hs;
}

static void put_handshake(struct buf *s)
{
	struct handshake hs = a_handshake();
	uint8_t raw[HANDSHAKE_BYTES];

	handshake_encode(&hs, raw);
	buf_add(s, raw, sizeof(raw));
}

static void put_block(struct buf *s, const struct wire_block *b)
{
	uint8_t hdr[WIRE_PIECE_HEADER];

	wire_encode_piece_header(hdr, b);
	buf_add(s, hdr, sizeof(hdr));
	for (uint32_t i = 0; i < b->len_bytes; i++)
		buf_add_u8(s, (uint8_t)(b->piece_ix * 13 + b->begin_bytes +
					i * 3 + (i >> 8)));
}

static void put_noise(struct buf *s, struct rng *rng)
{
	static const uint8_t body[300] = "d1:mdee";
	struct wire_block b = {rng_below(rng, 8) & 7, 7, 100};

	switch (rng_below(rng, 9)) {
	case 0:
		wire_put_keepalive(s);
		break;
	case 1:
		wire_put_ix(s, WIRE_HAVE, 5);
		break;
	case 2:
		wire_put_extended(s, 1, span_of(body, rng_below(rng, 300)));
		break;
	case 3:
		wire_put_bitfield(s, span_of(body, rng_below(rng, 300)));
		break;
	case 4:
		wire_put_block(s, WIRE_REJECT, &b);
		break;
	case 5: /* unknown id */
		buf_add_be32(s, 3);
		buf_add(s, "\x63xy", 3);
		break;
	case 6: /* nobody asked */
		put_block(s, &b);
		break;
	case 7:
		wire_put_plain(s,
			       rng_below(rng, 20) ? WIRE_UNCHOKE : WIRE_CHOKE);
		break;
	default:
		wire_put_port(s, 1);
		break;
	}
}

static struct wire_block random_block(struct rng *rng)
{
	static const uint32_t lens[] = {1, 100, 5000, WIRE_BLOCK_BYTES};

	return (struct wire_block){
		.piece_ix = (uint32_t)rng_below(rng, MODEL_PIECES),
		.begin_bytes = (uint32_t)rng_below(rng, 9) * WIRE_BLOCK_BYTES,
		.len_bytes = lens[rng_below(rng, 4)],
	};
}

/* Blocks that both models ask for, sent mostly in that order, among noise. */
static void make_stream(struct buf *s, struct model *a, struct model *b,
			struct rng *rng)
{
	struct wire_block sent[60];
	unsigned n = 0;

	put_handshake(s);
	while (n < 60 && rng_below(rng, 80) != 0) {
		struct wire_block block = random_block(rng);

		if (!model_ask(a, &block))
			continue;
		(void)model_ask(b, &block);
		sent[n++] = block;
	}
	for (unsigned i = 0; i + 1 < n; i++) {
		struct wire_block swap = sent[i];

		if (rng_below(rng, 10) != 0)
			continue;
		sent[i] = sent[i + 1];
		sent[i + 1] = swap;
	}
	for (unsigned i = 0; i < n; i++) {
		while (rng_below(rng, 6) == 0)
			put_noise(s, rng);
		if (rng_below(rng, 40) == 0)
			sent[i].len_bytes++; /* another length than asked */
		if (rng_below(rng, 30) != 0)
			put_block(s, &sent[i]);
	}
	if (rng_below(rng, 10) == 0)
		buf_add(s, "\x00\x00\x00\x02\x04\x01", 6); /* a bad HAVE */
}

/* ---- Helpers for single cases ---- */

struct rig {
	struct model m;
	struct peerio_rx rx;
	struct peerio_plan plan;
	struct buf s;
};

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	peerio_rx_init(&r->rx, &model_ops, &r->m, NULL);
	r->m.rx = &r->rx;
	return r;
}

static void rig_free(struct rig *r)
{
	peerio_rx_fini(&r->rx);
	model_fini(&r->m);
	buf_fini(&r->s);
	free(r);
}

/* Read `n` bytes of the stream (0: all), as one readv or more. */
static void rig_read(struct rig *r, size_t n)
{
	n = n > 0 ? n : r->s.len;
	while (n > 0 && r->rx.why == PEER_END_NONE) {
		size_t len;

		peerio_rx_plan(&r->rx, &r->plan);
		len = n < r->plan.total ? n : r->plan.total;
		model_scatter(&r->plan, r->s.data, len);
		peerio_rx_took(&r->rx, &r->plan, len);
		peerio_rx_check(&r->rx);
		buf_cut(&r->s, len);
		n -= len;
	}
}

static struct rig *rig_after_handshake(void)
{
	struct rig *r = rig_new();

	put_handshake(&r->s);
	rig_read(r, 0);
	buf_reset(&r->m.log);
	return r;
}

static void assert_log(struct rig *r, const char *want)
{
	assert_string_equal(buf_cstr(&r->m.log), want);
	buf_reset(&r->m.log);
}

static enum peer_end end_of(const void *bytes, size_t len)
{
	struct rig *r = rig_after_handshake();
	enum peer_end why;

	buf_add(&r->s, bytes, len);
	rig_read(r, 0);
	why = r->rx.why;
	rig_free(r);
	return why;
}

/* ---- Tests ---- */

/* However a stream is cut, and whatever was predicted, the owner is told what
 * a plain parser of the whole would tell him. */
static void cuts_and_predictions_change_nothing(void **state)
{
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct model want = {0}, got = {0};
		struct buf s = {0};
		struct rng rng;
		enum peer_end why;

		rng_seed(&rng, seed);
		make_stream(&s, &want, &got, &rng);
		why = model_reference(&want, s.data, s.len);
		assert_int_equal(model_run(&got, s.data, s.len, &rng), why);
		assert_int_equal(got.payload_bytes, want.payload_bytes);
		assert_int_equal(got.log.len, want.log.len);
		assert_memory_equal(got.log.data, want.log.data, want.log.len);
		model_fini(&want);
		model_fini(&got);
		buf_fini(&s);
	}
}

/* Blocks that come as predicted need no other place asked for and no copy:
 * they lie where `expect` said when the bytes are taken. */
static void predicted_blocks_are_not_moved(void **state)
{
	struct rig *r = rig_after_handshake();

	for (uint32_t i = 1; i <= 5; i++) {
		struct wire_block b = {1, i * 1000, 1000};

		assert_true(model_ask(&r->m, &b));
		put_block(&r->s, &b);
	}
	peerio_rx_plan(&r->rx, &r->plan);
	assert_int_equal(r->plan.n_slots, 5);
	assert_ptr_equal(r->plan.iov[1].iov_base, r->m.pieces[1] + 1000);
	assert_ptr_equal(r->plan.iov[9].iov_base, r->m.pieces[1] + 5000);
	rig_read(r, 0);
	assert_int_equal(r->m.n_asked, 0);
	assert_int_equal(r->m.payload_bytes, 5000);
	rig_free(r);
}

/* After a wrong guess the next plan is right again, in mid-block too. */
static void prediction_recovers_in_mid_block(void **state)
{
	struct wire_block a = {1, 1000, 1000}, b = {1, 3000, 1000};
	struct rig *r = rig_after_handshake();

	assert_true(model_ask(&r->m, &a) && model_ask(&r->m, &b));
	wire_put_ix(&r->s, WIRE_HAVE, 1);
	put_block(&r->s, &a);
	put_block(&r->s, &b);
	rig_read(r, 9 + 13 + 400);
	peerio_rx_plan(&r->rx, &r->plan);
	assert_int_equal(r->plan.rest, 600);
	assert_ptr_equal(r->plan.iov[0].iov_base, r->m.pieces[1] + 1400);
	assert_int_equal(r->plan.n_slots, 1);
	rig_read(r, 0);
	assert_int_equal(r->m.n_asked, 0);
	rig_free(r);
}

/* What one readv is laid out for stays inside its limits. */
static void plan_is_limited(void **state)
{
	struct rig *r = rig_after_handshake();

	for (uint32_t i = 0; i < MODEL_ASKED_MAX; i++) {
		struct wire_block b = {i / 10, i % 10 * WIRE_BLOCK_BYTES,
				       WIRE_BLOCK_BYTES};

		(void)model_ask(&r->m, &b);
	}
	peerio_rx_plan(&r->rx, &r->plan);
	assert_in_range(r->plan.n_slots,
			PEERIO_READ_BYTES / WIRE_BLOCK_BYTES - 1,
			PEERIO_READ_BYTES / WIRE_BLOCK_BYTES);
	assert_in_range(r->plan.total, PEERIO_READ_BYTES - (64 << 10),
			PEERIO_READ_BYTES + PEERIO_STAGE_BYTES);
	rig_free(r);
}

/* A half-received block whose place is forgotten is dropped to its end, and
 * its piece may be freed at once. */
static void forgotten_block_is_dropped(void **state)
{
	struct wire_block b = {2, 1000, 5000};
	struct rig *r = rig_after_handshake();

	assert_true(model_ask(&r->m, &b));
	put_block(&r->s, &b);
	wire_put_plain(&r->s, WIRE_UNCHOKE);
	rig_read(r, 2000);
	model_free_piece(&r->m, 2);
	rig_read(r, 100);
	rig_read(r, 0);
	assert_log(r, "D2.1000.5000;M0.0.0;1.0.0.0;");
	rig_free(r);
}

/* Forgetting another range leaves the block alone; one byte of it suffices. */
static void forget_looks_at_ranges(void **state)
{
	struct wire_block b = {2, 1000, 500};
	struct rig *r = rig_after_handshake();
	uint8_t *piece;

	assert_true(model_ask(&r->m, &b));
	put_block(&r->s, &b);
	rig_read(r, 100);
	piece = r->m.pieces[2];
	peerio_rx_forget(&r->rx, piece, 1000);
	peerio_rx_forget(&r->rx, piece + 1500, 1000);
	assert_ptr_equal(r->rx.dst, piece + 1000);
	peerio_rx_forget(&r->rx, piece + 1499, 1);
	assert_null(r->rx.dst);
	rig_free(r);
}

/* A piece that is freed by the callback of one block is not touched by the
 * blocks that came in the same read. */
static void piece_freed_in_a_callback(void **state)
{
	struct rig *r = rig_after_handshake();

	for (uint32_t i = 0; i < 4; i++) {
		struct wire_block b = {3, i * 100, 100};

		assert_true(model_ask(&r->m, &b));
		put_block(&r->s, &b);
	}
	rig_read(r, 0);
	assert_null(r->m.pieces[3]);
	assert_int_equal(r->m.log.data[r->m.log.len - 1], ';');
	rig_free(r);
}

/* Each broken rule has its reason, told at the earliest byte. */
static void broken_rules_have_reasons(void **state)
{
	static const uint8_t far_too_long[] = {0, 0x10, 0, 1};
	static const uint8_t long_bitfield[] = {0, 4, 0, 2, WIRE_BITFIELD};
	static const uint8_t long_ext[] = {0, 4, 0, 1, WIRE_EXTENDED};
	static const uint8_t long_piece[] = {0, 2, 0, 10, WIRE_PIECE};
	static const uint8_t empty_piece[] = {0, 0, 0, 9, WIRE_PIECE};
	static const uint8_t short_have[] = {0, 0, 0, 4, WIRE_HAVE};

	assert_int_equal(end_of(far_too_long, 4), PEER_END_TOO_LONG);
	assert_int_equal(end_of(long_bitfield, 5), PEER_END_TOO_LONG);
	assert_int_equal(end_of(long_ext, 5), PEER_END_TOO_LONG);
	assert_int_equal(end_of(long_piece, 5), PEER_END_TOO_LONG);
	assert_int_equal(end_of(empty_piece, 5), PEER_END_PROTOCOL);
	assert_int_equal(end_of(short_have, 5), PEER_END_PROTOCOL);
}

/* A stranger who does not speak BitTorrent is dropped at his first wrong
 * byte; the owner may refuse who does. */
static void handshake_is_judged(void **state)
{
	struct rig *r = rig_new();

	buf_add_str(&r->s, "\x13"
			   "BitTorrenz");
	rig_read(r, 10);
	assert_int_equal(r->rx.why, PEER_END_NONE);
	rig_read(r, 0);
	assert_int_equal(r->rx.why, PEER_END_HANDSHAKE);
	rig_free(r);

	r = rig_new();
	put_handshake(&r->s);
	memset(r->s.data + 28, 0xFF, 20);
	rig_read(r, 0);
	assert_int_equal(r->rx.why, PEER_END_SELF);
	rig_free(r);
}

/* A message that is claimed large takes memory as it comes, and gives it back
 * when it is done. */
static void message_memory_grows_as_it_comes(void **state)
{
	static const uint8_t body[100 << 10];
	struct rig *r = rig_after_handshake();
	struct buf s = {0};

	wire_put_extended(&s, 1, span_of(body, sizeof(body)));
	buf_add(&r->s, s.data, 1000);
	rig_read(r, 0);
	assert_in_range(r->rx.msg.cap, 900, 4096);
	buf_add(&r->s, s.data + 1000, s.len - 1000);
	rig_read(r, 0);
	assert_int_equal(r->rx.msg.cap, 0);
	buf_fini(&s);
	rig_free(r);
}

/* Without memory for what must be moved or gathered the connection ends. */
static void no_memory_ends_it(void **state)
{
	struct wire_block a = {1, 100, 100}, b = {1, 300, 100};
	struct rig *r = rig_after_handshake();

	assert_true(model_ask(&r->m, &a) && model_ask(&r->m, &b));
	put_block(&r->s, &b);
	put_block(&r->s, &a);
	mem_fail_after(0, 0);
	rig_read(r, 0);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(r->rx.why, PEER_END_NOMEM);
	rig_free(r);

	r = rig_after_handshake();
	wire_put_plain(&r->s, WIRE_CHOKE);
	mem_fail_after(0, 0);
	rig_read(r, 0);
	mem_fail_after(UINT64_MAX, 0);
	assert_int_equal(r->rx.why, PEER_END_NOMEM);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_and_predictions_change_nothing),
		cmocka_unit_test(predicted_blocks_are_not_moved),
		cmocka_unit_test(prediction_recovers_in_mid_block),
		cmocka_unit_test(plan_is_limited),
		cmocka_unit_test(forgotten_block_is_dropped),
		cmocka_unit_test(forget_looks_at_ranges),
		cmocka_unit_test(piece_freed_in_a_callback),
		cmocka_unit_test(broken_rules_have_reasons),
		cmocka_unit_test(handshake_is_judged),
		cmocka_unit_test(message_memory_grows_as_it_comes),
		cmocka_unit_test(no_memory_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
