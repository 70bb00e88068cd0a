/* tracker_udp_wire — the two datagrams that we send to UDP trackers.
 *
 * A connect request is 16 bytes; an announce 98, and behind them the options
 * of BEP 41, which carry the path of the URL (and with it a passkey) to the
 * trackers that want one. Trackers that know no options ignore them. */
#include "net/tracker_udp_wire.h"

#include <string.h>

#include "core/buf.h"
#include "net/tracker_internal.h"

#define UDP_MAGIC UINT64_C(0x41727101980) /* BEP 15, "connect request" */

enum {
	OPTION_URL_DATA = 2, /* BEP 41 */
	OPTION_URL_MAX = 255,
};

void tracker_udp_wire_connect(struct buf *out, uint32_t tid)
{
	buf_add_be64(out, UDP_MAGIC);
	buf_add_be32(out, TRACKER_ACTION_CONNECT);
	buf_add_be32(out, tid);
}

/* BEP 41: path and query, in pieces that a one-byte length can tell. */
static void put_options(struct buf *out, const char *path)
{
	size_t left = strlen(path);

	while (left > 0) {
		size_t n = left < OPTION_URL_MAX ? left : OPTION_URL_MAX;

		buf_add_u8(out, OPTION_URL_DATA);
		buf_add_u8(out, (uint8_t)n);
		buf_add(out, path, n);
		path += n;
		left -= n;
	}
}

void tracker_udp_wire_announce(struct buf *out, uint64_t conn_id, uint32_t tid,
			       const struct tracker_ask *ask, const char *path)
{
	const struct tracker_facts *f = &ask->facts;

	buf_add_be64(out, conn_id);
	buf_add_be32(out, TRACKER_ACTION_ANNOUNCE);
	buf_add_be32(out, tid);
	buf_add(out, f->info_hash, sizeof(f->info_hash));
	buf_add(out, f->peer_id, sizeof(f->peer_id));
	buf_add_be64(out, f->downloaded_bytes);
	buf_add_be64(out, f->left_bytes == UINT64_MAX ? TRACKER_LEFT_UNKNOWN
						      : f->left_bytes);
	buf_add_be64(out, f->uploaded_bytes);
	buf_add_be32(out, ask->event);
	buf_add_be32(out, 0); /* our address: the one this comes from */
	buf_add_be32(out, ask->key);
	buf_add_be32(out, f->want_peers);
	buf_add_be16(out, f->port);
	put_options(out, path);
}
