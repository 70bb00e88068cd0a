/* fake_torrent — torrents and an engine without a network, behind the contracts
 * of net/torrent.h and net/engine.h: a test says which bytes are held, and
 * when. Link it instead of shoal_net.
 *
 * The byte at position p of piece space is fake_byte(p), so that a torrent may
 * have any size. */
#ifndef SHOAL_TESTS_FAKE_TORRENT_H
#define SHOAL_TESTS_FAKE_TORRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "net/engine.h"
#include "net/torrent.h"

struct loop;

struct fake_file {
	const char *path; /* elements joined by '/' */
	uint64_t len_bytes;
	unsigned attr;
};

/* fake_metainfo_new — a v1 torrent whose info-hash is `seed` over and over. */
struct metainfo *fake_metainfo_new(const char *name, uint8_t seed,
				   const struct fake_file *files,
				   uint32_t n_files);
void fake_metainfo_free(struct metainfo *mi);

enum { FAKE_PIECE_BYTES = 256 << 10 };

uint8_t fake_byte(uint64_t pos);

/* fake_engine_new / fake_engine_free — frees its torrents too. */
struct engine *fake_engine_new(struct loop *loop);
void fake_engine_free(struct engine *e);

/* fake_add — a torrent in META; fake_ready gives it its metainfo (kept). */
struct torrent *fake_add(struct engine *e, const struct torrent_id *id);
void fake_ready(struct torrent *t, const struct metainfo *mi);
void fake_set_failed(struct torrent *t);

/* fake_set_dht — from now on torrents that are named can be looked for. */
void fake_set_dht(struct engine *e);

/* fake_hold — the first `bytes` of piece space are held from now on. Parked
 * reads that this completes are answered on the next turn. */
void fake_hold(struct torrent *t, uint64_t bytes);

/* fake_progress — a byte arrived for every parked read, now. */
void fake_progress(struct torrent *t);

/* fake_fail_reads — every parked read fails with `err` on the next turn. */
void fake_fail_reads(struct torrent *t, int err);

unsigned fake_reads(const struct torrent *t);
unsigned fake_cursors(const struct torrent *t);

/* fake_window — what cursor_set said last, to any cursor. */
void fake_window(const struct torrent *t, uint64_t *off, uint64_t *len);

#endif
