/* warmth — how much of each torrent is in memory.
 *
 *            looked into                 read, or there is room
 *   COLD ──────────────────────► WARM ──────────────────────────► AWAKE
 *     ▲  its metadata is read      │  the engine gets the metadata   │
 *     └────────────────────────────┘                                 │
 *     ▲    too many are WARM                                         │
 *     └──────────────────────────────────────────────────────────────┘
 *            too many are AWAKE, and nobody has a file of it open
 *
 * Nothing here waits: metadata that is not in the page cache is read by a
 * worker, what is long is also parsed by one, and the request that wants it
 * comes again (again.h).
 *
 * What is dropped is dropped by a task, between requests: while one is answered
 * what it looks at stays.
 *
 * Failure modes: a record whose metadata is not there, or is another's, is
 * shown in the root, and everything in it is EIO, with one line in the log. */
#include "fs/warmth.h"

#include <string.h>

#include "core/core_limits.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/again.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/keeper.h"
#include "fs/mount_internal.h"
#include "fs/readop.h"
#include "fs/sleepers.h"
#include "fs/tree.h"
#include "fs/warmth_job.h"
#include "net/engine.h"
#include "net/torrent.h"

/* Metadata that a worker reads. */
struct warmth_read {
	LIST_ENTRY(warmth_read) link;
	struct mount *m;	   /* NULL: the mount is over */
	bool is_ahead;		   /* nobody asked for it, nor for its errors */
	struct warmth_parse parse; /* .base: whose; it may be gone by then */
};

/* One that was AWAKE: until the engine has let go of it, it cannot be again. */
struct warmth_leave {
	LIST_ENTRY(warmth_leave) link;
	struct mount *m;
	uint64_t base;
	struct engine_leave *leave;
};

/* ---- lists ---- */

/* About what it takes: the structs, the dictionary, a file's struct and path.
 */
static uint64_t cost_of(const struct shown *s)
{
	return WARMTH_COST_BYTES + s->mi->info.len +
	       (uint64_t)s->mi->n_files * WARMTH_FILE_COST_BYTES;
}

uint64_t warmth_cost(const struct shown *s)
{
	return WARMTH_COST_BYTES + s->source_len +
	       (uint64_t)s->n_nodes * WARMTH_FILE_COST_BYTES;
}

static void leave_list(struct mount *m, struct shown *s)
{
	struct warmth *sh = &m->warmth;

	if (s->place == SHOWN_WARM) {
		TAILQ_REMOVE(&sh->warm, s, link);
		sh->warm_bytes -= cost_of(s);
	} else if (s->place == SHOWN_AWAKE) {
		TAILQ_REMOVE(&sh->awake, s, link);
		sh->n_awake--;
	}
	s->place = SHOWN_COLD;
}

static void enter_list(struct mount *m, struct shown *s)
{
	struct warmth *sh = &m->warmth;

	s->used_us = loop_now_us(m->loop);
	if (s->torrent != NULL) {
		s->place = SHOWN_AWAKE;
		TAILQ_INSERT_TAIL(&sh->awake, s, link);
		sh->n_awake++;
	} else {
		s->place = SHOWN_WARM;
		TAILQ_INSERT_TAIL(&sh->warm, s, link);
		sh->warm_bytes += cost_of(s);
	}
	loop_defer(m->loop, &sh->trim);
}

static void touch(struct mount *m, struct shown *s)
{
	struct shown_list *list =
		s->torrent != NULL ? &m->warmth.awake : &m->warmth.warm;

	s->used_us = loop_now_us(m->loop);
	if (TAILQ_NEXT(s, link) == NULL)
		return;
	TAILQ_REMOVE(list, s, link);
	TAILQ_INSERT_TAIL(list, s, link);
}

struct engine_leave *warmth_forget(struct mount *m, struct shown *s)
{
	struct engine_leave *leave = NULL;
	struct warmth_leave *l, *next;

	if (s->torrent == NULL)
		m->warmth.asleep_bytes -= s->held_bytes;
	leave_list(m, s);
	sleepers_leave(m, s);
	LIST_FOREACH_SAFE (l, &m->warmth.leaves, link, next) {
		if (l->base != s->base)
			continue;
		leave = l->leave;
		LIST_REMOVE(l, link);
		mem_free(l);
	}
	return leave;
}

