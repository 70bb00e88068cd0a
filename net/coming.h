/* coming — when a piece that another torrent is fetching will be there, and
 * whether it is worth to wait for it. Pure: facts and time in. */
#ifndef SHOAL_NET_COMING_H
#define SHOAL_NET_COMING_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of blocks of a piece under way. */
struct coming_facts {
	uint64_t now_us;
	uint64_t came_us;    /* when it was begun, or last got a block */
	uint64_t left_bytes; /* of those blocks */
	uint64_t rate_Bps;   /* of whoever may be asked; 0: not known */
	bool is_whole;	     /* all of the piece came */
	bool is_promised;    /* each of the blocks is here, or will be asked */
	bool is_owed;	     /* of the piece something is out, and somebody who
				is at work owes it */
	bool can_ask;	     /* somebody would be asked for more of it */
	bool is_judged;	     /* a read waits for these alone, and all are here:
				their hashes are on their way */
};

/* coming_us — when they are here; UINT64_MAX: nobody is at work on them. */
uint64_t coming_us(const struct coming_facts *f);

/* coming_is_worth — is who wants them, a read or not, to wait until `us`? */
bool coming_is_worth(uint64_t us, bool is_read, uint64_t now_us);

#endif
