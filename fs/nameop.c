/* nameop — a lookup of an info-hash, or of a key, in the root.
 *
 * Only names that are exactly 40 or 64 hex digits come here: what programs look
 * up by themselves (".hidden", "autorun.inf") makes nobody wait, and never
 * reaches the network. A torrent that is there and has no metadata yet is
 * waited for; one that is not known is looked for (guests.h), and then waited
 * for in the same way.
 *
 * ENOENT when nobody has it; ETIMEDOUT when the wait is over and nobody can say
 * so. The kernel caches neither.
 *
 * Interrupts: as in readop.c, answered on the next turn. */
#include "fs/nameop.h"

#include <string.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/guests.h"
#include "fs/keylink.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "net/engine.h"
#include "net/torrent.h"

struct nameop {
	TAILQ_ENTRY(nameop) link;
	struct mount *m;
	const struct torrent *torrent;	 /* what it waits for … */
	const struct signpost *signpost; /* … or this */
	fuse_req_t req;
	struct loop_timer *timer;
	struct loop_task interrupt;
};

static fuse_req_t finish(struct nameop *op)
{
	fuse_req_t req = op->req;

	TAILQ_REMOVE(&op->m->names, op, link);
	loop_task_cancel(op->m->loop, &op->interrupt);
	loop_timer_free(op->timer);
	mem_free(op);
	return req;
}

static void on_timer(void *arg)
{
	struct nameop *op = arg;

	if (op->torrent != NULL)
		guests_on_timeout(op->m, op->torrent, ETIMEDOUT);
	fuse_reply_err(finish(op), ETIMEDOUT);
}

static void on_interrupt_turn(void *arg)
{
	fuse_reply_err(finish(arg), EINTR);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct nameop *op = data;

	loop_defer(op->m->loop, &op->interrupt);
}

static void park(struct mount *m, fuse_req_t req TAKES, const struct torrent *t,
		 const struct signpost *s)
{
	struct nameop *op = mem_new(struct nameop);

	if (op == NULL ||
	    loop_timer_new(m->loop, on_timer, op, &op->timer) != 0) {
		mem_free(op);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	op->m = m;
	op->torrent = t;
	op->signpost = s;
	op->req = req;
	loop_task_init(&op->interrupt, on_interrupt_turn, op);
	TAILQ_INSERT_TAIL(&m->names, op, link);
	loop_timer_start(op->timer, m->lookup_wait_us);
	fuse_req_interrupt_func(req, on_interrupt, op);
}

/* 0: `node` is its directory; EAGAIN: not known yet; else what to reply. */
static int resolve(const struct torrent *t, struct node *node)
{
	struct shown *s = torrent_user(t);

	if (s != NULL) {
		*node = node_top(s, true);
		return 0;
	}
	switch (torrent_state(t)) {
	case TORRENT_OPENING:
	case TORRENT_META:
	case TORRENT_READY: /* shown within this turn */
		return EAGAIN;
	case TORRENT_FAILED:
		return torrent_is_guest(t) ? ENOENT : EIO;
	case TORRENT_CLOSED:
		break;
	}
	return ENOENT;
}

static void reply(const struct mount *m, fuse_req_t req, int err,
		  const struct node *node)
{
	struct fuse_entry_param e;

	if (err != 0) {
		fuse_reply_err(req, err);
		return;
	}
	node_entry(m, node, &e);
	fuse_reply_entry(req, &e);
}

void nameop_start(struct mount *m, fuse_req_t req TAKES, const char *name)
{
	struct info_hash hash;
	struct node node;
	struct torrent *t;
	struct shown *s = NULL;
	int r;

	ASSERT_LOOP(m->loop);
	r = info_hash_parse(&hash, name, strlen(name));
	if (r == 0)
		s = roster_by_hash(&m->roster, &hash);
	if (s != NULL) {
		node = node_top(s, true);
		reply(m, req, 0, &node);
		return;
	}
	if (r == 0)
		r = guests_find(m, &hash, &t);
	if (r == 0)
		r = resolve(t, &node);
	if (r == EAGAIN)
		park(m, req, t, NULL);
	else
		reply(m, req, r, &node);
}

void nameop_start_key(struct mount *m, fuse_req_t req TAKES, const char *name)
{
	struct signpost *s;
	struct node node;
	int r;

	ASSERT_LOOP(m->loop);
	r = keylink_use(m, name, &s, &node);
	if (r == EAGAIN)
		park(m, req, NULL, s);
	else
		reply(m, req, r, &node);
}

void nameop_on_signpost(struct mount *m, struct signpost *s)
{
	struct nameop *op, *next;
	struct node node;
	int r = keylink_node(m, s, &node);

	if (r == EAGAIN)
		return;
	TAILQ_FOREACH_SAFE (op, &m->names, link, next)
		if (op->signpost == s)
			reply(m, finish(op), r, &node);
}

void nameop_on_change(struct mount *m, const struct torrent *t)
{
	struct nameop *op, *next;
	struct node node;
	int r = resolve(t, &node);

	if (r == EAGAIN)
		return;
	TAILQ_FOREACH_SAFE (op, &m->names, link, next)
		if (op->torrent == t)
			reply(m, finish(op), r, &node);
}

void nameop_on_gone(struct mount *m, const struct torrent *t, int err)
{
	struct nameop *op, *next;

	TAILQ_FOREACH_SAFE (op, &m->names, link, next)
		if (op->torrent == t)
			fuse_reply_err(finish(op), err);
}

void nameop_end_all(struct mount *m)
{
	struct nameop *op;

	while ((op = TAILQ_FIRST(&m->names)) != NULL)
		fuse_reply_err(finish(op), EIO);
}
