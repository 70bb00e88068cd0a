/* heal_job — does the disk work again?
 *
 * The index's log is brought into its file, which is synced, and is emptied: a
 * transaction whose commit failed is in neither from then on, whatever of it
 * had reached the disk. Then the lock's text is written anew and synced, for
 * the log may have been empty.
 *
 * Threads: store. */
#include "cache/store_disk_internal.h"

void heal_job(struct job *job, struct worker_env *env)
{
	struct disk_heal *h = CONTAINER_OF(job, struct disk_heal, job);

	ASSERT_WORKER();
	h->err = index_job_settle(h->index);
	if (h->err == 0)
		h->err = home_job_try(h->home);
}
