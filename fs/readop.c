/* readop — one read() from the kernel that has to wait for the swarm.
 *
 * Happy path
 *   1. readop_start asks torrent_read_start, arms the timer, joins the list. A
 *      torrent that is just waking up is asked when it is READY.
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
 * A read of the kernel's read-ahead is nudged when it has waited for
 * READOP_NUDGE_MS: it is answered with EINTR, and the kernel asks at once for
 * the one page that somebody waits for. Nobody sees it but the reader's sleep:
 * before, it was one that only deadly signals end and that the freezer waits
 * for; now any signal comes to us as an interrupt, and so does the freezer.
 * What was asked of the torrent stays urgent until the page is, and is read
 * ahead of the pages that come one by one (ahead_owe). Single pages and reads
 * with O_DIRECT are in that sleep from the beginning, and are never nudged: the
 * error would be the reader's.
 *
 * Interrupts come for those and for what was nudged. libfuse calls us with the
 * request's lock held, from inside the registration if the interrupt came
 * first, and frees the request with the reply: so the reply is put off to the
 * next turn.
 *
 * Invariants: a readop is on the list from start to finish; `req` is
 * unanswered, or NULL after a nudge; `rd` is valid until on_bytes or the cancel
 * in finish. */
#include "fs/readop.h"

#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/handle.h"
#include "fs/mount_internal.h"
#include "fs/roster.h"
#include "net/torrent.h"

struct readop {
	TAILQ_ENTRY(readop) link;
	struct mount *m;
	struct handle *h;
	const struct shown *of;
	fuse_req_t req;		 /* NULL: it was nudged */
	struct torrent_read *rd; /* NULL: not begun, or it has completed */
	struct loop_timer *timer;
	struct loop_task interrupt;
	uint64_t off_bytes; /* in the file */
	uint32_t len_bytes;
	uint64_t start_us; /* of the request */
	uint64_t first_us; /* of the wait: of the request that was nudged */
	uint64_t since_us; /* what the deadline is counted from */
	bool is_nudgeable;
};

/* Leave every list; the request, if there is one, is the caller's to answer. */
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

static void fail(struct readop *op, int err)
{
	fuse_req_t req = finish(op);

	if (req != NULL)
		fuse_reply_err(req, err);
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
	if (req == NULL)
		return;
	if (err == 0 && total_of(iov, n_iov) != len) {
		log_err("a read of %u bytes was answered with %zu", len,
			total_of(iov, n_iov));
		err = EIO;
	}
	if (err != 0)
		fuse_reply_err(req, err == ESTALE ? ESTALE : EIO);
	else
		fuse_reply_iov(req, iov, (int)n_iov);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When a byte last came for it, or it began. */
static uint64_t progress_us(const struct readop *op)
{
	uint64_t last = op->rd != NULL ? torrent_read_progress_us(op->rd) : 0;

	return last > op->since_us ? last : op->since_us;
}

/* When it ends if nothing more arrives. */
static uint64_t deadline_us(const struct readop *op)
{
	uint64_t last = progress_us(op);
	uint64_t limit = op->m->request_limit_us;

	if (limit == UINT64_MAX)
		return last + op->m->read_timeout_us;
	return min_u64(last + op->m->read_timeout_us, op->start_us + limit);
}

static uint64_t nudge_due_us(const struct readop *op)
{
	return op->is_nudgeable ? op->start_us + op->m->nudge_us : UINT64_MAX;
}

static void start_timer(struct readop *op, uint64_t now)
{
	loop_timer_start(op->timer,
			 min_u64(deadline_us(op), nudge_due_us(op)) - now);
}

/* The handle remembers it for the page that the kernel will ask for. */
static void nudge(struct readop *op)
{
	fuse_req_t req = op->req;

	handle_on_nudge(op->h, &(struct handle_nudge){
				       .off_bytes = op->off_bytes,
				       .len_bytes = op->len_bytes,
				       .first_us = op->first_us,
				       .since_us = progress_us(op),
				       .at_us = loop_now_us(op->m->loop),
			       });
	op->req = NULL;
	loop_timer_start(op->timer, HANDLE_AGAIN_US);
	fuse_reply_err(req, EINTR);
}

static void on_timer(void *arg)
{
	struct readop *op = arg;
	uint64_t now = loop_now_us(op->m->loop);

	if (op->req == NULL) {
		(void)finish(op);
	} else if (now >= deadline_us(op)) {
		handle_on_late(op->h, op->off_bytes, op->len_bytes);
		fail(op, EIO);
	} else if (now >= nudge_due_us(op)) {
		nudge(op);
	} else {
		start_timer(op, now);
	}
}

static void on_interrupt_turn(void *arg)
{
	fail(arg, EINTR);
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
	op->of = h->shown;
	op->start_us = op->first_us = op->since_us = loop_now_us(m->loop);
	loop_task_init(&op->interrupt, on_interrupt_turn, op);
	*out = op;
	return 0;
}

/* 0 also while the torrent is not READY. */
static int begin(struct readop *op)
{
	struct handle *h = op->h;
	struct torrent *t = h->shown->torrent;

	if (t == NULL || torrent_state(t) == TORRENT_OPENING)
		return 0;
	handle_on_wait(h, op->off_bytes, op->len_bytes);
	return torrent_read_start(t, handle_file(h)->off_bytes + op->off_bytes,
				  op->len_bytes, on_bytes, op, &op->rd);
}

/* The second half of a wait goes on where the first one was. */
static void follow_nudge(struct readop *op, bool is_direct)
{
	const struct handle_nudge *n =
		handle_nudge_of(op->h, op->off_bytes, op->len_bytes);

	op->is_nudgeable =
		op->len_bytes > READOP_PAGE_BYTES && !is_direct && n == NULL;
	if (n != NULL && op->start_us - n->at_us < HANDLE_AGAIN_US) {
		op->first_us = n->first_us;
		op->since_us = n->since_us;
	}
}

void readop_start(struct mount *m, struct handle *h, fuse_req_t req TAKES,
		  uint64_t off_bytes, uint32_t len_bytes, bool is_direct)
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
	follow_nudge(op, is_direct);
	r = begin(op);
	if (r != 0) {
		loop_timer_free(op->timer);
		mem_free(op);
		fuse_reply_err(req, r == ENOMEM ? ENOMEM : EIO);
		return;
	}
	TAILQ_INSERT_TAIL(&m->reads, op, link);
	start_timer(op, op->start_us);
	fuse_req_interrupt_func(req, on_interrupt, op);
}

