"""Goal: the same file in three torrents, two of v2 alone with pieces of different
sizes and a hybrid, is fetched once, kept once on disk, and given to others in
all three, also after a restart."""

import os

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_leech, start_seed, write_blob

SIZE = 5_000_003
SLACK = 64 << 10
PORT = 7026
KINDS = {"one": ("v2", 64 << 10), "two": ("v2", 1 << 20),
         "three": ("hybrid", 256 << 10)}


def make_torrents(lab):
    first = lab.path("c", "one")
    write_blob(first, SIZE, 26)
    for name in ("two", "three"):
        os.link(first, lab.path("c", name))
    return [make_torrent(lab.path("c", name), kind, piece)
            for name, (kind, piece) in KINDS.items()]


def kept(mount):
    """What the blobs of the store take on disk, info dictionaries apart."""
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for part in ("files", "torrents")
               for folder, _, names in os.walk(os.path.join(mount.store, part))
               for name in names if name != "info")


def assert_kept_once(mount):
    assert SIZE <= kept(mount) <= SIZE + SLACK, kept(mount)


def give(lab, host, mount_host, torrent):
    into = lab.fresh_dir(f"from-{torrent.name}")
    peer = start_leech(host, torrent, into, "--no-tracker",
                       "--peer", f"{mount_host.ip4}:{PORT}")
    peer.wait("complete", 20)
    peer.stop()
    assert_same(f"{into}/{torrent.name}", torrent.path)


def scenario(lab):
    reader, seed, leech = lab.hosts("reader", "seed", "leech")
    lab.link(reader, seed, leech)
    torrents = make_torrents(lab)
    source = start_seed(seed, torrents[0])
    options = [f"peer={source.address}", f"port={PORT}"]
    sources = [torrent.file for torrent in torrents]
    mount = Mount(reader, *sources, options=options)
    assert_same(content_path(mount, torrents[0]), torrents[0].path)
    source.stop()
    for torrent in torrents[1:]:  # nobody has them but this mount
        held = lambda name=torrent.name: mount.held(name, name) == SIZE
        until(held, 10, f"{torrent.name} is held")
        assert_same(content_path(mount, torrent), torrent.path)
    down = sum(t["down_bytes"] for t in mount.status()["torrents"])
    assert down < SIZE * 1.05, down
    give(lab, leech, reader, torrents[1])
    assert mount.stop() == 0
    assert_kept_once(mount)

    mount = Mount(reader, *sources, options=options)
    for torrent in torrents:
        give(lab, leech, reader, torrent)
    assert mount.stop() == 0
    assert_kept_once(mount)


if __name__ == "__main__":
    run(scenario)
