"""Goal: what somebody else does to the store's files is noticed, and nobody ever
gets a wrong byte of it: not a reader, not a peer, not the kernel that reads by
itself. A blob is flipped, cut, replaced or removed, while the mount runs and
while it does not; a reader who has a swarm then reads every byte right, without
an error, and what was wrong is fetched anew, and only that where the rest can be
told from it. Nor does it matter that the mount is writing to the same blob at
that moment."""

import mmap
import os
import shutil
import subprocess
import sys
import threading

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


def read_direct(path, begin=0, end=1 << 62):
    """Past the page cache, which has what was right."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        whole = b""
        buffer = mmap.mmap(-1, 1 << 20)
        while begin + len(whole) < end:
            n = os.preadv(fd, [buffer], begin + len(whole))
            if n == 0:
                break
            whole += buffer[:n]
        return whole
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


# Opens, changes and closes, without end, within argv[2] bytes.
VANDAL = """
import os, random, select, sys
random.seed(34)
n = 0
while os.getppid() == int(sys.argv[3]):
    at = random.randrange(int(sys.argv[2]))
    fd = os.open(sys.argv[1], os.O_RDWR)
    os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)
    os.close(fd)
    n += 1
    print(n, flush=True)
    if select.select([sys.stdin], [], [], 0.002)[0]:
        break
"""


def beside_our_writes(lab, reader, seed):
    """One half of a file is stored, and being changed all the time, while the
    other one comes in."""
    half = 192 * PIECE
    torrent = make_torrent(write_blob(lab.path("half", "film.bin"), 2 * half,
                                      37))
    source = start_seed(seed, torrent)
    options = [f"peer={source.address}", "nopassthrough"]
    mount = Mount(reader, torrent.file, name="half", options=options)
    with open(torrent.path, "rb") as file:
        want = file.read()
    assert read_direct(content_path(mount, torrent), 0, half) == want[:half]
    until(lambda: sum(len(p) for p in mount.committed().values()) >= 192, 15,
          "half of it is stored")
    assert mount.stop() == 0            # memory has it, and would tell
    mount = Mount(reader, torrent.file, name="half2", store=mount.store,
                  options=options)
    path = content_path(mount, torrent)
    place, = [os.path.join(folder, name)
              for folder, _, names in os.walk(mount.store) for name in names
              if os.path.getsize(os.path.join(folder, name)) == 2 * half]
    other = []
    stream = threading.Thread(
        target=lambda: other.append(read_direct(path, half, 2 * half)))
    vandal = subprocess.Popen(
        [sys.executable, "-c", VANDAL, place, str(half), str(os.getpid())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        vandal.stdout.readline()
        stream.start()
        n_rounds = 0
        while stream.is_alive() or n_rounds == 0:
            assert read_direct(path, 0, half) == want[:half]
            n_rounds += 1
        stream.join()
        assert other[0] == want[half:]
    finally:
        changes = vandal.communicate("")[0].split()
    print(f"{changes[-1]} changes beside our writes, read {n_rounds} times")
    # What nobody noticed is there still, and memory does not have it any more.
    assert mount.stop() == 0
    mount = Mount(reader, torrent.file, name="half3", store=mount.store,
                  options=options)
    assert read_direct(content_path(mount, torrent)) == want

    def is_right():
        with open(place, "rb") as file:
            return file.read() == want
    until(is_right, 30, "what was changed is stored again")
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
    beside_our_writes(lab, reader, seed)


if __name__ == "__main__":
    run(scenario)
