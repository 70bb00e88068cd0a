"""Two torrents read at once through one line: who gets which part of it.

The reader's line takes 100 Mbit/s, round trip 50 ms; the seeds are libtorrent,
each with a line of 100 Mbit/s and one torrent. A reader goes through each of
the two files in order, as fast as it can, from the same moment on.
  1+1   each torrent has one seed
  1+3   the first has one, the second three
Participants
  shoalfs     both torrents in one mount
  mounts      each in a mount of its own
  libtorrent  each a plain sequential download of its own process; that is what
              TCP makes of it
Figures, from two seconds after the start on:
  first   the first torrent's part of all bytes that came to the two readers; 50
          is even
  sum     MB/s of both
In 1+3 a line that is shared out connection by connection gives 25 to the first
torrent. Nobody is right by nature; the issue is whether one torrent's reader
starves beside another's."""

import contextlib
import os
import shutil
import threading
import time

import trial
from stream import LINK, MB, bytes_of, prewarm
from lab import run
from shoal import Mount, content_path
from swarm import (PEER_PORT, make_torrent, start_leech, start_seed,
                   write_blob)

SCENARIOS = {"1+1": (1, 1), "1+3": (1, 3)}
WARM_SECONDS = 2
SIZE = 256 << 20
STEP = 128 << 10


def parse():
    parser = trial.arguments("fair", __doc__, rounds=2)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="seeds of the first and of the second torrent "
                        "(both)")
    parser.add_argument("--piece", type=bytes_of, default="1M",
                        help="size of a piece (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10, metavar="S",
                        help="of reading (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.seconds = 4
    return options


class Through:
    """Reads a file until it is told to end; `got` bytes up to now."""

    def __init__(self, path):
        self.fd, self.got, self.over = os.open(path, os.O_RDONLY), 0, False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.over:
            count = len(os.pread(self.fd, STEP, self.got))
            if count == 0:
                return
            self.got += count

    def count(self):
        return self.got

    def stop(self):
        self.over = True
        self.thread.join()
        os.close(self.fd)


class Bench:
    """One scenario."""

    def __init__(self, lab, options, hosts, scenario, paths):
        self.lab, self.options = lab, options
        self.reader, *seeds = hosts
        first, second = SCENARIOS[scenario]
        self.groups = seeds[:first], seeds[first:first + second]
        self.torrents = [make_torrent(path, piece=options.piece)
                         for path in paths]

    def one(self, name):
        prewarm(2 * SIZE)
        with contextlib.ExitStack() as undo:
            addresses = []
            for hosts, torrent in zip(self.groups, self.torrents):
                peers = [start_seed(host, torrent, "--no-tracker")
                         for host in hosts]
                for peer in peers:
                    undo.callback(peer.stop)
                addresses.append([peer.address for peer in peers])
            counts = {"shoalfs": self.one_mount, "mounts": self.two_mounts,
                      "libtorrent": self.raw}[name](undo, addresses)
            time.sleep(WARM_SECONDS)
            before = [count() for count in counts]
            began = time.monotonic()
            time.sleep(self.options.seconds)
            after = [count() for count in counts]
            seconds = time.monotonic() - began
        came = [b - a for a, b in zip(before, after)]
        return {"first": 100 * came[0] / max(sum(came), 1),
                "sum": sum(came) / MB / seconds}

    def store(self, undo):
        path = self.lab.fresh_dir("store")
        undo.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def readers(self, undo, mounts):
        counts = []
        for mount, torrent in zip(mounts, self.torrents):
            reader = Through(content_path(mount, torrent))
            # It ends with the read that it is in.
            undo.callback(reader.stop)
            counts.append(reader.count)
        return counts

    def one_mount(self, undo, addresses):
        # A peer of the wrong torrent hangs up on us: both are given all.
        links = [torrent.file for torrent in self.torrents]
        mount = Mount(self.reader, *links, store=self.store(undo),
                      options=[f"peer={peer}" for group in addresses
                               for peer in group])
        undo.callback(mount.stop)
        return self.readers(undo, [mount, mount])

    def two_mounts(self, undo, addresses):
        mounts = []
        for at, (torrent, group) in enumerate(zip(self.torrents, addresses)):
            mounts.append(Mount(self.reader, torrent.file, name=f"mnt{at}",
                                store=self.store(undo),
                                options=[f"peer={peer}" for peer in group]))
            undo.callback(mounts[-1].stop)
        return self.readers(undo, mounts)

    def raw(self, undo, addresses):
        counts = []
        for at, (torrent, group) in enumerate(zip(self.torrents, addresses)):
            words = [word for peer in group for word in ("--peer", peer)]
            peer = start_leech(self.reader, torrent, self.store(undo),
                               "--sequential", "--no-tracker", *words,
                               port=PEER_PORT + at)
            undo.callback(peer.stop)
            counts.append(lambda peer=peer: peer.status()["down"])
        return counts


ROWS = (trial.Row("first", "first's part %", None, "{:.1f}"),
        trial.Row("sum", "sum MB/s", "high", "{:.2f}"))
PARTICIPANTS = ("shoalfs", "mounts", "libtorrent")


def main(options):
    report = {}

    def experiment(lab):
        names = trial.chosen(options, PARTICIPANTS)
        scenarios = options.scenario or list(SCENARIOS)
        most = max(sum(SCENARIOS[name]) for name in scenarios)
        hosts = lab.hosts("reader", *(f"seed{n}" for n in range(most)))
        lab.wan({host: LINK for host in hosts})
        paths = [write_blob(lab.path("content", name), SIZE, at)
                 for at, name in enumerate(("first.bin", "second.bin"))]
        print(trial.title(options, "fair: 100 Mbit/s, 50 ms, pieces of "
                          f"{options.piece >> 10} KiB"), flush=True)
        for scenario in scenarios:
            bench = Bench(lab, options, hosts, scenario, paths)
            found = trial.rounds(scenario, names, options.rounds, bench.one)
            middle = trial.medians(found)
            print(f"\n{scenario}",
                  *trial.table(ROWS, middle, controls=("mounts",)),
                  sep="\n", flush=True)
            report[scenario] = {"rounds": found, "medians": middle}
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
