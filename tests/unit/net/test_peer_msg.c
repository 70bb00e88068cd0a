/* Unit tests of net/peer_msg and of what lies below it, as one table: what a
 * peer may say, and what we do about it.
 *
 *   ENDS     a rule is broken: the connection is over
 *   PASSED   of no use, or of use: it stays, and is answered afterwards
 *   REFUSED  it stays, and hears a REJECT of exactly that (BEP 6)
 *   MUTE     as ENDS, and before we have said a word
 *
 * The torrent has four pieces of 20 KiB, the last of 100 bytes. We hold the
 * first and the third of them, or are a magnet that knows nothing yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/net_limits.h"
#include "net/swarm_internal.h"
#include "tests/lib/conn.h"

enum outcome { ENDS, PASSED, REFUSED, MUTE };

/* Who says it, and to whom. */
enum {
	PLAIN = 1,  /* speaks no BEP 6 */
	BARE = 2,   /* speaks no BEP 10 */
	FIRST = 4,  /* instead of a handshake */
	META = 8,   /* to the magnet … */
	LEARN = 16, /* … which then learns the metadata */
};

struct row {
	const char *what;
	unsigned how;
	enum outcome outcome;
	const char *bytes;
	size_t n_bytes;
};

/* A literal, NULs and all. */
#define B(text) (text), sizeof(text) - 1

/* Messages, piece by piece: length and id, an index, 16 KiB. */
#define HAVE_	   "\0\0\0\5\4"
#define REQUEST_   "\0\0\0\15\6"
#define CANCEL_	   "\0\0\0\15\10"
#define REJECT_	   "\0\0\0\15\20"
#define FAVOUR_	   "\0\0\0\5\21"
#define SUGGEST_   "\0\0\0\5\15"
#define HAVE_ALL_  "\0\0\0\1\16"
#define HAVE_NONE_ "\0\0\0\1\17"
#define N0	   "\0\0\0\0"
#define N1	   "\0\0\0\1"
#define N4	   "\0\0\0\4"
#define NMAX	   "\377\377\377\377"
#define KIB16	   "\0\0\100\0"
/* Of some root: four of level 1, and a layer of proof. */
#define SPAN_	      "ROOTROOTROOTROOTROOTROOTROOTROOT" N1 N0 N4 N1
#define HASH_REQUEST_ "\0\0\0\61\25" SPAN_
#define HASH_REJECT_  "\0\0\0\61\27" SPAN_
#define HASHES_	      "\0\0\0\121\26" SPAN_ "hashhashhashhashhashhashhashhash"
#define DONTHAVE_     "\0\0\0\6\24\3"

