/* metafetch — the two ends of ut_metadata, and the store's memory of it.
 *
 * Happy path of a magnet
 *   1. metafetch_load: the store is asked; after a restart it knows.
 *   2. metafetch_start: peers that speak ut_metadata are asked for blocks as
 *      metaget.c says, again when answers are late.
 *   3. Whole: a worker hashes and parses it (metaverify_job.c).
 *   4. torrent_on_info.
 *
 * Failure modes. Other bytes than asked for: metaget forgets them and tries
 * anew, whoever sent all of them alone is banned. The right bytes, but
 * malformed: the torrent fails. From the store: as if it had known nothing.
 *
 * Serving: a request is answered at once or, past METAGET_SERVE_QUEUE answers
 * waiting in the socket's queue, rejected.
 *
 * Neither the store's look-up nor the job can be cancelled: both carry a
 * struct whose way back to us is cut when we go (`mf` NULL). */
#include "net/metafetch.h"

#include "cache/store.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "net/engine_internal.h"
#include "net/ext.h"
#include "net/metaget.h"
#include "net/metaverify_job.h"
#include "net/net_limits.h"
#include "net/peer.h"
#include "net/swarm.h"
#include "net/swarm_internal.h"
#include "net/torrent_internal.h"

struct load {
	struct metafetch *mf; /* Owner: NULL once it is gone */
};

struct metafetch {
	struct torrent *t;  /* Owner: */
	struct metaget *mg; /* while peers are asked */
	struct loop_timer *stale;
	struct load *load;
	struct metaverify *job;
};

static void pump(struct metafetch *mf);

static void on_stale(void *arg)
{
	pump(arg);
}

int metafetch_new(struct torrent *t, struct metafetch **out)
{
	struct metafetch *mf = mem_new(struct metafetch);
	int r;

	if (mf == NULL)
		return ENOMEM;
	mf->t = t;
	r = loop_timer_new(t->e->cfg.loop, on_stale, mf, &mf->stale);
	if (r != 0) {
		mem_free(mf);
		return r;
	}
	*out = mf;
	return 0;
}

void metafetch_stop(struct metafetch *mf)
{
	loop_timer_stop(mf->stale);
	metaget_free(mf->mg);
	mf->mg = NULL;
	if (mf->job != NULL)
		mf->job->mf = NULL;
	mf->job = NULL;
	if (mf->load != NULL)
		mf->load->mf = NULL;
	mf->load = NULL;
}

void metafetch_free(struct metafetch *mf)
{
	if (mf == NULL)
		return;
	metafetch_stop(mf);
	loop_timer_free(mf->stale);
	mem_free(mf);
}

/* ---- is it right? ---- */

/* Who sent all of a wrong dictionary alone is a liar. */
static void ban_liars(struct metafetch *mf)
{
	struct swarm *sw = mf->t->swarm;
	struct peer *p, *next;

	TAILQ_FOREACH_SAFE (p, &sw->peers, link, next)
		if (metaget_is_liar(mf->mg, p->id))
			peer_end(p, PEER_END_BAD_HASH);
}

static void on_other(struct metafetch *mf, bool is_stored)
{
	if (is_stored) {
		torrent_on_no_info(mf->t);
		return;
	}
	metaget_on_bad(mf->mg);
	ban_liars(mf);
	pump(mf);
}

static void on_verified(struct job *job)
{
	struct metaverify *mv = CONTAINER_OF(job, struct metaverify, job);
	struct metafetch *mf = mv->mf;
	struct metainfo *mi = mv->mi;
	enum metaverify_result result = mv->result;
	struct mi_error error = mv->error;
	bool is_stored = mv->is_stored;

	mem_free(mv->bytes);
	mem_free(mv);
	if (mf == NULL) {
		metainfo_free(mi);
		return;
	}
	mf->job = NULL;
	switch (result) {
	case METAVERIFY_OK:
		metafetch_stop(mf);
		torrent_on_info(mf->t, mi);
		break;
	case METAVERIFY_OTHER:
		on_other(mf, is_stored);
		break;
	case METAVERIFY_BAD:
		torrent_fail(mf->t, "its metadata is malformed: %s",
			     error.text);
		break;
	case METAVERIFY_NOMEM:
		torrent_fail(mf->t, "its metadata does not fit into memory");
		break;
	}
}

static int verify(struct metafetch *mf, struct span bytes, bool is_stored)
{
	struct metaverify *mv = mem_new(struct metaverify);

	if (mv == NULL)
		return ENOMEM;
	mv->bytes = mem_dup(bytes.ptr, bytes.len);
	if (mv->bytes == NULL) {
		mem_free(mv);
		return ENOMEM;
	}
	mv->len = bytes.len;
	mv->want = mf->t->id;
	mv->mf = mf;
	mv->is_stored = is_stored;
	mv->job.run = metaverify_job_run;
	mv->job.done = on_verified;
	mf->job = mv;
	workers_submit(mf->t->e->cfg.workers, &mv->job);
	return 0;
}

/* ---- from the store ---- */

