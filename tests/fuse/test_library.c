/* A library that is remembered: torrents of which only a record is in memory,
 * metadata that a worker reads while requests wait, and those that sleep. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/keeper.h"
#include "fs/warmth.h"
#include "fs/warmth_job.h"
#include "kernel.h"
#include "tests/lib/fake_signpost.h"
#include "tests/lib/fake_torrent.h"

/* ---- Fixture: a keeper whose disk is as slow as the test wants ---- */

enum { MANY = WARMTH_AWAKE_MAX + 6, READS_MAX = 8, FILE_BYTES = 20000 };

struct source {
	struct record rec;
	struct buf raw;
	uint64_t held;
};

struct shelf {
	struct source *sources;
	unsigned n;
	bool is_cached; /* read_now has it */
	int err;	/* of reads */
	unsigned n_reads;
	struct {
		const struct record *r;
		uint8_t *dst;
		keeper_fn *done;
		void *arg;
		struct record rec;
	} reads[READS_MAX]; /* under way */
	struct job *job;    /* likewise */
	unsigned n_soon;    /* it was told of so many that are to be read */
	bool keeps_late;    /* what is to be kept waits, with its source lent */
	int keep_err;	    /* said at once */
	bool is_kept_awake; /* the engine had it before it was to be kept */
	unsigned hurries;   /* fake_signpost's when it was to forget */
	struct {
		struct record rec;
		struct span source;
		keeper_fn *done;
		void *arg;
	} late;
	struct keeper keeper;
};

struct fixture {
	struct kernel *k;
	struct mount *m;
	struct shelf shelf;
};

static const struct source *source_of(const struct shelf *sh,
				      const struct record *r)
{
	for (unsigned i = 0; i < sh->n; i++)
		if (torrent_id_matches(&sh->sources[i].rec.id, &r->id))
			return &sh->sources[i];
	fail_msg("a source that nobody kept");
	return NULL;
}

static uint32_t shelf_count(void *ctx)
{
	return ((struct shelf *)ctx)->n;
}

static void shelf_each(void *ctx, keeper_each_fn *fn, void *arg)
{
	struct shelf *sh = ctx;

	for (unsigned i = 0; i < sh->n; i++)
		fn(arg, &sh->sources[i].rec, span_of(NULL, 0));
}

static int shelf_each_held(void *ctx, keeper_held_fn *fn, void *arg)
{
	static const struct torrent_id stranger = {.v1.len = 20};
	struct shelf *sh = ctx;

	fn(arg, &stranger, 7); /* the store knows more than the library */
	for (unsigned i = 0; i < sh->n; i++)
		if (sh->sources[i].held > 0)
			fn(arg, &sh->sources[i].rec.id, sh->sources[i].held);
	return 0;
}

static bool is_awake(struct shelf *sh, const struct record *r)
{
	struct fixture *f = CONTAINER_OF(sh, struct fixture, shelf);
	const struct shown *s = roster_by_id(&f->m->roster, &r->id);

	return s != NULL && s->torrent != NULL;
}

static int shelf_keep(void *ctx, const struct record *r, struct span source,
		      keeper_fn *done, void *arg)
{
	struct shelf *sh = ctx;

	assert_true(source.len > 0);
	sh->is_kept_awake = is_awake(sh, r);
	if (sh->keep_err != 0)
		return sh->keep_err;
	if (!sh->keeps_late) {
		done(arg, 0, r);
		return 0;
	}
	assert_null(sh->late.done);
	sh->late.rec = *r;
	sh->late.source = source;
	sh->late.done = done;
	sh->late.arg = arg;
	return 0;
}

static int shelf_forget(void *ctx, const struct record *r, keeper_fn *done,
			void *arg)
{
	struct shelf *sh = ctx;

	sh->hurries = fake_signpost_hurries();
	done(arg, 0, r);
	return 0;
}

static int shelf_read_now(void *ctx, const struct record *r, uint8_t *dst)
{
	struct shelf *sh = ctx;
	const struct source *s = source_of(sh, r);

	if (!sh->is_cached)
		return EAGAIN;
	memcpy(dst, s->raw.data, s->raw.len);
	return sh->err;
}

static int shelf_read(void *ctx, const struct record *r, uint8_t *dst,
		      keeper_fn *done, void *arg)
{
	struct shelf *sh = ctx;

	assert_true(sh->n_reads < READS_MAX);
	sh->reads[sh->n_reads].dst = dst;
	sh->reads[sh->n_reads].done = done;
	sh->reads[sh->n_reads].arg = arg;
	sh->reads[sh->n_reads++].rec = *r;
	return 0;
}

static void shelf_soon(void *ctx, const struct record_place *places, unsigned n)
{
	struct shelf *sh = ctx;

	for (unsigned i = 0; i < n; i++)
		assert_true(places[i].len > 0);
	sh->n_soon += n;
}

static void shelf_work(void *ctx, struct job *job)
{
	struct shelf *sh = ctx;

	assert_null(sh->job);
	sh->job = job;
}

/* The worker has done what it got. */
static void worker_answers(struct fixture *f)
{
	struct job *job = f->shelf.job;
	struct warmth_parse *p = CONTAINER_OF(job, struct warmth_parse, job);
	struct hasher *h;

	assert_int_equal(hasher_new(&h), 0);
	f->shelf.job = NULL;
	warmth_parse(p, h);
	hasher_free(h);
	job->done(job);
}

/* The disk answers the oldest read. */
static void disk_answers(struct fixture *f)
{
	struct shelf *sh = &f->shelf;
	const struct source *s = source_of(sh, &sh->reads[0].rec);
	struct record rec = sh->reads[0].rec;
	keeper_fn *done = sh->reads[0].done;
	void *arg = sh->reads[0].arg;

	memcpy(sh->reads[0].dst, s->raw.data, s->raw.len);
	sh->n_reads--;
	memmove(&sh->reads[0], &sh->reads[1],
		sh->n_reads * sizeof(sh->reads[0]));
	done(arg, sh->err, &rec);
}

/* It is on disk, or will not be; its source was there until now. */
static void ledger_answers(struct fixture *f, const struct buf *source, int err)
{
	struct shelf *sh = &f->shelf;
	keeper_fn *done = sh->late.done;

	assert_non_null(done);
	assert_int_equal(sh->late.source.len, source->len);
	assert_memory_equal(sh->late.source.ptr, source->data, source->len);
	sh->late.done = NULL;
	done(sh->late.arg, err, &sh->late.rec);
}

