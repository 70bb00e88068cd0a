/* handle — one open file.
 *
 * A read of a torrent's file, in this order: the range is clipped to the file,
 * held bytes are answered at once, others are parked; only then is the
 * read-ahead moved, so that what a reader waits for is asked before what he
 * may want next. A cursor is made with the first window of its run: most
 * programs that open a file read a header and go. A file whose ends matter
 * (ends.h) has them asked for together with its first read, if that is at
 * one of them.
 *
 * After an error the kernel does not give up: it drops the batch and asks once
 * more, at once, for the one page that somebody waits for. To that somebody it
 * is the same read. So a read inside one that has just run into its deadline
 * fails at once, or people would wait for the time-out twice.
 *
 * A status file is served with FOPEN_DIRECT_IO from a text made at open, so
 * that a reader sees one moment, however small its reads. */
#include "fs/handle.h"

#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "fs/control.h"
#include "fs/ends.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/readop.h"
#include "fs/tree.h"
#include "net/torrent.h"

static int open_status(struct handle *h, enum node_kind kind)
{
	return kind == NODE_STATUS ? control_text(h->m, &h->text)
				   : control_json(h->m, &h->text);
}

int handle_open(struct mount *m, const struct node *n, struct handle **out)
{
	struct handle *h = mem_new(struct handle);
	int r = 0;

	ASSERT_LOOP(m->loop);
	if (h == NULL)
		return ENOMEM;
	h->m = m;
	h->shown = n->shown;
	runs_init(&h->runs);
	LIST_INSERT_HEAD(&m->handles, h, link);
	if (n->kind == NODE_FILE)
		h->file_ix = tree_file(n->ix);
	else
		r = open_status(h, n->kind);
	if (r != 0) {
		handle_close(h);
		return r;
	}
	*out = h;
	return 0;
}

void handle_close(struct handle *h TAKES)
{
	LIST_REMOVE(h, link);
	for (unsigned i = 0; i < RUNS_MAX; i++)
		cursor_close(h->cursor[i]);
	cursor_close(h->end[0]);
	cursor_close(h->end[1]);
	buf_fini(&h->text);
	mem_free(h);
}

void handle_close_all(struct mount *m)
{
	struct handle *h;

	while ((h = LIST_FIRST(&m->handles)) != NULL)
		handle_close(h);
}

const struct mi_file *handle_file(const struct handle *h)
{
	return &h->shown->mi->files[h->file_ix];
}

/* ---- read-ahead ---- */

/* The view walks the torrent's peers: not for every read. */
static const struct ahead_net *net_of(struct handle *h)
{
	uint64_t now = loop_now_us(h->m->loop);
	struct torrent_view v;

	if (h->net_us != 0 && now - h->net_us < HANDLE_NET_US)
		return &h->net;
	torrent_view(h->shown->torrent, &v);
	h->net = (struct ahead_net){
		.rate_Bps = v.down_Bps,
		.rtt_us = v.rtt_us,
		.piece_bytes = h->shown->mi->piece_bytes,
	};
	h->net_us = now;
	return &h->net;
}

/* Without memory there is no read-ahead: it is a courtesy. */
static void set_cursor(struct handle *h, struct cursor **c, uint64_t off,
		       uint64_t len)
{
	if (*c != NULL || cursor_open(h->shown->torrent, c) == 0)
		cursor_set(*c, handle_file(h)->off_bytes + off, len);
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

static void move_windows(struct handle *h, uint64_t off, uint32_t len)
{
	unsigned changed;

	if (h->runs.n_reads == 0)
		ask_for_ends(h, off);
	changed = runs_on_read(&h->runs, off, len, handle_file(h)->len_bytes,
			       net_of(h));
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (changed & 1u << i)
			set_cursor(h, &h->cursor[i],
				   h->runs.run[i].ahead.from_bytes,
				   h->runs.run[i].ahead.window_bytes);
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

/* Only whole ranges come here: a torrent never hands over less. */
static void reply_now(void *arg, int err, const struct iovec *iov,
		      unsigned n_iov)
{
	fuse_reply_iov(arg, iov, (int)n_iov);
}

static void read_file(struct handle *h, fuse_req_t req, uint64_t off,
		      uint32_t len)
{
	struct mount *m = h->m;
	int r = EAGAIN;

	if (len <= MOUNT_BUFFER_BYTES)
		r = torrent_read_now(h->shown->torrent,
				     handle_file(h)->off_bytes + off, len,
				     m->out, reply_now, req);
	if (r == 0)
		return;
	if (r == EAGAIN && !is_asked_again(h, off, len))
		readop_start(m, h, req, off, len);
	else
		fuse_reply_err(req, EIO);
}

void handle_read(struct handle *h, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes)
{
	uint64_t size;

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
	read_file(h, req, off_bytes, (uint32_t)len_bytes);
	move_windows(h, off_bytes, (uint32_t)len_bytes);
}
