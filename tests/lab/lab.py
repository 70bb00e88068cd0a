"""The laboratory: hosts, links, peers and mounts for the tests that need a
real kernel, real sockets and other people's programs.

Words
  Lab    one experiment. Everything it makes hangs off it and goes with it.
  Host   a network namespace with its own addresses; processes start in it.
  Proc   a process of the lab, its output in a log of its own.
  Skip   this machine lacks a right or a program; exit code 77, and why.

A test is a function of one argument, handed to run():

    def scenario(lab):
        reader, seed = lab.hosts("reader", "seed")
        lab.link(reader, seed)
        ...
    if __name__ == "__main__":
        run(scenario)

Nothing survives a test, however it ends. run() forks the experiment into its
own process and mount namespaces: when its first process dies, by a failed
assertion, by SIGKILL from ctest or by Ctrl-C, the kernel ends every process of
the experiment, and with them go its network namespaces, its mounts and its
temp directory (a tmpfs). A test that returns is held to a higher standard: a
process, mount or directory that it left behind is a failure, and is named.

Waiting is by condition with a deadline (until), never by a fixed sleep. A slow
build stretches all deadlines by SHOAL_LAB_SLOW. SHOAL_LAB_KEEP=DIR copies the
logs there; a test that fails prints the end of each.

Addresses are those kept for documentation (203.0.113.0/24, 2001:db8::/32), so
that no rule about private networks applies to them.
"""

import contextlib
import ctypes
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
MS_REC, MS_PRIVATE, MNT_DETACH, PR_SET_PDEATHSIG = 0x4000, 1 << 18, 2, 1
SKIPPED = 77
SLOW = float(os.environ.get("SHOAL_LAB_SLOW", "1"))
HERE = os.path.dirname(os.path.abspath(__file__))

_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This machine cannot run the test; the text says what is missing."""


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(kind, target, flags=0, options=""):
    _check(_libc.mount(kind.encode(), target.encode(), kind.encode(),
                       ctypes.c_ulong(flags), options.encode()),
           f"mount {kind} on {target}")


def until(condition, seconds, what):
    """The first true value of condition(), or TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds * SLOW
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds * SLOW:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def need(*programs):
    """The paths of programs; Skip when one is missing."""
    paths = []
    for program in programs:
        path = shutil.which(program, path=os.environ["PATH"]
                            + ":/usr/sbin:/sbin")
        if path is None:
            raise Skip(f"{program} is not installed")
        paths.append(path)
    return paths[0] if len(paths) == 1 else paths


