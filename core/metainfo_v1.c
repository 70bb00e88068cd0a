/* metainfo_v1 — the file list of BEP 3.
 *
 * "length" says one file, "files" a list of them below a directory. A path is
 * "path.utf-8" where that is there: old clients wrote "path" in the encoding
 * of their system. Elements that mean nothing as a name (".", "..", "") are
 * left out; a path of which nothing is left gets its name in
 * metainfo_paths.c.
 *
 * Pad files (BEP 47) are marked; those of a client that named them instead of
 * marking them are recognised by that name. */
#include "core/metainfo_internal.h"

#include <errno.h>

#include "core/name.h"

static const char pad_prefix[] = "_____padding_file_";

static int read_path(struct mi_parse *p, benc_ref dict, struct mi_raw *file)
{
	const struct benc *doc = &p->doc;
	benc_ref path = benc_get_type(doc, dict, "path.utf-8", BENC_LIST);
	struct span *elem;
	int r;

	if (path == BENC_NONE)
		path = benc_get_type(doc, dict, "path", BENC_LIST);
	if (path == BENC_NONE)
		return mi_refuse(p, EBADMSG, "a file has no path");
	r = mi_path_room(p, &p->v1, benc_count(doc, path), &elem);
	if (r != 0)
		return r;
	file->elem = elem;
	for (benc_ref e = benc_first(doc, path); e != BENC_NONE;
	     e = benc_next(doc, e)) {
		struct span s;

		if (!benc_is(doc, e, BENC_STR))
			return mi_refuse(p, EBADMSG,
					 "a path element is no string");
		s = benc_str(doc, e);
		if (!name_is_skipped(s.ptr, s.len))
			elem[file->n_elem++] = s;
	}
	return 0;
}

static void mark_named_pad(struct mi_raw *file)
{
	const size_t len = sizeof(pad_prefix) - 1;
	struct span last;

	if (file->n_elem == 0)
		return;
	last = file->elem[file->n_elem - 1];
	if (last.len >= len && memcmp(last.ptr, pad_prefix, len) == 0)
		file->attr |= MI_ATTR_PAD;
}

static int read_list(struct mi_parse *p, benc_ref files)
{
	const struct benc *doc = &p->doc;

	for (benc_ref f = benc_first(doc, files); f != BENC_NONE;
	     f = benc_next(doc, f)) {
		struct mi_raw *file;
		int r = mi_list_add(p, &p->v1, &file);

		if (r == 0 && !benc_is(doc, f, BENC_DICT))
			r = mi_refuse(p, EBADMSG, "a file is no dictionary");
		if (r == 0)
			r = mi_file_attr(p, f, file);
		if (r == 0)
			r = mi_file_length(p, f, file);
		if (r == 0)
			r = read_path(p, f, file);
		if (r != 0)
			return r;
		mark_named_pad(file);
	}
	return 0;
}

static int read_single(struct mi_parse *p)
{
	struct mi_raw *file;
	struct span *elem;
	int r = mi_list_add(p, &p->v1, &file);

	if (r == 0)
		r = mi_file_attr(p, p->info, file);
	if (r == 0)
		r = mi_file_length(p, p->info, file);
	if (r == 0)
		r = mi_path_room(p, &p->v1, 1, &elem);
	if (r != 0)
		return r;
	elem[0] = p->name;
	file->elem = elem;
	file->n_elem = 1;
	p->v1.is_single = true;
	return 0;
}

int mi_v1_read(struct mi_parse *p)
{
	benc_ref files = benc_get(&p->doc, p->info, "files");
	struct span pieces;

	if (!benc_get_str(&p->doc, p->info, "pieces", &pieces))
		return mi_refuse(p, EBADMSG, "there are no piece hashes");
	if (pieces.len % HASH_SHA1_BYTES != 0)
		return mi_refuse(
			p, EBADMSG,
			"the piece hashes are no multiple of 20 bytes");
	if (files == BENC_NONE)
		return read_single(p);
	if (!benc_is(&p->doc, files, BENC_LIST))
		return mi_refuse(p, EBADMSG, "files is no list");
	return read_list(p, files);
}
