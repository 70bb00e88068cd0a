/* steer_source — what a request to add has in it. Thread: loop. */
#ifndef SHOAL_FS_STEER_SOURCE_H
#define SHOAL_FS_STEER_SOURCE_H

#include "fs/steer_request.h"

struct library_source;

/* steer_source — into `out`, which the caller ends also after an error; then
 * `why` has a line for a person. A file is taken out of `r`, and not looked at.
 */
int steer_source(struct steer_request *r, struct library_source *out,
		 char why[STEER_WHY_BYTES]);

#endif
