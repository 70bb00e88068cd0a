/* latency — CPUs that stay awake while somebody walks the tree.
 *
 * Life: latency_init → latency_open → latency_asked and
 * latency_answered of each request → latency_fini. Thread: loop. */
#ifndef SHOAL_FS_LATENCY_H
#define SHOAL_FS_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_timer;

struct latency {
	int fd;	 /* of the kernel's demands; -1: there is none */
	int err; /* why; 0: it is not wanted */
	bool is_held;
	unsigned row;	      /* questions close upon each other's answers */
	uint64_t answered_us; /* the last request */
	uint64_t close_us;    /* the last question that was close */
	struct loop_timer *timer; /* while it is held; NULL: fd is -1 */
};

/* latency_init — there is none. latency_open — there is, if we may; before the
 * sandbox. latency_use — with `fd`, which is taken, or -1 and why. latency_fini
 * — the demand ends. */
void latency_init(struct latency *l);
void latency_open(struct latency *l, struct loop *loop);
void latency_use(struct latency *l, struct loop *loop, int fd, int err);
void latency_fini(struct latency *l);

/* latency_asked — a request came at `now_us`, as the kernel wrote it.
 * latency_answered — it was dealt with. */
void latency_asked(struct latency *l, uint64_t now_us, const void *request,
		   size_t len);
void latency_answered(struct latency *l, uint64_t now_us);

/* latency_text — for the status. */
const char *latency_text(const struct latency *l);

#endif
