/* dialer — whom a swarm dials, and when; and who makes way. Thread: loop. */
#ifndef SHOAL_NET_DIALER_H
#define SHOAL_NET_DIALER_H

struct swarm;

/* dialer_run — dial who is due, as far as the limits go; the swarm's `dial`
 * timer runs it again. To be called whenever something has changed that could
 * make room, or need. */
void dialer_run(struct swarm *sw);

/* dialer_on_timer — of the `dial` timer; the one that ends peers.
 * dialer_on_pass — there may be demand now that was not there before. */
void dialer_on_timer(void *swarm);
void dialer_on_pass(struct swarm *sw);

#endif
