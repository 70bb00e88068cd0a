/* torrent — one torrent as the layers above see it: what it is, reading a
 * range of it, read-ahead windows, status.
 *
 *   OPENING  the store looks for remembered metadata, then for held pieces
 *   META     peers are asked for the metadata (BEP 9)
 *   READY    the metadata is there and the store is open: it can be read
 *   FAILED   the store refused it, or its metadata is malformed; torrent_why
 *   CLOSED   engine_stop or torrent_close; only pending reads' errors follow
 *
 * Positions are in piece space (core/metainfo.h): a file's begin at its
 * off_bytes. Thread: loop. */
#ifndef SHOAL_NET_TORRENT_H
#define SHOAL_NET_TORRENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/addr.h"
#include "core/metainfo.h"
#include "core/own.h"
#include "core/traffic.h"

struct cursor;
struct torrent;
struct torrent_read;

enum torrent_state {
	TORRENT_OPENING,
	TORRENT_META,
	TORRENT_READY,
	TORRENT_FAILED,
	TORRENT_CLOSED,
};

enum torrent_state torrent_state(const struct torrent *t);

/* torrent_why — for FAILED: one line for a person. Lends. */
const char *torrent_why(const struct torrent *t);
const struct torrent_id *torrent_id(const struct torrent *t);

/* torrent_metainfo — NULL before READY. Lends until the torrent is freed. */
const struct metainfo *torrent_metainfo(const struct torrent *t);

/* torrent_name — the metadata's, else the magnet's, else the info-hash. */
const char *torrent_name(const struct torrent *t);

/* torrent_is_guest — nobody added it: engine_source said so. */
bool torrent_is_guest(const struct torrent *t);

/* torrent_added_s — wall time of adding; constant while the store remembers.*/
int64_t torrent_added_s(const struct torrent *t);

/* A place for the owner above (fs) to hang its own struct on. */
void torrent_set_user(struct torrent *t, void *user);
void *torrent_user(const struct torrent *t);

/* ---- reading ---- */

/* `iov` (lent during the call) is the whole range, or err is not 0: ESTALE
 * (closed), ESHUTDOWN, EIO, ENOMEM. */
typedef void torrent_read_fn(void *arg, int err, const struct iovec *iov,
			     unsigned n_iov);

/* torrent_read_now — hand held bytes to `fn`, once and before this returns, if
 * that needs no wait; from where they lie in memory, else through `scratch`
 * (len_bytes long). When it returns an error `fn` was not called: EAGAIN when
 * something is not held or a worker must read it; ESTALE; EINVAL out of range.
 */
int torrent_read_now(struct torrent *t, uint64_t off_bytes, uint32_t len_bytes,
		     uint8_t *scratch, torrent_read_fn *fn, void *arg);

/* torrent_read_start — the same range, but it waits for what is missing,
 * which becomes urgent. No deadline of its own: the caller has one. STYLE
 * habit 21. len_bytes <= TORRENT_READ_MAX. */
enum { TORRENT_READ_MAX = 16 << 20 };
int torrent_read_start(struct torrent *t, uint64_t off_bytes,
		       uint32_t len_bytes, torrent_read_fn *done, void *arg,
		       struct torrent_read **out);
void torrent_read_cancel(struct torrent_read *rd);

/* torrent_read_progress_us — loop time at which the last byte for this read
 * arrived from a peer; its start when none has. */
uint64_t torrent_read_progress_us(const struct torrent_read *rd);

/* torrent_read_why — what the read waits for, one line for a person: no peers,
 * nobody has the piece, all choke us, the tracker's failure, …. Lends a buffer
 * of the torrent until the next call. */
const char *torrent_read_why(const struct torrent_read *rd);

/* `fd` is the callee's now, to read from; on an error it is -1. */
typedef void torrent_blob_fn(void *arg, int err, int fd TAKES);

