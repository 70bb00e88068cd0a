"""A mount whose readers all wait for bytes that nobody has: how long `ls`, `stat` and `df`
take meanwhile, how soon a reader is gone after a signal, how soon it can be
frozen, and how long an unmount takes.

64 readers of pages of their own; the signals go to a `cat`, a reader through
mmap and one with O_DIRECT. The goals: 50 ms, 100 ms, 2 s (a wait is made one
that the freezer can stop after one second) and 3 s. Missed, a figure is marked
with !. The programs are those of SHOALFS_BIN, or of --bin. As root."""

import argparse
import importlib
import os
import signal
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lab"), os.path.join(TESTS, "e2e")]

from lab import run, until
from shoal import Mount, content_path
from swarm import make_torrent, write_blob

ends = importlib.import_module("36_signals")


def line(what, seconds, most):
    late = " !" if max(seconds) > most else ""
    print(f"{what:36} {sorted(seconds)[len(seconds) // 2] * 1000:8.1f} ms in "
          f"the middle, {max(seconds) * 1000:8.1f} at most, of "
          f"{len(seconds)}{late}", flush=True)


def timed(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def answers(host, mount, top, path, rounds):
    calls = {"os.listdir": lambda: os.listdir(top),
             "os.stat": lambda: os.stat(path),
             "os.statvfs": lambda: os.statvfs(top),
             "ls -l": lambda: host.run(["ls", "-l", top]),
             "stat": lambda: host.run(["stat", path]),
             "df": lambda: host.run(["df", mount.path]),
             "true, for comparison": lambda: host.run(["true"])}
    for name, call in calls.items():
        line(name, [timed(call) for _ in range(rounds)], 0.05)


def signals(mount, files, rounds):
    for kind, words in ends.READERS.items():
        for number in ends.SIGNALS:
            seconds = []
            for _ in range(rounds):
                reader = ends.start_waiting(mount, words, next(files))
                seconds.append(ends.seconds_to_end(reader, number)[0])
            line(f"{kind}, {number.name}", seconds, 0.1)


def freezing(lab, mount, files, rounds):
    for name, freezer in ends.freezers(lab).items():
        for kind, words in ends.READERS.items():
            seconds = []
            for _ in range(rounds):
                reader = ends.start_waiting(mount, words, next(files))
                freezer.put("cgroup.procs", reader.pid)
                begun = time.monotonic()
                freezer.freeze()
                until(freezer.is_frozen, 20, "frozen")
                seconds.append(time.monotonic() - begun)
                freezer.thaw()
                ends.seconds_to_end(reader, signal.SIGKILL)
            line(f"{kind}, the freezer of cgroup {name}", seconds, 2)


def scenario_of(options):
    def scenario(lab):
        host, = lab.hosts("host")
        n = options.rounds
        for index in range(64 + 20 * n):
            write_blob(lab.path("c", "files", f"{index:04}"), 300_000, index)
        torrent = make_torrent(lab.path("c", "files"))
        mount = Mount(host, torrent.file)
        top = content_path(mount, torrent)
        names = sorted(os.path.join(top, name) for name in os.listdir(top))
        files = iter(names)
        readers = [ends.start_waiting(mount, ["cat"], next(files))
                   for _ in range(64)]
        answers(host, mount, top, names[0], 20 * n)
        signals(mount, files, n)
        freezing(lab, mount, files, min(n, 2))
        line("umount -l, the daemon gone", [timed(
            lambda: (host.run(["fusermount3", "-uz", mount.path]),
                     mount.proc.wait(30)))], 3)
        for reader in readers:
            reader.wait(10)
    return scenario


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default=os.environ.get("SHOALFS_BIN", ""))
    options = parser.parse_args()
    os.environ["SHOALFS_BIN"] = options.bin
    run(scenario_of(options))


if __name__ == "__main__":
    main()
