"""Goal: where an administrator has set fs.fuse.max_request_timeout, after which
the kernel cuts a whole mount because of one late answer, reads that wait end
before that, one by one, and the mount lives; a daemon that does not answer at
all is cut, so the limit was in force."""

import errno
import os
import signal
import time

from lab import Skip, run, until
from shoal import Mount, content_path
from swarm import make_torrent, write_blob

LIMITS = [f"/proc/sys/fs/fuse/{name}"
          for name in ("max_request_timeout", "default_request_timeout")]
LIMIT_S = 4
CHECK_S = 15    # the kernel looks for late requests so often


def set_limits(values):
    for path, value in zip(LIMITS, values):
        with open(path, "w") as limit:
            limit.write(value)


def mount_with_limit(host, source):
    """The limit is for all new mounts of the machine: it stands no longer than
    it takes."""
    old = []
    for path in LIMITS:
        if not os.access(path, os.W_OK):
            raise Skip(f"this kernel has no {path}")
        with open(path) as limit:
            old.append(limit.read())
    try:
        set_limits([str(LIMIT_S)] * 2)
        mount = Mount(host, source)
        mount.status()      # so that INIT was answered
    finally:
        set_limits(old)
    return mount


def read(path):
    """(seconds, errno) of a read of bytes that nobody has."""
    began = time.monotonic()
    try:
        with open(path, "rb", buffering=0) as file:
            file.read(1)
    except OSError as error:
        return time.monotonic() - began, error.errno
    raise AssertionError("bytes from nowhere")


def scenario(lab):
    host, = lab.hosts("host")
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 300_000, 37))
    mount = mount_with_limit(host, torrent.file)
    path = content_path(mount, torrent)
    until_s = time.monotonic() + CHECK_S + LIMIT_S + 1
    while time.monotonic() < until_s:
        seconds, number = read(path)
        print(f"{errno.errorcode[number]} after {seconds:.1f} s")
        assert number == errno.EIO, number
        assert seconds < 2 * LIMIT_S     # there are two requests to it
    assert mount.proc.running() and os.listdir(mount.path)[1:] == [torrent.name]

    daemon = mount.daemon()
    os.kill(daemon, signal.SIGSTOP)
    reader = host.start(["cat", path])
    assert reader.wait(CHECK_S + LIMIT_S + 10) == 1
    os.kill(daemon, signal.SIGCONT)
    until(lambda: not lab.mounted(mount.path), 10, "the dead mount is gone")
    assert mount.proc.wait(10) != 0


if __name__ == "__main__":
    run(scenario)
