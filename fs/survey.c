/* survey — a sample of the network, made because somebody reads it.
 *
 * Happy path
 *   1. somebody opens the file: the first round begins, a search of BEP 51 for
 *      a random target, whose nodes tell some of the info-hashes they store
 *   2. what is new is a find; a few at a time are guests of the engine until
 *      their metadata is there, and leave with their name taken
 *   3. a find whose name is known, or was waited for long enough, is a line;
 *      whoever waits for lines is answered
 *   4. rounds follow each other with a pause, until there are enough finds, or
 *      a round meets nobody new; when all finds are lines, it is over
 *
 * It is polite: one search at a time, of few messages; nobody is asked twice,
 * but for a part of one round, since BEP 51 forbids it for hours; what was
 * found stands a while. It never announces: guests do not. It is bounded in
 * finds, in rounds and in time, whatever the network says.
 *
 * Failure modes: no memory, and a round or a name is left out.
 *
 * A torrent that somebody names meanwhile is let go, and becomes his; one that
 * the store knew before keeps what it has there, others leave nothing.
 *
 * Invariants (but inside a call): `waiting` is empty when it is over; a find
 * has a torrent iff it is FETCHED; n_open is the number of open handles. */
#include "fs/survey.h"

#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/hmap.h"
#include "core/loop.h"
#include "core/magnet.h"
#include "core/mem.h"
#include "core/metainfo.h"
#include "core/name.h"
#include "core/queue.h"
#include "core/rng.h"
#include "fs/fs_limits.h"
#include "fs/mount_internal.h"
#include "net/engine.h"
#include "net/mainline.h"

enum { HASH_BYTES = 20 };

enum find_state { FIND_NEW, FIND_FETCHED, FIND_TOLD };

struct find {
	uint8_t hash[HASH_BYTES];
	enum find_state state;
	struct torrent *torrent;
	bool is_owned; /* it was not in the engine before */
	bool is_news;  /* nor in the store */
	uint64_t since_us;
};

/* A read that waits. */
struct wait {
	TAILQ_ENTRY(wait) link;
	struct survey *s;
	fuse_req_t req;
	uint64_t off;
	size_t len;
	struct loop_task interrupt;
};

struct survey {
	struct mount *m;
	struct loop_timer *tick;
	struct dht_search *search; /* NULL: between two rounds */
	struct hmap *asked;	   /* nodes */
	struct hmap *seen;	   /* info-hashes */
	struct buf text;
	TAILQ_HEAD(, wait) waiting;
	struct find finds[SURVEY_FINDS_MAX];
	unsigned n_finds, n_told, n_fetched;
	unsigned n_rounds, n_new_nodes, n_open;
	uint64_t begun_us, next_round_us, over_us;
	bool is_over;
};

/* ---- readers ---- */

static fuse_req_t finish(struct wait *w)
{
	fuse_req_t req = w->req;

	TAILQ_REMOVE(&w->s->waiting, w, link);
	loop_task_cancel(w->s->m->loop, &w->interrupt);
	mem_free(w);
	return req;
}

static void on_interrupt_turn(void *arg)
{
	fuse_reply_err(finish(arg), EINTR);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct wait *w = data;

	loop_defer(w->s->m->loop, &w->interrupt);
}

/* False: it has to wait. */
static bool reply(const struct survey *s, fuse_req_t req, uint64_t off,
		  size_t len)
{
	struct span text = buf_span(&s->text);

	if (off >= text.len && !s->is_over)
		return false;
	if (off >= text.len)
		len = 0;
	else if (len > text.len - off)
		len = text.len - (size_t)off;
	fuse_reply_buf(req, len != 0 ? (const char *)text.ptr + off : NULL,
		       len);
	return true;
}

static void answer_readers(struct survey *s)
{
	struct wait *w, *next;

	TAILQ_FOREACH_SAFE (w, &s->waiting, link, next)
		if (reply(s, w->req, w->off, w->len))
			(void)finish(w);
}

void survey_read(struct mount *m, fuse_req_t req TAKES, uint64_t off_bytes,
		 size_t len_bytes)
{
	struct survey *s = m->survey;
	struct wait *w;

	if (s == NULL) {
		fuse_reply_err(req, EIO);
		return;
	}
	if (reply(s, req, off_bytes, len_bytes))
		return;
	w = mem_new(struct wait);
	if (w == NULL) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	w->s = s;
	w->req = req;
	w->off = off_bytes;
	w->len = len_bytes;
	loop_task_init(&w->interrupt, on_interrupt_turn, w);
	TAILQ_INSERT_TAIL(&s->waiting, w, link);
	fuse_req_interrupt_func(req, on_interrupt, w);
}

/* ---- finds ---- */

