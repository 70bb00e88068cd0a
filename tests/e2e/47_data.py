"""Goal: `shoalctl add --data DIR` takes files that the user has: hashed where they
lie, never written to, counted into no quota, read through the mount and given to
peers without a byte fetched. What lacks, is short or wrong comes from peers, and
that alone. A restart, a kill -9 and an upgrade hash nothing again; a file that is
changed, cut or removed while the mount runs costs no reader an error and no
wrong byte. `rm` leaves everything where it is."""

import glob
import json
import mmap
import os
import shutil
import signal

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import (PIECE, make_torrent, start_leech, start_seed, tree_digest,
                   write_blob, write_tree)

PORT = 7010
COUNT = 24
SIZE = COUNT * PIECE - 777


def ctl(mount, *words):
    return mount.host.run([program("shoalctl"), "-m", mount.path, *words])


def add(mount, folder, source):
    done = ctl(mount, "add", "--data", folder, source)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(mount, folder, source):
    done = ctl(mount, "add", "--data", folder, source)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 1, (done, lines)
    return lines[0]


def torrent_of(mount):
    torrents = mount.status()["torrents"]
    return torrents[0] if torrents else {"pieces_held": 0, "pieces": 1}


def wait_held(mount, pieces):
    try:
        until(lambda: torrent_of(mount)["pieces_held"] == pieces, 15, "held")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {torrent_of(mount)}") from None


