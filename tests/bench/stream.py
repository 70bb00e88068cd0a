"""Streaming beside the rivals: shoalfs, btfs, and a reader made of the piece
deadlines of libtorrent, on the same swarm in the same run.

What is measured, for each participant, each time in a fresh process with an
empty store, fresh seeds and a fresh tracker:
  first     process start to the first 64 KiB of the file
  seek      64 KiB at random places, one place a piece, right after that; a
            seek that was too quick to have asked a peer (wan: less than the
            round trip; lan: 1 ms) found its bytes fetched: it counts as a hit
            and is left out of p50 and p99
  cold      the whole file in order, nothing fetched before
  warm      the same again with the mount's page cache dropped, beside the
            same bytes in a plain file (file systems only)
  cpu       processor seconds of the process per GB of the cold pass
  peak      its peak memory after it; `anon` is the part that is not file pages
`raw` is libtorrent as a plain sequential download over TCP, without a reader:
the rate to beat.

Every figure is the median over rounds; the order of the participants turns
with each round. A ratio above 1 means that shoalfs is better. Absolute
figures of different runs do not compare: this shares its processors with the
seeds and, in the wan scenarios, with the emulator."""

import argparse
import json
import mmap
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))

from lab import run, until  # noqa: E402
from shoal import daemon_of, program  # noqa: E402
from swarm import (PEER_PORT, digest, make_torrent,  # noqa: E402
                   start_leech, start_opentracker, start_seed, tracker_url,
                   write_blob)

MB = 1e6
FIRST = SEEK = 64 * 1024
RUN_SECONDS = 300           # after that a participant is given up

LINK = {"delay": "12.5ms", "up": "100M", "down": "100M"}
#            seeds  every host's link      a seek that is quicker is a hit, s
SCENARIOS = {
    "lan": (1, None, 0.001),
    "wan1": (1, LINK, 0.050),
    "wan4": (4, LINK, 0.050),
}
DEFAULT_SIZE = {"lan": "512M", "wan1": "128M", "wan4": "128M"}


