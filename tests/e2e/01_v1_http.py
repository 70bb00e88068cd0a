"""Goal: v1 torrents, a single file that ends inside a piece and a tree with
sub-directories, an empty file and names beyond ASCII, are read byte for byte
through one mount; the peers (libtorrent) are found by an HTTP tracker."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (make_torrent, start_opentracker, start_seed, tracker_url,
                   write_blob, write_tree)


def scenario(lab):
    reader, one, two = lab.hosts("reader", "one", "two")
    lab.link(reader, one, two)
    trackers = [tracker_url(one)]
    file = make_torrent(write_blob(lab.path("c", "film.bin"), 3_000_001, 1),
                        trackers=trackers)
    tree = make_torrent(write_tree(lab.path("c", "tree"), 2),
                        trackers=trackers)
    start_opentracker(one, [file.v1, tree.v1])
    start_seed(one, file).wait("announced", 10)
    start_seed(two, tree).wait("announced", 10)
    mount = Mount(reader, file.file, tree.file)
    for torrent in (file, tree):
        assert_same(content_path(mount, torrent), torrent.path)
        assert mount.held(torrent.name) == torrent.size
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
