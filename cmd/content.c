/* content — walking a tree with fts(3), which neither recurses nor changes
 * directory here (FTS_NOCHDIR), and sorts each directory by name; the order
 * of full paths is then the one that other makers of torrents use too. */
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/content.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* "a/b/c" into three elements that point into one copy. */
static int split_path(struct content_file *f)
{
	uint32_t n = 1, i = 0;

	for (const char *p = f->rel; *p; p++)
		n += *p == '/';
	f->split = mem_strdup(f->rel);
	f->path = mem_zalloc(n, sizeof(*f->path));
	if (!f->split || !f->path)
		return ENOMEM;
	f->path[i++] = f->split;
	for (char *p = f->split; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		f->path[i++] = p + 1;
	}
	f->n_path = n;
	return 0;
}

static int add_file(struct content *c, uint32_t *cap, const char *rel,
		    uint64_t len_bytes)
{
	struct content_file *f;

	if (c->n_files == METAINFO_MAX_FILES)
		return E2BIG;
	if (c->n_files == *cap) {
		uint32_t more = *cap ? *cap * 2 : 64;

		f = mem_grow(c->files, more, sizeof(*f));
		if (!f)
			return ENOMEM;
		c->files = f;
		*cap = more;
	}
	f = &c->files[c->n_files++];
	memset(f, 0, sizeof(*f));
	f->rel = mem_strdup(rel);
	if (!f->rel)
		return ENOMEM;
	f->len_bytes = len_bytes;
	f->off_bytes = c->total_bytes;
	c->total_bytes += len_bytes;
	if (c->total_bytes > (uint64_t)METAINFO_MAX_TOTAL_BYTES)
		return EFBIG;
	return split_path(f);
}

static int visit(struct content *c, uint32_t *cap, const FTSENT *e)
{
	size_t root_len = strlen(c->root);
	const char *rel = e->fts_path + root_len;

	switch (e->fts_info) {
	case FTS_F:
		c->is_single = e->fts_level == FTS_ROOTLEVEL;
		while (*rel == '/')
			rel++;
		return add_file(c, cap, c->is_single ? c->name : rel,
				(uint64_t)e->fts_statp->st_size);
	case FTS_D:
	case FTS_DP:
		return 0;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		log_err("%s: %s", e->fts_path, err_text(e->fts_errno));
		return e->fts_errno;
	default:
		log_warn("%s: left out: not a file or directory", e->fts_path);
		return 0;
	}
}

/* fts sorts a directory's entries by name, files and directories alike, and
 * so "a-b" comes before "a/c" as it must: elements are compared, not the
 * joined text. */
static int walk(struct content *c)
{
	char *const roots[] = {c->root, NULL};
	uint32_t cap = 0;
	FTSENT *e;
	FTS *fts;
	int r = 0;

	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (!fts)
		return errno;
	while (r == 0 && (errno = 0, e = fts_read(fts)) != NULL)
		r = visit(c, &cap, e);
	if (r == 0 && errno)
		r = errno;
	(void)fts_close(fts);
	return r;
}

int content_scan(const char *path, struct content *c, char why[WHY_BYTES])
{
	char real[PATH_MAX];
	const char *slash;
	int r;

	memset(c, 0, sizeof(*c));
	if (!realpath(path, real)) {
		r = errno;
		goto fail;
	}
	slash = strrchr(real, '/');
	c->root = mem_strdup(real);
	c->name = mem_strdup(slash[1] ? slash + 1 : "root");
	r = c->root && c->name ? walk(c) : ENOMEM;
	if (!r && c->total_bytes == 0)
		r = ENODATA;
	if (!r)
		return 0;
fail:
	(void)snprintf(why, WHY_BYTES, "%.200s: %s", path,
		       r == ENODATA ? "there is not one byte in it"
				    : err_text(r));
	content_fini(c);
	return r;
}

void content_fini(struct content *c)
{
	for (uint32_t i = 0; i < c->n_files; i++) {
		mem_free(c->files[i].rel);
		mem_free(c->files[i].split);
		mem_free(c->files[i].path);
	}
	mem_free(c->files);
	mem_free(c->root);
	mem_free(c->name);
	memset(c, 0, sizeof(*c));
}

uint32_t content_piece_bytes(const struct content *c)
{
	uint32_t size = 16 << 10;

	while (size < 16 << 20 && c->total_bytes / size > 2000)
		size *= 2;
	return size;
}
