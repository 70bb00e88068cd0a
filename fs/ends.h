/* ends — files that are read at both ends before anything else: containers
 * whose index lies at the end, though nobody can tell before he has looked at
 * the beginning. Pure. */
#ifndef SHOAL_FS_ENDS_H
#define SHOAL_FS_ENDS_H

#include <stdbool.h>
#include <stdint.h>

/* What is fetched of each end. */
enum { ENDS_BYTES = 1 << 20 };

/* ends_matter — does a file of this name begin or end with what its reader
 * needs first? By its extension, in either case. */
bool ends_matter(const char *name);

/* ends_are_near — a read at `off` of a file of `size` bytes is one of those
 * that look at an end. */
bool ends_are_near(uint64_t off_bytes, uint64_t size_bytes);

#endif
