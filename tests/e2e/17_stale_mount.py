"""Goal: a mount is never in the way of the next one. After kill -9 the same
command mounts again at the same place, in front and in the background, with
the slash that a shell puts behind the name and by a relative path, and the
kept pieces are read without a peer; a mount that lives is not touched. A
command that is unmounted or interrupted before it has returned says so, and
nothing stays mounted."""

import os
import signal

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import make_torrent, start_seed, write_blob

INTERRUPTED, MOUNT = 8, 32
NOBODY = "magnet:?xt=urn:btih:" + "a" * 40


def kill(mount):
    """kill -9; the dead mount stays."""
    mount.proc.popen.kill()
    mount.proc.wait(10)
    try:
        os.listdir(mount.path)
    except OSError:
        return
    raise AssertionError("the mount outlived its process")


def unmount(host, path):
    host.run(["fusermount3", "-u", path])
    until(lambda: not host.lab.mounted(path), 5, "unmounted")


def all_committed(mount, torrent):
    return len(next(iter(mount.committed().values()), ())) == torrent.pieces


def remounts(lab, reader, seed):
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 900_000, 17))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    assert_same(content_path(mount, torrent), torrent.path)
    until(lambda: all_committed(mount, torrent), 10, "everything committed")
    source.stop()
    above, name = os.path.split(mount.path)
    for place in (mount.path + "/", name, f"./{name}//"):
        command = [program(), "-o", f"store={mount.store}", torrent.file,
                   place]
        kill(mount)
        done = reader.run(command, cwd=above)
        assert done.returncode == 0, (place, done.stderr)
        twice = reader.run(command, cwd=above)
        assert twice.returncode == MOUNT, (place, twice.stderr)
        assert_same(content_path(mount, torrent), torrent.path)
        unmount(reader, mount.path)
        # The lock goes with the process, a moment after the mount.
        until(lambda: not lab.processes(), 5, "the process ended")
        mount = Mount(reader, torrent.file, store=mount.store)
        assert_same(content_path(mount, torrent), torrent.path)
    kill(mount)
    front = reader.start([program(), "-f", "-o", f"store={mount.store}",
                          torrent.file, mount.path])
    assert_same(content_path(mount, torrent), torrent.path)
    assert front.stop() == 0


def ends_early(lab, reader, end):
    """What the shell sees when `end` comes while the command still waits."""
    path = lab.fresh_dir("early")
    command = reader.start([program(), "-o", "store=memory:1M", NOBODY, path],
                           name=os.path.basename(path))
    until(lambda: lab.mounted(path), 20, "mounted")
    end(command, path)
    assert command.wait(10) == INTERRUPTED, command.text()
    assert len(command.text().splitlines()) == 1, command.text()
    until(lambda: not lab.mounted(path), 5, "nothing mounted")


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    remounts(lab, reader, seed)
    ends_early(lab, reader,
               lambda command, path: reader.run(["fusermount3", "-u", path]))
    ends_early(lab, reader,
               lambda command, path: command.signal(signal.SIGTERM))


if __name__ == "__main__":
    run(scenario)