def wait_remembered(mount, pieces):
    """What was found right is written down by and by."""
    def bits():
        found = glob.glob(f"{mount.store}/**/lent-*",
                          recursive=True)
        if not found:
            return 0
        with open(found[0], "rb") as note:
            return sum(byte.bit_count()
                       for byte in note.read()[16:16 + (pieces + 7) // 8])
    until(lambda: bits() == pieces, 15, "it to be remembered")


def stored(mount):
    """Bytes of the content that the store has."""
    return sum(os.stat(os.path.join(folder, name)).st_blocks * 512
               for below in ("torrents", "files")
               for folder, _, names in os.walk(
                   os.path.join(mount.store, below))
               for name in names if name not in ("info", "pinned"))


def state(root):
    """What an owner sees of his files."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            seen = os.stat(path)
            found[path] = (seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size,
                           seen.st_ino)
    return found, tree_digest(root)


def read_direct(path):
    """Past the page cache, which has what was right."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        whole = b""
        buffer = mmap.mmap(-1, 1 << 20)
        while True:
            n = os.preadv(fd, [buffer], len(whole))
            if n == 0:
                return whole
            whole += buffer[:n]
    finally:
        os.close(fd)


def flip(path, *pieces):
    with open(path, "r+b") as file:
        for piece in pieces:
            file.seek(piece * PIECE + 5)
            byte = file.read(1)[0]
            file.seek(piece * PIECE + 5)
            file.write(bytes([byte ^ 1]))


def whole(lab, reader, leech, kind):
    """All is there: nothing is fetched, all is given, nothing is stored."""
    torrent = make_torrent(write_tree(lab.path(kind, "tree"), 47), kind)
    before = state(torrent.path)
    mount = Mount(reader, name=kind, options=[f"port={PORT}", "quota=64M"])
    said = add(mount, torrent.parent, torrent.file)
    assert "6 of 6 files lie in" in said, said
    assert_same(content_path(mount, torrent), torrent.path)
    wait_held(mount, torrent.pieces)
    now = torrent_of(mount)
    assert now["down_bytes"] == 0, now
    assert now["pieces_hashed"] >= torrent.pieces - 1, now
    assert stored(mount) < PIECE, stored(mount)
    if kind != "hybrid":
        gives(lab, reader, leech, torrent)
    wait_remembered(mount, torrent.pieces)
    daemon = mount.daemon()
    if kind == "v1":
        os.kill(daemon, signal.SIGKILL)
    elif kind == "v2":
        os.kill(mount.proc.pid, signal.SIGUSR2)
    if kind != "hybrid":
        until(lambda: mount.daemon() not in (0, daemon), 10, "a successor")
        check_again(mount, torrent)
    assert mount.stop() == 0
    mount = Mount(reader, name=kind, store=mount.store)
    check_again(mount, torrent)
    assert ctl(mount, "rm", "tree").returncode == 0
    until(lambda: not mount.status()["torrents"], 10, "it to go")
    assert ctl(mount, "add", torrent.file).returncode == 0
    until(lambda: mount.status()["torrents"], 10, "it to come")
    assert torrent_of(mount)["pieces_held"] == 0, torrent_of(mount)
    assert mount.stop() == 0
    assert state(torrent.path) == before


def gives(lab, reader, leech, torrent):
    into = lab.fresh_dir("leech")
    peer = start_leech(leech, torrent, into, "--no-tracker", "--peer",
                       f"{reader.ip4}:{PORT}")
    peer.wait("complete", 20)
    peer.stop()
    assert_same(f"{into}/tree", torrent.path)


def check_again(mount, torrent):
    """Nothing is hashed a second time."""
    assert_same(content_path(mount, torrent), torrent.path)
    wait_held(mount, torrent.pieces)
    now = torrent_of(mount)
    assert now["pieces_hashed"] == 0 and now["down_bytes"] == 0, now


def half(lab, reader, seed):
    """Some files lack, one is short, one has a wrong byte; the directory is the
    torrent's own."""
    torrent = make_torrent(write_tree(lab.path("half", "tree"), 48))
    source = start_seed(seed, torrent)
    mine = lab.path("mine", "tree")
    shutil.copytree(torrent.path, mine)
    os.unlink(os.path.join(mine, "a first.bin"))
    os.truncate(os.path.join(mine, "sub", "deeper", "zz"), 100)
    flip(os.path.join(mine, "tail.bin"), 3)
    before = state(mine)
    mount = Mount(reader, name="half", options=[f"peer={source.address}"])
    said = add(mount, mine, torrent.file)
    assert "4 of 6 files lie in" in said, said
    assert_same(content_path(mount, torrent), torrent.path)
    now = torrent_of(mount)
    # The first file is four pieces, the short one two, the wrong byte's one.
    assert 0 < now["down_bytes"] <= 8 * PIECE, now
    assert state(mine) == before
    assert mount.stop() == 0
    source.stop()


def changes(lab, reader, seed):
    """Changed, cut, removed while the mount runs."""
    torrent = make_torrent(write_blob(lab.path("film", "film.bin"), SIZE, 49))
    with open(torrent.path, "rb") as file:
        want = file.read()
    source = start_seed(seed, torrent)
    mine = lab.mkdir("films")
    film = shutil.copy(torrent.path, mine)
    mount = Mount(reader, name="film", options=[f"peer={source.address}"])
    add(mount, mine, torrent.magnet())
    path = content_path(mount, torrent)
    wait_held(mount, COUNT)
    assert read_direct(path) == want
    assert torrent_of(mount)["down_bytes"] == 0, torrent_of(mount)
    assert mount.status()["passthrough_files"] == 0
    flip(film, 3, 17)
    before = state(mine)
    assert read_direct(path) == want
    assert read_direct(path) == want
    got = torrent_of(mount)["down_bytes"]
    assert 2 * PIECE <= got <= 3 * PIECE, got
    assert state(mine) == before
    assert mount.stop() == 0

    flip(film, 5)
    mount = Mount(reader, name="film", store=mount.store,
                  options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    assert read_direct(path) == want
    got = torrent_of(mount)["down_bytes"]
    assert got <= 2 * PIECE, got
    os.truncate(film, SIZE // 2)
    assert read_direct(path) == want
    assert os.path.getsize(film) == SIZE // 2
    os.unlink(film)
    assert read_direct(path) == want
    assert os.listdir(mine) == []
    assert mount.stop() == 0
    source.stop()


def mistakes(lab, reader):
    torrent = make_torrent(write_blob(lab.path("no", "no.bin"), SIZE, 50))
    empty = lab.mkdir("empty")
    mount = Mount(reader, name="no")
    line = refused(mount, lab.path("nowhere"), torrent.file)
    assert "not found" in line, line
    line = refused(mount, empty, torrent.file)
    assert "no file of no.bin" in line, line
    line = refused(mount, mount.at(".shoalfs"), torrent.file)
    assert "mount itself" in line, line
    assert not mount.status()["torrents"], mount.status()
    done = ctl(mount, "add", "--json", f"--data={torrent.parent}",
               torrent.file)
    answer = json.loads(done.stdout)[0]
    assert answer["data_files"] == 1 and answer["files"] == 1, answer
    shutil.copy(torrent.path, empty)
    line = refused(mount, empty, torrent.file)
    assert "another directory" in line, line
    assert mount.stop() == 0


def scenario(lab):
    reader, seed, leech = lab.hosts("reader", "seed", "leech")
    lab.link(reader, seed, leech)
    for kind in ("v1", "v2", "hybrid"):
        whole(lab, reader, leech, kind)
    half(lab, reader, seed)
    changes(lab, reader, seed)
    mistakes(lab, reader)


if __name__ == "__main__":
    run(scenario)