void readop_on_ready(struct mount *m, struct shown *s)
{
	struct readop *op, *next;

	TAILQ_FOREACH_SAFE (op, &m->reads, link, next) {
		int r = 0;

		if (op->of == s && op->rd == NULL && op->req != NULL)
			r = begin(op);
		if (r != 0)
			fail(op, EIO);
	}
}

void readop_end_of(struct mount *m, const struct shown *s, int err)
{
	struct readop *op, *next;

	TAILQ_FOREACH_SAFE (op, &m->reads, link, next)
		if (op->of == s)
			fail(op, err);
}

void readop_let_go(struct mount *m, const struct handle *h)
{
	struct readop *op, *next;

	TAILQ_FOREACH_SAFE (op, &m->reads, link, next)
		if (op->h == h)
			fail(op, EIO);
}

void readop_end_all(struct mount *m)
{
	struct readop *op;

	while ((op = TAILQ_FIRST(&m->reads)) != NULL)
		fail(op, EIO);
}

/* ---- status ---- */

static const char *why_of(const struct readop *op)
{
	return op->rd != NULL ? torrent_read_why(op->rd)
			      : "the torrent is being opened";
}

const struct readop *readop_next(const struct mount *m, const struct readop *op)
{
	do
		op = op == NULL ? TAILQ_FIRST(&m->reads) : TAILQ_NEXT(op, link);
	while (op != NULL && op->req == NULL);
	return op;
}

void readop_view(const struct readop *op, struct readop_view *out)
{
	*out = (struct readop_view){
		.shown = op->of,
		.file_ix = op->h->file_ix,
		.off_bytes = op->off_bytes,
		.len_bytes = op->len_bytes,
		.waited_us = loop_now_us(op->m->loop) - op->first_us,
		.why = why_of(op),
	};
}

const char *readop_why(const struct mount *m, const struct shown *s,
		       uint32_t file_ix)
{
	const struct readop *op;

	TAILQ_FOREACH (op, &m->reads, link)
		if (op->req != NULL && op->of == s && op->h->file_ix == file_ix)
			return why_of(op);
	return NULL;
}
