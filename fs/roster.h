/* roster — which torrents are shown in the root, under which names.
 *
 * A torrent that is in stays in, under one name. Thread: loop. */
#ifndef SHOAL_FS_ROSTER_H
#define SHOAL_FS_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/name.h"

struct hmap;
struct metainfo;
struct torrent;
struct tree;

/* A torrent in the root. */
struct shown {
	struct torrent *torrent;
	const struct metainfo *mi; /* the torrent's */
	struct tree *tree;
	uint64_t base; /* fs/inode.h */
	int64_t time_s;
	char name[NAME_BUF_BYTES];
};

struct roster {
	struct shown **by_age; /* as they came; never moves */
	struct shown **by_name;
	uint32_t n;
	uint32_t room;
	struct hmap *by_base;
};

int roster_init(struct roster *r);
void roster_fini(struct roster *r);

/* roster_add — show a READY torrent; it must outlive the roster. 0; EEXIST:
 * its node numbers are another's (or it is in already), or every name it may
 * have is taken; E2BIG; ENOMEM. */
int roster_add(struct roster *r, struct torrent *t, struct shown **out);

/* Lent until roster_fini; NULL when there is none. */
struct shown *roster_by_name(const struct roster *r, const char *name);
struct shown *roster_by_base(const struct roster *r, uint64_t base);

/* roster_name_is_hash — 40 or 64 hex digits: never a torrent's own name. */
bool roster_name_is_hash(const char *name);

#endif
