/* shoal-cat — write one file of a torrent to standard output, without FUSE.
 *
 * The same engine as the mount's, read in sequence with a window ahead. It is
 * also the proof that fs/ holds no logic a reader needs. Pieces live in
 * memory unless -o store=DIR keeps them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/daemon.h"
#include "cmd/options.h"
#include "cmd/source.h"
#include "cmd/stack.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "net/signpost.h"

enum {
	CAT_CHUNK_BYTES = 1 << 20,
	CAT_WINDOW_BYTES = 32 << 20,
	CAT_STORE_BYTES = 128 << 20,
};

struct cat {
	struct stack s;
	const struct options *o;
	const char *path;
	struct torrent *t;
	struct torrent_read *read;
	struct cursor *cursor;
	struct loop_timer *timer;
	uint64_t at, end; /* in piece space */
	struct btpk key;  /* what the SOURCE is, with has_key */
	bool has_key;
	bool is_added; /* the torrent that it names */
	bool is_ending;
	int err;
	char why[WHY_BYTES];
};

static void cat_on_over(void *arg)
{
	struct cat *c = arg;

	loop_stop(c->s.loop);
}

static void cat_end(struct cat *c, int err, const char *why)
{
	if (c->is_ending)
		return;
	c->is_ending = true;
	c->err = err;
	if (err && !c->why[0])
		(void)snprintf(c->why, WHY_BYTES, "%s: %s", c->path, why);
	if (c->read)
		torrent_read_cancel(c->read);
	c->read = NULL;
	if (c->cursor)
		cursor_close(c->cursor);
	c->cursor = NULL;
	engine_stop(c->s.engine, 1000, cat_on_over, c);
}

static int write_iov(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (fwrite(iov[i].iov_base, 1, iov[i].iov_len, stdout) !=
		    iov[i].iov_len)
			return errno ? errno : EIO;
	}
	return 0;
}

static void cat_next(struct cat *c);

static void cat_on_read(void *arg, int err, const struct iovec *iov, unsigned n)
{
	struct cat *c = arg;

	c->read = NULL;
	if (!err)
		err = write_iov(iov, n);
	if (err) {
		cat_end(c, err, err_text(err));
		return;
	}
	for (unsigned i = 0; i < n; i++)
		c->at += iov[i].iov_len;
	cat_next(c);
}

static uint64_t timeout_us(const struct cat *c)
{
	return c->o->read_timeout_s * UINT64_C(1000000);
}

static void cat_next(struct cat *c)
{
	uint64_t left = c->end - c->at;
	uint32_t len =
		left < CAT_CHUNK_BYTES ? (uint32_t)left : CAT_CHUNK_BYTES;
	int r;

	if (left == 0) {
		r = fflush(stdout) == 0 ? 0 : errno;
		cat_end(c, r, err_text(r));
		return;
	}
	cursor_set(c->cursor, c->at,
		   left < CAT_WINDOW_BYTES ? left : CAT_WINDOW_BYTES);
	r = torrent_read_start(c->t, c->at, len, cat_on_read, c, &c->read);
	if (r)
		cat_end(c, r, err_text(r));
	loop_timer_start(c->timer, timeout_us(c));
}

static void cat_on_timer(void *arg)
{
	struct cat *c = arg;
	uint64_t now = loop_now_us(c->s.loop), last;

	if (!c->read) {
		cat_end(c, ETIMEDOUT, "no metadata was found in time");
		return;
	}
	last = torrent_read_progress_us(c->read) + timeout_us(c);
	if (last > now)
		loop_timer_start(c->timer, last - now);
	else
		cat_end(c, ETIMEDOUT, torrent_read_why(c->read));
}

/* "a/b" is the file of that path; a single file may be named by its name. */
static const struct mi_file *find_file(const struct metainfo *mi,
				       const char *path)
{
	for (uint32_t i = 0; i < mi->n_files; i++) {
		const struct mi_file *f = &mi->files[i];
		const char *p = path;
		uint32_t k = 0;

		if (f->attr & (MI_ATTR_PAD | MI_ATTR_SYMLINK))
			continue;
		for (; k < f->n_path; k++) {
			size_t len = strlen(f->path[k]);

			if (strncmp(p, f->path[k], len) != 0 ||
			    p[len] != (k + 1 < f->n_path ? '/' : '\0'))
				break;
			p += len + 1;
		}
		if (k == f->n_path)
			return f;
	}
	return NULL;
}

static void cat_on_ready(void *arg, struct torrent *t)
{
	struct cat *c = arg;
	const struct mi_file *f = find_file(torrent_metainfo(t), c->path);
	int r;

	c->t = t;
	if (!f) {
		cat_end(c, ENOENT, "no such file in the torrent");
		return;
	}
	c->at = f->off_bytes;
	c->end = f->off_bytes + f->len_bytes;
	r = cursor_open(t, &c->cursor);
	if (r)
		cat_end(c, r, err_text(r));
	else
		cat_next(c);
}

