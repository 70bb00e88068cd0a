/* ext — the extension protocol's payloads (BEP 10), ut_metadata's (BEP 9) and
 * lt_donthave's (BEP 54), encoded and decoded: what wire_put_extended frames
 * and an EXTENDED message carries behind its id. ut_pex is in net/pex.h. Pure.
 */
#ifndef SHOAL_NET_EXT_H
#define SHOAL_NET_EXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"

struct buf;

/* The ids that peers use when they send to us. */
enum {
	EXT_ID_HANDSHAKE = 0,
	EXT_ID_UT_METADATA = 1,
	EXT_ID_UT_PEX = 2,
	EXT_ID_LT_DONTHAVE = 3,
};

enum { EXT_CLIENT_BYTES = 64, EXT_METADATA_BLOCK = 16 << 10 };

/* What a handshake names. A later handshake only says what has changed (BEP
 * 10), so what it does not name stays as it was. */
enum {
	EXT_SAYS_UT_METADATA = 1,
	EXT_SAYS_UT_PEX = 2,
	EXT_SAYS_LT_DONTHAVE = 4,
	EXT_SAYS_UPLOAD_ONLY = 8,
};

struct ext_handshake {
	unsigned says;		       /* EXT_SAYS_*, or-ed */
	uint8_t ut_metadata;	       /* their id for it; 0: not spoken */
	uint8_t ut_pex, lt_donthave;   /* the same */
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

struct ext_ours {
	uint32_t metadata_bytes; /* 0: we have none yet */
	uint32_t reqq;
	uint16_t listen_port;  /* 0: not said */
	bool takes_pex;	       /* else ut_pex is said to be switched off */
	bool is_upload_only;   /* BEP 21 */
	const struct addr *to; /* is told its own address (yourip) */
};

/* ext_put_handshake — what we say of ourselves. */
void ext_put_handshake(struct buf *out, const struct ext_ours *ours);

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

/* ext_decode_donthave — the piece that the sender has no more. 0 or EBADMSG.
 * ext_put_donthave — the same, encoded. */
int ext_decode_donthave(struct span body, uint32_t *piece_ix);
void ext_put_donthave(struct buf *out, uint32_t piece_ix);

#endif
