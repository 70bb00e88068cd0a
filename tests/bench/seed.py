"""Seeding beside libtorrent: what a byte costs the one who gives it.

Seeds, each a fresh process that holds everything:
  place       shoalctl create --seed: files where the user has them
  mount       a mount whose store was filled before
  libtorrent  in its settings for seeds
Leechers, each taking the whole torrent from one seed alone, over a veth pair:
  sink        asks in order, keeps 256 blocks asked for, and throws away what
              comes: the only one that is never the slower end
  libtorrent  a plain download
  shoalfs     a mount that is read through

What is measured: the rate, from the first request (sink), the first byte
(libtorrent) or the first read (shoalfs) to the last byte; and the processor
seconds of the seed's process per GB given. The kernel's receive path of a veth
runs on the sender's account in part: all seeds bear it alike. How long a
leecher takes until it asks (libtorrent tries an encrypted handshake first, and
waits a second when it is hung up on) is not in the rate.

Every figure is the median over rounds; the order of the seeds turns with each
round. Absolute figures of different runs do not compare: seed and leecher
share the processors."""

import argparse
import contextlib
import json
import os
import platform
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from lab import run  # noqa: E402
from shoal import Mount, content_path, program  # noqa: E402
from stream import (MB, RUN_SECONDS, bytes_of, cpu_seconds,  # noqa: E402
                    filesystem, prewarm, read_through)
from swarm import Torrent, start_leech, start_seed, write_blob  # noqa: E402

PORT = 7010
BLOCK = 16 << 10
REQUEST = struct.Struct(">IBIII")
PIECE_HEADER = 13
WINDOW = 256                # blocks that the sink has asked for
UNCHOKE = b"\0\0\0\1\1"


def parse():
    parser = argparse.ArgumentParser(
        prog="bench seed", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bytes_of, default="512M",
                        help="of the file (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--dir", help="where the content and the stores lie, "
                        "on its file system (default: memory)")
    parser.add_argument("--only", action="append", choices=SEEDS,
                        help="this seed (repeatable; all)")
    parser.add_argument("--leecher", action="append", choices=LEECHERS,
                        help="this leecher (repeatable; all)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    top = os.path.dirname(os.path.dirname(HERE))
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(top, "build", "release", "cmd"))
    return options


# ---- the sink ----

def requests(torrent):
    """REQUEST messages for the whole torrent, in order, as bytes."""
    return b"".join(
        REQUEST.pack(13, 6, begin // torrent.piece_size,
                     begin % torrent.piece_size,
                     min(BLOCK, torrent.size - begin))
        for begin in range(0, torrent.size, BLOCK))


