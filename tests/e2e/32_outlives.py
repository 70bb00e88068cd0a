"""Goal: the mount outlives its daemon. It is killed with -9 again and again, under
readers whose bytes are not there yet, in the middle of a checksum, while a file
passes through the kernel: each reader gets every byte, no one sees an error, open
files and mappings go on, and it is the same mount all the time, in front and
in the background. A daemon that crashes whenever it starts is given up. When
the holder is killed the mount is dead, and when it is told to end it goes. An
upgrade takes the program that is on disk by then, or goes on with the old one.

OUTLIVES_KILLS and OUTLIVES_BYTES make it longer."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

from lab import run, until
from shoal import Mount, content_path, program
from swarm import make_torrent, start_seed, write_blob

KILLS = int(os.environ.get("OUTLIVES_KILLS", "5"))
BYTES = int(os.environ.get("OUTLIVES_BYTES", str(40 << 20)))
SEED = random.randrange(1 << 32)


def mount_id(path):
    with open("/proc/self/mountinfo") as table:
        return [line.split()[0] for line in table
                if line.split()[4] == path]


def waiting(mount):
    return any(torrent["reads_waiting"]
               for torrent in mount.status()["torrents"])


def kill(mount):
    """-9 to the daemon, not to its holder; its number."""
    pid = until(mount.daemon, 10, "a daemon")
    os.kill(pid, signal.SIGKILL)
    return pid


def succeeded(mount, before):
    return until(lambda: mount.daemon() not in (0, before), 10, "another one")


def sum_under_kills(mount, path, want, number):
    """The checksum by a program of its own, whose daemon dies under it."""
    reader = mount.host.start(["sha256sum", path], f"sum{number}",
                              stdout=subprocess.PIPE)
    time.sleep(random.uniform(0, 0.25))
    kill(mount)
    text = reader.stdout.read().decode()
    assert reader.wait(60) == 0, reader.text()
    assert text.split()[0] == want, (SEED, number)


def cold(path):
    """Nothing of it is in the mount's page cache."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def kills(lab, reader, seed):
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), BYTES, 32))
    with open(torrent.path, "rb") as file:
        want = hashlib.sha256(file.read()).hexdigest()
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    number = mount_id(mount.path)
    path = content_path(mount, torrent)
    early = os.open(path, os.O_RDONLY)
    inode = os.fstat(early).st_ino
    for n in range(KILLS):
        cold(path)
        sum_under_kills(mount, path, want, n)
    assert mount_id(mount.path) == number
    assert os.pread(early, 4096, 0) == open(torrent.path, "rb").read(4096)
    assert os.fstat(early).st_ino == os.stat(path).st_ino == inode

    # Through the kernel, over deaths: the count of opens is the successor's.
    cold(path)
    assert digest_256(path) == want
    if mount.status()["passthrough"] == "on":
        def through():
            fd = os.open(path, os.O_RDONLY)
            if mount.status()["passthrough_files"] == 1:
                return fd
            os.close(fd)
            return None
        late = until(through, 15, "passed through")
        succeeded(mount, kill(mount))
        assert mount.status()["passthrough_files"] == 1
        again = os.open(path, os.O_RDONLY)
        assert mount.status()["passthrough_files"] == 1
        for fd in (late, again):
            assert hashlib.sha256(os.pread(fd, BYTES, 0)).hexdigest() == want
            os.close(fd)
        until(lambda: mount.status()["passthrough_files"] == 0, 5, "closed")
    os.close(early)
    assert mount.stop() == 0
    source.stop()


def waits(lab, reader, seed):
    """A reader and a mapping wait for bytes that nobody has; the daemon dies;
    then comes a peer."""
    torrent = make_torrent(write_blob(lab.path("w", "late.bin"), 900_000, 33))
    port = 6999
    mount = Mount(reader, torrent.file, name="waits",
                  options=[f"peer={seed.ip4}:{port}"])
    path = content_path(mount, torrent)
    got = reader.start(["sha256sum", path], "late", stdout=subprocess.PIPE)
    until(lambda: waiting(mount), 10, "waits")
    for _ in range(3):
        before = kill(mount)
        succeeded(mount, before)
        until(lambda: waiting(mount), 10,
              "waits again")
    source = start_seed(seed, torrent, port=port)
    text = got.stdout.read().decode()
    assert got.wait(30) == 0, got.text()
    assert text.split()[0] == digest_256(torrent.path)
    source.stop()
    assert mount.stop() == 0


