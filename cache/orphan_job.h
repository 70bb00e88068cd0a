/* orphan_job — blobs in files/ that no row speaks of.
 *
 * Thread: store. */
#ifndef SHOAL_CACHE_ORPHAN_JOB_H
#define SHOAL_CACHE_ORPHAN_JOB_H

struct home;
struct index_db;

/* orphan_job — remove them, and hash trees likewise. Before anything is opened.
 * What cannot go stays. */
void orphan_job(struct index_db *index, const struct home *home);

#endif
