/* fake_torrent — torrents and an engine without a network. */
#include "tests/lib/fake_torrent.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/queue.h"
#include "net/mainline.h"
#include "net/scrub.h"
#include "net/tracker.h"

struct torrent_read {
	TAILQ_ENTRY(torrent_read) link;
	struct torrent *t;
	struct loop_task task;
	uint64_t off, progress_us;
	uint32_t len;
	int err;
	torrent_read_fn *done;
	void *arg;
};

TAILQ_HEAD(read_list, torrent_read);

struct cursor {
	struct torrent *t;
};

struct torrent {
	TAILQ_ENTRY(torrent) link;
	struct engine *e;
	struct torrent_id id;
	enum torrent_state state;
	bool is_guest;
	const struct metainfo *mi;
	struct metainfo *own_mi; /* engine_add's */
	void *user;
	uint64_t held, win_off, win_len;
	uint64_t pins; /* a bit a file */
	unsigned cursors;
	struct read_list reads;
};

TAILQ_HEAD(torrent_list, torrent);

struct engine {
	struct loop *loop;
	struct torrent_list torrents;
	uint64_t limit[2];
	bool has_dht, is_mute;
};

/* ---- metainfo ---- */

static void split(struct mi_file *f, const char *path)
{
	char *copy = mem_strdup(path), *save = NULL;

	f->path = mem_zalloc(64, sizeof(char *));
	for (char *s = strtok_r(copy, "/", &save); s != NULL;
	     s = strtok_r(NULL, "/", &save))
		f->path[f->n_path++] = mem_strdup(s);
	mem_free(copy);
}

struct metainfo *fake_metainfo_new(const char *name, uint8_t seed,
				   const struct fake_file *files,
				   uint32_t n_files)
{
	struct metainfo *mi = mem_new(struct metainfo);

	memset(mi->id.v1.bytes, seed, 20);
	mi->id.v1.len = 20;
	mi->name = mem_strdup(name);
	mi->has_v1 = true;
	mi->piece_bytes = FAKE_PIECE_BYTES;
	mi->files = mem_zalloc(n_files, sizeof(*mi->files));
	mi->n_files = n_files;
	mi->created_s = 1700000000;
	for (uint32_t i = 0; i < n_files; i++) {
		split(&mi->files[i], files[i].path);
		mi->files[i].off_bytes = mi->total_bytes;
		mi->files[i].len_bytes = files[i].len_bytes;
		mi->files[i].attr = files[i].attr;
		mi->total_bytes += files[i].len_bytes;
	}
	mi->n_pieces = (uint32_t)((mi->total_bytes + FAKE_PIECE_BYTES - 1) /
				  FAKE_PIECE_BYTES);
	return mi;
}

void fake_metainfo_free(struct metainfo *mi)
{
	for (uint32_t i = 0; i < mi->n_files; i++) {
		for (uint32_t k = 0; k < mi->files[i].n_path; k++)
			mem_free(mi->files[i].path[k]);
		mem_free(mi->files[i].path);
	}
	mem_free(mi->files);
	mem_free(mi->name);
	mem_free(mi);
}

uint8_t fake_byte(uint64_t pos)
{
	return (uint8_t)((pos * 131) ^ (pos >> 9) ^ (pos >> 17));
}

/* ---- what a test says ---- */

struct engine *fake_engine_new(struct loop *loop)
{
	struct engine *e = mem_new(struct engine);

	e->loop = loop;
	TAILQ_INIT(&e->torrents);
	return e;
}

void fake_engine_free(struct engine *e)
{
	struct torrent *t;

	while ((t = TAILQ_FIRST(&e->torrents)) != NULL) {
		assert(TAILQ_EMPTY(&t->reads) && t->cursors == 0);
		TAILQ_REMOVE(&e->torrents, t, link);
		metainfo_free(t->own_mi);
		mem_free(t);
	}
	mem_free(e);
}

struct torrent *fake_add(struct engine *e, const struct torrent_id *id)
{
	struct torrent *t = mem_new(struct torrent);

	t->e = e;
	t->id = *id;
	t->state = TORRENT_META;
	TAILQ_INIT(&t->reads);
	TAILQ_INSERT_TAIL(&e->torrents, t, link);
	return t;
}

