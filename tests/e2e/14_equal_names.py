"""Goal: two torrents of one name stand in one mount: the first plainly, the
second with the first eight digits of its info-hash; each has its own bytes."""

from lab import run
from shoal import Mount, assert_same
from swarm import make_torrent, start_seed, write_blob


def scenario(lab):
    reader, one, two = lab.hosts("reader", "one", "two")
    lab.link(reader, one, two)
    torrents = [make_torrent(write_blob(lab.path(part, "film.bin"), 500_000,
                                        number))
                for number, part in enumerate(("first", "second"))]
    seeds = [start_seed(host, torrent)
             for host, torrent in zip((one, two), torrents)]
    mount = Mount(reader, *(torrent.file for torrent in torrents),
                  options=[f"peer={seed.address}" for seed in seeds])
    names = ["film.bin", f"film.bin [{torrents[1].v1[:8]}]"]
    for name, torrent in zip(names, torrents):
        assert_same(mount.wait_path(name, "film.bin"), torrent.path)
        # The info-hash names the same directory.
        assert_same(mount.at(torrent.v1, "film.bin"), torrent.path)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
