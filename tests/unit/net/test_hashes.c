/* test_hashes — an engine with a v2 or a hybrid torrent, among peers that ask
 * for hashes and give them, rightly and wrongly. The torrent has four pieces,
 * of two leaves each but the last; the engine holds the first and the third. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/layers.h"
#include "net/bans.h"
#include "net/hashget.h"
#include "net/net_limits.h"
#include "net/swarm_internal.h"
#include "tests/lib/conn.h"

static const unsigned kinds[] = {CONN_V2, CONN_V2 | CONN_V1};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* ---- helpers ---- */

static struct conn *begin(unsigned flags)
{
	struct conn *c = conn_begin(flags);
	struct line *l = &c->lines[0];

	line_come(l);
	line_put_handshake(l, true, true);
	conn_settle(c);
	assert_true(l->is_greeted);
	return c;
}

static struct wire_hashes span(const struct conn *c, uint32_t base,
			       uint32_t index, uint32_t length,
			       uint32_t proof_layers)
{
	struct wire_hashes h = {.base = base,
				.index = index,
				.length = length,
				.proof_layers = proof_layers};

	memcpy(h.root, c->tree[3][0], sizeof(h.root));
	return h;
}

static void say_span(struct line *l, enum wire_id id, struct wire_hashes h)
{
	wire_put_hash_span(&l->out, id, &h);
	conn_settle(l->c);
}

/* It has all, and lends it. */
static void lend_all(struct line *l)
{
	wire_put_plain(&l->out, WIRE_HAVE_ALL);
	wire_put_plain(&l->out, WIRE_UNCHOKE);
	conn_settle(l->c);
}

static struct conn *begin_reader(unsigned kind)
{
	struct conn *c = begin(kind | CONN_BARE);

	lend_all(&c->lines[0]);
	return c;
}

static bool is_banned(const struct line *l)
{
	struct addr a = line_addr(l);

	return bans_has(l->c->engine->bans, &a);
}

/* ---- what they ask ---- */

enum outcome { TOLD, REFUSED };

static const struct request {
	const char *what;
	enum outcome outcome;
	uint32_t base, index, length, proof_layers;
} requests[] = {
	{"the piece layer", TOLD, 1, 0, 4, 1},
	{"half of it", TOLD, 1, 2, 2, 1},
	{"one piece of it, as libtorrent may", TOLD, 1, 3, 1, 1},
	{"without proof", TOLD, 1, 0, 2, 0},
	{"a level above", TOLD, 2, 0, 2, 0},
	{"leaves of what we hold", TOLD, 0, 0, 2, 0},
	{"up to the root", TOLD, 0, 4, 2, 2},
	{"one of them", TOLD, 0, 5, 1, 2},
	{"leaves of what we do not hold", REFUSED, 0, 2, 2, 0},
	{"of both", REFUSED, 0, 0, 4, 1},
	{"of all", REFUSED, 0, 0, 8, 2},
	{"leaves behind the end", REFUSED, 0, 6, 2, 0},
	{"of nothing", REFUSED, 1, 0, 0, 1},
	{"no power of two", REFUSED, 1, 0, 3, 1},
	{"not a multiple", REFUSED, 1, 1, 2, 1},
	{"behind the layer", REFUSED, 1, 4, 2, 1},
	{"over its end", REFUSED, 1, 0, 8, 1},
	{"an end that wraps", REFUSED, 1, 0xfffffffe, 2, 1},
	{"index 2^31", REFUSED, 1, 0x80000000, 2, 1},
	{"length 2^31", REFUSED, 0, 0, 0x80000000, 1},
	{"length 2^32-1", REFUSED, 0, 0, 0xffffffff, 1},
	{"length 8192", REFUSED, 0, 0, 8192, 2},
	{"the root's level", REFUSED, 3, 0, 1, 0},
	{"level 2^32-1", REFUSED, 0xffffffff, 0, 2, 0},
	{"level 64", REFUSED, 64, 0, 2, 0},
	{"proof past the root", REFUSED, 1, 0, 2, 2},
	{"2^32-1 layers of proof", REFUSED, 1, 0, 2, 0xffffffff},
	{"2^31 of them", REFUSED, 0, 0, 2, 0x80000000},
};

/* Whoever asks is answered, choked as he is: with what is right (conn.h looks)
 * or with a rejection of just that. */
