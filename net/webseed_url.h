/* webseed_url — what a web seed is asked for which byte: a range of a file
 * (BEP 19), or of a piece (BEP 17). Pure. */
#ifndef SHOAL_NET_WEBSEED_URL_H
#define SHOAL_NET_WEBSEED_URL_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct metainfo;

enum webseed_kind {
	WEBSEED_FILES,	/* BEP 19: a plain server of the files */
	WEBSEED_PIECES, /* BEP 17: a script that knows the torrent */
};

/* webseed_url_may_be — may the URL be of use to some torrent? It has no
 * fragment and, of WEBSEED_PIECES, no field that is ours to add. */
bool webseed_url_may_be(enum webseed_kind kind, const char *url);

/* webseed_url_fits — and to this one? Names of files cannot be put behind a
 * query. */
bool webseed_url_fits(enum webseed_kind kind, const char *url,
		      const struct metainfo *mi);

/* A stretch of piece space that is asked for in one request. */
struct webseed_span {
	uint32_t ix;	    /* of the file, or the piece */
	uint64_t off_bytes; /* in it */
	uint64_t len_bytes;
	bool is_pad; /* zeros, which no server of files has */
};

/* webseed_url_span — the first stretch of [at, end), which has no gap. */
struct webseed_span webseed_url_span(enum webseed_kind kind,
				     const struct metainfo *mi,
				     uint64_t at_bytes, uint64_t end_bytes);

/* webseed_url_file — the URL of one file, added to `out`, whose sticky error
 * tells of ENOMEM. */
void webseed_url_file(struct buf *out, const char *base,
		      const struct metainfo *mi, uint32_t file_ix);

/* webseed_url_piece — the URL of a part of a piece. */
void webseed_url_piece(struct buf *out, const char *base,
		       const struct metainfo *mi,
		       const struct webseed_span *span);

#endif
