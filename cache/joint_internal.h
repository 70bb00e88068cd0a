/* joint_internal — what joint.c and joint_use.c share. */
#ifndef SHOAL_CACHE_JOINT_INTERNAL_H
#define SHOAL_CACHE_JOINT_INTERNAL_H

#include "cache/joint.h"

/* joint_on_turn — a torrent looks at what has changed; its task. */
void joint_on_turn(void *arg);

#endif
