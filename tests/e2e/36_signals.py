"""Goal: whoever waits for bytes that nobody has can be ended, and can be frozen.
SIGINT, SIGTERM and SIGKILL end a `cat`, a reader through mmap and one with
O_DIRECT; a program that catches SIGINT gets to its handler; the freezer, of
either kind, freezes each of them, as it does before a suspend; and when they
are thawed, and somebody comes who has the bytes, they get them."""

import contextlib
import os
import signal
import time

from lab import run, until
from shoal import Mount, content_path
from swarm import digest, make_torrent, start_seed, write_blob

# Python would catch SIGINT; the first two are left to the kernel.
DEFAULT = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
START = "import hashlib, mmap, os, sys\nfile = os.open(sys.argv[1], {})\n"
MAPPED = START.format(0) + """
pages = mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ)
print(hashlib.sha256(pages).hexdigest())
"""
DIRECT = START.format("os.O_DIRECT") + """
sum, block, at = hashlib.sha256(), mmap.mmap(-1, 65536), 0
while size := os.preadv(file, [block], at):
    sum.update(block[:size])
    at += size
print(sum.hexdigest())
"""
CATCHING = """
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
open(sys.argv[1], "rb").read(1 << 16)
"""
READERS = {"cat": ["cat"],
           "mmap": ["/usr/bin/python3", "-c", DEFAULT + MAPPED],
           "direct": ["/usr/bin/python3", "-c", DEFAULT + DIRECT]}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
FREEZERS = {"v1": ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN",
                   "THAWED", "freezer.state", "FROZEN"),
            "v2": ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0",
                   "cgroup.events", "frozen 1"),
            "v2 alone": ("/sys/fs/cgroup", "cgroup.freeze", "1", "0",
                         "cgroup.events", "frozen 1")}


def waits(path):
    try:
        return os.getxattr(path, "user.shoalfs.why")
    except OSError:
        return None


def start_waiting(mount, words, path, name=None):
    """A reader of `path`, a file nobody else reads, once it waits."""
    reader = mount.host.start([*words, path], name)
    until(lambda: waits(path), 10, "the reader waits")
    return reader


def seconds_to_end(reader, number):
    began = time.monotonic()
    reader.signal(number)
    code = reader.wait(20)
    return time.monotonic() - began, code


class Freezer:
    """A cgroup of its own."""

    def __init__(self, name, at):
        self.folder = os.path.join(at[0], name)
        self.at = at
        os.mkdir(self.folder)

    def put(self, key, value):
        with open(os.path.join(self.folder, key), "w") as file:
            file.write(str(value))

    def is_frozen(self):
        with open(os.path.join(self.folder, self.at[4])) as state:
            return self.at[5] in state.read()

    def freeze(self):
        self.put(self.at[1], self.at[2])

    def thaw(self):
        self.put(self.at[1], self.at[3])

    def remove(self):
        with contextlib.suppress(OSError):
            self.thaw()
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)


def freezers(lab):
    """{name: Freezer} of those that this machine has and lets us use."""
    found = {}
    for name, at in FREEZERS.items():
        with contextlib.suppress(OSError):
            freezer = Freezer(f"shoal-lab-{os.getpid()}-{time.time_ns()}", at)
            lab.defer(freezer.remove)
            if os.path.exists(os.path.join(freezer.folder, at[1])):
                found[name] = freezer
    return found


def signals(mount, files):
    for kind, words in READERS.items():
        for number in SIGNALS:
            reader = start_waiting(mount, words, next(files))
            seconds, code = seconds_to_end(reader, number)
            print(f"{kind}: gone {seconds * 1e3:.0f} ms after {number.name}")
            assert code == -number, code
    path = next(files)
    reader = start_waiting(mount, ["/usr/bin/python3", "-c", CATCHING], path)
    seconds, code = seconds_to_end(reader, signal.SIGINT)
    print(f"a handler: gone {seconds * 1e3:.0f} ms after SIGINT")
    assert code == 7, code
    # What it had asked for is not asked for any more.
    until(lambda: not waits(path), 10, "nobody waits")


def freeze(lab, mount, files):
    """[(reader, path)] of those that were frozen and thawed again."""
    thawed = []
    for name, freezer in freezers(lab).items():
        readers = [(start_waiting(mount, words, path := next(files),
                                  f"{name}-{kind}"), path)
                   for kind, words in READERS.items()]
        for reader, _ in readers:
            freezer.put("cgroup.procs", reader.pid)
        freezer.freeze()
        began = time.monotonic()
        until(freezer.is_frozen, 20, f"frozen by {name}")
        print(f"{name}: frozen after {time.monotonic() - began:.2f} s")
        freezer.thaw()
        thawed += readers
    if not thawed:
        print("no freezer on this machine")
    return thawed


def scenario(lab):
    host, seed = lab.hosts("host", "seed")
    lab.link(host, seed)
    for index in range(20):
        write_blob(lab.path("c", "files", f"{index:02}"), 300_000, index)
    torrent = make_torrent(lab.path("c", "files"))
    mount = Mount(host, torrent.file, options=[f"peer={seed.ip4}:7000"])
    top = content_path(mount, torrent)
    files = iter(sorted(os.path.join(top, name) for name in os.listdir(top)))
    signals(mount, files)
    thawed = freeze(lab, mount, files)
    assert all(reader.running() for reader, _ in thawed)
    source = start_seed(seed, torrent)
    for reader, path in thawed:
        assert reader.wait(30) == 0, reader.text()
        whole = os.path.join(torrent.path, os.path.basename(path))
        if "cat" in reader.name:
            with open(reader.log, "rb") as got, open(whole, "rb") as want:
                assert got.read() == want.read()
        else:
            assert reader.text().strip() == digest(whole)
    assert mount.stop() == 0
    source.stop()


if __name__ == "__main__":
    run(scenario)
