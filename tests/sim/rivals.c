/* rivals — how peers treat those who want of them: the real choker, and the
 * others' ways as far as they are known from their papers and sources.
 *
 *   ours        net/choker, its weights carried out by the uplink
 *   ours, flat  net/choker, the uplink shared equally: no limit is set, and
 *               TCP shares the line
 *   classic     BEP 3: the four best of the last 20 s, every 10 s; one
 *               optimistic for 30 s, newcomers three times as likely; as a
 *               seed the four fastest takers
 *   libtorrent  eight slots, every 15 s, of them a fifth optimistic for 30 s;
 *               as a seed in turn, 20 pieces and a minute each
 *   tyrant      BitTyrant: for each peer an estimate of what it gives and of
 *               what must be given for that; the best quotients first, until
 *               the upload is spent; the price goes up by a fifth when it was
 *               not enough, down by a tenth when it was for three rounds
 *   free-rider  gives nothing */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "tests/sim/world.h"

/* ---- ours: what upload.c does ---- */

static unsigned describe(struct world *w, struct sim_peer *p,
			 struct choke_peer *out)
{
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];

		out[i] = (struct choke_peer){
			.id = i,
			.net = w->peers[c->peer].kind.net,
			.is_interested = c->wants_me,
			.is_unchoked = !c->i_choke,
			.given_Bps = rate_meter_Bps(&c->verified, w->now_us),
			.unpaid_us = c->unpaid_us != 0
					     ? w->now_us - c->unpaid_us
					     : 0,
			.debt_bytes = c->i_want ? c->debt_bytes : 0,
			.turn_bytes = c->turn_bytes,
			.unchoked_us = c->unchoked_us,
			.turn_us = w->now_us - c->unchoked_us,
			.age_us = w->now_us - c->since_us,
			.have_permille = (uint32_t)((uint64_t)c->have.n_set *
						    1000 / c->have.n),
			.is_optimistic = c->is_optimistic,
			.tries = c->tries,
			.luck = c->luck,
		};
	}
	return p->n_conns;
}

static void carry_out(struct world *w, struct sim_peer *p,
		      const struct choke_peer *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct sim_conn *c = &p->conns[d[i].id];

		c->is_optimistic = d[i].is_optimistic;
		c->tries = d[i].tries;
		c->weight = d[i].weight;
		actor_choke(w, p, c, !d[i].unchoke);
	}
}

static bool is_short(const struct sim_peer *p)
{
	for (uint32_t i = 0; i < p->n_conns; i++)
		if (p->conns[i].wants_me && p->conns[i].i_choke)
			return true;
	return false;
}

static void ours_round(struct world *w, struct sim_peer *p)
{
	struct choke_peer *d = sim_alloc(p->n_conns, sizeof(*d));
	unsigned n = describe(w, p, d);

	choker_size(&p->choker, rate_meter_Bps(&p->up, w->now_us),
		    p->kind.knows_limit ? p->kind.up_Bps : 0, is_short(p));
	choker_round(&p->choker, d, n, bits_is_full(&p->have));
	carry_out(w, p, d, n);
	mem_free(d);
}

static void ours_fill(struct world *w, struct sim_peer *p)
{
	struct choke_peer *d = sim_alloc(p->n_conns, sizeof(*d));
	unsigned n = describe(w, p, d);

	choker_fill(&p->choker, d, n, bits_is_full(&p->have));
	carry_out(w, p, d, n);
	mem_free(d);
}

const struct sim_policy policy_ours = {"ours", CHOKER_PERIOD_US, ours_round,
				       ours_fill, true};
const struct sim_policy policy_ours_flat = {"ours, flat", CHOKER_PERIOD_US,
					    ours_round, ours_fill, false};

/* ---- slots by rank: classic and libtorrent ---- */

struct ranked {
	uint64_t key, tie;
	uint32_t conn;
};

static int by_key(const void *va, const void *vb)
{
	const struct ranked *a = va, *b = vb;

	if (a->key != b->key)
		return a->key > b->key ? -1 : 1;
	return a->tie < b->tie ? -1 : a->tie > b->tie;
}

static void lend_optimistic(struct world *w, struct sim_peer *p, bool *open,
			    uint32_t slots)
{
	uint64_t sum, ticket;

	for (; slots > 0; slots--) {
		sum = 0;
		for (uint32_t i = 0; i < p->n_conns; i++) {
			const struct sim_conn *c = &p->conns[i];
			bool is_new = w->now_us - c->since_us < 60000000;

			if (c->wants_me && !open[i])
				sum += is_new ? 3 : 1;
		}
		if (sum == 0)
			return;
		ticket = rng_below(&w->rng, sum);
		for (uint32_t i = 0; i < p->n_conns; i++) {
			struct sim_conn *c = &p->conns[i];
			uint64_t has =
				c->wants_me && !open[i]
					? (w->now_us - c->since_us < 60000000
						   ? 3
						   : 1)
					: 0;

			if (ticket < has) {
				open[i] = true;
				c->is_optimistic = true;
				break;
			}
			ticket -= has;
		}
	}
}

