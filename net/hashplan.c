/* hashplan — who is asked for which hashes.
 *
 * Order. Leaves before piece hashes, for a reader waits for them; among equals
 * the oldest. A job has at most one ask that is not late.
 *
 * Of whom. He must have the piece: then he has the hashes (BEP 52), and gives
 * them whether he chokes us or not. First who owes us a block of the span, for
 * he must not reject; then who is not slow; then who has least out; then the
 * nearest.
 *
 * A job ends when its hashes are known. One that nobody is left to give is
 * *hopeless*: said once, and kept for HASHGET_REST_MS, so that the same want is
 * not asked around anew at each read; somebody who comes meanwhile is asked.
 *
 * Invariants
 *   1. job->n_out counts its asks that are not late.
 *   2. A peer has at most one ask of a span, and HASHGET_PEER_MAX in all.
 *   3. n_out is the sum of 1, at most HASHGET_OUT_MAX.
 *   4. An ask without a job is late: others brought it, or it was forgotten.
 *   5. loads, n_asks and n_orphans count what they say.
 *
 * Cost: a pass looks at every job and every peer, so what it asks of a pair is
 * small; who is hopeless is looked at ten times a second at most. */
#include "net/hashplan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "core/bits.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/net_limits.h"

enum { LOOK_US = 100000 };

/* One who does not give it. */
struct refusal {
	uint32_t id;
	uint64_t until_us;
};

struct job {
	TAILQ_ENTRY(job) link;
	struct hashplan_want want;
	struct refusal refused[SWARM_PEERS_MAX];
	unsigned n_refused, n_out, n_asks;
	bool is_hopeless;
	uint64_t rest_until_us, look_us; /* while it is hopeless */
};

struct ask {
	TAILQ_ENTRY(ask) link;
	uint32_t id;
	struct hashplan_want want;
	struct job *job;
	uint64_t late_us;
	bool is_late;
};

TAILQ_HEAD(jobs, job);
TAILQ_HEAD(asks, ask);

/* How many asks one peer has, late ones too. */
struct load {
	uint32_t id;
	unsigned n;
};

struct hashplan {
	struct hashplan_cfg cfg;
	struct load loads[2 * SWARM_PEERS_MAX];
	unsigned n_loads, n_orphans; /* asks without a job */
	struct jobs leaves, pieces;
	unsigned n_jobs;
	struct asks asks; /* the oldest first */
	unsigned n_out;
};

int hashplan_new(const struct hashplan_cfg *cfg, struct hashplan **out)
{
	struct hashplan *plan = mem_new(struct hashplan);

	if (plan == NULL)
		return ENOMEM;
	plan->cfg = *cfg;
	TAILQ_INIT(&plan->leaves);
	TAILQ_INIT(&plan->pieces);
	TAILQ_INIT(&plan->asks);
	*out = plan;
	return 0;
}

/* ---- jobs ---- */

static struct jobs *list_of(struct hashplan *plan,
			    const struct hashplan_want *want)
{
	return want->is_leaves ? &plan->leaves : &plan->pieces;
}

static bool is_same_span(const struct hash_span *a, const struct hash_span *b)
{
	return a->base == b->base && a->index == b->index &&
	       a->length == b->length && a->proof_layers == b->proof_layers;
}

static bool is_same(const struct hashplan_want *a,
		    const struct hashplan_want *b)
{
	return is_same_span(&a->span, &b->span) &&
	       memcmp(a->root, b->root, sizeof(a->root)) == 0;
}

static struct job *find_job(struct hashplan *plan,
			    const struct hashplan_want *want)
{
	struct job *job;

	TAILQ_FOREACH (job, list_of(plan, want), link)
		if (is_same(&job->want, want))
			return job;
	return NULL;
}

static void set_late(struct hashplan *plan, struct ask *ask)
{
	if (ask->is_late)
		return;
	ask->is_late = true;
	plan->n_out--;
	if (ask->job != NULL)
		ask->job->n_out--;
}