static void cat_on_failed(void *arg, struct torrent *t)
{
	cat_end(arg, EIO, torrent_why(t));
}

/* ---- a key ---- */

static int add_hash(struct cat *c, const struct info_hash *hash)
{
	struct library_source from = {0};
	struct engine_source src = {0};
	struct torrent *t;
	int r = source_of_hash(hash, &from);

	if (r)
		return r;
	src.magnet = from.magnet;
	from.magnet = NULL;
	source_free(&from);
	c->is_added = true;
	return engine_add(c->s.engine, src, &t);
}

/* What it names now; if that is not known yet, on_signpost comes. */
static void cat_look(struct cat *c)
{
	struct signpost_view v;
	struct signpost *s;
	int r = signpost_use(c->s.engine, &c->key, &s);

	if (r == EAGAIN)
		return;
	if (!r) {
		signpost_view(s, &v);
		r = v.is_known && v.hash.len ? add_hash(c, &v.hash) : ENOENT;
	}
	if (r)
		cat_end(c, r,
			r == ENOENT ? "nobody knows a torrent of this key"
				    : err_text(r));
}

static void cat_on_signpost(void *arg, struct signpost *s)
{
	struct cat *c = arg;

	if (!c->is_added && !c->is_ending)
		cat_look(c);
}

/* ---- life ---- */

static int open_all(struct cat *c)
{
	static const struct engine_ops ops = {.on_ready = cat_on_ready,
					      .on_failed = cat_on_failed,
					      .on_signpost = cat_on_signpost};
	struct stack_net net = {
		.bind = c->o->bind,
		.port = c->o->port,
		.peers = (const char *const *)c->o->peer,
		.n_peers = c->o->n_peers,
		.no_pex = c->o->no_pex,
		.no_dht = c->o->no_dht,
		.dht_bootstrap = (const char *const *)c->o->dht_bootstrap,
		.n_dht_bootstrap = c->o->n_dht_bootstrap,
		.no_seed = c->o->no_seed,
		.down_Bps = c->o->down_Bps,
		.up_Bps = c->o->up_Bps};
	struct stack_room room = {.quota_bytes = c->o->quota_bytes,
				  .min_free_bytes = c->o->min_free_bytes};
	int r = stack_init(&c->s);

	if (!r)
		r = loop_timer_new(c->s.loop, cat_on_timer, c, &c->timer);
	if (!r && c->o->store)
		r = stack_store_disk(&c->s, c->o->store, &room, c->why);
	else if (!r)
		r = stack_store_mem(&c->s, c->o->store_mem_bytes
						   ? c->o->store_mem_bytes
						   : CAT_STORE_BYTES);
	if (!r)
		r = stack_engine(&c->s, &net, &ops, c, c->why);
	return r;
}

static int cat_run(struct cat *c, struct engine_source *src)
{
	struct torrent *t;
	int r = open_all(c);

	if (!r && c->has_key) {
		cat_look(c);
	} else if (!r) {
		r = engine_add(c->s.engine, *src, &t);
		memset(src, 0, sizeof(*src));
	}
	if (!r) {
		loop_timer_start(c->timer, c->o->wait_s * UINT64_C(1000000));
		r = loop_run(c->s.loop);
	}
	loop_timer_free(c->timer);
	stack_deadline(&c->s, 1);
	stack_fini(&c->s);
	return r ? r : c->err;
}

int main(int argc, char **argv)
{
	struct library_source from = {0};
	struct engine_source src = {0};
	struct hasher *h = NULL;
	struct options o;
	struct cat c = {.o = &o};
	int r;

	daemon_open_streams();
	log_open("shoal-cat", LOG_SINK_STDERR, LOG_LEVEL_WARN);
	(void)signal(SIGPIPE, SIG_IGN);
	r = options_parse(&o, argc, argv, c.why);
	if (!r && o.help) {
		printf("usage: shoal-cat [-o OPT[,OPT...]] SOURCE PATH\n\n%s",
		       options_help());
	} else if (!r && o.version) {
		printf("shoal-cat %s\n", SHOAL_VERSION);
	} else if (!r && o.n_operands != 2) {
		r = EINVAL;
		(void)snprintf(c.why, WHY_BYTES,
			       "it takes a SOURCE and a PATH");
	} else if (!r) {
		c.path = o.operand[1];
		r = hasher_new(&h);
		if (!r)
			r = source_load(o.operand[0], h, &from, c.why);
		src.mi = from.mi;
		src.magnet = from.magnet;
		if (!r && src.magnet && !magnet_names_torrent(src.magnet)) {
			c.has_key = true;
			c.key = src.magnet->btpk;
		}
		if (!r)
			r = cat_run(&c, &src);
		from.mi = src.mi; /* NULL once they are the engine's */
		from.magnet = src.magnet;
	}
	if (r)
		fprintf(stderr, "shoal-cat: %s\n",
			c.why[0] ? c.why : err_text(r));
	hasher_free(h);
	source_free(&from);
	options_fini(&o);
	return r ? 1 : 0;
}
