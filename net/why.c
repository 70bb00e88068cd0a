/* why — see why.h. Numbers are given where they say something to somebody who
 * knows BitTorrent a little, and what trackers and web seeds say themselves is
 * kept. */
#include "net/why.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"

struct line {
	char *at;
	size_t left; /* with the NUL */
};

__attribute__((format(printf, 2, 3))) static void say(struct line *l,
						      const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(l->at, l->left, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= l->left)
		n = (int)l->left - 1;
	l->at += n;
	l->left -= (size_t)n;
}

static void say_no_peers(struct line *l, const struct why *w)
{
	if (w->n_dialing > 0) {
		say(l, "connecting to %u of %u known peers", w->n_dialing,
		    w->n_known);
		return;
	}
	if (w->n_known > 0)
		say(l, "none of %u known peers answers", w->n_known);
	else if (w->tracker_trouble != NULL)
		say(l, "no peers known");
	else if (w->n_trackers == 0)
		say(l, "no peers known, and no tracker to ask");
	else
		say(l, "no peers known; the trackers name none");
	if (w->tracker_trouble != NULL)
		say(l, "; tracker: %s", w->tracker_trouble);
}

static void say_metadata(struct line *l, const struct why *w)
{
	say(l, "waiting for metadata: ");
	if (w->n_up == 0)
		say_no_peers(l, w);
	else
		say(l, "none of %u connected peers has sent it yet", w->n_up);
}

/* Nothing is asked for: somebody who has it must come first. */
static void say_nobody(struct line *l, const struct why *w)
{
	if (w->web_trouble != NULL)
		say(l, "web seed: %s", w->web_trouble);
	else if (w->n_up == 0)
		say_no_peers(l, w);
	else
		say(l, "none of %u connected peers has piece %u", w->n_up,
		    w->piece_ix);
}

static void say_piece(struct line *l, const struct why *w)
{
	if (w->is_checking)
		say(l, "piece %u is being checked", w->piece_ix);
	else if (w->n_blocks == 0 && w->n_web_blocks > 0)
		say(l, "waiting for %u blocks of piece %u from a web seed",
		    w->n_web_blocks, w->piece_ix);
	else if (w->n_has == 0 || (w->n_blocks == 0 && w->web_trouble != NULL))
		say_nobody(l, w);
	else if (w->n_blocks > 0 && w->n_open > 0 && w->n_open == w->n_stalled)
		say(l, "all %u peers with piece %u have stalled", w->n_open,
		    w->piece_ix);
	else if (w->n_blocks > 0)
		say(l, "waiting for %u blocks of piece %u from %u peers",
		    w->n_blocks, w->piece_ix, w->n_from);
	else if (w->n_open == 0)
		say(l, "all %u peers with piece %u choke us", w->n_has,
		    w->piece_ix);
	else if (w->limit_Bps != 0)
		say(l, "the limit of %" PRIu64 " KiB/s has piece %u wait",
		    w->limit_Bps >> 10, w->piece_ix);
	else if (w->is_lacking)
		say(l, "piece %u waits for memory or for a peer's turn",
		    w->piece_ix);
	else
		say(l, "piece %u is about to be asked for", w->piece_ix);
}

static const char *keep_text(int err)
{
	return err == ENOSPC ? "the disk is full, or the quota used up"
			     : err_text(err);
}

void why_text(const struct why *w, char *out, size_t len)
{
	struct line l = {out, len};

	out[0] = '\0';
	if (w->is_metadata) {
		say_metadata(&l, w);
		return;
	}
	if (w->is_resting) {
		say(&l,
		    "the store could not keep a piece: %s; trying again soon",
		    w->keep_err != 0 ? keep_text(w->keep_err) : "it was lost");
		return;
	}
	say_piece(&l, w);
	if (w->n_bad > 0)
		say(&l, "; its hash was wrong %u time%s", w->n_bad,
		    w->n_bad == 1 ? "" : "s");
	if (w->keep_err != 0)
		say(&l, "; the store keeps nothing: %s",
		    keep_text(w->keep_err));
}
