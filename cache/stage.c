/* stage — a piece that memory is too small for.
 *
 * Purpose: of a piece of hundreds of megabytes only the segments that are
 * being filled, written or hashed are in memory; the rest lies in the store,
 * where it stays if the piece is right (store_stage).
 *
 * Happy path
 *   1. A segment is opened, filled from the network, and then written by the
 *      store and, when all before it were, hashed: both from the same memory.
 *   2. Written and hashed, or written and its turn far off (STAGE_KEEP): its
 *      memory goes. In the second case it is read back when its turn comes, as
 *      a rule from the page cache.
 *   3. The last one was hashed and all are written: the verdict.
 *
 * Wrong: the piece is read back once more for its digests, which are what
 * tells the liar from the others (net/blame.c), and only then on_wrong, whose
 * owner says which segments he does not believe: they are filled anew, the
 * others stay in the store. From then on digests are made along with the hash.
 *
 * Memory: each segment counts while it has memory. The record itself and what
 * others keep for each block (STAGE_BLOCK_COST) count as long as the stage is
 * there. What is read back counts, too, but is not refused: without it nothing
 * that waits for the verdict would ever be given back. It is at most one
 * segment a piece.
 *
 * Failure modes: a write fails, or a read before the verdict, or there is no
 * memory for that read: on_failed, once. A read for digests fails: no digests.
 *
 * Invariants: stage_check. One part is hashed at a time; `next` is the segment
 * whose turn it is. n_jobs counts writes, reads and hashes; each holds the
 * owner's pieces (pieces_job_begin). */
#include "cache/stage.h"

#include <assert.h>
#include <errno.h>

#include "cache/cache_limits.h"
#include "cache/pieces_internal.h"
#include "cache/store.h"
#include "core/blk.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/piececheck.h"

enum segment_state {
	SEGMENT_EMPTY,
	SEGMENT_HOT,
	SEGMENT_WRITING,
	SEGMENT_STAGED
};

struct segment {
	struct stage *g; /* Owner */
	struct blk *blk;
	enum segment_state state;
};

struct stage {
	struct slot *s; /* Owner */
	const struct stage_ops *ops;
	uint32_t len_bytes;
	uint32_t segment_bytes;
	uint64_t cost_bytes; /* counted for the stage itself */
	struct piececheck *check;
	unsigned n_jobs;
	uint32_t n_hot, n_filled, n_staged;
	uint32_t next;
	struct verify_part part;
	struct verify_root root;
	struct blk *again; /* read back, for `part` */
	bool is_hashing;   /* or reading back for it */
	bool is_telling;   /* wrong: a second pass, for digests only */
	bool is_lacking;   /* the last part waits: see stage_lacks_root */
	enum piece_verdict verdict;
	bool is_freed;
	int err;
	struct loop_task fail_task;
	uint32_t n_segments;
	struct segment segments[];
};

static void pump(struct stage *g);

/* ---- memory ---- */

static uint32_t segment_len(const struct stage *g, uint32_t i)
{
	uint32_t at = i * g->segment_bytes;
	uint32_t left = g->len_bytes - at;

	return left < g->segment_bytes ? left : g->segment_bytes;
}

static void forget(struct stage *g, struct blk **blk)
{
	if (*blk == NULL)
		return;
	piece_mem_uncount(g->s->ps->cfg.mem, g->s->ps, (*blk)->len);
	blk_drop(*blk);
	*blk = NULL;
}

static void job_begin(struct stage *g)
{
	g->n_jobs++;
	pieces_job_begin(g->s->ps);
}

static void destroy(struct stage *g)
{
	struct slot *s = g->s;
	const struct stage_ops *ops = g->ops;

	for (uint32_t i = 0; i < g->n_segments; i++)
		forget(g, &g->segments[i].blk);
	forget(g, &g->again);
	loop_task_cancel(s->ps->cfg.loop, &g->fail_task);
	piece_mem_uncount(s->ps->cfg.mem, s->ps, g->cost_bytes);
	piececheck_free(g->check);
	mem_free(g);
	ops->on_gone(s);
}

