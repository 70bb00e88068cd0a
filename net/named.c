/* named — names of peers, and one look-up at a time for each.
 *
 * A name that is not found is asked again by one shared timer, after
 * SWARM_NAMED_MS, doubling up to SWARM_REDIAL_MAX_MS: the network may be
 * coming up. A name that was found is done: its addresses are redialled by
 * the address book. */
#include "net/named.h"

#include <stdbool.h>
#include <string.h>

#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/queue.h"
#include "net/net_limits.h"
#include "net/resolve.h"

struct name {
	struct named *nd; /* Owner: */
	TAILQ_ENTRY(name) link;
	char *text;
	struct resolve *lookup;
	bool is_found;
};

struct named {
	struct workers *workers;
	struct loop_timer *retry;
	uint64_t wait_ms;
	named_fn *fn;
	void *arg;
	TAILQ_HEAD(, name) names;
	unsigned n;
};

enum { HOST_BYTES = 256 };

static void on_retry(void *arg)
{
	named_start(arg);
}

int named_new(struct loop *loop, struct workers *names, named_fn *fn, void *arg,
	      struct named **out)
{
	struct named *nd = mem_new(struct named);
	int r;

	if (nd == NULL)
		return ENOMEM;
	nd->workers = names;
	nd->fn = fn;
	nd->arg = arg;
	nd->wait_ms = SWARM_NAMED_MS;
	TAILQ_INIT(&nd->names);
	r = loop_timer_new(loop, on_retry, nd, &nd->retry);
	if (r != 0) {
		mem_free(nd);
		return r;
	}
	*out = nd;
	return 0;
}

void named_free(struct named *nd)
{
	struct name *n;

	if (nd == NULL)
		return;
	while ((n = TAILQ_FIRST(&nd->names)) != NULL) {
		TAILQ_REMOVE(&nd->names, n, link);
		if (n->lookup != NULL)
			resolve_cancel(n->lookup);
		mem_free(n->text);
		mem_free(n);
	}
	loop_timer_free(nd->retry);
	mem_free(nd);
}

int named_add(struct named *nd, const char *text)
{
	char host[HOST_BYTES];
	struct name *n;
	uint16_t port;

	if (resolve_split(text, host, sizeof(host), &port) != 0)
		return EINVAL;
	TAILQ_FOREACH (n, &nd->names, link)
		if (strcmp(n->text, text) == 0)
			return EEXIST;
	if (nd->n >= SWARM_NAMED_PEERS_MAX)
		return E2BIG;
	n = mem_new(struct name);
	if (n == NULL)
		return ENOMEM;
	n->text = mem_strdup(text);
	if (n->text == NULL) {
		mem_free(n);
		return ENOMEM;
	}
	n->nd = nd;
	nd->n++;
	TAILQ_INSERT_TAIL(&nd->names, n, link);
	return 0;
}

static void retry_later(struct named *nd)
{
	if (loop_timer_is_armed(nd->retry))
		return;
	loop_timer_start(nd->retry, nd->wait_ms * 1000);
	if (nd->wait_ms < SWARM_REDIAL_MAX_MS)
		nd->wait_ms *= 2;
}

static void on_resolved(void *arg, int err, const struct addr *addrs,
			unsigned n_addrs)
{
	struct name *n = arg;

	n->lookup = NULL;
	if (err != 0) {
		log_info("peer %s: cannot be looked up: %s", n->text,
			 err_text(err));
		retry_later(n->nd);
		return;
	}
	if (n->nd->fn(n->nd->arg, addrs, n_addrs) == 0)
		n->is_found = true;
	else
		retry_later(n->nd);
}

void named_start(struct named *nd)
{
	char host[HOST_BYTES];
	struct name *n;
	uint16_t port;

	TAILQ_FOREACH (n, &nd->names, link) {
		if (n->is_found || n->lookup != NULL)
			continue;
		if (resolve_split(n->text, host, sizeof(host), &port) != 0 ||
		    resolve_start(nd->workers, host, port, on_resolved, n,
				  &n->lookup) != 0) {
			n->lookup = NULL;
			retry_later(nd);
		}
	}
}
