/* watch — a directory of .torrent files.
 *
 * Happy path
 *   1. The directory is watched, and then looked through by a worker, in this
 *      order: what comes in between is seen twice rather than never.
 *   2. A worker reads and parses one file after the other, WATCH_AT_A_TIME
 *      of them; each is added to the mount. Of a name that is new it looks
 * first whether it is a link, which nobody will close.
 *
 * Failure modes: a file that is no torrent, or is gone already, is a line in
 * the log. When so much comes that the kernel drops events, the directory is
 * looked through again; what is there already is known by its hash. A
 * directory that goes is not waited for: one line in the log. */
#include "cmd/watch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cmd/folder.h"
#include "cmd/source.h"
#include "cmd/watch_internal.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "fs/library.h"

enum {
	WATCH_AT_A_TIME = 4,
	WATCH_EVENTS = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR |
		       IN_DELETE_SELF | IN_MOVE_SELF,
	EVENT_BYTES = 16 << 10,
};

STAILQ_HEAD(watch_files, watch_file);

struct watch {
	struct watch_cfg cfg;
	char *dir;
	int fd;
	struct loop_io *io;
	struct watch_files waiting, reading;
	unsigned n_reading;
	bool is_settled; /* on_settled was called */
	struct loop_task look;
};

static void begin(struct watch *w);

static void file_free(struct watch_file *f)
{
	source_free(&f->src);
	watch_names_free(f->names);
	mem_free(f);
}

static void put(struct watch *w, const char *path, enum watch_what what)
{
	size_t len = strlen(path) + 1;
	struct watch_file *f = mem_zalloc(1, sizeof(*f) + len);

	if (!f) {
		log_warn("%s: %s", path, err_text(ENOMEM));
		return;
	}
	f->w = w;
	f->what = what;
	memcpy(f->path, path, len);
	STAILQ_INSERT_TAIL(&w->waiting, f, link);
}

static void on_added(void *arg, int err, const char *text)
{
	if (err && err != EEXIST)
		log_err("a torrent of a watched directory is not added: %s",
			text);
}

static void take(struct watch *w, struct watch_file *f)
{
	if (f->err) {
		log_warn("%s", f->why[0] != '\0' ? f->why : err_text(f->err));
	} else if (f->what == WATCH_SCAN) {
		for (size_t i = 0; i < f->names->n; i++)
			put(w, f->names->path[i], WATCH_WRITTEN);
	} else if (f->src.mi) {
		int r = library_add(w->cfg.mount, &f->src, RECORD_BY_WATCH,
				    on_added, NULL, NULL);

		if (r)
			log_err("%s: %s", f->path, err_text(r));
	}
}

static void on_read(struct job *job)
{
	struct watch_file *f = CONTAINER_OF(job, struct watch_file, job);
	struct watch *w = f->w;

	if (w) {
		STAILQ_REMOVE(&w->reading, f, watch_file, link);
		w->n_reading--;
		take(w, f);
		loop_defer(w->cfg.loop, &w->look);
	}
	file_free(f);
}

static void begin(struct watch *w)
{
	struct watch_file *f;

	while (w->n_reading < WATCH_AT_A_TIME &&
	       (f = STAILQ_FIRST(&w->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->waiting, link);
		STAILQ_INSERT_TAIL(&w->reading, f, link);
		w->n_reading++;
		f->job = (struct job){.run = watch_job_read, .done = on_read};
		workers_submit(w->cfg.workers, &f->job);
	}
}

static void on_look(void *arg)
{
	struct watch *w = arg;

	begin(w);
	if (w->n_reading > 0 || w->is_settled)
		return;
	w->is_settled = true;
	w->cfg.on_settled(w->cfg.arg);
}

static void on_event(struct watch *w, const struct inotify_event *e)
{
	char path[PATH_MAX];

	if (e->mask & IN_Q_OVERFLOW) {
		put(w, w->dir, WATCH_SCAN);
	} else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
		/* Where it is now its files have other paths. */
		(void)inotify_rm_watch(w->fd, e->wd);
		log_warn("%s is not watched any more: it has gone", w->dir);
	} else if (e->len > 0 && !(e->mask & IN_ISDIR) &&
		   folder_names_torrent(e->name) &&
		   snprintf(path, sizeof(path), "%s/%s", w->dir, e->name) <
			   PATH_MAX) {
		put(w, path, e->mask & IN_CREATE ? WATCH_NAMED : WATCH_WRITTEN);
	}
}

static void on_io(void *arg, int fd, unsigned events)
{
	struct watch *w = arg;
	_Alignas(struct inotify_event) char data[EVENT_BYTES];
	ssize_t n = read(fd, data, sizeof(data));

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(data + at);

		on_event(w, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	begin(w);
}

static int open_watch(struct watch *w)
{
	int r;

	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0 || inotify_add_watch(w->fd, w->dir, WATCH_EVENTS) < 0)
		return errno;
	r = loop_io_new(w->cfg.loop, w->fd, on_io, w, &w->io);
	return r ? r : loop_io_want(w->io, LOOP_READ);
}

int watch_new(const struct watch_cfg *cfg, struct watch **out,
	      char why[WHY_BYTES])
{
	struct watch *w = mem_new(struct watch);
	int r = ENOMEM;

	if (w) {
		w->cfg = *cfg;
		w->fd = -1;
		STAILQ_INIT(&w->waiting);
		STAILQ_INIT(&w->reading);
		loop_task_init(&w->look, on_look, w);
		w->dir = mem_strdup(cfg->dir);
		r = w->dir ? open_watch(w) : ENOMEM;
	}
	if (r) {
		(void)snprintf(why, WHY_BYTES, "%.300s cannot be watched: %s",
			       cfg->dir, err_text(r));
		watch_free(w);
		return r;
	}
	put(w, w->dir, WATCH_SCAN);
	loop_defer(w->cfg.loop, &w->look);
	*out = w;
	return 0;
}

void watch_free(struct watch *w)
{
	struct watch_file *f;

	if (!w)
		return;
	STAILQ_FOREACH (f, &w->reading, link)
		f->w = NULL;
	while ((f = STAILQ_FIRST(&w->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->waiting, link);
		file_free(f);
	}
	loop_task_cancel(w->cfg.loop, &w->look);
	loop_io_free(w->io);
	if (w->fd >= 0)
		(void)close(w->fd);
	mem_free(w->dir);
	mem_free(w);
}
