"""Goal: a hybrid torrent (BEP 52) is mounted and read through its v1 side; its
pad files are not shown."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_tree


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 4), "hybrid")
    assert torrent.v1 and torrent.v2
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    assert_same(content_path(mount, torrent), torrent.path)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
