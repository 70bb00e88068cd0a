/* scenes — swarms whose figures are known to matter, and those figures. */
#ifndef SHOAL_SIM_SCENES_H
#define SHOAL_SIM_SCENES_H

#include <stdbool.h>
#include <stdint.h>

struct sim_policy;

struct scene {
	uint64_t seed;
	const struct sim_policy *policy; /* of those who give */
	const struct sim_policy *odd;	 /* of the odd ones, where a scene has
					    some */
	uint32_t n_peers, n_odd;
	uint32_t n_pieces, piece_bytes;
	uint32_t open_max; /* pieces that a peer has memory for; 0: all */
	bool is_mixed;	   /* lines of different width, else all alike */
	bool knows_limit;
	bool has_checks;
	bool has_large_view; /* odd ones know everybody */
	uint64_t seed_Bps;
	uint64_t bitrate_Bps;
	uint32_t scatter; /* of viewers' windows, … */
	uint32_t places;  /* … and where they begin (viewers.c) */
	bool has_trace;	  /* a line on stdout every ten seconds */
};

/* What any scene can say; a figure that it has no say in is 0. */
struct figures {
	uint64_t hash, n_events;
	double end_s; /* virtual time that was run */
	double last_s, mean_s,
		bound_s;	     /* completion, and what no swarm beats */
	double peer_Bps, odd_Bps;    /* mean rate of both kinds */
	double first_s, first_max_s; /* of the odd: join to first block */
	double half_s, half_max_s;   /* of the odd: join to half the rate of
					the others */
	double waste;		     /* of all bytes sent */
	uint32_t open_max;	     /* pieces begun and not whole, of a peer */
	double start_max_s;	     /* viewers */
	double smooth;		     /* of viewing time, without a stall */
	uint32_t n_stalled;	     /* viewers with one */
	double over;		     /* of what they read: fetched beyond it */
	double least_played;	     /* by one, of what the mean has seen */
};

/* scene_complete — all come at once and stay: when does the last have all? */
struct figures scene_complete(const struct scene *s);

/* scene_odd — `n_odd` of the peers are others, on lines of the middle width,
 * and come at half of `from_s`: what rates have both between `from_s` and
 * `until_s`? Nobody should be done by then. */
struct figures scene_odd(const struct scene *s, double from_s, double until_s);

/* scene_newcomers — `n_odd` come at `at_s` into a swarm that runs. */
struct figures scene_newcomers(const struct scene *s, double at_s,
			       double until_s);

/* scene_viewers — all watch, and come within `within_s`. */
struct figures scene_viewers(const struct scene *s, double within_s);

#endif
