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

static const char pad_prefix[] = "_____padding_file_";

static int read_path(struct mi_list *l, benc_ref dict)
{
	const struct benc *doc = l->file.doc;
	benc_ref path = benc_get_type(doc, dict, "path.utf-8", BENC_LIST);
	int r;

	if (path == BENC_NONE)
		path = benc_get_type(doc, dict, "path", BENC_LIST);
	if (path == BENC_NONE)
		return mi_refuse(l->p, EBADMSG, "a file has no path");
	r = mi_list_path(l, benc_count(doc, path));
	if (r != 0)
		return r;
	for (benc_ref e = benc_first(doc, path); e != BENC_NONE;
	     e = benc_next(doc, e)) {
		if (!benc_is(doc, e, BENC_STR))
			return mi_refuse(l->p, EBADMSG,
					 "a path element is no string");
		mi_list_elem(l, benc_str(doc, e));
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

static int read_file(struct mi_list *l, benc_ref f)
{
	struct mi_parse *p = l->p;
	int r;

	if (!benc_is(&p->doc, f, BENC_DICT))
		return mi_refuse(p, EBADMSG, "a file is no dictionary");
	r = mi_list_unfold(l, f);
	if (r == 0)
		r = mi_list_add(l, &l->room);
	if (r == 0)
		r = mi_list_attr(l, BENC_ROOT);
	if (r == 0)
		r = mi_list_length(l, BENC_ROOT);
	if (r == 0)
		r = read_path(l, BENC_ROOT);
	if (r == 0)
		mark_named_pad(&l->file);
	return r;
}

static int read_single(struct mi_list *l)
{
	struct mi_parse *p = l->p;
	int r = mi_list_add(l, &p->doc);

	if (r == 0)
		r = mi_list_attr(l, p->info);
	if (r == 0)
		r = mi_list_length(l, p->info);
	if (r != 0)
		return r;
	l->elem[0] = p->name;
	l->file.n_elem = 1;
	return 0;
}

int mi_v1_begin(struct mi_parse *p, struct mi_list *l)
{
	benc_ref files = benc_get(&p->doc, p->info, "files");
	struct span pieces;

	*l = (struct mi_list){.p = p, .at = BENC_NONE};
	if (!benc_get_str(&p->doc, p->info, "pieces", &pieces))
		return mi_refuse(p, EBADMSG, "there are no piece hashes");
	if (pieces.len % HASH_SHA1_BYTES != 0)
		return mi_refuse(
			p, EBADMSG,
			"the piece hashes are no multiple of 20 bytes");
	l->is_single = files == BENC_NONE;
	if (l->is_single)
		return 0;
	if (!benc_is(&p->doc, files, BENC_LIST))
		return mi_refuse(p, EBADMSG, "files is no list");
	l->at = benc_first(&p->doc, files);
	return 0;
}

uint32_t mi_v1_count(const struct mi_list *l)
{
	const struct benc *doc = &l->p->doc;
	benc_ref files = benc_get_type(doc, l->p->info, "files", BENC_LIST);

	return files == BENC_NONE ? 1 : benc_count(doc, files);
}

int mi_v1_next(struct mi_list *l)
{
	benc_ref f = l->at;

	if (l->is_single)
		return l->n == 0 ? read_single(l) : ENODATA;
	if (f == BENC_NONE)
		return ENODATA;
	l->at = benc_next(&l->p->doc, f);
	return read_file(l, f);
}
