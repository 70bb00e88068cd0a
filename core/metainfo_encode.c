/* metainfo_encode — writing a .torrent (BEP 3, BEP 12, BEP 27).
 *
 * Keys are written in ascending order by the order of the statements here;
 * benc_decode, strict, is what the tests hold the output to. */
#include "core/metainfo_internal.h"

#include "core/buf.h"

static void put_path(struct buf *out, const struct mi_source_file *f)
{
	benc_put_cstr(out, "path");
	benc_put_list(out);
	for (uint32_t i = 0; i < f->n_path; i++)
		benc_put_cstr(out, f->path[i]);
	benc_put_end(out);
}

static void put_files(struct buf *out, const struct mi_source *src)
{
	benc_put_cstr(out, "files");
	benc_put_list(out);
	for (uint32_t i = 0; i < src->n_files; i++) {
		const struct mi_source_file *f = &src->files[i];

		benc_put_dict(out);
		benc_put_cstr(out, "length");
		benc_put_int(out, (int64_t)f->len_bytes);
		put_path(out, f);
		benc_put_end(out);
	}
	benc_put_end(out);
}

static void put_info(struct buf *out, const struct mi_source *src)
{
	benc_put_dict(out);
	if (src->is_single) {
		benc_put_cstr(out, "length");
		benc_put_int(out, (int64_t)src->files[0].len_bytes);
	} else {
		put_files(out, src);
	}
	benc_put_cstr(out, "name");
	benc_put_cstr(out, src->name);
	benc_put_cstr(out, "piece length");
	benc_put_int(out, src->piece_bytes);
	benc_put_cstr(out, "pieces");
	benc_put_str(out, src->v1_hashes,
		     (size_t)src->n_pieces * HASH_SHA1_BYTES);
	if (src->is_private) {
		benc_put_cstr(out, "private");
		benc_put_int(out, 1);
	}
	benc_put_end(out);
}

static void put_trackers(struct buf *out, const struct mi_source *src)
{
	if (src->n_trackers == 0)
		return;
	benc_put_cstr(out, "announce");
	benc_put_cstr(out, src->trackers[0]);
	if (src->n_trackers == 1)
		return;
	benc_put_cstr(out, "announce-list");
	benc_put_list(out);
	for (uint32_t i = 0; i < src->n_trackers; i++) {
		benc_put_list(out);
		benc_put_cstr(out, src->trackers[i]);
		benc_put_end(out);
	}
	benc_put_end(out);
}

int metainfo_encode_v1(const struct mi_source *src, struct buf *out)
{
	benc_put_dict(out);
	put_trackers(out, src);
	if (src->created_s > 0) {
		benc_put_cstr(out, "creation date");
		benc_put_int(out, src->created_s);
	}
	benc_put_cstr(out, "info");
	put_info(out, src);
	benc_put_end(out);
	return buf_err(out);
}