static void each_request_is_answered(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++) {
		struct conn *c = begin(kinds[k] | CONN_HOLDS_EVEN);
		struct line *l = &c->lines[0];
		unsigned n_wrong = 0;

		for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]);
		     i++) {
			const struct request *r = &requests[i];
			unsigned told = l->n[WIRE_HASHES];
			unsigned refused = l->n[WIRE_HASH_REJECT];
			struct wire_hashes h = span(c, r->base, r->index,
						    r->length, r->proof_layers);
			bool is_told = r->outcome == TOLD;

			/* We plead ignorance once a second. */
			if (l->fd >= 0 && i == 9)
				assert_int_equal(refused, 1);
			say_span(l, WIRE_HASH_REQUEST, h);
			for (unsigned n = 0;
			     n < 200 && l->fd >= 0 &&
			     told + refused ==
				     l->n[WIRE_HASHES] + l->n[WIRE_HASH_REJECT];
			     n++) {
				(void)usleep(10000);
				conn_settle(c);
			}
			if (l->fd >= 0 && l->n[WIRE_HASHES] == told + is_told &&
			    l->n[WIRE_HASH_REJECT] == refused + !is_told &&
			    (is_told || wire_hashes_eq(&l->hash_refused, &h)))
				continue;
			print_error("%s: not as stated\n", r->what);
			n_wrong++;
		}
		assert_int_equal(n_wrong, 0);
		conn_end(c);
	}
}

/* Another file's root is no reason to end anybody. */
static void a_strange_root_is_refused(void **state)
{
	struct conn *c = begin(CONN_V2 | CONN_HOLDS_EVEN);
	struct wire_hashes h = span(c, 1, 0, 4, 1);

	(void)state;
	h.root[0] ^= 1;
	say_span(&c->lines[0], WIRE_HASH_REQUEST, h);
	assert_int_equal(c->lines[0].n[WIRE_HASH_REJECT], 1);
	assert_true(wire_hashes_eq(&c->lines[0].hash_refused, &h));
	conn_end(c);
}

/* A flood is answered with rejections, and these have an end. */
static void a_flood_ends(void **state)
{
	struct conn *c = begin(CONN_V2 | CONN_HOLDS_EVEN);
	struct line *l = &c->lines[0];
	struct wire_hashes h = span(c, 7, 0, 4, 1);

	(void)state;
	for (unsigned i = 0; i < HASHSERVE_REFUSED_MAX; i++)
		wire_put_hash_span(&l->out, WIRE_HASH_REQUEST, &h);
	conn_settle(c);
	assert_int_equal(l->n[WIRE_HASH_REJECT], HASHSERVE_REFUSED_MAX);
	assert_true(l->fd >= 0);
	say_span(l, WIRE_HASH_REQUEST, h);
	assert_true(l->fd < 0);
	assert_false(is_banned(l));
	conn_end(c);
}

/* Whoever was served a block gets its leaves, whatever else waits. */
static void leaves_of_a_block_are_owed(void **state)
{
	struct conn *c = begin(CONN_V2 | CONN_HOLDS_EVEN);
	struct line *l = &c->lines[0];
	struct wire_hashes h = span(c, 0, 4, 2, 0);
	struct wire_block b = {2, WIRE_BLOCK_BYTES, WIRE_BLOCK_BYTES};

	(void)state;
	/* It is choked, but every piece is granted (BEP 6). The queue is full
	 * of what we do not know … */
	for (unsigned i = 0; i < HASHSERVE_QUEUE + 5; i++) {
		struct wire_hashes other = span(c, 0, 2, 2, 0);

		wire_put_hash_span(&l->out, WIRE_HASH_REQUEST, &other);
	}
	wire_put_block(&l->out, WIRE_REQUEST, &b);
	wire_put_hash_span(&l->out, WIRE_HASH_REQUEST, &h);
	conn_settle(c);
	assert_int_equal(l->n[WIRE_PIECE], 1);
	/* … and so this waits, but is not refused. */
	assert_true(l->n[WIRE_HASH_REJECT] <= 5 + 1);
	assert_false(wire_hashes_eq(&l->hash_refused, &h));
	assert_int_equal(l->n[WIRE_HASHES], 1);
	conn_end(c);
}

