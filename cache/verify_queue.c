/* verify_queue — pieces from the network, in rows.
 *
 * Purpose: SHA-1 of three pieces side by side takes half as long as one by one,
 * of sixteen where there are wide vectors a fifth (core/hash_row.h), so pieces
 * that come fast, and that nobody waits for yet, wait for company.
 *
 * How: there are never more jobs than threads, so what comes while all of them
 * are busy goes together. Else, while pieces come fast enough for it, one waits
 * until there are as many as go best together and have GATHER_BYTES at most,
 * for GATHER_US at most. Long ones wait for one more, and longer, since they
 * come at longer intervals. When a reader waits for one of them, all go: who is
 * as fast as the network waits for no company, and who is slower needs the
 * processor more than the piece.
 *
 * v2's leaves make rows by themselves: a piece of v2 alone goes as it comes. */
#include "cache/verify_queue.h"

#include "cache/cache_limits.h"
#include "core/hash_row.h"
#include "core/loop.h"

enum {
	GATHER_BYTES = 6 << 20,
	GATHER_US = 30000,
	/* Long ones go in pairs, if the second comes so soon. */
	PAIR_US = 100000,
	/* Shorter ones are hashed before the next is there. */
	GATHER_MIN_BYTES = 256 << 10,
};

void verify_queue_init(struct verify_queue *q)
{
	*q = (struct verify_queue){0};
	STAILQ_INIT(&q->waiting);
}

void verify_queue_fini(struct verify_queue *q)
{
	loop_timer_free(q->timer);
}

static void pump(struct verify_queue *q);

static void on_hashed(struct job *job)
{
	struct verify_job *v = CONTAINER_OF(job, struct verify_job, job);
	struct verify_queue *q = v->queue;
	struct verify_list row = STAILQ_HEAD_INITIALIZER(row);

	q->n_jobs--;
	STAILQ_CONCAT(&row, &v->row);
	while ((v = STAILQ_FIRST(&row)) != NULL) {
		STAILQ_REMOVE_HEAD(&row, link);
		v->done(&v->job);
	}
	pump(q);
}

/* How many from the head on may go together. */
static unsigned row_length(const struct verify_queue *q)
{
	const struct verify_job *first = STAILQ_FIRST(&q->waiting);
	const struct verify_job *v = first;
	uint64_t bytes = 0;
	unsigned n = 0;

	while (v != NULL && n < HASH_ROW_MAX && first->row_bytes != 0 &&
	       v->row_bytes == first->row_bytes && bytes < VET_ROW_BYTES) {
		bytes += v->row_bytes;
		v = STAILQ_NEXT(v, link);
		n++;
	}
	return hash_row_best(HASH_SHA1, n);
}

static void start(struct verify_queue *q, unsigned n)
{
	struct verify_job *first = STAILQ_FIRST(&q->waiting), *v;

	STAILQ_INIT(&first->row);
	q->n_waiting -= n;
	for (; n > 0; n--) {
		v = STAILQ_FIRST(&q->waiting);
		STAILQ_REMOVE_HEAD(&q->waiting, link);
		STAILQ_INSERT_TAIL(&first->row, v, link);
	}
	first->job = (struct job){.run = verify_row_run, .done = on_hashed};
	q->n_jobs++;
	workers_submit(q->workers, &first->job);
}

static bool is_long(const struct verify_queue *q)
{
	return STAILQ_FIRST(&q->waiting)->row_bytes >
	       GATHER_BYTES / VERIFY_COMPANY;
}

/* How many like the first are waited for. Of long ones two: a third would fill
 * what may wait for the workers (piece_mem.c), and no other could begin. */
static unsigned company(const struct verify_queue *q)
{
	uint32_t bytes = STAILQ_FIRST(&q->waiting)->row_bytes;
	unsigned n;

	if (bytes < GATHER_MIN_BYTES)
		return 1;
	n = is_long(q) ? 2 : GATHER_BYTES / bytes;
	return hash_row_best(HASH_SHA1, n < HASH_ROW_MAX ? n : HASH_ROW_MAX);
}

static unsigned gather_us(const struct verify_queue *q)
{
	return is_long(q) ? PAIR_US : GATHER_US;
}

/* So many, or the first few of them, will be here in time. */
static bool is_fast(const struct verify_queue *q, unsigned n)
{
	uint64_t then_us;

	if (n > VERIFY_COMPANY)
		n = VERIFY_COMPANY;
	then_us = q->added_us[(q->n_added - n) % VERIFY_COMPANY];
	return q->n_added >= n && loop_now_us(q->loop) - then_us < gather_us(q);
}

static bool may_go(const struct verify_queue *q)
{
	unsigned n = company(q);

	return q->is_hurried || q->n_waiting >= n || !is_fast(q, n);
}

static void pump(struct verify_queue *q)
{
	while (q->n_waiting > 0 && q->n_jobs < workers_threads(q->workers) &&
	       may_go(q))
		start(q, row_length(q));
	if (q->n_waiting == 0) {
		q->is_hurried = false;
		loop_timer_stop(q->timer);
	} else if (!loop_timer_is_armed(q->timer)) {
		loop_timer_start(q->timer, gather_us(q));
	}
}

static void on_timer(void *arg)
{
	verify_queue_hurry(arg);
}

void verify_queue_hurry(struct verify_queue *q)
{
	if (q->n_waiting == 0)
		return;
	q->is_hurried = true;
	pump(q);
}

void verify_queue_add(struct verify_queue *q, struct verify_job *v,
		      struct loop *loop, struct workers *w,
		      void (*done)(struct job *job))
{
	q->loop = loop;
	q->workers = w;
	if (q->timer == NULL &&
	    loop_timer_new(loop, on_timer, q, &q->timer) != 0) {
		verify_job_start(v, w, done);
		return;
	}
	v->verdict = PIECE_WRONG;
	v->done = done;
	v->queue = q;
	v->row_bytes = metainfo_v1_bytes(v->mi, v->piece_ix);
	STAILQ_INSERT_TAIL(&q->waiting, v, link);
	q->n_waiting++;
	q->added_us[q->n_added++ % VERIFY_COMPANY] = loop_now_us(loop);
	pump(q);
}
