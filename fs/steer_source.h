/* steer_source — what a request to add has in it. Thread: loop. */
#ifndef SHOAL_FS_STEER_SOURCE_H
#define SHOAL_FS_STEER_SOURCE_H

#include "fs/steer_request.h"

struct library_source;
struct mount;

/* steer_source — into `out`, which the caller ends also after an error; then
 * `why` has a line for a person. */
int steer_source(struct mount *m, const struct steer_request *r,
		 struct library_source *out, char why[STEER_WHY_BYTES]);

#endif
