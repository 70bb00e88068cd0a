"""Goal: the same content as in 01, from transmission-daemon, which is found by
a UDP tracker. Both are read at once: transmission thinks every ten seconds of
whom to unchoke."""

from concurrent.futures import ThreadPoolExecutor

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (make_torrent, start_opentracker, start_transmission,
                   tracker_url, write_blob, write_tree)


def scenario(lab):
    reader, one, two = lab.hosts("reader", "one", "two")
    lab.link(reader, one, two)
    trackers = [tracker_url(one, "udp")]
    file = make_torrent(write_blob(lab.path("c", "film.bin"), 3_000_001, 1),
                        trackers=trackers)
    tree = make_torrent(write_tree(lab.path("c", "tree"), 2),
                        trackers=trackers)
    start_opentracker(one, [file.v1, tree.v1])
    start_transmission(one, file)
    start_transmission(two, tree)
    mount = Mount(reader, file.file, tree.file)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda torrent: assert_same(
            content_path(mount, torrent), torrent.path), (file, tree)))
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
