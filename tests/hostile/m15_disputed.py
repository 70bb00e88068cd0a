"""Goal: a hybrid whose two sides disagree about one piece (its v1 hash is of A,
its v2 root of B) is stopped when that is found: no read of the piece gives a
byte that is not right for both, those that wait end with EIO and a line says
why, what was read before stays right, and nobody is banned: the seeds of A and
of B are both honest, by what they know. Once by a seed of A, once by one of B,
once by both. Where B's seed tells the leaves, too, a read may be answered with
what v2's root proves before the piece is whole; never with a byte of A's (whose
block a leaf then proves wrong, so its sender goes), and when it is whole it
ends as the others do."""

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
PIECE_ID, HASH_REQUEST, HASHES = 7, 21, 22


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


def tree_of(content):
    """The levels of a file's hash tree, from the leaves to the root."""
    level = [hashlib.sha256(content[at:at + BLOCK]).digest()
             for at in range(0, len(content), BLOCK)]
    level += [bytes(32)] * (2 ** (len(level) - 1).bit_length() - len(level))
    levels = [level]
    while len(level) > 1:
        level = [hashlib.sha256(level[at] + level[at + 1]).digest()
                 for at in range(0, len(level), 2)]
        levels.append(level)
    return levels


class Leafy(Side):
    """B's seed, that tells hashes: of the disputed piece it serves the first
    block at once, the others once the scenario says so."""

    def __init__(self, side):
        self.__dict__ = dict(side.__dict__)
        self.levels, self.told = tree_of(self.content), 0

    def serve(self, line):
        lock = threading.Lock()
        greet(line, self, message(HAVE_ALL), message(UNCHOKE))
        for kind, body in line.messages():
            if kind == HASH_REQUEST:
                with lock:
                    line.send(message(HASHES, body + self._hashes(body)))
            elif kind == REQUEST:
                piece, begin, length = struct.unpack(">III", body)
                at = piece * PIECE + begin
                block = message(PIECE_ID, body[:8]
                                + self.content[at:at + length])
                threading.Thread(target=self._give, daemon=True, args=(
                    line, lock, block, piece == BAD and begin > 0)).start()

    def _give(self, line, lock, block, is_late):
        if is_late:
            self.may_serve.wait()
        with lock:
            line.send(block)

    def _hashes(self, body):
        base, index, length, proof = struct.unpack(">4I", body[32:48])
        self.told += base == 0
        found = self.levels[base][index:index + length]
        up = length.bit_length() - 1
        for level in range(base + up, base + proof + 1):
            found.append(self.levels[level][(index >> (level - base)) ^ 1])
        return b"".join(found)


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
    try:                        # as long as the kernel has kept it
        assert read_some(path, 0) == got
    except OSError as error:
        assert error.errno == errno.EIO, error
    shown = mount.status()["torrents"][0]
    print(f"{label}: {shown['state']}: {shown['why']}")
    assert shown["state"] == "failed" and f"piece {BAD}" in shown["why"]
    text = mount.proc.text()
    assert "contradicts itself" in text
    assert "sent wrong bytes" not in text and "banned" not in text
    assert mount.stop() == 0
    for server in servers:
        server.close()


def attack_leaves(victim, hosts, file, sides, label):
    """What is read of the piece while it is not whole is B's. Whose block a
    leaf proves wrong is banned with his address, so B has one of its own."""
    sides[-1] = Leafy(sides[-1])
    servers = [Server(host, side.serve)
               for host, side in zip(hosts[-len(sides):], sides)]
    mount = Mount(victim, "-d", file, name=label, options=[
        *(f"peer={server.name}" for server in servers)])
    path = mount.wait_path("film.bin", "film.bin")
    for side in sides[:-1]:
        side.may_serve.set()
    theirs, got = sides[-1].content[BAD * PIECE:(BAD + 1) * PIECE], []
    for at in range(0, PIECE, BLOCK):
        try:
            with open(path, "rb") as film:
                os.posix_fadvise(film.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
                got.append(os.pread(film.fileno(), 4096, BAD * PIECE + at))
            assert got[-1] == theirs[at:at + 4096]
        except OSError as error:
            assert error.errno == errno.EIO, error
        sides[-1].may_serve.set()
    # Beside A's seed the piece may be whole before a leaf was told.
    assert sides[-1].told and got or len(sides) > 1
    until(lambda: mount.status()["torrents"][0]["state"] == "failed", 10,
          "the piece is whole")
    shown = mount.status()["torrents"][0]
    print(f"{label}: {len(got)} reads by leaves, then {shown['why']}")
    assert f"piece {BAD}" in shown["why"]
    with open(path, "rb") as film:
        film.seek((BAD + 1) * PIECE)
        try:
            film.read()
            raise AssertionError("it was read after it failed")
        except OSError as error:
            assert error.errno == errno.EIO, error
    assert "contradicts itself" in mount.proc.text()
    assert mount.stop() == 0
    for server in servers:
        server.close()


def scenario(lab):
    victim, host, other = lab.hosts("victim", "seeds", "leafy")
    lab.link(victim, host, other)
    for label in "a", "b", "ab":
        file, *sides = make_torn(lab)
        attack(victim, host, file, [sides["ab".index(side)]
                                    for side in label], f"of-{label}")
    for label in "b", "ab":
        file, *sides = make_torn(lab)
        attack_leaves(victim, (host, other), file, [sides["ab".index(side)]
                                           for side in label],
                      f"leaves-of-{label}")


if __name__ == "__main__":
    run(scenario)
