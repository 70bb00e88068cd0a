"""One who plays a film, and what a second look takes."""

import os
import threading
import time


class Player(threading.Thread):
    """Reads a file as a film is played, over and over; `dry` is the longest that
    it was behind its clock, in seconds."""

    def __init__(self, path, bytes_per_second):
        super().__init__(daemon=True)
        self.path, self.rate = path, bytes_per_second
        self.dry, self.failed = 0, None
        self.is_over = threading.Event()

    def run(self):
        begun, played = time.monotonic(), 0
        try:
            with open(self.path, "rb", buffering=0) as film:
                while not self.is_over.is_set():
                    got = len(film.read(64 << 10))
                    if got == 0:
                        film.seek(0)
                    played += got
                    late = time.monotonic() - begun - played / self.rate
                    self.dry = max(self.dry, late)
                    if late < 0:
                        self.is_over.wait(-late)
        except OSError as error:
            self.failed = error


def forget(path):
    """The kernel's pages of it."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
