/* ledger — the loop's side: requests are gathered while a commit runs, and the
 * next one takes them all, so that a thousand torrents that come at once cost a
 * few syncs.
 *
 * Failure modes: a write that fails leaves all as it was, and is told to those
 * of its commit. After a sync that failed nobody knows what is on disk: every
 * later request gets EIO. */
#include "cache/ledger.h"

#include <string.h>
#include <sys/uio.h>

#include "cache/cache_limits.h"
#include "cache/ledger_internal.h"
#include "core/buf.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/mem.h"

/* ---- what an image says ---- */

struct pick {
	struct ledger *l;
	struct hmap *by_wire; /* → its index in live, + 1 */
	size_t room, n_entries, n_live, n_bad;
};

/* Where it is in live, + 1, by either hash; 0: it does not count. */
static size_t find(const struct pick *p, const struct torrent_id *id)
{
	for (int side = 0; side < TORRENT_SIDES; side++) {
		const uint8_t *wire =
			torrent_id_side(id, (enum torrent_side)side);
		size_t ix = 0;

		if (wire != NULL)
			ix = (size_t)(uintptr_t)hmap_get(p->by_wire, wire);
		if (ix != 0 && p->l->live[ix - 1] != 0)
			return ix;
	}
	return 0;
}

/* From now on its hashes lead to the last of live. */
static int enter(struct pick *p, const struct torrent_id *id, size_t ix)
{
	int err = 0;

	for (int side = 0; err == 0 && side < TORRENT_SIDES; side++) {
		const uint8_t *wire =
			torrent_id_side(id, (enum torrent_side)side);

		if (wire == NULL)
			continue;
		(void)hmap_del(p->by_wire, wire);
		err = hmap_put(p->by_wire, wire, (void *)(uintptr_t)ix);
	}
	return err;
}

static int append(struct pick *p, size_t at)
{
	struct ledger *l = p->l;

	if (l->n_live == p->room) {
		size_t room = p->room != 0 ? 2 * p->room : 64;
		size_t *grown = mem_grow(l->live, room, sizeof(*grown));

		if (grown == NULL)
			return ENOMEM;
		l->live = grown;
		p->room = room;
	}
	l->live[l->n_live++] = at;
	return 0;
}

/* One that is remembered anew keeps its place. */
static int note(struct pick *p, enum record_kind kind, const struct record *r,
		size_t at)
{
	size_t ix = find(p, &r->id);
	int err = 0;

	if (kind == RECORD_FORGET) {
		if (ix != 0)
			p->l->live[ix - 1] = 0;
		p->n_live -= ix != 0;
		return 0;
	}
	if (ix == 0) {
		err = append(p, at);
		ix = p->l->n_live;
		p->n_live++;
	} else {
		p->l->live[ix - 1] = at;
	}
	return err != 0 ? err : enter(p, &r->id, ix);
}

static int walk(struct pick *p)
{
	struct ledger *l = p->l;
	struct span in = span_of(l->image + LEDGER_HEAD_BYTES,
				 l->image_len - LEDGER_HEAD_BYTES);
	enum record_kind kind;
	struct record r;
	int err = 0;

	while (err == 0) {
		size_t at = l->image_len - in.len;
		int got = record_take(&in, &kind, &r);

		if (got == ENODATA)
			return 0;
		p->n_entries++;
		if (got != 0)
			p->n_bad++;
		else
			err = note(p, kind, &r, at);
	}
	return err;
}

/* The entries that count, when too many others lie between them. */
static int compact(struct ledger *l)
{
	struct buf log = {0};
	int err;

	buf_add(&log, l->image, LEDGER_HEAD_BYTES);
	for (size_t i = 0; i < l->n_live; i++) {
		struct record r;

		if (l->live[i] == 0)
			continue;
		record_again(l->image + l->live[i], &r);
		record_put(&log, &r);
	}
	err = buf_err(&log);
	if (err == 0)
		err = ledger_job_rewrite(&l->files, buf_span(&log));
	buf_fini(&log);
	return err;
}

static int pick_live(struct ledger *l)
{
	struct pick p = {.l = l};
	int err = hmap_new(TORRENT_WIRE_BYTES, &p.by_wire);

	if (err != 0)
		return err;
	/* One that grows is touched three times over. Without this memory it
	 * grows all the same. */
	(void)hmap_reserve(p.by_wire, l->image_len / LEDGER_ENTRY_BYTES);
	err = walk(&p);
	hmap_free(p.by_wire);
	if (err != 0)
		return err;
	if (p.n_bad > 0)
		log_warn("the library has %zu damaged entries of %zu", p.n_bad,
			 p.n_entries);
	if (p.n_bad > 0 || p.n_entries > 2 * p.n_live + LEDGER_SPARE_ENTRIES)
		err = compact(l);
	return err;
}

/* ---- life ---- */

int ledger_new(const struct ledger_cfg *cfg, struct ledger **out)
{
	struct ledger *l = mem_new(struct ledger);
	int err;

	if (l == NULL)
		return ENOMEM;
	l->thread = cfg->thread;
	l->workers = cfg->workers;
	STAILQ_INIT(&l->waiting);
	STAILQ_INIT(&l->commit.requests);
	l->files.dir_fd = l->files.log_fd = l->files.source_fd = -1;
	err = ledger_job_open(&l->files, cfg->dir, &l->image, &l->image_len);
	if (err == 0)
		err = pick_live(l);
	if (err != 0) {
		ledger_free(l);
		return err;
	}
	*out = l;
	return 0;
}