class Proc:
    """A process of the lab. Its exit is asked for by stop()."""

    def __init__(self, name, popen, log):
        self.name, self.popen, self.log = name, popen, log
        self.pid = popen.pid
        self.stdin, self.stdout = popen.stdin, popen.stdout

    def running(self):
        return self.popen.poll() is None

    def wait(self, seconds):
        """The exit code; negative means that signal."""
        return self.popen.wait(seconds * SLOW)

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def stop(self, seconds=5):
        """SIGTERM, and SIGKILL when that does not end it in time."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            return self.wait(30)
        finally:
            for pipe in (self.stdin, self.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def text(self):
        with open(self.log, errors="replace") as log:
            return log.read()


class Host:
    """A network namespace. `ip4` and `ip6` are set when it is linked."""

    def __init__(self, lab, name, index):
        self.lab, self.name, self.index = lab, name, index
        self.ip4 = f"203.0.113.{index}"
        self.ip6 = f"2001:db8:77::{index:x}"
        lab.ip("netns", "add", name)
        self.fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        with self.inside():
            for path, value in (
                    ("ipv4/tcp_no_metrics_save", "1"),
                    ("ipv4/tcp_rmem", "4096 131072 33554432"),
                    ("ipv4/tcp_wmem", "4096 65536 33554432"),
                    ("ipv6/conf/all/accept_ra", "0"),
                    ("ipv6/conf/all/accept_dad", "0"),
                    ("ipv6/conf/default/accept_ra", "0"),
                    ("ipv6/conf/default/accept_dad", "0"),
                    ("ipv6/conf/default/router_solicitations", "0"),
                    ("ipv6/conf/default/addr_gen_mode", "1")):
                self.sysctl(path, value)
        lab.ip("-n", name, "link", "set", "lo", "up")

    @contextlib.contextmanager
    def inside(self):
        """This thread's new sockets belong to the host."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _check(_libc.setns(self.fd, CLONE_NEWNET), f"enter {self.name}")
            yield
        finally:
            _check(_libc.setns(home, CLONE_NEWNET), "leave " + self.name)
            os.close(home)

    def sysctl(self, path, value):
        """Only inside(); a key that this kernel lacks is passed over."""
        with contextlib.suppress(FileNotFoundError):
            with open(f"/proc/sys/net/{path}", "w") as key:
                key.write(value)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.inside():
            return socket.socket(family, kind)

    def _enter(self):
        # In the child, between fork and exec.
        _libc.setns(self.fd, CLONE_NEWNET)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def start(self, argv, name=None, stdin=None, stdout=None, env=None):
        """A Proc; its standard error (and output) go to the log."""
        argv = [str(word) for word in argv]
        name = name or f"{self.name}-{os.path.basename(argv[0])}"
        log = self.lab.log_path(name)
        with open(log, "ab") as out:
            popen = subprocess.Popen(
                argv, preexec_fn=self._enter,
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or out, stderr=out, cwd=self.lab.tmp,
                env=dict(os.environ, **(env or {})))
        proc = Proc(name, popen, log)
        self.lab.procs.append(proc)
        return proc

    def run(self, argv, seconds=30, **options):
        """A CompletedProcess with text in .stdout and .stderr."""
        return subprocess.run(
            [str(word) for word in argv], preexec_fn=self._enter, text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
            timeout=seconds * SLOW, **options)

    def listening(self, port, address=None):
        """True when something accepts on the port."""
        family = socket.AF_INET6 if address and ":" in address \
            else socket.AF_INET
        with self.socket(family) as probe:
            probe.settimeout(1)
            return probe.connect_ex((address or self.ip4, port)) == 0


