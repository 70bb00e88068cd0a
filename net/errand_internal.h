/* errand_internal — what the engine does with errands. */
#ifndef SHOAL_NET_ERRAND_INTERNAL_H
#define SHOAL_NET_ERRAND_INTERNAL_H

struct engine;

/* errand_end_all — each is told ESHUTDOWN, before this returns. */
void errand_end_all(struct engine *e);

#endif
