/* traffic — bytes of payload that came and went. A value. */
#ifndef SHOAL_CORE_TRAFFIC_H
#define SHOAL_CORE_TRAFFIC_H

#include <stdint.h>

struct traffic {
	uint64_t down_bytes;  /* came, wanted or not */
	uint64_t up_bytes;    /* went */
	uint64_t waste_bytes; /* came, and was thrown away */
};

#endif
