/* leave — a torrent leaves the engine, and somebody wants to know when the
 * store has let go of it, or has forgotten it: jobs go on after engine_remove,
 * and until they are through the store refuses to open or to remove it.
 *
 *   CLOSING ──the store's handle is closed──► FORGETTING ──► told
 *
 * Failure modes: the store cannot remove: `done` has the error, and the data
 * stays. The engine is freed first: nobody is told (its owner has cancelled),
 * and what is not removed then stays. */
#include "cache/store.h"
#include "core/err.h"
#include "core/mem.h"
#include "net/engine_internal.h"
#include "net/torrent_internal.h"

struct engine_leave {
	struct engine *e;
	struct torrent_id id;
	enum engine_data data;
	bool is_closed;
	engine_left_fn *done; /* NULL: nobody */
	void *arg;
	struct loop_task task;
	int err;
};

static void tell(void *arg)
{
	struct engine_leave *l = arg;

	if (l->done != NULL)
		l->done(l->arg, l->err);
	mem_free(l);
}

static void on_removed(void *arg, int err)
{
	struct engine_leave *l = arg;

	l->err = err;
	tell(l);
}

void engine_on_closed(struct engine_leave *l)
{
	l->is_closed = true;
	if (l->e->is_freed)
		l->err = ESHUTDOWN;
	else if (l->data == ENGINE_FORGET_DATA)
		l->err = store_remove(l->e->cfg.store, &l->id, on_removed, l);
	if (l->err == 0 && l->data == ENGINE_FORGET_DATA)
		return;
	if (l->done == NULL)
		mem_free(l);
	else
		loop_defer(l->e->cfg.loop, &l->task);
}

int engine_leave(struct engine *e, struct torrent *t TAKES,
		 const struct torrent_id *id, enum engine_data data,
		 engine_left_fn *done, void *arg, struct engine_leave **out)
{
	struct engine_leave *l = mem_new(struct engine_leave);
	bool is_open = false;

	if (l == NULL)
		return ENOMEM;
	l->e = e;
	l->id = *id;
	l->data = data;
	l->done = done;
	l->arg = arg;
	loop_task_init(&l->task, tell, l);
	if (t != NULL) {
		is_open = torrent_tell_closed(t, l);
		t->is_asleep = data == ENGINE_SLEEP_DATA;
		engine_remove(e, t);
	}
	*out = l;
	if (!is_open)
		engine_on_closed(l);
	return 0;
}

void engine_leave_forget(struct engine_leave *l, engine_left_fn *done,
			 void *arg)
{
	l->data = ENGINE_FORGET_DATA;
	l->done = done;
	l->arg = arg;
	if (!l->is_closed)
		return;
	loop_task_cancel(l->e->cfg.loop, &l->task);
	engine_on_closed(l);
}

void engine_leave_cancel(struct engine_leave *l)
{
	l->done = NULL;
	if (!l->task.queued)
		return;
	loop_task_cancel(l->e->cfg.loop, &l->task);
	mem_free(l);
}