void fake_set_dht(struct engine *e)
{
	e->has_dht = true;
}

void fake_ready(struct torrent *t, const struct metainfo *mi)
{
	t->mi = t->own_mi != NULL ? t->own_mi : mi;
	t->state = TORRENT_READY;
}

void fake_set_failed(struct torrent *t)
{
	t->state = TORRENT_FAILED;
}

void fake_hold(struct torrent *t, uint64_t bytes)
{
	struct torrent_read *rd;

	t->held = bytes;
	TAILQ_FOREACH (rd, &t->reads, link)
		if (rd->off + rd->len <= bytes)
			loop_defer(t->e->loop, &rd->task);
}

void fake_progress(struct torrent *t)
{
	struct torrent_read *rd;

	TAILQ_FOREACH (rd, &t->reads, link)
		rd->progress_us = loop_now_us(t->e->loop);
}

void fake_fail_reads(struct torrent *t, int err)
{
	struct torrent_read *rd;

	TAILQ_FOREACH (rd, &t->reads, link) {
		rd->err = err;
		loop_defer(t->e->loop, &rd->task);
	}
}

unsigned fake_reads(const struct torrent *t)
{
	const struct torrent_read *rd;
	unsigned n = 0;

	TAILQ_FOREACH (rd, &t->reads, link)
		n++;
	return n;
}

unsigned fake_cursors(const struct torrent *t)
{
	return t->cursors;
}

void fake_window(const struct torrent *t, uint64_t *off, uint64_t *len)
{
	*off = t->win_off;
	*len = t->win_len;
}

/* ---- net/torrent.h ---- */

enum torrent_state torrent_state(const struct torrent *t)
{
	return t->state;
}

const char *torrent_why(const struct torrent *t)
{
	return "the store refused it";
}

const struct torrent_id *torrent_id(const struct torrent *t)
{
	return &t->id;
}

const struct metainfo *torrent_metainfo(const struct torrent *t)
{
	return t->mi;
}

const char *torrent_name(const struct torrent *t)
{
	return t->mi != NULL ? t->mi->name : "unnamed";
}

int64_t torrent_added_s(const struct torrent *t)
{
	return 1600000000;
}

void torrent_set_user(struct torrent *t, void *user)
{
	t->user = user;
}

void *torrent_user(const struct torrent *t)
{
	return t->user;
}

static void fill(uint8_t *dst, uint64_t off, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		dst[i] = fake_byte(off + i);
}

int torrent_read_now(struct torrent *t, uint64_t off_bytes, uint32_t len_bytes,
		     uint8_t *scratch, torrent_read_fn *fn, void *arg)
{
	struct iovec iov = {.iov_base = scratch, .iov_len = len_bytes};

	if (off_bytes + len_bytes > t->mi->total_bytes)
		return EINVAL;
	if (off_bytes + len_bytes > t->held)
		return EAGAIN;
	fill(scratch, off_bytes, len_bytes);
	fn(arg, 0, &iov, 1);
	return 0;
}

static void on_task(void *arg)
{
	struct torrent_read *rd = arg;
	uint8_t *data = mem_alloc(rd->len);
	struct iovec iov[2] = {
		{.iov_base = data, .iov_len = rd->len / 2},
		{.iov_base = data + rd->len / 2,
		 .iov_len = rd->len - rd->len / 2},
	};

	fill(data, rd->off, rd->len);
	TAILQ_REMOVE(&rd->t->reads, rd, link);
	rd->done(rd->arg, rd->err, rd->err != 0 ? NULL : iov, 2);
	mem_free(data);
	mem_free(rd);
}

int torrent_read_start(struct torrent *t, uint64_t off_bytes,
		       uint32_t len_bytes, torrent_read_fn *done, void *arg,
		       struct torrent_read **out)
{
	struct torrent_read *rd;

	if (t->state != TORRENT_READY)
		return ESTALE;
	rd = mem_new(struct torrent_read);
	if (rd == NULL)
		return ENOMEM;
	rd->t = t;
	rd->off = off_bytes;
	rd->len = len_bytes;
	rd->done = done;
	rd->arg = arg;
	rd->progress_us = loop_now_us(t->e->loop);
	loop_task_init(&rd->task, on_task, rd);
	TAILQ_INSERT_TAIL(&t->reads, rd, link);
	*out = rd;
	return 0;
}

