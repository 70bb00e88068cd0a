/* steer_internal — between the socket (steer.c) and what verbs do
 * (steer_verb.c). */
#ifndef SHOAL_FS_STEER_INTERNAL_H
#define SHOAL_FS_STEER_INTERNAL_H

#include <stdbool.h>

#include "core/btpk.h"
#include "net/signpost.h"

struct buf;
struct library_op;
struct mount;
struct steer_request;
struct steer_lend;
struct torrent_id;

/* An answer that comes later. */
struct steer_later {
	struct library_op *op;	   /* what it waits for; NULL: nothing; … */
	struct signpost_wait wait; /* … likewise, of a key: */
	char key[BTPK_NAME_BYTES];
	struct steer_lend *lend; /* what is added has a directory; or NULL */
	bool is_removal, was_there;
	/* The answer, as steer_answer has it: 0 or ENOMEM, and `out` lent. */
	void (*on_answer)(struct steer_later *later, int err, struct buf *out);
};

/* steer_answer — do what the request says (a file to add is taken out of it);
 * its answer, a line with its end,
 * goes into `out`. 0; EINPROGRESS: it comes through `later`, unless that is
 * cancelled; EAGAIN: what it asks for is on its way from the disk; ENOMEM: then
 * it may have been done all the same. */
int steer_answer(struct mount *m, struct steer_request *r,
		 struct steer_later *later, struct buf *out);
void steer_later_cancel(struct steer_later *later);

/* steer_later_lend — when the torrent was added, it gets r->data. 0, or ENOMEM.
 * _unlend: it was not. */
int steer_later_lend(struct steer_later *later, struct mount *m,
		     const struct steer_request *r);
void steer_later_unlend(struct steer_later *later);

/* steer_later_done — a library_fn for `later->op`: answers. steer_later_settle
 * — answers with the name of `b`, when what was done to it is durable; else
 * what signpost_settle says, and later->key is the name. */
void steer_later_done(void *arg, int err, const char *text);
int steer_later_settle(struct steer_later *later, struct mount *m,
		       const struct btpk *b);

/* steer_refuse — an answer of {"error": why}. 0 or ENOMEM. */
int steer_refuse(const char *why, struct buf *out);

#endif
