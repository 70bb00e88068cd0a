/* content — walking a tree with fts(3), which neither recurses nor changes
 * directory here (FTS_NOCHDIR), and sorts each directory by name; the order
 * of full paths is then the one that other makers of torrents use too.
 *
 * Symlinks (BEP 47). A torrent states a target from its own top. So a link's
 * text is resolved against the directory it lies in, as text: what the names
 * on the way are is not looked at, and a target that is not there may come
 * later. One that leaves the tree, or is the tree itself, cannot be stated.
 *
 * Piece sizes are libtorrent's, so that equal files make equal torrents when
 * nobody says a size: the list of hashes, 20 bytes a piece, grows with twice
 * the square root of the content. */
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/content.h"
#include "core/core_limits.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/metainfo.h"

struct scan {
	struct content *c;
	unsigned want;
	uint32_t cap;
	uint32_t n_unasked; /* links left out since nobody asked for any */
	uint32_t n_outside; /* links that lead out of the tree */
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* ---- paths ---- */

static uint32_t count_parts(const char *path)
{
	uint32_t n = 1;

	for (const char *p = path; *p; p++)
		n += *p == '/';
	return n;
}

/* "a/b/c" into elements that point into one copy. */
static int split_path(struct content_file *f, const char *rel)
{
	uint32_t i = 0;

	f->n_path = count_parts(rel);
	f->split = mem_strdup(rel);
	f->path = mem_zalloc(f->n_path, sizeof(*f->path));
	if (!f->split || !f->path)
		return ENOMEM;
	f->path[i++] = f->split;
	for (char *p = f->split; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		f->path[i++] = p + 1;
	}
	return 0;
}

/* Where a link at `f` with this text leads, into f->link; n_link is 0 when that
 * is not below the top. */
static int resolve(const struct content *c, struct content_file *f,
		   const char *text)
{
	size_t root_len = strlen(c->root);
	uint32_t n = f->n_path - 1; /* the directories above it */
	char *rest;

	if (text[0] == '/') {
		if (strncmp(text, c->root, root_len) != 0 ||
		    text[root_len] != '/')
			return 0;
		text += root_len;
		n = 0;
	}
	f->link_split = mem_strdup(text);
	f->link = mem_zalloc(n + count_parts(text), sizeof(*f->link));
	if (!f->link_split || !f->link)
		return ENOMEM;
	memcpy(f->link, f->path, n * sizeof(*f->link));
	for (char *word = strtok_r(f->link_split, "/", &rest); word;
	     word = strtok_r(NULL, "/", &rest)) {
		if (strcmp(word, ".") == 0)
			continue;
		if (strcmp(word, "..") != 0)
			f->link[n++] = word;
		else if (n-- == 0)
			return 0;
	}
	f->n_link = n;
	return 0;
}

/* ---- the list ---- */

static int add_entry(struct content_file **files, uint32_t *n, uint32_t *cap,
		     struct content_file **out)
{
	struct content_file *grown;

	if (*n == METAINFO_MAX_FILES)
		return E2BIG;
	if (*n == *cap) {
		uint32_t more = *cap ? *cap * 2 : 64;

		grown = mem_grow(*files, more, sizeof(**files));
		if (!grown)
			return ENOMEM;
		*files = grown;
		*cap = more;
	}
	*out = &(*files)[(*n)++];
	memset(*out, 0, sizeof(**out));
	return 0;
}

static void drop_entry(struct content_file *f)
{
	mem_free(f->rel);
	mem_free(f->split);
	mem_free(f->path);
	mem_free(f->link_split);
	mem_free(f->link);
}

static int add_file(struct scan *s, const char *rel, const struct stat *sb,
		    struct content_file **out)
{
	struct content *c = s->c;
	struct content_file *f;
	int r = add_entry(&c->files, &c->n_files, &s->cap, &f);

