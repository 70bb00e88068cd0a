/* notes — a table in shared memory.
 *
 * Purpose: SIGKILL comes between any two instructions. What was stored before
 * it is in the memfd, whole or not at all: a place counts from the moment
 * its `fh` is not 0, which is written last, and until that is 0 again.
 *
 * Whoever reads these notes has the same text of program as who wrote them: the
 * holder starts both. The magic number is for the day when it does not.
 *
 * Failure modes: a process killed between a note and its reply leaves a note of
 * an open that nobody has. Its file stays as it is until the mount ends,
 * which costs a place. */
#include "fs/notes.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/fuse_kernel.h"

#define NOTES_MAGIC UINT64_C(0x73686f616c6e3031) /* "shoaln01" */

struct place {
	_Atomic uint64_t fh; /* 0: free */
	uint64_t number;
	int32_t id;
	uint32_t unused;
};

struct head {
	uint64_t magic;
	uint32_t init_len;
	uint32_t unused;
	uint8_t init[NOTES_INIT_MAX];
};

struct table {
	struct head head;
	struct place places[NOTES_OPENS_MAX];
};

struct notes {
	struct table *table;
	int32_t hint; /* where a free place may be */
};

static int map_table(int fd, struct table **out)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	void *at;

	if (fd >= 0 && ftruncate(fd, (off_t)sizeof(struct table)) != 0)
		return errno;
	at = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, flags, fd,
		  0);
	if (at == MAP_FAILED)
		return errno;
	*out = at;
	return 0;
}

int notes_new(int fd, struct notes **out)
{
	struct notes *n = mem_new(struct notes);
	int r;

	if (n == NULL)
		return ENOMEM;
	r = map_table(fd, &n->table);
	if (r == 0 && n->table->head.magic == 0)
		n->table->head.magic = NOTES_MAGIC;
	else if (r == 0 && (n->table->head.magic != NOTES_MAGIC ||
			    n->table->head.init_len > NOTES_INIT_MAX))
		r = EPROTO;
	if (r != 0) {
		notes_free(n);
		return r;
	}
	*out = n;
	return 0;
}

void notes_free(struct notes *n)
{
	if (n == NULL)
		return;
	if (n->table != NULL)
		(void)munmap(n->table, sizeof(*n->table));
	mem_free(n);
}

size_t notes_init(const struct notes *n, const uint8_t **init)
{
	*init = n->table->head.init;
	return n->table->head.init_len;
}

void notes_set_init(struct notes *n, const uint8_t *init, size_t len)
{
	if (len > NOTES_INIT_MAX)
		return; /* a successor cannot be */
	memcpy(n->table->head.init, init, len);
	n->table->head.init_len = (uint32_t)len;
}

int32_t notes_add(struct notes *n, const struct notes_open *o)
{
	for (int32_t i = 0; i < NOTES_OPENS_MAX; i++) {
		int32_t at = (n->hint + i) % NOTES_OPENS_MAX;
		struct place *p = &n->table->places[at];

		if (atomic_load(&p->fh) != 0)
			continue;
		p->number = o->number;
		p->id = o->id;
		atomic_store(&p->fh, o->fh);
		n->hint = (at + 1) % NOTES_OPENS_MAX;
		return at;
	}
	return NOTES_NONE;
}

void notes_del(struct notes *n, int32_t place)
{
	if (place == NOTES_NONE)
		return;
	atomic_store(&n->table->places[place].fh, 0);
	n->hint = place;
}

int32_t notes_next(const struct notes *n, int32_t from, struct notes_open *out)
{
	for (int32_t at = from; at < NOTES_OPENS_MAX; at++) {
		struct place *p = &n->table->places[at];

		out->fh = atomic_load(&p->fh);
		if (out->fh == 0)
			continue;
		out->number = p->number;
		out->id = p->id;
		return at;
	}
	return NOTES_NONE;
}

bool notes_can_resend(int fd)
{
	struct fuse_in_header h;
	struct fuse_init_in in;
	struct head head;

	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    head.magic != NOTES_MAGIC || head.init_len < sizeof(h) + sizeof(in))
		return false;
	memcpy(&in, head.init + sizeof(h), sizeof(in));
	return (in.flags & FUSE_INIT_EXT) && (in.flags2 & KERNEL_RESEND);
}
