/* torrent_internal — struct torrent, for torrent*.c, fetch.c, metafetch.c, the
 * swarm's files and the engine. */
#ifndef SHOAL_NET_TORRENT_INTERNAL_H
#define SHOAL_NET_TORRENT_INTERNAL_H

#include "core/bits.h"
#include "core/buf.h"
#include "core/loop.h"
#include "core/queue.h"
#include "net/mainline.h"
#include "net/net_limits.h"
#include "net/torrent.h"

struct announcer;
struct engine;
struct fetch;
struct hashget;
struct hashkeep;
struct hashserve;
struct layers;
struct magnet;
struct metafetch;
struct pieces;
struct swarm;

TAILQ_HEAD(torrent_reads, torrent_read);
LIST_HEAD(scrub_list, scrub);

/*   state     mi      ps       fetch, picker  swarm
 *   OPENING   either  opening  no             running iff it was in META
 *   META      NULL    NULL     no             running
 *   READY     there   there    yes            running
 *   FAILED    either  NULL     no             stopped
 *   CLOSED    either  NULL     maybe          stopped
 *
 *   OPENING -> META    a magnet that the store does not know
 *   META -> OPENING    peers gave the metadata
 *   OPENING -> READY   the store's handle is there
 *   OPENING, META -> FAILED; any -> CLOSED */
struct torrent {
	struct engine *e; /* Owner: the engine */
	TAILQ_ENTRY(torrent) link;
	struct torrent_id id; /* a magnet's grows with the metadata */
	enum torrent_state state;
	char why[160];
	char *name; /* the magnet's or the hash; the metadata's wins */
	int64_t added_s;
	void *user;

	struct metainfo *mi;
	struct pieces *ps;
	/* Of a torrent with v2, from the metadata on; else NULL. */
	struct layers *layers;
	struct hashget *hashget;
	struct hashkeep *hashkeep;
	struct hashserve *hashserve;
	struct metafetch *meta;
	struct announcer *announcer;
	struct swarm *swarm;
	struct fetch *fetch;
	struct seek seek[TORRENT_SIDES]; /* in the DHT */
	struct torrent_reads reads;
	unsigned n_reads;
	struct scrub_list scrubs;

	struct bits pinned; /* files; no data: none ever was */
	struct loop_task keep_pins;

	struct torrent_husk *husk; /* there once ps was; see torrent.c */
	uint64_t held_bytes;
	bool is_told;	      /* announcer_stop was called */
	bool is_asleep;	      /* it goes without a word to trackers */
	bool is_told_done;    /* … and all of them know */
	bool is_guest;	      /* named by somebody, and not added */
	unsigned n_fruitless; /* searches in the DHT, in a row */
	bool was_complete;    /* once in this session */
	/* Pieces whose bytes were wrong last, and how often since they were
	 * right; for why. */
	struct torrent_bad {
		uint32_t ix;
		unsigned n; /* 0: a free place */
	} bad[TORRENT_BAD_MAX];
	unsigned bad_at;       /* the place that is given up next */
	struct loop_task tell; /* on_ready or on_failed */
	char text[256];	       /* torrent_read_why's */
};

struct engine_source;

/* torrent_n_bad — how often the piece's bytes were wrong, as far as is known.
 */
unsigned torrent_n_bad(const struct torrent *t, uint32_t piece_ix);

/* torrent_new — in state OPENING, linked nowhere; the source is taken also on
 * failure. 0 or ENOMEM. */
int torrent_new(struct engine *e, const struct engine_source *src,
		struct torrent **out);

/* torrent_begin — look into the store. Failures end in FAILED. */
void torrent_begin(struct torrent *t);

/* torrent_hint_magnet, torrent_hint_web_seeds — what a link names; a torrent's
 * web seeds. 0 or ENOMEM. */
int torrent_hint_magnet(struct torrent *t, const struct magnet *m);
int torrent_hint_web_seeds(struct torrent *t, const struct metainfo *mi);

/* torrent_add_hints — more trackers and peers for a torrent that is there. */
void torrent_add_hints(struct torrent *t, const struct engine_source *src);

/* torrent_stop — CLOSED: reads end with `err`, peers are closed, the store's
 * handle too. e->n_open and e->n_untold say what still goes on; their ends are
 * told to engine_on_gone and engine_on_told. */
void torrent_stop(struct torrent *t, int err);
void torrent_free(struct torrent *t);

/* torrent_tell_closed — engine_on_closed(l) when the store has let go of it.
 * False: it has nothing open there. */
struct engine_leave;
bool torrent_tell_closed(struct torrent *t, struct engine_leave *l);

/* torrent_fail — FAILED with a line for a person. */
void torrent_fail(struct torrent *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* torrent_on_info — the metadata is known and right; takes it. */
void torrent_on_info(struct torrent *t, struct metainfo *mi);

/* torrent_on_no_info — the store does not remember it: ask peers. */
void torrent_on_no_info(struct torrent *t);

/* ---- torrent_pieces.c ---- */

extern const struct pieces_ops torrent_pieces_ops;
extern const struct hashget_ops torrent_hash_ops;

/* torrent_on_hashes — those of `n` pieces, or of their leaves, are known. */
void torrent_on_hashes(void *arg, uint32_t piece_ix, uint32_t n);

/* ---- torrent_pin.c ---- */

void torrent_pin_init(struct torrent *t);
void torrent_pin_fini(struct torrent *t);

/* torrent_pin_load — READY: pin what the store remembers. 0 or ENOMEM. */
int torrent_pin_load(struct torrent *t);

/* ---- torrent_seek.c: nothing of it fails ---- */

/* torrent_seek_start — the swarm runs: the DHT may know peers of it. */
void torrent_seek_start(struct torrent *t);
void torrent_seek_stop(struct torrent *t);

/* torrent_seek_on_info — whether it is private is known now, and all hashes. */
void torrent_seek_on_info(struct torrent *t);

/* torrent_seek_hurry — somebody waits, and there are no peers. */
void torrent_seek_hurry(struct torrent *t);
void torrent_seek_on_complete(struct torrent *t);

/* ---- torrent_read.c ---- */

/* torrent_read_end_all — every read ends with `err` on this turn. */
void torrent_read_end_all(struct torrent *t, int err);

/* torrent_read_first_missing — the piece a read waits for; UINT32_MAX. */
uint32_t torrent_read_first_missing(const struct torrent_read *rd);

/* torrent_due_us — pieces_ops.due_us of the torrent `arg`. */
uint64_t torrent_due_us(void *arg, uint32_t piece_ix);

struct torrent *torrent_read_torrent(const struct torrent_read *rd);

#endif
