/* ext — the extension protocol's payloads (BEP 10) and ut_metadata's (BEP 9),
 * encoded and decoded: what wire_put_extended frames and an EXTENDED message
 * carries behind its id. Pure. */
#ifndef SHOAL_NET_EXT_H
#define SHOAL_NET_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"

struct buf;

/* The ids that peers use when they send to us. */
enum { EXT_ID_HANDSHAKE = 0, EXT_ID_UT_METADATA = 1 };

enum { EXT_CLIENT_BYTES = 64, EXT_METADATA_BLOCK = 16 << 10 };

struct ext_handshake {
	uint8_t ut_metadata;	       /* their id for it; 0: not spoken */
	uint32_t metadata_bytes;       /* 0: they have none, or said nonsense */
	uint32_t reqq;		       /* 0: not said */
	uint16_t listen_port;	       /* p; 0: not said */
	bool upload_only;	       /* BEP 21 */
	char client[EXT_CLIENT_BYTES]; /* v, printable */
	bool has_yourip;
	struct addr yourip; /* port 0 */
};

/* ext_decode_handshake — 0, EBADMSG or ENOMEM. Unknown keys are skipped, a
 * known key with a wild value counts as not said. */
int ext_decode_handshake(struct span body, struct ext_handshake *out);

/* ext_put_handshake — ours: `metadata_bytes` 0 when we have none yet; `to`
 * is told its own address (yourip). */
void ext_put_handshake(struct buf *out, uint32_t metadata_bytes, uint32_t reqq,
		       uint16_t listen_port, const struct addr *to);

enum ext_metadata_type {
	EXT_METADATA_REQUEST = 0,
	EXT_METADATA_DATA = 1,
	EXT_METADATA_REJECT = 2,
};

struct ext_metadata {
	enum ext_metadata_type type;
	uint32_t piece_ix;    /* of 16 KiB */
	uint32_t total_bytes; /* DATA only; 0: not said */
	struct span data;     /* DATA only */
};

/* ext_decode_metadata — 0; EBADMSG; ENOMEM; EAGAIN for a type we do not know,
 * which BEP 9 says to ignore. */
int ext_decode_metadata(struct span body, struct ext_metadata *out);
void ext_put_metadata(struct buf *out, const struct ext_metadata *m);

#endif
