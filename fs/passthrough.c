/* passthrough — opens of twins, and the numbers of their blobs.
 *
 *   ASKING ──a blob, and the kernel takes it──> THROUGH
 *     └──────none, or it does not─────────────> CACHED
 *
 * Words. Twin: the second node number of a file, under which it was looked up
 * when all of it was held. Record: a twin that is open, or about to be.
 *
 * The kernel's rules, all of which it answers with EIO to the person who opens
 * the file: all opens of an inode at one time are cached, or all of them
 * pass through, and then to the same number. So the record decides once, at the
 * first open, and all others get the same until the last one is closed. The
 * number is given back then and not earlier: an opener may not have come to
 * take it yet.
 *
 * A file that is not whole any more, while it is open THROUGH, can be opened
 * THROUGH all the same: its blob was whole, and what the kernel holds of it
 * stays so (store_blob).
 *
 * Failure modes: whatever fails means CACHED, which always works. EPERM once
 * means never again: the right does not come by itself.
 *
 * Every open of a twin is noted before the kernel has its answer (notes.h), so
 * that a successor goes on as if it had given it.
 *
 * The blob comes by a worker. A mount that ends meanwhile leaves the record to
 * on_blob, as an orphan. */
#include "fs/passthrough.h"

#include <unistd.h>

#include "core/err.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/queue.h"
#include "fs/device.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/mount_internal.h"
#include "fs/node.h"
#include "fs/notes.h"
#include "net/torrent.h"

enum state { ASKING, THROUGH, CACHED };

/* An OPEN that waits. */
struct opening {
	STAILQ_ENTRY(opening) link;
	fuse_req_t req;
	struct handle *h;
};

STAILQ_HEAD(openings, opening);

struct twin {
	struct mount *m; /* NULL: an orphan */
	uint64_t number;
	enum state state;
	int32_t id;	  /* THROUGH: the kernel's number of the blob */
	unsigned n_opens; /* answered, and not released yet */
	struct openings waiting;
};

bool passthrough_wants(const struct mount *m, const struct node *n)
{
	return m->passthrough_state == PASSTHROUGH_ON && n->kind == NODE_FILE &&
	       node_is_whole(n);
}

/* ---- records ---- */

static struct twin *twin_new(struct mount *m, uint64_t number)
{
	struct twin *rec = mem_new(struct twin);

	if (rec == NULL)
		return NULL;
	rec->m = m;
	rec->number = number;
	STAILQ_INIT(&rec->waiting);
	if (hmap_put(m->twins, &number, rec) != 0) {
		mem_free(rec);
		return NULL;
	}
	return rec;
}

static void twin_free(struct twin *rec)
{
	if (rec->state == THROUGH) {
		device_backing_close(rec->m, rec->id);
		rec->m->n_through--;
	}
	hmap_del(rec->m->twins, &rec->number);
	mem_free(rec);
}

static void drop_open(struct twin *rec)
{
	if (--rec->n_opens == 0)
		twin_free(rec);
}

void passthrough_release(struct mount *m, uint64_t number)
{
	struct twin *rec = hmap_get(m->twins, &number);

	if (rec != NULL)
		drop_open(rec);
}

/* ---- replies ---- */

/* The opener may have been killed: then no RELEASE comes. */
static void reply(struct twin *rec, fuse_req_t req TAKES,
		  struct handle *h TAKES)
{
	struct fuse_file_info fi = {.fh = h->fh, .keep_cache = 1};
	struct notes_open note = {
		.fh = h->fh,
		.number = rec->number,
		.id = rec->state == THROUGH ? rec->id : 0,
	};
	int r;

	rec->n_opens++;
	h->note = notes_add(rec->m->notes, &note);
	if (h->note == NOTES_NONE) {
		fuse_reply_err(req, ENFILE);
		handle_close(h);
		drop_open(rec);
		return;
	}
	r = rec->state == THROUGH ? device_reply_open(req, fi.fh, rec->id)
				  : fuse_reply_open(req, &fi);
	if (r != -ENOENT)
		return;
	handle_close(h);
	drop_open(rec);
}

