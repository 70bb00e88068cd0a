"""Goal: a magnet link with nothing but an info-hash and a peer (x.pe) is
enough: the metadata comes from that peer, and its content is read. The next
mount of the same store needs no peer to know the metadata again, and shows the
same inodes and times: a magnet has no creation date, so they are of the day it
was first added."""

import os
import time

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_tree


def identity(root):
    """What must not change of each directory and file."""
    return sorted(
        (os.path.relpath(path, root), found.st_ino, found.st_mtime_ns,
         found.st_ctime_ns, found.st_size)
        for folder, folders, names in os.walk(root)
        for path in [folder, *(os.path.join(folder, n) for n in names)]
        for found in [os.stat(path)])


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    # Enough pieces that the metadata is more than one 16 KiB part.
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 3), piece=16384)
    source = start_seed(seed, torrent)
    link = torrent.magnet(peers=[source.address])
    mount = Mount(reader, link)
    assert_same(content_path(mount, torrent), torrent.path)
    assert mount.status()["torrents"][0]["info_hash"] == torrent.v1
    before = identity(mount.at(torrent.name))
    assert mount.stop() == 0
    source.stop()
    time.sleep(1.1)  # the clock has moved on by a second
    again = Mount(reader, torrent.magnet())
    assert_same(content_path(again, torrent), torrent.path)
    assert identity(again.at(torrent.name)) == before
    assert again.status()["torrents"][0]["pieces_hashed"] == 0
    assert again.stop() == 0


if __name__ == "__main__":
    run(scenario)
