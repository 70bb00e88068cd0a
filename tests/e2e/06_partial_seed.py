"""Goal: after a part was read, a leecher gets from the mount exactly the
pieces that it holds, and right ones: no more, no fewer."""

import os

from lab import run, until
from shoal import Mount, content_path
from swarm import PIECE, make_torrent, start_leech, start_seed, write_blob

PORT = 7010
SIZE = 64 * PIECE


def scenario(lab):
    reader, seed, leech = lab.hosts("reader", "seed", "leech")
    lab.link(reader, seed, leech)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), SIZE, 6))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[
        f"peer={source.address}", f"port={PORT}"])
    with open(content_path(mount, torrent), "rb", buffering=0) as film:
        for first in (0, 40 * PIECE):
            os.posix_fadvise(film.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            film.seek(first)
            assert len(film.read(3 * PIECE)) == 3 * PIECE
    source.stop()

    def settled():
        """No peer is left, so that what is held stays as it is."""
        now = mount.status()["torrents"][0]
        return now if now["peers_connected"] == 0 else None
    held = until(settled, 20, "the seed is gone")["pieces_held"]
    assert 6 <= held < 64, held

    into = lab.mkdir("got")
    peer = start_leech(leech, torrent, into,
                       "--peer", f"{reader.ip4}:{PORT}")
    until(lambda: len(peer.ask("have")) >= held, 20, "what is held")
    have = set(peer.ask("have"))
    assert len(have) == held and {0, 1, 2, 40, 41, 42} <= have, have
    assert peer.status()["failed"] == 0
    assert mount.status()["torrents"][0]["pieces_held"] == held
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
