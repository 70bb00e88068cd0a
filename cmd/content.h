/* content — the files on disk that a torrent is made from, in the order the
 * torrent has them: paths compared byte by byte, element by element. */
#ifndef SHOAL_CMD_CONTENT_H
#define SHOAL_CMD_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/exits.h"

struct content_file {
	char *rel;	   /* below root, elements joined by '/' */
	const char **path; /* the elements; point into `split` */
	char *split;
	uint32_t n_path;
	uint64_t len_bytes;
	uint64_t off_bytes; /* in piece space */
};

struct content {
	char *root; /* the file, or the top directory; absolute */
	char *name; /* its last element */
	bool is_single;
	struct content_file *files;
	uint32_t n_files;
	uint64_t total_bytes;
};

/* content_scan — a file or a whole tree. Symbolic links and special files are
 * left out, with a line in the log. 0 or an errno, with one line for a
 * person; ENODATA when there is not one byte. */
int content_scan(const char *path, struct content *c, char why[WHY_BYTES]);
void content_fini(struct content *c);

/* content_piece_bytes — a piece size that makes between one and two thousand
 * pieces of it: a power of two, 16 KiB … 16 MiB. */
uint32_t content_piece_bytes(const struct content *c);

#endif
