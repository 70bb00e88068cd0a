"""Goal: the same file in three torrents, two of v2 alone with pieces of different
sizes and a hybrid, is fetched once, kept once on disk, and given to others in
all three, also after a restart; and fetched once when all three are read at
once, or pinned at once, or pinned in one and read in others. A hybrid that came
by its magnet link shares what it fetched, too. So does a torrent with pieces
that memory is too small for."""

import os
import subprocess
import threading

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import (make_torrent, start_leech, start_seed, start_seeds,
                   write_blob)

SIZE = 5_000_003
SLACK = 64 << 10
# Who reads goes before a pin, and waits for nobody who pauses: a piece of
# another torrent that is half here then comes to him once more.
MORE = SIZE // 20 + (1 << 20)
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


def by_magnet(lab, hosts, torrents):
    """The hybrid's is fetched, and the others have it."""
    reader, seed, leech = hosts
    hybrid, others = torrents[2], torrents[:2]
    source = start_seed(seed, hybrid)
    mount = Mount(reader, hybrid.magnet(), *(each.file for each in others),
                  name="magnet",
                  options=[f"peer={source.address}", f"port={PORT}"])
    assert_same(content_path(mount, hybrid), hybrid.path)
    source.stop()
    for torrent in others:
        held = lambda name=torrent.name: mount.held(name, name) == SIZE
        until(held, 10, f"{torrent.name} is held")
        assert_same(content_path(mount, torrent), torrent.path)
    for torrent in torrents:
        give(lab, leech, reader, torrent)
    assert mount.stop() == 0
    assert_kept_once(mount)


def down(mount):
    return sum(t["down_bytes"] for t in mount.status()["torrents"])


def read_all(mount, torrents):
    failed = []

    def read(torrent):
        try:
            assert_same(content_path(mount, torrent), torrent.path)
        except Exception as error:      # of a thread: said below
            failed.append(error)
    readers = [threading.Thread(target=read, args=(torrent,))
               for torrent in torrents]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert not failed, failed


def pin_all(mount, torrents):
    for torrent in torrents:
        subprocess.run([program("shoalctl"), "pin",
                        content_path(mount, torrent)], check=True, timeout=20)
    for torrent in torrents:
        held = lambda name=torrent.name: mount.held(name, name) == SIZE
        until(held, 20, f"{torrent.name} is held")


def pin_beside_reads(mount, torrents):
    """A pin in the one with the longest pieces, reads in the others."""
    subprocess.run([program("shoalctl"), "pin",
                    content_path(mount, torrents[1])], check=True, timeout=20)
    read_all(mount, [torrents[0], torrents[2]])
    held = lambda: mount.held(torrents[1].name, torrents[1].name) == SIZE
    until(held, 20, "what is pinned is held")


def read_beside_pins(mount, torrents):
    """The other way round, and the read comes first."""
    reader = threading.Thread(target=read_all, args=(mount, torrents[1:2]))
    reader.start()
    pin_all(mount, [torrents[0], torrents[2]])
    reader.join()


def at_once(lab, hosts, torrents):
    """All three are wanted at the same time, and a seed has all three."""
    reader, seed, _ = hosts
    source = start_seeds(seed, torrents)
    for want in (read_all, pin_all, pin_beside_reads, read_beside_pins):
        mount = Mount(reader, *(each.file for each in torrents),
                      name=want.__name__, options=[f"peer={source.address}"])
        want(mount, torrents)
        assert SIZE <= down(mount) < SIZE + MORE, (want.__name__, down(mount))
        for torrent in torrents:
            assert_same(content_path(mount, torrent), torrent.path)
        assert mount.stop() == 0
        assert_kept_once(mount)
    source.stop()


def long_pieces(lab, hosts):
    """What comes in pieces of 32 MiB the others have, each in its own."""
    reader, seed, _ = hosts
    first = lab.path("c", "long-1")
    size = (36 << 20) + 12345
    write_blob(first, size, 27)
    for name in ("long-2", "long-3"):
        os.link(first, lab.path("c", name))
    torrents = [make_torrent(lab.path("c", f"long-{i}"), kind, piece)
                for i, kind, piece in ((1, "v2", 32 << 20), (2, "v2", 1 << 20),
                                       (3, "hybrid", 16 << 20))]
    source = start_seed(seed, torrents[0])
    mount = Mount(reader, *(each.file for each in torrents), name="long",
                  options=[f"peer={source.address}"])
    assert_same(content_path(mount, torrents[0]), torrents[0].path)
    source.stop()
    for torrent in torrents:
        held = lambda name=torrent.name: mount.held(name, name) == size
        until(held, 10, f"{torrent.name} is held")
        assert_same(content_path(mount, torrent), torrent.path)
    assert size <= down(mount) < size * 1.05, down(mount)
    assert mount.stop() == 0
    assert size <= kept(mount) <= size + SLACK, kept(mount)


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
    assert down(mount) < SIZE * 1.05, down(mount)
    give(lab, leech, reader, torrents[1])
    assert mount.stop() == 0
    assert_kept_once(mount)
    assert sorted(map(len, mount.committed().values())) \
        == sorted(torrent.pieces for torrent in torrents)

    mount = Mount(reader, *sources, options=options)
    for torrent in torrents:
        give(lab, leech, reader, torrent)
    assert mount.stop() == 0
    assert_kept_once(mount)
    by_magnet(lab, (reader, seed, leech), torrents)
    at_once(lab, (reader, seed, leech), torrents)
    long_pieces(lab, (reader, seed, leech))


if __name__ == "__main__":
    run(scenario)