/* A real .torrent with the files "dir/a" and "b"; `n_pieces` make it long. */
static void make_source(struct source *s, unsigned number, unsigned n_pieces)
{
	struct buf info = {0};
	struct hasher *h;
	char text[200];
	uint8_t *hashes = mem_zalloc(n_pieces, 20);
	uint64_t rest = (uint64_t)n_pieces * 16384 - FILE_BYTES;

	(void)snprintf(text, sizeof(text),
		       "d5:filesld6:lengthi%de4:pathl3:dir1:aee"
		       "d6:lengthi%llue4:pathl1:beee4:name4:%04u"
		       "12:piece lengthi16384e6:pieces%u:",
		       FILE_BYTES, (unsigned long long)rest, number,
		       n_pieces * 20);
	(void)buf_add(&info, text, strlen(text));
	(void)buf_add(&info, hashes, (size_t)n_pieces * 20);
	(void)buf_add(&info, "e", 1);
	mem_free(hashes);
	memset(s, 0, sizeof(*s));
	assert_int_equal(hasher_new(&h), 0);
	hasher_once(h, HASH_SHA1, info.data, info.len, s->rec.id.v1.bytes);
	hasher_free(h);
	s->rec.id.v1.len = 20;
	(void)buf_add(&s->raw, "d4:info", 7);
	(void)buf_add(&s->raw, info.data, info.len);
	(void)buf_add(&s->raw, "e", 1);
	buf_fini(&info);
	s->rec.added_s = s->rec.time_s = 1000 + number;
	s->rec.size_bytes = (uint64_t)n_pieces * 16384;
	s->rec.source_len = (uint32_t)s->raw.len;
	s->rec.n_nodes = 4;
	s->rec.n_subdirs = 1;
	(void)snprintf(s->rec.name, sizeof(s->rec.name), "%04u", number);
}

static struct fixture *make(unsigned n, unsigned n_pieces)
{
	struct fixture *f = mem_new(struct fixture);

	f->shelf.n = n;
	f->shelf.sources = mem_zalloc(n, sizeof(struct source));
	for (unsigned i = 0; i < n; i++)
		make_source(&f->shelf.sources[i], i, n_pieces);
	f->shelf.keeper = (struct keeper){
		.ctx = &f->shelf,
		.count = shelf_count,
		.each = shelf_each,
		.each_held = shelf_each_held,
		.keep = shelf_keep,
		.forget = shelf_forget,
		.read_now = shelf_read_now,
		.read = shelf_read,
		.soon = shelf_soon,
		.work = shelf_work,
	};
	return f;
}

static void begin(struct fixture *f)
{
	kernel_keep(&f->shelf.keeper);
	f->k = kernel_new(40, 40);
	f->m = f->k->m;
	f->m->warmth.now_max = SIZE_MAX; /* no metadata is long */
	kernel_keep(NULL);
}

static void end(struct fixture *f)
{
	if (f->k != NULL)
		kernel_free(f->k);
	while (f->shelf.n_reads > 0)
		disk_answers(f); /* too late: nobody may mind */
	if (f->shelf.job != NULL)
		worker_answers(f);
	for (unsigned i = 0; i < f->shelf.n; i++)
		buf_fini(&f->shelf.sources[i].raw);
	mem_free(f->shelf.sources);
	mem_free(f);
}

/* ---- Helpers ---- */

static struct shown *shown_at(const struct fixture *f, unsigned number)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "%04u", number);
	return roster_by_name(&f->m->roster, name);
}

static uint64_t look(struct fixture *f, unsigned number, const char *name)
{
	return kernel_send(f->k, FUSE_LOOKUP, shown_at(f, number)->base, NULL,
			   0, name);
}

/* A library that is not woken as a whole. */
static struct fixture *make_many(void)
{
	struct fixture *f = make(MANY, 4);

	f->shelf.is_cached = true;
	return f;
}

static struct torrent *wake(struct fixture *f, unsigned number)
{
	struct shown *s = shown_at(f, number);

	assert_int_equal(warmth_wake(f->m, s), 0);
	assert_non_null(s->torrent);
	fake_ready(s->torrent, NULL);
	return s->torrent;
}

/* ---- Tests ---- */

/* Two who look into one cold torrent wait for one read, and both are answered;
 * the root, and what is warm, is not held up meanwhile. */
static void who_waits_shares_a_read(void **state)
{
	struct fixture *f = make(MANY, 4);
	struct fuse_entry_out e;
	uint64_t a, b, c;

	begin(f);
	a = look(f, 0, "b");
	b = look(f, 0, "none");
	assert_false(kernel_poll(f->k, a));
	assert_int_equal(f->shelf.n_reads, 1);
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "0001", &e), 0);
	c = look(f, 1, "dir");
	assert_false(kernel_poll(f->k, c));
	assert_int_equal(f->shelf.n_reads, 2);
	disk_answers(f);
	kernel_wait(f->k, a);
	assert_int_equal(f->k->err, 0);
	kernel_wait(f->k, b);
	assert_int_equal(f->k->err, ENOENT);
	assert_false(kernel_poll(f->k, c)); /* came again, and parked anew */
	assert_int_equal(f->shelf.n_reads, 1);
	disk_answers(f);
	kernel_wait(f->k, c);
	assert_int_equal(f->k->err, 0);
	assert_int_equal(f->m->warmth.n_awake, 0); /* nobody reads */
	end(f);
}

/* Metadata that is long is parsed by a worker: until it has, who looks into
 * another torrent is answered; then he who waits. A mount that ends meanwhile
 * frees what comes too late. */
static void long_metadata_holds_nobody_up(void **state)
{
	struct fixture *f = make(MANY, 4);
	struct fuse_entry_out e;
	uint64_t a;

	begin(f);
	f->shelf.is_cached = true;
	f->m->warmth.now_max = 0; /* all is long */
	a = look(f, 0, "b");
	assert_false(kernel_poll(f->k, a));
	disk_answers(f);
	assert_non_null(f->shelf.job);
	f->m->warmth.now_max = SIZE_MAX;
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "0001", &e), 0);
	assert_int_equal(kernel_lookup(f->k, e.nodeid, "dir", &e), 0);
	assert_false(kernel_poll(f->k, a));
	worker_answers(f);
	kernel_wait(f->k, a);
	assert_int_equal(f->k->err, 0);
	f->m->warmth.now_max = 0;
	kernel_forgo(f->k, look(f, 2, "b"));
	kernel_turn(f->k);
	disk_answers(f);
	end(f);
}

struct told {
	int n, err;
	char text[NAME_BUF_BYTES];
};

static void on_told(void *arg, int err, const char *text)
{
	struct told *t = arg;

	t->n++;
	t->err = err;
	(void)snprintf(t->text, sizeof(t->text), "%.255s", text);
}

static void add(struct fixture *f, const void *file, size_t len, struct told *t)
{
	struct library_source src = {.raw = mem_dup(file, len), .raw_len = len};

	*t = (struct told){0};
	assert_int_equal(
		library_add(f->m, &src, RECORD_BY_CONTROL, on_told, t, NULL),
		0);
	kernel_turn(f->k);
}

/* What is added and long is parsed by a worker: meanwhile others are answered,
 * and it is nowhere. What is no torrent is told so. Who adds it twice at once
 * has it once. A mount that ends meanwhile tells nobody. */
