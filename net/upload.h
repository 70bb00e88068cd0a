/* upload — what peers ask of us. Whom we serve: slots.h. Thread: loop. */
#ifndef SHOAL_NET_UPLOAD_H
#define SHOAL_NET_UPLOAD_H

#include <stdint.h>

#include "net/wire.h"

struct peer;
struct swarm;

/* upload_init — a new swarm. upload_init_peer — a new peer of it. */
void upload_init(struct swarm *sw);
void upload_init_peer(struct peer *p);

/* upload_on_request / upload_on_cancel — the messages. */
void upload_on_request(struct peer *p, const struct wire_block *b);
void upload_on_cancel(struct peer *p, const struct wire_block *b);

/* upload_on_sent — bytes of blocks have left: there may be room for more. */
void upload_on_sent(struct peer *p, uint32_t bytes);

/* upload_refuse_choked — it is choked from now on: what it asked for is not
 * answered, but for what was granted. */
void upload_refuse_choked(struct peer *p);

/* upload_grant — tell it the pieces it may ask for while choked (BEP 6). */
void upload_grant(struct peer *p);

/* upload_forget — the peer has ended: drop what it asked for. */
void upload_forget(struct peer *p);

#endif
