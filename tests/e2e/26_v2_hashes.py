"""Goal: libtorrent completes v2 torrents by their magnets from a mount alone,
which has to tell it the piece layers (BEP 52): of 513 pieces, the last of which
it asks for by itself, of a few, and of one, which needs none. Of a .torrent
without layers the mount gets them from libtorrent; the next mount of the same
store has them, and tells them on, without any peer."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (MagnetLeech, libtorrent, make_torrent, start_seed,
                   write_blob)

PORT = 7010
LEAF = 16384
SIZES = {"pieces513": 512 * LEAF * 2 + 5, "few": 5 * LEAF * 2, "one": LEAF + 1}


def complete_magnet(lab, hosts, torrent):
    reader, _, leech = hosts
    peer = MagnetLeech(lab, leech, torrent, f"{reader.ip4}:{PORT}")
    assert_same(peer.complete(20), torrent.path)


def make(lab, kind, name, label):
    path = write_blob(lab.path(label, f"{name}.bin"), SIZES[name], len(label))
    return make_torrent(path, kind, piece=2 * LEAF)


def give_to_magnet(lab, hosts, kind, name):
    reader, seed, _ = hosts
    label = f"{kind}-{name}"
    torrent = make(lab, kind, name, label)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name=label, options=[
        f"peer={source.address}", f"port={PORT}"])
    assert_same(content_path(mount, torrent), torrent.path)
    source.stop()
    complete_magnet(lab, hosts, torrent)
    assert mount.stop() == 0


def without_layers(torrent):
    lt = libtorrent()
    with open(torrent.file, "rb") as whole:
        meta = lt.bdecode(whole.read())
    del meta[b"piece layers"]
    with open(torrent.file + ".bare", "wb") as out:
        out.write(lt.bencode(meta))
    return out.name


def keep_layers(lab, hosts, kind):
    reader, seed, _ = hosts
    label = f"{kind}-kept"
    torrent = make(lab, kind, "pieces513", label)
    bare = without_layers(torrent)
    source = start_seed(seed, torrent)
    mount = Mount(reader, bare, name=label,
                  options=[f"peer={source.address}"])
    assert_same(content_path(mount, torrent), torrent.path)
    assert mount.stop() == 0
    source.stop()
    again = Mount(reader, bare, name=f"{label}-again", store=mount.store,
                  options=[f"port={PORT}"])
    complete_magnet(lab, hosts, torrent)
    assert again.stop() == 0


def scenario(lab):
    hosts = lab.hosts("reader", "seed", "leech")
    lab.link(*hosts)
    for kind in "v2", "hybrid":
        for name in SIZES:
            give_to_magnet(lab, hosts, kind, name)
        keep_layers(lab, hosts, kind)


if __name__ == "__main__":
    run(scenario)