static void adding_what_is_long_holds_nobody_up(void **state)
{
	struct fixture *f = make_many();
	struct told first, again;
	struct fuse_entry_out e;
	struct job *job;
	struct source s;

	begin(f);
	f->m->warmth.now_max = 100;
	make_source(&s, 5000, 40);
	add(f, s.raw.data, s.raw.len, &first);
	assert_int_equal(first.n, 0);
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "0001", &e), 0);
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "5000", &e), ENOENT);
	job = f->shelf.job;
	assert_non_null(job);
	f->shelf.job = NULL;
	add(f, s.raw.data, s.raw.len, &again);
	worker_answers(f);
	f->shelf.job = job;
	worker_answers(f);
	kernel_turn(f->k);
	assert_int_equal(again.n, 1);
	assert_int_equal(again.err, 0);
	assert_string_equal(again.text, "5000");
	assert_int_equal(first.n, 1);
	assert_int_equal(first.err, EEXIST);
	assert_int_equal(f->m->roster.n, MANY + 1);

	add(f, s.raw.data, s.raw.len - 1, &first);
	worker_answers(f);
	kernel_turn(f->k);
	assert_int_equal(first.n, 1);
	assert_int_equal(first.err, EINVAL);
	assert_non_null(strstr(first.text, "not a valid torrent"));
	add(f, "d4:infodee", 10, &first); /* it is short */
	assert_null(f->shelf.job);
	assert_int_equal(first.err, EINVAL);

	buf_fini(&s.raw);
	make_source(&s, 5001, 40);
	add(f, s.raw.data, s.raw.len, &first);
	buf_fini(&s.raw);
	end(f);
	assert_int_equal(first.n, 0);
}

/* The answer waits for the ledger, and both that and the opening in the store
 * are one thread's work: the ledger's comes first. What cannot be kept is not
 * opened. */
static void what_is_added_is_written_down_first(void **state)
{
	struct fixture *f = make_many();
	struct told told;
	struct source s;

	begin(f);
	make_source(&s, 5000, 4);
	f->shelf.keep_err = ENOMEM;
	add(f, s.raw.data, s.raw.len, &told);
	assert_int_equal(told.err, ENOMEM);
	assert_null(shown_at(f, 5000));
	f->shelf.keep_err = 0;
	add(f, s.raw.data, s.raw.len, &told);
	assert_int_equal(told.err, 0);
	assert_false(f->shelf.is_kept_awake);
	assert_non_null(shown_at(f, 5000)->torrent);
	buf_fini(&s.raw);
	end(f);
}

/* ---- one that is copied in ---- */

struct copied {
	struct fixture *f;
	uint64_t node, fh;
};

static int create(struct copied *c, struct fixture *f, const char *name)
{
	const struct fuse_create_in in = {.flags = O_RDWR, .mode = 0100644};
	const struct fuse_entry_out *e = (const void *)f->k->data;
	const struct fuse_open_out *o;
	uint64_t u = kernel_send(f->k, FUSE_CREATE, INODE_ROOT, &in, sizeof(in),
				 name);

	kernel_wait(f->k, u);
	o = (const void *)(f->k->data + sizeof(*e));
	*c = (struct copied){f, e->nodeid, o->fh};
	return f->k->err;
}

static int put(struct copied *c, const void *bytes, size_t len, uint64_t off)
{
	struct fuse_write_in in = {
		.fh = c->fh, .offset = off, .size = (uint32_t)len};
	struct buf all = {0};
	uint64_t u;

	buf_add(&all, &in, sizeof(in));
	buf_add(&all, bytes, len);
	assert_int_equal(buf_err(&all), 0);
	u = kernel_send(c->f->k, FUSE_WRITE, c->node, all.data, all.len, NULL);
	buf_fini(&all);
	kernel_wait(c->f->k, u);
	return c->f->k->err;
}

static int cut(struct copied *c, uint64_t len)
{
	const struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = len};
	uint64_t u = kernel_send(c->f->k, FUSE_SETATTR, c->node, &in,
				 sizeof(in), NULL);

	kernel_wait(c->f->k, u);
	return c->f->k->err;
}

static int get(struct copied *c)
{
	kernel_wait(c->f->k,
		    kernel_read_start(c->f->k, c->node, c->fh, 0, 4096));
	return c->f->k->err;
}

/* Its close; the answer may have to wait. */
static uint64_t flush(struct copied *c)
{
	const struct fuse_flush_in in = {.fh = c->fh};
	uint64_t u = kernel_send(c->f->k, FUSE_FLUSH, c->node, &in, sizeof(in),
				 NULL);

	kernel_turn(c->f->k);
	return u;
}

static void assert_busy(struct copied *c)
{
	assert_int_equal(get(c), EBUSY);
	assert_int_equal(put(c, "x", 1, 0), EBUSY);
	assert_int_equal(cut(c, 3), EBUSY);
}

static void assert_has(struct copied *c, const struct buf *raw)
{
	assert_int_equal(get(c), 0);
	assert_int_equal(c->f->k->len, raw->len);
	assert_memory_equal(c->f->k->data, raw->data, raw->len);
}

/* While its bytes are looked at by a worker, and while they are written down,
 * who reads or changes them is told to wait; what was refused has all its bytes
 * and can be written on, until it is a torrent. */
static void what_is_being_added_is_busy(void **state)
{
	struct fixture *f = make_many();
	struct copied c;
	struct source s;
	uint64_t u;

	begin(f);
	f->m->warmth.now_max = 0;
	f->shelf.keeps_late = true;
	make_source(&s, 5000, 4);
	assert_int_equal(create(&c, f, "x.torrent"), 0);
	assert_int_equal(put(&c, s.raw.data, s.raw.len - 1, 0), 0);
	u = flush(&c);
	assert_busy(&c);
	worker_answers(f);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, EINVAL);
	s.raw.len--;
	assert_has(&c, &s.raw);
	s.raw.len++;

	assert_int_equal(put(&c, "e", 1, s.raw.len - 1), 0);
	u = flush(&c);
	assert_busy(&c);
	worker_answers(f);
	assert_busy(&c);
	assert_false(kernel_poll(f->k, u));
	ledger_answers(f, &s.raw, 0);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, 0);
	assert_int_equal(f->m->roster.n, MANY + 1);
	assert_int_equal(f->m->uploads.bytes, 0); /* they are the torrent's */
	assert_has(&c, &s.raw);
	buf_fini(&s.raw);
	end(f);
}

/* What cannot be written down is no torrent of the mount, and has its bytes
 * all the same; who writes on has his own, and what was added keeps its. */
static void what_could_not_be_kept_has_its_bytes(void **state)
{
	struct fixture *f = make_many();
	struct copied c;
	struct source s;
	struct shown *shown;
	uint64_t u;

	begin(f);
	f->m->warmth.now_max = 0;
	f->shelf.keeps_late = true;
	make_source(&s, 5000, 4);
	assert_int_equal(create(&c, f, "x.torrent"), 0);
	assert_int_equal(put(&c, s.raw.data, s.raw.len, 0), 0);
	u = flush(&c);
	worker_answers(f);
	ledger_answers(f, &s.raw, ENOSPC);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, ENOSPC);
	assert_int_equal(f->m->roster.n, MANY);
	assert_has(&c, &s.raw);

	assert_int_equal(put(&c, s.raw.data, 1, 0), 0);
	assert_has(&c, &s.raw);
	u = flush(&c);
	worker_answers(f);
	ledger_answers(f, &s.raw, 0);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, 0);
	assert_int_equal(put(&c, "x", 1, 0), 0);
	shown = shown_at(f, 5000);
	assert_int_equal(shown->mi->file.len, s.raw.len);
	assert_memory_equal(shown->mi->file.ptr, s.raw.data, s.raw.len);
	assert_int_equal(cut(&c, 0), 0);
	assert_int_equal(get(&c), 0);
	assert_int_equal(f->k->len, 0);
	buf_fini(&s.raw);
	end(f);
}

