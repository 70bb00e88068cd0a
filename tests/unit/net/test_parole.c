/* test_parole — an engine with a v1 torrent among peers of which some lie: who
 * had a part in a wrong piece works alone from then on, and is cleared or
 * named by what he sends. A piece has two blocks, so two peers share it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/bans.h"
#include "net/intake.h"
#include "net/peer.h"
#include "net/swarm_internal.h"
#include "tests/lib/conn.h"

enum { PIECE = CONN_PIECE_BYTES };

/* ---- Helpers ---- */

static void meet(struct conn *c, unsigned ix)
{
	struct line *l = &c->lines[ix];

	line_come(l);
	line_put_handshake(l, true, true);
	conn_settle(c);
	wire_put_plain(&l->out, WIRE_HAVE_ALL);
	wire_put_plain(&l->out, WIRE_UNCHOKE);
	conn_settle(c);
}

/* Lines 0 and 1 are there, and a read of the first piece is asked of both. */
static struct conn *begin(void)
{
	struct conn *c = conn_begin(0);

	meet(c, 0);
	meet(c, 1);
	conn_read(c, 0, 0, PIECE);
	conn_settle(c);
	assert_int_equal(c->lines[0].n_asked, 1);
	assert_int_equal(c->lines[1].n_asked, 1);
	return c;
}

static void end(struct conn *c)
{
	for (unsigned i = 0; i < CONN_READS; i++) {
		if (c->reads[i].rd != NULL)
			torrent_read_cancel(c->reads[i].rd);
		c->reads[i].rd = NULL;
	}
	conn_end(c);
}

static struct peer *peer_of(const struct conn *c, unsigned ix)
{
	struct addr a = line_addr(&c->lines[ix]);
	struct peer *p;

	TAILQ_FOREACH (p, &c->t->swarm->peers, link)
		if (addr_eq(&p->addr, &a))
			return p;
	return NULL;
}

static unsigned accused(const struct conn *c, unsigned ix)
{
	const struct peer *p = peer_of(c, ix);

	assert_non_null(p);
	return p->n_accused;
}

static bool is_banned(const struct conn *c, unsigned ix)
{
	struct addr a = line_addr(&c->lines[ix]);

	return bans_has(c->engine->bans, &a);
}

/* Answer what line `ix` was asked for first. */
static void serve(struct conn *c, unsigned ix, bool is_right)
{
	struct line *l = &c->lines[ix];
	struct wire_block b;

	assert_true(line_take_asked(l, &b));
	line_put_piece(l, &b, is_right);
	conn_settle(c);
}

/* Everything that line `ix` is asked for, until it is asked for nothing. */
static void serve_all(struct conn *c, unsigned ix, bool is_right)
{
	while (c->lines[ix].n_asked > 0)
		serve(c, ix, is_right);
}

/* The first of what is asked that is not of piece 0, which stays suspect. */
static void serve_other(struct conn *c, unsigned ix)
{
	struct line *l = &c->lines[ix];

	for (unsigned k = 0; k < l->n_asked; k++) {
		struct wire_block b = l->asked[k];

		if (b.piece_ix == 0)
			continue;
		l->asked[k] = l->asked[--l->n_asked];
		line_put_piece(l, &b, true);
		conn_settle(c);
		return;
	}
}

/* Piece 0 is wrong: `liar` of lines 0 and 1 sent his part so. */
static struct conn *begin_suspicion(unsigned liar)
{
	struct conn *c = begin();

	serve(c, 0, liar != 0);
	serve(c, 1, liar != 1);
	assert_false(c->reads[0].is_done);
	assert_int_equal(c->t->swarm->intake->n_suspects, 1);
	assert_int_equal(accused(c, 0), 1);
	assert_int_equal(accused(c, 1), 1);
	assert_false(is_banned(c, 0) || is_banned(c, 1));
	return c;
}

/* The line that is asked for the first piece; the other is not. */
static unsigned chosen(const struct conn *c)
{
	unsigned n[2] = {0};

	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < c->lines[i].n_asked; k++)
			n[i] += c->lines[i].asked[k].piece_ix == 0;
	assert_true((n[0] == 0) != (n[1] == 0));
	assert_int_equal(n[0] + n[1], 2); /* whole */
	return n[1] > 0;
}

static void assert_over(const struct conn *c)
{
	assert_true(c->reads[0].is_done);
	assert_int_equal(c->t->swarm->intake->n_suspects, 0);
}

/* ---- Tests ---- */

/* Once the piece is right whoever sent something else is banned, and the other
 * is cleared; whichever of them it was that was asked, and though the liar told
 * the truth when he was alone. */
static void the_liar_is_named_and_the_honest_cleared(void **state)
{
	(void)state;
	for (unsigned liar = 0; liar < 2; liar++) {
		struct conn *c = begin_suspicion(liar);

		serve_all(c, chosen(c), true);
		assert_over(c);
		assert_true(is_banned(c, liar));
		assert_false(is_banned(c, !liar));
		assert_int_equal(accused(c, !liar), 0);
		assert_null(peer_of(c, liar));
		end(c);
	}
}

/* Who lies again alone convicts himself; the other brings the piece, and is
 * cleared by it. */
