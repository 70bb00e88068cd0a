"""shoalfs under test: its programs, a mount, what the mount says of itself.

SHOALFS_BIN is the directory of the programs."""

import contextlib
import json
import os

import kept
from lab import Skip, until
from swarm import digest, tree_digest

MOUNT_SECONDS = 30


def program(name="shoalfs"):
    folder = os.environ.get("SHOALFS_BIN", "")
    path = os.path.join(folder, name)
    if not folder or not os.access(path, os.X_OK):
        raise Skip(f"{name} is not built (SHOALFS_BIN)")
    return path


def daemon_of(pid):
    """The daemon of a shoalfs in front, which holds the mount; 0: none."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return int((children.read().split() or [0])[0])
    except OSError:
        return 0


class Mount:
    """A shoalfs in front, on its own store. `options` are those of -o. `dht`:
    the nodes that it begins at; without any it stays out of the DHT."""

    def __init__(self, host, *sources, options=(), name="mnt", store=None,
                 dht=()):
        lab = host.lab
        self.host, self.lab = host, lab
        self.path = lab.path(f"{host.name}-{name}")
        self.store = store or lab.path(f"{host.name}-{name}.store")
        os.makedirs(self.path, exist_ok=True)
        words = [f"store={self.store}", *options]
        words += [f"dht_bootstrap={node}" for node in dht] or ["nodht"]
        self.is_alone = "-d" in sources
        self.proc = host.start([program(), "-f", "-o", ",".join(words),
                                *sources, self.path])
        self._wait_mounted()

    def _wait_mounted(self):
        def answers():
            if not self.proc.running():
                raise OSError(f"shoalfs ended: {self.proc.text()}")
            return self.lab.mounted(self.path)
        until(answers, MOUNT_SECONDS, "mounted")

    def daemon(self):
        """The number of the process that serves: a child of the one that was
        started, or with -d itself; 0 when there is none just now."""
        return self.proc.pid if self.is_alone else daemon_of(self.proc.pid)

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def wait_path(self, *parts, seconds=20):
        """The path below the mount point, once it is there."""
        path = self.at(*parts)
        until(lambda: os.path.lexists(path), seconds, path)
        return path

    def status(self):
        with open(self.at(".shoalfs", "status.json")) as text:
            return json.load(text)

    def held(self, *parts):
        """Bytes verified and kept, by the extended attribute."""
        return int(os.getxattr(self.at(*parts), "user.shoalfs.held"))

    def stop(self, seconds=10):
        """SIGTERM; the exit code. What stays mounted is left for leaks()."""
        code = self.proc.stop(seconds)
        if code == 0 and self.lab.mounted(self.path):
            raise AssertionError(f"{self.path} is still mounted")
        return code

    def kill(self):
        """kill -9, and the dead mount cleared away."""
        self.proc.popen.kill()
        self.proc.wait(10)
        self.clear()

    def clear(self):
        with contextlib.suppress(OSError):
            self.host.run(["fusermount3", "-uz", self.path])
        until(lambda: not self.lab.mounted(self.path), 5, "cleared")

    def committed(self):
        """The pieces that the index on disk says are held, by torrent number
        (kept.py)."""
        return kept.committed(self.store, self.lab.fresh_dir("index"))


def content_path(mount, torrent):
    """Where the torrent's content stands below the mount: its directory, or
    the file in it."""
    if os.path.isdir(torrent.path):
        return mount.wait_path(torrent.name)
    return mount.wait_path(torrent.name, torrent.name)


def assert_same(got, want):
    """Two files, or two trees: names, kinds and every byte."""
    if not os.path.isdir(want):
        assert os.path.getsize(got) == os.path.getsize(want), got
        assert digest(got) == digest(want), got
        return
    shapes = [sorted((os.path.relpath(folder, root), sorted(folders),
                      sorted(names))
                     for folder, folders, names in os.walk(root))
              for root in (got, want)]
    assert shapes[0] == shapes[1], shapes
    assert tree_digest(got) == tree_digest(want)
