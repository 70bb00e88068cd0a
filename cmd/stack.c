/* stack — see stack.h for the picture.
 *
 * Failure modes: a worker that hangs in the kernel (a dead disk, a name server
 * that never answers) cannot be ended from outside, and whoever waits for it
 * hangs, too. So the end has a deadline, which the kernel keeps: its signal's
 * handler leaves the process. The store is safe at any moment. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cache/ledger.h"
#include "cache/store.h"
#include "cache/store_disk.h"
#include "cache/store_lend.h"
#include "cache/store_mem.h"
#include "cmd/options.h"
#include "cmd/stack.h"
#include "core/addr.h"
#include "core/blk.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/worker.h"

enum {
	/* Less costs processor time (first touches), more is only kept. */
	STACK_POOL_BYTES = 32 << 20,
	/* What is on its way, hashed, and written: at least four of the longest
	 * pieces that are not staged. */
	STACK_UNVERIFIED_BYTES = 64 << 20,
	/* The page cache has what readers further behind want. */
	STACK_RECENT_BYTES = 8 << 20,
	/* Two of the longest that are whole. */
	STACK_RECENT_LONG_BYTES = 32 << 20,
	STACK_WORKERS_MIN = 2,
	STACK_WORKERS_MAX = 16,
	STACK_NAMES = 4,
	STACK_DRAIN_MS = 1000,
	STACK_NAMES_MS = 100,
	STACK_END_S = 2,
};

#define STACK_QUOTA_BYTES (UINT64_C(20) << 30)

static unsigned n_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < STACK_WORKERS_MIN)
		return STACK_WORKERS_MIN;
	return n > STACK_WORKERS_MAX ? STACK_WORKERS_MAX : (unsigned)n;
}

int stack_init(struct stack *s)
{
	int r;

	memset(s, 0, sizeof(*s));
	r = loop_new(&s->loop);
	if (!r)
		r = workers_new(s->loop, n_workers(), "worker", &s->workers);
	if (!r)
		r = workers_new(s->loop, 1, "store", &s->thread);
	if (!r)
		r = workers_new(s->loop, STACK_NAMES, "names", &s->names);
	if (!r)
		r = blk_pool_new(STACK_POOL_BYTES, &s->pool);
	if (r)
		stack_fini(s);
	return r;
}

static int lend(struct stack *s, const struct lend_door *door)
{
	struct store_lend_cfg cfg = {
		.loop = s->loop,
		.workers = s->workers,
		.thread = s->thread,
		.below = s->store,
		.door = *door,
	};

	return store_lend_new(&cfg, &s->store);
}

int stack_store_disk(struct stack *s, const char *dir,
		     const struct stack_room *room, char why[WHY_BYTES])
{
	bool is_said = room->quota_bytes != 0;
	struct store_disk_cfg cfg = {
		.loop = s->loop,
		.workers = s->workers,
		.thread = s->thread,
		.dir = dir,
		.quota_bytes = is_said ? room->quota_bytes : STACK_QUOTA_BYTES,
		.is_quota_soft = !is_said,
		.min_free_bytes = room->min_free_bytes,
	};
	char text[160] = "";
	int r = store_disk_new(&cfg, &s->store, text);

	if (!r && room->door.open)
		r = lend(s, &room->door);
	if (r)
		(void)snprintf(why, WHY_BYTES, "store %.80s: %s", dir,
			       text[0] ? text : err_text(r));
	return r;
}

int stack_ledger(struct stack *s, const char *dir, char why[WHY_BYTES])
{
	struct ledger_cfg cfg = {
		.thread = s->thread,
		.workers = s->workers,
		.dir = dir,
	};
	int r = ledger_new(&cfg, &s->ledger);

	if (r)
		(void)snprintf(
			why, WHY_BYTES, "the library in %.80s: %.100s", dir,
			r == EPROTO ? "a newer version made it" : err_text(r));
	return r;
}

int stack_store_mem(struct stack *s, uint64_t max_bytes)
{
	return store_mem_new(s->loop, max_bytes, &s->store);
}

