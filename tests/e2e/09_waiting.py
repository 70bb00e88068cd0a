"""Goal: a mount with readers that wait for a torrent without peers can always be
ended, and is of use until then. With 64 of them ls, stat and df answer at once;
SIGTERM to the daemon, and a lazy unmount by somebody else, give each reader an
error, and the daemon ends with 0 in time and leaves nothing mounted."""

import os
import signal
import time

from lab import SLOW, run, until
from shoal import Mount, content_path
from swarm import make_torrent, write_blob

READERS = 64
STRIDE = 128 * 1024     # further apart than the kernel's read-ahead
END_SECONDS = 5
ANSWER_SECONDS = 0.2


def waiting(mount):
    return mount.status()["torrents"][0]["reads_waiting"]


def start_readers(host, path, count):
    return [host.start(["dd", f"if={path}", "of=/dev/null", "bs=4096",
                        "count=1", f"skip={index * STRIDE // 4096}"],
                       f"dd{index}") for index in range(count)]


def slowest(*calls):
    """The longest of 20 goes at each call."""
    worst = 0
    for _ in range(20):
        for call in calls:
            began = time.monotonic()
            call()
            worst = max(worst, time.monotonic() - began)
    return worst


def end_with_readers(host, torrent, how, name):
    """Fill a mount with waiting readers and end it by `how`."""
    mount = Mount(host, torrent.file, name=name)
    path = content_path(mount, torrent)
    readers = start_readers(host, path, READERS)
    until(lambda: waiting(mount) >= READERS, 20, "all readers wait")
    answer = slowest(lambda: os.listdir(mount.at(torrent.name)),
                     lambda: os.stat(path), lambda: os.listdir(mount.path),
                     lambda: os.statvfs(mount.path))
    began = time.monotonic()
    how(mount)
    code = mount.proc.wait(30)
    seconds = time.monotonic() - began
    print(f"{name}: answers within {answer * 1e3:.1f} ms, "
          f"end in {seconds:.2f} s")
    assert code == 0 and seconds < END_SECONDS * SLOW
    assert answer < ANSWER_SECONDS * SLOW
    for reader in readers:
        assert reader.wait(5) > 0, "a reader got bytes from nowhere"
    assert not mount.host.lab.mounted(mount.path)


def scenario(lab):
    host, = lab.hosts("host")
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"),
                                      READERS * STRIDE, 9))
    end_with_readers(host, torrent,
                     lambda mount: mount.proc.signal(signal.SIGTERM), "term")
    end_with_readers(host, torrent, lambda mount: host.run(
        ["fusermount3", "-uz", mount.path]), "lazy")


if __name__ == "__main__":
    run(scenario)
