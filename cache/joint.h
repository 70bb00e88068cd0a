/* joint — v2 files that torrents have in common: which of their leaves a store
 * has, what that makes held of each torrent, and who is to be told when it
 * changes. For store_disk and store_mem; no I/O.
 *
 * A file's root and length are its identity, and its leaves are kept by what is
 * proven by the root. So it does not matter which torrent brought them.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_JOINT_H
#define SHOAL_CACHE_JOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/store.h"
#include "cache/store_share.h"
#include "core/bits.h"
#include "core/loop.h"
#include "core/queue.h"

struct hmap;
struct joint_torrent;
struct mi_file; /* core/metainfo.h */

enum { JOINT_ID_BYTES = 32 + 8 }; /* root, length */

LIST_HEAD(joint_uses, joint_use);
LIST_HEAD(joint_torrents, joint_torrent);

/* A file that torrents of the store have, and of which something is there, or
 * was asked for: of the others nothing is known, and there is nothing to know.
 * Lives as long as one uses it. */
struct joint_file {
	uint8_t id[JOINT_ID_BYTES];
	uint64_t bytes;
	uint32_t n_leaves;
	struct bits leaves; /* there to be read; no data: none ever was */
	struct joint_uses uses;
};

/* Such a file, as a torrent has it. */
struct joint_use {
	struct joint_file *file;
	struct joint_torrent *t;
	uint32_t file_ix;
	bool is_vouched; /* v2 is checked of whatever is put */
	bool is_known;	 /* the store's: written down, or about to be */
	LIST_ENTRY(joint_use) link;
	LIST_ENTRY(joint_use) of_torrent;
};

/* What a store does for this. */
struct joint_cfg {
	struct loop *loop; /* kept */
	size_t file_bytes; /* of a struct that begins with a joint_file */
	/* `use` is its first; 0 or ENOMEM. */
	int (*file_init)(struct joint_file *f, const struct joint_use *use);
	void (*file_fini)(struct joint_file *f);
	/* One more torrent has it. May be NULL. */
	void (*on_use)(struct joint_use *use);
	/* Ask the v1 hash of a hybrid's piece, all leaves of which are there;
	 * joint_checked is the answer, on a later turn. */
	int (*check)(struct joint_torrent *t, uint32_t piece_ix);
	unsigned checks_at_once; /* of one torrent */
	/* `t` must outlive the calls between these. */
	void (*hold)(struct joint_torrent *t);
	void (*drop)(struct joint_torrent *t);
};

struct joints {
	struct joint_cfg cfg;
	struct hmap *files;		/* by id */
	struct joint_torrents torrents; /* that have joined */
};

/* Embedded in a store's torrent. All is empty when no file has a root. */
struct joint_torrent {
	struct joints *all;
	const struct metainfo *mi; /* NULL: it is not open */
	uint32_t n_files;
	struct joint_use **uses; /* one a file, or NULL; or NULL */
	struct joint_uses list;	 /* the same */
	bool has_joined;
	LIST_ENTRY(joint_torrent) link; /* in all->torrents */
	const struct bits *own; /* pieces kept for it alone; the store's */
	struct bits agreed;	/* hybrid: the v1 hash matched */
	struct bits vouched;	/* hybrid: its pieces with a known v2 hash */
	struct bits told;	/* its owner has it for held */
	struct bits changed;	/* to be looked at */
	struct bits lossy;	/* the same; something of it was lost */
	struct bits unsure;	/* hybrid: the v1 hash was not asked */
	unsigned n_checking;
	bool has_refused;
	const struct store_share_ops *ops; /* NULL: nobody watches */
	void *arg;
	struct loop_task task;
};

/* The leaves that a piece is. */
struct joint_piece {
	struct joint_use *use;
	uint32_t first;
	uint32_t n;
};

int joints_init(struct joints *all, const struct joint_cfg *cfg);
void joints_fini(struct joints *all);

/* joint_init — nothing is held yet. Keeps mi until joint_close, and `own`. 0 or
 * ENOMEM. joint_reopen — after joint_close, the same torrent. */
int joint_init(struct joint_torrent *t, struct joints *all,
	       const struct metainfo *mi, const struct bits *own);
void joint_reopen(struct joint_torrent *t, const struct metainfo *mi);
void joint_close(struct joint_torrent *t);
void joint_fini(struct joint_torrent *t);

static inline bool joint_is_any(const struct joint_torrent *t)
{
	return t->uses != NULL;
}

/* joint_is_rooted — is it kept by its root? */
bool joint_is_rooted(const struct mi_file *mf);

