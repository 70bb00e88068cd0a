/* lend_job — looks at the files that a user lends.
 *
 * His directory is the folder that has the torrent's file or top directory, as
 * every client calls it; or it is that directory itself, if more of the files
 * are found so. A file counts that is a plain one, as long as it must be; links
 * are not followed, so that nothing outside is ever lent.
 *
 * Thread: workers. Nothing is opened: that the files may be read is found out
 * when they are hashed. */
#include <sys/stat.h>

#include "cache/path_job.h"
#include "cache/store_lend_internal.h"

static uint32_t look(struct lend_look *k, uint32_t skip)
{
	bits_clear_all(&k->there);
	for (uint32_t i = 0; i < k->n_files; i++) {
		const struct lend_file *f = &k->t->files[i];
		struct stat sb;

		if (f->path == NULL ||
		    path_job_stat(k->dir_fd, f->path + skip, &sb) != 0 ||
		    !S_ISREG(sb.st_mode) ||
		    (uint64_t)sb.st_size != f->len_bytes)
			continue;
		bits_set(&k->there, i);
		stamp_of(&sb, &k->now[i]);
	}
	return k->there.n_set;
}

void lend_job_look(struct job *job, struct worker_env *env)
{
	struct lend_look *k = CONTAINER_OF(job, struct lend_look, job);
	uint32_t n;

	ASSERT_WORKER();
	k->skip = 0;
	n = look(k, 0);
	if (k->top_bytes == 0 || bits_is_full(&k->there))
		return;
	k->skip = k->top_bytes;
	if (look(k, k->top_bytes) > n)
		return;
	k->skip = 0;
	(void)look(k, 0);
}
