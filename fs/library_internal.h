/* library_internal — between library.c (adding) and library_life.c (what comes
 * of it). */
#ifndef SHOAL_FS_LIBRARY_INTERNAL_H
#define SHOAL_FS_LIBRARY_INTERNAL_H

#include "core/buf.h"
#include "core/loop.h"
#include "fs/library.h"
#include "fs/warmth_job.h"

struct engine_leave;
struct metainfo;

/* Something that was asked for.
 *
 *   ADD     PARSING  its file is looked at by a worker: `id` is not known
 *           WAITING  the same torrent is just going
 *           KEEPING  it is there, and being written down
 *   REMOVE  KEEPING  it is being forgotten; nothing has changed yet
 *           GOING    answered; its data is going
 *   each    TOLD     `task` will answer, and then (but for GOING) free it */
enum op_state { OP_PARSING, OP_WAITING, OP_KEEPING, OP_GOING, OP_TOLD };

struct library_op {
	TAILQ_ENTRY(library_op) link;
	struct mount *m; /* NULL: the mount is over */
	bool is_removal;
	enum op_state state;
	struct torrent_id id;
	struct library_source src; /* of what is added */
	struct warmth_parse parse; /* what is made of that, if it is a file */
	struct metainfo *held; /* … held, for its bytes are written down */
	struct buf made;       /* … or its source, if it came without one */
	enum record_by by;
	bool is_new; /* it goes again when it cannot be kept */
	struct engine_leave *leave;
	library_fn *done; /* NULL: nobody waits */
	void *arg;
	struct loop_task task;
	int err;
	char text[NAME_BUF_BYTES];
};

/* A torrent whose metadata is not known. */
struct wish {
	TAILQ_ENTRY(wish) link;
	struct torrent *torrent;
	struct record rec;
	bool is_kept, is_leaving;
	uint8_t *raw; /* the link */
	size_t raw_len;
};

struct library_op *library_op_new(struct mount *m, const struct torrent_id *id,
				  library_fn *done, void *arg);
void library_op_free(struct library_op *op);

/* library_answer — on the next turn. */
void library_answer(struct library_op *op, int err, const char *text);

/* library_keep — write it down; the answer follows. `source` empty: where the
 * record says; else it is the op's, for it has to be there until then. */
void library_keep(struct library_op *op, const struct record *rec,
		  struct span source, const char *text);

/* library_keep_info — the same, of a torrent that is shown and has no .torrent:
 * its source is made of its metadata, and of the trackers it is known by. */
void library_keep_info(struct library_op *op, const struct shown *s,
		       const struct record *rec);

struct wish *library_wish_of(const struct mount *m, const struct torrent *t);
struct wish *library_wish_by_id(const struct mount *m,
				const struct torrent_id *id);
void library_wish_free(struct mount *m, struct wish *w);

/* library_wish — look for the metadata of src->magnet; what `src` gave is taken
 * out of it. */
int library_wish(struct mount *m, struct library_source *src,
		 const struct record *rec);

/* library_on_forgotten — the keeper's word on a removal. */
void library_on_forgotten(void *arg, int err, const struct record *r);

/* library_describe — what a record says of a metainfo and its tree. */
void library_describe(const struct metainfo *mi, const struct tree *tree,
		      struct record *rec);

/* library_begin — an addition, from the beginning. */
void library_begin(struct library_op *op);

/* library_dismantle — of what has been forgotten: out of the root, out of the
 * engine; `op` (may be NULL) hears when its data is gone. */
void library_dismantle(struct mount *m, const struct torrent_id *id,
		       struct library_op *op);

#endif
