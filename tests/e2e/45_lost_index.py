"""Goal: an index that is lost or damaged costs no byte. A mount with a v1
torrent and a hybrid is killed, and its index removed; it is stopped, and pages
of its index are overwritten; it is killed, and the index's log removed. Each
time the next start has all that was held, without any peer, and every byte is
right; no figure of what was received is less than it was; what was damaged is kept beside it, and one line says what happened."""

import glob
import json
import os
import random

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import PIECE, make_torrent, start_seed, write_blob

COUNT = 24


def index(mount):
    return os.path.join(mount.store, "index.db")


def remove(mount):
    for path in glob.glob(index(mount) + "*"):
        os.unlink(path)


def overwrite(mount):
    with open(index(mount), "r+b") as file:
        pages = os.path.getsize(index(mount)) // 4096
        for page in range(1, pages, 3):
            file.seek(page * 4096)
            file.write(random.randbytes(4096))


def lose_log(mount):
    os.unlink(index(mount) + "-wal")


def damaged(mount):
    return [path for path in glob.glob(index(mount) + ".damaged-*")
            if not path.endswith("-wal")]


def received(mount):
    """In all, and of each torrent."""
    shown = json.loads(mount.host.run(
        [program("shoalctl"), "-m", mount.path, "ls", "--json"]).stdout)
    return [mount.status()["total_down_bytes"]] + [
        t["total_down_bytes"]
        for t in sorted(shown["torrents"], key=lambda t: t["name"])]


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrents = [make_torrent(write_blob(lab.path(name, name + ".bin"),
                                        COUNT * PIECE - 99, number),
                             **options)
                for number, (name, options) in
                enumerate([("one", {}), ("both", {"kind": "hybrid"})])]
    sources = [start_seed(seed, torrent, port=7001 + number)
               for number, torrent in enumerate(torrents)]
    files = [torrent.file for torrent in torrents]
    mount = Mount(reader, *files,
                  options=[f"peer={source.address}" for source in sources])

    def read_all():
        for torrent in torrents:
            assert_same(content_path(mount, torrent), torrent.path)

    def is_kept():
        return [len(pieces) for pieces in mount.committed().values()] == [
            COUNT, COUNT]

    read_all()
    until(is_kept, 30, "everything to be committed")
    until(lambda: all(received(mount)), 30, "what came to be shown")
    last = received(mount)
    for source in sources:
        source.stop()
    for turn, (is_killed, harm, n_damaged) in enumerate([
            (True, remove, 0), (False, overwrite, 1), (True, lose_log, 2)]):
        if is_killed:
            mount.kill()
        else:
            assert mount.stop() == 0
        harm(mount)
        mount = Mount(reader, store=mount.store, name=f"again{turn}",
                      options=["read_timeout=5"])
        until(lambda: all(t["state"] == "ready" and t["pieces_held"] == COUNT
                          for t in mount.status()["torrents"]), 20,
              "all to be held")
        read_all()
        now = received(mount)
        assert all(a >= b for a, b in zip(now, last)), (last, now)
        last = now
        assert len(damaged(mount)) == n_damaged, damaged(mount)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
