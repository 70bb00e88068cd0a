"""The stand-ins work with each other, so that a failure beside shoalfs is
shoalfs's: libtorrent seeds v1, hybrid and v2 to libtorrent over IPv4 and
IPv6; transmission seeds to aria2 by opentracker; content is what its seed says
and torrents are of the kind asked for."""

import os

from lab import run, until
from swarm import (make_torrent, start_aria2, start_leech, start_opentracker,
                   start_seed, start_transmission, tracker_url, tree_digest,
                   write_tree)


def sum_of_sizes(tree):
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(tree) for name in names)


def scenario(lab):
    seed, leech, third = lab.hosts("seed", "leech", "third")
    lab.link(seed, leech, third)
    tree = write_tree(lab.path("content", "tree"), 1)
    want = tree_digest(tree)
    assert want == tree_digest(write_tree(lab.path("again", "tree"), 1))
    for kind in ("v1", "hybrid", "v2"):
        ipv6 = kind == "v2"
        torrent = make_torrent(tree, kind)
        assert (torrent.v1 is None) == (kind == "v2")
        assert (torrent.v2 is None) == (kind == "v1")
        source = start_seed(seed, torrent, ipv6=ipv6)
        into = lab.mkdir(f"got-{kind}")
        target = start_leech(
            leech, torrent, into, "--peer",
            source.address6 if ipv6 else source.address, ipv6=ipv6)
        target.wait("complete", 20)
        assert tree_digest(f"{into}/tree") == want, kind
        until(lambda: source.status()["up"] >= sum_of_sizes(tree), 5,
              "the seed's count of what it sent")
        target.stop()
        source.stop()
    torrent = make_torrent(tree, "v1", trackers=[
        tracker_url(third), tracker_url(third, "udp")])
    start_opentracker(third, [torrent.v1])
    start_transmission(seed, torrent)
    into = lab.mkdir("got-aria2")
    assert start_aria2(leech, torrent, into).wait(40) == 0
    assert tree_digest(f"{into}/tree") == want


if __name__ == "__main__":
    run(scenario)