/* `name` may be NULL: it is not known. */
static void tell(struct survey *s, struct find *f, const char *name)
{
	char clean[NAME_BUF_BYTES];

	f->state = FIND_TOLD;
	s->n_told++;
	for (int i = 0; i < HASH_BYTES; i++)
		buf_addf(&s->text, "%02x", f->hash[i]);
	if (name != NULL) {
		name_clean(name, strlen(name), clean);
		buf_addf(&s->text, " %s", clean);
	}
	buf_add_str(&s->text, "\n");
}

static void on_left(void *arg, int err)
{
}

/* The torrent goes; what came of it goes too, unless it was there before. */
static void release(struct survey *s, struct find *f)
{
	struct torrent *t = f->torrent;
	struct engine_leave *leave;

	f->torrent = NULL;
	s->n_fetched--;
	if (!f->is_owned)
		return;
	if (!f->is_news ||
	    engine_leave(s->m->engine, t, torrent_id(t), ENGINE_FORGET_DATA,
			 on_left, NULL, &leave) != 0)
		engine_remove(s->m->engine, t);
}

static void end_find(struct survey *s, struct find *f, const char *name)
{
	tell(s, f, name);
	release(s, f);
}

static void fetch(struct survey *s, struct find *f)
{
	struct engine_source src = {.is_guest = true};
	int r;

	src.magnet = mem_new(struct magnet);
	if (src.magnet == NULL) {
		tell(s, f, NULL);
		return;
	}
	src.magnet->id.v1.len = HASH_BYTES;
	memcpy(src.magnet->id.v1.bytes, f->hash, HASH_BYTES);
	f->torrent = engine_find(s->m->engine, &src.magnet->id.v1);
	if (f->torrent != NULL) {
		magnet_free(src.magnet);
		tell(s, f, torrent_name(f->torrent));
		f->torrent = NULL;
		return;
	}
	r = engine_add(s->m->engine, src, &f->torrent);
	if (r != 0) {
		f->torrent = NULL;
		tell(s, f, NULL);
		return;
	}
	f->is_owned = true;
	f->state = FIND_FETCHED;
	f->since_us = loop_now_us(s->m->loop);
	s->n_fetched++;
}

static struct find *find_of(struct survey *s, const struct torrent *t)
{
	for (unsigned i = 0; s != NULL && i < s->n_finds; i++)
		if (s->finds[i].state == FIND_FETCHED &&
		    s->finds[i].torrent == t)
			return &s->finds[i];
	return NULL;
}

bool survey_on_change(struct mount *m, struct torrent *t)
{
	struct survey *s = m->survey;
	struct find *f = find_of(s, t);

	if (f == NULL)
		return false;
	end_find(s, f,
		 torrent_state(t) == TORRENT_READY ? torrent_name(t) : NULL);
	answer_readers(s);
	return true;
}

bool survey_let_go(struct mount *m, const struct torrent *t)
{
	struct survey *s = m->survey;
	struct find *f = find_of(s, t);

	if (f == NULL)
		return false;
	f->is_owned = false;
	end_find(s, f, NULL);
	answer_readers(s);
	return true;
}

/* Those under way: has each its name, or no more time; then the next. */
static void visit_finds(struct survey *s, uint64_t now_us)
{
	for (unsigned i = 0; i < s->n_finds; i++) {
		struct find *f = &s->finds[i];

		if (f->state == FIND_FETCHED) {
			f->is_news = f->is_news ||
				     torrent_state(f->torrent) == TORRENT_META;
			if (now_us - f->since_us >
			    SURVEY_NAME_MS * UINT64_C(1000))
				end_find(s, f, NULL);
		}
		if (f->state == FIND_NEW && s->n_fetched < SURVEY_NAMES_MAX)
			fetch(s, f);
	}
}

/* ---- rounds ---- */

static void on_samples(void *arg, const struct dht_samples *samples)
{
	struct survey *s = arg;
	uint8_t node[ADDR_KEY_BYTES];

	addr_key(samples->from, node);
	if (hmap_get(s->asked, node) != NULL ||
	    hmap_put(s->asked, node, s) != 0)
		return;
	s->n_new_nodes++;
	for (size_t i = 0; i < samples->n && s->n_finds < SURVEY_FINDS_MAX;
	     i++) {
		const uint8_t *hash = samples->hashes + i * HASH_BYTES;

		if (hmap_get(s->seen, hash) != NULL ||
		    hmap_put(s->seen, hash, s) != 0)
			continue;
		s->finds[s->n_finds] = (struct find){.state = FIND_NEW};
		memcpy(s->finds[s->n_finds++].hash, hash, HASH_BYTES);
	}
}

