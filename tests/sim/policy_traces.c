/* policy_traces — what people do with a mount, piece by piece.
 *
 * A piece is 1 MiB. Films are some 700 pieces, watched from the start, some of
 * them to the end; what is popular is watched more often (Zipf), and who seeks
 * back sees the last minutes again. A scanner (file managers, media servers)
 * looks at the first and the last piece of every file, again and again; now and
 * then somebody reads a file. A data set is read at random, some of it often;
 * sometimes all of it in order. */
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rng.h"
#include "tests/sim/policy.h"

/* ---- making them ---- */

static void begin(struct trace *t, uint32_t n_keys, uint64_t n)
{
	*t = (struct trace){.n_keys = n_keys, .room_for = n};
	t->keys = mem_zalloc(n, sizeof(*t->keys));
	t->is_end = mem_zalloc(n_keys, 1);
	if (t->keys == NULL || t->is_end == NULL)
		abort();
}

void trace_free(struct trace *t)
{
	mem_free(t->keys);
	mem_free(t->is_end);
}

static bool is_full(const struct trace *t)
{
	return t->n >= t->room_for;
}

static void use(struct trace *t, uint32_t key)
{
	if (!is_full(t))
		t->keys[t->n++] = key;
}

/* Files of equal length, one behind the other from key `base` on. */
static void mark_ends(struct trace *t, uint32_t base, uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < n; i++) {
		t->is_end[base + i * len] = 1;
		t->is_end[base + i * len + len - 1] = 1;
	}
}

/* Rank 0 … n - 1, the first ones more often: by 1 / (rank + 1)^s. */
static uint32_t zipf(struct rng *r, uint32_t n, double s)
{
	double u = ((double)rng_below(r, 1u << 30) + 0.5) / (1u << 30);
	double x;

	if (s > 0.99 && s < 1.01)
		x = pow((double)n + 1, u);
	else
		x = pow((pow((double)n + 1, 1 - s) - 1) * u + 1, 1 / (1 - s));
	return (uint32_t)(x - 1) < n ? (uint32_t)(x - 1) : n - 1;
}

/* ---- who reads ---- */

struct viewer {
	uint32_t base, at, until, len;
};

enum { FILMS = 40, FILM = 700, FILM_KEYS = FILMS * FILM };

static void film_step(struct trace *t, struct viewer *v, struct rng *r,
		      uint32_t base)
{
	if (v->at >= v->until) {
		/* The head and the tail first: a player looks for its index. */
		v->base = base + zipf(r, FILMS, 0.9) * FILM;
		v->at = 0;
		v->until = FILM;
		if (rng_below(r, 10) < 4)
			v->until = 10 + (uint32_t)rng_below(r, FILM - 10);
		use(t, v->base);
		use(t, v->base + FILM - 1);
	}
	use(t, v->base + v->at++);
	if (v->at > 20 && rng_below(r, 100) == 0)
		v->at -= 1 + (uint32_t)rng_below(r, 19);
}

enum { FILES = 3000, FILE_LEN = 20, FILES_KEYS = FILES * FILE_LEN };

static void scan_step(struct trace *t, uint32_t *at, struct rng *r,
		      uint32_t base)
{
	uint32_t f = (*at)++ % FILES;

	use(t, base + f * FILE_LEN);
	use(t, base + f * FILE_LEN + FILE_LEN - 1);
	if (rng_below(r, 20) == 0) {
		f = (uint32_t)rng_below(r, FILES);
		for (uint32_t i = 0; i < FILE_LEN; i++)
			use(t, base + f * FILE_LEN + i);
	}
}

enum { DATA_KEYS = 20000 };

/* The popular ones lie anywhere. */
static void data_step(struct trace *t, struct rng *r, uint32_t base)
{
	uint32_t rank = zipf(r, DATA_KEYS, 0.7);

	if (rng_below(r, 30000) == 0)
		for (uint32_t i = 0; i < DATA_KEYS; i++)
			use(t, base + i);
	use(t, base + (uint32_t)((uint64_t)rank * 7919 % DATA_KEYS));
}

/* ---- the traces ---- */

enum { USES = 400000, VIEWERS = 3 };

static void make_streaming(struct trace *t, uint64_t seed)
{
	struct viewer v[VIEWERS] = {{0}};
	struct rng r;

	rng_seed(&r, seed);
	begin(t, FILM_KEYS, USES);
	mark_ends(t, 0, FILMS, FILM);
	while (!is_full(t))
		film_step(t, &v[rng_below(&r, VIEWERS)], &r, 0);
}

static void make_scanning(struct trace *t, uint64_t seed)
{
	struct rng r;
	uint32_t at = 0;

	rng_seed(&r, seed);
	begin(t, FILES_KEYS, USES);
	mark_ends(t, 0, FILES, FILE_LEN);
	while (!is_full(t))
		scan_step(t, &at, &r, 0);
}

static void make_dataset(struct trace *t, uint64_t seed)
{
	struct rng r;

	rng_seed(&r, seed);
	begin(t, DATA_KEYS, USES);
	mark_ends(t, 0, 1, DATA_KEYS);
	while (!is_full(t))
		data_step(t, &r, 0);
}

static void make_mixed(struct trace *t, uint64_t seed)
{
	struct viewer v[VIEWERS] = {{0}};
	struct rng r;
	uint32_t at = 0;

	rng_seed(&r, seed);
	begin(t, FILM_KEYS + FILES_KEYS + DATA_KEYS, 2 * USES);
	mark_ends(t, 0, FILMS, FILM);
	mark_ends(t, FILM_KEYS, FILES, FILE_LEN);
	while (!is_full(t)) {
		uint64_t what = rng_below(&r, 10);

		if (what < 5)
			film_step(t, &v[rng_below(&r, VIEWERS)], &r, 0);
		else if (what < 7)
			scan_step(t, &at, &r, FILM_KEYS);
		else
			data_step(t, &r, FILM_KEYS + FILES_KEYS);
	}
}

const struct trace_kind trace_kinds[TRACE_KINDS] = {
	{"streaming", "3 viewers, 40 films of 700 MiB", make_streaming},
	{"scanning", "ends of 3000 files of 20 MiB", make_scanning},
	{"data set", "20 GB at random, Zipf 0.7", make_dataset},
	{"mixed", "all three at once", make_mixed},
};