static const struct row rows[] = {
	/* ---- lengths ---- */
	{"a length of 4 GiB", 0, ENDS, B(NMAX)},
	{"of 2 GiB", 0, ENDS, B("\200\0\0\0")},
	{"just past what a message may have", 0, ENDS, B("\0\20\0\1")},
	{"4 GiB, to a magnet", META, ENDS, B(NMAX)},
	{"an extension past its limit", 0, ENDS, B("\0\4\0\1\24")},
	{"a bitfield of more pieces than there may be", 0, ENDS,
	 B("\0\4\0\2\5")},
	{"a block of more than 128 KiB", 0, ENDS, B("\0\2\0\12\7")},
	{"a block of nothing", 0, ENDS, B("\0\0\0\11\7" N0 N0)},
	{"a block without its place", 0, ENDS, B("\0\0\0\5\7" N0)},
	{"keep-alives", 0, PASSED, B(N0 N0 N0)},
	{"a CHOKE with a body", 0, ENDS, B("\0\0\0\2\0\0")},
	{"a HAVE cut short", 0, ENDS, B("\0\0\0\4\4\0\0\0")},
	{"a HAVE too long", 0, ENDS, B("\0\0\0\6\4" N0 "\0")},
	{"a REQUEST cut short", 0, ENDS, B("\0\0\0\14\6" N0 N0 "\0\0\0")},
	{"a REQUEST too long", 0, ENDS, B("\0\0\0\16\6" N0 N0 KIB16 "\0")},
	{"a CANCEL cut short", 0, ENDS, B("\0\0\0\11\10" N0 N0)},
	{"a PORT of three bytes", 0, ENDS, B("\0\0\0\4\11\0\0\0")},
	{"a SUGGEST cut short", 0, ENDS, B("\0\0\0\3\15\0\0")},
	{"HAVE_ALL with a body", 0, ENDS, B("\0\0\0\2\16\0")},
	{"a REJECT cut short", 0, ENDS, B("\0\0\0\11\20" N0 N0)},
	{"an extension without a number", 0, ENDS, B("\0\0\0\1\24")},

	/* ---- ids ---- */
	{"an unknown id", 0, PASSED, B("\0\0\0\4\143xyz")},
	{"an unknown id alone", 0, PASSED, B("\0\0\0\1\377")},
	{"an id between known ones", 0, PASSED, B("\0\0\0\2\12x")},
	{"BEP 52's, cut short", 0, ENDS, B("\0\0\0\5\25" N0)},
	{"a hash request, of a v1 torrent", 0, ENDS, B(HASH_REQUEST_)},
	{"hashes of it", 0, ENDS, B(HASHES_)},
	{"a rejection of them", 0, ENDS, B(HASH_REJECT_)},
	{"a hash request, to a magnet", META, ENDS, B(HASH_REQUEST_)},
	{"hashes, to a magnet", META, ENDS, B(HASHES_)},
	{"a rejection, to a magnet", META, ENDS, B(HASH_REJECT_)},
	{"half a hash", 0, ENDS, B("\0\0\0\101\26" SPAN_ "................")},
	{"more hashes than anybody asks for", 0, ENDS, B("\0\0\105\63\26")},
	{"a PORT, though we said no DHT", 0, PASSED, B("\0\0\0\3\11\32\341")},
	{"a PORT of 0", 0, PASSED, B("\0\0\0\3\11\0\0")},

	/* ---- before the handshake ---- */
	{"a message first", FIRST, MUTE, B("\0\0\0\1\1")},
	{"HTTP", FIRST, MUTE, B("GET / HTTP/1.1\r\n\r\n")},
	{"another protocol", FIRST, MUTE, B("\23BitTorment protocol")},
	{"one byte that is wrong", FIRST, MUTE, B("\24")},

	/* ---- what it has ---- */
	{"a bitfield", 0, PASSED, B("\0\0\0\2\5\240")},
	{"an empty bitfield", 0, ENDS, B("\0\0\0\1\5")},
	{"a byte too long", 0, ENDS, B("\0\0\0\3\5\360\0")},
	{"a spare bit", 0, ENDS, B("\0\0\0\2\5\370")},
	{"the last spare bit", 0, ENDS, B("\0\0\0\2\5\1")},
	{"after other messages: the last word counts", 0, PASSED,
	 B("\0\0\0\1\1" HAVE_ N0 "\0\0\0\2\5\360")},
	{"twice: the same (aria2)", 0, PASSED,
	 B("\0\0\0\2\5\0\0\0\0\2\5\200\0\0\0\2\5\300")},
	{"after HAVE_ALL", 0, PASSED, B(HAVE_ALL_ "\0\0\0\2\5\200")},
	{"HAVE_ALL after a bitfield", 0, ENDS, B("\0\0\0\2\5\360" HAVE_ALL_)},
	{"HAVE_ALL twice", 0, ENDS, B(HAVE_ALL_ HAVE_ALL_)},
	{"both", 0, ENDS, B(HAVE_NONE_ HAVE_ALL_)},
	{"HAVE_NONE twice", 0, ENDS, B(HAVE_NONE_ HAVE_NONE_)},
	{"a HAVE, then HAVE_ALL", 0, PASSED, B(HAVE_ N1 HAVE_ALL_)},
	{"the same HAVE over and over", 0, PASSED, B(HAVE_ N1 HAVE_ N1)},
	{"a piece behind the last", 0, ENDS, B(HAVE_ N4)},
	{"piece 2^31", 0, ENDS, B(HAVE_ "\200\0\0\0")},
	{"piece 2^32-1", 0, ENDS, B(HAVE_ NMAX)},
	{"it lost a piece that it never had", 0, PASSED, B(DONTHAVE_ N1)},
	{"it lost a piece", 0, PASSED, B(HAVE_ALL_ DONTHAVE_ N1)},
	{"it lost one that does not exist", 0, ENDS, B(DONTHAVE_ N4)},
	{"it lost 2^32-1", 0, ENDS, B(DONTHAVE_ NMAX)},
	{"it lost half an index", 0, ENDS, B("\0\0\0\4\24\3\0\0")},

	/* ---- the same, to a magnet ---- */
	{"any bitfield", META, PASSED, B("\0\0\0\3\5\377\377")},
	{"a bitfield that fits", META | LEARN, PASSED, B("\0\0\0\2\5\360")},
	{"one that proves too long", META | LEARN, ENDS, B("\0\0\0\3\5\360\0")},
	{"too short", META | LEARN, PASSED, B("\0\0\0\1\5")},
	{"spare bits that prove wrong", META | LEARN, ENDS,
	 B("\0\0\0\2\5\377")},
	{"a HAVE that fits", META | LEARN, PASSED, B(HAVE_ "\0\0\0\3")},
	{"one that proves wrong", META | LEARN, ENDS, B(HAVE_ N4)},
	{"past the largest torrent", META, ENDS, B(HAVE_ "\0\40\0\0")},
	{"piece 2^32-1 of it", META, ENDS, B(HAVE_ NMAX)},
	{"HAVE_ALL", META | LEARN, PASSED, B(HAVE_ALL_)},
	{"HAVE_ALL twice", META, ENDS, B(HAVE_ALL_ HAVE_ALL_)},
	{"a bitfield over all", META | LEARN, PASSED,
	 B(HAVE_ALL_ "\0\0\0\2\5\0")},
	{"a favour", META | LEARN, PASSED, B(FAVOUR_ NMAX)},
	{"lost 2^32-1 of it", META, ENDS, B(DONTHAVE_ NMAX)},
	{"lost one that nobody has named", META | LEARN, PASSED,
	 B(DONTHAVE_ N1)},
	{"a request", META, REFUSED, B(REQUEST_ N0 N0 KIB16)},
	{"a block", META, PASSED, B("\0\0\0\12\7" N0 N0 "x")},

	/* ---- what it asks for ---- */
	{"of a piece that does not exist", 0, REFUSED, B(REQUEST_ N4 N0 KIB16)},
	{"of piece 2^32-1", 0, REFUSED, B(REQUEST_ NMAX N0 KIB16)},
	{"of a piece that we do not hold", 0, REFUSED, B(REQUEST_ N1 N0 KIB16)},
	{"an offset that wraps", 0, REFUSED, B(REQUEST_ N0 NMAX KIB16)},
	{"an end that wraps", 0, REFUSED,
	 B(REQUEST_ N0 "\377\377\300\0" KIB16)},
	{"a length that wraps", 0, REFUSED, B(REQUEST_ N0 N1 NMAX)},
	{"behind the piece", 0, REFUSED, B(REQUEST_ N0 "\0\0\120\0" KIB16)},
	{"over its end", 0, REFUSED, B(REQUEST_ N0 "\0\0\20\1" KIB16)},
	{"of nothing", 0, REFUSED, B(REQUEST_ N0 N0 N0)},
	{"of more than 128 KiB", 0, REFUSED, B(REQUEST_ N0 N0 "\0\2\0\1")},
	{"while choked, without BEP 6", PLAIN, PASSED, B(REQUEST_ N0 N0 KIB16)},
	{"nonsense, without BEP 6", PLAIN, PASSED, B(REQUEST_ NMAX NMAX NMAX)},
	{"a CANCEL of what was not asked for", 0, PASSED,
	 B(CANCEL_ N0 N0 KIB16)},
	{"a CANCEL of nonsense", 0, PASSED, B(CANCEL_ NMAX NMAX NMAX)},

	/* ---- what it answers ---- */
	{"a REJECT of what was not asked for", 0, PASSED,
	 B(REJECT_ N1 N0 KIB16)},
	{"a REJECT of a piece that does not exist", 0, PASSED,
	 B(REJECT_ NMAX NMAX NMAX)},
	{"a block that was not asked for", 0, PASSED,
	 B("\0\0\0\12\7" N1 N0 "x")},
	{"a block of a piece that does not exist", 0, PASSED,
	 B("\0\0\0\12\7" NMAX N0 "x")},
	{"a block behind its piece", 0, PASSED, B("\0\0\0\12\7" N1 NMAX "x")},
	{"a block of what we hold", 0, PASSED, B("\0\0\0\12\7" N0 N0 "x")},
	{"a favour", 0, PASSED, B(FAVOUR_ N1)},
	{"a favour of what it has not", 0, PASSED, B(HAVE_NONE_ FAVOUR_ N1)},
	{"a favour that does not exist", 0, ENDS, B(FAVOUR_ N4)},
	{"favour 2^32-1", 0, ENDS, B(FAVOUR_ NMAX)},
	{"a SUGGEST", 0, PASSED, B(SUGGEST_ N1)},
	{"a SUGGEST of what does not exist", 0, PASSED, B(SUGGEST_ NMAX)},

	/* ---- who may say it ---- */
	{"SUGGEST without BEP 6", PLAIN, ENDS, B(SUGGEST_ N1)},
	{"HAVE_ALL without BEP 6", PLAIN, ENDS, B(HAVE_ALL_)},
	{"HAVE_NONE without BEP 6", PLAIN, ENDS, B(HAVE_NONE_)},
	{"REJECT without BEP 6", PLAIN, ENDS, B(REJECT_ N0 N0 KIB16)},
	{"a favour without BEP 6", PLAIN, ENDS, B(FAVOUR_ N1)},
	{"BEP 10 unannounced", BARE, ENDS, B("\0\0\0\4\24\0de")},

	/* ---- extensions ---- */
	{"an empty handshake", 0, PASSED, B("\0\0\0\4\24\0de")},
	{"two handshakes", 0, PASSED, B("\0\0\0\4\24\0de\0\0\0\4\24\0de")},
	{"a handshake of no bytes", 0, ENDS, B("\0\0\0\2\24\0")},
	{"a handshake that is a list", 0, ENDS, B("\0\0\0\4\24\0le")},
	{"a number we did not give", 0, PASSED, B("\0\0\0\4\24\11de")},
	{"metadata that is no dictionary", 0, ENDS, B("\0\0\0\4\24\1le")},
	{"metadata of an unknown type", 0, PASSED,
	 B("\0\0\0\33\24\1d8:msg_typei9e5:piecei0ee")},
	{"gossip of one who announced none", 0, PASSED, B("\0\0\0\4\24\2le")},
	{"gossip that is no dictionary", 0, ENDS,
	 B("\0\0\0\24\24\0d1:md6:ut_pexi1eee\0\0\0\4\24\2le")},
};