/* ---- less ---- */

/* What has a file open stays: its handle looks at the metadata. */
static void trim_warm(struct mount *m)
{
	struct warmth *sh = &m->warmth;
	struct shown *s, *next;

	TAILQ_FOREACH_SAFE (s, &sh->warm, link, next) {
		if (sh->warm_bytes <= WARMTH_WARM_BYTES || next == NULL)
			return;
		if (s->n_handles > 0)
			continue;
		leave_list(m, s);
		roster_drop(s);
	}
}

static bool may_sleep(const struct mount *m, const struct shown *s)
{
	struct torrent_view v;

	if (s->n_handles > 0 || s->source_len == 0 ||
	    torrent_state(s->torrent) != TORRENT_READY)
		return false;
	torrent_view(s->torrent, &v);
	if (v.unchoked_them > 0 && !warmth_is_full(m))
		return false; /* it gives to somebody */
	return v.reads_waiting == 0 && !v.is_scrubbed &&
	       (v.pinned_files == 0 || v.held_pieces == v.n_pieces);
}

static void on_left(void *arg, int err)
{
	struct warmth_leave *l = arg;
	struct mount *m = l->m;
	struct shown *s = roster_by_base(&m->roster, l->base);

	LIST_REMOVE(l, link);
	mem_free(l);
	if (s == NULL)
		return;
	s->is_closing = false;
	if (s->is_wanted && warmth_wake(m, s) == EIO)
		readop_end_of(m, s, EIO);
}

static void put_to_sleep(struct mount *m, struct shown *s)
{
	struct warmth_leave *l = mem_new(struct warmth_leave);
	struct torrent *t = s->torrent;
	struct tree *tree = s->tree;
	enum engine_data data = ENGINE_KEEP_DATA;
	struct torrent_view v;

	if (l == NULL)
		return;
	l->m = m;
	l->base = s->base;
	torrent_view(t, &v);
	if (v.held_bytes > 0 && engine_is_seeding(m->engine))
		data = ENGINE_SLEEP_DATA;
	leave_list(m, s);
	s->tree = NULL;
	roster_drop(s); /* what it lends of `t` may go now */
	if (engine_leave(m->engine, t, &s->id, data, on_left, l, &l->leave) !=
	    0) {
		mem_free(l);
		warmth_adopt(m, s, t, tree); /* without memory: as before */
		return;
	}
	tree_free(tree);
	LIST_INSERT_HEAD(&m->warmth.leaves, l, link);
	s->held_bytes = 0;
	warmth_sleeping(m, s, v.held_bytes);
	s->is_closing = true;
	s->is_wanted = false;
}

static void trim_awake(struct mount *m)
{
	struct warmth *sh = &m->warmth;
	struct shown *s, *next;

	TAILQ_FOREACH_SAFE (s, &sh->awake, link, next) {
		if (sh->n_awake <= WARMTH_AWAKE_MAX || next == NULL)
			return;
		if (may_sleep(m, s))
			put_to_sleep(m, s);
	}
}

static void on_trim(void *arg)
{
	struct mount *m = arg;

	if (m->is_over)
		return;
	trim_warm(m);
	trim_awake(m);
}

void warmth_trim(struct mount *m)
{
	loop_defer(m->loop, &m->warmth.trim);
}

bool warmth_is_over(const struct mount *m)
{
	return m->warmth.n_awake > WARMTH_AWAKE_MAX;
}

bool warmth_is_full(const struct mount *m)
{
	return m->warmth.n_awake >= WARMTH_SERVED_MAX;
}

bool warmth_has_room(const struct mount *m)
{
	return m->warmth.n_awake < WARMTH_AWAKE_MAX || m->keeper == NULL;
}

/* ---- what is held ---- */

void warmth_sleeping(struct mount *m, struct shown *s, uint64_t held_bytes)
{
	m->warmth.asleep_bytes += held_bytes - s->held_bytes;
	s->held_bytes = held_bytes;
	sleepers_enter(m, s);
}

bool warmth_is_ready(const struct shown *s)
{
	return s->torrent != NULL && torrent_state(s->torrent) == TORRENT_READY;
}

