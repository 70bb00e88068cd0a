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
 * A parse ahead of the name keeps the file open, and reads its bytes while we
 * may: they are neither moved nor freed until it is over. Who changes them
 * meanwhile changes a copy, and the parse is stale.
 *
 * Invariants: one without a name is open; one that is not open has its timer
 * armed; of data and mi one is NULL; one that has a tree has its mi, which
 * nobody else holds; one with a parse that is not stale has its data, which is
 * the parse's. */
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
#include "fs/keeper.h"
#include "fs/mount_internal.h"
#include "fs/tree.h"
#include "fs/warmth_job.h"

struct upload_parse {
	struct warmth_parse parse;
	/* loop only */
	struct upload *u; /* NULL: the mount is over */
	size_t room;	  /* of its bytes */
	bool is_stale;	  /* they are the upload's no more */
	upload_fn *done;
};

struct upload {
	TAILQ_ENTRY(upload) link;
	struct mount *m;
	uint64_t number;
	char *name; /* NULL: it was unlinked */
	mode_t mode;
	uint8_t *data;
	size_t len, room;
	struct metainfo *mi;	    /* has its bytes; NULL: they are `data` */
	struct tree *tree;	    /* of mi, before it was added */
	struct upload_parse *parse; /* that is going on */
	unsigned n_open;
	bool is_lent;	 /* its bytes, while they are looked at */
	bool is_changed; /* since it was taken */
	bool is_added;	 /* … as a torrent */
	bool is_parsed;	 /* or being parsed, as it is */
	struct loop_timer *timer;
};

/* Files and nodes of what it was parsed to. */
static uint64_t weight(const struct upload *u)
{
	return u->tree != NULL ? u->mi->n_files + tree_count(u->tree) : 0;
}

static void drop_tree(struct upload *u)
{
	u->m->uploads.n_parsed -= weight(u);
	tree_free(u->tree);
	u->tree = NULL;
}

static void upload_free(struct upload *u)
{
	struct uploads *all = &u->m->uploads;

	if (u->parse != NULL) {
		u->parse->u = NULL;
		if (!u->parse->is_stale)
			u->data = NULL;
	}
	drop_tree(u);
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

static void unparse(struct upload *u)
{
	drop_tree(u);
	u->data = metainfo_unmake(u->mi);
	u->mi = NULL;
}

/* The first `len` of the bytes, to be changed. */
static int take_back(struct mount *m, struct upload *u, size_t len)
{
	struct span from;
	uint8_t *data;
	size_t room;
	int r;

	if (u->is_lent)
		return EBUSY;
	if (u->tree != NULL)
		unparse(u);
	if (u->mi == NULL && !upload_is_parsing(u))
		return 0;
	from = upload_bytes(u);
	data = u->data;
	room = u->room;
	if (len > from.len)
		len = from.len;
	u->data = NULL;
	u->room = 0;
	r = make_room(m, u, len);
	if (r != 0) {
		u->data = data;
		u->room = room;
		return r;
	}
	if (len > 0)
		memcpy(u->data, from.ptr, len);
	u->len = len;
	if (u->mi == NULL)
		u->parse->is_stale = true;
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
	u->is_parsed = false;
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
	u->is_parsed = false;
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

/* Whoever keeps them has no use for room to grow. */
static void give_room_back(struct upload *u)
{
	uint8_t *data = u->len > 0 ? mem_grow(u->data, u->len, 1) : NULL;

	if (data == NULL)
		return;
	u->m->uploads.bytes -= u->room - u->len;
	u->room = u->len;
	u->data = data;
}

void upload_lend(struct upload *u, struct library_source *out)
{
	assert(!u->is_lent && !upload_is_parsing(u));
	assert(u->mi == NULL || u->tree != NULL);
	if (u->tree == NULL)
		give_room_back(u);
	u->m->uploads.n_parsed -= weight(u);
	*out = (struct library_source){
		.mi = u->mi,
		.tree = u->tree,
		.raw = u->data,
		.raw_len = u->mi != NULL ? 0 : u->len,
	};
	u->is_lent = true;
	u->data = NULL;
	u->mi = NULL;
	u->tree = NULL;
}

void upload_give_back(struct upload *u, struct library_bytes b TAKES)
{
	u->is_lent = false;
	u->data = b.raw;
	u->mi = b.mi;
	if (b.raw != NULL)
		return;
	u->m->uploads.bytes -= u->room;
	u->room = 0;
	if (b.mi == NULL)
		u->len = 0;
}

/* ---- a parse ahead of its name ---- */

bool upload_is_parsing(const struct upload *u)
{
	return u->parse != NULL && !u->parse->is_stale;
}

/* What is short is parsed in a millisecond when it is named. */
static bool may_be_torrent(const struct mount *m, const struct upload *u)
{
	return u->mi == NULL && !u->is_lent && u->len > 1 &&
	       u->len > m->warmth.now_max && u->data[0] == 'd' &&
	       u->data[u->len - 1] == 'e';
}

static void make_place(struct mount *m, const struct upload *but)
{
	struct upload *u;

	TAILQ_FOREACH (u, &m->uploads.list, link) {
		if (m->uploads.n_parsed <= UPLOADS_PARSED_MAX)
			return;
		if (u != but && u->tree != NULL)
			unparse(u);
	}
}

static void take_parsed(struct upload *u, struct warmth_parse *p)
{
	u->data = p->bytes;
	u->mi = p->mi;
	u->tree = p->tree;
	p->bytes = NULL;
	p->mi = NULL;
	p->tree = NULL;
	u->m->uploads.n_parsed += weight(u);
	make_place(u->m, u);
}

static void on_parsed(struct job *job)
{
	struct upload_parse *p =
		CONTAINER_OF(job, struct upload_parse, parse.job);
	struct upload *u = p->u;
	upload_fn *done = p->done;

	if (u != NULL) {
		u->parse = NULL;
		if (p->is_stale)
			u->m->uploads.bytes -= p->room;
		else
			take_parsed(u, &p->parse);
	}
	warmth_parse_fini(&p->parse);
	mem_free(p);
	if (u == NULL)
		return;
	done(u->m, u);
	upload_close(u->m, u);
}

int upload_parse(struct mount *m, struct upload *u, upload_fn *done)
{
	struct upload_parse *p;

	if (upload_is_parsing(u))
		return 0;
	if (m->keeper == NULL || u->name == NULL || u->parse != NULL ||
	    u->is_parsed || !may_be_torrent(m, u))
		return EALREADY;
	p = mem_new(struct upload_parse);
	if (p == NULL)
		return ENOMEM;
	give_room_back(u);
	p->parse = (struct warmth_parse){
		.job = {.run = warmth_job_parse, .done = on_parsed},
		.bytes = u->data,
		.len = u->len,
	};
	p->u = u;
	p->room = u->room;
	p->done = done;
	u->parse = p;
	u->is_parsed = true;
	upload_open(u);
	m->keeper->work(m->keeper->ctx, &p->parse.job);
	return 0;
}

bool upload_is_due(const struct upload *u)
{
	return u->name != NULL && u->is_changed && upload_is_torrent(u->name);
}

void upload_taken(struct upload *u)
{
	u->is_changed = false;
	u->is_added = false;
	u->is_parsed = true;
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