/* ---- one that is parsed ahead of its name ---- */

/* Of another name, and long. */
static void begin_part(struct fixture *f, struct copied *c, struct source *s)
{
	begin(f);
	f->m->warmth.now_max = 100;
	make_source(s, 5000, 40);
	assert_int_equal(create(c, f, "part"), 0);
	assert_int_equal(put(c, s->raw.data, s->raw.len, 0), 0);
}

static uint64_t name_it(struct fixture *f, const char *from, const char *to)
{
	const struct fuse_rename_in in = {.newdir = INODE_ROOT};
	struct buf all = {0};
	uint64_t u;

	buf_add(&all, &in, sizeof(in));
	buf_add(&all, from, strlen(from) + 1);
	assert_int_equal(buf_err(&all), 0);
	u = kernel_send(f->k, FUSE_RENAME, INODE_ROOT, all.data, all.len, to);
	buf_fini(&all);
	kernel_turn(f->k);
	return u;
}

static void assert_told(struct fixture *f, uint64_t u, int err)
{
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, err);
}

static void let_go(struct copied *c)
{
	kernel_release(c->f->k, c->node, c->fh);
}

static void unlink_it(struct fixture *f, const char *name)
{
	assert_told(f,
		    kernel_send(f->k, FUSE_UNLINK, INODE_ROOT, NULL, 0, name),
		    0);
}

/* The close waits, and the rename does not: the kernel holds the root's lock
 * for that. Meanwhile the file can be read, and others are answered. */
static void a_close_parses_ahead_of_the_name(void **state)
{
	struct fixture *f = make_many();
	struct fuse_entry_out e;
	struct copied c;
	struct source s;
	uint64_t a, b;

	begin_part(f, &c, &s);
	f->shelf.keeps_late = true;
	a = flush(&c);
	b = flush(&c); /* of another descriptor */
	assert_has(&c, &s.raw);
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "none", &e), ENOENT);
	assert_false(kernel_poll(f->k, a));
	assert_false(kernel_poll(f->k, b));
	worker_answers(f);
	assert_told(f, a, 0);
	assert_told(f, b, 0);
	assert_has(&c, &s.raw);
	assert_told(f, flush(&c), 0); /* it is known */
	assert_int_equal(f->m->roster.n, MANY);
	assert_int_equal(f->m->uploads.bytes, s.raw.len);
	assert_true(f->m->uploads.n_parsed > 0);

	a = name_it(f, "part", "x.torrent");
	assert_null(f->shelf.job);
	assert_false(kernel_poll(f->k, a));
	assert_busy(&c);
	ledger_answers(f, &s.raw, 0);
	assert_told(f, a, 0);
	assert_int_equal(f->m->roster.n, MANY + 1);
	assert_int_equal(f->m->uploads.bytes, 0);
	assert_int_equal(f->m->uploads.n_parsed, 0);
	assert_has(&c, &s.raw);
	buf_fini(&s.raw);
	end(f);
}

/* A close under another name is good whatever is in the file, which stays what
 * it is; what cannot be a torrent nobody waits for. */
static void a_close_of_garbage_is_good(void **state)
{
	static const char *const other[] = {"x", "de", "dx", "xe"};
	struct fixture *f = make_many();
	struct copied c;
	struct source s;
	uint64_t u;

	begin_part(f, &c, &s);
	s.raw.data[1] = 'x';
	assert_int_equal(put(&c, "x", 1, 1), 0);
	u = flush(&c);
	worker_answers(f);
	assert_told(f, u, 0);
	assert_has(&c, &s.raw);
	assert_told(f, flush(&c), 0);
	assert_null(f->shelf.job);
	u = name_it(f, "part", "x.torrent");
	let_go(&c);
	worker_answers(f);
	assert_told(f, u, EINVAL);
	assert_int_equal(f->m->uploads.n, 0);
	assert_int_equal(f->m->uploads.bytes, 0);
	buf_fini(&s.raw);

	f->m->warmth.now_max = 0;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		assert_int_equal(create(&c, f, other[i]), 0);
		assert_told(f, flush(&c), 0);
		assert_int_equal(put(&c, other[i], strlen(other[i]), 0), 0);
		u = flush(&c);
		if (i == 1)
			worker_answers(f);
		assert_null(f->shelf.job);
		assert_told(f, u, 0);
		let_go(&c);
	}
	end(f);
}

/* Who writes again, before or while it is parsed, has it parsed anew. */
static void what_is_written_again_is_parsed_again(void **state)
{
	struct fixture *f = make_many();
	struct copied c;
	struct source s;
	uint64_t u, rename;

	begin_part(f, &c, &s);
	u = flush(&c);
	worker_answers(f);
	assert_told(f, u, 0);
	assert_int_equal(put(&c, s.raw.data, 1, 0), 0);
	assert_has(&c, &s.raw);
	assert_int_equal(f->m->uploads.n_parsed, 0);

	u = flush(&c);
	assert_non_null(f->shelf.job);
	assert_int_equal(put(&c, "x", 1, 1), 0);
	s.raw.data[1] = 'x';
	assert_has(&c, &s.raw);
	assert_told(f, flush(&c), 0); /* there is a worker at it */
	assert_false(kernel_poll(f->k, u));
	worker_answers(f);
	assert_told(f, u, 0);
	assert_has(&c, &s.raw);
	assert_int_equal(f->m->uploads.n_parsed, 0);
	s.raw.data[1] = '4';
	assert_int_equal(put(&c, "4", 1, 1), 0);

	u = flush(&c);
	rename = name_it(f, "part", "x.torrent");
	assert_int_equal(cut(&c, 0), 0);
	assert_int_equal(put(&c, s.raw.data, s.raw.len, 0), 0);
	worker_answers(f);
	assert_told(f, u, 0);
	assert_false(kernel_poll(f->k, rename));
	worker_answers(f);
	assert_told(f, rename, 0);
	assert_int_equal(f->m->roster.n, MANY + 1);
	assert_int_equal(f->m->uploads.bytes, 0);
	let_go(&c);
	buf_fini(&s.raw);
	end(f);
}

/* Who is interrupted goes on, and the parse too; a rename waits for it, and is
 * told what came of it, and so is a close under the new name. */
static void a_rename_waits_for_the_parse(void **state)
{
	struct fixture *f = make_many();
	struct copied c;
	struct source s;
	uint64_t a, b, rename, again;

	begin_part(f, &c, &s);
	a = flush(&c);
	b = flush(&c);
	kernel_interrupt(f->k, a);
	kernel_turn(f->k);
	assert_told(f, a, 0);
	rename = name_it(f, "part", "x.torrent");
	again = flush(&c);
	f->shelf.keeps_late = true;
	assert_false(kernel_poll(f->k, b));
	worker_answers(f);
	assert_null(f->shelf.job);
	assert_told(f, b, 0);
	assert_told(f, again, 0);
	assert_false(kernel_poll(f->k, rename));
	ledger_answers(f, &s.raw, ENOSPC);
	assert_told(f, rename, ENOSPC);
	let_go(&c);
	assert_int_equal(f->m->roster.n, MANY);
	assert_int_equal(f->m->uploads.n, 0);
	assert_int_equal(f->m->uploads.bytes, 0);
	buf_fini(&s.raw);
	end(f);
}

