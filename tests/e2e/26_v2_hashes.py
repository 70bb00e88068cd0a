"""Goal: libtorrent completes v2 torrents by their magnets from a mount alone,
which has to tell it the piece layers (BEP 52): of 513 pieces, the last of which
it asks for by itself, of a few, and of one, which needs none."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import LtPeer, make_torrent, start_seed, write_blob

PORT = 7010
LEAF = 16384
SIZES = {"pieces513": 512 * LEAF * 2 + 5, "few": 5 * LEAF * 2, "one": LEAF + 1}


def give_to_magnet(lab, hosts, kind, name, size):
    reader, seed, leech = hosts
    label = f"{kind}-{name}"
    torrent = make_torrent(write_blob(lab.path(label, f"{name}.bin"), size,
                                      size), kind, piece=2 * LEAF)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name=label, options=[
        f"peer={source.address}", f"port={PORT}"])
    assert_same(content_path(mount, torrent), torrent.path)
    source.stop()
    into = lab.mkdir(f"{label}-into")
    peer = LtPeer(leech, "--magnet", torrent.magnet(), "--save", into,
                  "--listen", f"{leech.ip4}:7000", "--no-tracker",
                  "--peer", f"{reader.ip4}:{PORT}")
    peer.wait("complete", 20)
    peer.stop()
    assert_same(f"{into}/{torrent.name}", torrent.path)
    assert mount.stop() == 0


def scenario(lab):
    hosts = lab.hosts("reader", "seed", "leech")
    lab.link(*hosts)
    for kind in "v2", "hybrid":
        for name, size in SIZES.items():
            give_to_magnet(lab, hosts, kind, name, size)


if __name__ == "__main__":
    run(scenario)