static void on_load(void *arg, int err, struct span info)
{
	struct load *load = arg;
	struct metafetch *mf = load->mf;

	mem_free(load);
	if (mf == NULL)
		return;
	mf->load = NULL;
	if (err == 0)
		err = verify(mf, info, true);
	if (err != 0)
		torrent_on_no_info(mf->t);
}

int metafetch_load(struct metafetch *mf)
{
	struct load *load = mem_new(struct load);
	int r;

	if (load == NULL)
		return ENOMEM;
	load->mf = mf;
	r = store_load_info(mf->t->e->cfg.store, &mf->t->id, on_load, load);
	if (r != 0) {
		mem_free(load);
		return r;
	}
	mf->load = load;
	return 0;
}

/* ---- from peers ---- */

static void put_message(struct peer *p, const struct ext_metadata *m)
{
	struct buf body = {0};

	ext_put_metadata(&body, m);
	if (buf_err(&body) == 0)
		wire_put_extended(peerio_out(p->io), p->ut_metadata,
				  buf_span(&body));
	buf_fini(&body);
}

static void ask(struct metafetch *mf, struct peer *p, uint64_t now_us)
{
	struct ext_metadata m = {.type = EXT_METADATA_REQUEST};

	while (metaget_next(mf->mg, p->id, now_us, &m.piece_ix))
		put_message(p, &m);
}

static bool verify_whole(struct metafetch *mf)
{
	struct span whole = metaget_whole(mf->mg);

	if (whole.len == 0)
		return false;
	if (verify(mf, whole, false) != 0) /* no memory: later */
		loop_timer_start(mf->stale, METAGET_STALE_US);
	return true;
}

/* Ask whom we can; look again when answers would be late. */
static void pump(struct metafetch *mf)
{
	uint64_t now_us = loop_now_us(mf->t->e->cfg.loop);
	struct peer *p;
	bool is_any = false;

	if (mf->mg == NULL || mf->job != NULL || verify_whole(mf))
		return;
	TAILQ_FOREACH (p, &mf->t->swarm->peers, link) {
		if (!p->is_up || p->ut_metadata == 0)
			continue;
		is_any = true;
		ask(mf, p, now_us);
	}
	if (is_any)
		loop_timer_start(mf->stale, METAGET_STALE_US);
	else
		loop_timer_stop(mf->stale);
}

int metafetch_start(struct metafetch *mf)
{
	return metaget_new(&mf->mg);
}

void metafetch_on_claim(struct metafetch *mf, struct peer *p,
			uint32_t size_bytes)
{
	if (mf->mg == NULL)
		return;
	/* A wild claim is not asked about; the peer may be fine otherwise. */
	if (metaget_on_peer(mf->mg, p->id, size_bytes) == 0)
		pump(mf);
}

void metafetch_on_peer_gone(struct metafetch *mf, const struct peer *p)
{
	if (mf->mg == NULL)
		return;
	metaget_on_peer_gone(mf->mg, p->id);
	pump(mf);
}

static void on_data(struct metafetch *mf, struct peer *p,
		    const struct ext_metadata *m)
{
	if (mf->mg == NULL || mf->job != NULL)
		return; /* a late copy */
	/* What was not asked for is a copy that came late, or spam that costs
	 * its sender more than us. */
	if (metaget_on_data(mf->mg, p->id, m->piece_ix, m->data) == 0)
		pump(mf);
}

/* ---- to peers ---- */

static void on_request(struct metafetch *mf, struct peer *p, uint32_t piece_ix)
{
	const struct metainfo *mi = mf->t->mi;
	struct ext_metadata m = {.type = EXT_METADATA_REJECT,
				 .piece_ix = piece_ix};
	size_t at = (size_t)piece_ix * EXT_METADATA_BLOCK;

	if (p->ut_metadata == 0)
		return; /* we would not know what to call the answer */
	if (mi != NULL && at < mi->info.len &&
	    peerio_queued_bytes(p->io) <
		    (size_t)METAGET_SERVE_QUEUE * EXT_METADATA_BLOCK) {
		size_t len = mi->info.len - at;

		m.type = EXT_METADATA_DATA;
		m.total_bytes = (uint32_t)mi->info.len;
		m.data = span_of(mi->info.ptr + at,
				 len < EXT_METADATA_BLOCK ? len
							  : EXT_METADATA_BLOCK);
	}
	put_message(p, &m);
}

void metafetch_on_msg(struct metafetch *mf, struct peer *p, struct span body)
{
	struct ext_metadata m;
	int r = ext_decode_metadata(body, &m);

	if (r == EAGAIN)
		return;
	if (r != 0) {
		peer_end(p, PEER_END_PROTOCOL);
		return;
	}
	switch (m.type) {
	case EXT_METADATA_REQUEST:
		on_request(mf, p, m.piece_ix);
		break;
	case EXT_METADATA_DATA:
		on_data(mf, p, &m);
		break;
	case EXT_METADATA_REJECT:
		if (mf->mg == NULL)
			break;
		metaget_on_reject(mf->mg, p->id, m.piece_ix);
		pump(mf);
		break;
	}
}