static void open_ranked(struct world *w, struct sim_peer *p,
			struct ranked *rank, uint32_t regular,
			uint32_t optimistic, uint32_t rounds)
{
	bool *open = sim_alloc(p->n_conns, sizeof(*open));
	uint32_t kept = 0;

	qsort(rank, p->n_conns, sizeof(*rank), by_key);
	for (uint32_t i = 0; i < p->n_conns && regular > 0; i++) {
		if (!p->conns[rank[i].conn].wants_me)
			continue;
		open[rank[i].conn] = true;
		regular--;
	}
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];

		c->is_optimistic = c->is_optimistic && c->wants_me &&
				   !open[i] && p->n_rounds % rounds != 0 &&
				   kept < optimistic;
		if (c->is_optimistic) {
			open[i] = true;
			kept++;
		}
	}
	lend_optimistic(w, p, open, optimistic - kept + regular);
	for (uint32_t i = 0; i < p->n_conns; i++)
		actor_choke(w, p, &p->conns[i], !open[i]);
	mem_free(open);
}

static void classic_round(struct world *w, struct sim_peer *p)
{
	struct ranked *rank = sim_alloc(p->n_conns, sizeof(*rank));
	bool is_seed = bits_is_full(&p->have);

	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];

		rank[i].key =
			rate_meter_Bps(is_seed ? &c->up : &c->down, w->now_us);
		rank[i].tie = (c->i_choke ? 1u << 20 : 0) + i;
		rank[i].conn = i;
	}
	open_ranked(w, p, rank, 4, 1, 3);
	mem_free(rank);
}

static void lt_round(struct world *w, struct sim_peer *p)
{
	struct ranked *rank = sim_alloc(p->n_conns, sizeof(*rank));
	bool is_seed = bits_is_full(&p->have);

	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];
		bool has_turn = !c->i_choke &&
				(c->turn_bytes < 20 * w->cfg.piece_bytes ||
				 w->now_us - c->unchoked_us < 60000000);

		rank[i].key = is_seed ? has_turn
				      : rate_meter_Bps(&c->down, w->now_us);
		rank[i].tie = is_seed ? c->unchoked_us
				      : (c->i_choke ? 1u << 20 : 0) + i;
		rank[i].conn = i;
	}
	open_ranked(w, p, rank, 7, 1, 2);
	mem_free(rank);
}

static void fill(struct world *w, struct sim_peer *p, uint32_t slots)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < p->n_conns; i++)
		used += !p->conns[i].i_choke;
	for (uint32_t i = 0; i < p->n_conns && used < slots; i++) {
		if (!p->conns[i].i_choke || !p->conns[i].wants_me)
			continue;
		actor_choke(w, p, &p->conns[i], false);
		used++;
	}
}

static void classic_fill(struct world *w, struct sim_peer *p)
{
	fill(w, p, 5);
}

static void lt_fill(struct world *w, struct sim_peer *p)
{
	fill(w, p, 8);
}

const struct sim_policy policy_classic = {"classic", 10000000, classic_round,
					  classic_fill, false};
const struct sim_policy policy_libtorrent = {"libtorrent", 15000000, lt_round,
					     lt_fill, false};

/* ---- the strategist ---- */

enum { TYRANT_FIRST_SLOTS = 14, TYRANT_KEEP = 3, TYRANT_MIN_BPS = 500 };

static void estimate(struct world *w, struct sim_peer *p, struct sim_conn *c)
{
	uint64_t got = rate_meter_Bps(&c->down, w->now_us);

	if (c->need_Bps == 0)
		c->need_Bps = p->kind.up_Bps / TYRANT_FIRST_SLOTS;
	if (!c->choked_me) {
		if (got > 0)
			c->gives_Bps = got;
		if (++c->kept >= TYRANT_KEEP && c->need_Bps > TYRANT_MIN_BPS)
			c->need_Bps -= c->need_Bps / 10;
	} else {
		c->kept = 0;
		if (!c->i_choke)
			c->need_Bps += c->need_Bps / 5;
	}
}

static uint64_t mean_gift(const struct sim_peer *p)
{
	uint64_t sum = 0, n = 0;

	for (uint32_t i = 0; i < p->n_conns; i++)
		if (p->conns[i].gives_Bps > 0) {
			sum += p->conns[i].gives_Bps;
			n++;
		}
	return n > 0 ? sum / n : 1000;
}

static void tyrant_round(struct world *w, struct sim_peer *p)
{
	struct ranked *rank = sim_alloc(p->n_conns, sizeof(*rank));
	uint64_t left = p->kind.up_Bps, mean;

	if (bits_is_full(&p->have)) {
		mem_free(rank);
		for (uint32_t i = 0; i < p->n_conns; i++)
			actor_choke(w, p, &p->conns[i], true);
		return;
	}
	for (uint32_t i = 0; i < p->n_conns; i++)
		estimate(w, p, &p->conns[i]);
	mean = mean_gift(p);
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[i];
		uint64_t gift = c->gives_Bps > 0 ? c->gives_Bps : mean;

		rank[i] = (struct ranked){.key = gift * 1000 / c->need_Bps,
					  .tie = rng_next(&w->rng),
					  .conn = i};
	}
	qsort(rank, p->n_conns, sizeof(*rank), by_key);
	for (uint32_t i = 0; i < p->n_conns; i++) {
		struct sim_conn *c = &p->conns[rank[i].conn];
		bool may = c->wants_me && c->i_want && left >= c->need_Bps;

		if (may)
			left -= c->need_Bps;
		c->weight = (uint32_t)(c->need_Bps / 100 + 1);
		actor_choke(w, p, c, !may);
	}
	mem_free(rank);
}

static void no_fill(struct world *w, struct sim_peer *p)
{
	(void)w;
	(void)p;
}

const struct sim_policy policy_tyrant = {"tyrant", 10000000, tyrant_round,
					 no_fill, true};

const struct sim_policy policy_freerider = {"free-rider", 10000000, no_fill,
					    no_fill, false};
