/* Any peer exchange message is refused, or gives no more addresses than may be
 * taken, each of them one that may be told; and what is told of them in turn
 * is heard as it was, by and by. The first byte says where the teller is. */
#include <stdlib.h>

#include "core/buf.h"
#include "net/pex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct addr teller(uint8_t pick)
{
	static const char *const at[] = {"9.9.9.9:9", "10.9.9.9:9",
					 "127.0.0.1:9", "[2001:db8::9]:9"};
	struct addr a;

	if (addr_parse(&a, at[pick % (sizeof(at) / sizeof(at[0]))]) != 0)
		abort();
	return a;
}

static void check(const struct pex_heard *h, const struct addr *from)
{
	unsigned i, k;

	if (h->n > PEX_ADDED_MAX)
		abort();
	for (i = 0; i < h->n; i++) {
		unsigned n_same = 0;

		if (!addr_can_dial(&h->v[i].addr) ||
		    !pex_may_tell(&h->v[i].addr, from))
			abort();
		for (k = 0; k < h->n; k++)
			n_same += addr_eq_host(&h->v[i].addr, &h->v[k].addr);
		if (n_same > PEX_HOST_MAX)
			abort();
	}
}

/* Told to somebody who knows none of them, it is heard in full. */
static void pass_on(const struct pex_heard *h, const struct addr *from)
{
	struct pex_told told = {0};
	struct pex_heard again;
	struct pex_diff diff;
	struct buf out = {0};

	if (pex_diff_to(&told, h->v, h->n, &diff) != (h->n > 0))
		abort();
	pex_put(&out, &diff);
	if (pex_decode(buf_span(&out), from, &again) != 0 || again.n != h->n)
		abort();
	check(&again, from);
	if (pex_diff_to(&told, h->v, h->n, &diff))
		abort();
	if (pex_diff_to(&told, NULL, 0, &diff) && diff.n_dropped != h->n)
		abort();
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct addr from = teller(len > 0 ? data[0] : 0);
	struct pex_heard h;

	if (len == 0 || pex_decode(span_of(data + 1, len - 1), &from, &h) != 0)
		return 0;
	check(&h, &from);
	pass_on(&h, &from);
	return 0;
}
