/* story — see story.h. */
#include "tests/lib/story.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "cache/ledger.h"
#include "cache/store_disk.h"
#include "cache/store_share.h"
#include "cache/store_tally.h"
#include "cache/store_vet.h"
#include "core/record.h"
#include "core/torrent_id.h"
#include "tests/lib/drive.h"

enum {
	PARTS = 3, /* of a staged piece */
	SPARE_BYTES = 8 << 10,
	V1_FIRST = 10, /* pieces that come before the eviction */
	MENDS = 200,
	MEND_US = 20000,
	ROOMY = 64 << 20, /* a quota that nothing here comes near */
};

static const char *const names[STORY_N] = {"one", "closed", "two", "both"};

static void fail(const char *text, ...)
{
	va_list ap;

	va_start(ap, text);
	fprintf(stderr, "story: ");
	vfprintf(stderr, text, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

/* ---- fixture ---- */

void story_init(struct story *y, const char *dir)
{
	static const uint64_t odd[] = {50001, 7, 170000};
	static const uint64_t small[] = {40000};

	*y = (struct story){0};
	fix_loop_init(&y->l, 2);
	snprintf(y->dir, sizeof(y->dir), "%s", dir);
	y->torrents[STORY_V1].mi = fix_torrent(&y->l, "one", odd, 3);
	y->torrents[STORY_CLOSED].mi = fix_torrent(&y->l, "closed", small, 1);
	y->torrents[STORY_V2].src = (struct v2_source){
		.name = "two",
		.files = {{.seed = 1, .len = 150000}, {.seed = 2, .len = 9000}},
		.n = 2,
		.piece_bytes = 64 << 10};
	y->torrents[STORY_HYBRID].src =
		(struct v2_source){.name = "both",
				   .files = {{.seed = 3, .len = 20000},
					     {.seed = 1, .len = 150000}},
				   .n = 2,
				   .piece_bytes = 32 << 10,
				   .is_hybrid = true};
	for (unsigned i = 0; i < STORY_N; i++) {
		struct story_torrent *t = &y->torrents[i];

		t->story = y;
		t->who = (enum story_who)i;
		if (t->src.n > 0)
			t->mi = v2_torrent(&y->l, &t->src);
		if (t->mi->n_pieces > STORY_PIECES)
			fail("too many pieces");
	}
}

void story_fini(struct story *y)
{
	for (unsigned i = 0; i < STORY_N; i++) {
		bits_fini(&y->torrents[i].open.held);
		metainfo_free(y->torrents[i].mi);
	}
	fix_loop_fini(&y->l);
}

void story_begin(struct story *y, const char *dir, bool may_fail)
{
	if (dir != y->dir)
		snprintf(y->dir, sizeof(y->dir), "%s", dir);
	y->may_fail = may_fail;
	y->what = "the story";
	y->n_marks = 0;
	y->n_reads = y->n_errors = y->n_wrong = 0;
	y->losing_since = y->evicting_from = SIZE_MAX;
	for (unsigned i = 0; i < STORY_N; i++)
		memset(y->torrents[i].has, 0, sizeof(y->torrents[i].has));
}

/* ---- helpers ---- */

static void mark(struct story_torrent *t, int kind, uint32_t ix)
{
	struct story *y = t->story;
	struct story_mark *m = &y->marks[y->n_marks++];

	if (y->n_marks == STORY_MARKS)
		fail("too many promises");
	m->kind = kind;
	m->who = t->who;
	m->ix = ix;
	m->from = m->at = drive_len();
	if (kind == STORY_LOST && y->losing_since < m->from)
		m->from = y->losing_since;
}

/* An error, which is to be expected or is not. */
static bool failed(struct story *y, int err, const char *what)
{
	if (err == 0)
		return false;
	y->n_errors++;
	if (!y->may_fail)
		fail("%s: %s", what, strerror(err));
	return true;
}

static bool is_answered(void *arg)
{
	const struct story *y = arg;

	return y->n_open == 0;
}

static void settle(struct story *y)
{
	fix_until(&y->l, is_answered, y);
}

static bool is_staged(void *arg)
{
	const struct story *y = arg;

	return y->n_staging == 0;
}

static void fill(const struct story_torrent *t, uint64_t off, size_t len,
		 uint8_t *dst)
{
	if (t->src.n > 0)
		v2_fill(&t->src, t->mi, off, len, dst);
	else
		fix_fill(dst, off, len);
}

static struct blk *bytes_of(struct story_torrent *t, uint32_t ix, uint32_t at,
			    uint32_t len)
{
	struct blk *b = blk_new(t->story->l.pool, len);

	if (b != NULL)
		fill(t, (uint64_t)ix * t->mi->piece_bytes + at, len, b->data);
	return b;
}

/* ---- a store, and what is told by it ---- */

static void on_gained(void *arg, uint32_t ix)
{
	struct story_torrent *t = arg;

	t->has[ix] = true;
}

static void on_gained_leaves(void *arg, uint32_t ix, uint32_t at, uint32_t len)
{
}

static void on_lost(void *arg, uint32_t ix)
{
	struct story_torrent *t = arg;

	t->has[ix] = false;
	mark(t, STORY_LOST, ix);
}

static void on_disputed(void *arg, uint32_t ix)
{
	fail("a torrent is said to contradict itself");
}

static const struct store_share_ops share_ops = {
	.on_gained = on_gained,
	.on_gained_leaves = on_gained_leaves,
	.on_lost = on_lost,
	.on_disputed = on_disputed,
};

static void on_each(void *arg, const struct record *r, struct span link)
{
	struct story *y = arg;

	for (unsigned i = 0; i < STORY_N; i++)
		if (strcmp(r->name, names[i]) == 0)
			y->is_remembered[i] = true;
}

int story_start(struct story *y, uint64_t quota_bytes)
{
	struct store_disk_cfg cfg = {.loop = y->l.loop,
				     .workers = y->l.workers,
				     .thread = y->l.thread,
				     .dir = y->dir,
				     .quota_bytes = quota_bytes};
	struct ledger_cfg lcfg = {
		.thread = y->l.thread, .workers = y->l.workers, .dir = y->dir};
	int err = store_disk_new(&cfg, &y->s, y->why);

	if (failed(y, err, "start"))
		return err;
	memset(y->is_remembered, 0, sizeof(y->is_remembered));
	err = ledger_new(&lcfg, &y->ledger);
	if (failed(y, err, "start the ledger")) {
		story_stop(y);
		return err;
	}
	ledger_each(y->ledger, on_each, y);
	return 0;
}

static void close_one(struct story_torrent *t)
{
	if (t->open.st != NULL)
		store_close(t->open.st);
	t->open.st = NULL;
	memset(t->has, 0, sizeof(t->has));
}

void story_stop(struct story *y)
{
	for (unsigned i = 0; i < STORY_N; i++)
		close_one(&y->torrents[i]);
	while (workers_pending(y->l.thread) > 0 ||
	       workers_pending(y->l.workers) > 0) {
		workers_drain(y->l.thread, UINT32_MAX);
		workers_drain(y->l.workers, UINT32_MAX);
	}
	store_free(y->s);
	y->s = NULL;
	ledger_free(y->ledger);
	y->ledger = NULL;
}

static void on_open(void *arg, int err, struct store_torrent *st,
		    const struct bits *held)
{
	struct story_torrent *t = arg;

	t->story->n_open--;
	t->open.err = err;
	t->open.st = st;
	if (err != 0)
		return;
	for (uint32_t ix = 0; ix < held->n; ix++) {
		t->has[ix] = bits_has(held, ix);
		/* It was evicted while the torrent was closed. */
		if (!t->has[ix] && t->story->losing_since != SIZE_MAX)
			mark(t, STORY_LOST, ix);
	}
	store_watch(st, &share_ops, t);
	mark(t, STORY_OPENED, 0);
}

static bool open_one(struct story_torrent *t)
{
	struct story *y = t->story;

	if (y->s == NULL)
		return false;
	y->n_open++;
	t->open.err = store_open(y->s, t->mi, on_open, t);
	if (t->open.err != 0)
		y->n_open--;
	settle(y);
	/* What is not open goes first. */
	for (uint32_t ix = 0; ix < t->mi->n_pieces; ix++)
		if (t->open.err != 0 && y->losing_since != SIZE_MAX)
			mark(t, STORY_LOST, ix);
	return !failed(y, t->open.err, "open");
}

static void on_done(void *arg, int err)
{
	struct story *y = arg;

	y->n_open--;
	(void)failed(y, err, "flush");
}

/* Something came of every torrent that is open. */
static void count(struct story *y)
{
	const struct traffic some = {.down_bytes = 1000, .up_bytes = 10};

	for (unsigned i = 0; i < STORY_N && y->s != NULL; i++)
		if (y->torrents[i].open.st != NULL)
			store_count(y->s, &y->torrents[i].mi->id, &some);
}

static uint32_t counted(const struct story *y)
{
	struct traffic all;

	(void)store_traffic(y->s, NULL, &all);
	return (uint32_t)all.down_bytes;
}

static void flush(struct story *y)
{
	fix_until(&y->l, is_staged, y);
	count(y);
	if (y->s != NULL) {
		int err = store_flush(y->s, on_done, y);

		if (!failed(y, err, "flush"))
			y->n_open++;
	}
	settle(y);
	fix_quiet(&y->l);
	if (y->s != NULL)
		mark(&y->torrents[0], STORY_COUNTED, counted(y));
}

/* ---- puts ---- */

struct putting {
	struct story_torrent *t;
	uint32_t ix;
	bool is_leaves, is_wrong;
	unsigned n_parts;
	int err;
};

static void put_over(struct putting *p, int err)
{
	struct story *y = p->t->story;

	if (err != 0 && !p->is_leaves)
		p->t->has[p->ix] = false;
	(void)failed(y, err, "put");
	y->n_open--;
	mem_free(p);
}

static void on_put(void *arg, uint32_t ix, enum store_phase phase, int err)
{
	struct putting *p = arg;

	if (err == 0 && phase == STORE_WRITTEN) {
		if (!p->is_leaves)
			p->t->has[ix] = true;
		return;
	}
	if (err == 0 && !p->is_leaves)
		mark(p->t, STORY_DURABLE, ix);
	put_over(p, err);
}

static struct putting *putting_new(struct story_torrent *t, uint32_t ix)
{
	struct putting *p = mem_new(struct putting);

	if (p == NULL) {
		(void)failed(t->story, ENOMEM, "put");
		return NULL;
	}
	*p = (struct putting){.t = t, .ix = ix};
	t->story->n_open++;
	return p;
}

static void put_whole(struct story_torrent *t, uint32_t ix)
{
	struct putting *p = putting_new(t, ix);
	struct blk *b;
	int err;

	if (p == NULL)
		return;
	b = bytes_of(t, ix, 0, metainfo_piece_bytes(t->mi, ix));
	err = b == NULL ? ENOMEM : store_put(t->open.st, ix, b, on_put, p);
	blk_drop(b);
	if (err != 0)
		put_over(p, err);
}

static void put_leaves(struct story_torrent *t, uint32_t ix, uint32_t at,
		       uint32_t len)
{
	struct putting *p = putting_new(t, ix);
	struct blk *b;
	int err;

	if (p == NULL)
		return;
	p->is_leaves = true;
	b = bytes_of(t, ix, at, len);
	err = b == NULL ? ENOMEM
			: store_put_leaves(t->open.st, ix, at, b, on_put, p);
	blk_drop(b);
	if (err != 0)
		put_over(p, err);
}

static void stage(struct putting *p, bool is_wrong);

static void on_staged(void *arg, int err)
{
	struct putting *p = arg;

	if (err != 0)
		p->err = err;
	if (--p->n_parts > 0)
		return;
	err = p->err;
	if (err == 0 && p->is_wrong) {
		stage(p, false);
		return;
	}
	p->t->story->n_staging--;
	if (err == 0)
		err = store_put(p->t->open.st, p->ix, NULL, on_put, p);
	if (err != 0) {
		store_unstage(p->t->open.st, p->ix);
		put_over(p, err);
	}
}

/* Wrong bytes first: they may be on the disk after any cut. */
static void stage(struct putting *p, bool is_wrong)
{
	struct story_torrent *t = p->t;
	uint32_t left = metainfo_piece_bytes(t->mi, p->ix);
	uint32_t part = left / PARTS + 1, at = 0;

	p->is_wrong = is_wrong;
	p->n_parts = 1; /* this function's */
	for (; left > 0; left -= part, at += part) {
		struct blk *b;
		int err;

		part = part < left ? part : left;
		b = bytes_of(t, p->ix, at, part);
		if (b != NULL && is_wrong)
			memset(b->data, 0xee, part);
		p->n_parts++;
		err = b == NULL ? ENOMEM
				: store_stage(t->open.st, p->ix, at, b,
					      on_staged, p);
		blk_drop(b);
		if (err != 0)
			p->err = err;
		p->n_parts -= err != 0;
	}
	on_staged(p, 0);
}

static void put_staged(struct story_torrent *t, uint32_t ix)
{
	struct putting *p = putting_new(t, ix);

	if (p == NULL)
		return;
	t->story->n_staging++;
	stage(p, true);
}

static void put_some(struct story_torrent *t, uint32_t first, uint32_t n)
{
	if (t->open.st == NULL)
		return;
	for (uint32_t ix = first; ix < first + n && ix < t->mi->n_pieces;
	     ix++) {
		if (t->has[ix])
			continue;
		if (t->who == STORY_V1 && ix % 3 == 1)
			put_staged(t, ix);
		else
			put_whole(t, ix);
	}
}

/* ---- reads ---- */

/* What is doubtful is hashed before it is read, as pieces_read has it. */
static bool is_believed(struct story_torrent *t, uint32_t ix)
{
	const struct vet_ask hurried = {.is_hurried = true};
	struct story *y = t->story;
	struct fix_answer a = {0};
	int err;

	if (!store_is_doubtful(t->open.st, ix))
		return true;
	err = store_vet(t->open.st, ix, &hurried, fix_on_done, &a);
	if (err == 0) {
		fix_until(&y->l, fix_is_set, &a.is_done);
		err = a.err;
	}
	if (err != EBADMSG && err != EIO)
		return !failed(y, err, "vet");
	t->has[ix] = false;
	store_forget(t->open.st, ix);
	y->n_wrong++;
	return false;
}

static void read_one(struct story_torrent *t, uint32_t ix)
{
	static uint8_t got[128 << 10], want[128 << 10];
	struct story *y = t->story;
	uint64_t off = (uint64_t)ix * t->mi->piece_bytes;
	uint32_t len = metainfo_piece_bytes(t->mi, ix);
	struct fix_answer a = {0};
	int err;

	if (t->open.st == NULL || !t->has[ix] || !is_believed(t, ix))
		return;
	err = store_read_now(t->open.st, off, len, got);
	if (err != 0) {
		err = store_read(t->open.st, off, len, got, fix_on_done, &a);
		if (err == 0) {
			fix_until(&y->l, fix_is_set, &a.is_done);
			err = a.err;
		}
	}
	if (failed(y, err, "read") || !t->has[ix])
		return;
	fill(t, off, len, want);
	if (memcmp(got, want, len) != 0)
		fail("%s: piece %u of '%s' reads wrong", y->what, ix,
		     names[t->who]);
	y->n_reads++;
}

static void read_some(struct story_torrent *t, uint32_t n)
{
	for (uint32_t ix = 0; ix < t->mi->n_pieces && n > 0; ix++) {
		n -= t->has[ix];
		read_one(t, ix);
	}
}

/* ---- remembering and removing ---- */

struct keeping {
	struct story_torrent *t;
	bool is_forget;
};

static void on_kept(void *arg, int err, const struct record *r)
{
	struct keeping *k = arg;

	k->t->story->n_open--;
	if (!failed(k->t->story, err, "remember"))
		mark(k->t, k->is_forget ? STORY_FORGOTTEN : STORY_KEPT, 0);
}

static void remember(struct story_torrent *t, bool is_forget)
{
	struct keeping k = {t, is_forget};
	struct story *y = t->story;
	struct record r = {.id = t->mi->id};
	int err;

	if (y->ledger == NULL)
		return;
	snprintf(r.name, sizeof(r.name), "%s", names[t->who]);
	if (is_forget)
		mark(t, STORY_FORGETTING, 0);
	err = is_forget ? ledger_forget(y->ledger, &r, on_kept, &k)
			: ledger_keep(y->ledger, &r, span_str("its source"),
				      on_kept, &k);
	if (!failed(y, err, "remember"))
		y->n_open++;
	settle(y);
}

static void on_removed(void *arg, int err)
{
	struct story_torrent *t = arg;

	t->story->n_open--;
	if (!failed(t->story, err, "remove"))
		mark(t, STORY_REMOVED, 0);
}

static void remove_one(struct story_torrent *t)
{
	struct story *y = t->story;
	int err;

	if (y->s == NULL)
		return;
	remember(t, true);
	close_one(t);
	mark(t, STORY_REMOVING, 0);
	err = store_remove(y->s, &t->mi->id, on_removed, t);
	if (!failed(y, err, "remove"))
		y->n_open++;
	settle(y);
}

/* ---- the story ---- */

void story_first(struct story *y)
{
	struct story_torrent *one = &y->torrents[STORY_V1];
	struct story_torrent *two = &y->torrents[STORY_V2];
	struct bits pins = {0};

	if (story_start(y, 0) != 0)
		return;
	for (unsigned i = 0; i < STORY_N; i++) {
		remember(&y->torrents[i], false);
		(void)open_one(&y->torrents[i]);
	}
	put_some(one, 0, 4);
	put_some(&y->torrents[STORY_CLOSED], 0, 3);
	flush(y);
	put_some(one, 4, V1_FIRST - 4);
	if (two->open.st != NULL) {
		put_leaves(two, 0, 0, 16 << 10);
		put_leaves(two, 0, 16 << 10, 48 << 10);
		put_some(two, 1, 1);
	}
	flush(y);
	put_some(two, 2, 2);
	put_some(&y->torrents[STORY_HYBRID], 0, 1);
	if (one->open.st != NULL && bits_init(&pins, one->mi->n_files) == 0) {
		bits_set(&pins, 1);
		(void)failed(y, store_keep_pins(one->open.st, &pins), "pin");
		bits_fini(&pins);
	}
	flush(y);
	for (unsigned i = 0; i < STORY_N; i++)
		read_some(&y->torrents[i], 3);
}

static void evicting_run(struct story *y, uint64_t quota_bytes)
{
	struct story_torrent *one = &y->torrents[STORY_V1];

	y->losing_since = y->evicting_from = drive_len();
	if (story_start(y, quota_bytes) != 0)
		return;
	(void)open_one(one);
	(void)open_one(&y->torrents[STORY_V2]);
	(void)open_one(&y->torrents[STORY_HYBRID]);
	put_some(one, V1_FIRST, 2);
	flush(y);
	put_some(one, V1_FIRST + 2, STORY_PIECES);
	flush(y);
	put_some(&y->torrents[STORY_HYBRID], 0, 3);
	flush(y);
	for (unsigned i = 0; i < STORY_N; i++)
		read_some(&y->torrents[i], 3);
}

static void last_run(struct story *y)
{
	if (story_start(y, 0) != 0)
		return;
	for (unsigned i = 0; i < STORY_N; i++)
		if (i != STORY_CLOSED)
			(void)open_one(&y->torrents[i]);
	for (unsigned i = 0; i < STORY_N; i++)
		read_some(&y->torrents[i], STORY_PIECES);
	remove_one(&y->torrents[STORY_V2]);
	read_some(&y->torrents[STORY_HYBRID], STORY_PIECES);
	put_some(&y->torrents[STORY_V1], 0, 2);
	flush(y);
	remove_one(&y->torrents[STORY_CLOSED]);
	remove_one(&y->torrents[STORY_V1]);
	remove_one(&y->torrents[STORY_HYBRID]);
}

void story_index_lost(struct story *y)
{
	mark(&y->torrents[0], STORY_INDEX_LOST, 0);
}

/* Somebody removes the index: the next start makes another. */
static void lose_index(struct story *y)
{
	char path[STORY_DIR + 16];

	story_index_lost(y);
	snprintf(path, sizeof(path), "%s/index.db", y->dir);
	if (unlinkat(AT_FDCWD, path, 0) != 0)
		(void)failed(y, errno, "lose the index");
}

void story_run(struct story *y)
{
	struct store_stats stats = {0};

	story_first(y);
	if (y->s != NULL)
		store_stats(y->s, &stats);
	story_stop(y);
	evicting_run(y, stats.used_bytes + SPARE_BYTES);
	story_stop(y);
	lose_index(y);
	y->losing_since = SIZE_MAX;
	last_run(y);
	story_stop(y);
}

static bool is_mended(const struct story *y)
{
	for (unsigned i = 0; i < STORY_N; i++)
		for (uint32_t ix = 0; ix < y->torrents[i].mi->n_pieces; ix++)
			if (i != STORY_CLOSED && !y->torrents[i].has[ix])
				return false;
	return true;
}

void story_mend(struct story *y)
{
	unsigned tries = 0;

	if (y->s == NULL && story_start(y, 0) != 0)
		fail("%s: does not start: %s", y->what, y->why);
	for (unsigned i = 0; i < STORY_N; i++)
		if (i != STORY_CLOSED && y->torrents[i].open.st == NULL &&
		    !open_one(&y->torrents[i]))
			fail("%s: '%s' does not open", y->what, names[i]);
	while (!is_mended(y) && tries++ < MENDS) {
		for (unsigned i = 0; i < STORY_N; i++)
			put_some(&y->torrents[i], 0, STORY_PIECES);
		flush(y);
		usleep(MEND_US);
		fix_quiet(&y->l);
	}
	if (!is_mended(y))
		fail("%s: the store does not take what it lacks", y->what);
	flush(y);
}

/* ---- what must be true ---- */

struct checking {
	struct story *y;
	const struct story *told;
	size_t n;
	const char *what;
};

/* Was it said, by then? */
static bool was_said(const struct checking *c, enum story_who who, int kind)
{
	for (unsigned i = 0; i < c->told->n_marks; i++) {
		const struct story_mark *m = &c->told->marks[i];

		if (m->who == who && (int)m->kind == kind && m->at <= c->n)
			return true;
	}
	return false;
}

static bool must_have(const struct checking *c, enum story_who who, uint32_t ix)
{
	bool must = false;

	for (unsigned i = 0; i < c->told->n_marks; i++) {
		const struct story_mark *m = &c->told->marks[i];

		if (m->who != who)
			continue;
		if (m->kind == STORY_DURABLE && m->ix == ix && m->at <= c->n)
			must = true;
		if ((m->kind == STORY_LOST && m->ix == ix && m->from <= c->n) ||
		    (m->kind == STORY_REMOVING && m->at <= c->n))
			must = false;
	}
	/* It is never opened again, and the first to go. */
	return must && (who != STORY_CLOSED || c->n < c->told->evicting_from);
}

static bool has_dir(const struct checking *c, enum story_who who)
{
	char path[256], hex[TORRENT_HEX_BYTES];

	snprintf(path, sizeof(path), "%s/torrents/%s", c->y->dir,
		 torrent_id_hex(&c->y->torrents[who].mi->id, hex));
	return access(path, F_OK) == 0;
}

static void check_ledger(const struct checking *c, enum story_who who)
{
	bool is = c->y->is_remembered[who];

	if (was_said(c, who, STORY_FORGOTTEN) && is)
		fail("%s: '%s' was forgotten", c->what, names[who]);
	if (was_said(c, who, STORY_KEPT) &&
	    !was_said(c, who, STORY_FORGETTING) && !is)
		fail("%s: '%s' is not remembered", c->what, names[who]);
}

static bool knows_info(const struct checking *c, struct story_torrent *t)
{
	struct fix_answer a = {0};
	bool is_same;

	fix_must(store_load_info(c->y->s, &t->mi->id, fix_on_info, &a), "info");
	fix_until(&c->y->l, fix_is_set, &a.is_done);
	if (a.err == 0) {
		is_same = a.info.len == t->mi->info.len &&
			  memcmp(a.info.ptr, t->mi->info.ptr, a.info.len) == 0;
		mem_free((void *)(uintptr_t)a.info.ptr);
		if (!is_same)
			fail("%s: '%s' has another dictionary", c->what,
			     names[t->who]);
	}
	return a.err == 0;
}

static void check_torrent(const struct checking *c, enum story_who who,
			  bool reads)
{
	struct story_torrent *t = &c->y->torrents[who];
	bool is_going = was_said(c, who, STORY_REMOVING);
	bool knows;

	check_ledger(c, who);
	knows = knows_info(c, t);
	if (was_said(c, who, STORY_OPENED) && !is_going && !knows)
		fail("%s: '%s' is not known", c->what, names[who]);
	if (was_said(c, who, STORY_REMOVED) && (knows || has_dir(c, who)))
		fail("%s: '%s' was removed", c->what, names[who]);
	if (is_going && !knows) {
		if (has_dir(c, who))
			fail("%s: '%s' is half removed", c->what, names[who]);
		return;
	}
	if (!open_one(t))
		fail("%s: '%s' does not open", c->what, names[who]);
	fix_quiet(&c->y->l); /* a hybrid's other hashes */
	for (uint32_t ix = 0; ix < t->mi->n_pieces; ix++)
		if (must_have(c, who, ix) && !t->has[ix])
			fail("%s: piece %u of '%s' is lost", c->what, ix,
			     names[who]);
	if (reads)
		read_some(t, STORY_PIECES);
}

/* ---- what lies there ---- */

static uint64_t tree_sum;

static int add_entry(const char *path, const struct stat *sb, int type,
		     struct FTW *ftw)
{
	static uint8_t buf[64 << 10];
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)sb->st_mode;
	ssize_t n;
	int fd;

	if (strcmp(path + ftw->base, "lock") == 0)
		return 0;
	for (const char *p = path; *p != '\0'; p++)
		sum = (sum ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	if (type == FTW_F) {
		fd = open(path, O_RDONLY);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			for (ssize_t i = 0; i < n; i++)
				sum = (sum ^ buf[i]) * UINT64_C(0x100000001b3);
		close(fd);
	}
	tree_sum += sum;
	return 0;
}

static uint64_t sum_tree(const char *dir)
{
	tree_sum = 0;
	if (nftw(dir, add_entry, 16, FTW_PHYS) != 0)
		fail("cannot look at %s", dir);
	return tree_sum;
}

/* When nobody has a file, nothing of it is there. */
static void check_orphans(const struct checking *c)
{
	char path[128];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	if (has_dir(c, STORY_V2) || has_dir(c, STORY_HYBRID))
		return;
	snprintf(path, sizeof(path), "%s/files", c->y->dir);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	if (d != NULL)
		closedir(d);
	if (n > 0)
		fail("%s: %u files are nobody's", c->what, n);
}

/* Behind that promise: what was counted went with it. */
static bool is_index_lost(const struct checking *c, unsigned since)
{
	for (unsigned i = since; i < c->told->n_marks; i++)
		if (c->told->marks[i].kind == STORY_INDEX_LOST &&
		    c->told->marks[i].at <= c->n)
			return true;
	return false;
}

static void check_counted(const struct checking *c)
{
	for (unsigned i = 0; i < c->told->n_marks; i++) {
		const struct story_mark *m = &c->told->marks[i];

		if (m->kind == STORY_COUNTED && m->at <= c->n &&
		    !is_index_lost(c, i) && counted(c->y) < m->ix)
			fail("%s: %u bytes were counted, and are %u now",
			     c->what, m->ix, counted(c->y));
	}
}

static void look(const struct checking *c, bool reads)
{
	if (story_start(c->y, ROOMY) != 0)
		fail("%s: does not start: %s", c->what, c->y->why);
	check_counted(c);
	for (unsigned i = 0; i < STORY_N; i++)
		check_torrent(c, (enum story_who)i, reads);
	fix_quiet(&c->y->l);
	story_stop(c->y);
	check_orphans(c);
}

void story_check(struct story *y, const struct story *told, size_t n,
		 const char *what)
{
	struct checking c = {y, told, n, what};
	uint64_t sum;

	story_begin(y, y->dir, true);
	y->what = what;
	look(&c, true);
	sum = sum_tree(y->dir);
	look(&c, false);
	if (sum_tree(y->dir) != sum)
		fail("%s: a second start changes what is there", what);
}
