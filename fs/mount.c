/* mount — the FUSE session on our loop.
 *
 * Happy path
 *   1. mount_new: libfuse mounts (by mount(2), or fusermount3 when we may
 *      not); the kernel's list of mounts tells our device number.
 *   2. mount_serve: the descriptor is watched; INIT is answered by ops.c, whose
 *      task then runs on_up.
 *   3. on_request: up to MOUNT_TURN_REQUESTS requests a turn, each handed to
 *      libfuse, which calls ops.c.
 *   4. end(): everything parked is answered, the descriptor closed, on_end
 *      queued.
 *
 * Who ends it, each exactly once through end():
 *   umount, fusermount3 -u    the descriptor says ENODEV
 *   a lazy unmount            mountinfo: nothing with our device is mounted
 *   abort, a kernel time-out  ENODEV, while we are still in the list
 *   mount_stop
 *
 * Unmounting ourselves. fuse_session_unmount closes the descriptor before it
 * detaches the mount point: the kernel cuts the connection at that moment and
 * every request in it ends, so nothing that blocks on us can block us. But
 * libfuse detaches whatever is at the path, unless poll says POLLERR on the
 * descriptor. So detach() decides: it puts another file in the descriptor's
 * place first (which closes ours as well), one that never has an error when
 * the mount on top is ours, and one that always has when it is not. What was
 * mounted over ours is not ours to detach; ours stays below it, dead.
 *
 * Failure modes: a mount point that is not in the list of mounts (a
 * descriptor handed over as /dev/fd/N, another namespace) is served without
 * the watch; lazy unmounts then go unnoticed until the last file is closed.
 *
 * Threads: loop only. The mount itself is never touched from here: a stat of
 * it would wait for the loop that asks. */
#include "fs/mount.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/hmap.h"
#include "core/log.h"
#include "core/mem.h"
#include "fs/fs_limits.h"
#include "fs/device.h"
#include "fs/guests.h"
#include "fs/survey.h"
#include "fs/handle.h"
#include "fs/kernelahead.h"
#include "fs/mount_internal.h"
#include "fs/mountinfo.h"
#include "fs/nameop.h"
#include "fs/notes.h"
#include "fs/ops.h"
#include "fs/passthrough.h"
#include "fs/readop.h"
#include "fs/requestlimit.h"
#include "fs/root.h"
#include "fs/writeops.h"
#include "net/torrent.h"

enum { WHY_BYTES = 160 };

/* ---- libfuse's words into our log ---- */

__attribute__((format(printf, 2, 0))) static void on_fuse_log(
	enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[1024];
	size_t len;

	vsnprintf(line, sizeof(line), fmt, ap);
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n')
		line[len - 1] = '\0';
	log_line(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERR : (enum log_level)level,
		 "%s", line);
}

/* ---- the end ---- */

/* A descriptor that polls as POLLERR, or one that never does. */
static int stand_in(bool with_error)
{
	int fds[2];

	if (!with_error)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	close(fds[0]);
	return fds[1];
}

/* Close the connection, and detach the mount point if what is on top of it is
 * ours. What was not mounted by us libfuse does not detach in any case. */
static void detach(struct mount *m)
{
	bool is_ours = m->on_detach == NULL &&
		       (m->info == NULL || mountinfo_is_on_top(m->info));
	int fd = stand_in(!is_ours);

	if (fd >= 0) {
		(void)dup3(fd, fuse_session_fd(m->se), O_CLOEXEC);
		close(fd);
	}
	fuse_session_unmount(m->se);
	if (m->on_detach != NULL)
		m->on_detach(m->arg);
}

static void on_end_turn(void *arg)
{
	struct mount *m = arg;

	m->on_end(m->arg, m->why);
}

static void end(struct mount *m, enum mount_end why)
{
	if (m->is_over)
		return;
	m->is_over = true;
	m->why = why;
	loop_task_cancel(m->loop, &m->up_task);
	loop_io_free(m->io);
	m->io = NULL;
	latency_fini(&m->latency);
	fuse_session_exit(m->se); /* replies that nobody takes are no error */
	readop_end_all(m);
	nameop_end_all(m);
	writeops_end_all(m);
	again_drop(m);
	survey_end(m);
	guests_end_all(m);
	passthrough_end_all(m);
	library_end(m);
	handle_close_all(m);
	uploads_end(m);
	verify_end(m);
	sleepers_end(m);
	walkahead_end(m);
	warmth_end(m);
	detach(m);
	mountinfo_close(m->info);
	m->info = NULL;
	loop_defer(m->loop, &m->end_task);
}

