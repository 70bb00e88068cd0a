"""The ceiling of fetching as a participant (ceiling_fetch.c, built on the spot):
a leecher that does only what none can do without. What it reaches is what this
machine, its kernel and its memory allow in this run."""

import os
import subprocess

import trial
from swarm import libtorrent

SOURCES = [f"tests/bench/ceiling_{name}.c" for name in (
    "fetch", "wire", "mount")] + [f"core/{name}.c" for name in (
        "hash", "hash_row", "hash_few", "hash_lanes", "mem")]
SECONDS = 20


def program(lab):
    path = lab.path("ceiling_fetch")
    if not os.path.exists(path):
        subprocess.run(["cc", "-O2", "-g", "-I.", "-o", path, *SOURCES,
                        "-lcrypto"], cwd=trial.TOP, check=True)
    return path


def hashes(lab, torrent):
    """A file of the pieces' digests."""
    path = lab.path(f"{torrent.v1}.hashes")
    if not os.path.exists(path):
        info = libtorrent().torrent_info(torrent.file)
        with open(path, "wb") as out:
            for piece in range(torrent.pieces):
                out.write(info.hash_for_piece(piece))
    return path


class Ceiling:
    """It is connected and has been unchoked; with `point` it is mounted there,
    and begins when its file is opened, else by go()."""

    def __init__(self, host, torrent, address, into, point=None):
        where, port = address.rsplit(":", 1)
        words = [program(host.lab), where, port, torrent.v1, torrent.size,
                 torrent.piece_size, hashes(host.lab, torrent),
                 os.path.join(into, "ceiling")]
        self.proc = host.start(words + [point] * bool(point), "ceiling",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.path = point and os.path.join(point, "file")
        self.heard("ready")

    def heard(self, word):
        said = self.proc.stdout.readline().decode().split()
        if said[:1] != [word]:
            raise OSError(f"the ceiling ended: {self.proc.text()}")
        return said[1:]

    def go(self):
        self.proc.stdin.write(b"go\n")
        self.proc.stdin.flush()

    def done(self):
        """Seconds from its beginning until all was written."""
        return float(self.heard("done")[0])

    def stop(self):
        self.proc.stdin.close()
        try:
            code = self.proc.wait(SECONDS)
        finally:
            self.proc.stop()
        if code != 0:
            raise OSError(f"the ceiling ended with {code}: "
                          f"{self.proc.text()}")
