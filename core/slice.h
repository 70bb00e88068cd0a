/* slice — how long the calling thread goes on before others get their turn.
 *
 * Linux lets who wakes up with a short slice go before who is at a long one
 * (6.12 and later; before, this says nothing to it). Nobody gets more of the
 * processor by it, or less, as a nice value would have it. */
#ifndef SHOAL_CORE_SLICE_H
#define SHOAL_CORE_SLICE_H

#include <stdint.h>

/* For who wakes up for a moment and is waited for: the loop. For who computes
 * for milliseconds at a time: a hash is as good a moment later. */
enum { SLICE_SHORT_NS = 100000, SLICE_LONG_NS = 20000000 };

/* slice_take — from now on, and for threads that it begins later. Quietly
 * without effect where that is not to be had. */
void slice_take(uint64_t ns);

#endif