static void on_gone(void *arg)
{
	end(arg, MOUNT_END_UNMOUNTED);
}

/* The descriptor is of no more use. */
static void on_cut(struct mount *m)
{
	bool still = m->info != NULL && mountinfo_is_mounted(m->info);

	end(m, still ? MOUNT_END_ABORTED : MOUNT_END_UNMOUNTED);
}

void mount_stop(struct mount *m)
{
	ASSERT_LOOP(m->loop);
	end(m, MOUNT_END_STOPPED);
}

/* ---- serving ---- */

void mount_process(struct mount *m, const struct fuse_buf *b)
{
	m->at_hand = b;
	fuse_session_process_buf(m->se, b);
	m->at_hand = NULL;
}

/* Who walks a tree asks when he has the answer, and at once. The yield is for
 * when that is to happen on our own core. What he comes to next is made ready
 * meanwhile, but in no turn that is as long as one of nothing but waiting. */
static int receive(struct mount *m, uint64_t turn_us, bool may_linger)
{
	int r = fuse_session_receive_buf(m->se, &m->in);
	uint64_t begin, now;

	if (r != -EAGAIN || !may_linger || m->pace < MOUNT_PACE)
		return r;
	begin = now = clock_mono_us();
	while (r == -EAGAIN && now - begin < MOUNT_LINGER_US) {
		if (now - turn_us >= MOUNT_TURN_US || !walkahead_step(m))
			(void)sched_yield();
		r = fuse_session_receive_buf(m->se, &m->in);
		now = clock_mono_us();
	}
	if (r == -EAGAIN)
		m->pace = 0;
	return r;
}

static void on_request(void *arg, int fd, unsigned events)
{
	struct mount *m = arg;
	uint64_t now = loop_now_us(m->loop);
	bool is_close = now - m->answered_us < MOUNT_CLOSE_US;

	m->pace = is_close ? m->pace + 1 : 0;
	for (int n = 0; n < MOUNT_TURN_REQUESTS && !m->is_over; n++) {
		int r = receive(m, now, n > 0);

		if (r == -EAGAIN || r == -EINTR)
			break;
		if (r <= 0) {
			on_cut(m);
			return;
		}
		latency_asked(&m->latency, clock_mono_us(), m->in.mem,
			      m->in.size);
		mount_process(m, &m->in);
		m->answered_us = clock_mono_us();
		latency_answered(&m->latency, m->answered_us);
	}
}

static void on_up_turn(void *arg)
{
	struct mount *m = arg;

	if (m->info != NULL)
		kernelahead_raise(mountinfo_device(m->info));
	m->forgets_names = device_forget_names(m) == 0;
	if (m->on_up != NULL)
		m->on_up(m->up_arg);
}

/* The kernel said INIT to the first of us, and has requests that none of us
 * answered. */
static void resume(struct mount *m)
{
	device_replay_init(m);
	m->forgets_names = device_forget_names(m) == 0;
	root_resumed(m);
	passthrough_restore(m);
	device_ask_again(m);
}

int mount_serve(struct mount *m, void (*on_up)(void *arg), void *arg)
{
	int r;

	ASSERT_LOOP(m->loop);
	assert(m->io == NULL && !m->is_over);
	m->on_up = on_up;
	m->up_arg = arg;
	if (m->info != NULL) {
		r = mountinfo_watch(m->info, m->loop, on_gone, m);
		if (r != 0)
			return r;
	}
	r = loop_io_new(m->loop, fuse_session_fd(m->se), on_request, m, &m->io);
	if (r == 0)
		r = loop_io_want(m->io, LOOP_READ);
	if (r == 0) {
		warmth_start(m);
		verify_begin(m);
	}
	if (r == 0 && m->is_resumed)
		resume(m);
	return r;
}

int mount_fd(const struct mount *m)
{
	return fuse_session_fd(m->se);
}

void mount_set_sandbox(struct mount *m, const char *text)
{
	ASSERT_LOOP(m->loop);
	m->sandbox = text;
}

int mount_on_ready(struct mount *m, struct torrent *t)
{
	ASSERT_LOOP(m->loop);
	verify_on_ready(m);
	return survey_on_change(m, t) ? 0 : library_on_ready(m, t);
}

void mount_on_failed(struct mount *m, struct torrent *t)
{
	ASSERT_LOOP(m->loop);
	if (!survey_on_change(m, t))
		library_on_failed(m, t);
}

bool mount_on_asked(struct mount *m, const uint8_t hash[20])
{
	ASSERT_LOOP(m->loop);
	return sleepers_on_asked(m, hash);
}