/* Its name goes while it is parsed, or another file gets it: nothing is left.
 * The same when it was parsed and nobody names it. */
static void unlinked_while_it_is_parsed(void **state)
{
	struct fixture *f = make_many();
	struct copied c, other;
	struct source s;
	uint64_t a, b;

	begin_part(f, &c, &s);
	a = flush(&c);
	unlink_it(f, "part");
	let_go(&c);
	assert_int_equal(f->m->uploads.n, 1);
	worker_answers(f);
	assert_told(f, a, 0);
	assert_int_equal(f->m->uploads.n, 0);

	assert_int_equal(create(&c, f, "part"), 0);
	assert_int_equal(put(&c, s.raw.data, s.raw.len, 0), 0);
	a = flush(&c);
	b = name_it(f, "part", "x.torrent");
	assert_int_equal(create(&other, f, "other"), 0);
	assert_told(f, name_it(f, "other", "x.torrent"), EINVAL);
	worker_answers(f);
	assert_told(f, a, 0);
	assert_told(f, b, 0);
	let_go(&c);
	let_go(&other);
	assert_int_equal(f->m->uploads.n, 0);

	assert_int_equal(create(&c, f, "part"), 0);
	assert_int_equal(put(&c, s.raw.data, s.raw.len, 0), 0);
	a = flush(&c);
	worker_answers(f);
	assert_told(f, a, 0);
	let_go(&c);
	unlink_it(f, "part");
	assert_int_equal(f->m->uploads.n, 0);
	assert_int_equal(f->m->uploads.n_parsed, 0);
	assert_int_equal(f->m->uploads.bytes, 0);
	assert_int_equal(f->m->roster.n, MANY);
	buf_fini(&s.raw);
	end(f);
}

/* The mount ends meanwhile, of a file as it was or written since. */
static void the_end_while_it_is_parsed(void **state)
{
	for (int is_written = 0; is_written < 2; is_written++) {
		struct fixture *f = make_many();
		struct copied c;
		struct source s;
		uint64_t a;

		begin_part(f, &c, &s);
		a = flush(&c);
		if (is_written)
			assert_int_equal(put(&c, "x", 1, 0), 0);
		mount_stop(f->m);
		assert_told(f, a, EIO);
		kernel_free(f->k);
		f->k = NULL;
		buf_fini(&s.raw);
		end(f);
	}
}

/* What was parsed takes memory: past a limit the older ones are bytes again,
 * and are parsed when they are named. */
static void only_so_much_is_parsed_ahead(void **state)
{
	struct fixture *f = make_many();
	struct copied c, second;
	struct source s, t;
	uint64_t u;

	begin_part(f, &c, &s);
	u = flush(&c);
	worker_answers(f);
	assert_told(f, u, 0);
	f->m->uploads.n_parsed += UPLOADS_PARSED_MAX;
	make_source(&t, 5001, 40);
	assert_int_equal(create(&second, f, "second"), 0);
	assert_int_equal(put(&second, t.raw.data, t.raw.len, 0), 0);
	u = flush(&second);
	worker_answers(f);
	assert_told(f, u, 0);
	f->m->uploads.n_parsed -= UPLOADS_PARSED_MAX;
	assert_has(&c, &s.raw);
	u = name_it(f, "second", "second.torrent");
	assert_told(f, u, 0);
	assert_int_equal(f->m->uploads.n_parsed, 0);
	u = name_it(f, "part", "x.torrent");
	worker_answers(f);
	assert_told(f, u, 0);
	assert_int_equal(f->m->roster.n, MANY + 2);
	buf_fini(&s.raw);
	buf_fini(&t.raw);
	end(f);
}

/* Without memory for it nobody waits, and nothing is lost. */
static void no_memory_to_parse_ahead(void **state)
{
	struct fixture *f = make_many();
	struct copied c;
	struct upload *part;
	struct source s;
	uint64_t u = 0;

	begin_part(f, &c, &s);
	for (uint64_t n = 0; f->shelf.job == NULL; n++) {
		mem_fail_after(n, 0);
		u = flush(&c);
		mem_fail_after(UINT64_MAX, 0);
		if (f->shelf.job == NULL)
			assert_told(f, u, 0);
	}
	worker_answers(f);
	assert_told(f, u, 0);
	assert_int_equal(put(&c, s.raw.data, 1, 0), 0);
	u = flush(&c);
	mem_fail_after(0, 1);
	part = upload_by_name(f->m, "part");
	assert_int_equal(upload_write(f->m, part, "x", 1, 0), ENOMEM);
	assert_int_equal(upload_cut(f->m, part, 1), ENOMEM);
	mem_fail_after(UINT64_MAX, 0);
	assert_has(&c, &s.raw);
	worker_answers(f);
	assert_told(f, u, 0);
	assert_true(f->m->uploads.n_parsed > 0);
	assert_int_equal(f->m->uploads.bytes, s.raw.len);
	buf_fini(&s.raw);
	end(f);
}

/* The mount ends while a source is written down: it is there until then. */
static void the_end_while_it_is_kept(void **state)
{
	struct fixture *f = make_many();
	struct told told;
	struct source s;

	begin(f);
	f->shelf.keeps_late = true;
	make_source(&s, 5000, 4);
	add(f, s.raw.data, s.raw.len, &told);
	kernel_free(f->k);
	ledger_answers(f, &s.raw, 0);
	assert_int_equal(told.n, 0);
	buf_fini(&s.raw);
	f->k = NULL;
	end(f);
}

/* A disk that fails is EIO to all who wait; who comes later tries again. */
static void a_failed_read_is_not_for_good(void **state)
{
	struct fixture *f = make(MANY, 4);
	uint64_t a, b;

	begin(f);
	f->shelf.err = EIO;
	a = look(f, 3, "b");
	b = look(f, 3, "dir");
	assert_false(kernel_poll(f->k, a));
	disk_answers(f);
	kernel_wait(f->k, a);
	assert_int_equal(f->k->err, EIO);
	kernel_wait(f->k, b);
	assert_int_equal(f->k->err, EIO);
	f->shelf.err = 0;
	f->shelf.is_cached = true;
	kernel_wait(f->k, look(f, 3, "b"));
	assert_int_equal(f->k->err, 0);
	end(f);
}

