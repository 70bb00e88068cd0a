/* home_job — the store's directory: whose it is, who has it, and the info
 * dictionaries in it.
 *
 * Thread: store. Errors: see store_disk_new. */
#ifndef SHOAL_CACHE_HOME_JOB_H
#define SHOAL_CACHE_HOME_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

/* A file's hash tree lies beside it, under its name and this. */
#define HOME_TREE ".tree"
/* A torrent's pinned files, beside its blobs (pins_job.h). */
#define HOME_PINS "pinned"

struct home {
	char *path;	 /* absolute, without links */
	int dir_fd;	 /* DIR */
	int torrents_fd; /* DIR/torrents */
	int files_fd;	 /* DIR/files */
	int lock_fd;	 /* DIR/lock; holds the lock */
	bool was_open;	 /* aside_job.h */
};

/* home_job_open — make it when it is missing, check whose it is, lock it.
 * `why` gets the reason for a person, without the directory. */
int home_job_open(const char *dir, struct home *h, char why[160]);

/* home_job_write_lock — the lock's text: the process, and whether the index is
 * open. */
int home_job_write_lock(const struct home *h, bool is_open);

/* home_job_try — does the disk take a byte? 0, or its error. */
int home_job_try(const struct home *h);

void home_job_close(struct home *h);

/* home_job_read_info — the info dictionary kept under `hex`; gives. ENOENT. */
int home_job_read_info(const struct home *h, const char *hex, uint8_t **out,
		       size_t *len);

/* home_job_remove — what lies at `path` ("torrents/<id>", "files/<name>") in
 * the store, a file's hash tree with it. Durable. 0 also when there is nothing.
 */
int home_job_remove(const struct home *h, const char *path);

/* home_job_empty — the blobs in "torrents/<id>"; what is said of it stays. */
int home_job_empty(const struct home *h, const char *path);

/* home_job_move — call `path` `heir` instead. Durable. EEXIST when there is
 * such a one, unless `may_replace`; ENOENT. */
int home_job_move(const struct home *h, const char *path, const char *heir,
		  bool may_replace);

/* home_job_keep_info — make sure that directory `hex` has it; durable. */
int home_job_keep_info(const struct home *h, const char *hex, struct span info);

/* home_job_read_file — all of a small file; gives. ENOENT also when it is empty
 * or no plain file. home_job_keep_beside, home_job_remove_beside — one in
 * "torrents/<hex>"; durable. */
int home_job_read_file(int dir_fd, const char *name, uint8_t **out,
		       size_t *len);
int home_job_keep_beside(const struct home *h, const char *hex,
			 const char *name, struct span data);
int home_job_remove_beside(const struct home *h, const char *hex,
			   const char *name);

/* home_job_read_note, home_job_keep_note — small files of our own beside the
 * index; `name` is a word of the program's. Gives; ENOENT. A crash leaves the
 * old note, the new one, or none. */
int home_job_read_note(const struct home *h, const char *name, uint8_t **out,
		       size_t *len);
int home_job_keep_note(const struct home *h, const char *name,
		       struct span note);

#endif
