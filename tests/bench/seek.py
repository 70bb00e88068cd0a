"""First bytes beside libtorrent: how soon a reader has verified bytes from a
place that nobody fetched, for shoalfs and for a reader made of the piece
deadlines of libtorrent, on equal swarms in the same run.

Links of 100 Mbit/s, round trip 50 ms. Seeds of libtorrent, in its seed mode or
having checked their files, or mounts of ours with everything in their stores
(--seeder); pieces of v1, or of v2, whose goals are those of a reader that need
not wait for a piece (--kind). What is measured, each time in a fresh process with an empty store and fresh seeds:
  first     process start to the first 64 KiB of the file
  answered  the same, counted from when the tracker's answer came in
  seek      64 KiB at random places, one place a piece, right after that
  waste     of all payload that came in, what was thrown away

A seek that took less than a round trip found its bytes fetched: it is a hit
and counts for nothing else. Places whose piece follows one that was read are
not drawn, so that read-ahead is no help. `pinned` is shoalfs with the whole file
pinned from the first bytes on: a reader should not notice. It rests for a
second after each seek; with a longer --pause each seek meets it at full rate.
`stopped`: after the first bytes
three of eight seeds get SIGSTOP.

p50 and p99 are over the seeks of all rounds together, the rest is the median
over rounds; the order of the participants turns with each round. A goal that
is missed is marked with !."""

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from stream import (FIRST, LINK, SEEK, TOP, Libtorrent, Shoalfs, prewarm,
                    read_through)
from lab import run
from shoal import Mount, content_path, program
from swarm import (PEER_PORT, TRACKER_PORT, make_torrent, start_seed,
                   tracker_url, write_blob)

ROUND_TRIP = 0.050
SIZE = 256 << 20
STOPPED = 3
#            seeds  piece      stopped  goals in ms: first after the tracker's
#                                       answer, seek p50, seek p99; waste in %
SCENARIOS = {
    "256K": (4, 256 << 10, 0, (260, 110, 220, None)),
    "1M": (4, 1 << 20, 0, (340, 190, 380, None)),
    "4M": (4, 4 << 20, 0, (620, 480, 960, None)),
    "stopped": (8, 1 << 20, STOPPED, (None, 220, 450, 5)),
    "16M": (4, 16 << 20, 0, (None, None, None, None)),
}
GOALS_V2 = (None, 80, 160, None)
V1_ONLY = ("256K", "1M", "4M", "stopped")
V2_ONLY = ("256K", "1M", "4M", "16M")


def parse():
    parser = argparse.ArgumentParser(
        prog="bench seek", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="four seeds and this size of piece; stopped: 1M, "
                        "three of eight seeds stand still (all but 16M with "
                        "v1, all sizes else)")
    parser.add_argument("--kind", choices=("v1", "v2", "hybrid"), default="v1",
                        help="of torrent (%(default)s)")
    parser.add_argument("--seeder", choices=SEEDERS, default="libtorrent",
                        help="(%(default)s)")
    parser.add_argument("--seeks", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--pause", type=float, default=0, metavar="S",
                        help="before each seek: a pin is at work then")
    parser.add_argument("--only", choices=PARTICIPANTS, action="append",
                        help="(repeatable; shoalfs and libtorrent)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    return options


class Tracker:
    """Answers every announce with the same peers, and knows when it did.
    While `gate` is not set it holds its answers back."""

    def __init__(self, host, peers, port=PEER_PORT):
        compact = b"".join(bytes(map(int, peer.ip4.split(".")))
                           + port.to_bytes(2, "big") for peer in peers)
        body = b"d8:intervali1800e5:peers%d:%se" % (len(compact), compact)
        self.reply = (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                      b"Connection: close\r\n\r\n" % len(body)) + body
        self.answered = None
        self.asked, self.gate = threading.Event(), threading.Event()
        self.gate.set()
        self.socket = host.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host.ip4, TRACKER_PORT))
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return          # stop()
            with line, contextlib.suppress(OSError):
                text = b""
                while b"\r\n\r\n" not in text:
                    part = line.recv(4096)
                    if not part:
                        break
                    text += part
                self.asked.set()
                self.gate.wait()
                # Before it has left: without delay the first byte of a peer
                # may be here before sendall() is back.
                self.answered = self.answered or time.monotonic()
                line.sendall(self.reply)

    def stop(self):
        self.gate.set()
        # close() alone does not wake accept().
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Mounted(Shoalfs):
    def waste(self):
        with open(os.path.join(self.path, ".shoalfs", "status.json")) as text:
            found = json.load(text)["torrents"][0]
        return found["waste_bytes"], found["down_bytes"]


