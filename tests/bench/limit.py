"""Rate limits beside libtorrent's: do they hold, and from when on?

down: a leecher with a limit, from one libtorrent seed, from eight, and from a
web seed. up: a seed with a limit, to one sink and to eight (bench seed says
what a sink is). shoalfs leeches by dd through its mount and seeds from a store
that was filled before; libtorrent downloads and seeds.

What is measured: bytes on the limited host's link, every 20 ms, from the
moment they begin to flow. Protocol and headers are in them, about a hundredth;
and what a limiter that works by not reading lets into its socket's buffers
before they are full. All as parts of the limit:
  mean    from the second second to the end
  second  the fullest second of all, wherever it begins
  begin   the first quarter of a second, which a limit that saves up nothing
          lets a quarter through in
  spread  (up, eight sinks) what the sink that got most got over the one that
          got least
and cpu, the processor seconds of the limited process per GB moved."""

import argparse
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from lab import run  # noqa: E402
from seed import BLOCK, PIECE_HEADER, REQUEST, WINDOW, Sink, requests  # noqa: E402
from shoal import Mount, content_path  # noqa: E402
from stream import bytes_of, cpu_seconds, read_through  # noqa: E402
from swarm import (make_torrent, start_leech, start_seed, start_web,  # noqa: E402
                   web_url, write_blob)

PORT = 7010
PEERS = 8
SOURCES = ("1", str(PEERS), "web")
EVERY = 0.02                # seconds between two looks at the link
BEGUN = 32 << 10             # bytes that no handshakes have


def parse():
    parser = argparse.ArgumentParser(
        prog="bench limit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=("down", "up"), action="append",
                        help="(both)")
    parser.add_argument("--rate", type=bytes_of, action="append",
                        help="bytes a second (1M, 10M and 50M)")
    parser.add_argument("--with", choices=SOURCES, action="append", dest="ends",
                        help="other ends: so many peers, or a web seed (all)")
    parser.add_argument("--only", action="append",
                        choices=("shoalfs", "libtorrent"))
    parser.add_argument("--seconds", type=float, default=4,
                        help="of each measurement (%(default)s)")
    parser.add_argument("--piece", type=bytes_of, default="256K",
                        help="size of a piece (%(default)s)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    top = os.path.dirname(os.path.dirname(HERE))
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(top, "build", "release", "cmd"))
    options.way = options.way or ["down", "up"]
    options.rate = options.rate or [1 << 20, 10 << 20, 50 << 20]
    options.ends = options.ends or SOURCES
    options.only = options.only or ["shoalfs", "libtorrent"]
    return options


# ---- the link ----

class Link:
    """Bytes that came to a host, or left it, by its interface."""

    def __init__(self, host, way):
        self.host, self.column = host, 0 if way == "down" else 8

    def bytes(self):
        with self.host.inside(), open("/proc/thread-self/net/dev") as table:
            lines = [line.split(":") for line in table if ":" in line]
        return sum(int(counts.split()[self.column])
                   for name, counts in lines if name.strip() != "lo")

    def watch(self, begin, seconds):
        """begin(), then [(seconds since bytes began to flow, bytes)]."""
        base = self.bytes()
        begin()
        deadline = time.monotonic() + 40
        while self.bytes() - base < BEGUN:
            if time.monotonic() > deadline:
                raise TimeoutError("nothing moves")
            time.sleep(0.002)
        began, found = time.monotonic(), []
        while not found or found[-1][0] < seconds:
            found.append((time.monotonic() - began, self.bytes() - base))
            time.sleep(EVERY)
        return found


def at(samples, when):
    """Bytes at the time `when`, between two samples."""
    before = samples[0]
    for now in samples:
        if now[0] >= when:
            span = now[0] - before[0]
            part = (when - before[0]) / span if span else 1
            return before[1] + part * (now[1] - before[1])
        before = now
    return before[1]


def figures(samples, rate):
    end = samples[-1][0]
    last = at(samples, end - 1)
    return {
        "mean": (samples[-1][1] - at(samples, 1)) / (end - 1) / rate,
        "second": max((at(samples, when + 1) - count) / rate
                      for when, count in [*samples, (end - 1, last)]
                      if when + 1 <= end),
        "begin": at(samples, 0.25) / rate,
    }


# ---- up: the other ends ----

class Drain(threading.Thread):
    """A sink that goes round and round; hung up on, it comes again."""

    def __init__(self, *arguments):
        super().__init__()
        self.arguments = arguments
        self.got, self.sink, self.is_over = 0, None, False
        self.start()

    def stop(self):
        self.is_over = True
        if self.sink:
            with contextlib.suppress(OSError):
                self.sink.line.shutdown(socket.SHUT_RDWR)
        self.join()

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError):
                self.sink = Sink(*self.arguments)
                with contextlib.closing(self.sink.line):
                    self.sink.line.settimeout(10)
                    self.sink.wait_unchoke()
                    self.take()
            time.sleep(0.05)

    def take(self):
        line, asks = self.sink.line, requests(self.sink.torrent)
        count, room = len(asks) // REQUEST.size, bytearray(1 << 20)
        asked = got = 0
        while not self.is_over:
            want = got // (BLOCK + PIECE_HEADER) + WINDOW
            while asked < want:
                first = asked % count * REQUEST.size
                last = min(first + (want - asked) * REQUEST.size, len(asks))
                line.sendall(asks[first:last])
                asked += (last - first) // REQUEST.size
            taken = line.recv_into(room)
            if taken == 0:
                return
            got += taken
            self.got += taken


# ---- the bench ----

