/* Any file as the saved table: it is refused, or what was taken of it holds
 * the invariants, is not told to anybody, and saves again. */
#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/hash.h"
#include "dht/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void on_send(void *arg, const struct addr *to, const void *bytes,
		    size_t len)
{
	(void)arg;
	(void)bytes;
	if (!addr_can_dial(to) || len == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct hasher *hasher;
	struct dht_cfg cfg = {.send = on_send, .has = {true, true}};
	uint64_t now_us = 1000000;
	struct buf saved = {0};
	struct dht_stats st;
	struct dht_node *n;

	if (!hasher && hasher_new(&hasher) != 0)
		abort();
	cfg.hasher = hasher;
	if (dht_node_new(&cfg, now_us, &n) != 0)
		return 0;
	(void)dht_node_load(n, now_us, span_of(data, len));
	dht_node_check(n);
	dht_node_stats(n, &st);
	if (st.family[DHT_IPV4].n_good + st.family[DHT_IPV6].n_good > 0)
		abort();
	dht_node_save(n, &saved);
	if (buf_err(&saved) == 0 &&
	    dht_node_load(n, now_us, buf_span(&saved)) != 0)
		abort();
	for (int i = 0; i < 20; i++) {
		now_us += 1000000;
		dht_node_wake(n, now_us);
		dht_node_check(n);
	}
	buf_fini(&saved);
	dht_node_free(n);
	return 0;
}
