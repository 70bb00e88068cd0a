"""Goal: a quota holds, whoever reads. Three readers, far from each other, read
twice a torrent of several times the quota: every byte is right, and no sample
of the store's size is above it; also where the pieces are so long that the
quota has room for four of them. What the kernel reads by itself stays as long as
it does."""

import os

from lab import run, until
from rationed import Watch, read_all
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

MIB = 1 << 20
CASES = (("v1", MIB, 96 * MIB, 32 * MIB),
         ("v2", MIB, 96 * MIB, 32 * MIB),
         ("v1", 16 * MIB, 160 * MIB, 64 * MIB))


def read_under_quota(lab, reader, seed, case):
    kind, piece, size, quota = case
    name = f"{kind}-{piece >> 20}"
    torrent = make_torrent(write_blob(lab.path(name, "long.bin"), size, 34),
                           kind, piece)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name=name, options=[
        f"quota={quota >> 20}M", f"peer={source.address}"])
    with Watch(mount.store) as watch:
        read_all(content_path(mount, torrent), torrent.path, deadline=60)
    assert watch.largest() <= quota, (watch.largest(), quota)
    assert mount.stop() == 0
    source.stop()
    print(f"{name} MiB pieces: at most {watch.largest()} of {quota} bytes in "
          f"{len(watch.samples)} samples")


def open_through(mount, path):
    """Open, and read by the kernel, once it has looked the file up anew."""
    def is_through():
        fd = os.open(path, os.O_RDONLY)
        if mount.status()["passthrough_files"] == 1:
            return fd
        os.close(fd)
        return 0
    return until(is_through, 15, "passed through")


def passed_through(lab, reader, seed):
    """A small file that was whole is open while a long one is read."""
    small, long = (make_torrent(write_blob(lab.path("two", name), size, 35))
                   for name, size in (("small.bin", 8 * MIB),
                                      ("long.bin", 96 * MIB)))
    sources = [start_seed(seed, torrent, port=port)
               for torrent, port in ((small, 7034), (long, 7035))]
    mount = Mount(reader, small.file, long.file, name="two", options=[
        "quota=32M", *(f"peer={source.address}" for source in sources)])
    if mount.status()["passthrough"] != "on":
        print("passed through: not here:", mount.status()["passthrough"])
        mount.stop()
        return
    paths = [content_path(mount, torrent) for torrent in (small, long)]
    read_all(paths[0], small.path, 1, 1)
    until(lambda: mount.held(small.name, small.name) == 8 * MIB, 10, "whole")
    fd = open_through(mount, paths[0])
    with Watch(mount.store) as watch:
        read_all(paths[1], long.path, 3, 1)
        assert mount.held(small.name, small.name) == 8 * MIB
        read_all(paths[0], small.path, 1, 1)
        os.close(fd)
        read_all(paths[1], long.path, 3, 2)
        read_all(paths[0], small.path, 1, 1)
    assert watch.largest() <= 32 * MIB, watch.largest()
    assert mount.stop() == 0
    for source in sources:
        source.stop()


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for case in CASES:
        read_under_quota(lab, reader, seed, case)
    passed_through(lab, reader, seed)


if __name__ == "__main__":
    run(scenario)