/* Metadata that is damaged, or another's, is never shown. */
static void damaged_metadata_is_an_error(void **state)
{
	struct fixture *f = make_many();
	struct fuse_attr_out attr;

	f->shelf.sources[0].raw.data[20] ^= 1;
	f->shelf.sources[1].raw.data[0] = 'x';
	begin(f);
	for (unsigned i = 0; i < 2; i++) {
		kernel_wait(f->k, look(f, i, "b"));
		assert_int_equal(f->k->err, EIO);
		assert_int_equal(
			kernel_getattr(f->k, shown_at(f, i)->base, &attr), 0);
		assert_int_equal(attr.attr.mtime, 1000 + i);
		assert_int_equal(attr.attr.nlink, 3);
	}
	kernel_wait(f->k, look(f, 2, "b"));
	assert_int_equal(f->k->err, 0);
	end(f);
}

/* It is removed while its metadata is being read: who waits hears that it is
 * gone, and the kernel forgets names. */
static void removed_while_it_is_read(void **state)
{
	struct fixture *f = make(MANY, 4);
	struct library_target what = {0};
	struct fuse_entry_out e;
	uint64_t a;
	int before;

	begin(f);
	assert_int_equal(kernel_lookup(f->k, INODE_ROOT, "0000", &e), 0);
	before = f->k->notified[8];
	a = look(f, 0, "b");
	assert_false(kernel_poll(f->k, a));
	what.shown = shown_at(f, 0);
	assert_int_equal(library_remove(f->m, what, NULL, NULL, NULL), 0);
	assert_int_equal(f->m->roster.n, MANY - 1);
	disk_answers(f);
	kernel_wait(f->k, a);
	assert_int_equal(f->k->err, ESTALE);
	assert_int_equal(f->k->notified[8], before + 1);
	end(f);
}

/* That a key brought it is written down before that it is gone: whatever
 * becomes of the process, the key does not bring it again. */
static void removed_for_good(void **state)
{
	struct fixture *f = make(MANY, 4);
	struct library_target what = {0};
	unsigned before;

	begin(f);
	before = fake_signpost_hurries();
	what.shown = shown_at(f, 0);
	assert_int_equal(library_remove(f->m, what, NULL, NULL, NULL), 0);
	assert_int_equal(f->shelf.hurries, before + 1);
	end(f);
}

/* The mount ends while requests wait for a disk: nothing is left, and what the
 * disk says then nobody hears. */
static void the_end_while_it_is_read(void **state)
{
	struct fixture *f = make(MANY, 4);
	uint64_t a;

	begin(f);
	a = look(f, 0, "b");
	assert_false(kernel_poll(f->k, a));
	mount_stop(f->m);
	kernel_forgo(f->k, a);
	end(f);
}

/* What is warm is bounded by its memory; what was used longest ago goes, and
 * comes again when it is looked into. */
static void too_many_are_warm(void **state)
{
	enum { BIG = 9 };
	struct fixture *f = make_many();

	for (unsigned i = 0; i < BIG; i++) { /* 4 MB of hashes each */
		buf_fini(&f->shelf.sources[i].raw);
		make_source(&f->shelf.sources[i], i, 200000);
	}
	begin(f);
	for (unsigned i = 0; i < BIG; i++) {
		kernel_wait(f->k, look(f, i, "b"));
		assert_int_equal(f->k->err, 0);
		kernel_turn(f->k);
		assert_true(f->m->warmth.warm_bytes <= WARMTH_WARM_BYTES);
	}
	assert_int_equal(shown_at(f, 0)->place, SHOWN_COLD);
	assert_null(shown_at(f, 0)->mi);
	assert_int_equal(shown_at(f, BIG - 1)->place, SHOWN_WARM);
	kernel_wait(f->k, look(f, 0, "b"));
	assert_int_equal(f->k->err, 0);
	assert_int_equal(shown_at(f, 0)->place, SHOWN_WARM);
	end(f);
}

/* Not more are awake than may be, but for those that are in use; who was used
 * last stays. */
static void too_many_are_awake(void **state)
{
	struct fixture *f = make_many();
	struct fuse_entry_out e;
	struct fuse_open_out open;
	uint64_t u;

	begin(f);
	assert_int_equal(f->m->warmth.n_awake, 0);
	kernel_wait(f->k, look(f, 0, "b"));
	memcpy(&e, f->k->data, sizeof(e));
	assert_int_equal(kernel_open(f->k, e.nodeid, O_RDONLY, &open), 0);
	u = kernel_read_start(f->k, e.nodeid, open.fh, 0, 100);
	assert_false(kernel_poll(f->k, u));
	assert_int_equal(f->m->warmth.n_awake, 1); /* a read wakes */
	fake_ready(shown_at(f, 0)->torrent, NULL);
	assert_int_equal(mount_on_ready(f->m, shown_at(f, 0)->torrent), 0);
	fake_hold(shown_at(f, 0)->torrent, 65536);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, 0);
	for (unsigned i = 1; i < MANY; i++) {
		fake_hold(wake(f, i), i == 1 ? 16384 : 0);
		kernel_turn(f->k);
		assert_true(f->m->warmth.n_awake <= WARMTH_AWAKE_MAX);
	}
	assert_non_null(shown_at(f, 0)->torrent); /* its file is open */
	assert_null(shown_at(f, 1)->torrent);
	assert_non_null(shown_at(f, MANY - 1)->torrent);
	/* What fell asleep with something held is a sleeper. */
	assert_int_equal(warmth_held(shown_at(f, 1)), 16384);
	assert_true(shown_at(f, 1)->is_sleeper);
	assert_false(shown_at(f, 2)->is_sleeper);
	assert_true(warmth_held_bytes(f->m) == 65536 + 16384);
	kernel_release(f->k, e.nodeid, open.fh);
	end(f);
}

/* What is held is known before anybody is woken, and never more than there is.
 */
static void held_is_known_at_the_start(void **state)
{
	struct fixture *f = make_many();

	f->shelf.sources[5].held = 16384;
	f->shelf.sources[6].held = UINT64_MAX;
	begin(f);
	assert_int_equal(warmth_held(shown_at(f, 5)), 16384);
	assert_int_equal(warmth_held(shown_at(f, 6)), 4 * 16384);
	assert_int_equal(warmth_held(shown_at(f, 7)), 0);
	assert_true(warmth_held_bytes(f->m) == 5 * 16384);
	assert_int_equal(f->m->warmth.n_awake, 0);
	assert_int_equal(f->m->sleepers.n, 2);
	end(f);
}

/* A peer wakes a torrent of which something is held, and no other; one that is
 * on its way is said to come. */
static void a_peer_wakes_a_sleeper(void **state)
{
	struct fixture *f = make_many();
	uint8_t unknown[20] = {1};

	f->shelf.is_cached = false;
	f->shelf.sources[5].held = 16384;
	begin(f);
	f->m->sleepers.is_served = false; /* no turns meanwhile */
	assert_false(mount_on_asked(f->m, unknown));
	assert_false(mount_on_asked(f->m, shown_at(f, 6)->id.v1.bytes));
	assert_true(mount_on_asked(f->m, shown_at(f, 5)->id.v1.bytes));
	assert_true(mount_on_asked(f->m, shown_at(f, 5)->id.v1.bytes));
	assert_int_equal(f->shelf.n_reads, 1);
	assert_null(shown_at(f, 5)->torrent);
	disk_answers(f);
	assert_non_null(shown_at(f, 5)->torrent);
	assert_int_equal(f->m->sleepers.n, 0);
	assert_true(warmth_held_bytes(f->m) == 16384);
	end(f);
}

