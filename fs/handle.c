/* handle — one open file.
 *
 * A read of a torrent's file, in this order: the range is clipped to the file,
 * held bytes are answered at once, others are parked; only then is the
 * read-ahead moved, so that what a reader waits for is asked before what he
 * may want next. A cursor is made with the first window of its run: most
 * programs that open a file read a header and go. A file whose ends matter
 * (ends.h) has them asked for together with its first read, if that is at
 * one of them and does not find its bytes here.
 *
 * After an error the kernel does not give up: it drops the batch and asks once
 * more, at once, for the one page that somebody waits for. To that somebody it
 * is the same read. So a read inside one that has just run into its deadline
 * fails at once, or people would wait for the time-out twice.
 *
 * The kernel knows a handle by a number and not by its address: a successor
 * (fs/notes.h) gets reads of handles that it did not open, and makes them from
 * the node. The numbers begin at the clock that starts with the system and are
 * counted up, so that no two daemons give the same.
 *
 * A status file is served with FOPEN_DIRECT_IO from a text made at open, so
 * that a reader sees one moment, however small its reads; the sample of the
 * network from one that grows while it is read (survey.c). */
#include "fs/handle.h"

#include "core/err.h"
#include "core/hmap.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/control.h"
#include "fs/control_dht.h"
#include "fs/control_internal.h"
#include "fs/ends.h"
#include "fs/fs_limits.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/notes.h"
#include "fs/readop.h"
#include "fs/roster.h"
#include "fs/survey.h"
#include "fs/warmth.h"
#include "fs/tree.h"
#include "net/torrent.h"

static int open_dht_json(struct mount *m, struct buf *out)
{
	struct control_json o = {.m = m};
	json_t *j = control_dht_json(&o);
	int r = control_json_dump(&o, j, JSON_INDENT(2) | JSON_ENCODE_ANY, out);

	json_decref(j);
	return r;
}

static int open_status(struct handle *h, enum node_kind kind)
{
	if (kind == NODE_IGNORE)
		return 0;
	if (kind == NODE_STATUS)
		return control_text(h->m, &h->text);
	if (kind == NODE_STATUS_JSON)
		return control_json(h->m, &h->text);
	if (kind == NODE_DHT_STATUS_JSON)
		return open_dht_json(h->m, &h->text);
	if (kind == NODE_DHT_SAMPLE) {
		int r = survey_open(h->m);

		h->is_sample = r == 0;
		return r;
	}
	if (kind == NODE_DHT_ID)
		control_dht_id(h->m, &h->text);
	else if (kind == NODE_DHT_TABLE)
		control_dht_table(h->m, &h->text);
	else
		control_dht_text(h->m, &h->text);
	return buf_err(&h->text);
}

static int handle_new(struct mount *m, uint64_t number, uint64_t fh,
		      struct handle **out)
{
	struct handle *h = mem_new(struct handle);

	ASSERT_LOOP(m->loop);
	if (h == NULL)
		return ENOMEM;
	h->fh = fh;
	if (hmap_put(m->by_fh, &fh, h) != 0) {
		mem_free(h);
		return ENOMEM;
	}
	h->m = m;
	h->number = number;
	h->note = NOTES_NONE;
	runs_init(&h->runs);
	LIST_INSERT_HEAD(&m->handles, h, link);
	*out = h;
	return 0;
}

static void fill(struct handle *h, const struct node *n)
{
	h->shown = n->shown;
	h->shown->n_handles++;
	h->file_ix = tree_file(n->ix);
	h->is_bare = false;
}

static int open_as(struct mount *m, const struct node *n, uint64_t fh,
		   struct handle **out)
{
	int r = handle_new(m, n->number, fh, out);

	if (r != 0)
		return r;
	if (n->kind == NODE_FILE)
		fill(*out, n);
	else
		r = open_status(*out, n->kind);
	if (r != 0)
		handle_close(*out);
	return r;
}

int handle_open(struct mount *m, const struct node *n, struct handle **out)
{
	return open_as(m, n, m->next_fh++, out);
}

int handle_adopt(struct mount *m, uint64_t number, uint64_t fh,
		 struct handle **out)
{
	struct node n;
	int r = node_find(m, number, &n);

	if (r != 0)
		return r;
	if (node_is_dir(&n) || n.kind == NODE_LINK)
		return ESTALE;
	return open_as(m, &n, fh, out);
}

