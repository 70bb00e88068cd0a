/* webseed_tail — runs that nobody wants any more.
 *
 * HTTP has no way to take a request back but to close its connection, and a new
 * one costs a round trip and is slow until it has carried something: a third of
 * a second more for who seeks. Most of what a run still owes is on its way
 * already, and comes whether it is wanted or not. So where all that is out
 * comes within TAIL_DELAYS, a run is let go on as a *tail*, and what is wanted
 * next waits for the first connection that is free. What is more than that is
 * ended, the longest first.
 *
 * Lines: the connections that the web seed should have, libcurl's word for it
 * being only known when a run starts. A guess: a server may close an idle one,
 * which costs a round trip.
 *
 * Failure modes: a tail that does not come is ended after TAIL_WAIT_DELAYS. */
#include "net/webseed_tail.h"

#include <stddef.h>

#include "core/loop.h"
#include "net/net_limits.h"
#include "net/swarm_internal.h"
#include "net/webseed_run.h"

enum {
	TAIL_DELAYS = 3,
	TAIL_WAIT_DELAYS = 6,
	COLD_US = 1000000, /* after so long without bytes servers begin slowly
			      again */
};

static uint64_t left_bytes(const struct webseed_run *run)
{
	return run->end_bytes - run->at_bytes;
}

/* After that, nothing comes. */
static uint64_t heard_until_us(const struct webseed *ws)
{
	return ws->heard_us + TAIL_WAIT_DELAYS * (uint64_t)ws->window.delay_us;
}

static bool is_tail(const struct webseed_run *run)
{
	return webseed_run_is_active(run) && !webseed_run_is_wanted(run);
}

uint64_t webseed_tail_bytes(const struct webseed *ws)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		if (is_tail(&ws->runs[i]))
			bytes += left_bytes(&ws->runs[i]);
	return bytes;
}

unsigned webseed_tail_active(const struct webseed *ws)
{
	unsigned n = 0, i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		n += webseed_run_is_active(&ws->runs[i]);
	return n;
}

static uint64_t out_bytes(const struct webseed *ws)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		bytes += left_bytes(&ws->runs[i]);
	return bytes;
}

/* What comes within so many delays. */
static uint64_t bytes_in(const struct webseed *ws, unsigned delays)
{
	return ws->window.rate_Bps / 1000 * delays * ws->window.delay_us / 1000;
}

/* Of those that are tails since now. */
static struct webseed_run *longest_new(struct webseed *ws, uint64_t until_us)
{
	struct webseed_run *found = NULL, *run;
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++) {
		run = &ws->runs[i];
		if (is_tail(run) && run->tail_until_us == until_us &&
		    (found == NULL || left_bytes(run) > left_bytes(found)))
			found = run;
	}
	return found;
}

unsigned webseed_tail_settle(struct webseed *ws)
{
	uint64_t now_us = loop_now_us(ws->sw->loop);
	uint64_t until_us =
		now_us + TAIL_WAIT_DELAYS * (uint64_t)ws->window.delay_us;
	struct webseed_run *run;
	unsigned i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++) {
		run = &ws->runs[i];
		if (!is_tail(run))
			run->tail_until_us = 0;
		else if (run->tail_until_us == 0)
			run->tail_until_us = until_us;
		else if (run->tail_until_us <= now_us)
			webseed_run_end(run);
	}
	while (out_bytes(ws) > bytes_in(ws, TAIL_DELAYS) &&
	       (run = longest_new(ws, until_us)) != NULL)
		webseed_run_end(run);
	return webseed_tail_active(ws);
}

/* Will a connection be free soon, as far as anybody can tell? They share what
 * comes. */
static bool is_free_soon(const struct webseed *ws)
{
	uint64_t least = UINT64_MAX;
	unsigned n = webseed_tail_active(ws), i;

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++)
		if (webseed_run_is_active(&ws->runs[i]) &&
		    left_bytes(&ws->runs[i]) < least)
			least = left_bytes(&ws->runs[i]);
	return n > 0 && n * least <= bytes_in(ws, TAIL_DELAYS) &&
	       loop_now_us(ws->sw->loop) < heard_until_us(ws);
}

bool webseed_tail_may_start(const struct webseed *ws, bool is_urgent)
{
	if (ws->n_lines > webseed_tail_active(ws))
		return true;
	return !(is_urgent || webseed_tail_bytes(ws) > 0) || !is_free_soon(ws);
}

void webseed_tail_on_start(struct webseed *ws)
{
	unsigned n = webseed_tail_active(ws);

	if (n > ws->n_lines)
		ws->n_lines = n;
}

bool webseed_tail_has_lines(const struct webseed *ws)
{
	return ws->n_lines > 0 &&
	       (webseed_tail_active(ws) > 0 ||
		loop_now_us(ws->sw->loop) <= ws->heard_us + COLD_US);
}

uint64_t webseed_tail_wake_us(const struct webseed *ws)
{
	uint64_t wake_us = ws->n_queue > 0 ? heard_until_us(ws) : UINT64_MAX;
	uint64_t now_us = loop_now_us(ws->sw->loop);
	unsigned i;

	if (wake_us <= now_us)
		wake_us = UINT64_MAX; /* it waits for something else */

	for (i = 0; i < WEBSEED_REQUESTS_MAX; i++) {
		const struct webseed_run *run = &ws->runs[i];

		if (webseed_run_is_active(run) && run->tail_until_us != 0 &&
		    run->tail_until_us < wake_us)
			wake_us = run->tail_until_us;
	}
	return wake_us;
}
