/* aside_job — the index as a file in the store's directory: whether it and its
 * log are there, a damaged one put aside, a new one put in its place. Thread:
 * store. */
#ifndef SHOAL_CACHE_ASIDE_JOB_H
#define SHOAL_CACHE_ASIDE_JOB_H

#include <stdbool.h>

struct home;

enum { ASIDE_NAME_BYTES = 64 };

/* aside_job_has_index — there is one, and it is not empty. */
bool aside_job_has_index(const struct home *h);

/* aside_job_may_write — 0, or why it cannot be written. */
int aside_job_may_write(const struct home *h);

/* aside_job_lacks_log — the process that had the store last did not end by
 * itself, so the index's log must be there, and is not. */
bool aside_job_lacks_log(const struct home *h);

/* aside_job_note_open, _note_closed — from here on the log must be there, or
 * need not be. Failures are logged; of the latter told, for the log must stay.
 */
void aside_job_note_open(const struct home *h);
int aside_job_note_closed(const struct home *h);

/* aside_job_put — the index and its log get other names, which nobody has:
 * `name` is the index's, "" if there was none. */
int aside_job_put(const struct home *h, char name[ASIDE_NAME_BYTES]);

/* aside_job_make_new — an empty file for an index that is made anew, under the
 * name ASIDE_NEW. aside_job_take_new — it is closed, and the index from now on;
 * durable. */
#define ASIDE_NEW "index.db.new"
int aside_job_make_new(const struct home *h);
int aside_job_take_new(const struct home *h);

#endif