	if (r != 0)
		return r;
	*out = f;
	f->rel = mem_strdup(rel);
	if (!f->rel)
		return ENOMEM;
	if ((s->want & CONTENT_EXEC) && (sb->st_mode & S_IXUSR))
		f->attr |= MI_ATTR_EXEC;
	f->len_bytes = S_ISREG(sb->st_mode) ? (uint64_t)sb->st_size : 0;
	f->off_bytes = c->total_bytes;
	c->total_bytes += f->len_bytes;
	if (c->total_bytes > (uint64_t)METAINFO_MAX_TOTAL_BYTES)
		return EFBIG;
	return split_path(f, rel);
}

static int add_link(struct scan *s, const FTSENT *e, const char *rel)
{
	char text[PATH_MAX];
	struct content_file *f;
	ssize_t n;
	int r;

	if (!(s->want & CONTENT_LINKS)) {
		s->n_unasked++;
		return 0;
	}
	n = readlink(e->fts_accpath, text, sizeof(text));
	if (n < 0 || n == (ssize_t)sizeof(text))
		return n < 0 ? errno : ENAMETOOLONG;
	text[n] = '\0';
	r = add_file(s, rel, e->fts_statp, &f);
	if (r == 0)
		r = resolve(s->c, f, text);
	if (r != 0)
		return r;
	f->attr |= MI_ATTR_SYMLINK;
	if (f->n_link == 0) {
		drop_entry(f);
		s->c->n_files--;
		s->n_outside++;
	}
	return 0;
}

static int visit(struct scan *s, const FTSENT *e)
{
	struct content *c = s->c;
	const char *rel = e->fts_path + strlen(c->root);
	struct content_file *f;

	while (*rel == '/')
		rel++;
	switch (e->fts_info) {
	case FTS_F:
		c->is_single = e->fts_level == FTS_ROOTLEVEL;
		return add_file(s, c->is_single ? c->name : rel, e->fts_statp,
				&f);
	case FTS_SL:
	case FTS_SLNONE:
		return add_link(s, e, rel);
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
static int walk(struct scan *s)
{
	char *const roots[] = {s->c->root, NULL};
	FTSENT *e;
	FTS *fts;
	int r = 0;

	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	if (!fts)
		return errno;
	while (r == 0 && (errno = 0, e = fts_read(fts)) != NULL)
		r = visit(s, e);
	if (r == 0 && errno)
		r = errno;
	(void)fts_close(fts);
	return r;
}

static void say_left_out(const struct scan *s)
{
	if (s->n_unasked > 0)
		log_warn("%s: %u symbolic links left out: --symlinks keeps "
			 "those that stay inside",
			 s->c->root, s->n_unasked);
	if (s->n_outside > 0)
		log_warn("%s: %u symbolic links left out: they lead outside",
			 s->c->root, s->n_outside);
}

int content_scan(const char *path, unsigned want, struct content *c,
		 char why[WHY_BYTES])
{
	struct scan s = {.c = c, .want = want};
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
	r = c->root && c->name ? walk(&s) : ENOMEM;
	if (!r)
		say_left_out(&s);
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
	for (uint32_t i = 0; i < c->n_files; i++)
		drop_entry(&c->files[i]);
	mem_free(c->files);
	mem_free(c->root);
	mem_free(c->name);
	memset(c, 0, sizeof(*c));
}

/* ---- pieces ---- */

uint32_t content_piece_bytes(const struct content *c)
{
	uint64_t size = 16 << 10;

	while (size < 16 << 20 && c->total_bytes > (size * size + 50) / 100)
		size *= 2;
	return (uint32_t)size;
}

uint32_t content_n_pieces(const struct content *c, uint32_t piece_bytes)
{
	return (uint32_t)((c->total_bytes + piece_bytes - 1) / piece_bytes);
}

static uint64_t to_boundary(uint64_t off, uint32_t piece_bytes)
{
	return (piece_bytes - off % piece_bytes) % piece_bytes;
}

/* v2 alone: each file with content begins at a piece. */
static void align(struct content *c, uint32_t piece_bytes)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < c->n_files; i++) {
		struct content_file *f = &c->files[i];

		if (f->len_bytes > 0)
			at += to_boundary(at, piece_bytes);
		f->off_bytes = at;
		at += f->len_bytes;
	}
	c->total_bytes = at;
}

static int add_pad(struct content *c, uint32_t *cap, uint64_t len)
{
	struct content_file *pad;
	char path[32];
	int r = add_entry(&c->files, &c->n_files, cap, &pad);

	if (r != 0)
		return r;
	pad->attr = MI_ATTR_PAD;
	pad->len_bytes = len;
	pad->off_bytes = c->total_bytes;
	c->total_bytes += len;
	(void)snprintf(path, sizeof(path), ".pad/%llu",
		       (unsigned long long)len);
	return split_path(pad, path);
}

/* A hybrid: what v2 leaves empty is a file of v1, behind the last file too. */
static int pad(struct content *c, uint32_t piece_bytes)
{
	struct content_file *old = c->files, *f;
	uint32_t n = c->n_files, cap = 0, i;
	int r = 0;

	c->files = NULL;
	c->n_files = 0;
	c->total_bytes = 0;
	for (i = 0; i < n && r == 0; i++) {
		r = add_entry(&c->files, &c->n_files, &cap, &f);
		if (r != 0)
			break;
		*f = old[i];
		f->off_bytes = c->total_bytes;
		c->total_bytes += f->len_bytes;
		if (n > 1 && c->total_bytes % piece_bytes != 0 &&
		    f->len_bytes > 0)
			r = add_pad(c, &cap,
				    to_boundary(c->total_bytes, piece_bytes));
	}
	for (; i < n; i++)
		drop_entry(&old[i]);
	mem_free(old);
	return r;
}

int content_layout(struct content *c, uint32_t piece_bytes,
		   struct content_kind kind, char why[WHY_BYTES])
{
	const size_t hash_bytes = (kind.has_v1 ? (size_t)HASH_SHA1_BYTES : 0) +
				  (kind.has_v2 ? (size_t)HASH_SHA256_BYTES : 0);
	uint64_t n_pieces;
	int r = 0;

	if (kind.has_v1 && kind.has_v2)
		r = pad(c, piece_bytes);
	else if (kind.has_v2)
		align(c, piece_bytes);
	if (r != 0)
		return r;
	n_pieces = (c->total_bytes + piece_bytes - 1) / piece_bytes;
	if (n_pieces <= METAINFO_MAX_PIECES &&
	    n_pieces * hash_bytes <= METAINFO_MAX_BYTES)
		return 0;
	(void)snprintf(why, WHY_BYTES,
		       "%.200s: %llu pieces are too many: take larger ones",
		       c->root, (unsigned long long)n_pieces);
	return EFBIG;
}
