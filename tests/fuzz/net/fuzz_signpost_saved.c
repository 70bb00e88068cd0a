/* fuzz_signpost_saved — any bytes as what the store remembers of keys: what is
 * taken is rightly signed or followed, bounded, and comes back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "dht/items.h"
#include "net/net_limits.h"
#include "net/signpost_saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

struct taken {
	unsigned n;
	struct buf out;
};

static void take(void *arg, const struct signpost_saved *s)
{
	struct taken *t = arg;

	t->n++;
	if (s->item.value.len > 0)
		must(item_look(&s->item) == ITEM_GOOD);
	else
		must(s->is_kept);
	signpost_saved_add(&t->out, s);
}

static void count(void *arg, const struct signpost_saved *s)
{
	++*(unsigned *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct taken t = {0};
	unsigned n = 0;

	signpost_saved_begin(&t.out);
	if (signpost_saved_read(span_of(data, len), take, &t) == 0) {
		must(t.n <= SIGNPOSTS_MAX);
		signpost_saved_end(&t.out);
		must(signpost_saved_read(buf_span(&t.out), count, &n) == 0);
		must(n == t.n);
	}
	buf_fini(&t.out);
	return 0;
}
