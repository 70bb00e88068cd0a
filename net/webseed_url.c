/* webseed_url — from piece space to a server's files.
 *
 * BEP 19: the address of a torrent of one file is that file's, or, ending in a
 * slash, its directory's. Of a torrent of many it is that of the directory in
 * which the torrent's top directory lies; a slash that is missing there is
 * added. Names are those that the torrent states, not our cleaned ones, and
 * what is not unreserved in them (RFC 3986) is percent-encoded, so that
 * nothing in a name can be a query or another path. */
#include "net/webseed_url.h"

#include <string.h>

#include "core/buf.h"
#include "core/metainfo.h"

static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz"
				 "0123456789-._~";

bool webseed_url_is_base(const char *url)
{
	return strpbrk(url, "?#") == NULL;
}

static void add_name(struct buf *out, struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if (c != '\0' && strchr(unreserved, c) != NULL)
			buf_add_u8(out, c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

void webseed_url_build(struct buf *out, const char *base,
		       const struct metainfo *mi, uint32_t file_ix)
{
	const struct mi_file *f = &mi->files[file_ix];
	size_t len = strlen(base);
	bool is_dir = len > 0 && base[len - 1] == '/';

	buf_add(out, base, len);
	if (mi->is_single && !is_dir)
		return;
	if (!is_dir)
		buf_add_u8(out, '/');
	add_name(out, mi->raw_name);
	for (uint32_t i = 0; !mi->is_single && i < f->n_path; i++) {
		buf_add_u8(out, '/');
		add_name(out,
			 f->raw != NULL ? f->raw[i] : span_str(f->path[i]));
	}
}

struct webseed_span webseed_url_span(const struct metainfo *mi,
				     uint64_t at_bytes, uint64_t end_bytes)
{
	uint32_t ix = metainfo_file_at(mi, at_bytes);
	const struct mi_file *f = &mi->files[ix];
	uint64_t file_end = f->off_bytes + f->len_bytes;

	if (end_bytes > file_end)
		end_bytes = file_end;
	return (struct webseed_span){
		.file_ix = ix,
		.off_bytes = at_bytes - f->off_bytes,
		.len_bytes = end_bytes - at_bytes,
		.is_pad = (f->attr & MI_ATTR_PAD) != 0,
	};
}
