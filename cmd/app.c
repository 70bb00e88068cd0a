/* app — the life of a mount.
 *
 * Happy path:
 *   1. app_run builds the stack, mounts, and adds the sources.
 *   2. The kernel's INIT is answered and every source is READY, or `wait` is
 *      over: the command returns to the shell.
 *   3. A signal or an unmount: app_stop. Reads end with an error and the mount
 *      goes, while the engine tells the trackers; each has its own limit, and
 *      APP_STOP_MS bounds them both.
 *   4. The stack is torn down top down, before its deadline at most.
 *
 * Failure modes: whatever fails while STARTING goes to the shell with one line
 * and ends the program, with nothing left mounted. A source that fails while
 * RUNNING (metadata that a peer sent is malformed) is one line in the log. A
 * second signal while STOPPING ends the process on the spot; the mount is
 * gone by then, and the store is safe at any moment.
 *
 * A mount that the kernel ended by itself, while nobody asked for it, counts
 * as a failure: a supervisor should start it again. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/app.h"
#include "cmd/door.h"
#include "cmd/follow.h"
#include "cmd/keep.h"
#include "cmd/place.h"
#include "cmd/sandbox.h"
#include "cmd/source.h"
#include "cmd/stack.h"
#include "cmd/watch.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "fs/library.h"
#include "fs/mount.h"
#include "fs/steer.h"

enum {
	APP_TELL_MS = 1500, /* for trackers to hear of our leaving */
	APP_STOP_MS = 2500,
	APP_LOOKUP_WAIT_MS = 18000,
	APP_SIGNALS = 3,
	/* Ours and the holder's, when a whole group is told to end. */
	APP_SIGNAL_TWICE_US = 300000,
	/* A successor's torrents are in the store; what is not there by then
	 * was not shown before either. */
	APP_RESUME_MS = 5000,
};

enum app_state { APP_STARTING, APP_RUNNING, APP_STOPPING };

struct app {
	const struct app_cfg *cfg;
	struct stack stack;
	struct keep keep; /* keeper's */
	struct keeper keeper;
	struct mount *mount;
	struct watch **watches; /* of cfg->n_folders */
	struct steer *steer;	/* NULL: it could not be made */
	char store[PATH_MAX];	/* its directory; empty: in memory */
	char control[PATH_MAX]; /* the socket's, if not in the store; or empty
				 */
	char sandbox[SANDBOX_TEXT_BYTES];
	struct loop_signal *sig[APP_SIGNALS]; /* NULL: ignored */
	struct loop_timer *timer; /* `wait` while STARTING, then the limit */
	enum app_state state;
	enum exits code;
	unsigned n_adding;    /* sources that are being added */
	struct follow follow; /* keys */
	bool is_up;	      /* the kernel talks to us */
	bool is_serving;
	uint64_t signal_us; /* the last one; 0: none */
	bool mount_over, engine_over;
};

/* ---- the end ---- */

static void end_if_over(struct app *a)
{
	if (a->mount_over && a->engine_over)
		loop_stop(a->stack.loop);
}

static void app_on_engine_over(void *arg)
{
	struct app *a = arg;

	a->engine_over = true;
	end_if_over(a);
}

static void app_stop(struct app *a, enum exits code)
{
	if (a->state == APP_STOPPING)
		return;
	a->state = APP_STOPPING;
	a->code = code;
	loop_timer_start(a->timer, APP_STOP_MS * UINT64_C(1000));
	mount_stop(a->mount);
	engine_stop(a->stack.engine, APP_TELL_MS, app_on_engine_over, a);
}

static void app_fail(struct app *a, enum exits code, const char *why)
{
	if (a->state == APP_STARTING)
		daemon_report(a->cfg->daemon, a->cfg->program, code, why);
	else
		log_err("%s", why);
	app_stop(a, code);
}

static void app_on_signal(void *arg, int signo)
{
	struct app *a = arg;
	uint64_t now = loop_now_us(a->stack.loop);
	bool is_again =
		a->signal_us != 0 && now - a->signal_us < APP_SIGNAL_TWICE_US;

	a->signal_us = now;
	if (is_again)
		return;
	if (a->state == APP_STOPPING) {
		log_warn("second signal: leaving at once");
		_exit(EXITS_INTERRUPTED);
	}
	log_info("%s: stopping", strsignal(signo));
	/* Who started us waits for more than that the mount answers. */
	if (a->state == APP_STARTING)
		daemon_report(a->cfg->daemon, a->cfg->program,
			      EXITS_INTERRUPTED, "interrupted");
	app_stop(a, a->is_up ? EXITS_OK : EXITS_INTERRUPTED);
}