static void free_job(struct hashplan *plan, struct job *job)
{
	struct ask *ask;

	TAILQ_FOREACH (ask, &plan->asks, link) {
		if (ask->job != job)
			continue;
		set_late(plan, ask);
		ask->job = NULL;
		plan->n_orphans++;
	}
	TAILQ_REMOVE(list_of(plan, &job->want), job, link);
	plan->n_jobs--;
	mem_free(job);
}

static struct load *find_load(struct hashplan *plan, uint32_t id)
{
	for (unsigned i = 0; i < plan->n_loads; i++)
		if (plan->loads[i].id == id)
			return &plan->loads[i];
	return NULL;
}

static void free_ask(struct hashplan *plan, struct ask *ask)
{
	struct load *load = find_load(plan, ask->id);

	set_late(plan, ask);
	if (ask->job != NULL)
		ask->job->n_asks--;
	else
		plan->n_orphans--;
	load->n--;
	if (load->n == 0)
		*load = plan->loads[--plan->n_loads];
	TAILQ_REMOVE(&plan->asks, ask, link);
	mem_free(ask);
}

void hashplan_free(struct hashplan *plan)
{
	struct job *job;
	struct ask *ask;

	if (plan == NULL)
		return;
	while ((job = TAILQ_FIRST(&plan->leaves)) != NULL ||
	       (job = TAILQ_FIRST(&plan->pieces)) != NULL)
		free_job(plan, job);
	while ((ask = TAILQ_FIRST(&plan->asks)) != NULL)
		free_ask(plan, ask);
	mem_free(plan);
}

/* Somebody's want that nobody can satisfy makes room for another's. */
static bool make_room(struct hashplan *plan)
{
	struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	struct job *job;

	if (plan->n_jobs < HASHGET_JOBS_MAX)
		return true;
	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH (job, lists[i], link)
			if (job->is_hopeless && job->n_out == 0) {
				free_job(plan, job);
				return true;
			}
	return false;
}

void hashplan_renew(struct hashplan *plan)
{
	struct job *job;

	TAILQ_FOREACH (job, &plan->leaves, link)
		job->is_hopeless = false;
	TAILQ_FOREACH (job, &plan->pieces, link)
		job->is_hopeless = false;
}

int hashplan_want(struct hashplan *plan, const struct hashplan_want *want)
{
	struct job *job = find_job(plan, want);

	if (job != NULL)
		return job->is_hopeless && job->n_out == 0 ? ENOENT : 0;
	if (!make_room(plan))
		return EAGAIN;
	job = mem_new(struct job);
	if (job == NULL)
		return ENOMEM;
	job->want = *want;
	TAILQ_INSERT_TAIL(list_of(plan, want), job, link);
	plan->n_jobs++;
	return 0;
}

void hashplan_known(struct hashplan *plan,
		    bool (*is_known)(void *arg,
				     const struct hashplan_want *want),
		    void *arg)
{
	struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	struct job *job, *next;

	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH_SAFE (job, lists[i], link, next)
			if (is_known(arg, &job->want))
				free_job(plan, job);
}

/* ---- of whom ---- */

static bool has_refused(const struct job *job, uint32_t id, uint64_t now_us)
{
	for (unsigned i = 0; i < job->n_refused; i++)
		if (job->refused[i].id == id &&
		    now_us < job->refused[i].until_us)
			return true;
	return false;
}

static unsigned out_to(const struct hashplan *plan, uint32_t id)
{
	for (unsigned i = 0; i < plan->n_loads; i++)
		if (plan->loads[i].id == id)
			return plan->loads[i].n;
	return 0;
}

/* One more of this peer's; false: so many peers there are not. */
static bool add_load(struct hashplan *plan, uint32_t id)
{
	struct load *load = find_load(plan, id);

	if (load == NULL) {
		if (plan->n_loads == 2 * SWARM_PEERS_MAX)
			return false;
		load = &plan->loads[plan->n_loads++];
		*load = (struct load){.id = id};
	}
	load->n++;
	return true;
}

