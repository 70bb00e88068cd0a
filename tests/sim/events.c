/* events — a binary heap of events by value. */
#include "tests/sim/events.h"

#include <stdlib.h>

#include "core/mem.h"

void events_fini(struct events *q)
{
	mem_free(q->v);
	*q = (struct events){0};
}

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

void events_add(struct events *q, struct event ev)
{
	size_t i = q->n;

	ev.seq = q->next_seq++;
	if (q->n == q->room) {
		q->room = q->room ? q->room * 2 : 1024;
		q->v = mem_grow(q->v, q->room, sizeof(*q->v));
		if (q->v == NULL)
			abort();
	}
	q->n++;
	for (; i > 0 && is_before(&ev, &q->v[(i - 1) / 2]); i = (i - 1) / 2)
		q->v[i] = q->v[(i - 1) / 2];
	q->v[i] = ev;
}

bool events_take(struct events *q, struct event *out)
{
	struct event last;
	size_t i = 0, c;

	if (q->n == 0)
		return false;
	*out = q->v[0];
	last = q->v[--q->n];
	while ((c = 2 * i + 1) < q->n) {
		if (c + 1 < q->n && is_before(&q->v[c + 1], &q->v[c]))
			c++;
		if (!is_before(&q->v[c], &last))
			break;
		q->v[i] = q->v[c];
		i = c;
	}
	if (q->n > 0)
		q->v[i] = last;
	return true;
}