class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.limited, self.web, *self.others = lab.hosts(
            "limited", "web", *(f"other{n}" for n in range(PEERS)))
        lab.link(self.limited, self.web, *self.others)
        self.size = int(max(options.rate) * (options.seconds + 2)) + (64 << 20)
        path = write_blob(lab.path("content", "film.bin"), self.size, 1)
        self.torrent = make_torrent(path, piece=options.piece)
        self.by_web = make_torrent(path, piece=options.piece,
                                   web_seeds=[web_url(self.web)],
                                   file=lab.path("by_web.torrent"))
        self.store = None

    # A measurement takes what must be stopped after it from `undo`.

    def sources(self, ends, undo):
        """The torrent, and addresses of peers that have all of it."""
        if ends == "web":
            undo.append(start_web(self.web, self.torrent.parent).stop)
            return self.by_web, []
        seeds = [start_seed(host, self.torrent, "--no-tracker")
                 for host in self.others[:int(ends)]]
        undo.extend(seed.stop for seed in seeds)
        return self.torrent, [seed.address for seed in seeds]

    def shoalfs_down(self, ends, rate, undo):
        torrent, peers = self.sources(ends, undo)
        store = self.lab.fresh_dir("leech")
        undo.append(lambda: subprocess.run(["rm", "-rf", store], check=True))
        mount = Mount(self.limited, torrent.file, store=store,
                      options=[f"down_limit={rate}",
                               *(f"peer={peer}" for peer in peers)])
        undo.append(mount.stop)
        path = content_path(mount, torrent)

        def begin():
            # Without read-ahead of dd's own there would be nothing to limit.
            reader = self.limited.start(["dd", f"if={path}", "of=/dev/null",
                                         "bs=1M", "status=none"])
            undo.append(reader.stop)
        return mount.proc, begin

    def libtorrent_down(self, ends, rate, undo):
        torrent, peers = self.sources(ends, undo)
        into = self.lab.fresh_dir("leech")
        undo.append(lambda: subprocess.run(["rm", "-rf", into], check=True))
        leech = start_leech(self.limited, torrent, into, "--no-tracker",
                            "--sequential", "--down-limit", rate)
        undo.append(leech.stop)

        def begin():
            for peer in peers:
                leech.ask(f"peer {peer}")
        return leech.proc, begin

    def fill(self):
        """The store of the mount that seeds, once."""
        seed = start_seed(self.others[0], self.torrent, "--no-tracker")
        self.store = self.lab.path("store")
        mount = Mount(self.limited, self.torrent.file, store=self.store,
                      options=[f"peer={seed.address}"])
        with open(content_path(mount, self.torrent), "rb") as file:
            read_through(file.fileno())
        mount.stop()
        seed.stop()

    def sinks(self, ends, address, undo):
        def begin():
            for host in self.others[:int(ends)]:
                begin.drains.append(Drain(host, address, self.torrent))
                undo.append(begin.drains[-1].stop)
        begin.drains = []
        return begin

    def shoalfs_up(self, ends, rate, undo):
        if self.store is None:
            self.fill()
        mount = Mount(self.limited, self.torrent.file, store=self.store,
                      options=[f"up_limit={rate}", f"port={PORT}"])
        undo.append(mount.stop)
        content_path(mount, self.torrent)
        return mount.proc, self.sinks(ends, f"{self.limited.ip4}:{PORT}", undo)

    def libtorrent_up(self, ends, rate, undo):
        seed = start_seed(self.limited, self.torrent, "--no-tracker",
                          "--up-limit", rate)
        undo.append(seed.stop)
        return seed.proc, self.sinks(ends, seed.address, undo)

    def one(self, name, way, ends, rate):
        print(f"{way} {rate >> 10} KiB/s {ends}: {name}", file=sys.stderr,
              flush=True)
        undo = []
        try:
            proc, begin = getattr(self, f"{name}_{way}")(ends, rate, undo)
            link = Link(self.limited, way)
            before = cpu_seconds(proc.pid)
            samples = link.watch(begin, self.options.seconds + 1)
            found = figures(samples, rate)
            found["cpu"] = ((cpu_seconds(proc.pid) - before)
                            / samples[-1][1] * 1e9)
            got = sorted(drain.got for drain in getattr(begin, "drains", ()))
            if len(got) > 1:
                found["spread"] = got[-1] / max(got[0], 1)
            return found
        finally:
            for step in reversed(undo):
                step()


COLUMNS = ("mean", "second", "begin", "spread", "cpu")


def row(name, found):
    return f"{name:14}" + "".join(
        f"{found[key]:9.3f}" if key in found else f"{'':9}" for key in COLUMNS)


def main(options):
    report = []

    def experiment(lab):
        bench = Bench(lab, options)
        print(f"limit: unshaped veth, {options.seconds:g} s each, "
              f"{options.piece >> 10} KiB pieces, {os.cpu_count()} cpus, "
              f"{platform.release()}")
        print(f"{'':14}" + "".join(f"{key:>9}" for key in COLUMNS), flush=True)
        for way in options.way:
            for rate in options.rate:
                for ends in options.ends:
                    if way == "up" and ends == "web":
                        continue
                    print(f"{way}, {rate / (1 << 20):g} MiB/s, "
                          f"{'a web seed' if ends == 'web' else ends + ' peer(s)'}")
                    for name in options.only:
                        found = bench.one(name, way, ends, rate)
                        print(row(name, found), flush=True)
                        report.append({"way": way, "rate": rate, "with": ends,
                                       "name": name, **found})
        if options.json:
            with open(options.json, "w") as out:
                json.dump(report, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