static int parse_bind(const char *text, uint16_t port, struct addr *out)
{
	char full[128];

	(void)snprintf(full, sizeof(full),
		       strchr(text, ':') ? "[%.100s]:%u" : "%.100s:%u", text,
		       port);
	return addr_parse(out, full);
}

struct stack_net stack_net_of(const struct options *o)
{
	return (struct stack_net){
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
}

int stack_engine(struct stack *s, const struct stack_net *net,
		 const struct engine_ops *ops, void *arg, char why[WHY_BYTES])
{
	struct engine_cfg cfg = {
		.loop = s->loop,
		.workers = s->workers,
		.names = s->names,
		.store = s->store,
		.pool = s->pool,
		.ops = &s->ops,
		.arg = arg,
		.port = net->port,
		.peers = net->peers,
		.n_peers = net->n_peers,
		.no_pex = net->no_pex,
		.has_dht = !net->no_dht,
		.dht_bootstrap = net->dht_bootstrap,
		.n_dht_bootstrap = net->n_dht_bootstrap,
		.no_seed = net->no_seed,
		.unverified_bytes = STACK_UNVERIFIED_BYTES,
		.recent_bytes = STACK_RECENT_BYTES,
		.recent_long_bytes = STACK_RECENT_LONG_BYTES,
	};
	struct addr bind_to;
	char text[160] = "";
	int r;

	s->ops = *ops;
	if (net->bind) {
		r = parse_bind(net->bind, net->port, &bind_to);
		if (r) {
			(void)snprintf(why, WHY_BYTES,
				       "bind: '%.100s' is not an address",
				       net->bind);
			return r;
		}
		cfg.bind_to = &bind_to;
	}
	r = engine_new(&cfg, &s->engine, text);
	if (r) {
		(void)snprintf(why, WHY_BYTES, "%s",
			       text[0] ? text : err_text(r));
		return r;
	}
	engine_set_limit(s->engine, ENGINE_DOWN, net->down_Bps);
	engine_set_limit(s->engine, ENGINE_UP, net->up_Bps);
	return 0;
}

/* ---- the end ---- */

static void leave(int signo, siginfo_t *info, void *context)
{
	_exit(info->si_value.sival_int);
}

void stack_deadline(struct stack *s, int code)
{
	const struct sigaction sa = {.sa_sigaction = leave,
				     .sa_flags = SA_SIGINFO};
	const struct itimerspec in = {.it_value.tv_sec = STACK_END_S};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGALRM,
				 .sigev_value.sival_int = code};
	sigset_t set;

	if (s->has_deadline)
		return;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	(void)sigaction(SIGALRM, &sa, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &s->deadline) != 0) {
		log_warn("no deadline for the end: %s", err_text(errno));
		return;
	}
	(void)timer_settime(s->deadline, 0, &in, NULL);
	s->has_deadline = true;
}

static void end_workers(struct workers *w, const char *what)
{
	if (w && workers_drain(w, STACK_DRAIN_MS) != 0)
		log_err("%s: a job does not end", what);
	workers_free(w);
}

/* Nobody waits for a name any more. One that is still being looked up (without
 * a network that takes half a minute) is left to the exit, with its thread and
 * the loop that it would tell. False: so it is. */
static bool end_names(struct stack *s)
{
	if (s->names && workers_drain(s->names, STACK_NAMES_MS) != 0)
		return false;
	workers_free(s->names);
	return true;
}

/* The store's last commit runs on its thread, and blobs are written by the
 * workers, so those end after it. */
void stack_fini(struct stack *s)
{
	engine_free(s->engine);
	store_free(s->store);
	end_workers(s->workers, "workers");
	end_workers(s->thread, "store");
	ledger_free(s->ledger);
	blk_pool_free(s->pool);
	if (end_names(s))
		loop_free(s->loop);
	if (s->has_deadline)
		(void)timer_delete(s->deadline);
	memset(s, 0, sizeof(*s));
}
