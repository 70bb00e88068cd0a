/* steer_later — answers of the control socket that wait for something durable:
 * the library's word of a torrent, or the store's of keys. */
#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"
#include "fs/control_internal.h"
#include "fs/library.h"
#include "fs/mount_internal.h"
#include "fs/steer_internal.h"

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

void steer_later_done(void *arg, int err, const char *text)
{
	struct steer_later *later = arg;
	struct buf out = {0};

	later->op = NULL;
	err = say_done(later, err, text, &out);
	later->on_answer(later, err, &out);
	buf_fini(&out);
}

void steer_later_cancel(struct steer_later *later)
{
	if (later->op != NULL)
		library_cancel(later->op);
	later->op = NULL;
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
