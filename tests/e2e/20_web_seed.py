"""Goal: a tree and a file are read byte for byte from nothing but an HTTP
server that the torrent names; a server whose bytes are wrong is found out
beside an honest peer, and the reader never sees them."""

from concurrent.futures import ThreadPoolExecutor

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import (PEER_PORT, PIECE, make_torrent, start_seed, start_web, web_url,
                   write_blob, write_tree)


def web_seeds(mount, torrent):
    listed = mount.status()["torrents"]
    peers = next(one for one in listed if one["name"] == torrent.name)["peers"]
    return [peer for peer in peers if peer["url"]]


def scenario(lab):
    reader, web, liar, seed = lab.hosts("reader", "web", "liar", "seed")
    lab.link(reader, web, liar, seed)
    file = make_torrent(write_blob(lab.path("c", "film #1.bin"), 40 * PIECE + 7,
                                   1), web_seeds=[web_url(web)])
    tree = make_torrent(write_tree(lab.path("c", "tree"), 2),
                        web_seeds=[web_url(web)])
    split = make_torrent(write_tree(lab.path("c", "hybrid"), 3), "hybrid",
                         web_seeds=[web_url(web)])
    doubt = make_torrent(write_blob(lab.path("c", "doubt.bin"), 64 * PIECE, 4),
                         web_seeds=[web_url(liar, "doubt.bin")])
    served = start_web(web, lab.path("c"))
    start_web(liar, lab.path("c"), "--lie")
    mount = Mount(reader, file.file, tree.file, split.file, doubt.file,
                  options=[f"peer={seed.ip4}:{PEER_PORT}"])
    content_path(mount, file)
    assert served.text() == ""
    for torrent in (file, tree, split):
        assert_same(content_path(mount, torrent), torrent.path)
        assert len(web_seeds(mount, torrent)) == 1
    assert ".pad" not in served.text()

    # The liar is the only source first, so that its bytes are what come.
    with ThreadPoolExecutor(1) as pool:
        path = content_path(mount, doubt)
        compared = pool.submit(assert_same, path, doubt.path)
        until(lambda: "wrong bytes" in web_seeds(mount, doubt)[0]["client"],
              10, "the liar is banned")
        start_seed(seed, doubt)
        compared.result(30)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