class Sink:
    """A connection that speaks just enough BEP 3 to be given everything.
    What is not a block is a few bytes, and does not disturb the count."""

    def __init__(self, host, address, torrent):
        name, port = address.rsplit(":", 1)
        self.torrent = torrent
        self.line = host.socket()
        self.line.settimeout(RUN_SECONDS)
        self.line.connect((name, int(port)))
        self.line.sendall(b"\x13BitTorrent protocol" + bytes(8)
                          + bytes.fromhex(torrent.v1) + b"-XX0000-"
                          + os.urandom(12) + b"\0\0\0\1\2")

    def wait_unchoke(self):
        """The seed says nothing behind it until it is asked."""
        said = b""
        while not said.endswith(UNCHOKE):
            more = self.line.recv(1 << 16)
            if not more:
                raise OSError("the seed has hung up on the sink")
            said += more

    def take(self):
        """Seconds that taking everything takes."""
        asks, room = requests(self.torrent), bytearray(1 << 20)
        total = self.torrent.size + len(asks) // REQUEST.size * PIECE_HEADER
        asked = got = 0
        began = time.monotonic()
        while got < total:
            want = (got // (BLOCK + PIECE_HEADER) + WINDOW) * REQUEST.size
            if asked < min(want, len(asks)):
                self.line.sendall(asks[asked:want])
                asked = want
            count = self.line.recv_into(room)
            if count == 0:
                raise OSError(f"the seed has hung up at {got} of {total}")
            got += count
        return time.monotonic() - began


def sink(bench, seed):
    line = Sink(bench.leech, seed.address, bench.torrent)
    with contextlib.closing(line.line):
        line.wait_unchoke()
        return line.take()


# ---- other leechers ----

def libtorrent_leech(bench, seed):
    into = bench.lab.fresh_dir("leech")
    peer = start_leech(bench.leech, bench.torrent, into, "--no-tracker",
                       "--peer", seed.address)
    try:
        first = peer.wait("down", RUN_SECONDS)
        last = peer.wait("complete", RUN_SECONDS)
        left = 1 - first["down"] / bench.torrent.size
        return (last["seconds"] - first["seconds"]) / left
    finally:
        peer.stop()
        subprocess.run(["rm", "-rf", into], check=True)


def shoalfs_leech(bench, seed):
    store = bench.lab.fresh_dir("leech")
    mount = Mount(bench.leech, bench.torrent.file, store=store,
                  options=[f"peer={seed.address}"])
    try:
        fd = os.open(content_path(mount, bench.torrent), os.O_RDONLY)
        try:
            return read_through(fd)
        finally:
            os.close(fd)
    finally:
        mount.stop()
        subprocess.run(["rm", "-rf", store], check=True)


# ---- seeds ----

class Place:
    def __init__(self, bench):
        host = bench.seed
        self.address = f"{host.ip4}:{PORT}"
        self.proc = host.start(
            [program("shoalctl"), "create", "--v1", "--nodht", "-o",
             os.path.join(bench.lab.fresh_dir("place"), "torrent"), "--seed",
             "--bind", host.ip4, "--port", PORT, bench.torrent.path], "place",
            stdout=subprocess.PIPE)
        link = self.proc.stdout.readline().decode()
        if bench.torrent.v1 not in link:
            raise OSError(f"no link of shoalctl create: {link}")

    def stop(self):
        self.proc.stop()


class Mounted:
    def __init__(self, bench, *options):
        self.address = f"{bench.seed.ip4}:{PORT}"
        self.mount = Mount(bench.seed, bench.torrent.file, store=bench.store,
                           options=[f"port={PORT}", *options])
        self.proc = self.mount.proc

    def stop(self):
        self.mount.stop()


def libtorrent_seed(bench):
    return start_seed(bench.seed, bench.torrent, "--no-tracker")


SEEDS = {"place": Place, "mount": Mounted, "libtorrent": libtorrent_seed}
LEECHERS = {"sink": sink, "libtorrent": libtorrent_leech,
            "shoalfs": shoalfs_leech}


# ---- the bench ----

class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.seed, self.leech = lab.hosts("seed", "leech")
        lab.link(self.seed, self.leech)
        parent = lab.mkdir("content")
        if options.dir:
            parent = os.path.join(options.dir, f"bench-seed-{os.getpid()}")
            os.makedirs(parent)
            lab.defer(subprocess.run, ["rm", "-rf", parent])
        self.store = os.path.join(parent, "store")
        self.parent = parent
        path = write_blob(os.path.join(parent, "seed.bin"), options.size, 1)
        # place makes its own torrent, so this one is made the same way.
        file = lab.path("seed.torrent")
        made = self.seed.run([program("shoalctl"), "create", "--v1", "-o", file,
                              path], RUN_SECONDS)
        if made.returncode:
            raise OSError(f"shoalctl create: {made.stderr}")
        self.torrent = Torrent(file, path)

    def fill(self):
        """The mount's store, once, from libtorrent."""
        source = start_seed(self.leech, self.torrent, "--no-tracker")
        mounted = Mounted(self, f"peer={source.address}")
        with open(content_path(mounted.mount, self.torrent), "rb") as file:
            read_through(file.fileno())
        mounted.stop()
        source.stop()

    def one(self, seed, leecher):
        prewarm(min(2 * self.options.size, 2 << 30))
        seed = SEEDS[seed](self)
        try:
            before = cpu_seconds(seed.proc.pid)
            seconds = LEECHERS[leecher](self, seed)
            cpu = cpu_seconds(seed.proc.pid) - before
        finally:
            seed.stop()
        size = self.torrent.size
        return {"MBps": size / MB / seconds, "cpu_s_per_GB": cpu / size * 1e9}

    def rounds(self, leecher, names):
        """{seed: {metric: [a value per round]}}."""
        found = {name: {} for name in names}
        for turn in range(self.options.rounds):
            at = turn % len(names)
            for name in names[at:] + names[:at]:
                print(f"{leecher} round {turn + 1}: {name}", file=sys.stderr,
                      flush=True)
                for metric, value in self.one(name, leecher).items():
                    found[name].setdefault(metric, []).append(value)
        return found


ROWS = (("MBps", "MB/s", "{:.0f}"), ("cpu_s_per_GB", "cpu s/GB", "{:.2f}"))


def table(leecher, medians):
    """Rows of text: absolute figures, then ours against libtorrent's; above 1
    means that shoalfs is better."""
    names, rival = list(medians), medians.get("libtorrent")
    ours = [name for name in names if name != "libtorrent" and rival]
    yield f"to {leecher:13}" + "".join(f"{name:>12}" for name in names) + (
        "".join(f"{name + ' x lt':>16}" for name in ours))
    for metric, heading, form in ROWS:
        line = f"{heading:16}"
        for name in names:
            line += f"{form.format(medians[name][metric]):>12}"
        for name in ours:
            ratio = medians[name][metric] / rival[metric]
            line += f"{ratio if metric == 'MBps' else 1 / ratio:16.2f}"
        yield line


def main(options):
    report = {}

    def experiment(lab):
        bench = Bench(lab, options)
        names = [name for name in SEEDS
                 if not options.only or name in options.only]
        if "mount" in names:
            bench.fill()
        title = (f"seed: unshaped veth, {options.size >> 20} MiB in "
                 f"{bench.torrent.piece_size >> 10} KiB pieces, "
                 f"{options.rounds} round(s), files on "
                 f"{filesystem(bench.parent)}, {os.cpu_count()} cpus, "
                 f"{platform.release()}")
        print(title, flush=True)
        for leecher in options.leecher or LEECHERS:
            results = bench.rounds(leecher, names)
            medians = {name: {metric: statistics.median(values)
                              for metric, values in found.items()}
                       for name, found in results.items()}
            print("", *table(leecher, medians), sep="\n", flush=True)
            report[leecher] = {"title": title, "rounds": results,
                               "medians": medians}
        if options.json:
            with open(options.json, "w") as out:
                json.dump(report, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
