/* kernel — plays Linux's side of a FUSE mount over a socket pair: sends
 * requests as /dev/fuse would, collects replies, and insists that each request
 * is answered exactly once. */
#ifndef SHOAL_TESTS_KERNEL_H
#define SHOAL_TESTS_KERNEL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/mount_internal.h"

enum { KERNEL_REQUESTS = 512, KERNEL_REPLY_BYTES = 192 << 10 };

struct kernel {
	struct loop *loop;
	struct engine *engine;
	struct mount *m;
	struct loop_timer *pause;
	int fd;
	uint64_t last; /* unique of the last request; they count from 1 */
	int answers[KERNEL_REQUESTS];
	int notified[16]; /* by code */
	/* the last reply taken */
	int err; /* positive errno */
	size_t len;
	uint8_t data[KERNEL_REPLY_BYTES];
	/* how it ended */
	int ends;
	enum mount_end why;
	int ups;
};

/* How libfuse is to speak over a socket pair. */
extern const struct fuse_custom_io kernel_device;

/* kernel_new — a served mount with an engine of fakes, INIT done. */
struct kernel *kernel_new(uint32_t read_timeout_ms, uint32_t lookup_wait_ms);

/* kernel_offer — flags2 of INIT, in every kernel_new from now on.
 * kernel_offer_too — more of its flags. */
void kernel_offer(uint32_t flags2);
void kernel_offer_too(uint32_t flags);

/* kernel_keep — what is remembered, in every kernel_new from now on; kept.
 * NULL: nothing. */
void kernel_keep(const struct keeper *keeper);

/* kernel_forgo — a request that nobody answers, for the mount ends. */
void kernel_forgo(struct kernel *k, uint64_t unique);

/* kernel_free — every request was answered once. */
void kernel_free(struct kernel *k);

/* kernel_send — a request with `n` pieces of payload; its unique. Answers are
 * taken by kernel_wait. */
uint64_t kernel_send(struct kernel *k, uint32_t opcode, uint64_t node,
		     const void *a, size_t a_len, const char *name);

/* kernel_turn — let the mount do what it can now; kernel_run for a while. */
void kernel_turn(struct kernel *k);
void kernel_run(struct kernel *k, unsigned ms);

/* kernel_poll — the reply to `unique` if it is there. kernel_wait — it is
 * there: fails the test when not. Both fill err, len and data. */
bool kernel_poll(struct kernel *k, uint64_t unique);
void kernel_wait(struct kernel *k, uint64_t unique);

/* The usual requests, answered at once; they return err. */
int kernel_lookup(struct kernel *k, uint64_t dir, const char *name,
		  struct fuse_entry_out *out);
int kernel_getattr(struct kernel *k, uint64_t node, struct fuse_attr_out *out);
int kernel_open(struct kernel *k, uint64_t node, uint32_t flags,
		struct fuse_open_out *out);
void kernel_release(struct kernel *k, uint64_t node, uint64_t fh);
uint64_t kernel_read_start(struct kernel *k, uint64_t node, uint64_t fh,
			   uint64_t off, uint32_t size);
int kernel_getxattr(struct kernel *k, uint64_t node, const char *name,
		    uint32_t size);
void kernel_interrupt(struct kernel *k, uint64_t unique);

#endif
