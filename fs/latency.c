/* latency — see latency.h.
 *
 * Purpose. Who walks a tree asks, sleeps until he has the answer, and asks
 * again; we sleep meanwhile. Each side's CPU has nothing else to do and falls
 * asleep as well: to wake it takes longer than the answer, on a virtual machine
 * (where sleep is an exit to the host) several times as long. The kernel lets
 * root demand that CPUs wake at once (PM QoS, Documentation/power/
 * pm_qos_interface.rst): whoever has /dev/cpu_dma_latency open writes the
 * microseconds that a wake-up may take. With 0 an idle CPU does not sleep.
 *
 * That costs power, of the whole machine; so it is demanded only after
 * LATENCY_ROW questions that came each within LATENCY_CLOSE_US of the last
 * answer, which nobody but a walk does, and until none has come for
 * LATENCY_LINGER_US. Reads of content have their own ways of being fast
 * (read-ahead, passthrough), and end the row.
 *
 * The timer is not armed anew by each question: when it fires it looks at when
 * the last one was.
 *
 * Failure modes: no right to it, no such file: there is no demand, and status
 * says why. A write that fails ends the use of it. If we die the descriptor is
 * closed, and with it goes the demand. */
#include "fs/latency.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/loop.h"
#include "fs/fs_limits.h"
#include "fs/fuse_kernel.h"

/* The kernel's PM_QOS_CPU_LATENCY_DEFAULT_VALUE: any time will do. */
enum { NO_SLEEP = 0, NO_DEMAND = 2000000000 };

static void demand(struct latency *l, bool is_held)
{
	int32_t us = is_held ? NO_SLEEP : NO_DEMAND;

	l->is_held = is_held;
	l->row = 0;
	if (write(l->fd, &us, sizeof(us)) == sizeof(us))
		return;
	l->err = errno;
	log_warn("/dev/cpu_dma_latency: %s", err_text(l->err));
	close(l->fd); /* which ends the demand, if there was one */
	l->fd = -1;
	l->is_held = false;
}

static void on_timer(void *arg)
{
	struct latency *l = arg;
	uint64_t rest = clock_mono_us() - l->close_us;

	if (!l->is_held)
		return;
	if (rest < LATENCY_LINGER_US)
		loop_timer_start(l->timer, LATENCY_LINGER_US - rest);
	else
		demand(l, false);
}

void latency_init(struct latency *l)
{
	*l = (struct latency){.fd = -1};
}

void latency_use(struct latency *l, struct loop *loop, int fd, int err)
{
	*l = (struct latency){.fd = -1, .err = err};
	if (fd < 0)
		return;
	l->err = loop_timer_new(loop, on_timer, l, &l->timer);
	if (l->err == 0)
		l->fd = fd;
	else
		close(fd);
}

void latency_open(struct latency *l, struct loop *loop)
{
	int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);

	latency_use(l, loop, fd, fd < 0 ? errno : 0);
}

void latency_fini(struct latency *l)
{
	loop_timer_free(l->timer);
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct latency){.fd = -1};
}

/* Of names and attributes? Such questions make a walk. */
static bool is_question(const void *request, size_t len)
{
	struct fuse_in_header h;

	if (len < sizeof(h))
		return false;
	memcpy(&h, request, sizeof(h));
	return h.opcode != FUSE_READ && h.opcode != FUSE_WRITE;
}

void latency_asked(struct latency *l, uint64_t now_us, const void *request,
		   size_t len)
{
	if (l->fd < 0)
		return;
	if (now_us - l->answered_us >= LATENCY_CLOSE_US ||
	    !is_question(request, len)) {
		l->row = 0;
		return;
	}
	l->close_us = now_us;
	if (l->is_held || ++l->row < LATENCY_ROW)
		return;
	demand(l, true);
	if (l->is_held)
		loop_timer_start(l->timer, LATENCY_LINGER_US);
}

void latency_answered(struct latency *l, uint64_t now_us)
{
	l->answered_us = now_us;
}

const char *latency_text(const struct latency *l)
{
	if (l->is_held)
		return "awake: somebody walks";
	if (l->fd >= 0)
		return "on demand";
	if (l->err == 0)
		return "off: nolatency";
	if (l->err == EACCES || l->err == EPERM)
		return "off: it takes root";
	return "off: /dev/cpu_dma_latency is of no use";
}
