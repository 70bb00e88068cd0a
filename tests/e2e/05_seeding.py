"""Goal: what shoalfs has read it gives: with the first seed gone, libtorrent
and aria2 each complete the torrent from a mount alone, the one by its address
and the other through the tracker."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (make_torrent, start_aria2, start_leech, start_opentracker,
                   start_seed, tracker_url, write_tree)

PORT = 7010


def scenario(lab):
    reader, seed, leech, other = lab.hosts("reader", "seed", "leech", "other")
    lab.link(reader, seed, leech, other)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 5),
                           trackers=[tracker_url(other)])
    start_opentracker(other, [torrent.v1])
    source = start_seed(seed, torrent, "--no-tracker")
    mount = Mount(reader, torrent.file, options=[
        f"peer={source.address}", f"port={PORT}"])
    assert_same(content_path(mount, torrent), torrent.path)
    source.stop()

    into = lab.mkdir("from-libtorrent")
    peer = start_leech(leech, torrent, into, "--no-tracker",
                       "--peer", f"{reader.ip4}:{PORT}")
    peer.wait("complete", 20)
    peer.stop()
    assert_same(f"{into}/tree", torrent.path)

    into = lab.mkdir("from-aria2")
    assert start_aria2(leech, torrent, into).wait(40) == 0
    assert_same(f"{into}/tree", torrent.path)
    assert mount.status()["torrents"][0]["up_bytes"] >= 2 * torrent.size
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