static void who_lies_alone_is_convicted(void **state)
{
	unsigned n_alone = 0;

	(void)state;
	for (unsigned liar = 0; liar < 2; liar++) {
		struct conn *c = begin_suspicion(liar);

		if (chosen(c) != liar) { /* it leaves: the liar takes over */
			line_close(&c->lines[!liar]);
			conn_settle(c);
		} else {
			n_alone++;
		}
		assert_int_equal(c->lines[liar].n_asked, 2);
		serve_all(c, liar, false);
		assert_true(is_banned(c, liar));
		assert_false(is_banned(c, !liar));
		assert_false(c->reads[0].is_done);
		if (c->lines[!liar].fd < 0) {
			end(c);
			continue;
		}
		serve_all(c, !liar, true);
		assert_over(c);
		assert_int_equal(accused(c, !liar), 0);
		end(c);
	}
	assert_int_equal(n_alone, 1);
}

/* While they are suspect no piece has a part of one of them and another's: each
 * is asked for pieces of his own, and who is not suspect for others. */
static void suspects_share_with_nobody(void **state)
{
	struct conn *c = begin_suspicion(0);
	int owner[CONN_PIECES] = {-1, -1, -1, -1};

	(void)state;
	conn_read(c, 1, PIECE, CONN_TOTAL - PIECE);
	meet(c, 2);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < CONN_LINES; i++) {
			struct line *l = &c->lines[i];

			for (unsigned k = 0; k < l->n_asked; k++) {
				uint32_t ix = l->asked[k].piece_ix;

				assert_true(owner[ix] < 0 ||
					    owner[ix] == (int)i);
				owner[ix] = (int)i;
			}
			serve_other(c, i);
		}
	}
	assert_true(owner[0] == 0 || owner[0] == 1);
	assert_true(c->reads[1].is_done);
	assert_false(c->reads[0].is_done);
	assert_int_equal(accused(c, 0), 1); /* right ones clear nobody */
	assert_int_equal(accused(c, 1), 1);
	assert_int_equal(accused(c, 2), 0);
	end(c);
}

/* Both lied: both are named, one after the other, and the third brings it. */
static void two_liars_are_named(void **state)
{
	struct conn *c = begin();
	unsigned first;

	(void)state;
	serve(c, 0, false);
	serve(c, 1, false);
	first = chosen(c);
	serve_all(c, first, false);
	assert_true(is_banned(c, first));
	assert_false(is_banned(c, !first));
	serve_all(c, !first, false);
	assert_true(is_banned(c, !first));
	meet(c, 2);
	serve_all(c, 2, true);
	assert_over(c);
	assert_false(is_banned(c, 2));
	end(c);
}

/* A suspect piece that nobody wants is not fetched, and holds nobody; when it
 * is wanted again they are suspect again, and he is found. */
static void what_nobody_wants_accuses_nobody(void **state)
{
	struct conn *c = begin_suspicion(1);

	(void)state;
	torrent_read_cancel(c->reads[0].rd);
	c->reads[0].rd = NULL;
	conn_settle(c);
	conn_read(c, 1, PIECE, PIECE);
	conn_settle(c);
	assert_int_equal(accused(c, 0), 0);
	assert_int_equal(accused(c, 1), 0);
	serve_all(c, 0, true);
	serve_all(c, 1, true);
	assert_true(c->reads[1].is_done);
	c->lines[0].n_asked = c->lines[1].n_asked = 0;
	conn_read(c, 0, 0, PIECE);
	conn_settle(c);
	serve_all(c, 0, true);
	serve_all(c, 1, true);
	assert_over(c);
	end(c);
}

/* One who is asked to prove himself and leaves instead is no liar for it; who
 * is left goes on, and his word is compared with what is remembered. */
static void leaving_convicts_nobody(void **state)
{
	for (unsigned liar = 0; liar < 2; liar++) {
		struct conn *c = begin_suspicion(liar);
		unsigned left = chosen(c);

		(void)state;
		line_close(&c->lines[left]);
		conn_settle(c);
		assert_false(is_banned(c, left));
		serve_all(c, !left, true);
		assert_over(c);
		assert_true(is_banned(c, liar)); /* gone or not */
		assert_false(is_banned(c, !liar));
		end(c);
	}
}

/* All suspects leave: a stranger brings the piece, and the liar stays known. */
static void the_gone_are_judged(void **state)
{
	struct conn *c = begin_suspicion(0);

	(void)state;
	line_close(&c->lines[0]);
	line_close(&c->lines[1]);
	conn_settle(c);
	meet(c, 2);
	serve_all(c, 2, true);
	assert_over(c);
	assert_true(is_banned(c, 0));
	assert_false(is_banned(c, 1) || is_banned(c, 2));
	end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_liar_is_named_and_the_honest_cleared),
		cmocka_unit_test(who_lies_alone_is_convicted),
		cmocka_unit_test(suspects_share_with_nobody),
		cmocka_unit_test(two_liars_are_named),
		cmocka_unit_test(what_nobody_wants_accuses_nobody),
		cmocka_unit_test(leaving_convicts_nobody),
		cmocka_unit_test(the_gone_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