def bytes_of(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units \
        else int(text)


def parse():
    parser = argparse.ArgumentParser(
        prog="bench stream", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="lan: a veth pair. wan1, wan4: one seed or four, "
                        "round trip 50 ms, 100 Mbit/s links (all three)")
    parser.add_argument("--size", type=bytes_of, help="of the file (lan "
                        f"{DEFAULT_SIZE['lan']}, wan {DEFAULT_SIZE['wan1']})")
    parser.add_argument("--piece", type=bytes_of, default="1M",
                        help="size of a piece (%(default)s)")
    parser.add_argument("--seeks", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--dir", help="where all of them store, on its file "
                        "system (default: memory)")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="of shoalfs, btfs, libtorrent, raw (repeatable)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    return options


def cpu_seconds(pid):
    """Of the process, its threads, its children that ended, and its daemon."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    daemon = daemon_of(pid)
    return (sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            + (cpu_seconds(daemon) if daemon else 0))


def memory(pid):
    """(peak of all resident pages, anonymous ones now), in bytes."""
    pid = daemon_of(pid) or pid
    with open(f"/proc/{pid}/status") as status:
        words = dict(line.split(":", 1) for line in status)
    return tuple(int(words[key].split()[0]) * 1024
                 for key in ("VmHWM", "RssAnon"))


def prewarm(size):
    """Touch memory, and hold it until what this gives is closed: on a guest
    whose memory is ballooned the first touch of a page costs a visit to the
    host, and the first one would pay. The host takes back what is free within
    a second or two, so who measures the program and not the host closes it
    right before the measured time begins."""
    pages = mmap.mmap(-1, size)
    for offset in range(0, size, mmap.PAGESIZE):
        pages[offset] = 1
    return pages


class Mounted:
    """A rival that is a file system."""

    def __init__(self, host, torrent, store):
        self.path = os.path.join(store, "mnt")
        os.makedirs(self.path)
        self.lab, self.fd = host.lab, None
        self.file = os.path.join(self.path, *self.inside(torrent))
        self.proc = host.start(self.command(torrent, store), self.name)

    def open(self):
        def opened():
            if not self.proc.running():
                raise OSError(f"{self.name} ended: {self.proc.text()}")
            try:
                return os.open(self.file, os.O_RDONLY)
            except OSError:
                return None
        self.fd = until(opened, 60, f"{self.name} shows the file")

    def read(self, offset, length):
        began = time.monotonic()
        if len(os.pread(self.fd, length, offset)) != length:
            raise OSError(f"{self.name}: a short read at {offset}")
        return time.monotonic() - began

    def sequential(self):
        return read_through(self.fd)

    def warm(self):
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return read_through(self.fd)

    def verify(self, want):
        if digest(self.file) != want:
            raise AssertionError(f"{self.name}: wrong bytes")

    def stop(self):
        if self.fd is not None:
            os.close(self.fd)
        subprocess.run(["fusermount3", "-uz", self.path], check=False)
        self.proc.stop()


class Shoalfs(Mounted):
    name = "shoalfs"

    @staticmethod
    def inside(torrent):
        return torrent.name, torrent.name

    def command(self, torrent, store):
        return [program(), "-f", "-o", f"store={store}/store,nodht",
                torrent.file, self.path]


class Btfs(Mounted):
    name = "btfs"

    @staticmethod
    def inside(torrent):
        return (torrent.name,)

    def command(self, torrent, store):
        os.mkdir(f"{store}/data")
        return ["btfs", "-f", f"--data-directory={store}/data", torrent.file,
                self.path]


class Libtorrent:
    """lt_reader.py; its files are libtorrent's own, so there is no `warm`."""
    name = "libtorrent"
    AHEAD = 32 << 20
    OPTIONS = ()            # more words for lt_reader.py

    def __init__(self, host, torrent, store):
        self.size = torrent.size
        self.proc = host.start(
            ["/usr/bin/python3", os.path.join(HERE, "lt_reader.py"),
             "--torrent", torrent.file, "--save", store,
             "--listen", f"{host.ip4}:{PEER_PORT}", *self.OPTIONS],
            self.name,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.file = os.path.join(store, torrent.name)

    def ask(self, command):
        self.proc.stdin.write(command.encode() + b"\n")
        self.proc.stdin.flush()
        line = self.proc.stdout.readline()
        if not line:
            raise OSError(f"libtorrent ended: {self.proc.text()}")
        return json.loads(line)

    def open(self):
        """The first read() waits for all that it needs."""

    def read(self, offset, length):
        return self.ask(f"read {offset} {length}")["seconds"]

    def sequential(self):
        return self.ask(f"sequential {self.AHEAD}")["seconds"]

    def warm(self):
        return None

    def verify(self, want):
        """Its hash checks are not what is measured here."""

    def stop(self):
        self.proc.stop()


PARTICIPANTS = {kind.name: kind for kind in (Shoalfs, Btfs, Libtorrent)}


def read_through(fd):
    """Seconds that reading the whole file in 1 MiB steps takes."""
    size, offset = os.fstat(fd).st_size, 0
    with mmap.mmap(-1, 1 << 20) as block:
        began = time.monotonic()
        while offset < size:
            count = os.preadv(fd, [block], offset)
            if count == 0:
                raise OSError(f"the file ends at {offset} of {size}")
            offset += count
        return time.monotonic() - began


class Swarm:
    """Fresh seeds and a fresh tracker, for one run of one participant."""

    def __init__(self, seeds, torrent):
        self.procs = [start_opentracker(seeds[0], [torrent.v1])]
        self.peers = [start_seed(host, torrent) for host in seeds]

        for peer in self.peers:
            peer.wait("announced", 20)

    def stop(self):
        for peer in self.peers:
            peer.stop()
        for proc in self.procs:
            proc.stop()


class Bench:
    """One scenario in one lab."""

    def __init__(self, lab, options, name, index):
        self.lab, self.options, self.name = lab, options, name
        count, shape, self.hit_seconds = SCENARIOS[name]
        hosts = lab.hosts(f"reader{index}",
                          *(f"seed{index}{n}" for n in range(count)))
        self.reader, self.seeds = hosts[0], hosts[1:]
        if shape:
            lab.wan({host: shape for host in hosts})
        else:
            lab.link(*hosts)
        self.size = options.size or bytes_of(DEFAULT_SIZE[name])
        path = write_blob(lab.path(name, f"{name}.bin"), self.size, 1)
        self.torrent = make_torrent(path, piece=options.piece,
                                    trackers=[tracker_url(self.seeds[0])])
        self.sha = digest(path)
        self.store_parent = options.dir or lab.path("stores")
        os.makedirs(self.store_parent, exist_ok=True)

    def fresh(self, name):
        """An empty directory for one run of one participant."""
        path = os.path.join(self.store_parent, f"bench-{os.getpid()}-{name}")
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def with_participant(self, kind, measure):
        """measure(participant, its start) amid a fresh swarm."""
        swarm = Swarm(self.seeds, self.torrent)
        store = self.fresh(kind.name)
        participant = None
        try:
            began = time.monotonic()
            participant = kind(self.reader, self.torrent, store)
            # A participant that hangs must not hang the bench: its death
            # ends the read that waits for it.
            guard = threading.Timer(RUN_SECONDS, participant.proc.signal,
                                    [signal.SIGKILL])
            guard.daemon = True
            guard.start()
            try:
                return measure(participant, began)
            finally:
                guard.cancel()
        finally:
            if participant:
                participant.stop()
            swarm.stop()
            shutil.rmtree(store, ignore_errors=True)

    def seeks(self, participant, began):
        participant.open()
        participant.read(0, FIRST)
        first = time.monotonic() - began
        draw = random.Random(7)
        count = self.torrent.pieces - 1
        places = draw.sample(range(1, count), min(self.options.seeks,
                                                  count - 1))
        room = self.torrent.piece_size - 2 * SEEK
        times = [participant.read(
            place * self.torrent.piece_size
            + draw.randrange(max(room, 1)) // 4096 * 4096, SEEK)
            for place in places]
        missed = sorted(t for t in times if t >= self.hit_seconds) or [0]
        return {
            "first_s": first,
            "seek_p50_s": statistics.median(missed),
            "seek_p99_s": missed[min(int(len(missed) * 0.99),
                                     len(missed) - 1)],
            "seek_hits": sum(t < self.hit_seconds for t in times),
        }

    def whole(self, participant, began):
        participant.open()
        before = cpu_seconds(participant.proc.pid)
        seconds = participant.sequential()
        cpu = cpu_seconds(participant.proc.pid) - before
        peak, anon = memory(participant.proc.pid)
        found = {"cold_MBps": self.size / MB / seconds,
                 "cpu_s_per_GB": cpu / (self.size / 1e9),
                 "peak_MB": peak / MB, "anon_MB": anon / MB}
        warm = participant.warm()
        if warm:
            found["warm_MBps"] = self.size / MB / warm
            with open(self.torrent.path, "rb") as native:
                found["native_MBps"] = self.size / MB / read_through(
                    native.fileno())
        participant.verify(self.sha)
        return found

    def raw(self):
        swarm = Swarm(self.seeds, self.torrent)
        into = self.fresh("raw")
        leech = start_leech(self.reader, self.torrent, into, "--sequential",
                            *(word for peer in swarm.peers
                              for word in ("--peer", peer.address)))
        try:
            status = leech.wait("complete", RUN_SECONDS)
            peak, anon = memory(leech.proc.pid)
            return {"cold_MBps": self.size / MB / status["seconds"],
                    "cpu_s_per_GB": status["cpu"] / (self.size / 1e9),
                    "peak_MB": peak / MB, "anon_MB": anon / MB}
        finally:
            leech.stop()
            swarm.stop()
            shutil.rmtree(into, ignore_errors=True)

    def one(self, name):
        prewarm(min(3 * self.size, 2 << 30))
        if name == "raw":
            return self.raw()
        kind = PARTICIPANTS[name]
        found = self.with_participant(kind, self.seeks)
        prewarm(min(3 * self.size, 2 << 30))
        found.update(self.with_participant(kind, self.whole))
        return found

    def rounds(self, names):
        """{participant: {metric: [a value per round]}}."""
        results = {name: {} for name in names}
        for turn in range(self.options.rounds):
            order = names[turn % len(names):] + names[:turn % len(names)]
            for name in order:
                print(f"{self.name} round {turn + 1}: {name}",
                      file=sys.stderr, flush=True)
                for metric, value in self.one(name).items():
                    results[name].setdefault(metric, []).append(value)
        return results


#        metric          heading           better  format
ROWS = (("first_s", "first 64 KiB s", "low", "{:.3f}"),
        ("seek_p50_s", "seek p50 s", "low", "{:.3f}"),
        ("seek_p99_s", "seek p99 s", "low", "{:.3f}"),
        ("seek_hits", "seek hits", None, "{:.0f}"),
        ("cold_MBps", "cold MB/s", "high", "{:.1f}"),
        ("warm_MBps", "warm MB/s", "high", "{:.0f}"),
        ("native_MBps", "plain file MB/s", None, "{:.0f}"),
        ("cpu_s_per_GB", "cpu s/GB", "low", "{:.2f}"),
        ("peak_MB", "peak MB", "low", "{:.0f}"),
        ("anon_MB", "anon MB", "low", "{:.0f}"))


def table(medians):
    """Rows of text: absolute figures, then shoalfs against each rival."""
    names = list(medians)
    rivals = [name for name in names if name != "shoalfs"]
    ours = medians.get("shoalfs", {})
    yield f"{'':16}" + "".join(f"{name:>12}" for name in names) + (
        "".join(f"{'x ' + name:>14}" for name in rivals) if ours else "")
    for metric, heading, better, form in ROWS:
        line = f"{heading:16}"
        for name in names:
            value = medians[name].get(metric)
            line += f"{'-' if value is None else form.format(value):>12}"
        for rival in rivals if ours else ():
            mine, other = ours.get(metric), medians[rival].get(metric)
            if better is None or not mine or not other:
                line += f"{'':14}"
            else:
                ratio = mine / other if better == "high" else other / mine
                line += f"{ratio:14.2f}"
        yield line


def filesystem(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], text=True,
                          capture_output=True, check=True).stdout.strip()


def available(options):
    names = [*PARTICIPANTS, "raw"]
    if not os.access(os.path.join(os.environ["SHOALFS_BIN"], "shoalfs"),
                     os.X_OK):
        print(f"no shoalfs in {os.environ['SHOALFS_BIN']}: rivals only",
              file=sys.stderr)
        names.remove("shoalfs")
    if not shutil.which("btfs"):
        names.remove("btfs")
    return [name for name in names
            if not options.only or name in options.only]


def main(options):
    report = {}

    def experiment(lab):
        names = available(options)
        chosen = options.scenario or list(SCENARIOS)
        for index, scenario in enumerate(chosen):
            bench = Bench(lab, options, scenario, index)
            results = bench.rounds(names)
            medians = {name: {metric: statistics.median(values)
                              for metric, values in found.items()}
                       for name, found in results.items()}
            seeds, shape, _ = SCENARIOS[scenario]
            title = (f"{scenario}: {seeds} seed(s), "
                     f"{'unshaped veth' if not shape else '50 ms, 100 Mbit/s'}"
                     f", {bench.size >> 20} MiB in {options.piece >> 10} KiB "
                     f"pieces, {options.rounds} round(s), "
                     f"stores on {filesystem(bench.store_parent)}, "
                     f"{os.cpu_count()} cpus, {platform.release()}")
            print("\n" + title, *table(medians), sep="\n", flush=True)
            report[scenario] = {"title": title, "rounds": results,
                                "medians": medians}
        if options.json:
            with open(options.json, "w") as out:
                json.dump(report, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