/* False: the stage has gone with its last job, or the job is of no use. */
static bool job_end(struct stage *g)
{
	struct pieces *ps = g->s->ps;
	bool goes_on = !g->is_freed && g->err == 0;

	g->n_jobs--;
	if (g->is_freed && g->n_jobs == 0)
		destroy(g);
	pieces_job_end(ps);
	return goes_on;
}

/* ---- failing ---- */

static void on_fail_task(void *arg)
{
	struct stage *g = arg;

	g->ops->on_failed(g->s, g->err);
}

static void fail(struct stage *g, int err)
{
	if (g->err != 0)
		return;
	g->err = err;
	loop_defer(g->s->ps->cfg.loop, &g->fail_task);
}

/* ---- the verdict ---- */

static void rewind_hash(struct stage *g)
{
	for (uint32_t i = 0; i < g->n_segments; i++) {
		assert(g->segments[i].state == SEGMENT_STAGED);
		forget(g, &g->segments[i].blk);
	}
	g->next = 0;
	g->is_telling = false;
}

void stage_empty(struct stage *g, uint32_t at_bytes)
{
	struct segment *seg = &g->segments[at_bytes / g->segment_bytes];

	assert(seg->state == SEGMENT_STAGED && g->next == 0 && !g->is_hashing);
	seg->state = SEGMENT_EMPTY;
	g->n_filled--;
	g->n_staged--;
}

static void conclude(struct stage *g)
{
	if (g->next < g->n_segments || g->n_staged < g->n_segments)
		return;
	if (g->verdict == PIECE_RIGHT) {
		g->ops->on_right(g->s);
		return;
	}
	if (!g->is_telling && !g->s->was_wrong && g->s->digests != NULL) {
		g->is_telling = true;
		g->next = 0;
		pump(g);
		if (g->next < g->n_segments)
			return;
	}
	rewind_hash(g);
	g->ops->on_wrong(g->s, g->verdict == PIECE_DISPUTED);
}

/* ---- hashing ---- */

static bool is_kept(const struct stage *g, uint32_t i)
{
	return i >= g->next && i - g->next < STAGE_KEEP;
}

/* Segments that are written need no memory, unless it is hashed right now; nor
 * do those that will be soon, if it is short. */
static void release(struct stage *g, bool is_short)
{
	for (uint32_t i = 0; i < g->n_segments; i++) {
		struct segment *seg = &g->segments[i];

		if (seg->state == SEGMENT_STAGED &&
		    !(g->is_hashing && g->next == i) &&
		    (is_short || !is_kept(g, i)))
			forget(g, &seg->blk);
	}
}

static void on_hashed(struct job *job)
{
	struct stage *g = CONTAINER_OF(job, struct stage, part.job);

	g->is_hashing = false;
	forget(g, &g->again);
	if (!job_end(g))
		return;
	if (g->part.is_last && !g->is_telling)
		g->verdict = g->part.verdict;
	g->next++;
	release(g, false);
	pump(g);
	conclude(g);
}

static void hash(struct stage *g, const struct blk *data)
{
	struct slot *s = g->s;
	uint64_t at = (uint64_t)g->next * g->segment_bytes;

	g->part = (struct verify_part){
		.check = g->is_telling ? NULL : g->check,
		.data = data->data,
		.len_bytes = segment_len(g, g->next),
		.is_first = g->next == 0,
		.is_last = g->next + 1 == g->n_segments,
		.digests.key = s->ps->cfg.mem->key,
		.root = g->root,
	};
	if (s->digests != NULL && (g->is_telling || s->was_wrong))
		g->part.digests.out = s->digests + at / VERIFY_BLOCK_BYTES;
	verify_part_start(&g->part, s->ps->cfg.workers, on_hashed);
}

/* The second pass is a courtesy. */
static void reading_failed(struct stage *g, int err)
{
	g->is_hashing = false;
	forget(g, &g->again);
	if (!g->is_telling) {
		fail(g, err);
		return;
	}
	pieces_drop_digests(g->s);
	g->next = g->n_segments;
}

