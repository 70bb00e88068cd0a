/* top_view — what `shoalctl top` shows, as lines of text (pure). */
#ifndef SHOAL_CMD_TOP_VIEW_H
#define SHOAL_CMD_TOP_VIEW_H

#include <jansson.h>

struct buf;

enum {
	TOP_COLUMNS_MIN = 40,
	TOP_COLUMNS_MAX = 400,
	TOP_ALL_ROWS = 1 << 30, /* no end of the screen */
};

/* top_view — append the lines that show `status`, an answer to the verb of that
 * name, each ended by `eol`: at most `columns` characters wide (as far as one
 * takes one column), at most `rows` of them. Torrents that something waits for
 * or that move come first, below each its files that are waited for. What is
 * not in the answer counts as 0. Errors stick in `out`. */
void top_view(const json_t *status, unsigned columns, unsigned rows,
	      const char *eol, struct buf *out);

#endif
