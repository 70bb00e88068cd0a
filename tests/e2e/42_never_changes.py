"""Goal: nothing that a reader could have noted down changes. Inode, times, size,
mode, owner and links of every file and directory, and the tree itself, are the
same after reading, after the store had to drop what was read, without a network,
after a crash, after a start without any peer, and after the torrents were removed
and added again in another order. From the first answer of a mount on its tree is
whole."""

import os
import subprocess
import time

from lab import run
from shoal import Mount, program
from swarm import make_torrent, start_seeds, write_blob, write_tree

COUNT = 12


def facts(mount):
    """By find, as people do: of everything but the status and the root, whose
    time says when a torrent came last."""
    lines = subprocess.run(
        ["find", mount.path, "-mindepth", "1", "-printf",
         "%P|%i|%T@|%C@|%A@|%s|%m|%U|%G|%n|%y|%l\\n"],
        stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return sorted(lines)


def read_all(mount):
    for top, _, names in os.walk(mount.path):
        for name in names:
            with open(os.path.join(top, name), "rb") as file:
                while file.read(1 << 20):
                    pass


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrents = []
    for number in range(COUNT):
        path = lab.path("c", f"tree {number}")
        if number % 3:
            write_blob(path, 3_000_000, number)
        else:
            write_tree(path, number)
        torrents.append(make_torrent(path, ("v1", "v2", "hybrid")[number % 3]))
    source = start_seeds(seed, torrents)

    def start(*options):
        return Mount(reader, options=[f"peer={source.address}",
                                      "read_timeout=5", *options])

    def ctl(*words):
        done = reader.run([program("shoalctl"), "-m", mount.path, *words])
        assert done.returncode == 0, done

    mount = start()
    ctl("add", *(t.file for t in torrents))
    before = facts(mount)
    # .trackerignore; a directory each, and what the trees have.
    assert sum(line.count(b"|f|") for line in before) >= 1 + 2 * COUNT

    def same(when):
        after = facts(mount)
        assert after == before, (when, set(after) ^ set(before))

    time.sleep(1.1)     # past every short time-out
    same("a second later")
    read_all(mount)
    same("all was read")
    mount.kill()
    mount = start()
    same("killed")
    assert mount.stop() == 0

    # What is held has to go again and again.
    mount = start("quota=16M")
    read_all(mount)
    assert sum(mount.held(t.name) for t in torrents) < 17 << 20
    same("evicted")

    # The line is dead: names and attributes are as ever.
    lab.ip("-n", "reader", "link", "set", "dev", lab_device(lab), "down")
    same("no network")
    lab.ip("-n", "reader", "link", "set", "dev", lab_device(lab), "up")
    assert mount.stop() == 0
    source.stop()

    # The first thing that is seen of a mount is all of it, also by who asks
    # while it is being mounted, and with nobody to ask.
    names = None
    os.makedirs(mount.path, exist_ok=True)
    proc = reader.start([program(), "-f", "-o",
                         f"store={mount.store},nodht", mount.path])
    while not names:
        names = os.listdir(mount.path)
    assert len(names) == COUNT + 1, names
    same("the first answer")
    assert proc.stop(10) == 0

    # Removed, and added in another order.
    mount = Mount(reader)
    for torrent in torrents:
        os.rmdir(mount.at(torrent.name))
    ctl("add", *(t.file for t in reversed(torrents)))
    same("added again")
    assert mount.stop() == 0


def lab_device(lab):
    """The reader's end of its link."""
    for line in lab.ip("-n", "reader", "-o", "link").splitlines():
        name = line.split(": ")[1].split("@")[0]
        if name != "lo":
            return name
    raise AssertionError("no link")


if __name__ == "__main__":
    run(scenario)
