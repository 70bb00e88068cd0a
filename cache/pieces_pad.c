/* pieces_pad — pieces that are padding alone.
 *
 * Purpose: a v1 torrent may have padding files longer than a piece (BEP 47).
 * What is in them is known to be zeros, so a piece that lies within them is
 * held from the start, without a block of it. That the torrent means zeros,
 * too, is seen from its hash: of one such piece, and of the last if it is
 * shorter, by a worker, while the torrent opens; the others are compared with
 * that. Where it does not the piece is never held, and nobody misses it.
 *
 * Most torrents have none, and pay one look at their files. */
#include "cache/pieces_internal.h"

#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/metainfo.h"

struct pad_check {
	struct pieces *ps;
	struct verify_job verify;
	uint32_t last; /* to be looked at after this one, or itself */
};

/* Calls `fn` for each piece of padding that is not held. */
static void each(struct pieces *ps,
		 void (*fn)(struct pieces *ps, uint32_t ix, void *arg),
		 void *arg)
{
	const struct metainfo *mi = ps->cfg.mi;
	uint64_t run = 0; /* where the padding began that goes on here */

	for (uint32_t i = 0; i < mi->n_files; i++) {
		const struct mi_file *f = &mi->files[i];
		uint64_t end = f->off_bytes + f->len_bytes;
		uint32_t ix;

		if (!(f->attr & MI_ATTR_PAD)) {
			run = end;
			continue;
		}
		ix = (uint32_t)((run + mi->piece_bytes - 1) / mi->piece_bytes);
		for (; ix < mi->n_pieces &&
		       (uint64_t)ix * mi->piece_bytes +
				       metainfo_piece_bytes(mi, ix) <=
			       end;
		     ix++)
			if (!bits_has(&ps->have, ix) &&
			    metainfo_body_bytes(mi, ix) == 0)
				fn(ps, ix, arg);
		run = (uint64_t)ix * mi->piece_bytes > run
			      ? (uint64_t)ix * mi->piece_bytes
			      : run;
	}
}

static const uint8_t *hash_of(const struct pieces *ps, uint32_t ix)
{
	return ps->cfg.mi->v1_hashes + (size_t)ix * HASH_SHA1_BYTES;
}

static void hold_if_equal(struct pieces *ps, uint32_t ix, void *arg)
{
	const struct pad_check *c = arg;
	const struct metainfo *mi = ps->cfg.mi;
	uint32_t is_right = c->verify.piece_ix;

	if (metainfo_piece_bytes(mi, ix) !=
		    metainfo_piece_bytes(mi, is_right) ||
	    memcmp(hash_of(ps, ix), hash_of(ps, is_right), HASH_SHA1_BYTES) !=
		    0)
		return;
	bits_set(&ps->have, ix);
	ps->marks[ix] = PIECE_CLEAN;
}

static void check(struct pad_check *c, uint32_t ix);

static void on_checked(struct job *job)
{
	struct pad_check *c = CONTAINER_OF(job, struct pad_check, verify.job);
	struct pieces *ps = c->ps;

	if (!ps->is_closed && c->verify.verdict == PIECE_RIGHT)
		each(ps, hold_if_equal, c);
	if (!ps->is_closed && c->last != c->verify.piece_ix &&
	    metainfo_piece_bytes(ps->cfg.mi, c->last) !=
		    metainfo_piece_bytes(ps->cfg.mi, c->verify.piece_ix)) {
		check(c, c->last);
		return;
	}
	mem_free(c);
	pieces_opened(ps);
}

static void check(struct pad_check *c, uint32_t ix)
{
	c->verify.mi = c->ps->cfg.mi;
	c->verify.piece_ix = ix;
	verify_job_start(&c->verify, c->ps->cfg.workers, on_checked);
}

struct ends {
	uint32_t first, last;
	bool is_any;
};

static void note(struct pieces *ps, uint32_t ix, void *arg)
{
	struct ends *e = arg;

	if (!e->is_any)
		e->first = ix;
	e->is_any = true;
	e->last = ix;
}

bool pieces_pad_start(struct pieces *ps)
{
	struct ends e = {0};
	struct pad_check *c;

	if (!ps->cfg.mi->has_v1 || ps->cfg.mi->has_v2)
		return false; /* there are no pieces of padding */
	each(ps, note, &e);
	if (!e.is_any)
		return false;
	c = mem_new(struct pad_check);
	if (c == NULL)
		return false; /* they are not held this time */
	c->ps = ps;
	c->last = e.last;
	check(c, e.first);
	return true;
}
