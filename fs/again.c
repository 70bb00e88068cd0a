/* again — a request that comes again.
 *
 * libfuse hands a request to its operation, which finds that what it needs is
 * on its way. The bytes that came from the kernel are kept, libfuse's request
 * is let go without a reply, and when the thing is there the bytes are handed
 * to libfuse as if they had just come. So every operation has this for nothing,
 * and none of them has a second half.
 *
 * An interrupt for a request that is parked finds nobody; libfuse keeps it for
 * the one that comes. The wait is that for one read of a disk. */
#include "fs/again.h"

#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/mount_internal.h"

struct again {
	TAILQ_ENTRY(again) link;
	size_t len;
	char bytes[];
};

void again_park(struct mount *m, fuse_req_t req TAKES)
{
	const struct fuse_buf *at = m->at_hand;
	struct again *a = at != NULL ? mem_alloc(sizeof(*a) + at->size) : NULL;

	if (a == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	a->len = at->size;
	memcpy(a->bytes, at->mem, at->size);
	TAILQ_INSERT_TAIL(&m->again, a, link);
	fuse_reply_none(req);
}

void again_all(struct mount *m)
{
	struct again_list all = TAILQ_HEAD_INITIALIZER(all);
	struct again *a;

	TAILQ_CONCAT(&all, &m->again, link);
	while ((a = TAILQ_FIRST(&all)) != NULL) {
		struct fuse_buf b = {.mem = a->bytes, .size = a->len};

		TAILQ_REMOVE(&all, a, link);
		if (!m->is_over)
			mount_process(m, &b);
		mem_free(a);
	}
}

void again_drop(struct mount *m)
{
	struct again *a;

	while ((a = TAILQ_FIRST(&m->again)) != NULL) {
		TAILQ_REMOVE(&m->again, a, link);
		mem_free(a);
	}
}
