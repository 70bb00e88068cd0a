/* resolve_job — getaddrinfo, off the loop.
 *
 * It may block for as long as the system's resolver likes (with glibc's
 * defaults ten seconds for each dead name server), and nothing can stop it. A
 * job whose owner has gone before its turn came asks nobody, so that a queue
 * of them behind a dead name server empties at once.
 *
 * AI_ADDRCONFIG is not asked for: it would hide ::1 and 127.0.0.1 on hosts
 * without a network. The order is getaddrinfo's (RFC 6724). */
#include "net/resolve_job.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>

static int errno_of(int gai)
{
	switch (gai) {
	case 0:
		return 0;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
	case EAI_SERVICE:
		return ENOENT;
	case EAI_AGAIN:
		return EAGAIN;
	case EAI_MEMORY:
		return ENOMEM;
	default: /* an int, not an enum: libraries add codes */
		return EIO;
	}
}

static void take(struct resolve_job *j, const struct addrinfo *list)
{
	for (const struct addrinfo *ai = list; ai && j->n < RESOLVE_MAX;
	     ai = ai->ai_next)
		if (addr_from_sa(&j->addrs[j->n], ai->ai_addr,
				 ai->ai_addrlen) == 0)
			j->n++;
}

void resolve_job_run(struct job *job, struct worker_env *env)
{
	struct resolve_job *j = CONTAINER_OF(job, struct resolve_job, job);
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM, /* one entry an address */
		.ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL;
	char port[8];

	ASSERT_WORKER();
	if (atomic_load(&j->unwanted)) {
		j->err = ENOENT;
		return;
	}
	(void)snprintf(port, sizeof(port), "%u", j->port);
	j->err = errno_of(getaddrinfo(j->host, port, &hints, &list));
	if (j->err)
		return;
	take(j, list);
	freeaddrinfo(list);
	if (j->n == 0)
		j->err = ENOENT;
}
