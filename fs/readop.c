/* readop — one read() from the kernel that has to wait for the swarm.
 *
 * Happy path
 *   1. readop_start asks torrent_read_start, arms the timer, joins the list.
 *   2. the torrent has the whole range: on_bytes replies from its memory.
 *
 * Other ends, each through finish(): an error of the torrent (EIO), the
 * deadline (EIO), an interrupt (EINTR), the end of the session (EIO).
 *
 * The deadline moves: it is read_timeout after the last byte that arrived for
 * this read, so that a slow swarm is waited for and a dead one is not. A second
 * bound does not move: the kernel may cut the whole connection when one
 * request is old (fs.fuse.max_request_timeout), so the read ends before that.
 *
 * Interrupts come only for readers with O_DIRECT and for single pages that
 * the kernel asks again after an error. libfuse calls us with the request's
 * lock held, from inside the registration if the interrupt came first, and
 * frees the request with the reply: so the reply is put off to the next turn.
 *
 * Invariants: a readop is on the list from start to finish; it has exactly one
 * of {req unanswered}; `rd` is valid until on_bytes or the cancel in finish. */
#include "fs/readop.h"

#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/handle.h"
#include "fs/mount_internal.h"
#include "net/torrent.h"

struct readop {
	TAILQ_ENTRY(readop) link;
	struct mount *m;
	struct handle *h;
	fuse_req_t req;
	struct torrent_read *rd; /* NULL: it has completed */
	struct loop_timer *timer;
	struct loop_task interrupt;
	uint64_t off_bytes; /* in the file */
	uint32_t len_bytes;
	uint64_t start_us;
};

/* Leave every list; the request is the caller's to answer. */
static fuse_req_t finish(struct readop *op)
{
	fuse_req_t req = op->req;

	if (op->rd != NULL)
		torrent_read_cancel(op->rd);
	TAILQ_REMOVE(&op->m->reads, op, link);
	loop_task_cancel(op->m->loop, &op->interrupt);
	loop_timer_free(op->timer);
	mem_free(op);
	return req;
}

static size_t total_of(const struct iovec *iov, unsigned n_iov)
{
	size_t sum = 0;

	for (unsigned i = 0; i < n_iov; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* A short reply would cut the file for everybody: better none. */
static void on_bytes(void *arg, int err, const struct iovec *iov,
		     unsigned n_iov)
{
	struct readop *op = arg;
	uint32_t len = op->len_bytes;
	fuse_req_t req;

	op->rd = NULL;
	req = finish(op);
	if (err == 0 && total_of(iov, n_iov) != len) {
		log_err("a read of %u bytes was answered with %zu", len,
			total_of(iov, n_iov));
		err = EIO;
	}
	if (err != 0)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_iov(req, iov, (int)n_iov);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When it ends if nothing more arrives. */
static uint64_t deadline_us(const struct readop *op)
{
	uint64_t last = torrent_read_progress_us(op->rd);
	uint64_t limit = op->m->request_limit_us;

	if (last < op->start_us)
		last = op->start_us;
	if (limit == UINT64_MAX)
		return last + op->m->read_timeout_us;
	return min_u64(last + op->m->read_timeout_us, op->start_us + limit);
}

static void on_timer(void *arg)
{
	struct readop *op = arg;
	uint64_t due = deadline_us(op);
	uint64_t now = loop_now_us(op->m->loop);

	if (now < due) {
		loop_timer_start(op->timer, due - now);
		return;
	}
	handle_on_late(op->h, op->off_bytes, op->len_bytes);
	fuse_reply_err(finish(op), EIO);
}

static void on_interrupt_turn(void *arg)
{
	fuse_reply_err(finish(arg), EINTR);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct readop *op = data;

	loop_defer(op->m->loop, &op->interrupt);
}

static int new_op(struct mount *m, struct handle *h, struct readop **out)
{
	struct readop *op = mem_new(struct readop);
	int r;

	if (op == NULL)
		return ENOMEM;
	r = loop_timer_new(m->loop, on_timer, op, &op->timer);
	if (r != 0) {
		mem_free(op);
		return r;
	}
	op->m = m;
	op->h = h;
	op->start_us = loop_now_us(m->loop);
	loop_task_init(&op->interrupt, on_interrupt_turn, op);
	*out = op;
	return 0;
}

void readop_start(struct mount *m, struct handle *h, fuse_req_t req TAKES,
		  uint64_t off_bytes, uint32_t len_bytes)
{
	struct readop *op;
	int r;

	ASSERT_LOOP(m->loop);
	r = new_op(m, h, &op);
	if (r != 0) {
		fuse_reply_err(req, r);
		return;
	}
	op->req = req;
	op->off_bytes = off_bytes;
	op->len_bytes = len_bytes;
	r = torrent_read_start(h->shown->torrent,
			       handle_file(h)->off_bytes + off_bytes, len_bytes,
			       on_bytes, op, &op->rd);
	if (r != 0) {
		loop_timer_free(op->timer);
		mem_free(op);
		fuse_reply_err(req, r == ENOMEM ? ENOMEM : EIO);
		return;
	}
	TAILQ_INSERT_TAIL(&m->reads, op, link);
	loop_timer_start(op->timer, deadline_us(op) - op->start_us);
	fuse_req_interrupt_func(req, on_interrupt, op);
}

void readop_end_all(struct mount *m)
{
	struct readop *op;

	while ((op = TAILQ_FIRST(&m->reads)) != NULL)
		fuse_reply_err(finish(op), EIO);
}

/* ---- status ---- */

const struct readop *readop_next(const struct mount *m, const struct readop *op)
{
	return op == NULL ? TAILQ_FIRST(&m->reads) : TAILQ_NEXT(op, link);
}

void readop_view(const struct readop *op, struct readop_view *out)
{
	*out = (struct readop_view){
		.shown = op->h->shown,
		.file_ix = op->h->file_ix,
		.off_bytes = op->off_bytes,
		.len_bytes = op->len_bytes,
		.waited_us = loop_now_us(op->m->loop) - op->start_us,
		.why = torrent_read_why(op->rd),
	};
}

const char *readop_why(const struct mount *m, const struct shown *s,
		       uint32_t file_ix)
{
	const struct readop *op;

	TAILQ_FOREACH (op, &m->reads, link)
		if (op->h->shown == s && op->h->file_ix == file_ix)
			return torrent_read_why(op->rd);
	return NULL;
}
