/* peerio_end — why a connection ended, for a person: status files and the log.
 *
 * One short text for each reason, without names or numbers: the caller knows
 * whom it was about. A reason without a text is a compiler warning. */
#include "net/peerio.h"

const char *peerio_end_text(enum peer_end why)
{
	switch (why) {
	case PEER_END_NONE:
		return "none";
	case PEER_END_CLOSED:
		return "closed by us";
	case PEER_END_CONNECT:
		return "cannot connect";
	case PEER_END_EOF:
		return "closed by the peer";
	case PEER_END_IO:
		return "connection lost";
	case PEER_END_HANDSHAKE:
		return "bad handshake";
	case PEER_END_TIMEOUT:
		return "timed out";
	case PEER_END_SELF:
		return "ourselves";
	case PEER_END_DUPLICATE:
		return "connected twice";
	case PEER_END_PROTOCOL:
		return "broke the protocol";
	case PEER_END_TOO_LONG:
		return "message too long";
	case PEER_END_BAD_HASH:
		return "sent bad data";
	case PEER_END_USELESS:
		return "of no use";
	case PEER_END_LIMIT:
		return "too many connections";
	case PEER_END_SILENT:
		return "gave nothing, and made way";
	case PEER_END_PRIVATE:
		return "heard of from peers, but the torrent is private";
	case PEER_END_UPGRADE:
		return "to be dialled again for BitTorrent v2";
	case PEER_END_NOMEM:
		return "no memory";
	case PEER_END_STOPPING:
		return "stopping";
	case PEER_END_N:
		break;
	}
	return "unknown";
}
