/* webseed_url — where a web seed has which byte (BEP 19). Pure. */
#ifndef SHOAL_NET_WEBSEED_URL_H
#define SHOAL_NET_WEBSEED_URL_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct metainfo;

/* webseed_url_is_base — a base is a path only: what has a query or a fragment
 * cannot be built upon, and a stranger's query is not sent to anybody. */
bool webseed_url_is_base(const char *url);

/* webseed_url_build — the URL of one file, added to `out`, whose sticky error
 * tells of ENOMEM. */
void webseed_url_build(struct buf *out, const char *base,
		       const struct metainfo *mi, uint32_t file_ix);

/* A stretch of piece space that lies in one file. */
struct webseed_span {
	uint32_t file_ix;
	uint64_t off_bytes; /* in the file */
	uint64_t len_bytes;
	bool is_pad; /* zeros, which no server has */
};

/* webseed_url_span — the first stretch of [at, end), which has no gap. */
struct webseed_span webseed_url_span(const struct metainfo *mi,
				     uint64_t at_bytes, uint64_t end_bytes);

#endif
