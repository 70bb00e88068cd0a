"""A quota far below what is read: several readers go twice through a torrent
that has many times the quota, each from a place of its own, and compare every
byte with the original. No rival has a quota.

What is measured: the largest of the sizes that the store had, looked at every
100 ms (blocks of everything below it, as du counts), which must never be above
the quota; MB/s of all readers together; and how often each byte that was read
was fetched (1: nothing was shared, and nothing twice)."""

import time

import trial
from lab import run
from rationed import Watch, read_all
from shoal import Mount, content_path
from stream import MB, bytes_of
from swarm import make_torrent, start_seed, write_blob

DEADLINE = 3600


def parse():
    parser = trial.arguments("quota", __doc__, rounds=1)
    parser.add_argument("--size", type=bytes_of, default="8G",
                        help="of the torrent (%(default)s)")
    parser.add_argument("--quota", type=bytes_of, default="256M")
    parser.add_argument("--piece", type=bytes_of, default="1M")
    parser.add_argument("--kind", choices=("v1", "v2", "hybrid"),
                        default="v1")
    parser.add_argument("--readers", type=int, default=3, metavar="N")
    parser.add_argument("--passes", type=int, default=2, metavar="N")
    options = trial.parsed(parser)
    if options.quick:
        options.size = min(options.size, 1 << 30)
    return options


def measure(reader, source, torrent, options):
    mount = Mount(reader, torrent.file, options=[
        f"quota={options.quota}", f"peer={source.address}"])
    began = time.monotonic()
    with Watch(mount.store) as watch:
        read_all(content_path(mount, torrent), torrent.path, options.readers,
                 options.passes, DEADLINE)
    took = time.monotonic() - began
    status, = mount.status()["torrents"]
    mount.stop()
    read = torrent.size * options.readers * options.passes
    return {"largest": watch.largest() / MB, "samples": len(watch.samples),
            "MBps": read / MB / took, "fetched": status["down_bytes"] / read}


def main(options):
    rows = [trial.Row("largest", "largest MB", "low", "{:.1f}",
                      options.quota / MB),
            trial.Row("samples", "samples", None, "{:.0f}"),
            trial.Row("MBps", "read MB/s", "high", "{:.0f}"),
            trial.Row("fetched", "fetched/read", "low", "{:.2f}")]

    def experiment(lab):
        reader, seed = lab.hosts("reader", "seed")
        lab.link(reader, seed)
        torrent = make_torrent(
            write_blob(lab.path("content", "long.bin"), options.size, 1),
            options.kind, options.piece)
        source = start_seed(seed, torrent, "--no-tracker")
        what = (f"quota: {options.size >> 20} MiB of {options.kind}, pieces of "
                f"{options.piece >> 10} KiB, under {options.quota >> 20} MiB, "
                f"{options.readers} readers, {options.passes} passes")
        found = trial.rounds("quota", ["shoalfs"], options.rounds,
                             lambda name: measure(reader, source, torrent,
                                                  options))
        print(trial.title(options, what))
        print("\n".join(trial.table(rows, trial.medians(found))))
        source.stop()
    run(experiment)


if __name__ == "__main__":
    main(parse())
