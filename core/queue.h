/* queue — libc's intrusive lists, with the safe walks glibc leaves out. */
#ifndef SHOAL_CORE_QUEUE_H
#define SHOAL_CORE_QUEUE_H

#include <stddef.h>
#include <sys/queue.h>

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, tvar) \
	for ((var) = TAILQ_FIRST((head));          \
	     (var) && ((tvar) = TAILQ_NEXT((var), field), 1); (var) = (tvar))
#endif

#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, tvar) \
	for ((var) = LIST_FIRST((head));          \
	     (var) && ((tvar) = LIST_NEXT((var), field), 1); (var) = (tvar))
#endif

/* CONTAINER_OF — the struct of `type` whose member `field` is at `ptr`. */
#define CONTAINER_OF(ptr, type, field) \
	((type *)(void *)((char *)(ptr)-offsetof(type, field)))

#endif
