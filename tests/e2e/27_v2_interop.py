"""Goal: torrents of v2 alone and hybrids made by libtorrent, of one file, of many
(some smaller than a block, one empty), and with pieces of 16 MiB, are read
byte-exact from libtorrent, by .torrent through a tracker that knows each of
their hashes, and by magnet; and libtorrent completes them from the mount
alone, by .torrent and by magnet. They are found under either hash. One more is
known by half a magnet only: the metadata tells the other half."""

import os

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import (MagnetLeech, make_torrent, start_leech, start_opentracker,
                   start_seed, tracker_url, write_blob, write_tree)

PORT, PIECE, LARGE = 7010, 65536, 16 << 20
KINDS = "v2", "hybrid"


def content(lab, kind, shape, number):
    """Of its own for each torrent: no two may share a file in the store."""
    name = f"{shape}-{kind}"
    if shape == "one":
        return write_blob(lab.path("c", name), 3 * PIECE + 17, number)
    if shape == "many":
        return write_tree(lab.path("c", name), number)
    write_blob(lab.path("c", name, "large.bin"), LARGE + 4 * PIECE + 1, number)
    write_blob(lab.path("c", name, "small.bin"), 1000, number + 100)
    return lab.path("c", name)


def make_all(lab, tracker):
    return [make_torrent(content(lab, kind, shape, 70 + number), kind,
                         piece=LARGE if shape == "large" else PIECE,
                         trackers=[tracker_url(tracker)])
            for number, (kind, shape) in enumerate(
                (kind, shape) for kind in KINDS
                for shape in ("one", "many", "large"))]


def hashes(torrents):
    """As trackers know them."""
    return [name[:40] for each in torrents for name in (each.v1, each.v2)
            if name]


def read_all(mount, torrents):
    for torrent in torrents:
        assert_same(content_path(mount, torrent), torrent.path)


def hold_all(mount, torrents):
    """What is read by its blocks alone is not whole, and nobody is told of it:
    pinned, it comes whole."""
    for torrent in torrents:
        done = mount.host.run([program("shoalctl"), "-m", mount.path, "pin",
                               mount.at(torrent.name)])
        assert done.returncode == 0, done
    until(lambda: all(each["pieces_held"] == each["pieces"]
                      for each in mount.status()["torrents"]), 30,
          "all pieces")


def is_told_of(mount, torrents):
    """Both hashes of a hybrid, each to its tracker; names of all kinds."""
    shown = {each["info_hash_v2"]: each
             for each in mount.status()["torrents"]}
    for torrent in torrents:
        found = shown[torrent.v2]
        assert found["info_hash"] == (torrent.v1 or torrent.v2)
        asked = [(at["v2"], at["state"]) for at in found["trackers"]]
        assert asked == [(False, "ok")] * bool(torrent.v1) + [(True, "ok")], \
            asked
        for name in filter(None, (torrent.v1, torrent.v2)):
            assert os.path.samefile(mount.at(name), mount.at(torrent.name))
        got = os.getxattr(mount.at(torrent.name),
                          "user.shoalfs.infohash_v2").decode()
        assert got == torrent.v2


def complete_by_file(lab, host, torrents, address):
    """libtorrent, all of them at once."""
    peers = []
    for number, torrent in enumerate(torrents):
        into, port = lab.mkdir(f"by-file-{torrent.name}"), 7200 + number
        peers.append((start_leech(host, torrent, into, "--no-tracker",
                                  "--peer", address, port=port), into))
    for (peer, into), torrent in zip(peers, torrents):
        peer.wait("complete", 30)
        peer.stop()
        assert_same(f"{into}/{torrent.name}", torrent.path)


def complete_by_link(lab, host, torrents, address):
    leeches = [MagnetLeech(lab, host, torrent, address, 7200 + number)
               for number, torrent in enumerate(torrents)]
    for leech, torrent in zip(leeches, torrents):
        assert_same(leech.complete(30), torrent.path)


def half_known(lab, reader, torrent, source):
    """By one hash of a hybrid, at a peer that is known."""
    for label, magnet in (
            ("v1", f"magnet:?xt=urn:btih:{torrent.v1}"),
            ("v2", f"magnet:?xt=urn:btmh:1220{torrent.v2}")):
        mount = Mount(reader, f"{magnet}&x.pe={source.address}",
                      name=f"half-{label}")
        path = content_path(mount, torrent)
        shown = mount.status()["torrents"][0]
        assert (shown["info_hash"], shown["info_hash_v2"]) == \
            (torrent.v1, torrent.v2)
        until(lambda: [peer["v2"] for peer in mount.status()
                       ["torrents"][0]["peers"]] == [True], 10,
              "it is met on v2's side")
        assert_same(path, torrent.path)
        assert mount.stop() == 0


def scenario(lab):
    reader, seed, leech, other = lab.hosts("reader", "seed", "leech", "other")
    lab.link(reader, seed, leech, other)
    torrents = make_all(lab, other)
    start_opentracker(other, hashes(torrents))
    seeds = [start_seed(seed, torrent, port=7100 + number)
             for number, torrent in enumerate(torrents)]
    for each in seeds:
        each.wait("announced", 20)

    files = Mount(reader, *(torrent.file for torrent in torrents),
                  options=[f"port={PORT}"], name="files")
    links = Mount(reader, *(torrent.magnet([each.address]) for torrent, each
                            in zip(torrents, seeds)),
                  options=[f"port={PORT + 1}"], name="links")
    read_all(files, torrents)
    read_all(links, torrents)
    until(lambda: all(at["state"] == "ok"
                      for each in files.status()["torrents"]
                      for at in each["trackers"]), 20, "trackers answer")
    is_told_of(files, torrents)
    hybrid = next(number for number, torrent in enumerate(torrents)
                  if torrent.v1 and torrent.name.startswith("one"))
    half_known(lab, reader, torrents[hybrid], seeds[hybrid])
    for mount in files, links:
        hold_all(mount, torrents)
    for each in seeds:
        each.stop()

    complete_by_file(lab, leech, torrents, f"{reader.ip4}:{PORT}")
    complete_by_link(lab, leech, torrents, f"{reader.ip4}:{PORT + 1}")
    assert files.stop() == 0 and links.stop() == 0


if __name__ == "__main__":
    run(scenario)