uint64_t warmth_held(const struct shown *s)
{
	struct torrent_view v;

	if (!warmth_is_ready(s))
		return s->held_bytes;
	torrent_view(s->torrent, &v);
	return v.held_bytes;
}

uint64_t warmth_held_bytes(const struct mount *m)
{
	uint64_t sum = m->warmth.asleep_bytes;
	const struct shown *s;

	TAILQ_FOREACH (s, &m->warmth.awake, link)
		sum += warmth_held(s);
	return sum;
}

/* ---- more ---- */

void warmth_put(struct mount *m, struct shown *s, struct metainfo *mi TAKES,
		struct tree *tree TAKES)
{
	s->mi = mi;
	s->tree = tree;
	enter_list(m, s);
}

void warmth_adopt(struct mount *m, struct shown *s, struct torrent *t,
		  struct tree *tree TAKES)
{
	/* Nobody changes it: what WARM owns is const as well, but for its
	 * end. */
	s->mi = (struct metainfo *)(uintptr_t)torrent_metainfo(t);
	s->tree = tree;
	roster_wake(s, t);
	enter_list(m, s);
}

/* What came of its metadata is shown, or logged. */
static int take(struct mount *m, struct shown *s, struct warmth_read *rd)
{
	struct warmth_parse *p = &rd->parse;

	if (p->err == 0) {
		s->mi = p->mi;
		s->tree = p->tree;
		p->mi = NULL;
		p->tree = NULL;
		enter_list(m, s);
		return 0;
	}
	if (p->err == ENOMEM)
		return ENOMEM;
	if (!rd->is_ahead)
		log_err("what is remembered of %.200s is damaged: %.100s",
			s->name, p->why.text);
	return EIO;
}

static void read_free(struct warmth_read *rd)
{
	warmth_parse_fini(&rd->parse);
	mem_free(rd);
}

/* It is there, or will not be: those who wait come again. */
static void finish(struct warmth_read *rd, int err)
{
	struct mount *m = rd->m;
	uint64_t base = rd->parse.base;
	struct shown *s = roster_by_base(&m->roster, base);

	LIST_REMOVE(rd, link);
	if (s != NULL) {
		s->is_read = false;
		if (err == 0 && s->mi == NULL && s->source_len == rd->parse.len)
			err = take(m, s, rd);
		s->read_err = rd->is_ahead ? 0 : err;
		if (s->is_wanted && err == 0)
			(void)warmth_wake(m, s);
	}
	read_free(rd);
	again_all(m);
	s = roster_by_base(&m->roster, base);
	if (s != NULL)
		s->read_err = 0; /* who comes later may try */
}

static void on_parsed(struct job *job)
{
	struct warmth_read *rd =
		CONTAINER_OF(job, struct warmth_read, parse.job);

	if (rd->m != NULL)
		finish(rd, 0);
	else
		read_free(rd);
}

static bool is_long(const struct mount *m, const struct warmth_read *rd)
{
	return rd->parse.len > m->warmth.now_max ||
	       (rd->is_ahead && rd->parse.len > WALKAHEAD_NOW_MAX);
}

static void on_read(void *arg, int err, const struct record *r)
{
	struct warmth_read *rd = arg;
	struct mount *m = rd->m;

	if (m == NULL) {
		read_free(rd);
		return;
	}
	if (err == 0 && is_long(m, rd)) {
		rd->parse.job = (struct job){.run = warmth_job_parse,
					     .done = on_parsed,
					     .is_hurried = true};
		m->keeper->work(m->keeper->ctx, &rd->parse.job);
		return;
	}
	if (err == 0)
		warmth_parse(&rd->parse, m->warmth.hasher);
	finish(rd, err);
}

/* Of what is long even the copy out of the page cache is a worker's. */
static int read_now(struct mount *m, struct shown *s, struct warmth_read *rd,
		    const struct record *rec)
{
	int err = is_long(m, rd) ? EAGAIN
				 : m->keeper->read_now(m->keeper->ctx, rec,
						       rd->parse.bytes);

	if (err == EIO && !rd->is_ahead)
		log_err("what is remembered of %.200s is not there", s->name);
	if (err != 0)
		return err;
	warmth_parse(&rd->parse, m->warmth.hasher);
	return take(m, s, rd);
}