def digest_256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def gives_up(lab, reader):
    """One that crashes is followed a few times, and no more."""
    torrent = make_torrent(write_blob(lab.path("g", "x.bin"), 100_000, 34))
    mount = Mount(reader, torrent.file, name="crash")
    content_path(mount, torrent)
    deaths = 0
    while "giving up" not in mount.proc.text() and deaths < 20:
        pid = mount.daemon()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
                deaths += 1
            until(lambda: mount.daemon() != pid or not mount.proc.running(),
                  10, "it died")
        time.sleep(0.02)
    assert mount.proc.wait(10) in (1, 4), mount.proc.text()
    assert mount.proc.text().count("another one takes over") == 5
    assert not lab.mounted(mount.path)


def holder_dies(lab, reader):
    torrent = make_torrent(write_blob(lab.path("h", "x.bin"), 100_000, 35))
    mount = Mount(reader, torrent.file, name="holder")
    daemon = mount.daemon()
    mount.kill()
    until(lambda: daemon not in lab.processes(), 5, "both are gone")

    path = lab.fresh_dir("back")
    done = reader.run([program(), "-o", f"store={mount.store},nodht",
                       torrent.file, path])
    assert done.returncode == 0, done.stderr
    holder = [pid for pid in lab.processes()
              if path in open(f"/proc/{pid}/cmdline").read()]
    assert len(holder) == 2, holder
    os.kill(max(holder), signal.SIGKILL)
    until(lambda: os.listdir(path), 10, "another one answers")
    os.kill(min(holder), signal.SIGTERM)
    until(lambda: not lab.mounted(path), 5, "unmounted")
    until(lambda: not lab.processes(), 5, "ended")


def upgrades(lab, reader, seed):
    """A reader waits, and a new program lies where the old one was: it takes
    over. Then there is none that can be started."""
    torrent = make_torrent(write_blob(lab.path("u", "up.bin"), 900_000, 36))
    path, port = os.path.join(lab.fresh_dir("bin"), "shoalfs"), 6998
    before, built = os.environ["SHOALFS_BIN"], program()
    shutil.copy(built, path)
    os.environ["SHOALFS_BIN"] = os.path.dirname(path)
    try:
        mount = Mount(reader, torrent.file, name="up",
                      options=[f"peer={seed.ip4}:{port}"])
    finally:
        os.environ["SHOALFS_BIN"] = before
    number, old = mount_id(mount.path), mount.daemon()
    got = reader.start(["sha256sum", content_path(mount, torrent)], "up",
                       stdout=subprocess.PIPE)
    until(lambda: waiting(mount), 10, "waits")

    shutil.copy(built, path + ".new")
    os.rename(path + ".new", path)
    os.kill(mount.proc.pid, signal.SIGUSR2)
    succeeded(mount, old)
    until(lambda: waiting(mount), 10, "waits again")
    new = mount.daemon()
    assert os.stat(f"/proc/{new}/exe").st_ino == os.stat(path).st_ino
    assert os.stat(f"/proc/{mount.proc.pid}/exe").st_ino \
        != os.stat(path).st_ino
    source = start_seed(seed, torrent, port=port)
    text = got.stdout.read().decode()
    assert got.wait(30) == 0, got.text()
    assert text.split()[0] == digest_256(torrent.path)

    os.unlink(path)
    os.kill(mount.proc.pid, signal.SIGUSR2)
    succeeded(mount, new)
    assert digest_256(content_path(mount, torrent)) \
        == digest_256(torrent.path)
    assert "the old program goes on" in mount.proc.text()
    assert mount_id(mount.path) == number
    source.stop()
    assert mount.stop() == 0


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    print(f"seed {SEED}")
    random.seed(SEED)
    kills(lab, reader, seed)
    waits(lab, reader, seed)
    upgrades(lab, reader, seed)
    gives_up(lab, reader)
    holder_dies(lab, reader)


if __name__ == "__main__":
    run(scenario)
