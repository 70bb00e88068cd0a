"""A store whose index is lost: how soon it is there again, and how fast what
lies in it is hashed, beside `openssl speed` on all cores in the same round.

The torrent was fetched once, over veth; the mount is stopped and its index
removed. Then it is started, with nothing on the network.
  listed    from exec until the root lists the torrent
  verified  from then until all its pieces are hashed; of a hybrid until all are
            held, for which the store compares their v1 hashes first
  MB/s      of content, in that time
  openssl   what `openssl speed` would make of the same bytes in hashes, 16 KiB
            at a time, on all cores

The goal: MB/s >= 0.90 of openssl; missed, it is marked with !."""

import glob
import os
import statistics
import time

import create
import trial
from complete import dd
from stream import MB, bytes_of, prewarm
from lab import run, until
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

GOAL = 0.90


def parse():
    parser = trial.arguments("rebuild", __doc__)
    parser.add_argument("--size", type=bytes_of, default="1G",
                        help="of the file (%(default)s)")
    parser.add_argument("--piece", type=bytes_of, default="1M",
                        help="of the torrents (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.size = min(options.size, 256 << 20)
    return options


class Kind:
    """A store that holds a torrent of one kind."""

    def __init__(self, lab, options, kind):
        self.host, seed = lab.hosts(f"{kind}-reader", f"{kind}-seed")
        lab.link(self.host, seed)
        self.kind, self.size = kind, options.size
        self.torrent = make_torrent(
            write_blob(lab.path(kind, "film.bin"), options.size, 7), kind,
            piece=options.piece)
        self.store = lab.path(f"{kind}-store")
        source = start_seed(seed, self.torrent)
        mount = self.mount(self.torrent.file, f"peer={source.address}")
        dd(content_path(mount, self.torrent))
        until(lambda: mount.status()["torrents"][0]["pieces_held"]
              == self.torrent.pieces, 60, "all held")
        assert mount.stop() == 0
        source.stop()

    def mount(self, *words):
        files = [word for word in words if "=" not in word]
        return Mount(self.host, *files, store=self.store,
                     options=[word for word in words if "=" in word])

    def lose_index(self):
        for path in glob.glob(os.path.join(self.store, "index.db*")):
            os.unlink(path)

    def is_verified(self, status):
        return (status["torrents"][0]["pieces_held"] == self.torrent.pieces
                and (self.kind == "hybrid" or
                     status["pieces_verified"] >= self.torrent.pieces))

    def one(self):
        prewarm(2 * self.size)
        self.lose_index()
        begin = time.monotonic()
        mount = self.mount()
        until(lambda: os.path.isdir(mount.at(self.torrent.name)), 60, "listed")
        listed = time.monotonic()
        until(lambda: self.is_verified(mount.status()), 120, "verified")
        verified = time.monotonic()
        status = mount.status()
        assert status["pieces_bad"] == 0
        assert status["torrents"][0]["pieces_held"] == self.torrent.pieces
        assert mount.stop() == 0
        return listed - begin, verified - listed


def openssl(kind):
    """Bytes of content a second, by the hashes that this kind has of them."""
    names = {"v1": ["sha1"], "v2": ["sha256"],
             "hybrid": ["sha1", "sha256"]}[kind]
    cores = len(os.sched_getaffinity(0))
    return 1 / sum(1 / create.openssl(name, cores)[0] for name in names)


def bench(lab, options):
    kinds = [Kind(lab, options, name) for name in ("v1", "v2", "hybrid")]
    print(trial.title(options, f"rebuild, {options.size >> 20} MiB"))
    print(f"{'':8}{'listed s':>10}{'verified s':>12}{'MB/s':>8}{'openssl':>9}"
          f"{'of openssl':>12}")
    found = {}
    for kind in kinds:
        rows = []
        for _ in range(options.rounds):
            listed, verified = kind.one()
            rate = kind.size / verified
            could = openssl(kind.kind)
            rows.append((listed, verified, rate / MB, could / MB,
                         rate / could))
        found[kind.kind] = rows
        listed, verified, rate, could, ratio = map(statistics.median,
                                                   zip(*rows))
        print(f"{kind.kind:8}{listed:10.3f}{verified:12.3f}{rate:8.0f}"
              f"{could:9.0f}{ratio:12.2f}{'' if ratio >= GOAL else '!'}")
    trial.save(options, found)


if __name__ == "__main__":
    OPTIONS = parse()
    run(lambda lab: bench(lab, OPTIONS))
