/* record — what a mount remembers of one torrent, and how that is written down:
 * entries of a log, one behind the other, of which the last word about a
 * torrent counts.
 *
 * An entry, numbers big-endian:
 *
 *    0  4  its length, all of it
 *    4  8  a checksum of what follows
 *   12  1  1: remembered (anew), 2: forgotten
 *   13  1  by whom (enum record_by)
 *   14  1  1: v1's hash is there, 2: v2's, 4: the source is a magnet link
 *   15  1  the length of the name
 *   16 20  v1's info-hash, or zeros
 *   36 32  v2's
 *   68  8  added, seconds since 1970     (forgotten: the entry ends here)
 *   76  8  the time that its files show
 *   84  8  bytes of content
 *   92  8  where its source lies, 100 4 how long it is
 *  104  4  nodes of its tree, 108 4 directories in its top one
 *  112     the name
 *
 * Pure. Thread: any. */
#ifndef SHOAL_CORE_RECORD_H
#define SHOAL_CORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/name.h"
#include "core/span.h"
#include "core/torrent_id.h"

struct buf;

/* Who brought a torrent into the mount. */
enum record_by {
	RECORD_BY_COMMAND, /* a SOURCE when the mount was started */
	RECORD_BY_WATCH,   /* it lay in a directory that is watched */
	RECORD_BY_COPY,	   /* it was copied into the mount */
	RECORD_BY_CONTROL, /* shoalctl */
	RECORD_BY_HASH,	   /* it was named; such are not written down */
	RECORD_BYS,
};

struct record {
	struct torrent_id id;
	enum record_by by;
	bool is_magnet; /* the source is a magnet link, the metadata not known:
			   what is said of files is 0 */
	int64_t added_s;
	int64_t time_s;
	uint64_t size_bytes;
	uint64_t source_at; /* of the sources, where they are kept */
	uint32_t source_len;
	uint32_t n_nodes;	   /* files and directories that are shown */
	uint32_t n_subdirs;	   /* of the top directory */
	char name[NAME_BUF_BYTES]; /* in the root */
};

/* Where a source lies. */
struct record_place {
	uint64_t at;
	uint32_t len;
};

enum record_kind { RECORD_KEEP = 1, RECORD_FORGET };

/* record_put — an entry that remembers; record_put_forget — one that forgets
 * (of `id`, which counts when any hash of it is the other's). */
void record_put(struct buf *out, const struct record *r);
void record_put_forget(struct buf *out, const struct torrent_id *id);

/* record_take — the first entry of `in`, which is moved behind it. 0; ENODATA:
 * there is no more; EBADMSG: the entry is damaged (`in` is behind it, so that
 * the next may be tried); EPROTO: what follows cannot be told apart, such as
 * the torn end that a crash leaves (`in` is empty). Of a forgotten one only
 * `id` is set. What a name is like, the caller has to look. */
int record_take(struct span *in, enum record_kind *kind, struct record *out);

/* record_again — an entry that record_take took before, from its first byte;
 * its checksum is not looked at. */
void record_again(const uint8_t *entry, struct record *out);

#endif