static void on_read_back(void *arg, int err)
{
	struct stage *g = arg;

	if (g->is_freed || g->err != 0 || err != 0) {
		if (!g->is_freed && g->err == 0)
			reading_failed(g, err);
		else
			g->is_hashing = false;
		if (job_end(g))
			conclude(g);
		return;
	}
	hash(g, g->again); /* the same job, further */
}

static int read_back(struct stage *g)
{
	struct pieces *ps = g->s->ps;
	uint32_t len = segment_len(g, g->next);

	g->again = blk_new(ps->cfg.mem->pool, len);
	if (g->again == NULL)
		return ENOMEM;
	piece_mem_force(ps->cfg.mem, ps, len);
	return store_read_staged(ps->st, g->s->ix, g->next * g->segment_bytes,
				 len, g->again->data, on_read_back, g);
}

/* The segment whose turn it is, if it is there. */
static void pump(struct stage *g)
{
	const struct segment *seg = &g->segments[g->next];
	int err;

	if (g->is_hashing || g->err != 0 || g->next == g->n_segments ||
	    seg->state == SEGMENT_EMPTY || seg->state == SEGMENT_HOT)
		return;
	g->is_lacking = g->next + 1 == g->n_segments && !g->is_telling &&
			!pieces_knows_root(g->s, &g->root);
	if (g->is_lacking)
		return;
	g->is_hashing = true;
	if (seg->blk != NULL) {
		job_begin(g);
		hash(g, seg->blk);
		return;
	}
	err = read_back(g);
	if (err == 0)
		job_begin(g);
	else
		reading_failed(g, err);
}

/* ---- filling and writing ---- */

static void on_written(void *arg, int err)
{
	struct segment *seg = arg;
	struct stage *g = seg->g;

	seg->state = SEGMENT_STAGED;
	g->n_staged++;
	if (err != 0 && !g->is_freed)
		fail(g, err);
	if (!job_end(g))
		return;
	pump(g);
	release(g, false);
	conclude(g);
}

bool stage_filled(struct stage *g, uint32_t at_bytes)
{
	uint32_t i = at_bytes / g->segment_bytes;
	struct segment *seg = &g->segments[i];
	int err;

	assert(seg->state == SEGMENT_HOT);
	g->n_hot--;
	g->n_filled++;
	seg->state = SEGMENT_WRITING;
	err = store_stage(g->s->ps->st, g->s->ix, i * g->segment_bytes,
			  seg->blk, on_written, seg);
	if (err == 0) {
		job_begin(g);
		pump(g);
	} else {
		fail(g, err);
	}
	return g->n_filled == g->n_segments;
}

int stage_open(struct stage *g, uint32_t at_bytes)
{
	struct pieces *ps = g->s->ps;
	uint32_t i = at_bytes / g->segment_bytes;
	struct segment *seg = &g->segments[i];
	int err;

	if (g->err != 0)
		return g->err;
	if (seg->state != SEGMENT_EMPTY)
		return 0;
	if (g->n_hot >= STAGE_HOT_MAX)
		return EBUSY;
	err = piece_mem_count(ps->cfg.mem, ps, segment_len(g, i));
	if (err != 0) {
		release(g, true);
		err = piece_mem_count(ps->cfg.mem, ps, segment_len(g, i));
	}
	if (err != 0)
		return err;
	seg->blk = blk_new(ps->cfg.mem->pool, segment_len(g, i));
	if (seg->blk == NULL) {
		piece_mem_uncount(ps->cfg.mem, ps, segment_len(g, i));
		return ENOMEM;
	}
	seg->state = SEGMENT_HOT;
	g->n_hot++;
	return 0;
}

void stage_shut_segment(struct stage *g, uint32_t at_bytes)
{
	uint32_t i = at_bytes / g->segment_bytes;
	struct segment *seg = &g->segments[i];

	if (seg->state != SEGMENT_HOT)
		return;
	pieces_keep_slot(g->s, i * g->segment_bytes, segment_len(g, i));
	pieces_leaf_lose(g->s, i * g->segment_bytes, segment_len(g, i));
	forget(g, &seg->blk);
	seg->state = SEGMENT_EMPTY;
	g->n_hot--;
}

void stage_shut(struct stage *g)
{
	release(g, true);
	for (uint32_t i = 0; i < g->n_segments; i++)
		stage_shut_segment(g, i * g->segment_bytes);
}