static void app_on_mount_end(void *arg, enum mount_end why)
{
	struct app *a = arg;

	a->mount_over = true;
	switch (why) {
	case MOUNT_END_STOPPED:
		break;
	case MOUNT_END_UNMOUNTED:
		log_info("unmounted: stopping");
		if (a->state == APP_STARTING)
			app_fail(a, EXITS_INTERRUPTED,
				 "unmounted before it was ready");
		else
			app_stop(a, EXITS_OK);
		break;
	case MOUNT_END_ABORTED:
		app_fail(a, EXITS_SYSTEM, "the kernel cut the connection");
		break;
	}
	end_if_over(a);
}

/* ---- the start ---- */

static void app_on_up(void *arg);

/* A successor waits for its torrents: the kernel has numbers of theirs, and
 * would be told that they stand for nothing. */
static void serve_if_ready(struct app *a, bool is_late)
{
	int r;

	if (a->is_serving || a->state != APP_STARTING ||
	    (!a->cfg->held->is_first && !is_late &&
	     (a->n_adding > 0 || library_n_opening(a->mount) > 0)))
		return;
	a->is_serving = true;
	r = mount_serve(a->mount, app_on_up, a);
	if (r)
		app_fail(a, EXITS_SYSTEM, err_text(r));
}

static void run_if_ready(struct app *a, bool is_late)
{
	char text[WHY_BYTES] = "";
	unsigned n = library_n_wishes(a->mount) + a->follow.n_keys;

	if (a->state != APP_STARTING || !a->is_up)
		return;
	if (!is_late && (a->n_adding + a->follow.n_adding > 0 ||
			 library_n_opening(a->mount) > 0 ||
			 (n > 0 && a->cfg->n_sources > 0)))
		return;
	if (n > 0 && a->cfg->n_sources > 0)
		(void)snprintf(text, sizeof(text),
			       "mounted; still looking for the metadata of %u "
			       "torrent%s",
			       n, n == 1 ? "" : "s");
	a->state = APP_RUNNING;
	loop_timer_stop(a->timer);
	daemon_report(a->cfg->daemon, a->cfg->program, EXITS_OK, text);
	holder_on_up(a->cfg->held);
	log_info("%s is up, port %u", a->cfg->mountpoint,
		 engine_port(a->stack.engine));
}

/* Something that the start waits for has come, or will not. */
static void go_on(struct app *a, bool is_late)
{
	serve_if_ready(a, is_late);
	run_if_ready(a, is_late);
}

static void app_on_follow(void *arg)
{
	run_if_ready(arg, false);
}

static void app_on_timer(void *arg)
{
	struct app *a = arg;

	if (a->state == APP_STARTING) {
		go_on(a, true);
		return;
	}
	log_warn("something does not end; leaving without it");
	loop_stop(a->stack.loop);
}

/* Without a holder (-d) it is us who detach the mount: no sandbox. */
static void lock_in(struct app *a)
{
	const char *written[] = {a->store, a->control};
	const struct sandbox_cfg cfg = {
		.written = written,
		.n_written = 2,
		.read = (const char *const *)a->cfg->folders,
		.n_read = a->cfg->n_folders,
		.seccomp = a->cfg->options->seccomp,
		.pools = {a->stack.workers, a->stack.thread, a->stack.names},
	};
	int r;

	if (a->cfg->options->no_sandbox || a->cfg->held->line < 0)
		return;
	r = sandbox_enter(&cfg, a->sandbox);
	if (r)
		log_warn("no sandbox: %s", err_text(r));
	mount_set_sandbox(a->mount, a->sandbox);
}

static void app_on_up(void *arg)
{
	struct app *a = arg;

	lock_in(a);
	a->is_up = true;
	run_if_ready(a, a->cfg->options->wait_s == 0);
}

static void app_on_ready(void *arg, struct torrent *t)
{
	struct app *a = arg;
	char why[WHY_BYTES];
	int r = mount_on_ready(a->mount, t);

	if (r) {
		(void)snprintf(why, sizeof(why), "%.160s: cannot be shown: %s",
			       torrent_name(t), err_text(r));
		if (a->state == APP_STARTING)
			app_fail(a, EXITS_SYSTEM, why);
		else
			log_err("%s", why);
		return;
	}
	if (torrent_user(t)) /* and was not there for its name only */
		log_info("%s is there", torrent_name(t));
	go_on(a, false);
}

static void app_on_failed(void *arg, struct torrent *t)
{
	struct app *a = arg;
	char why[WHY_BYTES];

	(void)snprintf(why, sizeof(why), "%.90s: %.150s", torrent_name(t),
		       torrent_why(t));
	mount_on_failed(a->mount, t);
	if (torrent_is_guest(t))
		return;
	if (a->state == APP_STARTING && a->cfg->n_sources > 0)
		app_fail(a, EXITS_MOUNT, why);
	else
		log_err("%s", why);
}

