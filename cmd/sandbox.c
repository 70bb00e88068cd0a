/* sandbox — see sandbox.h.
 *
 * Happy path
 *   1. A Landlock ruleset is made: every right to files that this kernel knows
 *      is handled, so refused, but for what the rules give back; and abstract
 *      sockets and signals of others are out of reach.
 *   2. no_new_privs, the ruleset and the list are put on the calling thread;
 * each thread of the pools does the same for itself, since the kernel keeps all
 * three by thread and starts none of its own for us.
 *
 * What the system's rules are for: names of servers (/etc, which is a directory
 * and not a list of files, because resolv.conf is replaced by another one when
 * the network changes; what points into /run; libraries of the name service
 * switch), certificates, /proc/self (the list of mounts). All are for reading.
 * EXECUTE is given nowhere.
 *
 * The list (seccomp) is of what is refused and not of what is allowed: a C
 * library that begins to use another call must not break the mount. It has what
 * only somebody who took over the process could want.
 *
 * Failure modes: none of it is needed for the mount to work, so what fails is a
 * line in the log of who calls. A worker that is in a long job (a name that
 * does not resolve) follows when that is over.
 *
 * The kernel's headers may be older than the kernel (Debian 12 has ABI 2 of 7):
 * the constants are here, as in Documentation/userspace-api/landlock.rst. */
#include "cmd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/err.h"
#include "core/log.h"
#include "core/worker.h"

/* ---- Landlock ---- */

enum {
	SYS_LANDLOCK_CREATE = 444,
	SYS_LANDLOCK_ADD = 445,
	SYS_LANDLOCK_RESTRICT = 446,
	LANDLOCK_VERSION = 1 << 0,
	LANDLOCK_PATH_BENEATH = 1,
	/* Before, a file cannot move between directories, whatever we say. */
	LANDLOCK_ABI_MIN = 2,
};

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_ALL_ABI2 = (1 << 14) - 1,
	FS_ALL_ABI3 = (1 << 15) - 1,
	FS_ALL_ABI5 = (1 << 16) - 1, /* and ioctl of devices */
	FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
	FS_LOOK = FS_READ_FILE | FS_READ_DIR,
	FS_CHANGE = FS_LOOK | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE |
		    FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_REFER |
		    FS_TRUNCATE,
	SCOPE_ABSTRACT_SOCKETS = 1 << 0,
	SCOPE_SIGNALS = 1 << 1,
};

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct beneath_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

static const struct {
	const char *path;
	uint64_t rights;
} system_rules[] = {
	{"/etc", FS_LOOK},
	{"/usr", FS_LOOK},
	{"/lib", FS_LOOK},
	{"/lib64", FS_LOOK},
	{"/run/systemd/resolve", FS_LOOK},
	{"/run/NetworkManager", FS_LOOK},
	{"/run/resolvconf", FS_LOOK},
	{"/run/nscd", FS_LOOK},
	{"/proc/self", FS_LOOK},
	{"/sys/devices/system/cpu", FS_LOOK},
	{"/dev/null", FS_READ_FILE | FS_WRITE_FILE},
	{"/dev/random", FS_READ_FILE},
	{"/dev/urandom", FS_READ_FILE},
};

static int landlock_abi(void)
{
	long r = syscall(SYS_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);

	return r < 0 ? 0 : (int)r;
}

static uint64_t handled_fs(int abi)
{
	return abi < 3 ? FS_ALL_ABI2 : abi < 5 ? FS_ALL_ABI3 : FS_ALL_ABI5;
}

static size_t attr_bytes(int abi)
{
	return abi < 4	 ? offsetof(struct ruleset_attr, net)
	       : abi < 6 ? offsetof(struct ruleset_attr, scoped)
			 : sizeof(struct ruleset_attr);
}

/* A path that is not there needs no rule. */
static int add_rule(int ruleset, const char *path, uint64_t rights)
{
	struct beneath_attr rule = {.allowed = rights};
	struct stat st;
	int r = 0;

	if (path == NULL || path[0] == '\0')
		return 0;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : errno;
	if (fstat(rule.parent_fd, &st) != 0)
		r = errno;
	else if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_OF_FILES;
	if (r == 0 && syscall(SYS_LANDLOCK_ADD, ruleset, LANDLOCK_PATH_BENEATH,
			      &rule, 0) != 0)
		r = errno;
	close(rule.parent_fd);
	return r;
}

static int add_rules(int ruleset, const struct sandbox_cfg *cfg, uint64_t fs)
{
	int r = 0;

	for (size_t i = 0;
	     r == 0 && i < sizeof(system_rules) / sizeof(system_rules[0]); i++)
		r = add_rule(ruleset, system_rules[i].path,
			     system_rules[i].rights);
	for (unsigned i = 0; r == 0 && i < cfg->n_read; i++)
		r = add_rule(ruleset, cfg->read[i], FS_LOOK);
	for (unsigned i = 0; r == 0 && i < cfg->n_written; i++)
		r = add_rule(ruleset, cfg->written[i], FS_CHANGE & fs);
	return r;
}

