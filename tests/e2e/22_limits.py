"""Goal: a mount with limits takes from libtorrent and from a web server, and
gives to libtorrent, not faster than it may, and every byte is right."""

import time

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (PIECE, make_torrent, start_leech, start_seed, start_web,
                   web_url, write_blob)

PORT = 7010
LIMIT = 3 << 20
SIZE = 64 * PIECE + 5
# An eighth of a second's worth may have been saved up, and the last turn may be
# another one. No machine is so slow that this fails.
SOONEST = SIZE / LIMIT - 0.3


def scenario(lab):
    reader, seed, leech, web = lab.hosts("reader", "seed", "leech", "web")
    lab.link(reader, seed, leech, web)
    film = make_torrent(write_blob(lab.path("c", "film.bin"), SIZE, 1))
    by_web = make_torrent(write_blob(lab.path("c", "song.bin"), SIZE, 2),
                          web_seeds=[web_url(web)])
    source = start_seed(seed, film, "--no-tracker")
    start_web(web, lab.path("c"))
    mount = Mount(reader, film.file, by_web.file, options=[
        f"down_limit={LIMIT >> 20}M", f"up_limit={LIMIT >> 20}M",
        f"peer={source.address}", f"port={PORT}"])

    for torrent in (film, by_web):
        path = content_path(mount, torrent)
        began = time.monotonic()
        assert_same(path, torrent.path)
        took = time.monotonic() - began
        assert took > SOONEST, f"{torrent.name} came in {took:.2f} s"
    source.stop()

    into = lab.mkdir("from-mount")
    began = time.monotonic()
    peer = start_leech(leech, film, into, "--no-tracker", "--peer",
                       f"{reader.ip4}:{PORT}")
    peer.wait("complete", 30)
    took = time.monotonic() - began
    peer.stop()
    assert_same(f"{into}/film.bin", film.path)
    assert took > SOONEST, f"it went in {took:.2f} s"
    for torrent in mount.status()["torrents"]:
        assert torrent["down_bytes"] < SIZE * 1.05, torrent
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
