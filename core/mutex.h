/* mutex — a lock between threads, for who is no thread himself. Thread: any. */
#ifndef SHOAL_CORE_MUTEX_H
#define SHOAL_CORE_MUTEX_H

#include <pthread.h>
#include <stdbool.h>

struct mutex {
	pthread_mutex_t m;
};

/* mutex_init … mutex_fini, while nobody has it. mutex_try: false, somebody has
 * it. None of them can fail. */
static inline void mutex_init(struct mutex *m)
{
	pthread_mutex_init(&m->m, NULL);
}

static inline void mutex_fini(struct mutex *m)
{
	pthread_mutex_destroy(&m->m);
}

static inline void mutex_lock(struct mutex *m)
{
	pthread_mutex_lock(&m->m);
}

static inline bool mutex_try(struct mutex *m)
{
	return pthread_mutex_trylock(&m->m) == 0;
}

static inline void mutex_unlock(struct mutex *m)
{
	pthread_mutex_unlock(&m->m);
}

#endif
