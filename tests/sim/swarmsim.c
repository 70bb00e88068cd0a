/* swarmsim — the swarms of scenes.c with ours and with others' policies, as a
 * table: for tests/bench/bench choke, and to look into a single run.
 *
 *   swarmsim [--seeds N] [SCENE...]
 *   swarmsim --goals [--seeds N]          ours against what it must reach
 *   swarmsim --trace SCENE POLICY SEED
 *
 * A figure is the mean over the seeds, and in brackets the worst of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scenes.h"
#include "tests/sim/world.h"

enum { KIB = 1 << 10 };

static const struct sim_policy *const policies[] = {
	&policy_ours,
	&policy_ours_flat,
	&policy_classic,
	&policy_libtorrent,
};

enum { N_POLICIES = sizeof(policies) / sizeof(policies[0]) };

struct column {
	const char *name;
	double (*of)(const struct figures *f);
};

struct row {
	const char *name, *what;
	struct scene scene;
	struct figures (*run)(const struct scene *s);
	struct column columns[4];
};

/* ---- what is shown ---- */

static double mean_bound(const struct figures *f)
{
	return f->mean_s / f->bound_s;
}

static double last_bound(const struct figures *f)
{
	return f->last_s / f->bound_s;
}

static double odd_ratio(const struct figures *f)
{
	return f->odd_Bps / f->peer_Bps;
}

static double odd_rate(const struct figures *f)
{
	return f->odd_Bps / KIB;
}

static double peer_rate(const struct figures *f)
{
	return f->peer_Bps / KIB;
}

static double first_max(const struct figures *f)
{
	return f->first_max_s;
}

static double half_mean(const struct figures *f)
{
	return f->half_s;
}

static double half_max(const struct figures *f)
{
	return f->half_max_s;
}

static double wasted(const struct figures *f)
{
	return 100 * f->waste;
}

static double begun_max(const struct figures *f)
{
	return f->open_max;
}

static double stalled(const struct figures *f)
{
	return 100 - 100 * f->smooth;
}

static double start_max(const struct figures *f)
{
	return f->start_max_s;
}

static double over(const struct figures *f)
{
	return 100 * f->over;
}

static double behind(const struct figures *f)
{
	return 100 - 100 * f->least_played;
}

/* ---- the scenes ---- */

static struct figures run_long(const struct scene *s)
{
	return scene_odd(s, 60, 900);
}

static struct figures run_mixed(const struct scene *s)
{
	return scene_odd(s, 60, 600);
}

static struct figures run_newcomers(const struct scene *s)
{
	return scene_newcomers(s, 120, 240);
}

static struct figures run_viewers(const struct scene *s)
{
	return scene_viewers(s, 3);
}

#define SWARM(n, odd_, n_odd_, pieces, kib, us)                         \
	.n_peers = n, .odd = odd_, .n_odd = n_odd_, .n_pieces = pieces, \
	.piece_bytes = kib * KIB, .seed_Bps = us * KIB

