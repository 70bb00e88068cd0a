/* metainfo_list — what both lists have in common: a file, as a torrent states
 * it, read from its dictionary (BEP 3, 47, 52).
 *
 * One file's is there at a time, and lies over the torrent's bytes: its path is
 * spans of them, in the room that a list has for one path. */
#include "core/metainfo_internal.h"

#include <assert.h>
#include <errno.h>

#include "core/name.h"

int mi_list_unfold(struct mi_list *l, benc_ref dict)
{
	int r = benc_unfold(&l->p->doc, dict, &l->room);

	return r == EFBIG ? mi_refuse(l->p, EFBIG, "a file has too many fields")
			  : r;
}

int mi_list_add(struct mi_list *l, const struct benc *doc)
{
	if (l->n >= METAINFO_MAX_FILES)
		return mi_refuse(l->p, EFBIG, "more than %d files",
				 METAINFO_MAX_FILES);
	l->n++;
	l->file =
		(struct mi_raw){.elem = l->elem, .doc = doc, .link = BENC_NONE};
	return 0;
}

int mi_list_path(struct mi_list *l, uint32_t n)
{
	if (n > METAINFO_MAX_DEPTH)
		return mi_refuse(l->p, EFBIG, "directories are deeper than %d",
				 METAINFO_MAX_DEPTH);
	if (n > METAINFO_MAX_ELEMENTS - l->n_elem)
		return mi_refuse(l->p, EFBIG, "too many path elements");
	l->n_elem += n;
	return 0;
}

void mi_list_elem(struct mi_list *l, struct span elem)
{
	assert(l->file.n_elem < METAINFO_MAX_DEPTH);
	if (!name_is_skipped(elem.ptr, elem.len))
		l->elem[l->file.n_elem++] = elem;
}

int mi_list_attr(struct mi_list *l, benc_ref dict)
{
	struct mi_raw *file = &l->file;
	struct span attr;

	if (!benc_get_str(file->doc, dict, "attr", &attr))
		return 0;
	for (size_t i = 0; i < attr.len; i++) {
		if (attr.ptr[i] == 'p')
			file->attr |= MI_ATTR_PAD;
		else if (attr.ptr[i] == 'x')
			file->attr |= MI_ATTR_EXEC;
		else if (attr.ptr[i] == 'l')
			file->attr |= MI_ATTR_SYMLINK;
		else if (attr.ptr[i] == 'h')
			file->attr |= MI_ATTR_HIDDEN;
	}
	if (!(file->attr & MI_ATTR_SYMLINK))
		return 0;
	file->link = benc_get_type(file->doc, dict, "symlink path", BENC_LIST);
	if (file->link == BENC_NONE)
		return mi_refuse(l->p, EBADMSG, "a symlink has no target");
	return 0;
}

int mi_list_length(struct mi_list *l, benc_ref dict)
{
	int64_t len;

	if (l->file.attr & MI_ATTR_SYMLINK)
		return 0;
	if (!benc_get_int(l->file.doc, dict, "length", &len))
		return mi_refuse(l->p, EBADMSG, "a file has no length");
	if (len < 0)
		return mi_refuse(l->p, EBADMSG, "a file's length is negative");
	if (len > METAINFO_MAX_TOTAL_BYTES)
		return mi_refuse(l->p, EFBIG, "a file is too large");
	l->file.len_bytes = (uint64_t)len;
	return 0;
}

void mi_list_fini(struct mi_list *l)
{
	benc_fini(&l->room);
}