static void drop_image(struct ledger *l)
{
	mem_free(l->image);
	mem_free(l->live);
	l->image = NULL;
	l->live = NULL;
	l->n_live = 0;
}

static void say(struct ledger *l, const struct record *r, ledger_each_fn *fn,
		void *arg)
{
	uint8_t link[MAGNET_MAX_BYTES + 1];
	struct span text = span_of(NULL, 0);

	if (r->is_magnet && r->source_len <= MAGNET_MAX_BYTES &&
	    ledger_job_read(l->files.source_fd, r, link) == 0) {
		link[r->source_len] = 0;
		text = span_of(link, r->source_len);
	}
	fn(arg, r, text);
}

uint32_t ledger_count(const struct ledger *l)
{
	return (uint32_t)l->n_live;
}

void ledger_each(struct ledger *l, ledger_each_fn *fn, void *arg)
{
	for (size_t i = 0; i < l->n_live; i++) {
		struct record r;

		if (l->live[i] == 0)
			continue;
		record_again(l->image + l->live[i], &r);
		say(l, &r, fn, arg);
	}
	drop_image(l);
}

void ledger_free(struct ledger *l TAKES)
{
	if (l == NULL)
		return;
	drop_image(l);
	ledger_job_close(&l->files);
	mem_free(l);
}

/* ---- commits ---- */

static void begin(struct ledger *l);

static void on_committed(struct job *job)
{
	struct ledger_commit *c = CONTAINER_OF(job, struct ledger_commit, job);
	struct ledger *l = CONTAINER_OF(c, struct ledger, commit);
	struct ledger_requests done = STAILQ_HEAD_INITIALIZER(done);
	struct ledger_request *q;
	int err = c->err;

	STAILQ_CONCAT(&done, &c->requests);
	l->is_busy = false;
	begin(l);
	while ((q = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, link);
		q->done(q->arg, err, &q->r);
		mem_free(q);
	}
}

static void begin(struct ledger *l)
{
	if (l->is_busy || STAILQ_EMPTY(&l->waiting))
		return;
	l->is_busy = true;
	STAILQ_CONCAT(&l->commit.requests, &l->waiting);
	l->commit.files = &l->files;
	l->commit.job =
		(struct job){.run = ledger_job_commit, .done = on_committed};
	workers_submit(l->thread, &l->commit.job);
}

static int submit(struct ledger *l, struct ledger_request *q,
		  const struct record *r, ledger_done_fn *done, void *arg)
{
	q->r = *r;
	q->done = done;
	q->arg = arg;
	STAILQ_INSERT_TAIL(&l->waiting, q, link);
	begin(l);
	return 0;
}

int ledger_keep(struct ledger *l, const struct record *r, struct span source,
		ledger_done_fn *done, void *arg)
{
	struct ledger_request *q = mem_new(struct ledger_request);

	if (q == NULL)
		return ENOMEM;
	if (source.len > 0) {
		q->source = source.ptr;
		q->source_len = (uint32_t)source.len;
	}
	return submit(l, q, r, done, arg);
}

int ledger_forget(struct ledger *l, const struct record *r,
		  ledger_done_fn *done, void *arg)
{
	struct ledger_request *q = mem_new(struct ledger_request);

	if (q == NULL)
		return ENOMEM;
	q->is_forget = true;
	return submit(l, q, r, done, arg);
}

/* ---- reads ---- */

int ledger_read_now(const struct ledger *l, const struct record *r,
		    uint8_t *dst)
{
	struct iovec iov = {.iov_base = dst, .iov_len = r->source_len};
	ssize_t n;

	if (r->source_at > (uint64_t)INT64_MAX - r->source_len)
		return EIO;
	n = preadv2(l->files.source_fd, &iov, 1, (off_t)r->source_at,
		    RWF_NOWAIT);
	if (n == (ssize_t)r->source_len)
		return 0;
	return n < 0 && errno != EAGAIN && errno != EOPNOTSUPP ? EIO : EAGAIN;
}

static void on_loaded(struct job *job)
{
	struct ledger_load *q = CONTAINER_OF(job, struct ledger_load, job);

	q->done(q->arg, q->err, &q->r);
	mem_free(q);
}

int ledger_read(struct ledger *l, const struct record *r, uint8_t *dst,
		ledger_done_fn *done, void *arg)
{
	struct ledger_load *q = mem_new(struct ledger_load);

	if (q == NULL)
		return ENOMEM;
	*q = (struct ledger_load){
		.job = {.run = ledger_job_load, .done = on_loaded},
		.fd = l->files.source_fd,
		.r = *r,
		.dst = dst,
		.done = done,
		.arg = arg,
	};
	workers_submit(l->workers, &q->job);
	return 0;
}

static void on_advised(struct job *job)
{
	mem_free(CONTAINER_OF(job, struct ledger_advice, job));
}

void ledger_soon(struct ledger *l, const struct record_place *places,
		 unsigned n)
{
	struct ledger_advice *a =
		mem_alloc(sizeof(*a) + n * sizeof(a->places[0]));

	if (a == NULL)
		return;
	*a = (struct ledger_advice){
		.job = {.run = ledger_job_advise, .done = on_advised},
		.fd = l->files.source_fd,
		.n = n,
	};
	memcpy(a->places, places, n * sizeof(a->places[0]));
	workers_submit(l->workers, &a->job);
}
