/* steer_later — answers of the control socket that wait for something durable:
 * the library's word of a torrent, the store's of a directory that it is lent,
 * or of keys. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/torrent_id.h"
#include "fs/control_internal.h"
#include "fs/keeper.h"
#include "fs/library.h"
#include "fs/mount_internal.h"
#include "fs/steer_internal.h"
#include "fs/steer_request.h"

static int say_done(const struct steer_later *later, int err, const char *text,
		    struct buf *out)
{
	struct control_json o = {0};
	json_t *j;
	int r;

	if (err != 0 && (err != EEXIST || later->is_removal))
		return steer_refuse(text, out);
	j = json_object();
	control_put(&o, j, "ok", json_true());
	control_put(&o, j, "torrent", control_text_value(text));
	if (!later->is_removal)
		control_put(&o, j, "was_there", json_boolean(err == EEXIST));
	r = control_json_dump(&o, j, JSON_COMPACT, out);
	json_decref(j);
	return r;
}

static void answer(struct steer_later *later, int err, const char *text)
{
	struct buf out = {0};

	err = say_done(later, err, text, &out);
	later->on_answer(later, err, &out);
	buf_fini(&out);
}

/* ---- a directory with the torrent's files ---- */

/* Lives until the keeper has answered, whoever still waits for that. */
struct steer_lend {
	struct steer_later *later; /* NULL: nobody waits any more */
	struct mount *m;
	int fd;
	int err;    /* what is to be answered … */
	char *text; /* … if it works */
	bool is_asked;
	char dir[];
};

static void lend_free(struct steer_lend *ld)
{
	if (ld->later != NULL)
		ld->later->lend = NULL;
	if (ld->fd >= 0)
		(void)close(ld->fd);
	mem_free(ld->text);
	mem_free(ld);
}

int steer_later_lend(struct steer_later *later, struct mount *m,
		     const struct steer_request *r)
{
	size_t len = strlen(r->data);
	struct steer_lend *ld = mem_zalloc(1, sizeof(*ld) + len + 1);

	if (ld == NULL)
		return ENOMEM;
	ld->fd = fcntl(r->data_fd, F_DUPFD_CLOEXEC, 0);
	ld->later = later;
	ld->m = m;
	memcpy(ld->dir, r->data, len);
	later->lend = ld;
	return 0;
}

void steer_later_unlend(struct steer_later *later)
{
	struct steer_lend *ld = later->lend;

	later->lend = NULL;
	if (ld == NULL)
		return;
	ld->later = NULL;
	if (!ld->is_asked)
		lend_free(ld);
}

static void on_lent(void *arg, int err)
{
	struct steer_lend *ld = arg;
	struct steer_later *later = ld->later;
	char *text = ld->text;

	if (err == 0)
		err = ld->err;
	ld->text = NULL;
	lend_free(ld);
	if (later != NULL)
		answer(later, err, text);
	mem_free(text);
}

/* The torrent is there, `err` says since when. */
static void lend(struct steer_lend *ld, const struct torrent_id *id, int err,
		 const char *text)
{
	const struct keeper *k = ld->m->keeper;
	struct steer_later *later = ld->later;
	int r = ENOMEM, fd = ld->fd;

	ld->err = err;
	ld->text = mem_strdup(text);
	if (ld->text != NULL && fd >= 0) {
		ld->fd = -1;
		r = k->lend(k->ctx, id, ld->dir, fd, on_lent, ld);
	}
	ld->is_asked = r == 0;
	if (r == 0)
		return;
	lend_free(ld);
	answer(later, r,
	       r == EBUSY ? "it is there, and has another directory already"
			  : err_text(r));
}

void steer_later_done(void *arg, int err, const char *text)
{
	struct steer_later *later = arg;
	const struct library_op *op = later->op;

	later->op = NULL;
	if (later->lend != NULL && op != NULL && (err == 0 || err == EEXIST))
		lend(later->lend, library_op_id(op), err, text);
	else
		answer(later, err, text);
}

void steer_later_cancel(struct steer_later *later)
{
	if (later->op != NULL)
		library_cancel(later->op);
	later->op = NULL;
	steer_later_unlend(later);
	signpost_settle_cancel(&later->wait);
}

static void on_settled(void *arg, int err)
{
	struct steer_later *later = arg;

	if (err != 0)
		steer_later_done(later, err, err_text(err));
	else
		steer_later_done(later, later->was_there ? EEXIST : 0,
				 later->key);
}

int steer_later_settle(struct steer_later *later, struct mount *m,
		       const struct btpk *b)
{
	later->wait.done = on_settled;
	later->wait.arg = later;
	(void)btpk_name(b, later->key);
	return signpost_settle(m->engine, &later->wait);
}
