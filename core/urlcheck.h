/* urlcheck — which addresses out of torrents and magnet links are kept. Only
 * the form is looked at here; where a name leads is judged when it is
 * connected to. Pure. */
#ifndef SHOAL_CORE_URLCHECK_H
#define SHOAL_CORE_URLCHECK_H

#include <stdbool.h>

#include "core/span.h"

/* urlcheck_trim — without spaces and line ends around it, which real torrents
 * have. Lends. */
struct span urlcheck_trim(struct span url);

/* urlcheck_is_tracker — http, https or udp, a host, no control bytes, at most
 * METAINFO_MAX_URL_BYTES. */
bool urlcheck_is_tracker(struct span url);

/* urlcheck_is_web_seed — the same for http and https. */
bool urlcheck_is_web_seed(struct span url);

#endif
