/* metainfo_encode — writing a .torrent (BEP 3, 12, 27, 47, 52).
 *
 * Keys are written in ascending order by the order of the statements here;
 * benc_decode, strict, is what the tests hold the output to. Where the BEPs
 * leave a choice (which letters of attr, in which order; a symlink without a
 * length in the tree) it is libtorrent's, so that whoever makes a torrent of
 * the same files gets the same info-hash.
 *
 * The file tree comes out of the sorted list in one pass: what a path shares
 * with the one before it stays open. */
#include "core/metainfo_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"

static void put_elements(struct buf *out, const char *key,
			 const char *const *elem, uint32_t n)
{
	benc_put_cstr(out, key);
	benc_put_list(out);
	for (uint32_t i = 0; i < n; i++)
		benc_put_cstr(out, elem[i]);
	benc_put_end(out);
}

/* ---- BEP 47 ---- */

static void put_attr(struct buf *out, const struct mi_source_file *f)
{
	static const struct {
		unsigned attr;
		char letter;
	} letters[] = {
		{MI_ATTR_PAD, 'p'},
		{MI_ATTR_HIDDEN, 'h'},
		{MI_ATTR_EXEC, 'x'},
		{MI_ATTR_SYMLINK, 'l'},
	};
	char text[4];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (f->attr & letters[i].attr)
			text[n++] = letters[i].letter;
	if (n == 0)
		return;
	benc_put_cstr(out, "attr");
	benc_put_str(out, text, n);
}

static void put_link(struct buf *out, const struct mi_source_file *f)
{
	if (f->attr & MI_ATTR_SYMLINK)
		put_elements(out, "symlink path", f->link, f->n_link);
}

/* ---- the v1 list ---- */

static void put_length(struct buf *out, const struct mi_source_file *f)
{
	benc_put_cstr(out, "length");
	benc_put_int(out, (int64_t)f->len_bytes);
}

static void put_files(struct buf *out, const struct mi_source *src)
{
	benc_put_cstr(out, "files");
	benc_put_list(out);
	for (uint32_t i = 0; i < src->n_files; i++) {
		const struct mi_source_file *f = &src->files[i];

		benc_put_dict(out);
		put_attr(out, f);
		put_length(out, f);
		put_elements(out, "path", f->path, f->n_path);
		put_link(out, f);
		benc_put_end(out);
	}
	benc_put_end(out);
}

/* ---- the v2 tree ---- */

/* The fields of a file, below its name's empty key. */
static void put_leaf(struct buf *out, const struct mi_source_file *f)
{
	benc_put_cstr(out, "");
	benc_put_dict(out);
	put_attr(out, f);
	if (f->attr & MI_ATTR_SYMLINK) {
		put_link(out, f);
	} else {
		put_length(out, f);
		if (f->len_bytes > 0) {
			benc_put_cstr(out, "pieces root");
			benc_put_str(out, f->root, HASH_SHA256_BYTES);
		}
	}
	benc_put_end(out);
}

/* How many directories two paths share. */
static uint32_t common_dirs(const struct mi_source_file *a,
			    const struct mi_source_file *b)
{
	uint32_t n = a->n_path < b->n_path ? a->n_path : b->n_path;
	uint32_t i = 0;

	while (i + 1 < n && strcmp(a->path[i], b->path[i]) == 0)
		i++;
	return i;
}

static void put_tree(struct buf *out, const struct mi_source *src)
{
	const struct mi_source_file *last = NULL;
	uint32_t n_open = 0; /* directories */

	benc_put_cstr(out, "file tree");
	benc_put_dict(out);
	for (uint32_t i = 0; i < src->n_files; i++) {
		const struct mi_source_file *f = &src->files[i];
		uint32_t common;

		if (f->attr & MI_ATTR_PAD)
			continue;
		common = last != NULL ? common_dirs(last, f) : 0;
		for (; n_open > common; n_open--)
			benc_put_end(out);
		for (; n_open + 1 < f->n_path; n_open++) {
			benc_put_cstr(out, f->path[n_open]);
			benc_put_dict(out);
		}
		benc_put_cstr(out, f->path[n_open]);
		benc_put_dict(out);
		put_leaf(out, f);
		benc_put_end(out);
		last = f;
	}
	for (; n_open > 0; n_open--)
		benc_put_end(out);
	benc_put_end(out);
}

/* ---- piece layers ---- */

static int compare_roots(const void *a, const void *b)
{
	const struct mi_source_file *const *fa = a, *const *fb = b;

	return memcmp((*fa)->root, (*fb)->root, HASH_SHA256_BYTES);
}

/* Files of equal content have one entry. */
static int put_layers(struct buf *out, const struct mi_source *src)
{
	const struct mi_source_file **long_files;
	uint32_t n = 0;

	long_files = mem_zalloc(src->n_files, sizeof(*long_files));
	if (long_files == NULL)
		return ENOMEM;
	for (uint32_t i = 0; i < src->n_files; i++)
		if (src->files[i].layer != NULL)
			long_files[n++] = &src->files[i];
	qsort(long_files, n, sizeof(*long_files), compare_roots);
	benc_put_cstr(out, "piece layers");
	benc_put_dict(out);
	for (uint32_t i = 0; i < n; i++) {
		const struct mi_source_file *f = long_files[i];
		uint64_t n_pieces = (f->len_bytes + src->piece_bytes - 1) /
				    src->piece_bytes;

		if (i > 0 &&
		    compare_roots(&long_files[i - 1], &long_files[i]) == 0)
			continue;
		benc_put_str(out, f->root, HASH_SHA256_BYTES);
		benc_put_str(out, f->layer,
			     (size_t)n_pieces * HASH_SHA256_BYTES);
	}
	benc_put_end(out);
	mem_free(long_files);
	return 0;
}

/* ---- the whole ---- */

static void put_info(struct buf *out, const struct mi_source *src)
{
	const bool has_v1 = src->v1_hashes != NULL;

	benc_put_dict(out);
	if (has_v1 && src->is_single)
		put_attr(out, &src->files[0]);
	if (src->has_v2)
		put_tree(out, src);
	if (has_v1 && src->is_single)
		put_length(out, &src->files[0]);
	else if (has_v1)
		put_files(out, src);
	if (src->has_v2) {
		benc_put_cstr(out, "meta version");
		benc_put_int(out, 2);
	}
	benc_put_cstr(out, "name");
	benc_put_cstr(out, src->name);
	benc_put_cstr(out, "piece length");
	benc_put_int(out, src->piece_bytes);
	if (has_v1) {
		benc_put_cstr(out, "pieces");
		benc_put_str(out, src->v1_hashes,
			     (size_t)src->n_pieces * HASH_SHA1_BYTES);
	}
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

int metainfo_encode(const struct mi_source *src, struct buf *out)
{
	int r = 0;

	benc_put_dict(out);
	put_trackers(out, src);
	if (src->created_s > 0) {
		benc_put_cstr(out, "creation date");
		benc_put_int(out, src->created_s);
	}
	benc_put_cstr(out, "info");
	put_info(out, src);
	if (src->has_v2)
		r = put_layers(out, src);
	benc_put_end(out);
	return r != 0 ? r : buf_err(out);
}