/* What is not known is not told. */
static void nothing_is_made_up(void **state)
{
	struct conn *c = begin(CONN_V2 | CONN_BARE);
	struct line *l = &c->lines[0];

	(void)state;
	say_span(l, WIRE_HASH_REQUEST, span(c, 1, 0, 4, 1));
	assert_int_equal(l->n[WIRE_HASH_REJECT], 1);
	conn_end(c);
}

/* ---- where they have no place ---- */

/* No v2, the metadata is not known, or the connection is of v1's hash: ended,
 * and not banned. */
static void out_of_place(void **state)
{
	static const unsigned places[] = {0, CONN_MAGNET, CONN_V2 | CONN_MAGNET,
					  CONN_V2 | CONN_V1};
	static const enum wire_id ids[] = {WIRE_HASH_REQUEST, WIRE_HASHES,
					   WIRE_HASH_REJECT};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 3; k++) {
			struct conn *c = conn_begin(places[i]);
			struct line *l = &c->lines[0];
			struct wire_hashes h = span(c, 1, 0, 4, 1);

			l->is_v1 = true;
			line_come(l);
			line_put_handshake(l, true, true);
			conn_settle(c);
			if (ids[k] == WIRE_HASHES)
				line_put_hashes(l, &h, true);
			else
				wire_put_hash_span(&l->out, ids[k], &h);
			conn_settle(c);
			assert_true(l->is_greeted && l->fd < 0);
			assert_false(is_banned(l));
			conn_end(c);
		}
	}
}

/* Nobody asked. */
static void unsolicited(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * KINDS; i++) {
		struct conn *c = begin(kinds[i / 2] | CONN_HOLDS_EVEN);
		struct line *l = &c->lines[0];
		struct wire_hashes h = span(c, 1, 0, 4, 1);

		if (i % 2 == 0)
			line_put_hashes(l, &h, true);
		else
			wire_put_hash_span(&l->out, WIRE_HASH_REJECT, &h);
		conn_settle(c);
		assert_true(l->fd < 0);
		assert_false(is_banned(l));
		conn_end(c);
	}
}

/* ---- what we ask ---- */

/* With the first block of a piece without a hash its span is asked for; behind
 * the block's request, and once. */
static void piece_hashes_come_with_the_first_block(void **state)
{
	(void)state;
	for (unsigned k = 0; k < KINDS; k++) {
		struct conn *c = begin_reader(kinds[k]);
		struct line *l = &c->lines[0];
		struct wire_hashes h;
		uint8_t hash[HASH_SHA256_BYTES];

		assert_int_equal(l->n_hash_asked, 0);
		assert_int_equal(torrent_pin(c->t, 0), 0); /* nobody waits */
		conn_settle(c);
		assert_true(l->n_asked > 0);
		assert_int_equal(l->n_hash_asked, 1);
		assert_true(line_take_hash_asked(l, &h));
		assert_int_equal(h.base, 1);
		assert_int_equal(h.length, 4);
		assert_false(layers_piece(c->t->layers, 0, hash));
		line_put_hashes(l, &h, true);
		conn_settle(c);
		assert_true(l->fd >= 0);
		assert_true(layers_is_whole(c->t->layers, 0));
		assert_true(layers_piece(c->t->layers, 2, hash));
		assert_memory_equal(hash, c->tree[1][2], sizeof(hash));
		assert_int_equal(l->n_hash_asked, 0);
		conn_end(c);
	}
}

/* Leaves are asked for, and known when they are proven: up to the root while
 * the piece's hash is not known, up to that when it is. */
static void leaves_are_asked_for(void **state)
{
	struct conn *c = begin_reader(CONN_V2);
	struct line *l = &c->lines[0];
	uint8_t hash[HASH_SHA256_BYTES];
	struct wire_hashes h;

	(void)state;
	assert_true(hashget_want(c->t->hashget, 1, 5, 10));
	conn_settle(c);
	assert_true(line_take_hash_asked(l, &h));
	assert_int_equal(h.base, 0);
	assert_int_equal(h.index, 2);
	assert_int_equal(h.length, 2);
	assert_int_equal(h.proof_layers, 2);
	line_put_hashes(l, &h, true);
	conn_settle(c);
	assert_true(layers_leaf(c->t->layers, 1, 1, hash));
	assert_true(layers_piece(c->t->layers, 0, hash));
	assert_true(hashget_want(c->t->hashget, 0, 0, 1));
	conn_settle(c);
	assert_true(line_take_hash_asked(l, &h));
	assert_int_equal(h.proof_layers, 0);
	line_put_hashes(l, &h, true);
	conn_settle(c);
	assert_true(layers_leaf(c->t->layers, 0, 0, hash));
	/* What is known is not asked for. */
	assert_true(hashget_want(c->t->hashget, 0, 0, CONN_V2_PIECE_BYTES));
	conn_settle(c);
	assert_false(line_take_hash_asked(l, &h));
	conn_end(c);
}

