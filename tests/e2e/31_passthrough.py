"""Goal: a file of which all is held is read by the kernel itself, and nobody can
tell but by its speed. Through a shared blob (v2), and one of its own (v1): an
open that was there before the file was whole goes on beside one that passes
through, and so does a mapping; the inode number is one. Who reads that way
when the torrent's peers and its blob are gone still reads what was verified. A
blob that is not what it must be is not handed to the kernel."""

import mmap
import os

from lab import Skip, run, until
from shoal import Mount, assert_same, content_path
from swarm import digest, make_torrent, start_seed, write_blob

SIZE = 3_000_000
MARK = 0o1000           # cache/whole_job.h


def through(mount):
    return mount.status()["passthrough_files"]


def blob(mount):
    """The one blob of the store."""
    found = [os.path.join(folder, name)
             for folder, _, names in os.walk(mount.store) for name in names
             if os.path.getsize(os.path.join(folder, name)) == SIZE]
    assert len(found) == 1, found
    return found[0]


def durable(mount, path):
    """Open until the store has it for good, and the kernel reads it."""
    def is_through():
        file = os.open(path, os.O_RDONLY)
        if through(mount) == 1:
            return file
        os.close(file)
        return None
    return until(is_through, 15, "passed through")


def passes(lab, reader, seed, kind):
    torrent = make_torrent(write_blob(lab.path(f"c{kind}", "film.bin"),
                                      SIZE, 31), kind)
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name=kind,
                  options=[f"peer={source.address}"])
    if mount.status()["passthrough"] != "on":
        raise Skip("passthrough " + mount.status()["passthrough"])
    path = content_path(mount, torrent)
    want = digest(torrent.path)

    early = os.open(path, os.O_RDONLY)
    assert through(mount) == 0
    mapped = mmap.mmap(early, SIZE, mmap.MAP_SHARED, mmap.PROT_READ)
    number = os.stat(path).st_ino
    os.pread(early, 1000, 0)
    assert digest(path) == want

    late = durable(mount, path)
    assert os.stat(path).st_ino == os.fstat(late).st_ino == number
    assert os.fstat(early).st_ino == number
    again = os.open(path, os.O_RDONLY)
    assert through(mount) == 1      # one file, two opens
    file = blob(mount)
    assert os.stat(file).st_mode & MARK

    source.stop()
    os.unlink(file)
    for fd in (late, again):
        assert os.pread(fd, SIZE, 0) == mapped[:]
        os.close(fd)
    assert through(mount) == 0
    # The pages that the kernel kept of the other inode are still good.
    assert os.pread(early, SIZE, 0) == mapped[:]
    mapped.close()
    os.close(early)
    assert mount.stop() == 0
    os.remove(torrent.file)


def refuses(lab, reader, seed):
    """A hole in the blob: it is read by the daemon, or not at all."""
    torrent = make_torrent(write_blob(lab.path("h", "film.bin"), SIZE, 32))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, name="hole",
                  options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    assert_same(path, torrent.path)
    os.close(durable(mount, path))
    with open(blob(mount), "r+b") as file:
        file.truncate(SIZE // 2)
        file.truncate(SIZE)
    with open(path, "rb"):
        assert through(mount) == 0
    assert mount.stop() == 0


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for kind in ("v1", "v2"):
        passes(lab, reader, seed, kind)
    refuses(lab, reader, seed)


if __name__ == "__main__":
    run(scenario)
