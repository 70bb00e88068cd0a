/* store_disk_member — which files with a root the index is to know, and which
 * torrents have them.
 *
 * A torrent's files get rows when something of them is kept, and not when it is
 * added; then all torrents that are open and have the file are written down as
 * its members. Rows go along with whatever commit is next.
 *
 * Thread: loop. */
#ifndef SHOAL_CACHE_STORE_DISK_MEMBER_H
#define SHOAL_CACHE_STORE_DISK_MEMBER_H

#include <stdint.h>

#include "cache/joint.h"
#include "core/own.h"
#include "core/queue.h"

struct disk;
struct disk_file;
struct files_nodes;
struct index_db;

/* One torrent has one file. */
struct member_row {
	uint8_t id[JOINT_ID_BYTES];
	int64_t torrent;
	int64_t file; /* reply */
};

struct member_rows {
	struct member_row *v;
	uint32_t n;
};

TAILQ_HEAD(disk_file_list, disk_file);
STAILQ_HEAD(files_nodes_list, files_nodes);

struct disk_members {
	struct disk_file_list unknown; /* some use of theirs is */
	struct files_nodes_list nodes; /* wait for their file's row */
};

void disk_member_init(struct disk *d);

/* disk_member_keep — something of the file is about to be kept.
 * disk_member_on_use — one more torrent has it. disk_member_end — it is freed.
 */
void disk_member_keep(struct disk_file *f);
void disk_member_on_use(struct joint_use *use);
void disk_member_end(struct disk_file *f);

/* disk_member_found — the index has said that the torrent has the file. */
void disk_member_found(struct joint_use *use, int64_t row);

/* disk_member_wait — nodes of a hash tree, which are to be written when their
 * file has a row, so that whoever removes it finds them. */
void disk_member_wait(struct files_nodes *n TAKES);

/* disk_member_take — for a commit. disk_member_done — it has ended; frees. */
void disk_member_take(struct disk *d, struct member_rows *rows);
void disk_member_done(struct disk *d, struct member_rows *rows, int err);

/* disk_member_job — write them, within a transaction. Thread: store. */
int disk_member_job(struct index_db *db, struct member_rows *rows);

#endif