class Pinned(Mounted):
    name = "pinned"

    def pin(self):
        subprocess.run([program("shoalctl"), "-m", self.path, "pin",
                        self.path], check=True, stdout=subprocess.DEVNULL)


class Deadlines(Libtorrent):
    def waste(self):
        found = self.ask("payload")
        return found["waste"], found["down"]


PARTICIPANTS = {kind.name: kind for kind in (Mounted, Pinned, Deadlines)}


class OwnSeed:
    """A mount that has everything."""

    def __init__(self, bench, host):
        store = bench.lab.fresh_dir(f"{host.name}-store")
        shutil.copytree(bench.filled, store, dirs_exist_ok=True)
        self.store = store
        self.mount = Mount(host, bench.torrent.file, store=store,
                           options=[f"port={PEER_PORT}"])
        self.proc = self.mount.proc

    def stop(self):
        self.mount.stop()
        shutil.rmtree(self.store, ignore_errors=True)


def libtorrent_seed(bench, host):
    return start_seed(host, bench.torrent, "--no-tracker")


def checked_seed(bench, host):
    return start_seed(host, bench.torrent, "--no-tracker", "--checked",
                      seconds=60)


SEEDERS = {"libtorrent": libtorrent_seed, "checked": checked_seed,
           "shoalfs": OwnSeed}