static void app_on_added(void *arg, int err, const char *text)
{
	struct app *a = arg;
	char why[WHY_BYTES];

	a->n_adding--;
	if (err && err != EEXIST) { /* named twice, or remembered */
		(void)snprintf(why, sizeof(why), "cannot add: %.200s", text);
		app_fail(a, EXITS_SYSTEM, why);
		return;
	}
	go_on(a, false);
}

static void app_on_signpost(void *arg, struct signpost *s)
{
	struct app *a = arg;

	mount_on_signpost(a->mount, s);
	follow_on_signpost(&a->follow, s);
}

static bool app_on_asked(void *arg, const uint8_t hash[20])
{
	struct app *a = arg;

	return a->mount != NULL && mount_on_asked(a->mount, hash);
}

static const struct engine_ops app_engine_ops = {
	.on_ready = app_on_ready,
	.on_failed = app_on_failed,
	.on_asked = app_on_asked,
	.on_signpost = app_on_signpost,
};

/* A magnet link may name a key, a torrent, or both. */
static int add_source(struct app *a, struct library_source *src)
{
	int r = follow_key(&a->follow, a->stack.engine, src->magnet);

	if (r || (src->magnet && !magnet_names_torrent(src->magnet))) {
		source_free(src);
		return r;
	}
	r = library_add(a->mount, src, RECORD_BY_COMMAND, app_on_added, a,
			NULL);
	if (!r)
		a->n_adding++;
	return r;
}

static int add_sources(struct app *a, char why[WHY_BYTES])
{
	int r;

	a->follow.mount = a->mount;
	a->follow.on_change = app_on_follow;
	a->follow.arg = a;

	for (unsigned i = 0; i < a->cfg->n_sources; i++) {
		r = add_source(a, &a->cfg->sources[i]);
		if (r) {
			(void)snprintf(why, WHY_BYTES, "cannot add: %s",
				       err_text(r));
			return r;
		}
	}
	return 0;
}

static void app_on_folder(void *arg)
{
	struct app *a = arg;

	a->n_adding--;
	go_on(a, false);
}

static int watch_folders(struct app *a, char why[WHY_BYTES])
{
	struct watch_cfg cfg = {
		.loop = a->stack.loop,
		.workers = a->stack.workers,
		.mount = a->mount,
		.on_settled = app_on_folder,
		.arg = a,
	};
	int r = 0;

	a->watches = mem_zalloc(a->cfg->n_folders + 1, sizeof(*a->watches));
	if (!a->watches)
		return ENOMEM;
	for (unsigned i = 0; !r && i < a->cfg->n_folders; i++) {
		cfg.dir = a->cfg->folders[i];
		r = watch_new(&cfg, &a->watches[i], why);
		a->n_adding += r == 0; /* until it has been looked through */
	}
	return r;
}

static int open_store(struct app *a, char why[WHY_BYTES])
{
	const struct options *o = a->cfg->options;
	struct stack_room room = {o->quota_bytes, o->min_free_bytes,
				  door_of(a->cfg->held)};
	int r;

	if (o->store_mem_bytes > 0)
		return stack_store_mem(&a->stack, o->store_mem_bytes);
	if (o->store) {
		(void)snprintf(a->store, sizeof(a->store), "%s", o->store);
	} else if ((r = place_store(a->cfg->mountpoint, a->store)) != 0) {
		(void)snprintf(why, WHY_BYTES,
			       "no place for the store: name one with "
			       "-o store=DIR");
		return r;
	}
	r = stack_store_disk(&a->stack, a->store, &room, why);
	if (!r)
		r = stack_ledger(&a->stack, a->store, why);
	a->keep = (struct keep){a->stack.ledger, a->stack.store,
				a->stack.workers};
	if (!r)
		a->keeper = keep_with(&a->keep);
	return r;
}

static int open_engine(struct app *a, char why[WHY_BYTES])
{
	struct stack_net net = stack_net_of(a->cfg->options);

	return stack_engine(&a->stack, &net, &app_engine_ops, a, why);
}

static void app_on_detach(void *arg)
{
	holder_on_end(((struct app *)arg)->cfg->held);
}

