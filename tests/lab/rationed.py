"""Readers of more than the store may keep, and what the store takes meanwhile.

A reader begins somewhere in the file, reads to its end and then what is before,
and compares every byte; several of them, at places far from each other, want
what the others' bytes have to go for."""

import os
import subprocess
import threading

SAMPLE_SECONDS = 0.1


def taken(store):
    """What `du` says: the blocks of all that lies below, in bytes."""
    blocks = 0
    for folder, _, names in os.walk(store):
        for name in [".", *names]:
            try:
                blocks += os.lstat(os.path.join(folder, name)).st_blocks
            except FileNotFoundError:
                pass  # SQLite's log, just now
    return blocks * 512


class Watch:
    """Samples of what a store takes, from the beginning of a `with` to its
    end."""

    def __init__(self, store):
        self.store, self.samples = store, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.over.wait(SAMPLE_SECONDS):
            self.samples.append(taken(self.store))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *reason):
        self.over.set()
        self.thread.join()
        self.samples.append(taken(self.store))

    def largest(self):
        return max(self.samples)


def _compare(got, want, start, length, deadline):
    done = subprocess.run(["cmp", "-i", str(start), "-n", str(length), got,
                           want], capture_output=True, text=True,
                          timeout=deadline)
    return done.stdout + done.stderr


def _read(got, want, start, passes, deadline, wrong):
    size = os.path.getsize(want)
    try:
        for _ in range(passes):
            for part in (start, size - start), (0, start):
                if part[1] and (said := _compare(got, want, *part, deadline)):
                    wrong.append(said)
                    return
    except (OSError, subprocess.SubprocessError) as error:
        wrong.append(str(error))


def read_all(got, want, readers=3, passes=2, deadline=600):
    """Every reader reads all of `got`, `passes` times over, and finds what
    `want` has; a stretch takes no longer than `deadline` seconds."""
    wrong = []
    size = os.path.getsize(want)
    threads = [threading.Thread(target=_read, args=(
        got, want, size * i // readers, passes, deadline, wrong))
        for i in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
