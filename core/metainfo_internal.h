/* metainfo_internal — what the metainfo_*.c files and piececheck.c share.
 *
 * Only they and tests/unit may include it. */
#ifndef SHOAL_CORE_METAINFO_INTERNAL_H
#define SHOAL_CORE_METAINFO_INTERNAL_H

#include <stdatomic.h>

#include "core/bencode.h"
#include "core/core_limits.h"
#include "core/metainfo.h"

/* ---- memory: everything of a metainfo dies at once ---- */

struct mi_chunk;

struct mi_arena {
	struct mi_chunk *chunks; /* the newest first */
	size_t left;		 /* bytes free in it */
};

/* mi_arena_alloc — zeroed and aligned for any type; lives until
 * mi_arena_fini. NULL when there is no memory. */
void *mi_arena_alloc(struct mi_arena *a, size_t n, size_t size);
char *mi_arena_strdup(struct mi_arena *a, const void *ptr, size_t len);
void mi_arena_fini(struct mi_arena *a);

/* ---- a file as the torrent states it ---- */

struct mi_raw {
	const struct span *elem; /* path below the top, as stated */
	uint32_t n_elem;
	uint64_t len_bytes;
	unsigned attr;
	const struct benc *doc; /* where it is stated */
	benc_ref link;		/* list of a symlink's target, or BENC_NONE */
	const uint8_t *root;
};

/* One of the lists, walked from file to file. */
struct mi_list {
	struct mi_parse *p;
	struct benc room; /* what was folded, and is looked at */
	struct span elem[METAINFO_MAX_DEPTH]; /* of the file */
	struct mi_raw file;
	uint32_t n;
	uint32_t n_elem; /* of all files */
	bool is_single;
	benc_ref at; /* v1: the next file */
	struct {     /* v2: where we are, level by level */
		const struct benc *doc;
		benc_ref key;
	} level[METAINFO_MAX_DEPTH];
	uint32_t depth; /* … levels entered */
	bool is_alone;	/* … the top has one entry */
	uint64_t end;	/* … of a hybrid: of the last file with content */
};

/* ---- one parse ---- */

struct mi_parse {
	struct metainfo mi; /* what comes out */
	struct mi_arena arena;
	uint8_t *bytes; /* the document lies over them */
	atomic_uint n_held;

	/* of the parse only */
	struct benc doc;
	benc_ref info;
	struct span name; /* as stated */
	struct hasher *hasher;
	struct mi_error *err;
};

/* mi_refuse — says why in one line; returns `code`. */
int mi_refuse(struct mi_parse *p, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* mi_list_unfold — a file's dictionary, or a folded directory, into l->room. */
int mi_list_unfold(struct mi_list *l, benc_ref dict);

/* mi_list_add — one more file, l->file, of which nothing is known but that
 * `doc` states it. */
int mi_list_add(struct mi_list *l, const struct benc *doc);

/* mi_list_path — its path has `n` elements, of which those that mean something
 * come by mi_list_elem. */
int mi_list_path(struct mi_list *l, uint32_t n);
void mi_list_elem(struct mi_list *l, struct span elem);

/* mi_list_attr — BEP 47's attr and symlink path of a file's dictionary.
 * mi_list_length — the length; a symlink has none (BEP 47). */
int mi_list_attr(struct mi_list *l, benc_ref dict);
int mi_list_length(struct mi_list *l, benc_ref dict);

void mi_list_fini(struct mi_list *l);

/* mi_v1_begin — to the first file of BEP 3's list. mi_v1_next — to the next:
 * l->file, which lends until the call after; ENODATA behind the last. */
int mi_v1_begin(struct mi_parse *p, struct mi_list *l);
int mi_v1_next(struct mi_list *l);

/* mi_v1_count — how many there will be, about. */
uint32_t mi_v1_count(const struct mi_list *l);

/* mi_v2_begin, mi_v2_next — the same of BEP 52's file tree. */
int mi_v2_begin(struct mi_parse *p, struct mi_list *l);
int mi_v2_next(struct mi_list *l);

/* mi_v2_agrees — a hybrid's list has `f` next, which v1 states as `one`, unless
 * that is a pad file. mi_v2_agrees_all — that was all. */
int mi_v2_agrees(struct mi_list *v2, const struct mi_raw *one,
		 struct mi_file *f);
int mi_v2_agrees_all(struct mi_list *v2, const struct mi_list *v1);

/* mi_v2_layers — "piece layers" of a .torrent, each checked against its root.
 * p->mi.files must be there. */
int mi_v2_layers(struct mi_parse *p);

/* mi_roots — p->mi.by_root. p->mi.files must be there. 0 or ENOMEM. */
int mi_roots(struct mi_parse *p);

/* mi_paths_new — for about `n` files. mi_paths_add — the sanitised, unique path
 * and the link's target of the next one. */
struct mi_paths;

int mi_paths_new(struct mi_parse *p, uint32_t n, struct mi_paths **out);
int mi_paths_add(struct mi_paths *ps, const struct mi_raw *raw,
		 struct mi_file *f);
void mi_paths_free(struct mi_paths *ps);

/* ---- names that are taken, each in its directory ---- */

struct mi_names;

struct mi_name {
	char *text;
	uint32_t dir; /* its directory: 0 is the top */
	uint32_t is_dir : 1;
	uint32_t last_suffix : 31; /* tried for others that wanted it */
};

/* mi_names_new — with room for `n`; more fit. mi_names_add — one that is not
 * there; `text` is kept. *ix is its number: as a directory it is *ix + 1. */
int mi_names_new(uint32_t n, struct mi_names **out);
void mi_names_free(struct mi_names *names);
int mi_names_add(struct mi_names *names, uint32_t dir, char *text, bool is_dir,
		 uint32_t *ix);

/* mi_names_find — false: it is free. mi_names_at — lent until the next add. */
bool mi_names_find(const struct mi_names *names, uint32_t dir, const char *text,
		   uint32_t *ix);
struct mi_name *mi_names_at(struct mi_names *names, uint32_t ix);

/* mi_urls_read — trackers and web seeds of a .torrent. */
int mi_urls_read(struct mi_parse *p);

/* What v2 says of a piece: the root that the tree of its bytes (less a hybrid's
 * padding) must have, and how high that tree is. `want` is NULL when the file's
 * layer is not known. */
struct mi_v2_piece {
	const uint8_t *want;
	unsigned height;
	uint32_t len_bytes;
};

/* mi_v2_piece — of piece `ix`; the torrent has v2. Thread: any. */
void mi_v2_piece(const struct metainfo *mi, uint32_t ix,
		 struct mi_v2_piece *out);

/* mi_verdict — of a hybrid's piece. */
enum piece_verdict mi_verdict(bool is_v1_right, bool is_v2_right,
			      bool is_padding_zero);

/* mi_align — `off` rounded up to a piece boundary. */
static inline uint64_t mi_align(const struct metainfo *mi, uint64_t off_bytes)
{
	uint64_t rest = off_bytes % mi->piece_bytes;

	return rest == 0 ? off_bytes : off_bytes + (mi->piece_bytes - rest);
}

#endif
