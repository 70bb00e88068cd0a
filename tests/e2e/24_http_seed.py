"""Goal: a file and trees are read byte for byte from nothing but a script that
hands out pieces (BEP 17): of torrents v1 and hybrid, over kept connections,
with a query of its own; one that is busy is asked again when it said; one
whose bytes are wrong is found out, and an honest one's bytes are read."""

import time

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import (PIECE, make_torrent, piece_map, start_web, web_url,
                   write_blob, write_tree)


def web_seeds(mount, torrent):
    listed = mount.status()["torrents"]
    peers = next(one for one in listed if one["name"] == torrent.name)["peers"]
    return [peer for peer in peers if peer["url"]]


def scenario(lab):
    reader, web, busy, liar = lab.hosts("reader", "web", "busy", "liar")
    lab.link(reader, web, busy, liar)

    def torrent_of(path, host, kind="v1"):
        return make_torrent(path, kind,
                            http_seeds=[web_url(host, "seed?key=1")])
    file = torrent_of(write_blob(lab.path("c", "film.bin"), 40 * PIECE + 7, 1),
                      web)
    tree = torrent_of(write_tree(lab.path("c", "tree"), 2), web)
    split = torrent_of(write_tree(lab.path("c", "hybrid"), 3), web, "hybrid")
    later = torrent_of(write_blob(lab.path("c", "later.bin"), PIECE, 4), busy)
    doubt = make_torrent(
        write_blob(lab.path("c", "doubt.bin"), 16 * PIECE, 5),
        http_seeds=[web_url(liar, "seed"), web_url(web, "seed")])
    maps = ["--pieces=" + piece_map(torrent)
            for torrent in (file, tree, split, later, doubt)]
    served = start_web(web, lab.path("c"), *maps)
    start_web(busy, lab.path("c"), "--busy=2", *maps)
    start_web(liar, lab.path("c"), "--lie", *maps)
    mount = Mount(reader, *(torrent.file for torrent in
                            (file, tree, split, later, doubt)))
    content_path(mount, file)
    assert served.text() == ""
    for torrent in (file, tree, split):
        assert_same(content_path(mount, torrent), torrent.path)
        assert len(web_seeds(mount, torrent)) == 1
    lines = [line.split() for line in served.text().splitlines()]
    assert all(line[2] == "piece" for line in lines), lines
    assert len(lines) < 2 * (file.pieces + tree.pieces + split.pieces), lines

    began = time.monotonic()
    assert_same(content_path(mount, later), later.path)
    assert time.monotonic() - began >= 1.9, "it was asked while busy"
    assert_same(content_path(mount, doubt), doubt.path)
    until(lambda: [seed for seed in web_seeds(mount, doubt)
                   if "wrong bytes" in seed["client"]], 10,
          "the liar is banned")
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