class Bench:
    """One scenario in one lab."""

    def __init__(self, lab, options, name, hosts, path):
        count, piece, self.stopped, _ = SCENARIOS[name]
        self.lab, self.options, self.name = lab, options, name
        self.reader, self.tracker, *seeds = hosts
        self.seeds = seeds[:count]
        self.torrent = make_torrent(path, options.kind, piece,
                                    file=lab.path(name),
                                    trackers=[tracker_url(self.tracker)])
        self.filled = None
        if options.seeder == "shoalfs":
            self.fill()

    def fill(self):
        """A store with everything, once; from a seed beside it."""
        self.filled = self.lab.fresh_dir("filled")
        source = start_seed(self.tracker, self.torrent, "--no-tracker")
        mount = Mount(self.seeds[0], self.torrent.file, store=self.filled,
                      options=[f"peer={source.address}"])
        with open(content_path(mount, self.torrent), "rb") as file:
            read_through(file.fileno())
        mount.stop()
        source.stop()

    def places(self):
        """Where to seek to: never behind a piece that was read."""
        draw = random.Random(7)
        size = self.torrent.piece_size
        pieces = range(2, self.torrent.pieces - 1, 2)
        room = max(size - 2 * SEEK, 1)
        return [place * size + draw.randrange(room) // 4096 * 4096
                for place in draw.sample(pieces, min(self.options.seeks,
                                                     len(pieces)))]

    def measure(self, participant, began, tracker, peers):
        participant.open()
        participant.read(0, FIRST)
        first = time.monotonic()
        if isinstance(participant, Pinned):
            participant.pin()
        for peer in peers[:self.stopped]:
            peer.proc.signal(signal.SIGSTOP)
        took = []
        for place in self.places():
            time.sleep(self.options.pause)
            took.append(participant.read(place, SEEK))
        waste, down = participant.waste()
        # The answer was on its way for half a round trip.
        arrived = tracker.answered + ROUND_TRIP / 2
        return {"first": first - began, "answered": first - arrived,
                "seeks": [t for t in took if t >= ROUND_TRIP],
                "hits": sum(t < ROUND_TRIP for t in took),
                "waste": 100 * waste / down}

    def one(self, kind):
        prewarm(SIZE)
        tracker = Tracker(self.tracker, self.seeds)
        store = self.lab.fresh_dir(kind.name)
        participant, peers = None, []
        try:
            for host in self.seeds:
                peers.append(SEEDERS[self.options.seeder](self, host))
            tracker.answered = None     # a seed may have asked
            began = time.monotonic()
            participant = kind(self.reader, self.torrent, store)
            return self.measure(participant, began, tracker, peers)
        finally:
            if participant:
                participant.stop()
            for peer in peers:
                peer.proc.signal(signal.SIGCONT)
                peer.stop()
            tracker.stop()
            shutil.rmtree(store, ignore_errors=True)

    def rounds(self, names):
        """{participant: [what one() found, per round]}."""
        results = {name: [] for name in names}
        for turn in range(self.options.rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                print(f"{self.name} round {turn + 1}: {name}",
                      file=sys.stderr, flush=True)
                results[name].append(self.one(PARTICIPANTS[name]))
        return results


def summary(rounds):
    """The figures of a row: milliseconds, hits, percent."""
    seeks = sorted(itertools.chain.from_iterable(r["seeks"] for r in rounds))
    middle = {key: statistics.median(r[key] for r in rounds)
              for key in ("first", "answered", "hits", "waste")}
    return {"first": 1000 * middle["first"],
            "answered": 1000 * middle["answered"],
            "p50": 1000 * statistics.median(seeks or [0]),
            "p99": 1000 * seeks[int(len(seeks) * 0.99)] if seeks else 0,
            "hits": middle["hits"], "waste": middle["waste"]}


HEADINGS = (f"{'':9}{'':12}{'first ms':>10}{'answered':>10}{'seek p50':>10}"
            f"{'seek p99':>10}{'hits':>6}{'waste %':>9}")


def goals_of(scenario, kind):
    return SCENARIOS[scenario][3] if kind == "v1" else GOALS_V2


def row(scenario, kind, name, found):
    goals = dict(zip(("answered", "p50", "p99", "waste"),
                     goals_of(scenario, kind))) if name == "shoalfs" else {}
    line = f"{scenario:9}{name:12}"
    for key, width, form in (("first", 10, ".0f"), ("answered", 10, ".0f"),
                             ("p50", 10, ".0f"), ("p99", 10, ".0f"),
                             ("hits", 6, ".0f"), ("waste", 9, ".1f")):
        missed = goals.get(key) is not None and found[key] > goals[key]
        line += f"{format(found[key], form) + '!' * missed:>{width}}"
    return line


def goals_row(scenario, kind):
    first, p50, p99, waste = (goal or "" for goal in goals_of(scenario, kind))
    return (f"{scenario:9}{'goal':12}{'':10}{first:>10}{p50:>10}{p99:>10}"
            f"{'':6}{waste:>9}")


def main(options):
    report = {}

    def experiment(lab):
        names = [name for name in PARTICIPANTS
                 if name in (options.only or ("shoalfs", "libtorrent"))]
        chosen = options.scenario or (V1_ONLY if options.kind == "v1"
                                      else V2_ONLY)
        most = max(SCENARIOS[name][0] for name in chosen)
        hosts = lab.hosts("reader", "tracker",
                          *(f"seed{n}" for n in range(most)))
        lab.wan({host: LINK for host in hosts})
        path = write_blob(lab.path("content", "file.bin"), SIZE, 1)
        print(f"{options.kind}, seeds: {options.seeder}, "
              f"100 Mbit/s, 50 ms, {options.rounds} round(s) of "
              f"{options.seeks} seeks, {os.cpu_count()} cpus, "
              f"{platform.release()}\n{HEADINGS}", flush=True)
        for scenario in chosen:
            bench = Bench(lab, options, scenario, hosts, path)
            report[scenario] = bench.rounds(names)
            for name in names:
                print(row(scenario, options.kind, name,
                          summary(report[scenario][name])))
            print(goals_row(scenario, options.kind), flush=True)
        if options.json:
            with open(options.json, "w") as out:
                json.dump(report, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
