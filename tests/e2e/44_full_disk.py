"""Goal: somebody else fills the disk during playback. The film goes on, byte for
byte; one line says that the store is full; and when there is room again the
store keeps what comes, by itself.

FULL_SECONDS is how long the disk is full (8)."""

import contextlib
import os
import threading
import time

from lab import run, until
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

MIB = 1 << 20
DISK = 40 * MIB
RATE = 2 * MIB              # a second
FULL_SECONDS = float(os.environ.get("FULL_SECONDS", "8"))
SIZE = int(RATE * (FULL_SECONDS + 8)) // MIB * MIB


class Filler:
    """Takes whatever is free on a disk, and what becomes free, until it stops."""

    def __init__(self, path):
        self.path, self.over = path, threading.Event()
        self.thread = threading.Thread(target=self._fill)
        self.thread.start()

    def _fill(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT)
        while not self.over.wait(0.02):
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, b"x" * (64 << 10))
            with contextlib.suppress(OSError):
                os.write(fd, b"x")
        os.close(fd)

    def stop(self):
        self.over.set()
        self.thread.join()
        os.unlink(self.path)


def play(path, want, until_byte, file, started):
    """Read on, at the film's pace, and compare."""
    while file.tell() < until_byte:
        at = file.tell()
        time.sleep(max(0, started + at / RATE - time.monotonic()))
        got = file.read(min(MIB, until_byte - at))
        assert got and got == want[at:at + len(got)], at


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    disk = lab.disk("disk", DISK)
    torrent = make_torrent(write_blob(lab.path("film.bin"), SIZE, 44), "v1",
                           MIB)
    with open(torrent.path, "rb") as file:
        want = file.read()
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, store=f"{disk}/store", options=[
        "quota=32M", "min_free=0", f"peer={source.address}"])
    path = content_path(mount, torrent)
    held = lambda: mount.held(torrent.name, torrent.name)
    started = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        play(path, want, 4 * RATE, file, started)
        assert held() > 0
        filler = Filler(f"{disk}/others")
        play(path, want, int((4 + FULL_SECONDS) * RATE), file, started)
        filler.stop()
        play(path, want, SIZE, file, started)
    until(lambda: held() >= 4 * MIB, 20, "the store keeps again")
    said = [line for line in mount.proc.text().splitlines()
            if "it is full" in line or "failed" in line]
    assert len(said) == 1, mount.proc.text()
    assert mount.stop() == 0
    source.stop()


if __name__ == "__main__":
    run(scenario)