/* Strangers wake so many, and not all that we have. */
static void strangers_wake_only_so_many(void **state)
{
	struct fixture *f = make_many();
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++)
		f->shelf.sources[i].held = 1;
	begin(f);
	f->m->sleepers.is_served = false;
	for (unsigned i = 0; i < MANY; i++)
		if (!shown_at(f, i)->torrent)
			n += mount_on_asked(f->m, shown_at(f, i)->id.v1.bytes);
	assert_int_equal(n, SLEEPERS_ASKED_BURST);
	end(f);
}

/* Sleepers have turns by themselves, until no more may be awake. */
static void sleepers_have_turns(void **state)
{
	struct fixture *f = make_many();

	for (unsigned i = 0; i < MANY; i++)
		f->shelf.sources[i].held = 1;
	begin(f);
	for (unsigned i = 0; i < 100 && f->m->warmth.n_awake < 3; i++)
		kernel_run(f->k, SLEEPERS_FIRST_MS);
	assert_true(f->m->warmth.n_awake >= 3);
	assert_non_null(shown_at(f, 0)->torrent); /* in their order */
	assert_int_equal(f->m->sleepers.n, MANY - f->m->warmth.n_awake);
	end(f);
}

static void a_turn_is_as_long_as_there_are_few(void **state)
{
	assert_int_equal(sleepers_turn_ms(1, true), SLEEPERS_FIRST_MS);
	assert_int_equal(sleepers_turn_ms(0, false), SLEEPERS_TURN_MAX_MS);
	assert_int_equal(sleepers_turn_ms(1, false), SLEEPERS_TURN_MAX_MS);
	assert_int_equal(sleepers_turn_ms(100, false), SLEEPERS_ROUND_MS / 100);
	assert_int_equal(sleepers_turn_ms(100000, false), SLEEPERS_TURN_MIN_MS);
}

/* ---- somebody walks ---- */

/* What comes at `place` of a listing. */
static struct shown *listed_at(const struct fixture *f, unsigned place)
{
	return f->m->roster.listed[place].shown;
}

static void settle(struct fixture *f)
{
	for (unsigned i = 0; i < 20; i++)
		kernel_turn(f->k);
}

static uint64_t list(struct fixture *f, const struct shown *s)
{
	const struct fuse_read_in in = {.size = 4096};

	return kernel_send(f->k, FUSE_READDIRPLUS, s->base, &in, sizeof(in),
			   NULL);
}

/* His listing is answered, and there was time for more. */
static void walk_to(struct fixture *f, const struct shown *s)
{
	kernel_wait(f->k, list(f, s));
	assert_int_equal(f->k->err, 0);
	settle(f);
}

static void walk(struct fixture *f, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		walk_to(f, listed_at(f, i));
}

static unsigned n_warm(const struct fixture *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->m->roster.n; i++)
		n += listed_at(f, i)->place == SHOWN_WARM;
	return n;
}

/* Who lists one torrent after the other, in the order of the root's listing,
 * finds the next ones warm, as many as he was seen to have listed; when he has
 * come a long way, not more than that. Nobody is woken. */
static void a_walk_finds_them_warm(void **state)
{
	struct fixture *f = make_many();

	begin(f);
	walk(f, 0, WALKAHEAD_ROW - 1);
	assert_int_equal(n_warm(f), WALKAHEAD_ROW - 1);
	walk(f, WALKAHEAD_ROW - 1, WALKAHEAD_ROW);
	assert_int_equal(n_warm(f), 2 * WALKAHEAD_ROW);
	for (unsigned i = 0; i < 2 * WALKAHEAD_ROW; i++)
		assert_int_equal(listed_at(f, i)->place, SHOWN_WARM);
	walk(f, WALKAHEAD_ROW, WALKAHEAD_MAX + 2);
	assert_int_equal(n_warm(f), 2 * WALKAHEAD_MAX + 2);
	walk(f, WALKAHEAD_MAX + 2, MANY); /* to the end */
	assert_int_equal(n_warm(f), MANY);
	assert_int_equal(f->m->warmth.n_awake, 0);
	assert_int_equal(f->shelf.n_soon, 0);
	end(f);
}

/* The same in the order of names; and by two at a time, of whom one goes by
 * names and one by the listing. */
static void a_walk_by_name_is_one(void **state)
{
	struct fixture *f = make_many();

	begin(f);
	for (unsigned i = 0; i < WALKAHEAD_ROW; i++)
		walk_to(f, shown_at(f, i));
	for (unsigned i = 0; i < 2 * WALKAHEAD_ROW; i++)
		assert_int_equal(shown_at(f, i)->place, SHOWN_WARM);
	assert_int_equal(n_warm(f), 2 * WALKAHEAD_ROW);
	for (unsigned i = 0; i < WALKAHEAD_ROW; i++) {
		walk_to(f, listed_at(f, MANY / 2 + i));
		walk_to(f, shown_at(f, WALKAHEAD_ROW + i));
	}
	for (unsigned i = 0; i < 2 * WALKAHEAD_ROW; i++)
		assert_int_equal(listed_at(f, MANY / 2 + i)->place, SHOWN_WARM);
	for (unsigned i = 0; i < 4 * WALKAHEAD_ROW; i++)
		assert_int_equal(shown_at(f, i)->place, SHOWN_WARM);
	end(f);
}

/* Who looks here and there, or at one again and again, is no walker. */
static void who_jumps_does_not_walk(void **state)
{
	struct fixture *f = make_many();

	begin(f);
	for (unsigned i = 0; i < MANY; i += 3)
		walk_to(f, listed_at(f, i));
	assert_int_equal(n_warm(f), (MANY + 2) / 3);
	for (unsigned i = 0; i < 2 * WALKAHEAD_ROW; i++)
		walk_to(f, listed_at(f, 0));
	assert_int_equal(n_warm(f), (MANY + 2) / 3);
	end(f);
}

/* A torrent that comes or goes moves all places: who walks is seen anew, and
 * one that is gone is looked at by nobody. */
static void a_walk_while_the_root_changes(void **state)
{
	struct fixture *f = make_many();
	struct library_target what = {0};
	unsigned before;

	begin(f);
	walk(f, 0, WALKAHEAD_ROW);
	kernel_wait(f->k, list(f, listed_at(f, WALKAHEAD_ROW)));
	before = n_warm(f);
	what.shown = listed_at(f, 2 * WALKAHEAD_ROW + 1);
	assert_int_equal(library_remove(f->m, what, NULL, NULL, NULL), 0);
	what.shown = listed_at(f, 0);
	assert_int_equal(library_remove(f->m, what, NULL, NULL, NULL), 0);
	settle(f);
	assert_true(n_warm(f) <= before);
	walk(f, WALKAHEAD_ROW, 2 * WALKAHEAD_ROW - 1); /* one row, less one */
	assert_true(n_warm(f) <= before);
	walk(f, 2 * WALKAHEAD_ROW - 1, 2 * WALKAHEAD_ROW);
	for (unsigned i = 0; i < 3 * WALKAHEAD_ROW; i++)
		assert_int_equal(listed_at(f, i)->place, SHOWN_WARM);
	end(f);
}

