/* upload — a file that is being copied into the root to add a torrent: kept in
 * memory, as long as it is open or may still be renamed into a .torrent.
 *
 *   NAME.torrent    added when it is closed: EINVAL if it is none, and then
 *                   there is nothing left of it
 *   another name    stays for UPLOAD_LINGER_MS after it was closed: rsync,
 *                   browsers and file managers write under such a name, and
 *                   rename. If it is long and may be a torrent, its close
 *                   waits until it was parsed: the kernel holds the root's
 *                   lock for the rename, and not for a close
 *
 * Thread: loop. */
#ifndef SHOAL_FS_UPLOAD_H
#define SHOAL_FS_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/own.h"
#include "core/queue.h"
#include "core/span.h"

struct library_bytes;
struct library_source;
struct metainfo;
struct mount;
struct upload;

TAILQ_HEAD(upload_list, upload);

struct uploads {
	struct upload_list list;
	unsigned n;
	uint64_t bytes;	   /* of all */
	uint64_t n_parsed; /* of all: files and tree nodes */
	uint64_t next_number;
};

void uploads_init(struct mount *m);
void uploads_end(struct mount *m);

/* upload_new — open once. 0; ENOSPC: there are too many; ENOMEM. */
int upload_new(struct mount *m, const char *name, mode_t mode,
	       struct upload **out);

/* NULL: there is none. */
struct upload *upload_by_name(const struct mount *m, const char *name);
struct upload *upload_by_number(const struct mount *m, uint64_t number);
uint64_t upload_number(const struct upload *u);
void upload_stat(const struct upload *u, struct stat *st);

/* upload_open / upload_close — one more, or one less, has it open. The last
 * close ends one that is called NAME.torrent, or has no name any more. */
void upload_open(struct upload *u);
void upload_close(struct mount *m, struct upload *u);

/* upload_write — 0; EFBIG: no .torrent is so long; ENOSPC: all of them together
 * are too long; EBUSY; ENOMEM. upload_cut — the same, to a length. */
int upload_write(struct mount *m, struct upload *u, const char *data,
		 size_t len, uint64_t off);
int upload_cut(struct mount *m, struct upload *u, uint64_t len);
struct span upload_bytes(const struct upload *u);

/* upload_parse — see what is in it ahead of a name to be added by. 0: that is
 * going on, since now or before, and the `done` of who began runs once, later,
 * unless the mount ends: then what came of it is kept for upload_lend until
 * somebody writes. Meanwhile it is read and written as ever; if it is written,
 * nothing comes of it. ENOMEM; EALREADY: there is nothing to be seen, or it
 * was.
 */
typedef void upload_fn(struct mount *m, struct upload *u);
int upload_parse(struct mount *m, struct upload *u, upload_fn *done);
bool upload_is_parsing(const struct upload *u);

/* upload_lend — what is in it to who adds it: its bytes, or what they were
 * parsed to; not while they are being parsed. upload_give_back — after that:
 * the same bytes, or a metainfo that has them now, from which they are read
 * until somebody writes. Between them whoever wants to read or change them gets
 * EBUSY. What is being closed may be long: it is not copied. Neither: nothing
 * is left of it. */
void upload_lend(struct upload *u, struct library_source *out);
bool upload_is_lent(const struct upload *u);
void upload_give_back(struct upload *u, struct library_bytes b TAKES);

/* upload_is_due — it is called NAME.torrent, and has changed since it was
 * taken last. upload_taken — now. upload_added — it was a torrent: then its
 * name goes a second after its last close. */
bool upload_is_due(const struct upload *u);
void upload_taken(struct upload *u);
void upload_added(struct upload *u);
bool upload_is_torrent(const char *name);

/* upload_rename — what had that name goes. 0 or ENOMEM. upload_unlink — it has
 * no name any more, and goes with its last close. */
int upload_rename(struct mount *m, struct upload *u, const char *name);
void upload_unlink(struct mount *m, struct upload *u);

#endif
