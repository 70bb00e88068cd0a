/* Any datagram: what is accepted has the lengths that the header promises, and
 * can be walked. */
#include <stdint.h>
#include <stdlib.h>

#include "dht/dht_limits.h"
#include "dht/krpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned touched;

static void touch(const void *ptr, size_t len)
{
	const uint8_t *p = ptr;

	for (size_t i = 0; p && i < len; i++)
		touched += p[i];
}

static void touch_span(struct span s)
{
	touch(s.ptr, s.len);
}

static void walk(const struct krpc_args *a)
{
	const struct dht_id *id;
	struct addr peer;
	uint32_t n = 0;
	size_t at = 0;

	while (krpc_next_peer(a->values, &at, &peer))
		n++;
	if (n > DHT_VALUES_MAX || at > a->values.len)
		abort();
	for (at = 0; krpc_next_node(a->nodes, false, &at, &id, &peer);)
		touch(id, sizeof(*id));
	if (at != a->nodes.len)
		abort();
	for (at = 0; krpc_next_node(a->nodes6, true, &at, &id, &peer);)
		touch(id, sizeof(*id));
	if (at != a->nodes6.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct krpc_args *a;
	struct krpc_msg m;

	if (krpc_decode(&m, data, len) != 0)
		return 0;
	a = &m.args;
	if (!m.tid.ptr || m.tid.len > DHT_TID_MAX || len > DHT_DATAGRAM_IN_MAX)
		abort();
	if (a->token.len > DHT_TOKEN_MAX || a->samples.len % DHT_ID_BYTES != 0)
		abort();
	if (m.ip.ptr && m.ip.len != ADDR_COMPACT4 && m.ip.len != ADDR_COMPACT6)
		abort();
	touch_span(m.tid);
	touch_span(m.version);
	touch_span(m.text);
	touch_span(a->token);
	touch_span(a->value);
	touch_span(a->salt);
	touch_span(a->samples);
	touch(a->id, a->id ? sizeof(*a->id) : 0);
	touch(a->target, a->target ? sizeof(*a->target) : 0);
	touch(a->key, a->key ? KRPC_KEY_BYTES : 0);
	touch(a->sig, a->sig ? KRPC_SIG_BYTES : 0);
	touch(a->seeds, a->seeds ? KRPC_FILTER_BYTES : 0);
	touch(a->peers, a->peers ? KRPC_FILTER_BYTES : 0);
	walk(a);
	return 0;
}
