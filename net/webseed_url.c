/* webseed_url — from piece space to a server's files or pieces.
 *
 * BEP 19: the address of a torrent of one file is that file's, or, ending in a
 * slash, its directory's. Of a torrent of many it is that of the directory in
 * which the torrent's top directory lies; a slash that is missing there is
 * added. Names are those that the torrent states, not our cleaned ones, and
 * what is not unreserved in them (RFC 3986) is percent-encoded, so that
 * nothing in a name can be a query or another path. So an address with a query
 * will do for a torrent of one file only, and means the file.
 *
 * BEP 17: the address is a script's, which is told the torrent, the piece and
 * what of it is wanted; a query that it has already stays in front. It has all
 * of a piece, pad files too. */
#include "net/webseed_url.h"

#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/metainfo.h"
#include "core/torrent_id.h"
#include "net/urlquery.h"

bool webseed_url_may_be(enum webseed_kind kind, const char *url)
{
	static const char *const own[] = {"info_hash", "piece", "ranges"};

	if (strchr(url, '#') != NULL)
		return false;
	return kind == WEBSEED_FILES ||
	       !urlquery_has(url, own, sizeof(own) / sizeof(own[0]));
}

static bool is_dir(const char *url)
{
	size_t len = strlen(url);

	return len > 0 && url[len - 1] == '/';
}

bool webseed_url_fits(enum webseed_kind kind, const char *url,
		      const struct metainfo *mi)
{
	return webseed_url_may_be(kind, url) &&
	       (kind == WEBSEED_PIECES || !urlquery_is_there(url) ||
		mi->is_single);
}

void webseed_url_file(struct buf *out, const char *base,
		      const struct metainfo *mi, uint32_t file_ix)
{
	const struct mi_file *f = &mi->files[file_ix];

	buf_add_str(out, base);
	if (mi->is_single && (!is_dir(base) || urlquery_is_there(base)))
		return;
	if (!is_dir(base))
		buf_add_u8(out, '/');
	urlquery_escape(out, mi->raw_name.ptr, mi->raw_name.len);
	for (uint32_t i = 0; !mi->is_single && i < f->n_path; i++) {
		struct span name =
			f->raw != NULL ? f->raw[i] : span_str(f->path[i]);

		buf_add_u8(out, '/');
		urlquery_escape(out, name.ptr, name.len);
	}
}

void webseed_url_piece(struct buf *out, const char *base,
		       const struct metainfo *mi,
		       const struct webseed_span *span)
{
	const uint8_t *hash = torrent_id_wire(&mi->id);

	urlquery_begin(out, base);
	buf_add_str(out, "info_hash=");
	urlquery_escape(out, hash, HASH_SHA1_BYTES);
	buf_addf(out, "&piece=%" PRIu32, span->ix);
	if (span->len_bytes < metainfo_piece_bytes(mi, span->ix))
		buf_addf(out, "&ranges=%" PRIu64 "-%" PRIu64, span->off_bytes,
			 span->off_bytes + span->len_bytes - 1);
}

static struct webseed_span file_span(const struct metainfo *mi,
				     uint64_t at_bytes, uint64_t end_bytes)
{
	uint32_t ix = metainfo_file_at(mi, at_bytes);
	const struct mi_file *f = &mi->files[ix];
	uint64_t file_end = f->off_bytes + f->len_bytes;

	if (end_bytes > file_end)
		end_bytes = file_end;
	return (struct webseed_span){
		.ix = ix,
		.off_bytes = at_bytes - f->off_bytes,
		.len_bytes = end_bytes - at_bytes,
		.is_pad = (f->attr & MI_ATTR_PAD) != 0,
	};
}

static struct webseed_span piece_span(const struct metainfo *mi,
				      uint64_t at_bytes, uint64_t end_bytes)
{
	uint32_t ix = (uint32_t)(at_bytes / mi->piece_bytes);
	uint64_t from = (uint64_t)ix * mi->piece_bytes;
	uint64_t to = from + metainfo_piece_bytes(mi, ix);

	if (end_bytes > to)
		end_bytes = to;
	return (struct webseed_span){
		.ix = ix,
		.off_bytes = at_bytes - from,
		.len_bytes = end_bytes - at_bytes,
	};
}

struct webseed_span webseed_url_span(enum webseed_kind kind,
				     const struct metainfo *mi,
				     uint64_t at_bytes, uint64_t end_bytes)
{
	return kind == WEBSEED_FILES ? file_span(mi, at_bytes, end_bytes)
				     : piece_span(mi, at_bytes, end_bytes);
}