/* joint_join — from now on it uses what it has of the files that others use, or
 * will. joint_leave is joint_close's. 0 or ENOMEM. */
int joint_join(struct joint_torrent *t);

/* joint_file_of — the file, if it is there. joint_use_of — the same as a use;
 * lent. joint_use — made, for all who have joined, if it is not there: 0,
 * ENOMEM, or ENOENT: it has no root. */
struct joint_file *joint_file_of(const struct joints *all,
				 const struct mi_file *mf);
static inline struct joint_use *joint_use_of(const struct joint_torrent *t,
					     uint32_t file_ix)
{
	return t->uses != NULL ? t->uses[file_ix] : NULL;
}
int joint_use(struct joint_torrent *t, uint32_t file_ix,
	      struct joint_use **out);

/* joint_each_open — call `fn` for each place (metainfo.h, by_root) of `mi` of
 * which the file is there. */
typedef int joint_place_fn(void *arg, uint32_t place);
int joint_each_open(const struct joints *all, const struct metainfo *mi,
		    joint_place_fn *fn, void *arg);

/* joint_begin — it has joined, all files are loaded, t->own and t->agreed are
 * right: `held` gets the pieces that the torrent has, `leaves` (may be left
 * without data) what there is of others. 0 or ENOMEM. */
int joint_begin(struct joint_torrent *t, struct bits *held,
		struct bits *leaves);

void joint_watch(struct joint_torrent *t, const struct store_share_ops *ops,
		 void *arg);

/* joint_piece — where a piece lies; false: not in a file with a root, or in one
 * of which nothing is there. Such a piece lies in one file, for those begin at
 * a piece. */
bool joint_piece(const struct joint_torrent *t, uint32_t piece_ix,
		 struct joint_piece *out);

/* joint_range — the same of bytes [at, at + len) of it, which must be leaves.
 */
bool joint_range(const struct joint_torrent *t, uint32_t piece_ix,
		 uint32_t at_bytes, size_t len_bytes, struct joint_piece *out);

/* joint_place — the same for who is about to put something there: the use is
 * made. 0, ENOMEM, or ENOENT: it lies in no file with a root. */
int joint_place(struct joint_torrent *t, uint32_t piece_ix, uint32_t at_bytes,
		size_t len_bytes, struct joint_piece *out);

bool joint_has_leaf(const struct joint_file *f, uint32_t leaf);
bool joint_has_all(const struct joint_piece *p);

/* joint_vouch — v2's hash is checked of this piece from now on.
 * joint_is_proven — by what is put of it. */
void joint_vouch(struct joint_torrent *t, uint32_t piece_ix);
bool joint_is_proven(const struct joint_piece *p, uint32_t piece_ix);

/* joint_add — these leaves can be read now; everybody but `p->use` is told.
 * 0 or ENOMEM. joint_drop — they cannot any more. */
int joint_add(const struct joint_piece *p);
void joint_drop(const struct joint_piece *p);

/* joint_add_some — the same of leaves of a piece that is not whole, as far as
 * `t` knows: when they make it whole, it is told, too. joint_drop_some. */
int joint_add_some(struct joint_torrent *t, uint32_t piece_ix,
		   const struct joint_piece *p);
void joint_drop_some(struct joint_torrent *t, uint32_t piece_ix,
		     const struct joint_piece *p);

/* joint_evict — these leaves are about to go: nobody has them any more, and
 * everybody is told on this turn. */
void joint_evict(struct joint_file *f, uint32_t first, uint32_t n);

/* joint_kept / joint_lost — the torrent's owner has this piece for held now, or
 * not, by its own doing. joint_look — and it may be held all the same. */
void joint_kept(struct joint_torrent *t, uint32_t piece_ix);
void joint_lost(struct joint_torrent *t, uint32_t piece_ix);
void joint_look(struct joint_torrent *t, uint32_t piece_ix);

/* joint_due — when somebody reads of this piece; joint_leaves_due — of these
 * leaves, in any torrent (store_share_ops). */
uint64_t joint_due(const struct joint_torrent *t, uint32_t piece_ix);
uint64_t joint_leaves_due(const struct joint_file *f, uint32_t first,
			  uint32_t n);

/* joint_coming_us — store_coming_us. */
uint64_t joint_coming_us(struct joint_torrent *t, uint32_t piece_ix,
			 uint32_t at_bytes, uint32_t len_bytes,
			 bool only_asked);

/* joint_checked — the answer to cfg.check: 0: it matches; EBADMSG: it does not;
 * else it could not be asked. */
void joint_checked(struct joint_torrent *t, uint32_t piece_ix, int err);

#endif
