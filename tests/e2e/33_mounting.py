"""Goal: it is mounted as every file system is: by mount(8) with its words of an
fstab line, by its helper, which knows mount(8)'s letters and mounts nothing
with -f; nosuid and nodev are there whatever the line says; a service manager
is told when the mount is up, and when it goes. However deep the mount point,
there is a place for its store."""

import os
import socket
import subprocess

from lab import need, run, until
from shoal import assert_same, program
from swarm import make_torrent, start_seed, write_blob

LINE = ("rw,suid,dev,exec,noauto,nofail,_netdev,user,x-systemd.automount,"
        "x-systemd.idle-timeout=10min,relatime")


def flags(path):
    with open("/proc/self/mountinfo") as table:
        for line in table:
            words = line.split()
            if words[4] == path:
                return words[5].split(","), words[words.index("-") + 1]
    raise AssertionError(f"{path} is not mounted")


def check(lab, path, torrent):
    words, kind = flags(path)
    assert kind == "fuse.shoalfs" and {"nosuid", "nodev"} <= set(words), words
    assert_same(os.path.join(path, torrent.name, torrent.name), torrent.path)


def gone(lab, path):
    until(lambda: not lab.mounted(path), 5, "unmounted")
    until(lambda: not any(path in line for line in lab.processes().values()),
          10, "ended")


def bind(folder, over):
    subprocess.run(["mount", "--bind", folder, over], check=True)


def scenario(lab):
    mount, umount = need("mount", "umount")
    need("mount.fuse3")
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 300_000, 33))
    source = start_seed(seed, torrent)
    ours = f"store={lab.path('store')},nodht,peer={source.address}"
    helper = os.path.join(lab.mkdir("sbin"), "mount.shoalfs")
    os.symlink(program(), helper)
    path = lab.mkdir("mnt")

    # mount.fuse3 has a PATH of its own; these mounts are the lab's alone.
    os.symlink(program(), os.path.join(lab.mkdir("bin"), "shoalfs"))
    bind(lab.path("bin"), "/usr/local/bin")
    done = reader.run([mount, "-t", "fuse.shoalfs", "-o", f"{LINE},{ours}",
                       torrent.file, path])
    subprocess.run([umount, "/usr/local/bin"], check=True)
    assert done.returncode == 0, done.stderr
    check(lab, path, torrent)
    assert reader.run([umount, path]).returncode == 0
    gone(lab, path)

    words = [helper, torrent.file, path, "-snv", "-o", f"{LINE},{ours}"]
    assert reader.run([*words, "-f"]).returncode == 0
    assert not lab.mounted(path)
    assert reader.run([*words, "-x"]).returncode == 1
    done = reader.run(words)
    assert done.returncode == 0, done.stderr
    check(lab, path, torrent)
    assert reader.run([umount, path]).returncode == 0
    gone(lab, path)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(lab.path("notify"))
        manager.settimeout(20)
        front = reader.start([program(), "-f", "-o", ours, torrent.file, path],
                             env={"NOTIFY_SOCKET": lab.path("notify")})
        assert manager.recv(100) == b"READY=1\n"
        assert os.listdir(path) == [".trackerignore", torrent.name]
        assert front.stop() == 0
        assert manager.recv(100) == b"STOPPING=1\n"

    # So deep that its path is no file name: each has a store all the same.
    home = lab.mkdir("home")
    for last in "a", "b":
        deep = lab.mkdir("d" * 200, "e" * 100, last)
        done = reader.run([program(), "-o", f"nodht,peer={source.address}",
                           torrent.file, deep],
                          env={**os.environ, "XDG_DATA_HOME": home})
        assert done.returncode == 0, done.stderr
        check(lab, deep, torrent)
        assert reader.run([umount, deep]).returncode == 0
        gone(lab, deep)
    assert len(os.listdir(os.path.join(home, "shoalfs"))) == 2
    source.stop()


if __name__ == "__main__":
    run(scenario)