/* ---- Helpers ---- */

static const unsigned DEFAULT_FLAGS = CONN_HOLDS_EVEN;

static struct conn *begin(unsigned how)
{
	struct conn *c =
		conn_begin((how & META) != 0 ? CONN_MAGNET : DEFAULT_FLAGS);
	struct line *l = &c->lines[0];

	line_come(l);
	if ((how & FIRST) == 0)
		line_put_handshake(l, (how & PLAIN) == 0, (how & BARE) == 0);
	return c;
}

static void say(struct line *l, const char *bytes, size_t n)
{
	buf_add(&l->out, bytes, n);
	conn_settle(l->c);
}

#define SAY(line, text) say((line), B(text))

/* Its extensions, by our own numbers, with metadata to give. */
static void say_ext(struct line *l)
{
	struct buf body = {0};

	buf_addf(&body,
		 "d1:md11:lt_donthavei3e11:ut_metadatai1ee"
		 "13:metadata_sizei%zuee",
		 l->c->mi->info.len);
	wire_put_extended(&l->out, EXT_ID_HANDSHAKE, buf_span(&body));
	buf_fini(&body);
	conn_settle(l->c);
}

static void teach(struct line *l)
{
	say_ext(l);
	if (l->fd < 0)
		return;
	line_put_metadata(l);
	conn_settle(l->c);
	assert_int_equal(torrent_state(l->c->t), TORRENT_READY);
}