void mount_on_signpost(struct mount *m, struct signpost *s)
{
	ASSERT_LOOP(m->loop);
	nameop_on_signpost(m, s);
}

/* ---- making ---- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int init_fields(struct mount *m, const struct mount_cfg *cfg)
{
	int r;

	latency_init(&m->latency);
	walkahead_init(m);
	m->loop = cfg->loop;
	m->engine = cfg->engine;
	m->keeper = cfg->keeper;
	m->is_ro = cfg->is_ro;
	m->uid = cfg->uid;
	m->gid = cfg->gid;
	m->umask = cfg->umask & 0777;
	if (cfg->no_passthrough)
		m->passthrough_state = PASSTHROUGH_UNWANTED;
	m->on_end = cfg->on_end;
	m->arg = cfg->arg;
	m->request_limit_us = requestlimit_us();
	m->read_timeout_us = (uint64_t)cfg->read_timeout_ms * 1000;
	m->nudge_us = READOP_NUDGE_MS * UINT64_C(1000);
	m->lookup_wait_us = min_u64((uint64_t)cfg->lookup_wait_ms * 1000,
				    m->request_limit_us);
	m->born_us = loop_now_us(m->loop);
	m->changed_s = clock_wall_s();
	TAILQ_INIT(&m->reads);
	TAILQ_INIT(&m->names);
	TAILQ_INIT(&m->writes);
	TAILQ_INIT(&m->again);
	TAILQ_INIT(&m->guests);
	TAILQ_INIT(&m->library.ops);
	TAILQ_INIT(&m->library.wishes);
	uploads_init(m);
	LIST_INIT(&m->handles);
	loop_task_init(&m->up_task, on_up_turn, m);
	loop_task_init(&m->end_task, on_end_turn, m);
	m->out = mem_alloc(MOUNT_BUFFER_BYTES);
	m->next_fh = m->born_us;
	if (cfg->held != NULL) {
		m->on_detach = cfg->held->on_detach;
		m->is_resumed = cfg->held->fuse_fd >= 0;
	}
	r = m->out != NULL ? hmap_new(sizeof(uint64_t), &m->twins) : ENOMEM;
	if (r == 0)
		r = hmap_new(sizeof(uint64_t), &m->by_fh);
	if (r == 0)
		r = notes_new(cfg->held != NULL ? cfg->held->notes_fd : -1,
			      &m->notes);
	if (r == 0)
		r = warmth_init(m);
	if (r == 0)
		r = sleepers_init(m);
	if (r == 0)
		r = verify_init(m);
	if (r == 0)
		r = roster_init(&m->roster);
	return r != 0 ? r : library_load(m);
}

/* What every mount gets comes last: of two options that contradict each other
 * the later one counts. */
static int new_session(struct mount *m, const struct mount_cfg *cfg)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	const char *user = cfg->fuse_options;
	int r = fuse_opt_add_arg(&args, "shoalfs");

	if (r == 0)
		r = fuse_opt_add_arg(&args, "-ofsname=shoalfs");
	if (r == 0 && user != NULL && user[0] != '\0') {
		r = fuse_opt_add_arg(&args, "-o");
		if (r == 0)
			r = fuse_opt_add_arg(&args, user);
	}
	if (r == 0)
		r = fuse_opt_add_arg(&args, "-onosuid,nodev,default_"
					    "permissions,subtype=shoalfs");
	if (r == 0 && m->is_ro)
		r = fuse_opt_add_arg(&args, "-oro");
	if (r == 0 && cfg->debug)
		r = fuse_opt_add_arg(&args, "-d");
	if (r == 0) {
		fuse_set_log_func(on_fuse_log);
		m->se = fuse_session_new(&args, &ops_table, sizeof(ops_table),
					 m);
	}
	fuse_opt_free_args(&args);
	return r != 0 ? ENOMEM : m->se != NULL ? 0 : EINVAL;
}

static int make(const struct mount_cfg *cfg, struct mount **out)
{
	struct mount *m = mem_new(struct mount);
	int r;

	if (m == NULL)
		return ENOMEM;
	r = init_fields(m, cfg);
	if (r == 0)
		r = new_session(m, cfg);
	if (r != 0) {
		m->is_over = true;
		mount_free(m);
		return r;
	}
	*out = m;
	return 0;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return errno;
	return 0;
}

