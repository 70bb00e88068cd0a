/* Whatever is in the library's log: each entry is whole, or skipped, and what
 * is taken gives the same entry when it is put. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check(const struct record *r, enum record_kind kind)
{
	enum record_kind again_kind;
	struct record again;
	struct buf b = {0};
	struct span in;

	must(r->id.v1.len == 20 || r->id.v2.len == 32);
	must(strlen(r->name) < NAME_BUF_BYTES && r->by < RECORD_BYS);
	if (kind == RECORD_KEEP)
		record_put(&b, r);
	else
		record_put_forget(&b, &r->id);
	in = buf_span(&b);
	must(record_take(&in, &again_kind, &again) == 0);
	must(again_kind == kind && in.len == 0);
	must(again.source_at == r->source_at && again.n_nodes == r->n_nodes);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	enum record_kind kind;
	struct record r;
	int err;

	do {
		size_t before = in.len;

		err = record_take(&in, &kind, &r);
		must(err == ENODATA || in.len < before);
		if (err == 0)
			check(&r, kind);
	} while (err == 0 || err == EBADMSG);
	must(err == ENODATA || in.len == 0);
	return 0;
}
