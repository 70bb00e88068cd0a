/* store_disk_note — notes of the disk store: small files beside the index that
 * belong to no torrent, such as the DHT's table. They are written when asked
 * to, whole, and have no part in any commit. */
#include "cache/store_disk_internal.h"
#include "cache/store_disk_job.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/worker.h"

static struct disk_note *note_new(struct disk *d, const char *name)
{
	struct disk_note *n = mem_new(struct disk_note);

	if (n != NULL) {
		n->home = &d->home;
		n->name = name;
	}
	return n;
}

static void note_free(struct disk_note *n)
{
	mem_free(n->bytes);
	mem_free(n);
}

static void on_loaded(struct job *job)
{
	struct disk_note *n = CONTAINER_OF(job, struct disk_note, job);
	struct span note = {NULL, 0};

	if (n->err == 0)
		note = span_of(n->bytes, n->len);
	n->done(n->arg, n->err, note);
	note_free(n);
}

int disk_load_note(struct store *s, const char *name, store_info_fn *done,
		   void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_note *n = note_new(d, name);

	ASSERT_LOOP(d->loop);
	if (n == NULL)
		return ENOMEM;
	n->job = (struct job){.run = store_disk_job_load_note,
			      .done = on_loaded};
	n->done = done;
	n->arg = arg;
	workers_submit(d->thread, &n->job);
	return 0;
}

static void on_kept(struct job *job)
{
	struct disk_note *n = CONTAINER_OF(job, struct disk_note, job);

	if (n->err != 0)
		log_notice("store: %s is not remembered: %s", n->name,
			   err_text(n->err));
	if (n->kept != NULL)
		n->kept(n->arg, n->err);
	note_free(n);
}

int disk_keep_note(struct store *s, const char *name, struct span bytes,
		   store_done_fn *done, void *arg)
{
	struct disk *d = disk_of(s);
	struct disk_note *n = note_new(d, name);

	ASSERT_LOOP(d->loop);
	if (n != NULL)
		n->bytes = mem_dup(bytes.ptr, bytes.len);
	if (n == NULL || n->bytes == NULL) {
		mem_free(n);
		return ENOMEM;
	}
	n->len = bytes.len;
	n->kept = done;
	n->arg = arg;
	n->job = (struct job){.run = store_disk_job_keep_note, .done = on_kept};
	workers_submit(d->thread, &n->job);
	return 0;
}