static int make_ruleset(const struct sandbox_cfg *cfg, int abi, int *out)
{
	struct ruleset_attr attr = {
		.fs = handled_fs(abi),
		.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS,
	};
	int r;

	*out = (int)syscall(SYS_LANDLOCK_CREATE, &attr, attr_bytes(abi), 0);
	if (*out < 0)
		return errno;
	r = add_rules(*out, cfg, attr.fs);
	if (r != 0) {
		close(*out);
		*out = -1;
	}
	return r;
}

/* ---- the list ---- */

#if defined(__x86_64__)
static const uint32_t our_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
static const uint32_t our_arch = AUDIT_ARCH_AARCH64;
#else
static const uint32_t our_arch = 0; /* no list */
#endif

enum { X32_BIT = 0x40000000 };

static const uint32_t refused[] = {
	/* other programs */
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	SYS_kcmp,
	/* mounts and namespaces */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	SYS_setns,
	SYS_unshare,
	/* identities */
	SYS_setuid,
	SYS_setgid,
	SYS_setreuid,
	SYS_setregid,
	SYS_setresuid,
	SYS_setresgid,
	SYS_setgroups,
	SYS_setfsuid,
	SYS_setfsgid,
	SYS_capset,
	/* the kernel */
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_syslog,
	SYS_personality,
	/* the machine */
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_quotactl,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_clock_adjtime,
	SYS_adjtimex,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_mknodat,
	SYS_open_by_handle_at,
#if defined(__x86_64__)
	SYS_mknod,
	SYS_ioperm,
	SYS_iopl,
	SYS_modify_ldt,
#endif
};

enum { N_REFUSED = sizeof(refused) / sizeof(refused[0]) };

static uint32_t field(size_t offset)
{
	return (uint32_t)offset;
}

/* Another architecture's numbers, those of x32 too, are refused as well. */
static int put_list(void)
{
	struct sock_filter f[N_REFUSED + 8];
	struct sock_fprog prog = {.filter = f};
	unsigned short n = 0;
	const uint8_t all = (uint8_t)(N_REFUSED + 3);

	_Static_assert(N_REFUSED + 3 < 256, "jumps are of one byte");
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS,
		field(offsetof(struct seccomp_data, arch)));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
					      our_arch, 0, all);
	f[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS,
		field(offsetof(struct seccomp_data, nr)));
	f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
					      X32_BIT, all - 2, 0);
	for (unsigned i = 0; i < N_REFUSED; i++)
		f[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, refused[i],
			(uint8_t)(N_REFUSED - i), 0);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
					      SECCOMP_RET_ALLOW);
	f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
					      SECCOMP_RET_ERRNO | EPERM);
	prog.len = n;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0
		       ? 0
		       : errno;
}

/* ---- both, on a thread ---- */

/* Made by sandbox_enter before any thread looks at it, and never changed. */
static struct {
	int ruleset; /* -1: none */
	bool seccomp;
} chosen;

static int lock_in(void)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;

	if (r == 0 && chosen.ruleset >= 0 &&
	    syscall(SYS_LANDLOCK_RESTRICT, chosen.ruleset, 0) != 0)
		r = errno;
	if (r == 0 && chosen.seccomp)
		r = put_list();
	return r;
}

static void lock_in_worker(void *arg)
{
	int r = lock_in();

	if (r != 0)
		log_warn("a thread stays outside the sandbox: %s", err_text(r));
}

/* The ruleset stays open: threads come later. */
int sandbox_enter(const struct sandbox_cfg *cfg, char text[SANDBOX_TEXT_BYTES])
{
	int abi = landlock_abi(), r = 0;
	size_t n = 0;

	chosen.ruleset = -1;
	chosen.seccomp = cfg->seccomp && our_arch != 0;
	if (abi >= LANDLOCK_ABI_MIN)
		r = make_ruleset(cfg, abi, &chosen.ruleset);
	if (r == 0)
		r = lock_in();
	(void)snprintf(text, SANDBOX_TEXT_BYTES, "off");
	if (r != 0)
		return r;
	for (unsigned i = 0; i < SANDBOX_POOLS_MAX; i++)
		if (cfg->pools[i] != NULL)
			workers_each(cfg->pools[i], lock_in_worker, NULL);
	if (chosen.ruleset >= 0)
		n = (size_t)snprintf(text, SANDBOX_TEXT_BYTES,
				     "Landlock (ABI %d), ", abi);
	(void)snprintf(text + n, SANDBOX_TEXT_BYTES - n, "no new privileges%s",
		       chosen.seccomp ? ", system calls" : "");
	return 0;
}

/* Peers, blobs and FUSE all need descriptors; the soft limit of 1024 is for
 * programs that use select. */
void sandbox_raise_limits(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
		return;
	lim.rlim_cur = lim.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &lim);
}