static int open_mount(struct app *a, char why[WHY_BYTES])
{
	const struct options *o = a->cfg->options;
	struct mount_cfg cfg = {
		.loop = a->stack.loop,
		.engine = a->stack.engine,
		.keeper = a->stack.ledger ? &a->keeper : NULL,
		.is_ro = o->is_ro,
		.mountpoint = a->cfg->mountpoint,
		.fuse_options = (const char *)o->fuse.data,
		.uid = o->uid,
		.gid = o->gid,
		.umask = o->umask,
		.debug = o->debug,
		.no_passthrough = o->no_passthrough,
		.no_latency = o->no_latency,
		.read_timeout_ms = o->read_timeout_s * 1000,
		.lookup_wait_ms = APP_LOOKUP_WAIT_MS,
		.on_end = app_on_mount_end,
		.arg = a,
	};
	const struct mount_held held = {
		.fuse_fd = a->cfg->held->fuse_fd,
		.notes_fd = a->cfg->held->notes_fd,
		.on_detach = app_on_detach,
	};
	char text[160] = "";
	int r;

	if (a->cfg->held->line >= 0)
		cfg.held = &held;
	r = mount_new(&cfg, &a->mount, text);
	if (!r && a->cfg->held->is_first)
		holder_on_mounted(a->cfg->held, mount_fd(a->mount));

	if (r)
		(void)snprintf(why, WHY_BYTES, "%.100s: %s", a->cfg->mountpoint,
			       text[0] ? text : err_text(r));
	return r;
}

/* The mount works without it: a failure is a line in the log. In the store,
 * which is ours alone and locked; if that cannot hold a socket, or is in
 * memory, where programs of this kind keep theirs. */
static void open_control(struct app *a)
{
	char name[NAME_MAX + 1];
	int r = ENOENT;

	if (a->store[0] != '\0')
		r = steer_open(a->mount, a->store, "control", &a->steer);
	if (r)
		r = place_control(a->cfg->mountpoint, a->control, name);
	if (!r && !a->steer)
		r = steer_open(a->mount, a->control, name, &a->steer);
	if (!a->steer)
		log_warn("no control socket, so shoalctl can only show the "
			 "status: %s",
			 err_text(r));
}

static int watch_signals(struct app *a)
{
	static const int signals[APP_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	r = loop_timer_new(a->stack.loop, app_on_timer, a, &a->timer);
	for (unsigned i = 0; r == 0 && i < APP_SIGNALS; i++)
		if (signals[i] != SIGHUP || !daemon_is_ignored(SIGHUP))
			r = loop_signal_new(a->stack.loop, signals[i],
					    app_on_signal, a, &a->sig[i]);
	return r;
}

/* The exit code for what failed; `why` has the line, or gets one. */
static enum exits app_open(struct app *a, char why[WHY_BYTES])
{
	enum exits code = EXITS_SYSTEM;
	int r;

	r = stack_init(&a->stack);
	if (!r)
		r = watch_signals(a);
	if (!r)
		r = open_store(a, why);
	if (!r)
		r = open_engine(a, why);
	if (!r) {
		r = open_mount(a, why);
		code = EXITS_MOUNT;
	}
	if (!r)
		open_control(a);
	if (!r)
		r = add_sources(a, why);
	if (!r)
		r = watch_folders(a, why);
	if (!r)
		serve_if_ready(a, false);
	if (r && why[0] == '\0')
		(void)snprintf(why, WHY_BYTES, "%s", err_text(r));
	return r ? code : EXITS_OK;
}

static enum exits app_close(struct app *a)
{
	stack_deadline(&a->stack, EXITS_SYSTEM);
	for (unsigned i = 0; a->watches && i < a->cfg->n_folders; i++)
		watch_free(a->watches[i]);
	mem_free(a->watches);
	follow_fini(&a->follow);
	steer_free(a->steer);
	mount_free(a->mount);
	loop_timer_free(a->timer);
	for (unsigned i = 0; i < APP_SIGNALS; i++)
		loop_signal_free(a->sig[i]);
	stack_fini(&a->stack);
	return a->code;
}

static void run_loop(struct app *a)
{
	if (loop_run(a->stack.loop) != 0) {
		log_err("the event loop failed");
		a->code = EXITS_INTERNAL;
	}
}

enum exits app_run(const struct app_cfg *cfg)
{
	struct app a = {.cfg = cfg};
	char why[WHY_BYTES] = "";
	enum exits code;

	(void)umask(077);
	sandbox_raise_limits();
	code = app_open(&a, why);
	if (code != EXITS_OK) {
		daemon_report(cfg->daemon, cfg->program, code, why);
		a.code = code;
		a.state = APP_STOPPING;
		/* What was opened ends the same way, only sooner. */
		a.mount_over = !a.mount;
		a.engine_over = !a.stack.engine;
		if (a.mount)
			mount_stop(a.mount);
		if (a.stack.engine) {
			engine_stop(a.stack.engine, 0, app_on_engine_over, &a);
			loop_timer_start(a.timer, APP_STOP_MS * UINT64_C(1000));
			run_loop(&a);
		}
		return app_close(&a);
	}
	loop_timer_start(a.timer,
			 cfg->held->is_first
				 ? cfg->options->wait_s * UINT64_C(1000000)
				 : APP_RESUME_MS * UINT64_C(1000));
	run_loop(&a);
	return app_close(&a);
}
