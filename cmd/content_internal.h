/* content_internal — entries of the list, for the content*.c files. */
#ifndef SHOAL_CMD_CONTENT_INTERNAL_H
#define SHOAL_CMD_CONTENT_INTERNAL_H

#include <stdint.h>

struct content_file;

/* content_add_entry — one more, zeroed; lent until the next. 0, ENOMEM, E2BIG.
 */
int content_add_entry(struct content_file **files, uint32_t *n, uint32_t *cap,
		      struct content_file **out);

/* content_set_path — its path and the elements of that. 0 or ENOMEM. */
int content_set_path(struct content_file *f, const char *rel);
void content_drop_entry(struct content_file *f);

#endif