/* A request that cannot be served is refused. */
static bool is_answered(struct line *l)
{
	unsigned n = l->n[WIRE_REJECT];

	SAY(l, REQUEST_ N0 "\0\0\0\7" N0);
	return l->fd >= 0 && l->n[WIRE_REJECT] == n + 1;
}

/* `at_once` bytes at a time. */
static bool is_as_stated(struct conn *c, const struct row *row, size_t at_once)
{
	struct line *l = &c->lines[0];
	unsigned n_rejected;

	conn_settle(c);
	n_rejected = l->n[WIRE_REJECT];
	for (size_t at = 0; at < row->n_bytes && l->fd >= 0; at += at_once) {
		size_t left = row->n_bytes - at;

		say(l, row->bytes + at, left < at_once ? left : at_once);
		if (left <= at_once)
			break;
	}
	if ((row->how & LEARN) != 0)
		teach(l);
	switch (row->outcome) {
	case ENDS:
		return l->fd < 0 && l->is_greeted;
	case MUTE:
		return l->fd < 0 && !l->is_greeted && l->in.len == 0;
	case REFUSED:
		return l->n[WIRE_REJECT] == n_rejected + 1 &&
		       be32_get((const uint8_t *)row->bytes + 5) ==
			       l->refused.piece_ix &&
		       is_answered(l);
	case PASSED:
		if (l->fd < 0 || l->n[WIRE_REJECT] != n_rejected)
			return false;
		return (row->how & PLAIN) != 0 || is_answered(l);
	}
	return false;
}

