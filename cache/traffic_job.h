/* traffic_job — what was sent and received, once more beside the index: a log
 * from which an index that is made anew has its sums. Thread: store. */
#ifndef SHOAL_CACHE_TRAFFIC_JOB_H
#define SHOAL_CACHE_TRAFFIC_JOB_H

#include <stdbool.h>

#include "cache/tally.h"
#include "core/traffic.h"

struct home;
struct index_db;

/* What the log says: of each torrent, and of those that were removed. */
struct traffic_log {
	struct tally tally;
	struct traffic departed;
};

/* traffic_job_append — these sums, durable; before the index has them, for what
 * it has is shown. 0, or an error, and nothing was written. */
int traffic_job_append(const struct home *h, const struct tally_rows *rows);

/* traffic_job_depart — the torrent was removed from the index, which has
 * `departed` now. What fails is made good at the next start. */
void traffic_job_depart(const struct home *h, const struct torrent_id *id,
			const struct traffic *departed);

/* traffic_job_tidy — `n_new` were appended, and the index has them: the log is
 * written anew if much of it is of no use any more. */
void traffic_job_tidy(const struct home *h, struct index_db *index,
		      uint32_t n_new);

/* traffic_job_agree — the index was opened, and has these: the log says the
 * same from now on. */
void traffic_job_agree(const struct home *h, const struct tally_rows *rows,
		       const struct traffic *departed);

/* traffic_job_load — all of it; nothing if there is none, or none that makes
 * sense. 0 or ENOMEM. traffic_log_fini frees it. */
int traffic_job_load(const struct home *h, struct traffic_log *out);
void traffic_log_fini(struct traffic_log *log);

#endif
