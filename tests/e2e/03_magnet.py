"""Goal: a magnet link with nothing but an info-hash and a peer (x.pe) is
enough: the metadata comes from that peer, and its content is read. The next
mount of the same store needs no peer to know the metadata again."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_tree


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    # Enough pieces that the metadata is more than one 16 KiB part.
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 3), piece=16384)
    source = start_seed(seed, torrent)
    link = torrent.magnet(peers=[source.address])
    mount = Mount(reader, link)
    assert_same(content_path(mount, torrent), torrent.path)
    assert mount.status()["torrents"][0]["info_hash"] == torrent.v1
    assert mount.stop() == 0
    source.stop()
    again = Mount(reader, torrent.magnet())
    assert_same(content_path(again, torrent), torrent.path)
    assert again.status()["torrents"][0]["pieces_hashed"] == 0
    assert again.stop() == 0


if __name__ == "__main__":
    run(scenario)