static void reply_all(struct twin *rec)
{
	struct opening *o;

	rec->n_opens++; /* it lives until the last one is answered */
	while ((o = STAILQ_FIRST(&rec->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&rec->waiting, link);
		reply(rec, o->req, o->h);
		mem_free(o);
	}
	drop_open(rec);
}

/* ---- the blob ---- */

static int take_blob(struct twin *rec, int fd)
{
	struct mount *m = rec->m;
	int r = device_backing_open(m, fd, &rec->id);

	if (r == EPERM && m->passthrough_state == PASSTHROUGH_ON) {
		m->passthrough_state = PASSTHROUGH_REFUSED;
		log_info("whole files are read through the daemon: the kernel "
			 "reads them by itself only for who has CAP_SYS_ADMIN");
	} else if (r != 0 && r != EPERM) {
		log_debug("passthrough: %s", err_text(r));
	}
	return r;
}

static void on_blob(void *arg, int err, int fd TAKES)
{
	struct twin *rec = arg;

	if (rec->m == NULL) {
		mem_free(rec);
	} else {
		if (err == 0)
			err = take_blob(rec, fd);
		rec->state = err == 0 ? THROUGH : CACHED;
		if (rec->state == THROUGH)
			rec->m->n_through++;
		reply_all(rec);
	}
	if (fd >= 0)
		close(fd);
}

static void ask(struct twin *rec, const struct handle *h)
{
	if (rec->m->passthrough_state != PASSTHROUGH_ON ||
	    !warmth_is_ready(h->shown) ||
	    torrent_file_blob(h->shown->torrent, h->file_ix, on_blob, rec) != 0)
		rec->state = CACHED;
}

static int park(struct twin *rec, fuse_req_t req, struct handle *h)
{
	struct opening *o = mem_new(struct opening);

	if (o == NULL)
		return ENOMEM;
	o->req = req;
	o->h = h;
	STAILQ_INSERT_TAIL(&rec->waiting, o, link);
	return 0;
}

void passthrough_open(struct mount *m, fuse_req_t req TAKES,
		      struct handle *h TAKES)
{
	uint64_t number = handle_number(h);
	struct twin *rec = hmap_get(m->twins, &number);
	int r = 0;

	ASSERT_LOOP(m->loop);
	if (rec == NULL) {
		rec = twin_new(m, number);
		if (rec != NULL)
			ask(rec, h);
	}
	if (rec == NULL)
		r = ENOMEM;
	else if (rec->state != ASKING)
		reply(rec, req, h);
	else
		r = park(rec, req, h);
	if (r != 0) {
		handle_close(h);
		fuse_reply_err(req, r);
	}
}

/* ---- succession ---- */

static void restore(struct mount *m, const struct notes_open *o, int32_t note)
{
	struct twin *rec = hmap_get(m->twins, &o->number);

	if (rec == NULL) {
		rec = twin_new(m, o->number);
		if (rec == NULL)
			return; /* its opens fail with EIO, until the last */
		rec->state = o->id != 0 ? THROUGH : CACHED;
		rec->id = o->id;
		m->n_through += rec->state == THROUGH;
	}
	if (handle_adopt_note(m, o->number, o->fh, note) == 0)
		rec->n_opens++;
	else
		log_warn("no memory for a file that is open");
}

void passthrough_restore(struct mount *m)
{
	struct notes_open o;
	int32_t note;

	for (note = notes_next(m->notes, 0, &o); note != NOTES_NONE;
	     note = notes_next(m->notes, note + 1, &o))
		restore(m, &o, note);
}

/* ---- the end ---- */

void passthrough_end_all(struct mount *m)
{
	struct twin *rec;
	struct opening *o;
	size_t pos = 0;

	while ((rec = hmap_next(m->twins, &pos)) != NULL) {
		while ((o = STAILQ_FIRST(&rec->waiting)) != NULL) {
			STAILQ_REMOVE_HEAD(&rec->waiting, link);
			fuse_reply_err(o->req, EIO); /* `h`: the mount's */
			mem_free(o);
		}
		hmap_del(m->twins, &rec->number);
		pos = 0;
		if (rec->state == ASKING)
			rec->m = NULL;
		else
			mem_free(rec);
	}
}

/* ---- status ---- */

unsigned passthrough_count(const struct mount *m)
{
	return m->n_through;
}

const char *passthrough_text(const struct mount *m)
{
	switch (m->passthrough_state) {
	case PASSTHROUGH_ON:
		return "on";
	case PASSTHROUGH_REFUSED:
		return "off: it takes CAP_SYS_ADMIN";
	case PASSTHROUGH_UNWANTED:
		return "off: nopassthrough";
	case PASSTHROUGH_OLD:
		break;
	}
	return "off: it takes Linux 6.9";
}
