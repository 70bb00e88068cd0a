/* krpc — the messages of the DHT, decoded and encoded (BEP 5, 32, 33, 42, 43,
 * 44, 51). Pure, and without allocation: what is decoded points into the
 * datagram.
 *
 * Decoding is strict in form (any malformed value spoils the message, a known
 * key twice too) and mild in what is missing: a field of the wrong type or
 * length is as if it were not there, and whoever needs it looks. Keys may come
 * in any order, since some nodes send them so. */
#ifndef SHOAL_DHT_KRPC_H
#define SHOAL_DHT_KRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/span.h"
#include "dht/nodeid.h"

enum krpc_kind { KRPC_QUERY, KRPC_ANSWER, KRPC_ERROR };

enum krpc_method {
	KRPC_PING,
	KRPC_FIND_NODE,
	KRPC_GET_PEERS,
	KRPC_ANNOUNCE_PEER,
	KRPC_GET,
	KRPC_PUT,
	KRPC_SAMPLE_INFOHASHES,
	KRPC_UNKNOWN,
};

enum { KRPC_WANT4 = 1, KRPC_WANT6 = 2 };

enum {
	KRPC_KEY_BYTES = 32,
	KRPC_SIG_BYTES = 64,
	KRPC_FILTER_BYTES = 256, /* BEP 33 */
	KRPC_NODE4_BYTES = 26,
	KRPC_NODE6_BYTES = 38,
};

/* The codes of BEP 5 and BEP 44. */
enum krpc_code {
	KRPC_ERR_GENERIC = 201,
	KRPC_ERR_SERVER = 202,
	KRPC_ERR_PROTOCOL = 203,
	KRPC_ERR_METHOD = 204,
	KRPC_ERR_TOO_BIG = 205,
	KRPC_ERR_SIGNATURE = 206,
	KRPC_ERR_SALT = 207,
	KRPC_ERR_CAS = 301,
	KRPC_ERR_OLD = 302,
};

/* Of `a` or `r`. Absent: NULL, a span without ptr, false. Ids point into the
 * datagram too. */
struct krpc_args {
	const struct dht_id *id;
	const struct dht_id *target; /* or info_hash */
	struct span token;
	struct span nodes, nodes6; /* whole entries: 26, 38 bytes each */
	struct span values;	   /* a list, for krpc_next_peer */
	struct span value;	   /* `v`, as it was encoded */
	struct span salt;
	struct span samples;	      /* whole entries: 20 bytes each */
	const uint8_t *key, *sig;     /* KRPC_KEY_BYTES, KRPC_SIG_BYTES */
	const uint8_t *seeds, *peers; /* KRPC_FILTER_BYTES */
	bool has_port, has_seq, has_cas, has_num, has_interval;
	bool is_port_implied, is_seed, no_seeds, is_scrape;
	uint8_t want; /* KRPC_WANT4 | KRPC_WANT6; 0: not said */
	bool has_samples;
	int64_t port, seq, cas, num, interval;
};

struct krpc_msg {
	enum krpc_kind kind;
	enum krpc_method method; /* of a query */
	struct span tid;
	struct span version;
	struct span ip; /* BEP 42: ours as they see it: 6 or 18 bytes */
	bool is_read_only;
	int64_t code; /* of an error */
	struct span text;
	struct krpc_args args;
};

/* krpc_decode — 0; EBADMSG; EFBIG past a limit. A message without `t` or `y`,
 * with a longer `t` than DHT_TID_MAX, a query without a method or an answer
 * without `r` is malformed. */
int krpc_decode(struct krpc_msg *m, const void *bytes, size_t len);

/* krpc_next_peer — walk `values`: the next address of the list, whose family
 * may be any. *at starts at 0. False at the end. Entries that are no address
 * are passed over. */
bool krpc_next_peer(struct span values, size_t *at, struct addr *out);

/* krpc_next_node — walk `nodes` (of DHT_IPV4) or `nodes6`. */
bool krpc_next_node(struct span nodes, bool is_6, size_t *at,
		    const struct dht_id **id, struct addr *out);

/* ---- what we send; each returns the length, 0 when it does not fit ---- */

struct krpc_query {
	enum krpc_method method;
	uint32_t tid;
	bool is_read_only;
	const struct dht_id *self;
	const struct dht_id *target; /* of all but ping and put */
	uint8_t want;		     /* 0: not said */
	struct span token;	     /* of announce_peer and put */
	uint16_t port;		     /* of announce_peer */
	bool is_port_implied, is_seed;
	bool is_scrape;	       /* of get_peers */
	bool has_seq, has_cas; /* of get; of put */
	int64_t seq, cas;
	struct span value, salt;  /* of put */
	const uint8_t *key, *sig; /* of put; NULL: immutable */
};

size_t krpc_encode_query(uint8_t *out, size_t room, const struct krpc_query *q);

/* Spans without ptr are left out. */
struct krpc_answer {
	struct span tid;
	const struct addr *to;
	const struct dht_id *self;
	struct span nodes, nodes6, token;
	const uint8_t *peers; /* n_peers of peer_bytes (6 or 18) each */
	size_t n_peers, peer_bytes;
	const uint8_t *filter_seeds, *filter_peers;
	bool has_samples;
	struct span samples;
	int64_t num, interval;
	bool has_seq;
	int64_t seq;
	struct span value;
	const uint8_t *key, *sig;
};

size_t krpc_encode_answer(uint8_t *out, size_t room,
			  const struct krpc_answer *a);
size_t krpc_encode_error(uint8_t *out, size_t room, struct span tid,
			 const struct addr *to, enum krpc_code code,
			 const char *text);

/* krpc_tid — the number that krpc_encode_query wrote; false: not one of ours.
 */
bool krpc_tid(struct span tid, uint32_t *out);

#endif
