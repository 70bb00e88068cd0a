/* upload — files that are being copied in.
 *
 * How many there are, how long each is, and all of them together, is bounded:
 * they lie in memory, and anybody who may write to the root may make them.
 * Numbers go round through INODE_UPLOAD_FIRST … _LAST, past those in use.
 *
 * One that was added is a ghost for a second: its name leads to it, for
 * programs that set the mode and the times of what they have copied by its
 * path. Its bytes are the torrent's by then; who reads it is told them from
 * there.
 *
 * Invariants: one without a name is open; one that is not open has its timer
 * armed; of data and mi one is NULL. */
#include "fs/upload.h"

#include <assert.h>
#include <string.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"

struct upload {
	TAILQ_ENTRY(upload) link;
	struct mount *m;
	uint64_t number;
	char *name; /* NULL: it was unlinked */
	mode_t mode;
	uint8_t *data;
	size_t len, room;
	struct metainfo *mi; /* has its bytes; NULL: they are `data` */
	unsigned n_open;
	bool is_lent;	 /* its bytes, while they are looked at */
	bool is_changed; /* since it was taken */
	bool is_added;	 /* … as a torrent */
	struct loop_timer *timer;
};

static void upload_free(struct upload *u)
{
	struct uploads *all = &u->m->uploads;

	TAILQ_REMOVE(&all->list, u, link);
	all->n--;
	all->bytes -= u->room;
	loop_timer_free(u->timer);
	mem_free(u->data);
	metainfo_free(u->mi);
	mem_free(u->name);
	mem_free(u);
}

static void on_lapsed(void *arg)
{
	upload_free(arg);
}

void uploads_init(struct mount *m)
{
	TAILQ_INIT(&m->uploads.list);
	m->uploads.next_number = INODE_UPLOAD_FIRST;
}

void uploads_end(struct mount *m)
{
	struct upload *u;

	while ((u = TAILQ_FIRST(&m->uploads.list)) != NULL)
		upload_free(u);
}

struct upload *upload_by_number(const struct mount *m, uint64_t number)
{
	struct upload *u;

	TAILQ_FOREACH (u, &m->uploads.list, link)
		if (u->number == number)
			return u;
	return NULL;
}

struct upload *upload_by_name(const struct mount *m, const char *name)
{
	struct upload *u;

	TAILQ_FOREACH (u, &m->uploads.list, link)
		if (u->name != NULL && strcmp(u->name, name) == 0)
			return u;
	return NULL;
}

static uint64_t take_number(struct mount *m)
{
	struct uploads *all = &m->uploads;
	uint64_t n;

	do {
		n = all->next_number++;
		if (all->next_number > INODE_UPLOAD_LAST)
			all->next_number = INODE_UPLOAD_FIRST;
	} while (upload_by_number(m, n) != NULL);
	return n;
}

int upload_new(struct mount *m, const char *name, mode_t mode,
	       struct upload **out)
{
	struct upload *u;

	if (m->uploads.n >= UPLOADS_MAX)
		return ENOSPC;
	u = mem_new(struct upload);
	if (u == NULL)
		return ENOMEM;
	u->m = m;
	u->mode = mode & 0777;
	u->name = mem_strdup(name);
	if (u->name == NULL ||
	    loop_timer_new(m->loop, on_lapsed, u, &u->timer) != 0) {
		mem_free(u->name);
		mem_free(u);
		return ENOMEM;
	}
	u->number = take_number(m);
	u->n_open = 1;
	u->is_changed = true;
	TAILQ_INSERT_TAIL(&m->uploads.list, u, link);
	m->uploads.n++;
	*out = u;
	return 0;
}

uint64_t upload_number(const struct upload *u)
{
	return u->number;
}

void upload_stat(const struct upload *u, struct stat *st)
{
	st->st_mode = S_IFREG | u->mode;
	st->st_size = (off_t)u->len;
	st->st_blocks = (blkcnt_t)((u->len + 511) / 512);
}

void upload_open(struct upload *u)
{
	u->n_open++;
	loop_timer_stop(u->timer);
}

bool upload_is_torrent(const char *name)
{
	static const char end[] = ".torrent";
	size_t len = strlen(name), n = sizeof(end) - 1;

	return len > n && strcmp(name + len - n, end) == 0;
}

void upload_close(struct mount *m, struct upload *u)
{
	u->n_open--;
	if (u->n_open > 0)
		return;
	if (u->name == NULL || (upload_is_torrent(u->name) && !u->is_added)) {
		upload_free(u);
		return;
	}
	loop_timer_start(u->timer,
			 (u->is_added ? UPLOAD_GHOST_MS : UPLOAD_LINGER_MS) *
				 UINT64_C(1000));
}

