"""Goal: a file that is not complete can be mapped, shared and private, and the
pages come as they are touched; what was read once comes from the page cache
with the daemon stopped, so that it cost no request at all."""

import mmap
import os
import signal

from lab import run, until
from shoal import Mount, content_path
from swarm import PIECE, make_torrent, start_seed, write_blob

SIZE = 40 * PIECE + 5


def read_while_stopped(mount, fd, want):
    """Whether the bytes come while the daemon cannot answer. In a child, for
    if they do not, it waits for ever."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if os.pread(fd, len(want), 0) == want else 2
        finally:
            os._exit(code)
    try:
        _, status = until(lambda: (found := os.waitpid(child, os.WNOHANG))[0]
                          and found, 5, "a read from the page cache")
    finally:
        os.kill(mount.daemon(), signal.SIGCONT)
    return os.waitstatus_to_exitcode(status) == 0


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), SIZE, 11))
    with open(torrent.path, "rb") as original:
        data = original.read()
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    fd = os.open(path, os.O_RDONLY)
    for flags, first in ((mmap.MAP_SHARED, 3), (mmap.MAP_PRIVATE, 20)):
        with mmap.mmap(fd, 0, flags, mmap.PROT_READ) as pages:
            for at in (first * PIECE + 7, (first + 2) * PIECE - 3):
                assert pages[at:at + 9] == data[at:at + 9]
            # The end of the last page is beyond the file, and is zero.
            assert pages[SIZE - 5:SIZE] == data[-5:]
    assert 0 < mount.held(torrent.name) < SIZE

    assert os.pread(fd, 4 * PIECE, 0) == data[:4 * PIECE]
    again = os.open(path, os.O_RDONLY)
    os.kill(mount.daemon(), signal.SIGSTOP)
    assert read_while_stopped(mount, again, data[:4 * PIECE])
    os.close(again)
    os.close(fd)
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