static struct ask *find_ask(const struct hashplan *plan, uint32_t id,
			    const struct hashplan_want *want)
{
	struct ask *ask;

	TAILQ_FOREACH (ask, &plan->asks, link)
		if (ask->id == id && is_same(&ask->want, want))
			return ask;
	return NULL;
}

static bool can_give(const struct hashplan *plan, const struct job *job,
		     const struct hashplan_peer *p, uint64_t now_us)
{
	return p->have != NULL && bits_has(p->have, job->want.piece_ix) &&
	       !has_refused(job, p->id, now_us) &&
	       ((job->n_asks == 0 && plan->n_orphans == 0) ||
		find_ask(plan, p->id, &job->want) == NULL) &&
	       out_to(plan, p->id) < HASHGET_PEER_MAX;
}

static bool is_better(const struct hashplan *plan, const struct job *job,
		      const struct hashplan_peer *a,
		      const struct hashplan_peer *b)
{
	const struct hashplan_cfg *cfg = &plan->cfg;
	bool owes_a = cfg->owes(cfg->arg, a->id, &job->want);
	bool owes_b = cfg->owes(cfg->arg, b->id, &job->want);
	unsigned out_a = out_to(plan, a->id), out_b = out_to(plan, b->id);

	if (a->is_slow != b->is_slow)
		return b->is_slow;
	if (owes_a != owes_b)
		return owes_a;
	if (out_a != out_b)
		return out_a < out_b;
	/* Not known is later than anything that is. */
	return a->delay_us - 1 < b->delay_us - 1;
}

static const struct hashplan_peer *choose(const struct hashplan *plan,
					  const struct job *job,
					  const struct hashplan_peer *peers,
					  unsigned n, uint64_t now_us)
{
	const struct hashplan_peer *best = NULL;

	for (unsigned i = 0; i < n; i++)
		if (can_give(plan, job, &peers[i], now_us) &&
		    (best == NULL || is_better(plan, job, &peers[i], best)))
			best = &peers[i];
	return best;
}

static bool put_out(struct hashplan *plan, struct job *job,
		    const struct hashplan_peer *p, uint64_t now_us)
{
	struct ask *ask = mem_new(struct ask);

	if (ask == NULL)
		return false;
	if (!add_load(plan, p->id)) {
		mem_free(ask);
		return false;
	}
	ask->id = p->id;
	ask->want = job->want;
	ask->job = job;
	ask->late_us = now_us + p->patience_us;
	TAILQ_INSERT_TAIL(&plan->asks, ask, link);
	job->n_out++;
	job->n_asks++;
	job->is_hopeless = false;
	plan->n_out++;
	return true;
}

bool hashplan_next(struct hashplan *plan, const struct hashplan_peer *peers,
		   unsigned n_peers, uint64_t now_us,
		   struct hashplan_want *want, unsigned *peer_ix)
{
	struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	struct job *job;

	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH (job, lists[i], link) {
			const struct hashplan_peer *p;

			if (plan->n_out >= HASHGET_OUT_MAX)
				return false;
			if (job->n_out > 0 ||
			    (job->is_hopeless && now_us < job->look_us))
				continue;
			job->look_us = now_us + LOOK_US;
			p = choose(plan, job, peers, n_peers, now_us);
			if (p == NULL || !put_out(plan, job, p, now_us))
				continue;
			*want = job->want;
			*peer_ix = (unsigned)(p - peers);
			return true;
		}
	return false;
}

bool hashplan_hopeless(struct hashplan *plan, uint64_t now_us,
		       struct hashplan_want *want)
{
	struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	struct job *job;

	if (plan->n_out >= HASHGET_OUT_MAX)
		return false; /* not everybody was looked at */
	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH (job, lists[i], link) {
			if (job->n_out > 0 || job->is_hopeless)
				continue;
			job->is_hopeless = true;
			job->rest_until_us =
				now_us + HASHGET_REST_MS * UINT64_C(1000);
			*want = job->want;
			return true;
		}
	return false;
}

/* ---- answers ---- */