static void on_search_end(void *arg, const struct dht_outcome *outcome)
{
	struct survey *s = arg;
	uint64_t now_us = loop_now_us(s->m->loop);

	s->search = NULL;
	s->next_round_us = now_us + SURVEY_PAUSE_MS * UINT64_C(1000);
	/* Whoever is left was asked, or says nothing. */
	if (s->n_new_nodes == 0 || s->n_finds == SURVEY_FINDS_MAX)
		s->n_rounds = SURVEY_ROUNDS_MAX;
	loop_timer_start(s->tick, 0);
}

static void begin_round(struct survey *s)
{
	struct mainline *node = engine_dht(s->m->engine);
	struct dht_search_cfg cfg = {
		.ask = DHT_ASK_SAMPLES,
		.pace = DHT_PACE_BACKGROUND,
		.on_samples = on_samples,
		.on_end = on_search_end,
		.arg = s,
	};

	s->n_rounds++;
	s->n_new_nodes = 0;
	rng_bytes(cfg.target.b, sizeof(cfg.target.b));
	if (dht_search_start(mainline_node(node), mainline_now_us(node), &cfg,
			     &s->search) != 0)
		s->search = NULL;
	s->next_round_us =
		loop_now_us(s->m->loop) + SURVEY_PAUSE_MS * UINT64_C(1000);
	mainline_settle(node);
}

/* ---- life ---- */

static void stop(struct survey *s)
{
	struct mainline *node = engine_dht(s->m->engine);

	loop_timer_stop(s->tick);
	if (s->search != NULL) {
		dht_search_cancel(s->search);
		mainline_settle(node);
	}
	s->search = NULL;
	for (unsigned i = 0; i < s->n_finds; i++) {
		if (s->finds[i].state == FIND_FETCHED)
			end_find(s, &s->finds[i], NULL);
		else if (s->finds[i].state == FIND_NEW)
			tell(s, &s->finds[i], NULL);
	}
	s->is_over = true;
	s->over_us = loop_now_us(s->m->loop);
}

static void on_tick(void *arg)
{
	struct survey *s = arg;
	uint64_t now_us = loop_now_us(s->m->loop);

	visit_finds(s, now_us);
	if (s->search == NULL && s->n_rounds < SURVEY_ROUNDS_MAX &&
	    now_us >= s->next_round_us)
		begin_round(s);
	if ((s->search == NULL && s->n_rounds >= SURVEY_ROUNDS_MAX &&
	     s->n_told == s->n_finds) ||
	    now_us - s->begun_us > SURVEY_MS * UINT64_C(1000))
		stop(s);
	else
		loop_timer_start(s->tick, SURVEY_TICK_MS * UINT64_C(1000));
	answer_readers(s);
}

static void survey_free(struct survey *s)
{
	loop_timer_free(s->tick);
	hmap_free(s->asked);
	hmap_free(s->seen);
	buf_fini(&s->text);
	mem_free(s);
}

static int survey_new(struct mount *m, struct survey **out)
{
	struct survey *s = mem_new(struct survey);
	int r;

	if (s == NULL)
		return ENOMEM;
	s->m = m;
	TAILQ_INIT(&s->waiting);
	r = hmap_new(ADDR_KEY_BYTES, &s->asked);
	if (r == 0)
		r = hmap_new(HASH_BYTES, &s->seen);
	if (r == 0)
		r = loop_timer_new(m->loop, on_tick, s, &s->tick);
	if (r != 0) {
		survey_free(s);
		return r;
	}
	s->begun_us = loop_now_us(m->loop);
	loop_timer_start(s->tick, 0);
	*out = s;
	return 0;
}

static bool is_stale(const struct survey *s)
{
	return s->is_over && s->n_open == 0 &&
	       loop_now_us(s->m->loop) - s->over_us >
		       SURVEY_STANDS_MS * UINT64_C(1000);
}

int survey_open(struct mount *m)
{
	int r = 0;

	ASSERT_LOOP(m->loop);
	if (engine_dht(m->engine) == NULL)
		return ENETDOWN;
	if (m->survey != NULL && is_stale(m->survey)) {
		survey_free(m->survey);
		m->survey = NULL;
	}
	if (m->survey == NULL)
		r = survey_new(m, &m->survey);
	if (r == 0)
		m->survey->n_open++;
	return r;
}

static void end(struct survey *s, int err)
{
	struct wait *w;

	while ((w = TAILQ_FIRST(&s->waiting)) != NULL)
		fuse_reply_err(finish(w), err);
	if (!s->is_over)
		stop(s);
	s->m->survey = NULL;
	survey_free(s);
}

void survey_close(struct mount *m)
{
	struct survey *s = m->survey;

	if (s == NULL || --s->n_open > 0 || s->is_over)
		return;
	end(s, EINTR);
}

void survey_end(struct mount *m)
{
	if (m->survey != NULL)
		end(m->survey, EIO);
}
