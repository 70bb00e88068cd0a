/* content — the files on disk that a torrent is made from, in the order the
 * torrent has them: paths compared byte by byte, element by element. */
#ifndef SHOAL_CMD_CONTENT_H
#define SHOAL_CMD_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/exits.h"

struct loop;

struct content_file {
	const char *rel;   /* below root, elements joined by '/'; NULL: a pad */
	const char **path; /* the elements; `rel` lies behind them */
	uint32_t n_path;
	const char **link; /* of a symlink: its target from the top, likewise */
	char *link_split;
	uint32_t n_link;
	uint64_t len_bytes;
	uint64_t off_bytes; /* in piece space */
	unsigned attr;	    /* MI_ATTR_… */
};

struct content {
	char *root; /* the file, or the top directory; absolute */
	char *name; /* its last element */
	bool is_single;
	struct content_file *files;
	uint32_t n_files;
	uint64_t total_bytes; /* of piece space */
};

enum content_want {
	CONTENT_EXEC = 1,  /* who may be executed is noted */
	CONTENT_LINKS = 2, /* symlinks within the tree are kept */
};

/* content_scan — a file or a whole tree; `want` is of CONTENT_…. Runs `loop`
 * until threads of its own have asked for all sizes. Symlinks that are not kept
 * and special files are left out, with a line in the log. 0 or an errno, with
 * one line for a person; ENODATA when there is not one byte. */
int content_scan(struct loop *loop, const char *path, unsigned want,
		 struct content *c, char why[WHY_BYTES]);
void content_fini(struct content *c);

/* content_piece_bytes — of a scanned content, before it is laid out: the piece
 * size that libtorrent takes, a power of two, 16 KiB … 16 MiB. */
uint32_t content_piece_bytes(const struct content *c);

struct content_kind {
	bool has_v1, has_v2;
};

/* content_layout — once, after the scan: where each file lies in piece space.
 * v2 begins each file at a piece, and a hybrid gets pad files for that. 0,
 * ENOMEM, or EFBIG with one line: it would be more pieces than a torrent may
 * have. */
int content_layout(struct content *c, uint32_t piece_bytes,
		   struct content_kind kind, char why[WHY_BYTES]);

/* content_n_pieces — of a content that is laid out. */
uint32_t content_n_pieces(const struct content *c, uint32_t piece_bytes);

#endif
