"""Goal: what somebody else does to the store's files is noticed, and nobody ever
gets a wrong byte of it: not a reader, not a peer, not the kernel that reads by
itself. A blob is flipped, cut, replaced or removed, while the mount runs and
while it does not; a reader who has a swarm then reads every byte right, without
an error, and what was wrong is fetched anew, and only that where the rest can be
told from it."""

import mmap
import os
import shutil

from lab import run, until
from shoal import Mount, content_path
from swarm import PIECE, make_torrent, start_seed, write_blob

COUNT = 24
SIZE = COUNT * PIECE - 777


def blob(mount):
    found = [os.path.join(folder, name)
             for folder, _, names in os.walk(mount.store) for name in names
             if os.path.getsize(os.path.join(folder, name)) == SIZE]
    assert len(found) == 1, found
    return found[0]


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


def flip(path):
    with open(path, "r+b") as file:
        for piece in (3, 17):
            file.seek(piece * PIECE + 5)
            byte = file.read(1)[0]
            file.seek(piece * PIECE + 5)
            file.write(bytes([byte ^ 1]))


def cut(path):
    os.truncate(path, SIZE // 2)


def replace(path):
    shutil.copyfile("/dev/null", path + ".new")
    os.truncate(path + ".new", SIZE)
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)


CHANGES = {"flip": (flip, 2), "cut": (cut, None), "replace": (replace, COUNT),
           "remove": (os.unlink, COUNT)}


def held(mount):
    return mount.status()["torrents"][0]["pieces_held"]


def is_stored(mount):
    return sum(len(p) for p in mount.committed().values()) == COUNT


def changes(lab, reader, seed, kind, how, is_running):
    name = f"{kind}{how}{'run' if is_running else 'stop'}"
    change, anew = CHANGES[how]
    torrent = make_torrent(write_blob(lab.path(name, "film.bin"), SIZE, 34),
                           kind)
    source = start_seed(seed, torrent)
    options = [f"peer={source.address}", "nopassthrough"]
    mount = Mount(reader, torrent.file, name=name, options=options)
    path = content_path(mount, torrent)
    with open(torrent.path, "rb") as file:
        want = file.read()
    assert read_direct(path) == want
    until(lambda: blob_is_whole(mount), 15, "stored")
    assert mount.stop() == 0            # memory has it, and would tell
    if not is_running:
        change(blob(mount))
    mount = Mount(reader, torrent.file, name=name + "2", store=mount.store,
                  options=options)
    path = content_path(mount, torrent)
    if is_running:
        assert read_direct(path) == want
        change(blob(mount))
    before = mount.status()["torrents"][0]["down_bytes"]
    assert read_direct(path) == want, name
    assert read_direct(path) == want, name
    got = mount.status()["torrents"][0]["down_bytes"] - before
    print(f"{name}: {got // PIECE} pieces fetched anew")
    if anew is not None:
        assert got <= (anew + 1) * PIECE, (name, got)
    until(lambda: blob_is_whole(mount), 15, "stored again")
    assert mount.stop() == 0
    source.stop()
    os.remove(torrent.file)
    with open(blob(mount), "rb") as file:
        assert file.read() == want, name


def blob_is_whole(mount):
    """All of it is in the store, and durable."""
    found = [os.path.join(folder, name)
             for folder, _, names in os.walk(mount.store) for name in names
             if os.path.getsize(os.path.join(folder, name)) == SIZE]
    if not found or os.stat(found[0]).st_blocks * 512 < SIZE:
        return False
    return held(mount) == COUNT


def seeds(lab, reader, seed):
    """A peer who asks for what was changed gets nothing of it."""
    torrent = make_torrent(write_blob(lab.path("seed", "film.bin"), SIZE, 35))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name="first",
                  options=[f"peer={source.address}", "nopassthrough"])
    with open(torrent.path, "rb") as file:
        want = file.read()
    assert read_direct(content_path(mount, torrent)) == want
    until(lambda: blob_is_whole(mount), 15, "stored")
    assert mount.stop() == 0
    mount = Mount(reader, torrent.file, name="again", store=mount.store,
                  options=["nopassthrough"])
    port = mount.status()["port"]
    flip(blob(mount))
    leech = Mount(seed, torrent.file, name="leech",
                  options=[f"peer={source.address}",
                           f"peer={reader.ip4}:{port}", "nopassthrough"])
    assert read_direct(content_path(leech, torrent)) == want
    assert leech.stop() == 0
    assert mount.stop() == 0
    source.stop()


def passes(lab, reader, seed):
    """A changed blob is not handed to the kernel."""
    torrent = make_torrent(write_blob(lab.path("pass", "film.bin"), SIZE, 36))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name="pass",
                  options=[f"peer={source.address}"])
    if mount.status()["passthrough"] != "on":
        print("passthrough is", mount.status()["passthrough"])
        assert mount.stop() == 0
        return
    path = content_path(mount, torrent)
    with open(torrent.path, "rb") as file:
        want = file.read()
    assert read_direct(path) == want
    until(lambda: blob_is_whole(mount), 15, "stored")

    def passes_through():
        fd = os.open(path, os.O_RDONLY)
        n = mount.status()["passthrough_files"]
        os.close(fd)
        return n == 1
    until(passes_through, 15, "passed through")
    flip(blob(mount))
    fd = os.open(path, os.O_RDONLY)
    assert mount.status()["passthrough_files"] == 0
    os.close(fd)
    assert read_direct(path) == want
    assert mount.stop() == 0
    source.stop()


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for how in CHANGES:
        for is_running in (False, True):
            changes(lab, reader, seed, "v1", how, is_running)
    changes(lab, reader, seed, "v2", "flip", True)
    changes(lab, reader, seed, "v2", "flip", False)
    changes(lab, reader, seed, "v2", "remove", True)
    changes(lab, reader, seed, "hybrid", "flip", False)
    passes(lab, reader, seed)
    seeds(lab, reader, seed)


if __name__ == "__main__":
    run(scenario)