/* ---- lies ---- */

enum lie { LIE_BIT, LIE_ZEROS, LIE_PROOF, LIE_SHORT, LIE_LONG, LIE_OTHER };

/* A hash that is not the one, zeros, a false uncle: a liar, banned. Another
 * number of hashes, or of what was not asked: ended. */
static void lies(void **state)
{
	static const bool is_ban[] = {true, true, true, false, false, false};

	(void)state;
	for (enum lie lie = LIE_BIT; lie <= LIE_OTHER; lie++) {
		struct conn *c = begin_reader(CONN_V2);
		struct line *l = &c->lines[0];
		uint8_t hashes[17 * HASH_SHA256_BYTES] = {0};
		uint8_t hash[HASH_SHA256_BYTES];
		struct wire_hashes h;
		unsigned n;

		assert_true(hashget_want(c->t->hashget, 1, 0, 1));
		conn_settle(c);
		assert_true(line_take_hash_asked(l, &h));
		n = conn_hashes(c, &h, hashes);
		assert_int_equal(n, 4);
		switch (lie) {
		case LIE_BIT:
			hashes[5] ^= 4;
			break;
		case LIE_ZEROS:
			memset(hashes, 0, HASH_SHA256_BYTES);
			break;
		case LIE_PROOF:
			hashes[3 * HASH_SHA256_BYTES] ^= 1;
			break;
		case LIE_SHORT:
			n--;
			break;
		case LIE_LONG:
			n++;
			break;
		case LIE_OTHER:
			h.index = 4;
			break;
		}
		wire_put_hashes(&l->out, &h, hashes, n);
		conn_settle(c);
		assert_true(l->fd < 0);
		assert_int_equal(is_banned(l), is_ban[lie]);
		assert_false(layers_leaf(c->t->layers, 1, 0, hash));
		assert_false(layers_piece(c->t->layers, 1, hash));
		conn_end(c);
	}
}

/* Who rejects is not asked again; another is, and with nobody left that is
 * known to who wants it. */
static void rejects_go_to_the_next(void **state)
{
	struct conn *c = begin_reader(CONN_V2);
	struct line *one = &c->lines[0], *two = &c->lines[1];
	struct wire_hashes h;

	(void)state;
	line_come(two);
	line_put_handshake(two, true, true);
	lend_all(two);
	assert_true(hashget_want(c->t->hashget, 1, 0, 1));
	conn_settle(c);
	if (one->n_hash_asked == 0) {
		one = two;
		two = &c->lines[0];
	}
	assert_true(line_take_hash_asked(one, &h));
	assert_int_equal(two->n_hash_asked, 0);
	say_span(one, WIRE_HASH_REJECT, h);
	assert_true(one->fd >= 0);
	assert_int_equal(one->n_hash_asked, 0);
	assert_true(line_take_hash_asked(two, &h));
	say_span(two, WIRE_HASH_REJECT, h);
	assert_true(two->fd >= 0);
	assert_int_equal(two->n_hash_asked + one->n_hash_asked, 0);
	assert_false(hashget_want(c->t->hashget, 1, 0, 1));
	say_span(two, WIRE_HASH_REJECT, h); /* a second one */
	assert_true(two->fd < 0);
	conn_end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_answered),
		cmocka_unit_test(a_strange_root_is_refused),
		cmocka_unit_test(a_flood_ends),
		cmocka_unit_test(leaves_of_a_block_are_owed),
		cmocka_unit_test(nothing_is_made_up),
		cmocka_unit_test(out_of_place),
		cmocka_unit_test(unsolicited),
		cmocka_unit_test(piece_hashes_come_with_the_first_block),
		cmocka_unit_test(leaves_are_asked_for),
		cmocka_unit_test(lies),
		cmocka_unit_test(rejects_go_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
