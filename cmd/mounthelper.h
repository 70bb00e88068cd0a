/* mounthelper — shoalfs called as mount.shoalfs, by mount(8).
 *
 * Pure. */
#ifndef SHOAL_CMD_MOUNTHELPER_H
#define SHOAL_CMD_MOUNTHELPER_H

#include <stdbool.h>

/* mounthelper_is — by the name that the program was called. */
bool mounthelper_is(const char *argv0);

/* mounthelper_words — "mount.shoalfs SOURCE MOUNTPOINT [-sfnvrw] [-o OPTS]
 * [-t TYPE] [-N NAMESPACE]" in the words of shoalfs: what is for mount(8) alone
 * is dropped from `argv`, in place; the new length. `is_fake`: nothing is to be
 * mounted. -1: a letter that mount(8) does not have. */
int mounthelper_words(int argc, char **argv, bool *is_fake);

#endif
