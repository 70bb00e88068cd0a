/* Any extension payload is decoded into values inside their ranges, or
 * refused; a ut_metadata message survives encoding. */
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/core_limits.h"
#include "net/ext.h"
#include "net/net_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_handshake(struct span body)
{
	struct ext_handshake hs;

	if (ext_decode_handshake(body, &hs) != 0)
		return;
	if (hs.metadata_bytes > METAINFO_WIRE_BYTES || hs.reqq > EXT_REQQ_MAX)
		abort();
	if (!memchr(hs.client, 0, sizeof(hs.client)))
		abort();
	for (const char *p = hs.client; *p; p++)
		if ((uint8_t)*p < 0x20 || *p == 0x7F)
			abort();
}

static void try_metadata(struct span body)
{
	struct ext_metadata m, again;
	struct buf out = {0};

	if (ext_decode_metadata(body, &m) != 0)
		return;
	ext_put_metadata(&out, &m);
	if (ext_decode_metadata(buf_span(&out), &again) != 0 ||
	    again.type != m.type || again.piece_ix != m.piece_ix ||
	    again.total_bytes != m.total_bytes ||
	    again.data.len != m.data.len ||
	    (m.data.len > 0 &&
	     memcmp(again.data.ptr, m.data.ptr, m.data.len) != 0))
		abort();
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_handshake(span_of(data, len));
	try_metadata(span_of(data, len));
	return 0;
}
