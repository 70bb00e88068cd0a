/* resolve — the loop's half of a name look-up.
 *
 * Happy path: resolve_start copies the host into a job and hands it to the
 * pool; the worker asks getaddrinfo; the job comes back and `done` runs.
 *
 * Cancel: a worker inside getaddrinfo cannot be called back. So the look-up
 * and its owner part: the job is marked, ends when it ends, and is freed by
 * its reply, which tells nobody.
 *
 * Failure modes: resolve_start fails with ENOMEM only; everything else comes
 * through `done`. */
#include "net/resolve.h"

#include <errno.h>
#include <string.h>

#include "core/mem.h"
#include "core/worker.h"
#include "net/resolve_job.h"

struct resolve {
	struct resolve_job job; /* the pool's until job_done */
	resolve_fn *done;	/* NULL: cancelled */
	void *arg;
};

static void job_done(struct job *job)
{
	struct resolve_job *j = CONTAINER_OF(job, struct resolve_job, job);
	struct resolve *r = CONTAINER_OF(j, struct resolve, job);

	if (r->done)
		r->done(r->arg, j->err, j->addrs, j->err ? 0 : j->n);
	mem_free(j->host);
	mem_free(r);
}

int resolve_start(struct workers *workers, const char *host, uint16_t port,
		  resolve_fn *done, void *arg, struct resolve **out)
{
	struct resolve *r = mem_new(struct resolve);

	if (!r)
		return ENOMEM;
	r->job.host = mem_strdup(host);
	if (!r->job.host) {
		mem_free(r);
		return ENOMEM;
	}
	r->job.port = port;
	atomic_init(&r->job.unwanted, false);
	r->job.job.run = resolve_job_run;
	r->job.job.done = job_done;
	r->done = done;
	r->arg = arg;
	*out = r;
	workers_submit(workers, &r->job.job);
	return 0;
}

void resolve_cancel(struct resolve *r)
{
	if (!r)
		return;
	r->done = NULL;
	atomic_store(&r->job.unwanted, true);
}

/* ---- text ---- */

static int parse_port(const char *text, uint16_t *out)
{
	uint32_t v = 0;

	if (*text == '\0' || strlen(text) > 5)
		return EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return EINVAL;
		v = v * 10 + (uint32_t)(*text - '0');
	}
	if (v == 0 || v > UINT16_MAX)
		return EINVAL;
	*out = (uint16_t)v;
	return 0;
}

int resolve_split(const char *text, char *host, size_t cap, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *from = text;
	size_t len;

	if (!colon)
		return EINVAL;
	len = (size_t)(colon - text);
	if (text[0] == '[') {
		if (len < 2 || colon[-1] != ']')
			return EINVAL;
		from++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return EINVAL; /* an IPv6 address without its brackets */
	}
	if (len == 0 || len >= cap || memchr(from, '[', len) ||
	    memchr(from, ']', len))
		return EINVAL;
	if (parse_port(colon + 1, port) != 0)
		return EINVAL;
	memcpy(host, from, len);
	host[len] = '\0';
	return 0;
}
