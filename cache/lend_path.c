/* lend_path — see lend_path.h.
 *
 * Clients make a directory, or for a single file that file, and call everything
 * as the torrent states it; a name that no file can have they change, each in
 * its own way, and so do we. */
#include "cache/lend_path.h"

#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/metainfo.h"

/* May it be an element of a path? */
static bool is_name(struct span e)
{
	return e.len > 0 && e.len < 256 && memchr(e.ptr, '/', e.len) == NULL &&
	       memchr(e.ptr, '\0', e.len) == NULL && !span_is(e, ".") &&
	       !span_is(e, "..");
}

static void add_name(struct buf *b, struct span raw, const char *sanitised)
{
	if (b->len > 0)
		buf_add_u8(b, '/');
	if (is_name(raw))
		buf_add(b, raw.ptr, raw.len);
	else
		buf_add_str(b, sanitised);
}

bool lend_has_path(const struct metainfo *mi, uint32_t file_ix)
{
	const struct mi_file *f = &mi->files[file_ix];

	return (f->attr & (MI_ATTR_PAD | MI_ATTR_SYMLINK)) == 0 &&
	       f->len_bytes > 0;
}

char *lend_path(const struct metainfo *mi, uint32_t file_ix)
{
	const struct mi_file *f = &mi->files[file_ix];
	struct buf b = {0};
	char *path = NULL;

	if (!lend_has_path(mi, file_ix))
		return NULL;
	add_name(&b, mi->raw_name, mi->name);
	for (uint32_t i = 0; !mi->is_single && i < f->n_path; i++)
		add_name(&b, f->raw != NULL ? f->raw[i] : span_str(f->path[i]),
			 f->path[i]);
	if (buf_cstr(&b) != NULL)
		path = mem_strdup((const char *)b.data);
	buf_fini(&b);
	return path;
}

uint32_t lend_top_bytes(const struct metainfo *mi)
{
	struct buf b = {0};
	uint32_t n;

	if (mi->is_single)
		return 0;
	add_name(&b, mi->raw_name, mi->name);
	n = buf_err(&b) == 0 ? (uint32_t)b.len + 1 : 0;
	buf_fini(&b);
	return n;
}
