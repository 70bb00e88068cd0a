"""Goal: peers find each other through peers. A mount that knows one other,
which holds nothing, reads from the seed that only that one knows; two mounts
meet through libtorrent. With nopex on the one between, and in a private
torrent, a mount meets nobody but whom it was told of."""

import time

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_tree

PORT = 7010


def mount(host, torrent, *peers, options=(), **others):
    return Mount(host, torrent.file, options=[
        f"port={PORT}", *(f"peer={peer}" for peer in peers), *options],
        **others)


def connected(where):
    return where.status()["torrents"][0]["peers_connected"]


def stays_alone(where, seconds=2):
    """Longer than those who gossip need to be told of each other."""
    until(lambda: connected(where) == 1, 20, "the one peer it knows")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert connected(where) == 1
        time.sleep(0.2)


def stop(*mounts):
    for each in mounts:
        assert each.stop() == 0


def scenario(lab):
    reader, middle, far = lab.hosts("reader", "middle", "far")
    lab.link(reader, middle, far)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 19))
    seed = start_seed(far, torrent)
    between = mount(middle, torrent, seed.address, options=["nopex"])
    until(lambda: connected(between) == 1, 20, "the seed")
    alone = mount(reader, torrent, f"{middle.ip4}:{PORT}")
    stays_alone(alone)
    stop(alone, between)

    # Nothing was read so far, so nothing is held.
    between = mount(middle, torrent, seed.address)
    until(lambda: connected(between) == 1, 20, "the seed")
    found = mount(reader, torrent, f"{middle.ip4}:{PORT}")
    assert_same(content_path(found, torrent), torrent.path)
    assert between.status()["torrents"][0]["pieces_held"] == 0
    stop(found, between)

    # A store of its own: a mount that holds all needs no seed.
    through = [mount(host, torrent, seed.address, name="empty")
               for host in (reader, middle)]
    until(lambda: [connected(each) for each in through] == [2, 2], 30,
          "two mounts meet through libtorrent")
    stop(*through)
    seed.stop()

    secret = make_torrent(write_tree(lab.path("p", "tree"), 20), private=True)
    seed = start_seed(far, secret)
    between = mount(middle, secret, seed.address)
    until(lambda: connected(between) == 1, 20, "the seed")
    alone = mount(reader, secret, f"{middle.ip4}:{PORT}")
    stays_alone(alone)
    stop(alone, between)


if __name__ == "__main__":
    run(scenario)