struct blk *stage_lend(const struct stage *g, uint32_t at_bytes,
		       uint32_t len_bytes, uint8_t **data)
{
	const struct segment *seg = &g->segments[at_bytes / g->segment_bytes];
	uint32_t at = at_bytes % g->segment_bytes;

	if (seg->blk == NULL || at + len_bytes > seg->blk->len)
		return NULL;
	*data = seg->blk->data + at;
	return seg->blk;
}

bool stage_is_staged(const struct stage *g, uint32_t at_bytes)
{
	return g->segments[at_bytes / g->segment_bytes].state == SEGMENT_STAGED;
}

bool stage_lacks_root(const struct stage *g)
{
	return g->is_lacking;
}

bool stage_knows_root(const struct stage *g)
{
	return g->root.is_known;
}

void stage_on_root(struct stage *g)
{
	if (!g->is_lacking)
		return;
	g->is_lacking = false;
	pump(g);
}

uint8_t *stage_place(const struct stage *g, uint32_t at_bytes)
{
	const struct segment *seg = &g->segments[at_bytes / g->segment_bytes];

	if (seg->state != SEGMENT_HOT)
		return NULL;
	return seg->blk->data + at_bytes % g->segment_bytes;
}

uint32_t stage_segment_bytes(const struct stage *g)
{
	return g->segment_bytes;
}

/* ---- life ---- */

static struct stage *make(struct slot *s, uint32_t len)
{
	uint32_t bytes = s->ps->cfg.mem->segment_bytes;
	uint32_t n = (len + bytes - 1) / bytes;
	struct stage *g =
		mem_zalloc(1, sizeof(*g) + n * sizeof(g->segments[0]));

	if (g == NULL)
		return NULL;
	g->s = s;
	g->len_bytes = len;
	g->segment_bytes = bytes;
	g->n_segments = n;
	for (uint32_t i = 0; i < n; i++)
		g->segments[i].g = g;
	loop_task_init(&g->fail_task, on_fail_task, g);
	return g;
}

int stage_new(struct slot *s, const struct stage_ops *ops, struct stage **out)
{
	struct pieces *ps = s->ps;
	uint32_t len = metainfo_body_bytes(ps->cfg.mi, s->ix);
	struct stage *g = make(s, len);
	int err;

	if (g == NULL)
		return ENOMEM;
	g->ops = ops;
	g->cost_bytes =
		(uint64_t)STAGE_BLOCK_COST * (len / VERIFY_BLOCK_BYTES + 1);
	err = piececheck_new(ps->cfg.mi, s->ix, &g->check);
	if (err != 0)
		goto free_stage;
	err = piece_mem_count(ps->cfg.mem, ps, g->cost_bytes);
	if (err != 0)
		goto free_check;
	*out = g;
	return 0;
free_check:
	piececheck_free(g->check);
free_stage:
	mem_free(g);
	return err;
}

void stage_free(struct stage *g)
{
	g->is_freed = true;
	stage_shut(g);
	loop_task_cancel(g->s->ps->cfg.loop, &g->fail_task);
	if (g->n_jobs == 0)
		destroy(g);
}

void stage_check(const struct stage *g, bool is_whole)
{
	uint32_t n_hot = 0, n_filled = 0, n_staged = 0;

	for (uint32_t i = 0; i < g->n_segments; i++) {
		const struct segment *seg = &g->segments[i];

		n_hot += seg->state == SEGMENT_HOT;
		n_staged += seg->state == SEGMENT_STAGED;
		n_filled += seg->state >= SEGMENT_WRITING;
		if (seg->state == SEGMENT_STAGED)
			assert(seg->blk == NULL || is_kept(g, i) ||
			       g->err != 0);
		else
			assert((seg->blk != NULL) ==
			       (seg->state != SEGMENT_EMPTY));
	}
	assert(n_hot == g->n_hot && n_filled == g->n_filled);
	assert(n_staged == g->n_staged && !g->is_freed);
	assert(n_filled == g->n_segments || !is_whole);
	assert(g->next <= n_filled);
	assert(g->again == NULL || g->is_hashing);
}
