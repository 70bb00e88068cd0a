"""Goal: one mount holds a library. Torrents come by cp, by rsync's and file
managers' ways, by mv and by shoalctl, and go by rmdir and shoalctl rm; each is
durable when the program that did it returns, kill -9 or not; what is no
torrent is EINVAL and leaves nothing; names, inodes, times and sizes are those
from before; with `ro` nothing comes or goes."""

import errno
import json
import os
import shutil
import subprocess

from lab import run, until
from shoal import Mount, assert_same, program
from swarm import PEER_PORT, make_torrent, start_seed, write_blob


def refused(number, call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == number, (error, number)
        return
    raise AssertionError(f"{call.__name__}{args} was not refused")


def facts(mount):
    """What may not change."""
    found = {}
    for top, dirs, files in os.walk(mount.path):
        for name in dirs + files:
            path = os.path.join(top, name)
            st = os.lstat(path)
            found[os.path.relpath(path, mount.path)] = (
                st.st_ino, st.st_mtime, st.st_size, st.st_mode, st.st_nlink)
    return found


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrents = {}
    for number, name in enumerate(["one", "two", "three", "four", "five"]):
        write_blob(lab.path("c", name, "dir", "a.bin"), 300000, 100 + number)
        write_blob(lab.path("c", name, "b.bin"), 1000, 200 + number)
        torrents[name] = make_torrent(lab.path("c", name))
    write_blob(lab.path("again", "one", "other.bin"), 5000, 300)
    twin = make_torrent(lab.path("again", "one"))
    start_seed(seed, torrents["one"], "--no-tracker")

    # A file that passes through the kernel is read to its end, whatever became
    # of its torrent; here it is to come from the daemon.
    def start(*sources, **more):
        return Mount(reader, *sources, options=[
            f"peer={seed.ip4}:{PEER_PORT}", "port=7000", "nopassthrough"],
            **more)

    def ctl(*words, code=0):
        done = reader.run([program("shoalctl"), "-m", mount.path, *words])
        assert done.returncode == code, done
        return done.stdout if code == 0 else done.stderr

    def names():
        return set(os.listdir(mount.path)) - {".trackerignore"}

    mount = start()
    assert names() == set()

    # Ways to come. Each is there when the program returns.
    shutil.copy(torrents["one"].file, mount.path)
    assert names() == {"one"}
    assert "added two" in ctl("add", torrents["two"].file)
    subprocess.check_call(["rsync", "-a", torrents["three"].file, mount.path + "/"])
    copy = lab.path("mv.torrent")
    shutil.copy(torrents["four"].file, copy)
    subprocess.check_call(["mv", copy, mount.path])
    assert not os.path.exists(copy)
    part = mount.at("x.torrent.part")
    shutil.copy(torrents["five"].file, part)
    assert "x.torrent.part" not in names() or os.path.getsize(part) > 0
    os.rename(part, mount.at("x.torrent"))
    assert names() == {"one", "two", "three", "four", "five"}
    subprocess.check_call(["cp", "-p", torrents["one"].file, mount.path])  # once more
    assert "there already: one" in ctl("add", torrents["one"].file)
    ctl("add", twin.file)
    equal = {f"one [{twin.v1[:8]}]"}
    assert names() == set(torrents) | equal

    # What is no torrent.
    garbage = lab.path("garbage.torrent")
    with open(garbage, "wb") as file:
        file.write(b"d4:spam" * 1000)
    refused(errno.EINVAL, shutil.copy, garbage, mount.path)
    shutil.copy(garbage, mount.at("tmp"))
    refused(errno.EINVAL, os.rename, mount.at("tmp"), mount.at("y.torrent"))
    assert names() == set(torrents) | equal
    assert "not a valid torrent" in ctl("add", garbage, code=1)
    with open(mount.at("big.torrent"), "wb", buffering=0) as big:
        refused(errno.EFBIG, os.pwrite, big.fileno(), b"x", 128 << 20)
        big.write(b"d")
        refused(errno.EINVAL, os.close, os.dup(big.fileno()))
        with open(torrents["one"].file, "rb") as file:
            big.seek(0)
            big.write(file.read())

    # What else would write.
    refused(errno.EROFS, os.mkdir, mount.at("new"))
    refused(errno.EROFS, os.unlink, mount.at("one", "b.bin"))
    refused(errno.EROFS, os.rename, mount.at("one"), mount.at("uno"))
    refused(errno.EROFS, os.rmdir, mount.at("one", "dir"))
    refused(errno.EROFS, os.symlink, "x", mount.at("link"))
    refused(errno.EROFS, os.truncate, mount.at("one", "b.bin"), 0)
    refused(errno.EROFS, os.chmod, mount.at("one", "b.bin"), 0o777)
    refused(errno.EROFS, os.utime, mount.at("one"))
    refused(errno.EROFS, os.setxattr, mount.at("one"), "user.x", b"1")
    refused(errno.EROFS, os.open, mount.at("one", "new"),
            os.O_WRONLY | os.O_CREAT)
    refused(errno.EROFS, os.open, mount.at("one", "b.bin"), os.O_WRONLY)
    refused(errno.EROFS, os.link, mount.at("one", "b.bin"), mount.at("hard"))

    # Remembered: kill -9, and nothing named.
    assert_same(mount.at("one"), lab.path("c", "one"))
    before = facts(mount)
    mount.kill()
    mount = start()
    assert facts(mount) == before
    assert_same(mount.at("one"), lab.path("c", "one"))
    assert mount.stop() == 0
    mount = start(torrents["two"].file)
    assert facts(mount) == before

    # A link is there at once, remembered, and a torrent when somebody knows.
    link = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=wish"
    assert "added wish" in ctl("add", link)
    assert "wish" not in names()
    listed = {t["name"]: t["state"] for t in
              json.loads(ctl("ls", "--json"))["torrents"]}
    assert listed.keys() == names() | {"wish"}, listed
    mount.kill()
    mount = start()
    assert "wish" in ctl("ls")
    assert "removed wish" in ctl("rm", "wish")
    assert "no torrent wish" in ctl("rm", "wish", code=1)

    # Ways to go: the name at once, open files become stale, the disk is given
    # back, and all of it durably.
    held = os.path.join(mount.store, "torrents", torrents["one"].v1)
    assert os.path.isdir(held)
    stale = os.open(mount.at("one", "b.bin"), os.O_RDONLY | os.O_DIRECT)
    # At once, though the kernel knows the names; who stands elsewhere stays.
    os.stat(mount.at("one", "dir", "a.bin"))
    elsewhere = os.open(mount.at("two", "dir"), os.O_RDONLY)
    for part in mount.at("one", "dir"), "one/b.bin":
        assert "only as a whole" in ctl("rm", part, code=1)
    os.stat(mount.at("one", "dir", "a.bin"))
    ctl("rm", mount.at("one") + "/")
    for path in ("one",), ("one", "b.bin"), ("one", "dir", "a.bin"):
        refused(errno.ENOENT, os.stat, mount.at(*path))
    assert "one" not in names()
    assert os.stat("a.bin", dir_fd=elsewhere).st_size == 300000
    os.stat(mount.at("two", "dir"))
    assert os.readlink(f"/proc/self/fd/{elsewhere}") == mount.at("two", "dir")
    os.close(elsewhere)
    refused(errno.ESTALE, os.read, stale, 4096)
    os.close(stale)
    until(lambda: not os.path.isdir(held), 10, "its data is gone")
    os.rmdir(mount.at("two"))
    assert not os.path.exists(mount.at("two"))
    os.stat(mount.at("three", "b.bin"))
    os.rmdir(mount.at(torrents["three"].v1))
    refused(errno.ENOENT, os.stat, mount.at("three"))
    mount.kill()
    mount = start()
    assert names() == {"four", "five"} | equal  # under its name, alone now

    # Anew: what it was before, and all of it can be read.
    shutil.copy(torrents["one"].file, mount.path)
    assert names() == {"four", "five", f"one [{twin.v1[:8]}]", "one"}
    after = facts(mount)
    assert all(before[path] == after[path] for path in after)
    assert_same(mount.at("one"), lab.path("c", "one"))
    os.rmdir(mount.at("one"))
    shutil.copy(torrents["one"].file, mount.path)
    assert_same(mount.at("one"), lab.path("c", "one"))
    # So long that a worker looks at it; and the same, cut short.
    with open(lab.path("c", "long"), "wb") as file:
        file.truncate(320 << 20)
    long = make_torrent(lab.path("c", "long"), piece=16384)
    assert os.path.getsize(long.file) > 400_000
    assert "added long" in ctl("add", long.file)
    assert os.path.getsize(mount.at("long", "long")) == 320 << 20
    ctl("rm", "long")
    shutil.copy(long.file, mount.path)
    assert os.path.getsize(mount.at("long", "long")) == 320 << 20
    os.rmdir(mount.at("long"))
    # Under another name it is looked at when it is closed; who writes again
    # may do so, and what it is when it gets its name counts.
    part = mount.at("long.part")
    with open(long.file, "rb") as file:
        whole = file.read()
    shutil.copy(long.file, part)
    with open(part, "rb") as file:
        assert file.read() == whole
    subprocess.check_call(["mv", part, mount.at("long.torrent")])
    assert os.path.getsize(mount.at("long", "long")) == 320 << 20
    os.rmdir(mount.at("long"))
    subprocess.check_call(["rsync", "-a", long.file, mount.at("synced.torrent")])
    assert os.path.getsize(mount.at("long", "long")) == 320 << 20
    os.rmdir(mount.at("long"))
    with open(part, "wb") as file:
        file.write(whole)
        file.flush()
        os.close(os.dup(file.fileno()))
        file.seek(1)
        file.write(b"x")
    with open(part, "rb") as file:
        assert file.read() == whole[:1] + b"x" + whole[2:]
    refused(errno.EINVAL, os.rename, part, mount.at("long.torrent"))
    assert len(names()) == 4
    shutil.copy(long.file, part)
    os.unlink(part)
    assert len(names()) == 4
    os.truncate(long.file, os.path.getsize(long.file) - 1)
    refused(errno.EINVAL, shutil.copy, long.file, mount.path)
    assert len(names()) == 4
    assert mount.stop() == 0

    # Nothing comes or goes.
    mount = Mount(reader, options=["ro"])
    assert len(names()) == 4
    refused(errno.EROFS, shutil.copy, torrents["two"].file, mount.path)
    refused(errno.EROFS, os.rmdir, mount.at("one"))
    refused(errno.EROFS, os.mkdir, mount.at("new"))
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
