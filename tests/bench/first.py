"""The first payload byte of a connection: how long after a seed is connected
to its bytes begin to come, when a reader waits for them already.

The reader reads 64 KiB first; then the tracker, which held its answer back,
names one seed. Links without a delay (lan), or 50 ms and 100 Mbit/s (wan).
Seeds:
  ready       a socket that answers a handshake with everything it has and an
              unchoke in one write, and a request at once: what is left is the
              leecher's own part
  libtorrent  as it serves
  place       shoalctl create --seed
In front of the latter two stands a relay in the same host that reads along;
so all three are timed by the same clock, from accept() on:
  handshake   the leecher's handshake has come
  request     its first request has come
  payload     the first byte of a block has left, plus in wan the round trip,
              of which one half precedes accept() and one follows this byte
  answered    the same, but from when the tracker's answer left
Leechers, each in a fresh process with an empty store:
  shoalfs     a mount
  libtorrent  a reader made of its piece deadlines
  raw         libtorrent as a plain sequential download
Neither libtorrent tries encrypted handshakes, which would cost it a round trip
or a second.

Medians over the rounds, and the worst of them. The goal is that of `ready`
without a delay."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import threading
import time

import trial
from seek import Tracker
from stream import FIRST, LINK, Libtorrent, Shoalfs
from lab import run
from shoal import program
from swarm import (PEER_PORT, Torrent, start_leech, start_seed, tracker_url,
                   write_blob)

SCENARIOS = {"lan": (None, 0), "wan": (LINK, 50)}
RELAY_PORT = 7001
SIZE = 16 << 20
HANDSHAKE = 68
REQUEST, PIECE = 6, 7
PIECE_HEADER = 13
SETTLE_SECONDS = 0.3    # a read that was issued is parked after that
SECONDS = 60


def parse():
    parser = trial.arguments("first", __doc__, rounds=7)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="without a delay or with one (both)")
    parser.add_argument("--seed", choices=SEEDS, action="append",
                        help="this seed (repeatable; all)")
    return trial.parsed(parser)


class Watch:
    """Finds the first message of a kind in one direction of a connection."""

    def __init__(self, kind, room):
        self.kind, self.room = kind, room   # bytes of it that must be there
        self.text, self.at = b"", HANDSHAKE
        self.greeted = self.found = None

    def see(self, data):
        if self.found:
            return
        now = time.monotonic()
        self.text += data
        if len(self.text) >= HANDSHAKE:
            self.greeted = self.greeted or now
        while len(self.text) >= self.at + 4:
            length = int.from_bytes(self.text[self.at:self.at + 4], "big")
            if len(self.text) < self.at + 5:
                return
            if length and self.text[self.at + 4] == self.kind:
                if len(self.text) >= self.at + self.room:
                    self.found = now
                return
            self.at += 4 + length


class Door:
    """Where the leecher connects to. `serve` has one connection; what was
    stamped of the first that came as far as payload is the result."""

    def __init__(self, host):
        self.stamps, self.paid = None, None
        self.done = threading.Event()
        self.socket = host.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host.ip4, RELAY_PORT))
        self.socket.listen()
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return          # stop()
            threading.Thread(target=self.have, args=(line, time.monotonic()),
                             daemon=True).start()

    def have(self, line, accepted):
        asks, gives = Watch(REQUEST, 17), Watch(PIECE, PIECE_HEADER + 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def told():
            if gives.found and self.stamps is None:
                self.stamps = {key: 1000 * (at - accepted) for key, at in (
                    ("handshake", asks.greeted), ("request", asks.found),
                    ("payload", gives.found))}
                self.paid = gives.found
                self.done.set()
        with line, contextlib.suppress(OSError):
            self.serve(line, asks, gives, told)

    def stop(self):
        # close() alone does not wake accept().
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Ready(Door):
    def __init__(self, bench):
        self.torrent = bench.torrent
        super().__init__(bench.seed)

    def serve(self, line, asks, gives, told):
        bits = self.torrent.pieces
        field = ((1 << bits) - 1 << -bits % 8).to_bytes((bits + 7) // 8, "big")
        said, at = b"", HANDSHAKE
        with open(self.torrent.path, "rb") as file:
            while data := line.recv(1 << 16):
                asks.see(data)
                if len(said) < HANDSHAKE <= len(said) + len(data):
                    line.sendall(
                        b"\x13BitTorrent protocol" + bytes(8)
                        + bytes.fromhex(self.torrent.v1) + b"-XX0000-"
                        + os.urandom(12)
                        + (1 + len(field)).to_bytes(4, "big") + b"\5" + field
                        + b"\0\0\0\1\1")
                    gives.see(bytes(HANDSHAKE))
                said += data
                while len(said) >= at + 4:
                    end = at + 4 + int.from_bytes(said[at:at + 4], "big")
                    if len(said) < end:
                        break
                    if end > at + 4 and said[at + 4] == REQUEST:
                        block = self.block(file, said[at + 5:end])
                        gives.see(block)
                        line.sendall(block)
                        told()
                    at = end

    def block(self, file, ask):
        index, begin, length = (int.from_bytes(ask[at:at + 4], "big")
                                for at in (0, 4, 8))
        file.seek(index * self.torrent.piece_size + begin)
        return ((9 + length).to_bytes(4, "big") + b"\7" + ask[:8]
                + file.read(length))


class Relay(Door):
    """Reads along between the leecher and a seed behind it."""

    def __init__(self, bench, proc):
        self.host, self.proc = bench.seed, proc
        super().__init__(bench.seed)

    def serve(self, line, asks, gives, told):
        with self.host.socket() as seed:
            seed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            seed.connect((self.host.ip4, PEER_PORT))
            ways = {line: (seed, asks), seed: (line, gives)}
            while True:
                for source in select.select([line, seed], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    sink, watch = ways[source]
                    watch.see(data)
                    sink.sendall(data)
                    told()

    def stop(self):
        super().stop()
        self.proc.stop()


def libtorrent_seed(bench):
    return Relay(bench, start_seed(bench.seed, bench.torrent, "--no-tracker"))


def place_seed(bench):
    host = bench.seed
    out = os.path.join(host.lab.fresh_dir("place"), "torrent")
    proc = host.start([program("shoalctl"), "create", "--v1", "--nodht", "-o",
                       out, "--seed", "--bind", host.ip4, "--port", PEER_PORT,
                       bench.torrent.path], "place", stdout=subprocess.PIPE)
    proc.stdout.readline()      # the link: it listens
    return Relay(bench, proc)


SEEDS = {"ready": Ready, "libtorrent": libtorrent_seed, "place": place_seed}


class Deadlines(Libtorrent):
    OPTIONS = ("--plain",)


class Raw:
    name = "raw"

    def __init__(self, host, torrent, store):
        self.peer = start_leech(host, torrent, store, "--sequential",
                                "--plain")

    def open(self):
        """It fetches by itself."""

    def read(self, offset, length):
        """It does."""

    def stop(self):
        self.peer.stop()


LEECHERS = {kind.name: kind for kind in (Shoalfs, Deadlines, Raw)}


class Bench:
    """One scenario."""

    def __init__(self, lab, scenario):
        shape, self.trip = SCENARIOS[scenario]
        self.lab = lab
        self.reader, self.tracker, self.seed = hosts = lab.hosts(
            *(f"{name}-{scenario}" for name in ("reader", "tracker", "seed")))
        if shape:
            lab.wan({host: shape for host in hosts})
        else:
            lab.link(*hosts)
        path = lab.path(f"content-{scenario}", "file.bin")
        write_blob(path, SIZE, 1)
        # place makes its own torrent, so this one is made the same way.
        file = lab.path(f"{scenario}.torrent")
        made = self.reader.run([program("shoalctl"), "create", "--v1", "-o", file,
                                "-t", tracker_url(self.tracker), path])
        if made.returncode:
            raise OSError(f"shoalctl create: {made.stderr}")
        self.torrent = Torrent(file, path)

    def one(self, seed, leecher):
        tracker = Tracker(self.tracker, [self.seed], RELAY_PORT)
        tracker.gate.clear()
        store = self.lab.fresh_dir("store")
        door = participant = thread = None
        try:
            door = SEEDS[seed](self)
            participant = LEECHERS[leecher](self.reader, self.torrent, store)
            participant.open()
            thread = threading.Thread(target=read, args=(participant,),
                                      daemon=True)
            thread.start()
            if not tracker.asked.wait(SECONDS):
                raise TimeoutError(f"{leecher} asks no tracker")
            time.sleep(SETTLE_SECONDS)
            tracker.gate.set()
            if not door.done.wait(SECONDS):
                raise TimeoutError(f"no byte for {leecher} from {seed}")
            found = dict(door.stamps)
            found["payload"] += self.trip
            found["answered"] = 1000 * (door.paid - tracker.answered)
            return found
        finally:
            if participant:
                participant.stop()
            if thread:
                thread.join(SECONDS)
            if door:
                door.stop()
            tracker.stop()
            shutil.rmtree(store, ignore_errors=True)


def read(participant):
    # It may be stopped in the middle.
    with contextlib.suppress(OSError, ValueError):
        participant.read(0, FIRST)


def rows(goal):
    return [trial.Row(metric, metric + " ms", "low", "{:.2f}", bound)
            for metric, bound in (("handshake", None), ("request", None),
                                  ("payload", goal), ("worst", None),
                                  ("answered", None))]


def main(options):
    report = {}

    def experiment(lab):
        names = trial.chosen(options, LEECHERS)
        print(trial.title(options, "first"), flush=True)
        for scenario in options.scenario or SCENARIOS:
            bench = Bench(lab, scenario)
            for seed in options.seed or SEEDS:
                label = f"{scenario}, seed {seed}"
                found = trial.rounds(label, names, options.rounds,
                                     lambda name: bench.one(seed, name))
                middle = trial.medians(found)
                for name, figures in middle.items():
                    figures["worst"] = max(found[name]["payload"])
                ours = (scenario, seed) == ("lan", "ready")
                print(f"\n{label}",
                      *trial.table(rows(5 if ours else None), middle),
                      sep="\n", flush=True)
                report[label] = {"rounds": found, "medians": middle}
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