/* ---- Tests ---- */

static void check_rows(size_t at_once)
{
	unsigned n_wrong = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conn *c = begin(rows[i].how);

		if (!is_as_stated(c, &rows[i], at_once)) {
			print_error("row %zu is wrong: %s\n", i, rows[i].what);
			n_wrong++;
		}
		conn_end(c);
	}
	assert_int_equal(n_wrong, 0);
}

static void each_message_has_its_answer(void **state)
{
	(void)state;
	check_rows(SIZE_MAX);
}

/* Where the stream is cut changes nothing. */
static void so_it_has_byte_by_byte(void **state)
{
	(void)state;
	check_rows(1);
}

/* Senseless requests are refused one by one, but not for ever. */
static void too_much_nonsense_ends_the_peer(void **state)
{
	struct conn *c = begin(0);
	struct line *l = &c->lines[0];

	(void)state;
	for (unsigned i = 0; i < PEER_INVALID_MAX; i++)
		buf_add(&l->out, B(REQUEST_ NMAX N0 KIB16));
	conn_settle(c);
	assert_true(l->fd >= 0);
	assert_int_equal(l->n[WIRE_REJECT], PEER_INVALID_MAX);
	SAY(l, REQUEST_ NMAX N0 KIB16);
	assert_true(l->fd < 0);
	conn_end(c);
}

/* So are blocks that nobody asked for. */
static void too_many_gifts_end_the_peer(void **state)
{
	struct conn *c = begin(0);
	struct line *l = &c->lines[0];

	(void)state;
	for (unsigned i = 0; i < PEER_UNASKED_MAX; i++)
		buf_add(&l->out, B("\0\0\0\12\7" N1 N0 "x"));
	conn_settle(c);
	assert_true(l->fd >= 0);
	SAY(l, "\0\0\0\12\7" N1 N0 "x");
	assert_true(l->fd < 0);
	conn_end(c);
}

/* A favour is a reason to ask who chokes us; a REJECT takes it back, and so
 * there is no circle. A SUGGEST is none. */
