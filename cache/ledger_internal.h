/* ledger_internal — between the loop's side of the ledger (ledger.c) and its
 * files (ledger_job.c). */
#ifndef SHOAL_CACHE_LEDGER_INTERNAL_H
#define SHOAL_CACHE_LEDGER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/ledger.h"
#include "core/queue.h"
#include "core/worker.h"

struct ledger_request {
	STAILQ_ENTRY(ledger_request) link;
	struct record r; /* a new source's place is filled in by the job */
	const uint8_t *source; /* lent; NULL: where `r` says */
	uint32_t source_len;
	bool is_forget;
	ledger_done_fn *done;
	void *arg;
};

STAILQ_HEAD(ledger_requests, ledger_request);

struct ledger_files {
	int dir_fd, log_fd, source_fd;
	uint64_t log_end, source_end;
	bool is_ragged; /* behind log_end lies what was not committed */
};

/* All requests that came while the last commit ran. */
struct ledger_commit {
	struct job job;
	struct ledger_requests requests;
	struct ledger_files *files;
	int err;
};

struct ledger_load {
	struct job job;
	int fd;
	struct record r;
	uint8_t *dst;
	int err;
	ledger_done_fn *done;
	void *arg;
};

struct ledger_advice {
	struct job job;
	int fd;
	unsigned n;
	struct record_place places[];
};

struct ledger {
	struct workers *thread, *workers;
	struct ledger_files files; /* the job's, while one is on its way */
	struct ledger_requests waiting;
	struct ledger_commit commit;
	bool is_busy;
	/* until ledger_each */
	uint8_t *image;
	size_t image_len;
	size_t *live; /* where the entries that count begin in it */
	size_t n_live;
};

/* ledger_job_open — open or make the files; what was read goes to image, which
 * ledger_pick then looks at. ledger_job_rewrite — only `log` from now on. */
int ledger_job_open(struct ledger_files *f, const char *dir, uint8_t **image,
		    size_t *len);
int ledger_job_rewrite(struct ledger_files *f, struct span log);
void ledger_job_close(struct ledger_files *f);

/* ledger_job_read — the source of a record. EIO: it is not there. Blocks. */
int ledger_job_read(int fd, const struct record *r, uint8_t *dst);

void ledger_job_commit(struct job *job, struct worker_env *env);
void ledger_job_load(struct job *job, struct worker_env *env);
void ledger_job_advise(struct job *job, struct worker_env *env);

enum { LEDGER_HEAD_BYTES = 16 };

#endif
