/* store_mem — pieces in memory and nowhere else: `store=memory:SIZE`, and
 * most tests. */
#ifndef SHOAL_CACHE_STORE_MEM_H
#define SHOAL_CACHE_STORE_MEM_H

#include <stdint.h>

struct loop;
struct store;

/* store_mem_new — up to `max_bytes` of pieces. 0 or ENOMEM. A put into a full
 * store fails with ENOSPC. */
int store_mem_new(struct loop *loop, uint64_t max_bytes, struct store **out);

#endif
