/* signpost_saved — signposts in the store, between two runs. Pure. */
#ifndef SHOAL_NET_SIGNPOST_SAVED_H
#define SHOAL_NET_SIGNPOST_SAVED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/span.h"
#include "core/torrent_id.h"
#include "dht/search.h"

struct signpost_saved {
	struct dht_item item; /* mutable; lent. Without a value: what is
				 followed, and nobody had yet */
	int64_t used_s;	      /* wall time */
	bool is_own;
	bool is_kept;		  /* followed; then: */
	struct info_hash brought; /* the last torrent that it brought */
};

/* signpost_saved_begin, _add, _end — appended to `out`, whose buf_err tells of
 * ENOMEM. */
void signpost_saved_begin(struct buf *out);
void signpost_saved_add(struct buf *out, const struct signpost_saved *s);
void signpost_saved_end(struct buf *out);

/* signpost_saved_read — `fn` gets each, as untrusted as anything from outside:
 * what is not rightly signed does not come, nor more than SIGNPOSTS_MAX. 0;
 * EBADMSG: nothing came; ENOMEM. */
int signpost_saved_read(struct span saved,
			void (*fn)(void *arg, const struct signpost_saved *s),
			void *arg);

#endif
