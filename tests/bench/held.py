"""Reads of held data beside a stream: how long 4 KiB take that the mount has,
while it fetches something else.

Over an unshaped veth pair, from one seed of ours. The first part of the file is
read, and so held. Then one process reads 4 KiB at random places of that part,
2000 times a second, with O_DIRECT, so that each read comes to the daemon;
another reads on behind that part at 110 MB/s.
  shoalfs  as said
  btfs     the same; it reaches no 110 MB/s, its stream is what it can
Controls, of which no daemon can be the reason:
  quiet    shoalfs without the stream
  wake     not 4 KiB of the mount but 4 KiB from another plain process over a
           socket, beside the stream of shoalfs: what waking somebody costs
           on this machine with this load
  waquiet  the same without a stream

A time is that of one call. Readings of a late reader are not made up for. The
goal is p99 <= 1.5 ms; missed, it is marked with !."""

import mmap
import multiprocessing
import os
import random
import shutil
import socket
import subprocess
import time

import trial
from seed import PORT
from seed import Mounted as SeedMount
from seek import Tracker
from stream import MB, Btfs, Shoalfs, bytes_of, prewarm, read_through
from lab import run
from shoal import content_path
from swarm import make_torrent, start_seed, tracker_url, write_blob

PIECES = ("1M", "4M")
GOAL_MS = 1.5
PAGE = 4096
READS_A_SECOND = 2000
STREAM_BPS = 110e6
HELD = 64 << 20
STEP = 1 << 20
fork = multiprocessing.get_context("fork")


def parse():
    parser = trial.arguments("held", __doc__)
    parser.add_argument("--piece", action="append", choices=PIECES,
                        help="size of a piece (repeatable; both)")
    parser.add_argument("--seconds", type=float, default=4,
                        help="of reading, a trial (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.seconds = 1
    return options


class Apart:
    """function(*arguments) in a process of its own."""

    def __init__(self, function, *arguments):
        self.here, there = fork.Pipe()
        self.process = fork.Process(
            target=lambda: there.send(function(*arguments)))
        self.process.start()
        there.close()

    def result(self):
        try:
            return self.here.recv()
        finally:
            self.process.join()

    def end(self):
        self.process.kill()
        self.process.join()


def times_of(call, seconds):
    """The time of each call, READS_A_SECOND of them."""
    took, due = [], time.monotonic()
    over = due + seconds
    while due < over:
        time.sleep(max(due - time.monotonic(), 0))
        began = time.monotonic()
        call()
        ended = time.monotonic()
        took.append(ended - began)
        due = max(due + 1 / READS_A_SECOND, ended)
    return took


def read_held(path, seconds):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    draw = random.Random(7)
    with mmap.mmap(-1, PAGE) as page:
        def call():
            place = draw.randrange(HELD // PAGE) * PAGE
            if os.preadv(fd, [page], place) != PAGE:
                raise OSError("a short read")
        return times_of(call, seconds)


def echo(line):
    while asked := line.recv(PAGE):
        line.sendall(bytes(PAGE - len(asked)) + asked)


def wake(path, seconds):
    ours, theirs = socket.socketpair()
    other = fork.Process(target=echo, args=(theirs,), daemon=True)
    other.start()
    try:
        def call():
            ours.sendall(b"x" * 64)
            left = PAGE
            while left:
                left -= len(ours.recv(left))
        return times_of(call, seconds)
    finally:
        other.kill()
        other.join()


def stream(path, seconds):
    """Bytes read in sequence behind what is held, and in which time."""
    fd, at = os.open(path, os.O_RDONLY), HELD
    began = time.monotonic()
    with mmap.mmap(-1, STEP) as block:
        while time.monotonic() - began < seconds:
            time.sleep(max(began + (at - HELD) / STREAM_BPS
                           - time.monotonic(), 0))
            count = os.preadv(fd, [block], at)
            if count == 0:
                raise OSError("the file is too short")
            at += count
    return at - HELD, time.monotonic() - began


#               mount    probe     with the stream
PARTICIPANTS = {"shoalfs": (Shoalfs, read_held, True),
                "btfs": (Btfs, read_held, True),
                "quiet": (Shoalfs, read_held, False),
                "wake": (Shoalfs, wake, True),
                "waquiet": (Shoalfs, wake, False)}
CONTROLS = ("quiet", "wake", "waquiet")


class Bench:
    """One size of piece."""

    def __init__(self, lab, options, hosts, path, piece):
        self.lab, self.options = lab, options
        self.seed, self.reader = hosts
        self.torrent = make_torrent(path, piece=bytes_of(piece),
                                    file=lab.path(f"{piece}.torrent"),
                                    trackers=[tracker_url(self.seed)])
        self.store = lab.fresh_dir("seed-store")
        source = start_seed(self.reader, self.torrent, "--no-tracker")
        mounted = SeedMount(self, f"peer={source.address}")
        with open(content_path(mounted.mount, self.torrent), "rb") as file:
            read_through(file.fileno())
        mounted.stop()
        source.stop()

    def one(self, name):
        kind, probe, streams = PARTICIPANTS[name]
        prewarm(2 * self.torrent.size)
        store = self.lab.fresh_dir("store")
        tracker = Tracker(self.seed, [self.seed], PORT)
        seed, participant = SeedMount(self), None
        try:
            participant = kind(self.reader, self.torrent, store)
            participant.open()
            for at in range(0, HELD, STEP):
                participant.read(at, STEP)
            return self.measure(participant, probe, streams)
        finally:
            if participant:
                participant.stop()
            seed.stop()
            tracker.stop()
            shutil.rmtree(store, ignore_errors=True)

    def measure(self, participant, probe, streams):
        seconds = self.options.seconds
        parts = [Apart(probe, participant.file, seconds)]
        if streams:
            parts.append(Apart(stream, participant.file, seconds))
        try:
            took = [1000 * t for t in parts[0].result()]
            found = {"p50": trial.percentile(took, 50),
                     "p99": trial.percentile(took, 99),
                     "p999": trial.percentile(took, 99.9)}
            if streams:
                count, lasted = parts[1].result()
                found["stream"] = count / MB / lasted
            return found
        finally:
            for part in parts:
                part.end()


ROWS = (trial.Row("p50", "p50 ms", "low", "{:.3f}"),
        trial.Row("p99", "p99 ms", "low", "{:.3f}", GOAL_MS),
        trial.Row("p999", "p99.9 ms", "low", "{:.3f}"),
        trial.Row("stream", "stream MB/s", "high", "{:.0f}"))


def main(options):
    report = {}

    def experiment(lab):
        names = [name for name in trial.chosen(options, PARTICIPANTS)
                 if name != "btfs" or shutil.which("btfs")]
        hosts = lab.hosts("seed", "reader")
        lab.link(*hosts)
        size = HELD + int(STREAM_BPS * (options.seconds + 1)) // STEP * STEP
        path = write_blob(lab.path("content", "file.bin"), size, 1)
        print(trial.title(options, "held: unshaped veth, "
                          f"{READS_A_SECOND} reads/s for {options.seconds:g} "
                          "s, files in memory"), flush=True)
        for piece in options.piece or PIECES:
            bench = Bench(lab, options, hosts, path, piece)
            label = f"pieces of {piece}"
            found = trial.rounds(label, names, options.rounds, bench.one)
            middle = trial.medians(found)
            print(f"\n{label}", *trial.table(ROWS, middle, controls=CONTROLS),
                  sep="\n", flush=True)
            report[label] = {"rounds": found, "medians": middle}
            subprocess.run(["rm", "-rf", bench.store], check=True)
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
