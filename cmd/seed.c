/* seed — a place store under an engine, until a signal.
 *
 * The link is printed when the engine listens and the torrent is READY: who
 * pastes it is served at once. */
#include <ifaddrs.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cache/store_place.h"
#include "cmd/content.h"
#include "cmd/daemon.h"
#include "cmd/seed.h"
#include "cmd/stack.h"
#include "core/addr.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"

enum { SEED_ADDRS_MAX = 8, SEED_TELL_MS = 1500 };

struct seed {
	struct stack *s;
	const struct seed_cfg *cfg;
	struct loop_signal *sig[3];
	bool is_ending;
	int err;
	char *why;
};

/* ---- the link ---- */

/* Loopback is of use to this host alone, so it is named only where there is
 * nothing else; link-local needs a scope that others do not share. */
static unsigned own_addresses(uint16_t port, char out[][ADDR_TEXT_BYTES],
			      unsigned max)
{
	struct ifaddrs *list, *i;
	struct addr a;
	unsigned n = 0;

	if (getifaddrs(&list) != 0)
		return 0;
	for (int loopback = 0; loopback < 2 && n == 0; loopback++) {
		for (i = list; i && n < max; i = i->ifa_next) {
			if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
			    addr_from_sa(&a, i->ifa_addr,
					 sizeof(struct sockaddr_in6)) != 0 ||
			    addr_is_link_local(&a) ||
			    addr_is_loopback(&a) != (loopback == 1))
				continue;
			addr_set_port(&a, port);
			(void)addr_format(&a, out[n++]);
		}
	}
	freeifaddrs(list);
	return n;
}

static int print_link(const struct seed_cfg *cfg, const struct torrent_id *id,
		      const char *name, uint16_t port)
{
	char addrs[SEED_ADDRS_MAX][ADDR_TEXT_BYTES];
	const char *peers[SEED_ADDRS_MAX];
	unsigned n = 0;
	char *link;

	if (port > 0 && cfg->net->bind) {
		(void)snprintf(addrs[0], sizeof(addrs[0]),
			       strchr(cfg->net->bind, ':') ? "[%.45s]:%u"
							   : "%.45s:%u",
			       cfg->net->bind, port);
		n = 1;
	} else if (port > 0) {
		n = own_addresses(port, addrs, SEED_ADDRS_MAX);
	}
	for (unsigned i = 0; i < n; i++)
		peers[i] = addrs[i];
	link = magnet_format(id, name, cfg->trackers, cfg->n_trackers, peers,
			     n);
	if (!link)
		return ENOMEM;
	printf("%s\n", link);
	mem_free(link);
	return fflush(stdout) == 0 ? 0 : errno;
}

/* ---- serving ---- */

static void seed_on_over(void *arg)
{
	struct seed *sd = arg;

	loop_stop(sd->s->loop);
}

static void seed_end(struct seed *sd, int err)
{
	if (sd->is_ending)
		return;
	sd->is_ending = true;
	sd->err = err;
	engine_stop(sd->s->engine, SEED_TELL_MS, seed_on_over, sd);
}

static void seed_on_signal(void *arg, int signo)
{
	struct seed *sd = arg;

	if (sd->is_ending)
		loop_stop(sd->s->loop);
	seed_end(sd, 0);
}

static void seed_on_ready(void *arg, struct torrent *t)
{
	struct seed *sd = arg;
	int r = print_link(sd->cfg, torrent_id(t), torrent_name(t),
			   engine_port(sd->s->engine));

	if (r)
		seed_end(sd, r);
}

static void seed_on_failed(void *arg, struct torrent *t)
{
	struct seed *sd = arg;

	(void)snprintf(sd->why, WHY_BYTES, "%s", torrent_why(t));
	seed_end(sd, EIO);
}

static int open_store(struct stack *s, const struct content *c)
{
	const char **rel = mem_zalloc(c->n_files, sizeof(*rel));
	struct store_place_cfg cfg = {
		.loop = s->loop,
		.workers = s->workers,
		.path = c->root,
		.rel_paths = c->is_single ? NULL : rel,
		.n_rel_paths = c->is_single ? 0 : c->n_files,
	};
	int r;

	if (!rel)
		return ENOMEM;
	for (uint32_t i = 0; i < c->n_files; i++)
		if (!(c->files[i].attr & MI_ATTR_SYMLINK))
			rel[i] = c->files[i].rel;
	r = store_place_new(&cfg, &s->store);
	mem_free(rel);
	return r;
}

static int watch_signals(struct seed *sd)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	int r = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; r == 0 && i < 3; i++)
		if (signals[i] != SIGHUP || !daemon_is_ignored(SIGHUP))
			r = loop_signal_new(sd->s->loop, signals[i],
					    seed_on_signal, sd, &sd->sig[i]);
	return r;
}

static int serve(struct seed *sd, struct metainfo *mi)
{
	static const struct engine_ops ops = {.on_ready = seed_on_ready,
					      .on_failed = seed_on_failed};
	struct torrent *t;
	int r;

	r = open_store(sd->s, sd->cfg->content);
	if (!r)
		r = stack_engine(sd->s, sd->cfg->net, &ops, sd, sd->why);
	if (!r)
		r = watch_signals(sd);
	if (r) {
		metainfo_free(mi);
		return r;
	}
	r = engine_add(sd->s->engine, (struct engine_source){.mi = mi}, &t);
	if (r)
		seed_end(sd, r);
	r = loop_run(sd->s->loop);
	for (unsigned i = 0; i < 3; i++)
		loop_signal_free(sd->sig[i]);
	return r ? r : sd->err;
}

static int stay(struct seed *sd)
{
	struct stack s;
	int r = stack_init(&s);

	if (r != 0) {
		metainfo_free(sd->cfg->mi);
		return r;
	}
	sd->s = &s;
	r = serve(sd, sd->cfg->mi);
	stack_deadline(&s, 1);
	stack_fini(&s);
	return r;
}

int seed_run(const struct seed_cfg *cfg, char why[WHY_BYTES])
{
	struct seed sd = {.cfg = cfg, .why = why};
	int r;

	if (cfg->stay)
		return stay(&sd);
	r = print_link(cfg, &cfg->mi->id, cfg->mi->name, 0);
	metainfo_free(cfg->mi);
	return r;
}