class Lab:
    """One experiment: hosts, processes, mounts and a temp directory."""

    def __init__(self, tmp):
        self.tmp, self.procs, self._hosts, self._logs = tmp, [], [], []
        self._undo = contextlib.ExitStack()
        os.mkdir(self.path("log"))

    def path(self, *parts):
        return os.path.join(self.tmp, *parts)

    def mkdir(self, *parts):
        path = self.path(*parts)
        os.makedirs(path)
        return path

    def fresh_dir(self, name):
        """A new directory, under a name of its own every time."""
        path = tempfile.mkdtemp(prefix=f"{name}-", dir=self.tmp)
        os.chmod(path, 0o755)
        return path

    def disk(self, name, size):
        """A fresh directory that is a disk of its own, of so many bytes."""
        path = self.fresh_dir(name)
        _mount("tmpfs", path, options=f"size={size},mode=0755")
        self.defer(_libc.umount2, path.encode(), MNT_DETACH)
        return path

    def defer(self, function, *arguments):
        """Called when the lab is taken down, last one first."""
        self._undo.callback(function, *arguments)

    def log_path(self, name):
        count = len(self._logs)
        self._logs.append(self.path("log", f"{count:02d}-{name}.log"))
        return self._logs[-1]

    def ip(self, *words):
        done = subprocess.run([need("ip"), *map(str, words)], text=True,
                              capture_output=True)
        if done.returncode:
            raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def hosts(self, *names):
        for name in names:
            self._hosts.append(Host(self, name, len(self._hosts) + 1))
        return self._hosts[-len(names):]

    def link(self, *hosts):
        """One unshaped network: a veth pair for two, a bridge for more."""
        if len(hosts) == 2:
            self.ip("-n", hosts[0].name, "link", "add", "net0", "type", "veth",
                    "peer", "name", "net0", "netns", hosts[1].name)
        else:
            self.ip("netns", "add", "switch")
            self.ip("-n", "switch", "link", "add", "name", "bridge0",
                    "type", "bridge", "mcast_snooping", "0")
            self.ip("-n", "switch", "link", "set", "bridge0", "up")
            for host in hosts:
                port = f"p{host.index}"
                self.ip("-n", "switch", "link", "add", port, "type", "veth",
                        "peer", "name", "net0", "netns", host.name)
                self.ip("-n", "switch", "link", "set", port,
                        "master", "bridge0", "up")
        for host in hosts:
            self.address(host, "net0")

    def address(self, host, device):
        """Give the host's addresses to a device and bring it up. The routes
        name the congestion control: the sysctl of a namespace takes only what
        the machine allows to everybody, and its default may be any."""
        self.ip("-n", host.name, "link", "set", device, "up")
        for address, bits in ((host.ip4, 24), (host.ip6, 64)):
            self.ip("-n", host.name, "addr", "add", f"{address}/{bits}",
                    "dev", device, "nodad", "noprefixroute")
        for family, net in (("-4", "203.0.113.0/24"),
                            ("-6", "2001:db8:77::/64"),
                            ("-4", "default"), ("-6", "default")):
            self.ip("-n", host.name, family, "route", "add", net,
                    "dev", device, "congctl", "cubic")

    def wan(self, shapes, seed=1):
        """Join hosts by the emulator. `shapes` is {host: {option: value}} with
        the options of `wan --help`; its log has counts once it ended."""
        argv = [self.emulator(), f"--seed={seed}"]
        for host, shape in shapes.items():
            words = [host.name, f"addr={host.ip4}", f"addr={host.ip6}"]
            words += [f"{key}={value}" for key, value in shape.items()]
            argv.append(",".join(words))
        outside = self._hosts[0]
        emulator = outside.start(argv, "wan", stdout=subprocess.PIPE)
        ready = emulator.stdout.readline()
        if ready != b"ready\n":
            emulator.wait(5)
            raise OSError(f"wan did not start: {emulator.text()}")
        for host, shape in shapes.items():
            self.ip("-n", host.name, "link", "set", "wan0", "gso_max_size",
                    _gso_size(shape.get("up")), "txqueuelen", 2000)
            self.address(host, "wan0")
        return emulator

    def emulator(self):
        """The path of `wan`: as built beside the tests, else built here."""
        built = os.path.join(os.environ.get("SHOAL_LAB_BIN", ""), "wan")
        if os.access(built, os.X_OK):
            return built
        here = self.path("wan")
        if not os.path.exists(here):
            subprocess.run([need("cc"), "-O2", "-D_GNU_SOURCE", "-o", here,
                            os.path.join(HERE, "wan.c")], check=True)
        return here

    def mounted(self, path):
        """True when something is mounted at exactly this path."""
        with open("/proc/self/mountinfo") as table:
            return any(line.split()[4] == path for line in table)

    def take_down(self):
        """Undo everything; the names of what had been forgotten by a test
        that deferred or stopped it itself are the answer of leaks()."""
        self._undo.close()
        for proc in reversed(self.procs):
            proc.stop()
        for host in self._hosts:
            os.close(host.fd)
        for path in sorted(glob.glob("/run/netns/*")):
            self.ip("netns", "del", os.path.basename(path))

    def processes(self):
        """{pid: command line} of all that run in the lab, however they were
        started, but for the test itself."""
        found, ours = {}, {proc.pid for proc in self.procs}
        for name in filter(str.isdigit, os.listdir("/proc")):
            if int(name) not in ours:   # those are reaped by their Proc
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(int(name), os.WNOHANG)
            if int(name) != os.getpid() and _alive(int(name)):
                with contextlib.suppress(FileNotFoundError), \
                        open(f"/proc/{name}/cmdline") as line:
                    found[int(name)] = line.read().replace("\0", " ").strip()
        return found

    def leaks(self):
        """What is left of the experiment after take_down()."""
        left = [f"process {pid}: {words}"
                for pid, words in self.processes().items()]
        with open("/proc/self/mountinfo") as table:
            for line in table:
                path = line.split()[4]
                if path.startswith(self.tmp + "/"):
                    left.append(f"mount {path}")
        left += [f"namespace {path}" for path in glob.glob("/run/netns/*")]
        return left

    def complaints(self):
        """What a sanitizer said in any log."""
        return [f"{os.path.basename(path)}: {line.strip()}"
                for path in self._logs
                for line in open(path, errors="replace")
                if "Sanitizer" in line or "runtime error:" in line]

    def show_logs(self, lines=40):
        for path in self._logs:
            with open(path, errors="replace") as log:
                tail = log.readlines()[-lines:]
            if tail:
                print(f"--- {os.path.basename(path)}", file=sys.stderr)
                sys.stderr.writelines(tail)


