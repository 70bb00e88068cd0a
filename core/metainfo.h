/* metainfo — what a torrent is: .torrent files and bare info dictionaries of
 * v1, v2 and hybrid torrents (BEP 3, 12, 17, 19, 27, 47, 52), validated whole
 * before anything is believed; and the encoder of a .torrent.
 *
 * One address space: every byte of a torrent has a position in *piece space*,
 * 0 … total_bytes-1. For v1 it is the concatenation of the files, pad files
 * included. For v2 each file begins at a piece boundary, and the gap before
 * the next file belongs to nobody. A hybrid's pad files make both the same.
 *
 * A metainfo is immutable and self-contained; it has its own copy of the bytes,
 * or takes them. Thread: any, read only. */
#ifndef SHOAL_CORE_METAINFO_H
#define SHOAL_CORE_METAINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/hash.h"
#include "core/own.h"
#include "core/span.h"
#include "core/torrent_id.h"

enum mi_attr { /* BEP 47 */
	       MI_ATTR_PAD = 1,
	       MI_ATTR_EXEC = 2,
	       MI_ATTR_SYMLINK = 4,
	       MI_ATTR_HIDDEN = 8,
};

struct mi_file {
	uint64_t off_bytes; /* in piece space */
	uint64_t len_bytes;
	unsigned attr;		/* MI_ATTR_… */
	uint32_t n_path;	/* elements; 1 for a single file */
	char **path;		/* sanitised, unique in its directory; ".pad"
				   and not unique for a pad file */
	const struct span *raw; /* the n_path elements as the torrent states
				   them; NULL when they are those of path */
	char *symlink;		/* of a symlink: its target from the torrent's
				   top, sanitised, without "." and "..",
				   elements joined by '/'; NULL: it leads to
				   nothing that may be shown */
	const uint8_t *root;	/* v2 pieces root, 32 bytes, or NULL */
	const uint8_t
		*layer; /* v2 piece layer: 32 bytes a piece, or NULL when
			   the file is one piece or the layer is missing */
};

struct mi_tier {
	char **urls;
	uint32_t n;
};

struct metainfo {
	struct torrent_id id;
	char *name; /* sanitised; of the top directory or the single file */
	struct span raw_name; /* as the torrent states it, lent */
	bool is_single;	      /* one file, no directory in the torrent itself */
	bool is_private;      /* BEP 27 */
	bool has_v1, has_v2;
	uint32_t piece_bytes;
	uint32_t n_pieces;
	uint64_t total_bytes;	/* of piece space */
	uint64_t content_bytes; /* of all files: no gaps, no padding */
	struct mi_file *files;	/* in piece-space order, pads included */
	uint32_t n_files;
	const uint32_t *by_root; /* files with a root, by that and length */
	uint32_t n_by_root;
	int64_t created_s;	  /* creation date, or 0 */
	const uint8_t *v1_hashes; /* 20 bytes a piece, or NULL */
	struct mi_tier *tiers;	  /* BEP 12; empty for a bare info dictionary */
	uint32_t n_tiers;
	char **web_seeds; /* BEP 19 */
	uint32_t n_web_seeds;
	char **http_seeds; /* BEP 17 */
	uint32_t n_http_seeds;
	struct span info; /* exact bytes, lent */
	struct span file; /* what it was made of, lent: these, or a .torrent */
};

/* What was wrong, for one line to a person. */
struct mi_error {
	char text[160];
};

/* metainfo_parse_file — a whole .torrent. 0, EBADMSG, EFBIG or ENOMEM; `err`
 * is filled unless ENOMEM. `h` is used for the info-hashes. Gives. */
int metainfo_parse_file(const void *bytes, size_t len, struct hasher *h,
			struct metainfo **out, struct mi_error *err);

/* metainfo_parse_info — a bare info dictionary (from a peer or the store). It
 * must hash to every hash that `want` has, else EBADMSG. */
int metainfo_parse_info(const void *bytes, size_t len,
			const struct torrent_id *want, struct hasher *h,
			struct metainfo **out, struct mi_error *err);

/* metainfo_make — as metainfo_parse_file, of bytes from core/mem.h that are not
 * copied, for they may be long: *bytes is taken, and NULL, if it is a torrent;
 * if not, they stay the caller's. */
int metainfo_make(uint8_t **bytes, size_t len, struct hasher *h,
		  struct metainfo **out, struct mi_error *err);

/* metainfo_hold — the same one, once more, for who needs its bytes for longer
 * than he can know that its owner has it. Each is to be freed, by any thread:
 * it goes with the last. It is counted for the reason that a blk is: many
 * readers of what never changes, and nobody knows who is the last. */
struct metainfo *metainfo_hold(struct metainfo *mi);
void metainfo_free(struct metainfo *mi);

