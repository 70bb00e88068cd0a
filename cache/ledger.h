/* ledger — which torrents a mount remembers, and what they were added by: two
 * files in the store's directory, whose lock holds for them too.
 *
 *   library   16 bytes ("shoallib", format 1), then entries (core/record.h)
 *   sources   the .torrent files and magnet links, one behind the other
 *
 * What is kept is durable when `done` says so: the source is written and synced
 * first, then the entry. A crash leaves a source that nobody speaks of, or an
 * entry's torn end. Of a source that was forgotten the bytes are given back to
 * the disk by a hole; the entries are written anew at a start that finds more
 * than half of them of no use.
 *
 * What is read is not to be trusted: a record may lead anywhere, and its source
 * be anything. Thread: loop; jobs on the store's thread, reads by workers. */
#ifndef SHOAL_CACHE_LEDGER_H
#define SHOAL_CACHE_LEDGER_H

#include "core/own.h"
#include "core/record.h"

struct ledger;
struct workers;

struct ledger_cfg {
	struct workers *thread;	 /* kept: the store's, one worker */
	struct workers *workers; /* kept: reads */
	const char *dir;	 /* the store's, open and locked; borrowed */
};

/* ledger_new — blocks. Damage is logged and survived. 0; EPROTO: a newer
 * version wrote it; ENOMEM, or an errno of the file system. */
int ledger_new(const struct ledger_cfg *cfg, struct ledger **out);

/* ledger_count — about how many ledger_each gives. */
uint32_t ledger_count(const struct ledger *l);

/* ledger_each — what was remembered when it was opened, in the order of
 * adding; once. Lent during the call: the record, and the source if that is a
 * magnet link, with a NUL behind it. Blocks. */
typedef void ledger_each_fn(void *arg, const struct record *r,
			    struct span link);
void ledger_each(struct ledger *l, ledger_each_fn *fn, void *arg);

/* `r`, with the place of its source; err. */
typedef void ledger_done_fn(void *arg, int err, const struct record *r);

/* ledger_keep — remember (anew) a torrent and its source, which is lent
 * until `done`, for it may be long; a source without bytes: the one that `r`
 * says. ledger_forget — it, by any of its hashes. STYLE habit 21; no cancel. */
int ledger_keep(struct ledger *l, const struct record *r, struct span source,
		ledger_done_fn *done, void *arg);
int ledger_forget(struct ledger *l, const struct record *r,
		  ledger_done_fn *done, void *arg);

/* ledger_read_now — the source of a record, if that needs no wait. EAGAIN;
 * EIO: it is not there. ledger_read — by a worker; `dst` is kept until `done`.
 */
int ledger_read_now(const struct ledger *l, const struct record *r,
		    uint8_t *dst);
int ledger_read(struct ledger *l, const struct record *r, uint8_t *dst,
		ledger_done_fn *done, void *arg);

/* ledger_soon — the sources that lie there are to be read soon: a worker has
 * the kernel read what is not in the page cache, and nobody waits for that. */
void ledger_soon(struct ledger *l, const struct record_place *places,
		 unsigned n);

/* ledger_free — its threads have come to rest. NULL is fine. */
void ledger_free(struct ledger *l TAKES);

#endif
