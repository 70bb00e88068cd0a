"""Goal: a seed that has only IPv6 is as good as any, reached by
peer=[ADDR]:PORT and by the x.pe of a magnet link."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_tree


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 15))
    source = start_seed(seed, torrent, ipv6=True)
    for name, words, options in (
            ("option", torrent.file, [f"peer={source.address6}"]),
            ("magnet", torrent.magnet(peers=[source.address6]), [])):
        mount = Mount(reader, words, name=name, options=options)
        assert_same(content_path(mount, torrent), torrent.path)
        assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
