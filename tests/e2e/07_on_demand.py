"""Goal: the whole tree stands before a byte of it is there, and only what is
read is fetched. Mounting, ls -lR, find, du and stat cost
no byte of payload; `head -c1` costs one piece at most, and of a film, whose player
needs both ends, a MiB of each. Counted by the mount and by the seed."""

import os

from lab import run, until
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

PIECE = 256 * 1024
ENDS = 2 << 20


def shape(root):
    """{path below root: size, None for a directory}."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = \
                None if name in folders else os.lstat(path).st_size
    return found


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for name in ("film.bin", "sub/other.bin", "sub/film.mkv"):
        write_blob(lab.path("c", "pack", name), 32 * PIECE, 7)
    torrent = make_torrent(lab.path("c", "pack"), piece=PIECE)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    top = content_path(mount, torrent)

    def figures():
        return mount.status()["torrents"][0]
    assert shape(top) == shape(torrent.path)
    for words in (["ls", "-lR", mount.path], ["find", top, "-size", "+1k"],
                  ["du", "-s", top], ["stat", f"{top}/film.bin"]):
        done = reader.run(words)
        assert done.returncode == 0 and done.stdout, done
    # A torrent nobody reads may have no peer at all; if it has, it asks
    # nothing of it.
    assert figures()["down_bytes"] == 0 and figures()["held_bytes"] == 0
    assert source.status()["up"] == 0

    done = reader.run(["sh", "-c", f"head -c1 '{top}/sub/other.bin' | wc -c"])
    assert done.stdout.strip() == "1", done

    def held():
        return mount.held(torrent.name, "sub", "other.bin")
    until(held, 10, "the piece is kept")
    assert held() == figures()["held_bytes"] == PIECE
    assert mount.held(torrent.name, "film.bin") == 0
    # A read that waits may nudge the seed: what comes of that is of no use.
    now = figures()
    assert now["down_bytes"] - now["waste_bytes"] == PIECE, now
    assert now["waste_bytes"] < 16 << 10, now
    until(lambda: source.status()["up"], 5, "the seed's count")
    assert PIECE <= source.status()["up"] < PIECE + (16 << 10)

    # The handle stays open: what nobody has open is not fetched on.
    film = open(f"{top}/sub/film.mkv", "rb")
    film.read(1)
    # The kernel reads on a little, which is evidence for one more piece.
    until(lambda: mount.held(torrent.name, "sub", "film.mkv") >= ENDS, 10,
          "both ends are kept")
    assert figures()["down_bytes"] <= PIECE + ENDS + PIECE
    film.close()
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
