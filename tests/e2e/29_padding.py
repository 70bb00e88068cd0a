"""Goal: a hybrid of many small files with pieces of 16 MiB, and of 32, costs
about its files when it is read from a libtorrent seed, by payload counted at
both ends, and takes no more room on disk; libtorrent completes it from the
mount alone."""

import os

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_leech, start_seed, write_blob

PORT = 7029
BLOCK = 16 << 10
NUDGE = 1500  # what a reader asks libtorrent for, to hurry its last block
SIZES = [1, 700, BLOCK, BLOCK + 1, 40_000, 100_000, 3, 65_536, 12_345, 300_000]


def cost(size):
    """A file is asked for by blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def make(lab, piece):
    top = lab.path(f"c{piece >> 20}", "small")
    for at, size in enumerate(SIZES):
        write_blob(os.path.join(top, f"d{at % 3}", f"f{at}"), size, at)
    return make_torrent(top, "hybrid", piece)


def on_disk(mount):
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for part in ("files", "torrents")
               for folder, _, names in os.walk(os.path.join(mount.store, part))
               for name in names if name != "info")


def fetch_and_give(lab, hosts, piece):
    reader, seed, leech = hosts
    torrent, most = make(lab, piece), sum(map(cost, SIZES))
    nudges = NUDGE * len(SIZES)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name=f"p{piece >> 20}", options=[
        f"peer={source.address}", f"port={PORT}"])
    assert_same(content_path(mount, torrent), torrent.path)
    given = source.status()["up"]
    source.stop()
    status, = mount.status()["torrents"]
    print(f"{piece >> 20} MiB pieces: {sum(SIZES)} bytes of files,"
          f" {status['down_bytes']} came, {given} were sent,"
          f" {status['waste_bytes']} for nothing")
    assert status["down_bytes"] <= most + nudges, status
    assert given <= most + nudges + BLOCK, given
    assert status["waste_bytes"] <= nudges, status
    assert status["size_bytes"] == sum(SIZES), status
    until(lambda: mount.held(torrent.name) == sum(SIZES), 20, "all is held")
    into = lab.fresh_dir("into")
    peer = start_leech(leech, torrent, into, "--no-tracker",
                       "--peer", f"{reader.ip4}:{PORT}")
    peer.wait("complete", 30)
    peer.stop()
    assert_same(f"{into}/{torrent.name}", torrent.path)
    assert mount.stop() == 0
    assert on_disk(mount) <= most + 4096 * len(SIZES), on_disk(mount)


def scenario(lab):
    hosts = lab.hosts("reader", "seed", "leech")
    lab.link(*hosts)
    for piece in 16 << 20, 32 << 20:
        fetch_and_give(lab, hosts, piece)


if __name__ == "__main__":
    run(scenario)