bool hashplan_answered(struct hashplan *plan, uint32_t id,
		       const uint8_t root[HASH_SHA256_BYTES],
		       const struct hash_span *numbers,
		       struct hashplan_want *want)
{
	struct hashplan_want asked = {.span = *numbers};
	struct ask *ask;

	memcpy(asked.root, root, sizeof(asked.root));
	ask = find_ask(plan, id, &asked);
	if (ask == NULL)
		return false;
	*want = ask->want;
	free_ask(plan, ask);
	return true;
}

void hashplan_refused(struct hashplan *plan, uint32_t id,
		      const struct hashplan_want *want, uint64_t now_us)
{
	struct refusal refusal = {.id = id,
				  .until_us = now_us + HASHGET_REFUSED_MS *
							       UINT64_C(1000)};
	struct job *job = find_job(plan, want);
	unsigned i = 0;

	if (job == NULL)
		return;
	while (i < job->n_refused && job->refused[i].id != id &&
	       now_us < job->refused[i].until_us)
		i++;
	if (i == SWARM_PEERS_MAX)
		i = 0; /* more than there are peers: the first is gone */
	if (i == job->n_refused)
		job->n_refused++;
	job->refused[i] = refusal;
}

void hashplan_on_gone(struct hashplan *plan, uint32_t id)
{
	struct ask *ask, *next;

	TAILQ_FOREACH_SAFE (ask, &plan->asks, link, next)
		if (ask->id == id)
			free_ask(plan, ask);
}

/* ---- time ---- */

void hashplan_on_time(struct hashplan *plan, uint64_t now_us)
{
	struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	struct job *job, *next;
	struct ask *ask;

	TAILQ_FOREACH (ask, &plan->asks, link)
		if (!ask->is_late && ask->late_us <= now_us)
			set_late(plan, ask);
	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH_SAFE (job, lists[i], link, next)
			if (job->is_hopeless && job->n_out == 0 &&
			    job->rest_until_us <= now_us)
				free_job(plan, job);
}

uint64_t hashplan_wake_us(const struct hashplan *plan)
{
	const struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	uint64_t wake_us = UINT64_MAX;
	const struct job *job;
	const struct ask *ask;

	TAILQ_FOREACH (ask, &plan->asks, link)
		if (!ask->is_late && ask->late_us < wake_us)
			wake_us = ask->late_us;
	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH (job, lists[i], link)
			if (job->is_hopeless && job->n_out == 0 &&
			    job->rest_until_us < wake_us)
				wake_us = job->rest_until_us;
	return wake_us;
}

bool hashplan_is_idle(const struct hashplan *plan)
{
	return plan->n_jobs == 0;
}

void hashplan_check(const struct hashplan *plan)
{
#ifdef SHOAL_CHECKS
	const struct jobs *lists[] = {&plan->leaves, &plan->pieces};
	const struct ask *ask;
	const struct job *job;
	unsigned n_out = 0, n_jobs = 0, n_orphans = 0;

	TAILQ_FOREACH (ask, &plan->asks, link) {
		assert(ask->is_late || ask->job != NULL);
		assert(out_to(plan, ask->id) <= HASHGET_PEER_MAX);
		assert(find_ask(plan, ask->id, &ask->want) == ask);
		n_out += !ask->is_late;
		n_orphans += ask->job == NULL;
	}
	assert(n_orphans == plan->n_orphans);
	assert(n_out == plan->n_out && n_out <= HASHGET_OUT_MAX);
	for (unsigned i = 0; i < 2; i++)
		TAILQ_FOREACH (job, lists[i], link) {
			unsigned n = 0, n_asks = 0;

			TAILQ_FOREACH (ask, &plan->asks, link) {
				n += ask->job == job && !ask->is_late;
				n_asks += ask->job == job;
			}
			assert(n == job->n_out && n <= 1);
			assert(n_asks == job->n_asks);
			n_jobs++;
		}
	assert(n_jobs == plan->n_jobs && n_jobs <= HASHGET_JOBS_MAX);
#else
	(void)plan;
#endif
}
