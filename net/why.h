/* why — what somebody waits for, as one line for a person (pure).
 *
 * The facts are those of one piece and its torrent; the line names the cause
 * that is nearest to the bytes: what is done about them now, else what stands
 * in the way of that, down to that nobody is known who might have them. */
#ifndef SHOAL_NET_WHY_H
#define SHOAL_NET_WHY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct why {
	uint32_t piece_ix;
	bool is_metadata; /* it is not a piece but the metadata that is waited
			     for: of what follows only peers, trackers */
	bool is_checking; /* its hash is being computed */
	unsigned n_bad;	  /* how often its bytes were wrong */
	int keep_err;	 /* what became of the last piece that was to be kept */
	bool is_resting; /* … so that what is pinned is not asked for now */
	/* connected peers: all; with the piece; of those who do not choke us;
	 * of those who stalled. Blocks asked for, and of how many peers. */
	unsigned n_up, n_has, n_open, n_stalled, n_blocks, n_from;
	unsigned n_web_blocks;
	const char *web_trouble; /* what a web seed said last; NULL: none did */
	unsigned n_known, n_dialing, n_trackers;
	const char *tracker_trouble; /* if all that were asked fail */
	uint64_t limit_Bps; /* a rate limit stands in the way; 0: none does */
	bool is_lacking;    /* memory, or a peer's turn */
};

void why_text(const struct why *w, char *out, size_t len);

#endif
