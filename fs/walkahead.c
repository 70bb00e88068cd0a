/* walkahead — see walkahead.h.
 *
 * Purpose. A walk (find, rsync, ls -R, a file manager that counts) lists the
 * torrents of a library one after the other, and the first time each of them
 * has to be read and parsed while the walker waits. But between two of his
 * questions we wait for him, for longer than that takes.
 *
 * Words. Somebody is seen when he lists a torrent's top directory from its
 * beginning. He walks when he was seen WALKAHEAD_ROW times, each time in the
 * torrent that comes next: in order of inode numbers, by which the root is
 * listed and fts goes, or of names, by which others sort. Several may walk at a
 * time; and one who sorts names by another alphabet than ours (capitals among
 * the others) looks like several, each in his own part of it.
 *
 * How far. As far ahead as he has been seen to walk, at most WALKAHEAD_MAX and
 * WALKAHEAD_BYTES, which all walks together could have several times in what
 * may be WARM: so nothing is dropped again before he comes to it.
 *
 * When. While the session lingers for the next request (mount.c), one torrent
 * between two looks at the descriptor; otherwise a turn of the loop each.
 *
 * From a slow disk. What is not in the page cache is not read here. The keeper
 * is told of all that he comes to soon, and nobody waits for what comes of it:
 * when the walker is seen the next time it is in the page cache, or on its way
 * there. So his reads are many at a time, and the disk may order them.
 *
 * Failure modes. What cannot be read or is damaged is left for who asks for it,
 * who is told, and so is the log. When the root changes all walks begin anew:
 * places are not what they were. */
#include "fs/walkahead.h"

#include <string.h>

#include "core/err.h"
#include "fs/keeper.h"
#include "fs/mount_internal.h"
#include "fs/roster.h"
#include "fs/warmth.h"

static struct shown *shown_at(const struct roster *r, enum walk_order order,
			      uint32_t at)
{
	return order == WALK_BY_BASE ? r->listed[at].shown : r->by_name[at];
}

static uint32_t place_of(const struct roster *r, enum walk_order order,
			 const struct shown *s)
{
	return order == WALK_BY_BASE ? roster_listed_ix(r, s)
				     : roster_name_ix(r, s);
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Where he gets to with so many for each that he came to. */
static uint32_t reach(const struct roster *r, const struct walk *k,
		      uint32_t times)
{
	uint32_t row = k->row < WALKAHEAD_ROW ? 0 : k->row;

	return min_u32(r->n, k->at + 1 + times * min_u32(row, WALKAHEAD_MAX));
}

/* ---- who walks ---- */

static void advance(struct walk *k, const struct shown *s)
{
	uint64_t cost = warmth_cost(s);

	k->row++;
	k->at++;
	if (k->ahead > k->at) {
		k->bytes -= k->bytes < cost ? k->bytes : cost;
	} else {
		k->ahead = k->at + 1;
		k->bytes = 0;
	}
	if (k->told < k->ahead)
		k->told = k->ahead;
}

/* Whose next one it is. */
static struct walk *follow(struct walkahead *w, const struct roster *r,
			   enum walk_order order, const struct shown *s)
{
	for (unsigned i = 0; i < WALKAHEAD_WALKS; i++) {
		struct walk *k = &w->walks[order][i];

		if (k->row == 0 || k->at + 1 >= r->n ||
		    shown_at(r, order, k->at + 1) != s)
			continue;
		advance(k, s);
		k->used = w->n_seen;
		return k;
	}
	return NULL;
}

/* In place of who was not seen for the longest time. */
static void begin(struct walkahead *w, const struct roster *r,
		  enum walk_order order, const struct shown *s)
{
	struct walk *k = &w->walks[order][0];

	for (unsigned i = 1; i < WALKAHEAD_WALKS; i++)
		if (w->walks[order][i].used < k->used)
			k = &w->walks[order][i];
	*k = (struct walk){.order = order,
			   .row = 1,
			   .at = place_of(r, order, s),
			   .used = w->n_seen};
	k->ahead = k->told = k->at + 1;
}

void walkahead_seen(struct mount *m, const struct shown *s)
{
	struct walkahead *w = &m->walkahead;
	const struct roster *r = &m->roster;
	struct walk *by_base, *by_name;

	if (w->n_changes != r->n_changes)
		memset(w->walks, 0, sizeof(w->walks));
	w->n_changes = r->n_changes;
	w->n_seen++;
	by_base = follow(w, r, WALK_BY_BASE, s);
	by_name = follow(w, r, WALK_BY_NAME, s);
	w->walker = by_base;
	if (by_base == NULL || (by_name != NULL && by_name->row > by_base->row))
		w->walker = by_name;
	if (w->walker != NULL) {
		loop_defer(m->loop, &w->task);
		return;
	}
	begin(w, r, WALK_BY_BASE, s);
	begin(w, r, WALK_BY_NAME, s);
}

/* ---- what he comes to ---- */

/* Of twice as many as are made WARM, so that they are there by then; and of
 * many at a time. */
static void tell_keeper(struct mount *m, struct walk *k)
{
	struct record_place places[2 * WALKAHEAD_MAX];
	uint32_t end = reach(&m->roster, k, 2);
	unsigned n = 0;

	if (k->told - k->ahead >= WALKAHEAD_MAX / 2)
		return;
	for (; k->told < end; k->told++) {
		const struct shown *s = shown_at(&m->roster, k->order, k->told);

		if (s->mi == NULL && s->source_len != 0 &&
		    warmth_cost(s) <= WALKAHEAD_BYTES)
			places[n++] = (struct record_place){
				s->source_at,
				s->source_len,
			};
	}
	if (n > 0)
		m->keeper->soon(m->keeper->ctx, places, n);
}

bool walkahead_step(struct mount *m)
{
	struct walkahead *w = &m->walkahead;
	struct walk *k = w->walker;
	struct shown *s;

	if (k == NULL)
		return false;
	w->walker = NULL;
	if (w->n_changes != m->roster.n_changes ||
	    k->ahead >= reach(&m->roster, k, 1))
		return false;
	s = shown_at(&m->roster, k->order, k->ahead);
	if (k->bytes + warmth_cost(s) > WALKAHEAD_BYTES)
		return false;
	if (k->is_cold)
		tell_keeper(m, k);
	if (warmth_ahead(m, s) == EAGAIN) {
		k->is_cold = true;
		tell_keeper(m, k);
		return true;
	}
	k->bytes += warmth_cost(s);
	k->ahead++;
	if (k->told < k->ahead)
		k->told = k->ahead;
	w->walker = k;
	return true;
}

static void on_task(void *arg)
{
	struct mount *m = arg;

	if (walkahead_step(m))
		loop_defer(m->loop, &m->walkahead.task);
}

void walkahead_init(struct mount *m)
{
	loop_task_init(&m->walkahead.task, on_task, m);
}

void walkahead_end(struct mount *m)
{
	loop_task_cancel(m->loop, &m->walkahead.task);
	m->walkahead.walker = NULL;
}