static int begin_read(struct mount *m, struct shown *s, bool is_ahead)
{
	struct warmth_read *rd = mem_new(struct warmth_read);
	struct record rec;
	int err;

	if (rd == NULL)
		return ENOMEM;
	rd->m = m;
	rd->is_ahead = is_ahead;
	rd->parse = (struct warmth_parse){.bytes = mem_alloc(s->source_len),
					  .len = s->source_len,
					  .base = s->base};
	if (rd->parse.bytes == NULL) {
		read_free(rd);
		return ENOMEM;
	}
	roster_record(s, &rec);
	err = read_now(m, s, rd, &rec);
	if (err == EAGAIN && (!is_ahead || is_long(m, rd)))
		err = m->keeper->read(m->keeper->ctx, &rec, rd->parse.bytes,
				      on_read, rd);
	if (err != 0 || s->mi != NULL) {
		read_free(rd);
		return err;
	}
	s->is_read = true;
	LIST_INSERT_HEAD(&m->warmth.reads, rd, link);
	return EAGAIN;
}

int warmth_warm(struct mount *m, struct shown *s)
{
	if (s->mi != NULL) {
		touch(m, s);
		return 0;
	}
	if (s->read_err != 0)
		return s->read_err;
	if (s->is_read)
		return EAGAIN;
	if (s->source_len == 0 || s->source_len > METAINFO_MAX_BYTES ||
	    m->keeper == NULL)
		return EIO;
	return begin_read(m, s, false);
}

int warmth_ahead(struct mount *m, struct shown *s)
{
	int err;

	if (s->mi != NULL) {
		if (s->torrent == NULL)
			touch(m, s);
		return 0;
	}
	if (s->is_read)
		return 0;
	if (s->source_len == 0 || s->source_len > METAINFO_MAX_BYTES ||
	    m->keeper == NULL)
		return EIO;
	err = begin_read(m, s, true);
	return err == EAGAIN && s->is_read ? 0 : err;
}

int warmth_wake(struct mount *m, struct shown *s)
{
	struct engine_source src = {0};
	struct torrent *t;
	int err;

	s->is_wanted = true;
	if (s->is_closing)
		return EAGAIN;
	err = warmth_warm(m, s);
	s->is_wanted = err == EAGAIN;
	if (err != 0 || s->torrent != NULL)
		return err;
	src.mi = s->mi;
	leave_list(m, s);
	err = engine_add(m->engine, src, &t);
	if (err != 0) { /* the engine has freed it */
		s->mi = NULL;
		roster_drop(s);
		return err == EEXIST ? EBUSY : err;
	}
	roster_wake(s, t);
	m->warmth.asleep_bytes -= s->held_bytes;
	sleepers_leave(m, s);
	enter_list(m, s);
	return 0;
}

/* ---- life ---- */

/* A small library has peers from the start, and gives to them; of a large one
 * what is used wakes up, and what is held has turns. */
void warmth_start(struct mount *m)
{
	sleepers_start(m);
	if (m->roster.n > WARMTH_AWAKE_MAX)
		return;
	for (uint32_t i = 0; i < m->roster.n; i++)
		(void)warmth_wake(m, m->roster.listed[i].shown);
}

int warmth_init(struct mount *m)
{
	TAILQ_INIT(&m->warmth.warm);
	TAILQ_INIT(&m->warmth.awake);
	LIST_INIT(&m->warmth.reads);
	LIST_INIT(&m->warmth.leaves);
	m->warmth.now_max = WARMTH_NOW_MAX;
	loop_task_init(&m->warmth.trim, on_trim, m);
	return hasher_new(&m->warmth.hasher);
}

void warmth_end(struct mount *m)
{
	struct warmth_read *rd;
	struct warmth_leave *l;

	while ((rd = LIST_FIRST(&m->warmth.reads)) != NULL) {
		LIST_REMOVE(rd, link);
		rd->m = NULL;
	}
	while ((l = LIST_FIRST(&m->warmth.leaves)) != NULL) {
		LIST_REMOVE(l, link);
		engine_leave_cancel(l->leave);
		mem_free(l);
	}
	loop_task_cancel(m->loop, &m->warmth.trim);
	hasher_free(m->warmth.hasher);
	m->warmth.hasher = NULL;
}
