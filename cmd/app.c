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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/app.h"
#include "cmd/place.h"
#include "cmd/source.h"
#include "cmd/stack.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "fs/mount.h"
#include "fs/steer.h"

enum {
	APP_TELL_MS = 1500, /* for trackers to hear of our leaving */
	APP_STOP_MS = 2500,
	APP_LOOKUP_WAIT_MS = 18000,
	APP_SIGNALS = 3,
};

enum app_state { APP_STARTING, APP_RUNNING, APP_STOPPING };

struct app {
	const struct app_cfg *cfg;
	struct stack stack;
	struct mount *mount;
	struct steer *steer;  /* NULL: it could not be made */
	char store[PATH_MAX]; /* its directory; empty: in memory */
	struct loop_signal *sig[APP_SIGNALS]; /* NULL: ignored */
	struct loop_timer *timer; /* `wait` while STARTING, then the limit */
	enum app_state state;
	enum exits code;
	unsigned n_pending; /* sources not READY yet */
	bool is_up;	    /* the kernel talks to us */
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

	if (a->state == APP_STOPPING) {
		log_warn("second signal: leaving at once");
		_exit(EXITS_INTERRUPTED);
	}
	log_info("%s: stopping", strsignal(signo));
	if (a->state == APP_STARTING)
		app_fail(a, EXITS_INTERRUPTED, "interrupted");
	else
		app_stop(a, EXITS_OK);
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

static void run_if_ready(struct app *a, bool is_late)
{
	char text[WHY_BYTES] = "";

	if (a->state != APP_STARTING || !a->is_up)
		return;
	if (a->n_pending > 0 && !is_late)
		return;
	if (a->n_pending > 0)
		(void)snprintf(text, sizeof(text),
			       "mounted; still looking for the metadata of %u "
			       "torrent%s",
			       a->n_pending, a->n_pending == 1 ? "" : "s");
	a->state = APP_RUNNING;
	loop_timer_stop(a->timer);
	daemon_report(a->cfg->daemon, a->cfg->program, EXITS_OK, text);
	log_info("%s is up, port %u", a->cfg->mountpoint,
		 engine_port(a->stack.engine));
}

static void app_on_timer(void *arg)
{
	struct app *a = arg;

	if (a->state == APP_STARTING) {
		run_if_ready(a, true);
		return;
	}
	log_warn("something does not end; leaving without it");
	loop_stop(a->stack.loop);
}

static void app_on_up(void *arg)
{
	struct app *a = arg;

	a->is_up = true;
	run_if_ready(a, a->cfg->options->wait_s == 0);
}

static void app_on_ready(void *arg, struct torrent *t)
{
	struct app *a = arg;
	char why[WHY_BYTES];
	int r = mount_show(a->mount, t);

	if (r) {
		(void)snprintf(why, sizeof(why), "%.160s: cannot be shown: %s",
			       torrent_name(t), err_text(r));
		app_fail(a, EXITS_SYSTEM, why);
		return;
	}
	log_info("%s is there", torrent_name(t));
	if (a->n_pending > 0 && !torrent_is_guest(t))
		a->n_pending--;
	run_if_ready(a, false);
}

static void app_on_failed(void *arg, struct torrent *t)
{
	struct app *a = arg;
	char why[WHY_BYTES];

	(void)snprintf(why, sizeof(why), "%.90s: %.150s", torrent_name(t),
		       torrent_why(t));
	if (a->state == APP_STARTING && !torrent_is_guest(t)) {
		app_fail(a, EXITS_MOUNT, why);
		return;
	}
	if (!torrent_is_guest(t))
		log_err("%s", why);
	mount_on_failed(a->mount, t);
}

static const struct engine_ops app_engine_ops = {
	.on_ready = app_on_ready,
	.on_failed = app_on_failed,
};

static int add_sources(struct app *a, char why[WHY_BYTES])
{
	struct torrent *t;
	int r;

	for (unsigned i = 0; i < a->cfg->n_sources; i++) {
		r = engine_add(a->stack.engine, a->cfg->sources[i], &t);
		memset(&a->cfg->sources[i], 0, sizeof(a->cfg->sources[i]));
		if (r == EEXIST)
			continue; /* the same torrent named twice */
		if (r) {
			(void)snprintf(why, WHY_BYTES, "cannot add: %s",
				       err_text(r));
			return r;
		}
		a->n_pending++;
	}
	return 0;
}

static int open_store(struct app *a, char why[WHY_BYTES])
{
	const struct options *o = a->cfg->options;
	int r;

	if (o->store_mem_bytes > 0)
		return stack_store_mem(&a->stack, o->store_mem_bytes);
	if (o->store) {
		(void)snprintf(a->store, sizeof(a->store), "%s", o->store);
	} else {
		r = place_store(a->cfg->mountpoint, a->store);
		if (r) {
			(void)snprintf(why, WHY_BYTES,
				       "no place for the store: name one with "
				       "-o store=DIR");
			return r;
		}
	}
	return stack_store_disk(&a->stack, a->store, why);
}

static int open_engine(struct app *a, char why[WHY_BYTES])
{
	const struct options *o = a->cfg->options;
	struct stack_net net = {
		.bind = o->bind,
		.port = o->port,
		.peers = (const char *const *)o->peer,
		.n_peers = o->n_peers,
		.no_pex = o->no_pex,
		.no_dht = o->no_dht,
		.dht_bootstrap = (const char *const *)o->dht_bootstrap,
		.n_dht_bootstrap = o->n_dht_bootstrap,
		.no_seed = o->no_seed,
		.down_Bps = o->down_Bps,
		.up_Bps = o->up_Bps,
	};

	return stack_engine(&a->stack, &net, &app_engine_ops, a, why);
}

static int open_mount(struct app *a, char why[WHY_BYTES])
{
	const struct options *o = a->cfg->options;
	struct mount_cfg cfg = {
		.loop = a->stack.loop,
		.engine = a->stack.engine,
		.mountpoint = a->cfg->mountpoint,
		.fuse_options = (const char *)o->fuse.data,
		.uid = o->uid,
		.gid = o->gid,
		.umask = o->umask,
		.debug = o->debug,
		.read_timeout_ms = o->read_timeout_s * 1000,
		.lookup_wait_ms = APP_LOOKUP_WAIT_MS,
		.on_end = app_on_mount_end,
		.arg = a,
	};
	char text[160] = "";
	int r = mount_new(&cfg, &a->mount, text);

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
	char dir[PATH_MAX], name[NAME_MAX + 1];
	int r = ENOENT;

	if (a->store[0] != '\0')
		r = steer_open(a->mount, a->store, "control", &a->steer);
	if (r)
		r = place_control(a->cfg->mountpoint, dir, name);
	if (!r && !a->steer)
		r = steer_open(a->mount, dir, name, &a->steer);
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

/* Peers, blobs and FUSE all need descriptors; the soft limit of 1024 is for
 * programs that use select. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
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
		r = mount_serve(a->mount, app_on_up, a);
	if (!r)
		open_control(a);
	if (!r)
		r = add_sources(a, why);
	if (r && why[0] == '\0')
		(void)snprintf(why, WHY_BYTES, "%s", err_text(r));
	return r ? code : EXITS_OK;
}

static enum exits app_close(struct app *a)
{
	stack_deadline(&a->stack, EXITS_SYSTEM);
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
	raise_limits();
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
	loop_timer_start(a.timer, cfg->options->wait_s * UINT64_C(1000000));
	run_loop(&a);
	return app_close(&a);
}
