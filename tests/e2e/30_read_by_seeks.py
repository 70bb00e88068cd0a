"""Goal: what was only read, a few KiB here and there and in no order, is had: all
of a v2 torrent, and of a hybrid, becomes pieces, and libtorrent completes from
the mount alone, also after a restart."""

import os
import random

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_leech, start_seed, write_blob

PORT = 7030
PIECE = 4 << 20
SIZE = 2 * PIECE + 777_777
READ = 16 << 10


def read_by_seeks(path, want):
    """Every 16 KiB by itself, past the kernel's read-ahead."""
    with open(want, "rb") as file:
        whole = file.read()
    places = list(range(0, SIZE, READ))
    random.Random(30).shuffle(places)
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for at in places:
        assert os.pread(fd, READ, at) == whole[at:at + READ], at
    os.close(fd)


def give(lab, reader, leech, torrent):
    into = lab.fresh_dir("into")
    peer = start_leech(leech, torrent, into, "--no-tracker",
                       "--peer", f"{reader.ip4}:{PORT}")
    peer.wait("complete", 30)
    peer.stop()
    assert_same(f"{into}/{torrent.name}", torrent.path)


def read_and_give(lab, hosts, kind):
    reader, seed, leech = hosts
    torrent = make_torrent(write_blob(lab.path(kind, "seeks.bin"), SIZE, 30),
                           kind, PIECE)
    source = start_seed(seed, torrent)
    options = [f"port={PORT}"]
    mount = Mount(reader, torrent.file, name=kind,
                  options=[*options, f"peer={source.address}"])
    read_by_seeks(content_path(mount, torrent), torrent.path)
    until(lambda: mount.held(torrent.name, torrent.name) == SIZE, 20,
          "all is held")
    source.stop()
    status, = mount.status()["torrents"]
    # What is of no use are nudges: each read may send one.
    assert status["down_bytes"] - status["waste_bytes"] < SIZE * 1.1, status
    give(lab, reader, leech, torrent)
    assert mount.stop() == 0
    pieces, = mount.committed().values()
    assert pieces == set(range(torrent.pieces)), pieces
    again = Mount(reader, torrent.file, name=kind, store=mount.store,
                  options=options)
    assert again.held(torrent.name, torrent.name) == SIZE
    give(lab, reader, leech, torrent)
    assert again.stop() == 0


def scenario(lab):
    hosts = lab.hosts("reader", "seed", "leech")
    lab.link(*hosts)
    for kind in "v2", "hybrid":
        read_and_give(lab, hosts, kind)


if __name__ == "__main__":
    run(scenario)
