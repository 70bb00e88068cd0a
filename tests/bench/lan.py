"""The fast network: a whole file over a veth pair between two of this
machine's namespaces, from one seed to one leecher, by size of piece.

Seeds, each holding everything:
  mount       ours: a mount whose store was filled before
  libtorrent  in its settings for seeds
Leechers, each a fresh process with an empty store:
  shoalfs     dd bs=1M through a mount; from dd's start to its end
  libtorrent  a plain sequential download without a reader; from its first
              byte to its last
  ceiling     dd as with ours, through a file system that does only what none
              can do without (ceiling_fetch.c, built on the spot): what this
              machine allows in this run. What it leaves out stands there

Processor seconds are those of the process, all its threads, per GB moved; dd's
own are not in them. The kernel's receive path of a veth runs on the sender's
account in part: all bear it alike. Seed, leecher and dd share the processors.

Goals, on two cores: 600 MB/s from our own seed; from libtorrent's seed what its
own leecher has (the ratio shows it); 1.45 processor seconds a GB leeching, 0.65
seeding. One that is missed is marked with !."""

import subprocess
import time

import trial
from ceiling_fetch import Ceiling
from line import dd
from seed import Mounted, libtorrent_seed
from stream import MB, bytes_of, cpu_seconds, prewarm, read_through
from lab import run
from shoal import Mount, content_path
from swarm import make_torrent, start_leech, start_seed, write_blob

PIECES = ("256K", "1M", "4M", "16M")
SECONDS = 120
SEEDS = {"mount": Mounted, "libtorrent": libtorrent_seed}


def parse():
    parser = trial.arguments("lan", __doc__)
    parser.add_argument("--seed", choices=SEEDS, action="append",
                        help="this seed (repeatable; both)")
    parser.add_argument("--piece", action="append", choices=PIECES,
                        help="size of a piece (repeatable; all)")
    parser.add_argument("--size", type=bytes_of, default="512M",
                        help="of the file (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.size = 128 << 20
    return options


class Bench:
    """One size of piece. Its names are those that the seeds of seed.py ask
    for."""

    def __init__(self, lab, hosts, path, piece):
        self.lab, (self.seed, self.leech) = lab, hosts
        self.torrent = make_torrent(path, piece=bytes_of(piece),
                                    file=lab.path(f"{piece}.torrent"))
        self.store = lab.fresh_dir("seed-store")
        self.warm = None

    def fill(self):
        """The mount's store, once, from libtorrent."""
        source = start_seed(self.leech, self.torrent, "--no-tracker")
        mounted = Mounted(self, f"peer={source.address}")
        with open(content_path(mounted.mount, self.torrent), "rb") as file:
            read_through(file.fileno())
        mounted.stop()
        source.stop()

    def one(self, seed, leecher):
        self.warm = prewarm(3 * self.torrent.size)
        seed = SEEDS[seed](self)
        into = self.lab.fresh_dir("leech")
        try:
            before = cpu_seconds(seed.proc.pid)
            seconds, cpu = LEECHERS[leecher](self, seed, into)
            given = cpu_seconds(seed.proc.pid) - before
        finally:
            seed.stop()
            subprocess.run(["rm", "-rf", into], check=True)
        size = self.torrent.size
        return {"rate": size / MB / seconds, "leech_cpu": cpu / size * 1e9,
                "seed_cpu": given / size * 1e9}


def shoalfs(bench, seed, into):
    mount = Mount(bench.leech, bench.torrent.file, store=into,
                  options=[f"peer={seed.address}"])
    try:
        path = content_path(mount, bench.torrent)
        bench.warm.close()
        before, began = cpu_seconds(mount.proc.pid), time.monotonic()
        dd(path)
        return (time.monotonic() - began,
                cpu_seconds(mount.proc.pid) - before)
    finally:
        mount.stop()


def libtorrent(bench, seed, into):
    peer = start_leech(bench.leech, bench.torrent, into, "--sequential",
                       "--no-tracker", "--plain")
    try:
        bench.warm.close()
        before = cpu_seconds(peer.proc.pid)
        peer.ask(f"peer {seed.address}")
        first = peer.wait("down", SECONDS)
        last = peer.wait("complete", SECONDS)
        left = 1 - first["down"] / bench.torrent.size
        return ((last["seconds"] - first["seconds"]) / left,
                cpu_seconds(peer.proc.pid) - before)
    finally:
        peer.stop()


def ceiling(bench, seed, into):
    point = bench.lab.fresh_dir("ceiling")
    peer = Ceiling(bench.leech, bench.torrent, seed.address, into, point)
    try:
        bench.warm.close()
        before, began = cpu_seconds(peer.proc.pid), time.monotonic()
        dd(peer.path)
        took = time.monotonic() - began
        peer.done()
        return took, cpu_seconds(peer.proc.pid) - before
    finally:
        peer.stop()


LEECHERS = {"shoalfs": shoalfs, "libtorrent": libtorrent, "ceiling": ceiling}


def rows(seed):
    ours = seed == "mount"
    return (trial.Row("rate", "MB/s", "high", "{:.0f}", 600 if ours else None),
            trial.Row("leech_cpu", "leech cpu s/GB", "low", "{:.2f}", 1.45),
            trial.Row("seed_cpu", "seed cpu s/GB", "low", "{:.2f}",
                      0.65 if ours else None))


def main(options):
    report = {}

    def experiment(lab):
        names = trial.chosen(options, LEECHERS)
        hosts = lab.hosts("seed", "leech")
        lab.link(*hosts)
        path = write_blob(lab.path("content", "file.bin"), options.size, 1)
        print(trial.title(options, "lan: unshaped veth, "
                          f"{options.size >> 20} MiB, files in memory"),
              flush=True)
        for piece in options.piece or PIECES:
            bench = Bench(lab, hosts, path, piece)
            if "mount" in (options.seed or SEEDS):
                bench.fill()
            for seed in options.seed or SEEDS:
                label = f"pieces of {piece}, seed {seed}"
                found = trial.rounds(label, names, options.rounds,
                                     lambda name: bench.one(seed, name))
                middle = trial.medians(found)
                print(f"\n{label}", *trial.table(rows(seed), middle),
                      sep="\n", flush=True)
                report[label] = {"rounds": found, "medians": middle}
            subprocess.run(["rm", "-rf", bench.store], check=True)
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