static const struct row rows[] = {
	{"complete",
	 "100 come at once, 64 MiB, lines alike; times over the fluid bound",
	 {SWARM(100, NULL, 0, 256, 256, 512)},
	 scene_complete,
	 {{"mean", mean_bound},
	  {"last", last_bound},
	  {"waste %", wasted},
	  {"begun", begun_max}}},
	{"complete-mixed",
	 "the same, lines of 64 KiB/s to 1 MiB/s",
	 {SWARM(100, NULL, 0, 256, 256, 1024), .is_mixed = true},
	 scene_complete,
	 {{"mean", mean_bound},
	  {"last", last_bound},
	  {"waste %", wasted},
	  {"begun", begun_max}}},
	{"free-riders",
	 "40 and 10 that give nothing; KiB/s, their part of the others' rate",
	 {SWARM(40, &policy_freerider, 10, 1024, 256, 512)},
	 run_long,
	 {{"others", peer_rate}, {"part", odd_ratio}, {"first s", first_max}}},
	{"free-riders-view",
	 "the same, and they know everybody",
	 {SWARM(40, &policy_freerider, 10, 1024, 256, 512),
	  .has_large_view = true},
	 run_long,
	 {{"others", peer_rate}, {"part", odd_ratio}, {"first s", first_max}}},
	{"free-riders-mixed",
	 "the same, mixed lines",
	 {SWARM(40, &policy_freerider, 10, 4096, 256, 512), .is_mixed = true},
	 run_mixed,
	 {{"others", peer_rate}, {"part", odd_ratio}, {"first s", first_max}}},
	{"newcomers",
	 "10 come to 40 that are at it; s to half of the others' rate",
	 {SWARM(40, NULL, 10, 512, 256, 512)},
	 run_newcomers,
	 {{"mean", half_mean}, {"slowest", half_max}, {"first s", first_max}}},
	{"honest",
	 "4 of the middle width among 48 mixed lines; KiB/s",
	 {SWARM(48, NULL, 4, 2048, 256, 512), .is_mixed = true},
	 run_mixed,
	 {{"others", peer_rate}, {"they", odd_rate}}},
	{"tyrants",
	 "the same 4 as BitTyrant strategists",
	 {SWARM(48, &policy_tyrant, 4, 2048, 256, 512), .is_mixed = true},
	 run_mixed,
	 {{"others", peer_rate}, {"they", odd_rate}}},
	{"viewers",
	 "30 watch from the start, upload 1.2 x the bitrate, seed 4 x",
	 {SWARM(30, NULL, 0, 960, 64, 1024), .bitrate_Bps = 256 * KIB},
	 run_viewers,
	 {{"stalled %", stalled}, {"start s", start_max}}},
	{"viewers-scattered",
	 "the same, what is far ahead in an order of each one's own",
	 {SWARM(30, NULL, 0, 960, 64, 1024), .bitrate_Bps = 256 * KIB,
	  .scatter = 16},
	 run_viewers,
	 {{"stalled %", stalled}, {"start s", start_max}}},
	{"viewers-places",
	 "30 watch at 30 places, half of the file each; seed 16 x the bitrate",
	 {SWARM(30, NULL, 0, 960, 64, 4096), .bitrate_Bps = 256 * KIB,
	  .places = 30},
	 run_viewers,
	 {{"stalled %", stalled},
	  {"start s", start_max},
	  {"over %", over},
	  {"behind %", behind}}},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct scene scene_of(const struct row *r,
			     const struct sim_policy *policy, uint64_t seed)
{
	struct scene s = r->scene;

	s.seed = seed;
	s.policy = policy;
	if (s.odd == NULL)
		s.odd = policy;
	s.knows_limit = policy == &policy_ours;
	return s;
}

static void show(const struct row *r, const struct sim_policy *policy,
		 unsigned n_seeds)
{
	double sum[4] = {0}, worst[4] = {0};
	uint64_t hash = 0;

	for (uint64_t seed = 1; seed <= n_seeds; seed++) {
		struct scene s = scene_of(r, policy, seed);
		struct figures f = r->run(&s);

		hash ^= f.hash;
		for (unsigned i = 0; i < 4 && r->columns[i].of != NULL; i++) {
			double v = r->columns[i].of(&f);

			sum[i] += v / n_seeds;
			worst[i] = v > worst[i] ? v : worst[i];
		}
	}
	printf("  %-11s", policy->name);
	for (unsigned i = 0; i < 4 && r->columns[i].of != NULL; i++)
		printf(" %9s %7.2f (%.2f)", r->columns[i].name, sum[i],
		       worst[i]);
	printf("   trace %016llx\n", (unsigned long long)hash);
	fflush(stdout);
}

static int trace(const char *name, const char *policy, const char *seed)
{
	for (unsigned r = 0; r < N_ROWS; r++)
		for (unsigned k = 0; k < N_POLICIES; k++) {
			struct scene s;

			if (strcmp(rows[r].name, name) != 0 ||
			    strcmp(policies[k]->name, policy) != 0)
				continue;
			s = scene_of(&rows[r], policies[k],
				     strtoull(seed, NULL, 10));
			s.has_trace = true;
			(void)rows[r].run(&s);
			return 0;
		}
	fprintf(stderr, "swarmsim: no such scene or policy\n");
	return 2;
}

/* ---- goals ---- */

struct goal {
	const char *what, *row;
	double (*of)(const struct figures *f);
	double most;
};

static const struct goal goals[] = {
	{"free-riders' part of the others' rate", "free-riders", odd_ratio,
	 0.25},
	{"the same, knowing everybody", "free-riders-view", odd_ratio, 0.25},
	{"newcomers: s to half of the others' rate, the slowest", "newcomers",
	 half_max, 40},
	{"completion over the fluid bound, the last one", "complete",
	 last_bound, 1.10},
};

/* The worst of all seeds. True: it is reached. */
static bool show_goal(const struct goal *g, unsigned n_seeds)
{
	const struct row *r = rows;
	double worst = 0;

	while (strcmp(r->name, g->row) != 0)
		r++;
	for (uint64_t seed = 1; seed <= n_seeds; seed++) {
		struct scene s = scene_of(r, &policy_ours, seed);
		struct figures f = r->run(&s);

		worst = g->of(&f) > worst ? g->of(&f) : worst;
	}
	printf("  %-56s %6.2f, goal %5.2f%s\n", g->what, worst, g->most,
	       worst <= g->most ? "" : " !");
	fflush(stdout);
	return worst <= g->most;
}

static int show_goals(unsigned n_seeds)
{
	bool all = true;

	printf("ours, the worst of seeds 1 to %u; ! missed\n", n_seeds);
	for (unsigned i = 0; i < sizeof(goals) / sizeof(goals[0]); i++)
		all = show_goal(&goals[i], n_seeds) && all;
	return all ? 0 : 1;
}

static bool is_chosen(const char *name, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return n == 0;
}

int main(int argc, char **argv)
{
	unsigned n_seeds = 3;
	bool only_goals = argc > 1 && strcmp(argv[1], "--goals") == 0;
	int at = only_goals ? 2 : 1;

	if (argc == 5 && strcmp(argv[1], "--trace") == 0)
		return trace(argv[2], argv[3], argv[4]);
	if (argc > at + 1 && strcmp(argv[at], "--seeds") == 0) {
		n_seeds = (unsigned)strtoul(argv[at + 1], NULL, 10);
		at += 2;
	}
	if (only_goals)
		return show_goals(n_seeds);
	printf("seeds 1 to %u; mean (worst)\n", n_seeds);
	for (unsigned r = 0; r < N_ROWS; r++) {
		if (!is_chosen(rows[r].name, argv + at, argc - at))
			continue;
		printf("%s: %s\n", rows[r].name, rows[r].what);
		for (unsigned k = 0; k < N_POLICIES; k++)
			show(&rows[r], policies[k], n_seeds);
	}
	return 0;
}
