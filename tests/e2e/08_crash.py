"""Goal: nothing that was committed is lost to kill -9, and nothing else is
believed. After a crash amid reading, a mount of the same store without any
peer reads every piece whose row was committed, fails the others with EIO
within read_timeout, and shows no wrong byte. What was written behind the last
commit makes its blob doubtful: each piece of it is hashed once, when it is read."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

from lab import SLOW, run, until
from shoal import Mount, content_path
from swarm import PIECE, make_torrent, start_seed, write_blob

COUNT = 96
TIMEOUT = 2


def read_piece(path, piece):
    """The piece's bytes, or the errno, and the seconds it took."""
    began = time.monotonic()
    fd = os.open(path, os.O_RDONLY)
    try:
        # The kernel's read-ahead would ask for the neighbours too.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        answer = os.pread(fd, PIECE, piece * PIECE)
    except OSError as error:
        answer = error.errno
    finally:
        os.close(fd)
    return answer, time.monotonic() - began


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"),
                                      COUNT * PIECE - 99, 8))
    source = start_seed(seed, torrent, "--up-limit=2000000")
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    cat = reader.start(["cat", content_path(mount, torrent)], "cat",
                       stdout=open(os.devnull, "wb"))
    until(mount.committed, 30, "a first commit")
    mount.kill()
    assert cat.wait(5) != 0
    source.stop()
    committed, = mount.committed().values()
    print(f"{len(committed)} of {COUNT} pieces were committed")
    assert 0 < len(committed) < COUNT

    again = Mount(reader, torrent.file, store=mount.store, name="again",
                  options=[f"read_timeout={TIMEOUT}"])
    path = content_path(again, torrent)
    with ThreadPoolExecutor(COUNT) as pool:
        answers = list(pool.map(lambda n: read_piece(path, n), range(COUNT)))
    with open(torrent.path, "rb") as original:
        for piece, (answer, seconds) in enumerate(answers):
            want = original.read(PIECE)
            if piece in committed:
                assert answer == want, piece
            else:
                assert answer == errno.EIO, (piece, answer)
                assert seconds < (TIMEOUT + 3) * SLOW, (piece, seconds)
    now = again.status()["torrents"][0]
    assert now["pieces_hashed"] <= len(committed), now
    assert now["pieces_held"] == len(committed), now
    assert again.stop() == 0


if __name__ == "__main__":
    run(scenario)