int handle_adopt_note(struct mount *m, uint64_t number, uint64_t fh,
		      int32_t note)
{
	struct handle *h;
	int r = handle_new(m, number, fh, &h);

	if (r == 0) {
		h->note = note;
		h->is_bare = true;
	}
	return r;
}

int handle_dress(struct handle *h)
{
	struct node n;
	int r = h->is_bare ? node_find(h->m, h->number, &n) : 0;

	if (h->is_bare && r == 0)
		fill(h, &n);
	return r;
}

struct handle *handle_find(const struct mount *m, uint64_t fh)
{
	return hmap_get(m->by_fh, &fh);
}

/* Of the torrent. */
static void let_go(struct handle *h)
{
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		cursor_close(h->cursor[i]);
		h->cursor[i] = NULL;
	}
	for (unsigned i = 0; i < 2; i++) {
		cursor_close(h->end[i]);
		h->end[i] = NULL;
	}
	if (h->shown != NULL)
		h->shown->n_handles--;
	h->shown = NULL;
}

void handle_close(struct handle *h TAKES)
{
	LIST_REMOVE(h, link);
	hmap_del(h->m->by_fh, &h->fh);
	notes_del(h->m->notes, h->note);
	if (h->nudge.len_bytes != 0)
		readop_let_go(h->m, h);
	let_go(h);
	if (h->is_sample)
		survey_close(h->m);
	buf_fini(&h->text);
	mem_free(h);
}

void handle_on_removed(struct mount *m, struct shown *s)
{
	struct handle *h;

	LIST_FOREACH (h, &m->handles, link) {
		if (h->shown != s)
			continue;
		let_go(h);
		h->is_gone = true;
	}
}

void handle_close_all(struct mount *m)
{
	struct handle *h;

	while ((h = LIST_FIRST(&m->handles)) != NULL)
		handle_close(h);
}

uint64_t handle_number(const struct handle *h)
{
	return h->number;
}

const struct mi_file *handle_file(const struct handle *h)
{
	return &h->shown->mi->files[h->file_ix];
}

/* ---- read-ahead ---- */

/* Half of what the store may take is for windows; the readers share it. */
static uint64_t room_for(const struct handle *h, uint64_t room_bytes)
{
	const struct handle *other;
	unsigned n = 0;

	if (room_bytes == 0)
		return 0;
	LIST_FOREACH (other, &h->m->handles, link)
		n += other->runs.n_reads > 0;
	return room_bytes / 2 / (n > 0 ? n : 1) + 1;
}

/* The view walks the torrent's peers: not for every read. */
static void look_at_net(struct handle *h)
{
	uint64_t now = loop_now_us(h->m->loop);
	struct torrent_view v;

	if (h->net_us != 0 && now - h->net_us < HANDLE_NET_US)
		return;
	torrent_view(h->shown->torrent, &v);
	h->net = (struct ahead_net){
		.rate_Bps = v.down_Bps,
		.rtt_us = v.rtt_us,
		.piece_bytes = h->shown->mi->piece_bytes,
		.room_bytes = room_for(h, v.room_bytes),
	};
	h->net_us = now;
}

static const struct ahead_net *net_of(struct handle *h)
{
	look_at_net(h);
	h->net.quiet_bytes = h->has_missed ? 0 : AHEAD_QUIET_BYTES;
	return &h->net;
}

/* Without memory there is no read-ahead: it is a courtesy. */
static void set_cursor(struct handle *h, struct cursor **c, uint64_t off,
		       uint64_t len)
{
	if (*c != NULL || cursor_open(h->shown->torrent, c) == 0)
		cursor_set(*c, handle_file(h)->off_bytes + off, len);
}

static bool is_held(const struct handle *h, uint64_t off, uint32_t len)
{
	uint64_t from = handle_file(h)->off_bytes + off;
	uint32_t piece_bytes = h->shown->mi->piece_bytes;
	uint64_t ix = from / piece_bytes, last = (from + len - 1) / piece_bytes;

	while (ix <= last &&
	       torrent_piece_held(h->shown->torrent, (uint32_t)ix))
		ix++;
	return ix > last;
}

static void ask_for_ends(struct handle *h, uint64_t off)
{
	const struct mi_file *f = handle_file(h);
	uint64_t len = f->len_bytes < ENDS_BYTES ? f->len_bytes : ENDS_BYTES;

	if (!ends_matter(f->path[f->n_path - 1]) ||
	    !ends_are_near(off, f->len_bytes))
		return;
	set_cursor(h, &h->end[0], 0, len);
	set_cursor(h, &h->end[1], f->len_bytes - len, len);
}

