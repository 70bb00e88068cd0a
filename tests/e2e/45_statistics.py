"""Goal: what was sent and received is remembered, and no figure that anybody
saw ever gets less: not by kill -9 at any moment of a download, not by a stop, not
by the torrent's removal, which leaves it in the sum of all."""

import json
import os
import time

from lab import run, until
from shoal import Mount, content_path, program
from swarm import PIECE, make_torrent, start_seed, write_blob

COUNT = 400
KILLS = 4
KEYS = ("total_down_bytes", "total_up_bytes", "total_waste_bytes")


def ctl(mount, *words):
    return mount.host.run([program("shoalctl"), "-m", mount.path,
                           *words]).stdout


def shown(mount):
    """Of all torrents, and of the one, whether it is awake or not."""
    status = mount.status()
    t, = json.loads(ctl(mount, "ls", "--json"))["torrents"]
    return [status[key] for key in KEYS] + [t[key] for key in KEYS]


def assert_not_less(now, before):
    assert all(a >= b for a, b in zip(now, before)), (before, now)


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"),
                                      COUNT * PIECE, 8))
    source = start_seed(seed, torrent, "--up-limit=3000000")
    options = [f"peer={source.address}"]
    last, store = [0] * 6, None
    for n in range(KILLS):
        mount = Mount(reader, torrent.file, store=store, name=f"m{n}",
                      options=options)
        store = mount.store
        assert_not_less(shown(mount), last)
        cat = reader.start(["cat", content_path(mount, torrent)], "cat",
                           stdout=open(os.devnull, "wb"))
        began = time.monotonic()
        while (time.monotonic() - began < 1.3 + 0.4 * n or
               shown(mount)[0] == last[0] and n < 2):
            now = shown(mount)
            assert_not_less(now, last)
            last = now
            time.sleep(0.05)
        mount.kill()
        cat.wait(5)
    assert 0 < last[0] <= last[3], last     # asked one after the other
    print(f"shown after {KILLS} kills: {last}")

    mount = Mount(reader, torrent.file, store=store, name="calm",
                  options=options)
    assert_not_less(shown(mount), last)
    with open(content_path(mount, torrent), "rb") as film:
        film.read(8 * PIECE)
    until(lambda: shown(mount)[0] > 0, 20, "counted")
    top = mount.at(os.path.dirname(os.path.relpath(
        content_path(mount, torrent), mount.path)).split("/")[0])
    down = int(os.getxattr(top, "user.shoalfs.down"))
    assert down >= last[3], down
    assert int(os.getxattr(top, "user.shoalfs.up")) == 0
    listed, = json.loads(ctl(mount, "ls", "--json"))["torrents"]
    assert listed["total_down_bytes"] >= last[3]
    assert mount.stop() == 0

    again = Mount(reader, torrent.file, store=store, name="again")
    figures = shown(again)
    assert_not_less(figures, last)
    assert figures[0] >= down
    ctl(again, "rm", os.path.relpath(top, mount.path))
    until(lambda: again.status()["torrents"] == [], 10, "removed")
    left = again.status()
    assert [left[key] for key in KEYS] == figures[:3], (left, figures)
    assert again.stop() == 0


if __name__ == "__main__":
    run(scenario)