/* Resolved before the mount: afterwards it would have to ask us. */
static int check_point(const char *point, char **resolved, char why[WHY_BYTES])
{
	char path[PATH_MAX];
	struct stat st;
	int r = 0;

	if (realpath(point, path) == NULL || stat(path, &st) != 0)
		r = errno;
	else if (!S_ISDIR(st.st_mode))
		r = ENOTDIR;
	if (r == 0) {
		*resolved = mem_strdup(path);
		r = *resolved != NULL ? 0 : ENOMEM;
	}
	if (r != 0)
		snprintf(why, WHY_BYTES, "%s", err_text(r));
	return r;
}

/* libfuse says more in the log; what it may have hit most often is asked
 * here, for it gives no errno. */
static int mount_it(struct mount *m, const char *point, char why[WHY_BYTES])
{
	if (access("/dev/fuse", F_OK) != 0) {
		snprintf(why, WHY_BYTES, "/dev/fuse: %s (modprobe fuse?)",
			 err_text(errno));
		return ENODEV;
	}
	if (fuse_session_mount(m->se, point) != 0) {
		snprintf(why, WHY_BYTES, "the system refused the mount");
		return EPERM;
	}
	return 0;
}

/* Speak through the descriptor; 0, or an errno with why. */
static int attach(struct mount *m, int fd, char why[WHY_BYTES])
{
	int r = set_nonblocking(fd);

	if (r == 0)
		r = device_attach(m, fd, NULL);
	if (r == 0 && m->point != NULL) {
		r = mountinfo_open(m->point, &m->info);
		if (r == ENOENT) {
			log_warn("%s is not in the list of mounts: a lazy "
				 "unmount will go unnoticed",
				 m->point);
			r = 0;
		}
	}
	if (r != 0)
		snprintf(why, WHY_BYTES, "%s", err_text(r));
	return r;
}

/* The mount of a predecessor, of which nothing is asked: it does not answer. */
static int take_over(struct mount *m, const struct mount_cfg *cfg,
		     char why[WHY_BYTES])
{
	m->point = mem_strdup(cfg->mountpoint);
	if (m->point == NULL) {
		snprintf(why, WHY_BYTES, "%s", err_text(ENOMEM));
		return ENOMEM;
	}
	return attach(m, cfg->held->fuse_fd, why);
}

/* mount.fuse3 may have mounted already and hand over the descriptor. */
static bool is_handed_over(const char *point)
{
	return strncmp(point, "/dev/fd/", strlen("/dev/fd/")) == 0;
}

int mount_new(const struct mount_cfg *cfg, struct mount **out,
	      char why[WHY_BYTES])
{
	struct mount *m;
	int r;

	ASSERT_LOOP(cfg->loop);
	r = make(cfg, &m);
	if (r != 0) {
		snprintf(why, WHY_BYTES, "%s",
			 r == EINVAL ? "a mount option is not known"
				     : err_text(r));
		return r;
	}
	if (m->is_resumed) {
		r = take_over(m, cfg, why);
	} else {
		if (!is_handed_over(cfg->mountpoint))
			r = check_point(cfg->mountpoint, &m->point, why);
		if (r == 0)
			r = mount_it(m, cfg->mountpoint, why);
		if (r == 0)
			r = attach(m, fuse_session_fd(m->se), why);
	}
	if (r != 0) {
		mount_free(m);
		return r;
	}
	if (!cfg->no_latency)
		latency_open(&m->latency, m->loop);
	*out = m;
	return 0;
}

int mount_new_on_fd(const struct mount_cfg *cfg, int fd,
		    const struct fuse_custom_io *io, struct mount **out)
{
	struct mount *m;
	int r = make(cfg, &m);

	if (r != 0)
		goto close_fd;
	r = set_nonblocking(fd);
	if (r == 0)
		r = device_attach(m, fd, io);
	if (r != 0)
		goto free_m;
	*out = m;
	return 0;
free_m:
	mount_free(m);
close_fd:
	close(fd);
	return r;
}

void mount_free(struct mount *m)
{
	if (m == NULL)
		return;
	if (!m->is_over)
		end(m, MOUNT_END_STOPPED);
	loop_task_cancel(m->loop, &m->up_task);
	loop_task_cancel(m->loop, &m->end_task);
	if (m->se != NULL)
		fuse_session_destroy(m->se);
	free(m->in.mem); /* libfuse's malloc, which has no other end */
	library_end(m);
	verify_end(m);
	sleepers_end(m);
	walkahead_end(m);
	warmth_end(m);
	roster_fini(&m->roster);
	hmap_free(m->twins);
	hmap_free(m->by_fh);
	notes_free(m->notes);
	mem_free(m->out);
	mem_free(m->point);
	mem_free(m);
}
