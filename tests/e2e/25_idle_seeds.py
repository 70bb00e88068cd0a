"""Goal: seeds are not left when there is nothing to want. A file is read from
libtorrent, another from Transmission, and nothing for a while: the connection
is the same as before, unchoked and with nothing out, so that the first byte of
the next file is one request away; and nobody was dialled again."""

import os
import time

from clients import Libtorrent, Transmission
from lab import run, until
from shoal import Mount, content_path
from swarm import PIECE, make_torrent, write_blob

IDLE = 2


def write_content(root):
    for index, name in enumerate(("one.bin", "two.bin")):
        write_blob(os.path.join(root, name), 16 * PIECE, 70 + index)
    return root


def read_exact(where, torrent, name):
    """Seconds until the first byte; then the rest is compared."""
    began = time.monotonic()
    with open(os.path.join(where, name), "rb", buffering=0) as got, \
            open(os.path.join(torrent.path, name), "rb") as want:
        first = got.read(1)
        took = time.monotonic() - began
        assert first + got.read() == want.read(), name
    return took


def only_peer(mount):
    peers = mount.status()["torrents"][0]["peers"]
    assert len(peers) == 1, peers
    return peers[0]


def keeps(reader, host, torrent, kind):
    seed = kind(host, torrent, torrent.parent)
    seed.wait_checked()
    assert seed.is_complete()
    mount = Mount(reader, "-d", torrent.file, name=kind.__name__,
                  options=[f"peer={seed.address}"])
    where = content_path(mount, torrent)
    first = read_exact(where, torrent, "one.bin")
    until(lambda: only_peer(mount)["requests_out"] == 0, 10, "nothing is out")
    end = time.monotonic() + IDLE
    while time.monotonic() < end:
        peer = only_peer(mount)
        assert not peer["chokes_us"] and peer["requests_out"] == 0, peer
        time.sleep(0.1)
    held = mount.status()["torrents"][0]["pieces_held"]
    assert held < torrent.pieces, "all of it came unasked"
    # One connection all the time: had it ended the log would say so.
    assert f"peer {seed.address} ends" not in mount.proc.text()
    again = read_exact(where, torrent, "two.bin")
    print(f"{kind.__name__}: first byte after {first * 1000:.1f} ms, after "
          f"idling {again * 1000:.1f} ms")
    assert mount.stop() == 0
    seed.stop()


def scenario(lab):
    reader, *hosts = lab.hosts("reader", "libtorrent", "transmission")
    lab.link(reader, *hosts)
    torrent = make_torrent(write_content(lab.path("c", "tree")))
    for host, kind in zip(hosts, (Libtorrent, Transmission)):
        keeps(reader, host, torrent, kind)


if __name__ == "__main__":
    run(scenario)