/* ---- what is in it ---- */

static int make_room(struct mount *m, struct upload *u, size_t len)
{
	size_t room = UPLOAD_FIRST_BYTES;
	uint8_t *grown;

	if (len <= u->room)
		return 0;
	while (room < len)
		room *= 2;
	if (room - u->room > UPLOADS_MAX_BYTES - m->uploads.bytes)
		return ENOSPC;
	grown = mem_grow(u->data, room, 1);
	if (grown == NULL)
		return ENOMEM;
	u->data = grown;
	m->uploads.bytes += room - u->room;
	u->room = room;
	return 0;
}

/* The first `len` of the bytes, to be changed. */
static int take_back(struct mount *m, struct upload *u, size_t len)
{
	struct span from;
	int r;

	if (u->is_lent)
		return EBUSY;
	if (u->mi == NULL)
		return 0;
	from = u->mi->file;
	if (len > from.len)
		len = from.len;
	r = make_room(m, u, len);
	if (r != 0)
		return r;
	if (len > 0)
		memcpy(u->data, from.ptr, len);
	u->len = len;
	metainfo_free(u->mi);
	u->mi = NULL;
	return 0;
}

int upload_cut(struct mount *m, struct upload *u, uint64_t len)
{
	int r = len > METAINFO_MAX_BYTES ? EFBIG : take_back(m, u, (size_t)len);

	if (r == 0)
		r = make_room(m, u, (size_t)len);
	if (r != 0)
		return r;
	if (len > u->len)
		memset(u->data + u->len, 0, (size_t)len - u->len);
	u->len = (size_t)len;
	u->is_changed = true;
	return 0;
}

int upload_write(struct mount *m, struct upload *u, const char *data,
		 size_t len, uint64_t off)
{
	int r;

	if (len == 0)
		return 0;
	if (off > METAINFO_MAX_BYTES || len > METAINFO_MAX_BYTES - off)
		return EFBIG;
	r = take_back(m, u, SIZE_MAX);
	if (r == 0 && off > u->len)
		r = upload_cut(m, u, off);
	if (r == 0)
		r = make_room(m, u, (size_t)off + len);
	if (r != 0)
		return r;
	memcpy(u->data + off, data, len);
	if (off + len > u->len)
		u->len = (size_t)off + len;
	u->is_changed = true;
	return 0;
}

struct span upload_bytes(const struct upload *u)
{
	return u->mi != NULL ? u->mi->file : span_of(u->data, u->len);
}

bool upload_is_lent(const struct upload *u)
{
	return u->is_lent;
}

uint8_t *upload_lend(struct upload *u, size_t *len)
{
	uint8_t *data;

	assert(!u->is_lent && u->mi == NULL);
	/* Whoever keeps them has no use for room to grow. */
	data = u->len > 0 ? mem_grow(u->data, u->len, 1) : NULL;
	if (data != NULL) {
		u->m->uploads.bytes -= u->room - u->len;
		u->room = u->len;
	} else {
		data = u->data;
	}
	u->is_lent = true;
	u->data = NULL;
	*len = u->len;
	return data;
}

void upload_give_back(struct upload *u, uint8_t *data TAKES,
		      struct metainfo *mi TAKES)
{
	u->is_lent = false;
	u->data = data;
	u->mi = mi;
	if (data != NULL)
		return;
	u->m->uploads.bytes -= u->room;
	u->room = 0;
	if (mi == NULL)
		u->len = 0;
}

bool upload_is_due(const struct upload *u)
{
	return u->name != NULL && u->is_changed && upload_is_torrent(u->name);
}

void upload_taken(struct upload *u)
{
	u->is_changed = false;
	u->is_added = false;
}

void upload_added(struct upload *u)
{
	u->is_added = true;
}

/* ---- its name ---- */

void upload_unlink(struct mount *m, struct upload *u)
{
	mem_free(u->name);
	u->name = NULL;
	if (u->n_open == 0)
		upload_free(u);
}

int upload_rename(struct mount *m, struct upload *u, const char *name)
{
	struct upload *other = upload_by_name(m, name);
	char *copy;

	if (other == u)
		return 0;
	copy = mem_strdup(name);
	if (copy == NULL)
		return ENOMEM;
	if (other != NULL)
		upload_unlink(m, other);
	mem_free(u->name);
	u->name = copy;
	return 0;
}
