"""Silent peers: how long one slow seed takes to bring a reader 1 MiB when 64
others, who will never bring a whole block, stand around it.

The seed is libtorrent, limited to 256 KiB/s, so that 1 MiB needs 4 s; it deals
out what it sends every half second. The others, each at an address of its own,
are of the kinds of tests/hostile/crowd.py, in equal parts. A tracker tells of
all of them, in an order that is drawn anew each round.

  alone   the seed and nobody else: what the rest is held against
  cold    the read begins with the process: who is a seed is yet to be found
  warm    the read begins five seconds later

Seconds are those of the read; `ratio` is against the 4 s that the seed's rate
makes, so a warm read, for which the seed has saved up a share, can be below 1.
A goal that is missed is marked with !."""

import argparse
import os
import platform
import random
import statistics
import sys
import time

from stream import TOP
sys.path.insert(0, os.path.join(TOP, "tests", "hostile"))

import crowd  # noqa: E402
from hostile import add_addresses  # noqa: E402
from lab import run  # noqa: E402
from shoal import Mount, content_path  # noqa: E402
from swarm import (PEER_PORT, make_torrent, start_seed,  # noqa: E402
                   write_blob)

RATE, SIZE, SILENT, GOAL = 256 << 10, 1 << 20, 64, 2
#        silent peers, seconds before the read
ROWS = {"alone": (0, 0), "cold": (SILENT, 0), "warm": (SILENT, 5)}


def parse():
    parser = argparse.ArgumentParser(
        prog="bench silent", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", choices=ROWS, action="append")
    parser.add_argument("--kind", choices=crowd.KINDS, action="append",
                        help="of the silent (all)")
    parser.add_argument("--piece", type=int, default=256 << 10,
                        metavar="BYTES")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    options = parser.parse_args()
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    return options


class Bench:
    def __init__(self, lab, options):
        self.lab, self.peers = lab, []
        self.reader, self.friend, rogue = lab.hosts("reader", "friend",
                                                    "rogue")
        lab.link(self.reader, self.friend, rogue)
        tracker = crowd.tell(rogue, lambda: self.peers)
        self.torrent = make_torrent(
            write_blob(lab.path("c", "film.bin"), 2 * SIZE, 4711),
            piece=options.piece, trackers=[f"http://{tracker.name}/announce"])
        self.torrent.raw = bytes.fromhex(self.torrent.v1)
        with open(self.torrent.path, "rb") as content:
            self.torrent.content = content.read()
        self.silent = [server.address for server in crowd.place(
            rogue, self.torrent, add_addresses(rogue, SILENT),
            options.kind or crowd.KINDS)]

    def read(self, mount):
        """Seconds of a read of the first 1 MiB."""
        path = content_path(mount, self.torrent)
        began = time.monotonic()
        with open(path, "rb", buffering=0) as file:
            got = b""
            while len(got) < SIZE:
                got += file.read(SIZE - len(got))
        took = time.monotonic() - began
        if got != self.torrent.content[:SIZE]:
            raise OSError("wrong bytes")
        return took

    def one(self, row, draw):
        """(seconds, bytes that came twice)"""
        count, pause = ROWS[row]
        seed = start_seed(self.friend, self.torrent, "--no-tracker",
                          "--up-limit", str(RATE))
        self.peers = [(self.friend.ip4, PEER_PORT), *self.silent[:count]]
        draw.shuffle(self.peers)
        mount = Mount(self.reader, self.torrent.file, name=row,
                      store=self.lab.fresh_dir("store"))
        try:
            time.sleep(pause)
            took = self.read(mount)
            return took, mount.status()["torrents"][0]["waste_bytes"]
        finally:
            mount.stop()
            seed.stop()


def main(options):
    def experiment(lab):
        bench = Bench(lab, options)
        print(f"{SILENT} silent peers ({', '.join(options.kind or crowd.KINDS)})"
              f"; pieces of {options.piece >> 10} KiB, {options.rounds} "
              f"round(s), {platform.release()}\n"
              f"{'':8}{'median s':>10}{'worst s':>10}{'ratio':>8}"
              f"{'worst':>8}{'waste KiB':>11}", flush=True)
        for row in options.row or ROWS:
            draw = random.Random(7)
            found = [bench.one(row, draw) for _ in range(options.rounds)]
            seconds = [took for took, _ in found]
            ratios = [took * RATE / SIZE
                      for took in (statistics.median(seconds), max(seconds))]
            missed = "!" if ratios[1] > GOAL else ""
            print(f"{row:8}{statistics.median(seconds):10.2f}"
                  f"{max(seconds):10.2f}{ratios[0]:8.2f}{ratios[1]:8.2f}"
                  f"{max(waste for _, waste in found) / 1024:11.0f}{missed}",
                  flush=True)
    run(experiment)


if __name__ == "__main__":
    main(parse())
