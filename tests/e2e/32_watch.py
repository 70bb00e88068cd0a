"""Goal: a directory as SOURCE is watched. What lies in it is there when the
mount is; what is written, moved or linked into it comes, many at once too; half-written
files, other names and garbage do not; a file that goes takes nothing. An
http address of a .torrent is a SOURCE, for shoalfs and for shoalctl."""

import os
import shutil
import sys
import time

from lab import run, until
from shoal import Mount, program
from swarm import make_torrent, write_blob


def scenario(lab):
    reader, other = lab.hosts("reader", "other")
    lab.link(reader, other)
    torrents = {}
    for number in range(42):
        name = f"t{number:02}"
        write_blob(lab.path("c", name, "a.bin"), 100, number)
        torrents[name] = make_torrent(lab.path("c", name)).file
    folder = lab.path("watched")
    os.mkdir(folder)
    shutil.copy(torrents["t00"], folder)
    shutil.copy(torrents["t01"], folder)
    with open(os.path.join(folder, "old.torrent"), "wb") as garbage:
        garbage.write(b"garbage")

    mount = Mount(reader, folder)

    def names():
        return set(os.listdir(mount.path)) - {".trackerignore"}

    def comes(*wanted):
        until(lambda: set(wanted) <= names(), 20, f"{wanted} of {names()}")
    comes("t00", "t01")

    # Written in pieces: nothing before the end.
    with open(torrents["t02"], "rb") as source:
        data = source.read()
    with open(os.path.join(folder, "slow.torrent"), "wb", buffering=0) as slow:
        slow.write(data[:40])
        time.sleep(0.3)
        assert "t02" not in names()
        slow.write(data[40:])
    comes("t02")

    # Moved there; under names that are not meant.
    shutil.copy(torrents["t03"], os.path.join(folder, ".t03.torrent.tmp"))
    shutil.copy(torrents["t04"], os.path.join(folder, ".hidden.torrent"))
    shutil.copy(torrents["t04"], os.path.join(folder, "t04"))
    os.rename(os.path.join(folder, ".t03.torrent.tmp"),
              os.path.join(folder, "t03.torrent"))
    comes("t03")
    assert "t04" not in names()

    # Many at once.
    for number in range(5, 40):
        shutil.copy(torrents[f"t{number:02}"], folder)
    comes(*(f"t{number:02}" for number in range(5, 40)))

    # Linked there.
    os.link(torrents["t40"], os.path.join(folder, "t40.torrent"))
    comes("t40")
    shutil.copy(torrents["t41"], os.path.join(folder, ".t41.torrent"))
    os.symlink(".t41.torrent", os.path.join(folder, "t41.torrent"))
    comes("t41")

    # Gone there, and here it stays, also over a restart without the folder,
    # once it is more than a name.
    def is_ready():
        states = [t["state"] for t in mount.status()["torrents"]]
        return states == ["ready"] * (len(torrents) - 1)
    until(is_ready, 20, "all to be ready")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    mount.kill()
    mount = Mount(reader)
    assert names() == set(torrents) - {"t04"}
    assert mount.stop() == 0

    # It goes elsewhere: that is said, and what comes into it is none of ours.
    moved = lab.path("moved")
    gone = Mount(other, folder, name="gone")
    os.rename(folder, moved)
    until(lambda: "not watched any more" in gone.proc.text(), 20, "it is said")
    shutil.copy(torrents["t00"], moved)
    shutil.copy(torrents["t01"], gone.path)
    until(lambda: os.path.exists(gone.at("t01")), 20, "t01")
    assert gone.stop() == 0
    assert "t00" not in gone.proc.text(), gone.proc.text()
    os.unlink(os.path.join(moved, os.path.basename(torrents["t00"])))
    os.rename(moved, folder)

    # shoalctl takes a folder once, and an address.
    mount = Mount(other, name="second")
    shutil.copy(torrents["t00"], folder)
    shutil.copy(torrents["t01"], folder)

    def ctl(*words, code=0):
        done = other.run([program("shoalctl"), "-m", mount.path, *words])
        assert done.returncode == code, done
        return done.stdout if code == 0 else done.stderr
    assert ctl("add", folder).count("added") == 2
    assert names() == {"t00", "t01"}
    where = lab.path("c")
    other.start([sys.executable, "-m", "http.server", "--directory", where,
                 "--bind", "127.0.0.1", "8000"])
    base = "http://127.0.0.1:8000/"

    def added():
        done = other.run([program("shoalctl"), "-m", mount.path, "add",
                          base + os.path.basename(torrents["t07"])])
        return done.returncode == 0
    until(added, 20, "the web server answers")
    assert names() == {"t00", "t01", "t07"}
    assert "404" in ctl("add", base + "none.torrent", code=1)
    assert "not a valid torrent" in ctl("add", base, code=1)
    assert mount.stop() == 0
    mount = Mount(other, base + os.path.basename(torrents["t08"]),
                  name="second")
    assert names() == {"t00", "t01", "t07", "t08"}
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