void handle_on_wait(struct handle *h, uint64_t off_bytes, uint32_t len_bytes)
{
	if (!h->has_missed && warmth_is_ready(h->shown))
		h->has_missed = !is_held(h, off_bytes, len_bytes);
}

static void set_windows(struct handle *h, unsigned changed)
{
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (changed & 1u << i)
			set_cursor(h, &h->cursor[i],
				   h->runs.run[i].ahead.from_bytes,
				   h->runs.run[i].ahead.window_bytes);
}

/* Who finds here what he reads comes after somebody who looked, and is not
 * helped by what that one did not stay for. */
static void move_windows(struct handle *h, uint64_t off, uint32_t len)
{
	if (!warmth_is_ready(h->shown))
		return;
	if (h->runs.n_reads == 0 && h->has_missed)
		ask_for_ends(h, off);
	set_windows(h, runs_on_read(&h->runs, off, len,
				    handle_file(h)->len_bytes, net_of(h)));
}

/* ---- reads ---- */

static void read_text(struct handle *h, fuse_req_t req, uint64_t off,
		      size_t len)
{
	struct span s = buf_span(&h->text);

	if (off >= s.len)
		len = 0;
	else if (len > s.len - off)
		len = s.len - (size_t)off;
	fuse_reply_buf(req, len != 0 ? (const char *)s.ptr + off : NULL, len);
}

void handle_on_late(struct handle *h, uint64_t off_bytes, uint32_t len_bytes)
{
	h->late_us = loop_now_us(h->m->loop);
	h->late_off = off_bytes;
	h->late_len = len_bytes;
}

/* Is this the kernel asking again for a page of a read that was late? */
static bool is_asked_again(const struct handle *h, uint64_t off, uint32_t len)
{
	return h->late_us != 0 && off >= h->late_off &&
	       off + len <= h->late_off + h->late_len &&
	       loop_now_us(h->m->loop) - h->late_us < HANDLE_AGAIN_US;
}

void handle_on_nudge(struct handle *h, const struct handle_nudge *n)
{
	h->nudge = *n;
	if (h->shown != NULL && warmth_is_ready(h->shown))
		set_windows(h, runs_owe(&h->runs, n->off_bytes, n->len_bytes));
}

const struct handle_nudge *handle_nudge_of(const struct handle *h,
					   uint64_t off_bytes,
					   uint32_t len_bytes)
{
	const struct handle_nudge *n = &h->nudge;

	return n->len_bytes != 0 && off_bytes >= n->off_bytes &&
			       off_bytes + len_bytes <=
				       n->off_bytes + n->len_bytes
		       ? n
		       : NULL;
}

/* Only whole ranges come here: a torrent never hands over less. */
static void reply_now(void *arg, int err, const struct iovec *iov,
		      unsigned n_iov)
{
	fuse_reply_iov(arg, iov, (int)n_iov);
}

static void read_file(struct handle *h, fuse_req_t req, uint64_t off,
		      uint32_t len, bool is_direct)
{
	struct mount *m = h->m;
	int r = warmth_wake(m, h->shown);

	if (r == 0)
		r = EAGAIN;
	if (len <= MOUNT_BUFFER_BYTES && warmth_is_ready(h->shown))
		r = torrent_read_now(h->shown->torrent,
				     handle_file(h)->off_bytes + off, len,
				     m->out, reply_now, req);
	if (r == 0)
		return;
	if (r == EAGAIN && !is_asked_again(h, off, len))
		readop_start(m, h, req, off, len, is_direct);
	else
		fuse_reply_err(req, EIO);
}

void handle_read(struct handle *h, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes, bool is_direct)
{
	uint64_t size;

	if (h->is_gone) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (h->is_sample) {
		survey_read(h->m, req, off_bytes, len_bytes);
		return;
	}
	if (h->shown == NULL) {
		read_text(h, req, off_bytes, len_bytes);
		return;
	}
	size = handle_file(h)->len_bytes;
	if (off_bytes >= size || len_bytes == 0) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if (len_bytes > size - off_bytes)
		len_bytes = (size_t)(size - off_bytes);
	if (len_bytes > TORRENT_READ_MAX) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	read_file(h, req, off_bytes, (uint32_t)len_bytes, is_direct);
	move_windows(h, off_bytes, (uint32_t)len_bytes);
}