static void favours_are_asked_for_once(void **state)
{
	struct conn *c = begin(0);
	struct line *l = &c->lines[0];
	struct wire_block b;

	(void)state;
	conn_read(c, 0, CONN_PIECE_BYTES, CONN_PIECE_BYTES);
	SAY(l, HAVE_ALL_ SUGGEST_ N1);
	assert_int_equal(l->n_asked, 0);
	SAY(l, FAVOUR_ N1);
	assert_int_equal(l->n_asked, 2);
	while (line_take_asked(l, &b))
		wire_put_block(&l->out, WIRE_REJECT, &b);
	conn_settle(c);
	assert_int_equal(l->n_asked, 0);
	assert_true(l->fd >= 0);
	SAY(l, FAVOUR_ N1);
	assert_int_equal(l->n_asked, 2);
	while (line_take_asked(l, &b))
		line_put_piece(l, &b, true);
	conn_settle(c);
	assert_true(c->reads[0].is_done);
	conn_end(c);
}

/* Nothing is asked for of a piece that the peer has lost (BEP 54), and what
 * was asked for of it is taken back. */
static void lost_pieces_are_not_asked_for(void **state)
{
	struct conn *c = begin(0);
	struct line *l = &c->lines[0];

	(void)state;
	SAY(l, HAVE_ALL_ "\0\0\0\1\1" DONTHAVE_ N1);
	conn_read(c, 0, CONN_PIECE_BYTES, 1);
	conn_settle(c);
	assert_int_equal(l->n_asked, 0);
	SAY(l, HAVE_ N1);
	assert_true(l->n_asked > 0);
	SAY(l, DONTHAVE_ N1);
	assert_true(l->n[WIRE_CANCEL] > 0);
	conn_end(c);
}

/* A block of metadata that there is not is refused, the one that there is is
 * sent, and both by the peer's own number for it. */
static void metadata_is_refused_and_given(void **state)
{
	struct conn *c = begin(0);
	struct line *l = &c->lines[0];
	struct ext_metadata m;

	(void)state;
	SAY(l, "\0\0\0\33\24\0d1:md11:ut_metadatai77eee");
	SAY(l, "\0\0\0\33\24\1d8:msg_typei0e5:piecei1ee");
	assert_int_equal(l->ext.data[0], 77);
	assert_int_equal(ext_decode_metadata(
				 span_of(l->ext.data + 1, l->ext.len - 1), &m),
			 0);
	assert_int_equal(m.type, EXT_METADATA_REJECT);
	assert_int_equal(m.piece_ix, 1);
	SAY(l, "\0\0\0\33\24\1d8:msg_typei0e5:piecei0ee");
	assert_int_equal(ext_decode_metadata(
				 span_of(l->ext.data + 1, l->ext.len - 1), &m),
			 0);
	assert_int_equal(m.type, EXT_METADATA_DATA);
	assert_int_equal(m.data.len, c->mi->info.len);
	conn_end(c);
}

/* A seed says so in five bytes to who speaks BEP 6, whoever dialled; else by a
 * bitfield. */
static void a_seed_says_have_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct conn *c = conn_begin(CONN_HOLDS_EVEN | CONN_HOLDS_ODD);
		struct line *l = &c->lines[0];

		if (i == 0)
			line_dialled(l);
		else
			line_come(l);
		line_put_handshake(l, i != 2, true);
		conn_settle(c);
		assert_true(l->is_greeted);
		assert_int_equal(l->n[WIRE_HAVE_ALL], i != 2);
		assert_int_equal(l->n[WIRE_BITFIELD], i == 2);
		conn_end(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_has_its_answer),
		cmocka_unit_test(so_it_has_byte_by_byte),
		cmocka_unit_test(too_much_nonsense_ends_the_peer),
		cmocka_unit_test(too_many_gifts_end_the_peer),
		cmocka_unit_test(favours_are_asked_for_once),
		cmocka_unit_test(lost_pieces_are_not_asked_for),
		cmocka_unit_test(metadata_is_refused_and_given),
		cmocka_unit_test(a_seed_says_have_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
