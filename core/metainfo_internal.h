/* metainfo_internal — what the metainfo_*.c files and piececheck.c share.
 *
 * Only they and tests/unit may include it. */
#ifndef SHOAL_CORE_METAINFO_INTERNAL_H
#define SHOAL_CORE_METAINFO_INTERNAL_H

#include "core/bencode.h"
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
	benc_ref link; /* list of a symlink's target, or BENC_NONE */
	const uint8_t *root;
};

struct mi_list {
	struct mi_raw *file;
	uint32_t n;
	uint32_t cap;
	uint32_t n_elem; /* of all files */
	bool is_single;
};

/* ---- one parse ---- */

struct mi_parse {
	struct metainfo mi; /* what comes out */
	struct mi_arena arena;
	uint8_t *bytes; /* our copy; the document lies over it */

	/* of the parse only */
	struct mi_arena scratch;
	struct benc doc;
	benc_ref info;
	struct span name; /* as stated */
	struct hasher *hasher;
	struct mi_error *err;
	struct mi_list v1;
	struct mi_list v2;
};

/* mi_refuse — says why in one line; returns `code`. */
int mi_refuse(struct mi_parse *p, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* mi_list_add — one more file, zeroed; *out lends until the next call. */
int mi_list_add(struct mi_parse *p, struct mi_list *list, struct mi_raw **out);

/* mi_path_room — room in the scratch arena for `n` elements of one path. */
int mi_path_room(struct mi_parse *p, struct mi_list *list, uint32_t n,
		 struct span **out);

/* mi_file_attr — BEP 47's attr and symlink path of a file's dictionary. */
int mi_file_attr(struct mi_parse *p, benc_ref dict, struct mi_raw *file);

/* mi_file_length — the length; a symlink has none (BEP 47). */
int mi_file_length(struct mi_parse *p, benc_ref dict, struct mi_raw *file);

/* mi_v1_read — p->v1 and the piece hashes (BEP 3). */
int mi_v1_read(struct mi_parse *p);

/* mi_v2_read — p->v2 from the file tree (BEP 52). */
int mi_v2_read(struct mi_parse *p);

/* mi_v2_layers — "piece layers" of a .torrent, each checked against its root.
 * p->mi.files must be there. */
int mi_v2_layers(struct mi_parse *p);

/* mi_v2_agrees — a hybrid's two lists say the same. */
int mi_v2_agrees(struct mi_parse *p);

/* mi_paths_build — the files' sanitised, unique paths and link targets. */
int mi_paths_build(struct mi_parse *p, const struct mi_list *list);

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