/* torrent_file_blob — a descriptor of the whole file as it lies on disk, for
 * who reads it without us (cache/store.h: store_blob). EAGAIN, ENOENT: there
 * is no such thing, or not yet, and by `done` too. No cancel: `done` runs also
 * after torrent_close. */
int torrent_file_blob(struct torrent *t, uint32_t file_ix,
		      torrent_blob_fn *done, void *arg);

/* ---- read-ahead ---- */

/* A cursor stands for one reader's window: the range that is fetched ahead of
 * it, after everything urgent. One per open file handle. */
int cursor_open(struct torrent *t, struct cursor **out);

/* cursor_set — the window is [off, off + len) from now on; len 0: none. What
 * falls out of every window and is not waited for is asked no more. */
void cursor_set(struct cursor *c, uint64_t off_bytes, uint64_t len_bytes);
void cursor_close(struct cursor *c TAKES);

/* ---- pins ---- */

/* torrent_pin — fetch the file though nobody reads it, after everything that
 * somebody does read, and fetch again what of it gets lost; the store
 * remembers it. 0, also when it is pinned; ESTALE; EINVAL: no such file;
 * ENOMEM. */
int torrent_pin(struct torrent *t, uint32_t file_ix);
void torrent_unpin(struct torrent *t, uint32_t file_ix);
bool torrent_is_pinned(const struct torrent *t, uint32_t file_ix);

/* ---- status ---- */

struct torrent_view {
	enum torrent_state state;
	uint64_t size_bytes; /* of all pieces; 0 before READY */
	uint64_t held_bytes;
	uint32_t n_pieces, held_pieces;
	uint64_t hashed_pieces; /* since this start */
	uint64_t bad_pieces;	/* found wrong or gone where they were kept */
	bool is_scrubbed;	/* it is being hashed again (scrub.h), or
				   what the user has of it is hashed */
	uint64_t down_bytes, up_bytes; /* payload, since it woke up */
	uint64_t waste_bytes;	       /* arrived and thrown away */
	struct traffic traffic;	       /* over all runs: engine_traffic */
	uint64_t down_Bps, up_Bps;
	uint32_t rtt_us; /* the fastest peer's; 0: none */
	uint32_t peers, seeds, unchoked_us, unchoked_them, dialing;
	uint32_t reads_waiting;
	uint32_t pinned_files;
	uint64_t room_bytes; /* of the store, for all; 0: no limit */
};

void torrent_view(const struct torrent *t, struct torrent_view *out);

/* torrent_meta_why — what the metadata waits for, as torrent_read_why; NULL
 * when it is not waited for. */
const char *torrent_meta_why(struct torrent *t);

/* torrent_file_why — what the first piece of the file that is not held waits
 * for, as torrent_read_why; NULL when all of it is held. */
const char *torrent_file_why(struct torrent *t, uint32_t file_ix);

/* torrent_file_held — verified bytes of one file. */
uint64_t torrent_file_held(const struct torrent *t, uint32_t file_ix);

/* torrent_file_is_whole — all of it is verified; never true of an empty one. */
bool torrent_file_is_whole(const struct torrent *t, uint32_t file_ix);

/* torrent_piece_held — is the piece verified and kept? */
bool torrent_piece_held(const struct torrent *t, uint32_t piece_ix);

struct torrent_peer_view {
	struct addr addr;
	char client[64];
	uint64_t down_Bps, up_Bps, down_bytes, up_bytes;
	uint32_t rtt_us, out_requests, have_pieces;
	bool is_incoming, choked_us, choked_them, interested_us,
		interested_them;
	bool is_v2;	  /* met by the v2 hash */
	bool is_web_seed; /* then addr is not, but url, without secrets */
	char url[256];
};

/* torrent_peers — peers, then web seeds: up to `max` views; how many is
 * returned. */
unsigned torrent_peers(const struct torrent *t, struct torrent_peer_view *out,
		       unsigned max);

struct tracker_view;
uint32_t torrent_tracker_count(const struct torrent *t);
void torrent_tracker(const struct torrent *t, uint32_t ix,
		     struct tracker_view *out);

#endif