def _gso_size(rate):
    """The largest packet that occupies a link for at most a millisecond: what
    the kernel hands over whole, other packets have to wait behind."""
    if rate is None:
        return 65536
    units = {"K": 1e3, "M": 1e6, "G": 1e9}
    bits = float(rate[:-1]) * units[rate[-1]] if rate[-1] in units \
        else float(rate)
    return int(min(max(bits / 8 / 1000, 1500), 65536))


def _alive(pid):
    """True for a process that runs, and not for a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _drop_inherited():
    """Let go of other people's FUSE mounts: our copy of one would be seen by
    the test, and would keep it alive when they unmount theirs."""
    with open("/proc/self/mountinfo") as table:
        for line in table:
            fields = line.split()
            if fields[fields.index("-") + 1].startswith("fuse"):
                path = fields[4].encode().decode("unicode_escape")
                _libc.umount2(path.encode("latin-1"), MNT_DETACH)


def _experiment(test, tmp):
    """The first process of the namespaces: set up, test, take down."""
    lab, code = None, 1
    try:
        _check(_libc.unshare(CLONE_NEWNS), "unshare mounts")
        _check(_libc.mount(None, b"/", None,
                           ctypes.c_ulong(MS_REC | MS_PRIVATE), None),
               "make mounts private")
        _drop_inherited()
        _mount("proc", "/proc")
        _mount("tmpfs", tmp, options="mode=0755")
        os.makedirs("/run/netns", exist_ok=True)
        _mount("tmpfs", "/run/netns", options="mode=0755")
        lab = Lab(tmp)
        try:
            test(lab)
            code = 0
        finally:
            lab.take_down()
        left = []

        def nothing_left():
            left[:] = lab.leaks()
            return not left
        with contextlib.suppress(TimeoutError):
            until(nothing_left, 3, "leaks")
        for leak in left:
            print(f"left behind: {leak}", file=sys.stderr)
            code = 1
        for complaint in lab.complaints():
            print(complaint, file=sys.stderr)
            code = 1
    except Skip as reason:
        print(f"skipped: {reason}", file=sys.stderr)
        return SKIPPED
    except BaseException as error:  # SystemExit of a signal included
        code = 1
        traceback.print_exception(error)
    if lab and code:
        lab.show_logs()
    if lab and os.environ.get("SHOAL_LAB_KEEP"):
        shutil.copytree(lab.path("log"), os.environ["SHOAL_LAB_KEEP"],
                        dirs_exist_ok=True)
    return code


def _end(number, frame):
    raise SystemExit(f"ended by signal {number}")


def _sweep(parent):
    """Remove the mount points that labs killed by SIGKILL left: they are
    empty, for what was on them was theirs alone."""
    for path in glob.glob(os.path.join(parent, "shoal-lab-*")):
        pid = path.rsplit("-", 2)[1]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError):
                os.rmdir(path)


def run(test):
    """Run the experiment and exit with its code."""
    if os.geteuid() != 0:
        print("skipped: not root (namespaces)", file=sys.stderr)
        sys.exit(SKIPPED)
    parent = os.environ.get("SHOAL_LAB_TMP", tempfile.gettempdir())
    _sweep(parent)
    tmp = tempfile.mkdtemp(prefix=f"shoal-lab-{os.getpid()}-", dir=parent)
    if _libc.unshare(CLONE_NEWPID) != 0:
        os.rmdir(tmp)
        print("skipped: no right to make namespaces", file=sys.stderr)
        sys.exit(SKIPPED)
    sys.stdout.flush()
    outer = os.getpid()
    child = os.fork()
    if child == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _end)
        code = _experiment(test, tmp)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, frame: os.kill(child, n))
    _, status = os.waitpid(child, 0)
    os.rmdir(tmp)
    if os.WIFSIGNALED(status):
        print(f"the experiment died of signal {os.WTERMSIG(status)} "
              f"(supervisor {outer})", file=sys.stderr)
        sys.exit(1)
    sys.exit(os.WEXITSTATUS(status))