/* metainfo_unmake — the bytes back, of one that nobody else holds. Gives. */
uint8_t *metainfo_unmake(struct metainfo *mi TAKES);

/* metainfo_piece_bytes — how long piece `ix` is on the v1 wire: piece_bytes
 * but for the last one. For a v2-only torrent the last piece of each file is
 * as long as what the file has left. */
uint32_t metainfo_piece_bytes(const struct metainfo *mi, uint32_t ix);

/* metainfo_body_bytes — how much of piece `ix` there is to fetch and to keep:
 * less than metainfo_piece_bytes, and a multiple of 16 KiB, where the piece
 * ends with padding (BEP 47). What is behind it is zeros, known to all and sent
 * by nobody. 0: the piece is padding alone. Padding before other bytes of the
 * piece, which no program makes, is part of the body. */
uint32_t metainfo_body_bytes(const struct metainfo *mi, uint32_t ix);

/* metainfo_piece_content — how many bytes of piece `ix` are of files, padding
 * not counted: over all pieces content_bytes. */
uint32_t metainfo_piece_content(const struct metainfo *mi, uint32_t ix);

/* metainfo_file_at — the file (never an empty one) that holds byte `off` of
 * piece space; n_files when it lies in a gap. O(log n). */
uint32_t metainfo_file_at(const struct metainfo *mi, uint64_t off_bytes);

/* metainfo_root_from — the first place in by_root with this root and length, or
 * more (as bytes, then as a number); n_by_root: there is none. O(log n).
 * metainfo_root_is — are they just those at the place? */
uint32_t metainfo_root_from(const struct metainfo *mi, const uint8_t *root,
			    uint64_t len_bytes);
bool metainfo_root_is(const struct metainfo *mi, uint32_t place,
		      const uint8_t *root, uint64_t len_bytes);

/* metainfo_v2_bytes — how much of piece `ix` its v2 file has: a hybrid's piece
 * may end with padding, which no v2 hash covers. 0: no v2 file is there. */
uint32_t metainfo_v2_bytes(const struct metainfo *mi, uint32_t ix);

/* What the hashes say of a piece's bytes. DISPUTED: those of a hybrid are right
 * for one side and wrong for the other, so there are no bytes that are right
 * for both; whoever sent them is not to blame. */
enum piece_verdict { PIECE_WRONG, PIECE_RIGHT, PIECE_DISPUTED };

/* metainfo_v1_bytes — how long the message is that v1 hashes of piece `ix`, if
 * that is its bytes and nothing else; 0: there is no such hash. */
uint32_t metainfo_v1_bytes(const struct metainfo *mi, uint32_t ix);

/* metainfo_judge_piece — do the bytes (metainfo_body_bytes long) match piece
 * `ix`: v1's hash where there is one, and v2's `root` where that is known
 * (NULL: as the metainfo itself has it)? WRONG when no hash is known. `v1`: the
 * SHA-1 of the bytes, where metainfo_v1_bytes is not 0, or NULL: it is made.
 * The hashes of its v2 leaves go to `leaves`, unless that is NULL. Thread: any.
 */
enum piece_verdict metainfo_judge_piece(const struct metainfo *mi,
					struct hasher *h, uint32_t ix,
					const uint8_t *data, const uint8_t *v1,
					const uint8_t *root, uint8_t *leaves);

/* metainfo_check_piece — is it RIGHT by what the metainfo itself has? */
bool metainfo_check_piece(const struct metainfo *mi, struct hasher *h,
			  uint32_t ix, const uint8_t *data);

/* ---- making one ---- */

struct mi_source_file {
	const char *const *path; /* raw elements */
	uint32_t n_path;
	uint64_t len_bytes;
	unsigned attr;		 /* MI_ATTR_… */
	const char *const *link; /* of a symlink: its target's elements, from
				    the torrent's top */
	uint32_t n_link;
	/* v2, and no pad file: */
	const uint8_t *root;  /* 32 bytes; not of an empty file */
	const uint8_t *layer; /* 32 bytes a piece, of a file of several */
};

struct mi_source {
	const char *name;
	bool is_single; /* then files[0].path is the name */
	/* Sorted by path, element by element as bytes, but for the pad files,
	 * which stand where a hybrid needs them. */
	const struct mi_source_file *files;
	uint32_t n_files;
	uint32_t piece_bytes;
	bool has_v2;
	const uint8_t *v1_hashes; /* 20 bytes a piece; NULL: no v1 */
	uint32_t n_pieces;
	const char *const *trackers; /* each its own tier */
	uint32_t n_trackers;
	bool is_private;
	int64_t created_s;
};

struct buf;

/* metainfo_encode — a .torrent of v1, v2 or both into `out`: the info
 * dictionary has the bytes that libtorrent gives it. 0 or ENOMEM. */
int metainfo_encode(const struct mi_source *src, struct buf *out);

#endif
