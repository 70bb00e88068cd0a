"""Goal: shoalfs by itself, without anybody's program: `shoalctl create --seed`
prints a magnet link, a mount of that link in the background shows the same
bytes, `shoalctl status` tells of it, `shoal-cat` writes one of its files. What
`-o` names and is no plain file is written to, and stays what it is; what the
torrent is of is not written over."""

import json
import os
import stat
import subprocess

from lab import run, until
from shoal import assert_same, program
from swarm import digest, libtorrent, write_tree


def outputs(lab, tree):
    """Of root `-o /dev/null` must not make a file of the device."""
    fifo, link, file = (lab.path(name) for name in ("fifo", "link", "file"))
    create = [program("shoalctl"), "create", "-o"]
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    subprocess.run([*create, fifo, tree], check=True, timeout=20,
                   stdout=subprocess.DEVNULL)
    piped = os.read(reader, 1 << 16)
    os.close(reader)
    assert stat.S_ISFIFO(os.lstat(fifo).st_mode)
    with open(file, "wb") as old:
        old.write(b"before")
    os.symlink(file, link)
    subprocess.run([*create, link, tree], check=True, timeout=20,
                   stdout=subprocess.DEVNULL)
    assert os.path.islink(link)
    decode = libtorrent().bdecode
    with open(file, "rb") as linked:
        assert decode(piped)[b"info"] == decode(linked.read())[b"info"]


def refused(lab):
    """What it is made of is not written over, also not by the second of two
    equal commands; a place that will not do is a line and no more."""
    tree = write_tree(lab.path("own", "tree"), 17)
    film, link = os.path.join(tree, "tail.bin"), lab.path("film")
    os.symlink(film, link)
    before = digest(film)

    def create(code, word, *words):
        done = subprocess.run([program("shoalctl"), "create", *words],
                              capture_output=True, text=True, timeout=20,
                              cwd=tree)
        assert done.returncode == code, done
        assert word in done.stderr and len(done.stderr.splitlines()) == code, \
            done
    create(1, "-o names another", "-o", film, film)
    create(1, "-o names another", "-o", film, tree)
    create(1, "-o names another", "-o", link, ".")
    assert digest(film) == before
    create(0, "", ".")                          # tree.torrent, in the tree
    create(1, "-o names another", ".")
    create(0, "", "-o", "tree.torrent", "sub")  # of other files
    create(1, "nowhere", "-o", lab.path("nowhere", "x"), tree)
    create(1, "sub", "-o", "sub/", tree)


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    tree, file = write_tree(lab.path("c", "tree"), 16), lab.path("t.torrent")
    outputs(lab, tree)
    refused(lab)
    seeder = seed.start([program("shoalctl"), "create", "-o", file, "--seed", "--nodht",
                         tree], "create", stdout=subprocess.PIPE)
    link = seeder.stdout.readline().decode().strip()
    assert link.startswith("magnet:?xt=urn:btih:") and "x.pe=" in link, link
    info = libtorrent().torrent_info(file)
    assert str(info.info_hash()) in link and info.name() == "tree"

    point, store = lab.mkdir("mnt"), lab.path("store")
    done = reader.run([program(), "-o", f"store={store}", link, point])
    assert done.returncode == 0, done
    lab.defer(reader.run, ["fusermount3", "-uz", point])
    assert os.path.isdir(f"{point}/tree"), "it returned before it was ready"
    assert_same(f"{point}/tree", tree)

    told = reader.run([program("shoalctl"), "status"])
    assert told.returncode == 0 and "tree" in told.stdout, told
    told = reader.run([program("shoalctl"), "-m", point, "status", "--json"])
    state, = json.loads(told.stdout)["torrents"]
    assert state["held_bytes"] == state["size_bytes"] > 0, state

    name = "sub/deeper/größe – 東京 🐟.txt"
    got = lab.path("got")
    for source in (link, file):
        with open(got, "wb") as out:
            cat = reader.start(
                [program("shoal-cat"), "-o", f"peer={peer_of(link)}", source,
                 name], "cat", stdout=out)
            assert cat.wait(20) == 0, cat.text()
        assert digest(got) == digest(os.path.join(tree, name))

    assert reader.run(["fusermount3", "-u", point]).returncode == 0
    until(lambda: not [words for words in lab.processes().values()
                       if words.startswith(program() + " ")], 10,
          "the daemon's end")
    assert seeder.stop() == 0


def peer_of(link):
    """The first x.pe."""
    return next(word[5:] for word in link.split("&")
                if word.startswith("x.pe="))


if __name__ == "__main__":
    run(scenario)
