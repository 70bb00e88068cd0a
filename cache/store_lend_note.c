/* store_lend_note — what is remembered of what a user lends.
 *
 * Two kinds of notes of the store below (store_keep_note), in big-endian
 * numbers; one that makes no sense is none.
 *
 *   "lent"       which torrents have a directory: u32 version; of each: u8
 *                length and bytes of the v1 and of the v2 info-hash, u64 bytes
 *                that were right, u32 length and bytes of the path
 *   "lent-HASH"  of one torrent: u32 version, number of files, of pieces, bytes
 *                of each path that were passed over (skip); a bit a piece that
 *                is right; of each file: u8 whether it was there, and its stamp
 *
 * The list is read before anything is opened: the daemon can open no directory
 * of the user's once it has locked itself in. It is written when it changes,
 * and before whatever else is asked of the store below after that. The others
 * may be late: what they lack is hashed again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache_limits.h"
#include "cache/store_lend_internal.h"
#include "core/be.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

enum { VERSION = 1, PATH_MAX_BYTES = 4096 };

static const char LIST[] = "lent";

/* ---- reading ---- */

/* What is left of a note; ptr NULL: it was too short for something. */
static const uint8_t *take(struct span *s, size_t n)
{
	const uint8_t *at = s->ptr;

	if (at == NULL || s->len < n) {
		s->ptr = NULL;
		return NULL;
	}
	s->ptr += n;
	s->len -= n;
	return at;
}

static uint32_t take_u32(struct span *s)
{
	const uint8_t *p = take(s, 4);

	return p != NULL ? be32_get(p) : 0;
}

static uint8_t take_u8(struct span *s)
{
	const uint8_t *p = take(s, 1);

	return p != NULL ? *p : 0;
}

/* ---- the list ---- */

static bool take_hash(struct span *s, struct info_hash *h)
{
	uint8_t len = take_u8(s);
	const uint8_t *p;

	if (len > sizeof(h->bytes))
		return false;
	p = take(s, len);
	if (p == NULL)
		return false;
	memcpy(h->bytes, p, len);
	h->len = len;
	return true;
}

static bool take_entry(struct lend *l, struct span *s)
{
	char path[PATH_MAX_BYTES + 1];
	struct torrent_id id = {0};
	const uint8_t *bytes, *text;
	struct lent *e;
	uint32_t len;

	if (!take_hash(s, &id.v1) || !take_hash(s, &id.v2))
		return false;
	bytes = take(s, 8);
	len = take_u32(s);
	if (len > PATH_MAX_BYTES)
		return false;
	text = take(s, len);
	if (bytes == NULL || text == NULL)
		return false;
	memcpy(path, text, len);
	path[len] = '\0';
	e = lend_enter(l, &id, path);
	if (e != NULL)
		e->bytes = be64_get(bytes);
	return e != NULL;
}

static void on_list(void *arg, int err, struct span note)
{
	struct lend *l = arg;

	l->is_listed = true;
	if (err != 0 && err != ENOENT)
		log_warn("which directories are lent is not known: %s",
			 err_text(err));
	if (err != 0 || take_u32(&note) != VERSION)
		return;
	while (note.ptr != NULL && note.len > 0 && take_entry(l, &note))
		;
}

/* Its disk may be somewhere else today. */
static void open_dirs(struct lend *l)
{
	struct lend_dir *d;

	LIST_FOREACH (d, &l->dirs, link) {
		d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->fd < 0)
			log_warn("%s, which is lent: %s", d->path,
				 err_text(errno));
	}
}

int lend_list_load(struct lend *l)
{
	int err = store_load_note(l->below, LIST, on_list, l);

	if (err == ENOENT)
		return 0;
	while (err == 0 && !l->is_listed)
		(void)workers_drain(l->thread, UINT32_MAX);
	open_dirs(l);
	return err;
}

static void add_hash(struct buf *b, const struct info_hash *h)
{
	buf_add_u8(b, h->len);
	buf_add(b, h->bytes, h->len);
}

int lend_list_keep(struct lend *l, store_done_fn *done, void *arg)
{
	struct buf b = {0};
	const struct lent *e;
	int err;

	buf_add_be32(&b, VERSION);
	TAILQ_FOREACH (e, &l->lents, link) {
		uint32_t len = (uint32_t)strlen(e->dir->path);

		add_hash(&b, &e->id.v1);
		add_hash(&b, &e->id.v2);
		buf_add_be64(&b, e->bytes);
		buf_add_be32(&b, len);
		buf_add(&b, e->dir->path, len);
	}
	err = buf_err(&b);
	if (err == 0)
		err = store_keep_note(l->below, LIST, buf_span(&b), done, arg);
	buf_fini(&b);
	return err;
}

/* ---- a torrent's ---- */