void torrent_read_cancel(struct torrent_read *rd)
{
	loop_task_cancel(rd->t->e->loop, &rd->task);
	TAILQ_REMOVE(&rd->t->reads, rd, link);
	mem_free(rd);
}

uint64_t torrent_read_progress_us(const struct torrent_read *rd)
{
	return rd->progress_us;
}

const char *torrent_read_why(const struct torrent_read *rd)
{
	return "no peers";
}

int cursor_open(struct torrent *t, struct cursor **out)
{
	struct cursor *c = mem_new(struct cursor);

	if (c == NULL)
		return ENOMEM;
	c->t = t;
	t->cursors++;
	*out = c;
	return 0;
}

void cursor_set(struct cursor *c, uint64_t off_bytes, uint64_t len_bytes)
{
	c->t->win_off = off_bytes;
	c->t->win_len = len_bytes;
}

void cursor_close(struct cursor *c TAKES)
{
	if (c == NULL)
		return;
	c->t->cursors--;
	mem_free(c);
}

int torrent_pin(struct torrent *t, uint32_t file_ix)
{
	t->pins |= UINT64_C(1) << file_ix;
	return 0;
}

void torrent_unpin(struct torrent *t, uint32_t file_ix)
{
	t->pins &= ~(UINT64_C(1) << file_ix);
}

bool torrent_is_pinned(const struct torrent *t, uint32_t file_ix)
{
	return (t->pins >> file_ix & 1) != 0;
}

const char *torrent_meta_why(struct torrent *t)
{
	return NULL;
}

const char *torrent_file_why(struct torrent *t, uint32_t file_ix)
{
	return "no peers for the file";
}

void torrent_view(const struct torrent *t, struct torrent_view *out)
{
	memset(out, 0, sizeof(*out));
	out->state = t->state;
	out->peers = 1;
	out->reads_waiting = fake_reads(t);
	out->pinned_files = (uint32_t)__builtin_popcountll(t->pins);
	if (t->mi == NULL)
		return;
	out->size_bytes = t->mi->total_bytes;
	out->held_bytes = t->held;
	out->n_pieces = t->mi->n_pieces;
	out->held_pieces = (uint32_t)(t->held / t->mi->piece_bytes);
}

bool torrent_file_is_whole(const struct torrent *t, uint32_t file_ix)
{
	const struct mi_file *f = &t->mi->files[file_ix];

	return f->len_bytes != 0 &&
	       torrent_file_held(t, file_ix) == f->len_bytes;
}

int torrent_file_blob(struct torrent *t, uint32_t file_ix,
		      torrent_blob_fn *done, void *arg)
{
	return ENOENT;
}

uint64_t torrent_file_held(const struct torrent *t, uint32_t file_ix)
{
	const struct mi_file *f = &t->mi->files[file_ix];

	if (t->held <= f->off_bytes)
		return 0;
	return t->held - f->off_bytes < f->len_bytes ? t->held - f->off_bytes
						     : f->len_bytes;
}

bool torrent_piece_held(const struct torrent *t, uint32_t piece_ix)
{
	return (uint64_t)(piece_ix + 1) * t->mi->piece_bytes <= t->held;
}

/* A peer whose name no terminal should see, and no JSON parser. We want of it,
 * and it wants nothing of us. */
unsigned torrent_peers(const struct torrent *t, struct torrent_peer_view *out,
		       unsigned max)
{
	memset(out, 0, sizeof(*out));
	addr_parse(&out->addr, "10.0.0.1:6881");
	out->interested_us = true;
	memcpy(out->client, "\x1b[31mpeer\xff", 10);
	return max > 0;
}

uint32_t torrent_tracker_count(const struct torrent *t)
{
	return 1;
}

void torrent_tracker(const struct torrent *t, uint32_t ix,
		     struct tracker_view *out)
{
	*out = (struct tracker_view){
		.url = "http://tracker.test/announce?passkey=s3cr3t",
		.state = TRACKER_FAILED,
		.why = "connection refused",
	};
}

void tracker_mask(const char *url, char *out, size_t cap)
{
	snprintf(out, cap, "%.*s", (int)strcspn(url, "?"), url);
}

/* ---- net/engine.h ---- */

