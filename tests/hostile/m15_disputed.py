"""Goal: a hybrid whose two sides disagree about one piece (its v1 hash is of A,
its v2 root of B) is stopped when that is found: no read of the piece gives a
byte that is not right for both, those that wait end with EIO and a line says
why, what was read before stays right, and nobody is banned: the seeds of A and
of B are both honest, by what they know. Once by a seed of A, once by one of B,
once by both."""

import errno
import hashlib
import os
import struct
import threading

from hostile import *
from lab import run
from shoal import Mount
from swarm import libtorrent, write_blob

PIECE, PIECES, BAD = 65536, 6, 3


def make_torn(lab):
    """(.torrent, A, B): all of A but for v2's hashes, which are B's. libtorrent
    refuses to seed it, so the seeds are ours, each of its own side."""
    lt = libtorrent()
    paths = [write_blob(lab.path(side, "film.bin"), PIECES * PIECE - 99, 1)
             for side in "ab"]
    with open(paths[1], "r+b") as film:
        film.seek(BAD * PIECE + 7)
        film.write(b"another film altogether")
    made = []
    for path in paths:
        storage = lt.file_storage()
        lt.add_files(storage, path)
        maker = lt.create_torrent(storage, piece_size=PIECE)
        lt.set_piece_hashes(maker, os.path.dirname(path))
        made.append(maker.generate())
    made[0][b"info"][b"file tree"] = made[1][b"info"][b"file tree"]
    made[0][b"piece layers"] = made[1][b"piece layers"]
    file = lab.path("torn.torrent")
    with open(file, "wb") as out:
        out.write(lt.bencode(made[0]))
    info = lt.bencode(made[0][b"info"])
    return file, Side(paths[0], hashlib.sha1(info)), \
        Side(paths[1], hashlib.sha256(info))


class Side:
    """What one seed believes: the hash of its side, and that side's bytes. It
    serves the piece once the scenario says so."""

    piece_size = PIECE

    def __init__(self, path, digest):
        self.path, self.raw = path, digest.digest()[:20]
        with open(path, "rb") as film:
            self.content = film.read()
        self.may_serve = threading.Event()

    def serve(self, line):
        if greet(line, self, message(HAVE_ALL), message(UNCHOKE)):
            give(_Patient(line, self.may_serve), self)


class _Patient:
    """A line on which blocks of the disputed piece wait for their time, and
    nothing waits behind them."""

    def __init__(self, line, time_has_come):
        self.line, self.time_has_come = line, time_has_come
        self.lock = threading.Lock()
        self.messages = line.messages

    def send(self, data):
        if struct.unpack_from(">I", data, 5)[0] == BAD \
                and not self.time_has_come.is_set():
            threading.Thread(target=self._send_later, args=(data,),
                             daemon=True).start()
            return True
        with self.lock:
            return self.line.send(data)

    def _send_later(self, data):
        self.time_has_come.wait()
        with self.lock:
            self.line.send(data)


def read_some(path, index):
    """Of the piece, without the kernel's read-ahead."""
    film = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(film, 0, 0, os.POSIX_FADV_RANDOM)
        return os.pread(film, 4096, index * PIECE)
    finally:
        os.close(film)


def attack(victim, host, file, sides, label):
    servers = [Server(host, side.serve) for side in sides]
    mount = Mount(victim, "-d", file, name=label, options=[
        *(f"peer={server.name}" for server in servers)])
    path = mount.wait_path("film.bin", "film.bin")
    got = read_some(path, 0)
    assert got == sides[0].content[:4096]
    for side in sides:
        side.may_serve.set()
    try:
        read_some(path, BAD)
        raise AssertionError("a disputed piece was read")
    except OSError as error:
        assert error.errno == errno.EIO, error
    assert read_some(path, 0) == got
    shown = mount.status()["torrents"][0]
    print(f"{label}: {shown['state']}: {shown['why']}")
    assert shown["state"] == "failed" and f"piece {BAD}" in shown["why"]
    text = mount.proc.text()
    assert "contradicts itself" in text
    assert "sent wrong bytes" not in text and "banned" not in text
    assert mount.stop() == 0
    for server in servers:
        server.close()


def scenario(lab):
    victim, host = lab.hosts("victim", "seeds")
    lab.link(victim, host)
    for label in "a", "b", "ab":
        file, *sides = make_torn(lab)
        attack(victim, host, file, [sides["ab".index(side)]
                                    for side in label], f"of-{label}")


if __name__ == "__main__":
    run(scenario)