/* A note on its way: the store below needs its name. */
struct note {
	struct lend_torrent *t; /* of one that is loaded; held by its set */
	void (*done)(struct lend_torrent *t);
	char name[sizeof(LIST) + TORRENT_HEX_BYTES];
};

static struct note *note_new(const struct torrent_id *id)
{
	struct note *n = mem_new(struct note);
	char hex[TORRENT_HEX_BYTES];

	if (n != NULL)
		(void)snprintf(n->name, sizeof(n->name), "%s-%s", LIST,
			       torrent_id_hex(id, hex));
	return n;
}

static bool take_files(struct lend_torrent *t, struct span *s)
{
	for (uint32_t i = 0; i < t->n_files; i++) {
		const uint8_t *p;

		if (take_u8(s) == 0)
			continue;
		p = take(s, STAMP_BYTES);
		if (p == NULL || t->files[i].path == NULL)
			return false;
		stamp_decode(p, &t->files[i].looked);
		bits_set(&t->there, i);
	}
	return s->ptr != NULL && s->len == 0;
}

static bool take_note(struct lend_torrent *t, struct span *s)
{
	size_t n = bits_bytes(t->mi->n_pieces);
	const uint8_t *right;

	if (take_u32(s) != VERSION || take_u32(s) != t->n_files ||
	    take_u32(s) != t->mi->n_pieces)
		return false;
	t->note_skip = take_u32(s);
	right = take(s, n);
	return right != NULL && bits_load(&t->right, right, n) == 0 &&
	       take_files(t, s);
}

static void on_loaded(void *arg, int err, struct span note)
{
	struct note *n = arg;
	struct lend_torrent *t = n->t;

	if (!t->is_closed) {
		if (err == 0 && !take_note(t, &note)) {
			bits_clear_all(&t->right);
			bits_clear_all(&t->there);
		}
		n->done(t);
	}
	blobs_set_drop(&t->set);
	mem_free(n);
}

int lend_note_load(struct lend_torrent *t, void (*done)(struct lend_torrent *t))
{
	struct note *n = note_new(&t->lent->id);
	int err;

	if (n == NULL)
		return ENOMEM;
	n->t = t;
	n->done = done;
	err = store_load_note(t->l->below, n->name, on_loaded, n);
	if (err == 0)
		blobs_set_hold(&t->set);
	else
		mem_free(n);
	return err;
}

static void on_kept(void *arg, int err)
{
	mem_free(arg);
}

static void keep(struct lend *l, const struct torrent_id *id, struct span text)
{
	struct note *n = note_new(id);

	if (n != NULL &&
	    store_keep_note(l->below, n->name, text, on_kept, n) != 0)
		mem_free(n);
}

void lend_note_forget(struct lend *l, const struct torrent_id *id)
{
	keep(l, id, span_of("", 0));
}

static void add_right(const struct lend_torrent *t, struct buf *b)
{
	size_t n = bits_bytes(t->right.n);
	uint8_t *at = buf_room(b, n);

	if (at == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		at[i] = t->right.data[i] & (uint8_t)~t->doubtful.data[i];
	buf_took(b, n);
}

/* Of a file that was changed since it was looked at there is no stamp: it is
 * new to the next run. */
static void add_file(const struct lend_torrent *t, uint32_t i, struct buf *b)
{
	uint8_t bytes[STAMP_BYTES];

	if (!bits_has(&t->there, i) || t->files[i].looked.size_bytes == 0) {
		buf_add_u8(b, 0);
		return;
	}
	buf_add_u8(b, 1);
	stamp_encode(&t->files[i].looked, bytes);
	buf_add(b, bytes, sizeof(bytes));
}

static uint64_t bytes_right(const struct lend_torrent *t)
{
	uint64_t n = 0;

	for (uint32_t ix = bits_next(&t->right, 0); ix < t->right.n;
	     ix = bits_next(&t->right, ix + 1))
		n += metainfo_piece_content(t->mi, ix);
	return n;
}

void lend_note_keep(struct lend_torrent *t)
{
	struct buf b = {0};
	uint64_t n = bytes_right(t);

	t->is_dirty = false;
	buf_add_be32(&b, VERSION);
	buf_add_be32(&b, t->n_files);
	buf_add_be32(&b, t->mi->n_pieces);
	buf_add_be32(&b, t->skip);
	add_right(t, &b);
	for (uint32_t i = 0; i < t->n_files; i++)
		add_file(t, i, &b);
	if (buf_err(&b) == 0)
		keep(t->l, &t->lent->id, buf_span(&b));
	buf_fini(&b);
	if (n == t->lent->bytes)
		return;
	t->lent->bytes = n;
	(void)lend_list_keep(t->l, NULL, NULL);
}

void lend_note_dirty(struct lend_torrent *t)
{
	t->is_dirty = true;
	if (!t->is_closed && !loop_timer_is_armed(t->note_timer))
		loop_timer_start(t->note_timer, LEND_NOTE_MS * UINT64_C(1000));
}
