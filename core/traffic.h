/* traffic — bytes of payload that came and went. A value. */
#ifndef SHOAL_CORE_TRAFFIC_H
#define SHOAL_CORE_TRAFFIC_H

#include <stdint.h>

struct traffic {
	uint64_t down_bytes;  /* came, wanted or not */
	uint64_t up_bytes;    /* went */
	uint64_t waste_bytes; /* came, and was thrown away */
};

static inline void traffic_add(struct traffic *to, const struct traffic *more)
{
	to->down_bytes += more->down_bytes;
	to->up_bytes += more->up_bytes;
	to->waste_bytes += more->waste_bytes;
}

static inline void traffic_sub(struct traffic *from, const struct traffic *less)
{
	from->down_bytes -= less->down_bytes;
	from->up_bytes -= less->up_bytes;
	from->waste_bytes -= less->waste_bytes;
}

#endif
