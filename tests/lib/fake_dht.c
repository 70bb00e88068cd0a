/* fake_dht — see the header. One search at a time. */
#include "tests/lib/fake_dht.h"

#include <errno.h>

#include "dht/node.h"
#include "net/mainline.h"

struct dht_search {
	struct dht_search_cfg cfg;
	bool is_running;
};

static struct dht_search the_search;

const struct dht_search_cfg *fake_dht_search(void)
{
	return the_search.is_running ? &the_search.cfg : NULL;
}

void fake_dht_end(void)
{
	const struct dht_outcome outcome = {.why = DHT_END_DONE};

	the_search.is_running = false;
	the_search.cfg.on_end(the_search.cfg.arg, &outcome);
}

void fake_dht_forget(void)
{
	the_search = (struct dht_search){0};
}

struct dht_node *mainline_node(struct mainline *m)
{
	return (struct dht_node *)(uintptr_t)m;
}

uint64_t mainline_now_us(const struct mainline *m)
{
	return 1;
}

void mainline_settle(struct mainline *m)
{
}

int dht_search_start(struct dht_node *n, uint64_t now_us,
		     const struct dht_search_cfg *cfg, struct dht_search **out)
{
	if (the_search.is_running)
		return EAGAIN;
	the_search = (struct dht_search){.cfg = *cfg, .is_running = true};
	*out = &the_search;
	return 0;
}

void dht_search_cancel(struct dht_search *s)
{
	s->is_running = false;
}

bool dht_node_contact(const struct dht_node *n, enum dht_family f, uint32_t i,
		      struct dht_contact *out)
{
	return false;
}