/* On a disk that is slow nobody reads ahead of him: the keeper is told of all
 * that is in reach, once; and what has come meanwhile is warm. */
static void a_walk_on_a_slow_disk(void **state)
{
	struct fixture *f = make(MANY, 4);
	uint64_t u;

	begin(f);
	for (unsigned i = 0; i <= WALKAHEAD_ROW; i++) {
		u = list(f, listed_at(f, i));
		settle(f);
		assert_int_equal(f->shelf.n_reads, 1); /* his own */
		disk_answers(f);
		kernel_wait(f->k, u);
		assert_int_equal(f->k->err, 0);
		settle(f);
		assert_int_equal(n_warm(f), i + 1);
	}
	assert_int_equal(f->shelf.n_reads, 0);
	/* Twice a row; and when that was one longer, two more, and one for
	 * that he has come to. */
	assert_int_equal(f->shelf.n_soon, 2 * WALKAHEAD_ROW + 3);
	settle(f);
	assert_int_equal(f->shelf.n_soon, 2 * WALKAHEAD_ROW + 3);
	f->shelf.is_cached = true;
	walk(f, WALKAHEAD_ROW + 1, WALKAHEAD_ROW + 2);
	assert_int_equal(n_warm(f), 2 * (WALKAHEAD_ROW + 2));
	end(f);
}

/* What is damaged is passed over, and an error to who comes to it. */
static void a_walk_over_damage(void **state)
{
	struct fixture *f = make_many();

	begin(f);
	for (unsigned i = 0; i < MANY; i++) /* the sixth of the listing */
		if (torrent_id_matches(&f->shelf.sources[i].rec.id,
				       &listed_at(f, WALKAHEAD_ROW + 1)->id))
			f->shelf.sources[i].raw.data[0] = 'x';
	walk(f, 0, WALKAHEAD_ROW);
	assert_int_equal(n_warm(f), 2 * WALKAHEAD_ROW - 1);
	walk(f, WALKAHEAD_ROW, WALKAHEAD_ROW + 1);
	kernel_wait(f->k, list(f, listed_at(f, WALKAHEAD_ROW + 1)));
	assert_int_equal(f->k->err, EIO);
	end(f);
}

/* Metadata that is long is parsed by a worker, ahead as well, and only so many
 * bytes of it. An error of that is nobody's: who asks meanwhile is there when
 * it is read for him. */
static void a_walk_among_long_metadata(void **state)
{
	enum { LONG = 10000, AHEAD = 4 };
	struct fixture *f = make(MANY, LONG);
	struct library_target what = {0};
	uint64_t u;

	assert_true(LONG * 20 > WALKAHEAD_NOW_MAX);
	assert_true((AHEAD + 1) * LONG * 20 < WALKAHEAD_BYTES);
	f->shelf.is_cached = true;
	begin(f);
	walk(f, 0, WALKAHEAD_ROW);
	assert_int_equal(f->shelf.n_reads, AHEAD);
	assert_int_equal(n_warm(f), WALKAHEAD_ROW);

	f->shelf.is_cached = false;
	f->shelf.err = EIO;
	u = list(f, listed_at(f, WALKAHEAD_ROW));
	assert_false(kernel_poll(f->k, u));
	assert_int_equal(f->shelf.n_reads, AHEAD);
	disk_answers(f); /* of that which he waits for: it is read anew */
	f->shelf.err = 0;
	assert_false(kernel_poll(f->k, u));
	assert_int_equal(f->shelf.n_reads, AHEAD);

	what.shown = listed_at(f, WALKAHEAD_ROW + 1);
	disk_answers(f);
	assert_int_equal(library_remove(f->m, what, NULL, NULL, NULL), 0);
	worker_answers(f); /* nobody's any more */
	for (unsigned i = 0; i < AHEAD - 2; i++) {
		disk_answers(f);
		worker_answers(f);
	}
	assert_false(kernel_poll(f->k, u));
	disk_answers(f);
	kernel_wait(f->k, u);
	assert_int_equal(f->k->err, 0);
	assert_int_equal(n_warm(f), WALKAHEAD_ROW + AHEAD - 1);
	end(f);
}

/* What he comes to next is bounded by what it takes as well, and is never
 * dropped again before he is there. */
static void a_walk_is_bounded_by_memory(void **state)
{
	enum { LONG = 2600, COST = LONG * 20 + WARMTH_COST_BYTES };
	struct fixture *f = make(MANY, LONG);

	assert_true(LONG * 20 < WALKAHEAD_NOW_MAX);
	f->shelf.is_cached = true;
	begin(f);
	walk(f, 0, WALKAHEAD_MAX);
	assert_true(n_warm(f) <= WALKAHEAD_MAX + WALKAHEAD_BYTES / COST);
	assert_true(n_warm(f) >= WALKAHEAD_MAX + WALKAHEAD_BYTES / COST - 1);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_waits_shares_a_read),
		cmocka_unit_test(long_metadata_holds_nobody_up),
		cmocka_unit_test(adding_what_is_long_holds_nobody_up),
		cmocka_unit_test(what_is_added_is_written_down_first),
		cmocka_unit_test(what_is_being_added_is_busy),
		cmocka_unit_test(what_could_not_be_kept_has_its_bytes),
		cmocka_unit_test(a_close_parses_ahead_of_the_name),
		cmocka_unit_test(a_close_of_garbage_is_good),
		cmocka_unit_test(what_is_written_again_is_parsed_again),
		cmocka_unit_test(a_rename_waits_for_the_parse),
		cmocka_unit_test(unlinked_while_it_is_parsed),
		cmocka_unit_test(the_end_while_it_is_parsed),
		cmocka_unit_test(only_so_much_is_parsed_ahead),
		cmocka_unit_test(no_memory_to_parse_ahead),
		cmocka_unit_test(the_end_while_it_is_kept),
		cmocka_unit_test(a_failed_read_is_not_for_good),
		cmocka_unit_test(damaged_metadata_is_an_error),
		cmocka_unit_test(removed_while_it_is_read),
		cmocka_unit_test(removed_for_good),
		cmocka_unit_test(the_end_while_it_is_read),
		cmocka_unit_test(too_many_are_warm),
		cmocka_unit_test(too_many_are_awake),
		cmocka_unit_test(held_is_known_at_the_start),
		cmocka_unit_test(a_peer_wakes_a_sleeper),
		cmocka_unit_test(strangers_wake_only_so_many),
		cmocka_unit_test(sleepers_have_turns),
		cmocka_unit_test(a_turn_is_as_long_as_there_are_few),
		cmocka_unit_test(a_walk_finds_them_warm),
		cmocka_unit_test(a_walk_by_name_is_one),
		cmocka_unit_test(who_jumps_does_not_walk),
		cmocka_unit_test(a_walk_while_the_root_changes),
		cmocka_unit_test(a_walk_on_a_slow_disk),
		cmocka_unit_test(a_walk_over_damage),
		cmocka_unit_test(a_walk_among_long_metadata),
		cmocka_unit_test(a_walk_is_bounded_by_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
