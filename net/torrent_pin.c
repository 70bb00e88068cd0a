/* torrent_pin — files that are wanted whole, though nobody reads them.
 *
 * A pin is a property of a file: that is what people name, what the store keeps
 * a blob of and what the mount shows. fetch.c counts the pins of each piece, so
 * that of two files that share one either may be unpinned.
 *
 * The store remembers the set of pinned files, all at once: a directory is
 * pinned file by file, so the set is handed over at the end of the turn. If
 * that fails the pins hold until the end of the process, with a line in the
 * log. */
#include "cache/extent.h"
#include "cache/pieces.h"
#include "core/err.h"
#include "core/log.h"
#include "net/engine_internal.h"
#include "net/fetch.h"
#include "net/torrent_internal.h"

static void on_keep(void *arg)
{
	struct torrent *t = arg;
	int r;

	if (t->state != TORRENT_READY)
		return;
	r = pieces_keep_pins(t->ps, &t->pinned);
	if (r != 0)
		log_warn("%s: pins are not remembered: %s", torrent_name(t),
			 err_text(r));
}

void torrent_pin_init(struct torrent *t)
{
	loop_task_init(&t->keep_pins, on_keep, t);
}

void torrent_pin_fini(struct torrent *t)
{
	loop_task_cancel(t->e->cfg.loop, &t->keep_pins);
	bits_fini(&t->pinned);
}

/* [first, end) of the file's pieces. */
static uint32_t pieces_of(const struct torrent *t, uint32_t file_ix,
			  uint32_t *end)
{
	uint32_t first, last;

	*end = 0;
	if (t->mi->files[file_ix].len_bytes == 0)
		return 0;
	first = extent_pieces(t->mi, file_ix, &last);
	*end = last + 1;
	return first;
}

static int add(struct torrent *t, uint32_t file_ix)
{
	uint32_t first, end;
	int r = 0;

	if (t->pinned.data == NULL)
		r = bits_init(&t->pinned, t->mi->n_files);
	if (r != 0 || bits_has(&t->pinned, file_ix))
		return r;
	first = pieces_of(t, file_ix, &end);
	r = fetch_pin(t->fetch, first, end);
	if (r == 0)
		bits_set(&t->pinned, file_ix);
	return r;
}

int torrent_pin(struct torrent *t, uint32_t file_ix)
{
	int r;

	if (t->state != TORRENT_READY)
		return ESTALE;
	if (file_ix >= t->mi->n_files)
		return EINVAL;
	r = add(t, file_ix);
	if (r == 0)
		loop_defer(t->e->cfg.loop, &t->keep_pins);
	return r;
}

void torrent_unpin(struct torrent *t, uint32_t file_ix)
{
	uint32_t first, end;

	if (t->state != TORRENT_READY || !torrent_is_pinned(t, file_ix))
		return;
	first = pieces_of(t, file_ix, &end);
	fetch_unpin(t->fetch, first, end);
	bits_clear(&t->pinned, file_ix);
	loop_defer(t->e->cfg.loop, &t->keep_pins);
}

bool torrent_is_pinned(const struct torrent *t, uint32_t file_ix)
{
	return t->pinned.data != NULL && bits_has(&t->pinned, file_ix);
}

int torrent_pin_load(struct torrent *t)
{
	const struct bits *kept = pieces_pinned(t->ps);
	uint32_t ix;
	int r = 0;

	if (kept == NULL)
		return 0;
	for (ix = bits_next(kept, 0); ix < kept->n && r == 0;
	     ix = bits_next(kept, ix + 1))
		r = add(t, ix);
	return r;
}
