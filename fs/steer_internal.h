/* steer_internal — between the socket (steer.c) and what verbs do
 * (steer_verb.c). */
#ifndef SHOAL_FS_STEER_INTERNAL_H
#define SHOAL_FS_STEER_INTERNAL_H

struct buf;
struct mount;
struct steer_request;

/* steer_answer — do what the request says; its answer, a line with its end,
 * goes into `out`. 0 or ENOMEM: then it may have been done all the same. */
int steer_answer(struct mount *m, const struct steer_request *r,
		 struct buf *out);

/* steer_refuse — an answer of {"error": why}. 0 or ENOMEM. */
int steer_refuse(const char *why, struct buf *out);

#endif
