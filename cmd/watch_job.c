/* watch_job — files of a watched directory, read and parsed off the loop: it
 * may lie on a disk that sleeps, or on a server that does not answer. */
#include <sys/stat.h>

#include "cmd/folder.h"
#include "cmd/source.h"
#include "cmd/watch_internal.h"
#include "core/err.h"
#include "core/mem.h"

static void add_name(void *arg, const char *path)
{
	struct watch_file *f = arg;
	struct watch_names *names = f->names;

	if (names->n == names->room) {
		size_t room = names->room ? 2 * names->room : 64;
		char **grown = mem_grow(names->path, room, sizeof(*grown));

		if (!grown) {
			f->err = ENOMEM;
			return;
		}
		names->path = grown;
		names->room = room;
	}
	names->path[names->n] = mem_strdup(path);
	if (names->path[names->n])
		names->n++;
	else
		f->err = ENOMEM;
}

/* A symbolic one, or one more name of a file. */
static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 &&
	       (S_ISLNK(st.st_mode) ||
		(S_ISREG(st.st_mode) && st.st_nlink > 1));
}

void watch_job_read(struct job *job, struct worker_env *env)
{
	struct watch_file *f = CONTAINER_OF(job, struct watch_file, job);
	int r;

	ASSERT_WORKER();
	if (f->what == WATCH_NAMED && !is_link(f->path))
		return;
	if (f->what != WATCH_SCAN) {
		f->err = source_load(f->path, env->hasher, &f->src, f->why);
		return;
	}
	f->names = mem_new(struct watch_names);
	if (!f->names) {
		f->err = ENOMEM;
		return;
	}
	r = folder_each(f->path, add_name, f, f->why);
	if (r)
		f->err = r;
}

void watch_names_free(struct watch_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < names->n; i++)
		mem_free(names->path[i]);
	mem_free(names->path);
	mem_free(names);
}