uint16_t engine_port(const struct engine *e)
{
	return 6881;
}

void engine_set_limit(struct engine *e, enum engine_way way, uint64_t Bps)
{
	e->limit[way] = Bps;
}

uint64_t engine_limit(const struct engine *e, enum engine_way way)
{
	return e->limit[way];
}

/* Nobody here looks into it. */
void engine_traffic(const struct engine *e, const struct torrent_id *id,
		    struct traffic *out)
{
	*out = (struct traffic){0};
}

struct mainline *engine_dht(const struct engine *e)
{
	return e->has_dht ? (struct mainline *)(uintptr_t)e : NULL;
}

/* One with its metainfo is OPENING, until fake_ready. */
int engine_add(struct engine *e, struct engine_source src, struct torrent **out)
{
	const struct torrent_id *id =
		src.mi != NULL ? &src.mi->id : &src.magnet->id;
	struct torrent *t = engine_find(e, &id->v1);

	*out = t != NULL ? t : fake_add(e, id);
	if (t == NULL) {
		(*out)->is_guest = src.is_guest;
		(*out)->own_mi = src.mi;
		if (src.mi != NULL)
			(*out)->state = TORRENT_OPENING;
	} else {
		metainfo_free(src.mi);
	}
	magnet_free(src.magnet);
	return t != NULL ? EEXIST : 0;
}

static void torrent_free(struct torrent *t)
{
	metainfo_free(t->own_mi);
	mem_free(t);
}

/* The store lets go of everything at once. */
struct engine_leave {
	struct loop *loop;
	struct loop_task task;
	engine_left_fn *done;
	void *arg;
};

static void on_leave(void *arg)
{
	struct engine_leave *l = arg;

	l->done(l->arg, 0);
	mem_free(l);
}

int engine_leave(struct engine *e, struct torrent *t TAKES,
		 const struct torrent_id *id, enum engine_data data,
		 engine_left_fn *done, void *arg, struct engine_leave **out)
{
	struct engine_leave *l = mem_new(struct engine_leave);

	if (l == NULL)
		return ENOMEM;
	if (t != NULL)
		engine_remove(e, t);
	l->loop = e->loop;
	l->done = done;
	l->arg = arg;
	loop_task_init(&l->task, on_leave, l);
	loop_defer(e->loop, &l->task);
	*out = l;
	return 0;
}

void engine_leave_forget(struct engine_leave *l, engine_left_fn *done,
			 void *arg)
{
	l->done = done;
	l->arg = arg;
}

void engine_leave_cancel(struct engine_leave *l)
{
	loop_task_cancel(l->loop, &l->task);
	mem_free(l);
}

void engine_remove(struct engine *e, struct torrent *t TAKES)
{
	TAILQ_REMOVE(&e->torrents, t, link);
	torrent_free(t);
}

bool torrent_is_guest(const struct torrent *t)
{
	return t->is_guest;
}

enum engine_doubts engine_doubts(const struct engine *e)
{
	return ENGINE_SURE;
}

/* A fake's store has nothing that could change. */
int scrub_start(struct torrent *t, const struct scrub_cfg *cfg,
		struct scrub **out)
{
	return ESTALE;
}

void scrub_cancel(struct scrub *s)
{
}

void scrub_look(const struct scrub *s, struct scrub_sums *out)
{
	*out = (struct scrub_sums){0};
}

bool engine_is_seeding(const struct engine *e)
{
	return !e->is_mute;
}

struct torrent *engine_find(const struct engine *e, const struct info_hash *h)
{
	struct torrent *t;

	TAILQ_FOREACH (t, &e->torrents, link)
		if (t->id.v1.len == h->len &&
		    memcmp(t->id.v1.bytes, h->bytes, h->len) == 0)
			return t;
	return NULL;
}

struct torrent *engine_next(const struct engine *e, const struct torrent *t)
{
	return t == NULL ? TAILQ_FIRST(&e->torrents) : TAILQ_NEXT(t, link);
}

void mainline_view(const struct mainline *m, struct mainline_view *out)
{
	*out = (struct mainline_view){
		.port = 6881,
		.node.family[DHT_IPV4] = {.id.b = {0xab},
					  .n_contacts = 5,
					  .n_good = 3},
		.node.n_searches = 2,
	};
}
