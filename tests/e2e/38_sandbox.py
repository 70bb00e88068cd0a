"""Goal: a daemon that serves has locked itself in: every thread of it, and of its
successor, has no new privileges, and with `seccomp` a list of system calls;
Landlock is on where the kernel has it; its descriptors' limit is raised. It
fetches, remembers, takes what comes into a watched directory, and unmounts as
before; `nosandbox` and -d leave it out. The status says what is on."""

import ctypes
import os
import shutil
import signal

from lab import run, until
from shoal import Mount, assert_same
from swarm import make_torrent, start_seed, write_blob


def threads(pid, key):
    """What /proc says of `key`, for each thread."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as status:
            found += [line.split()[1] for line in status
                      if line.startswith(key + ":")]
    return found


def landlock_version():
    """What the kernel offers, 0 for nothing: landlock_create_ruleset(2), asked
    for its version."""
    create_ruleset, want_version = 444, 1
    return max(ctypes.CDLL(None).syscall(create_ruleset, None,
                                         ctypes.c_size_t(0), want_version), 0)


def check_locked(mount, seccomp):
    pid = mount.daemon()
    for key, value in (("NoNewPrivs", "1"), ("Seccomp", "02"[seccomp])):
        until(lambda: set(threads(pid, key)) == {value}, 10, key)
    text = mount.status()["sandbox"]
    assert "no new privileges" in text, text
    assert ("system calls" in text) == seccomp, text
    assert (landlock_version() > 0) == ("Landlock" in text), text
    with open(f"/proc/{pid}/limits") as limits:
        words = next(line.split() for line in limits
                     if line.startswith("Max open files"))
    assert words[3] == words[4], words
    return text


def whole(mount, torrent):
    mount.wait_path(torrent.name, torrent.name)
    assert_same(mount.at(torrent.name, torrent.name), torrent.path)


def scenario(lab):
    # What leaks are looked for with is on the list.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrents = [make_torrent(write_blob(lab.path(name, f"{name}.bin"),
                                        700_000, index))
                for index, name in enumerate(("one", "two", "three"))]
    seeds = [start_seed(seed, torrent, port=7000 + index)
             for index, torrent in enumerate(torrents)]
    peers = [f"peer={source.address}" for source in seeds]
    watched = lab.mkdir("watched")
    for seccomp in (False, True):
        mount = Mount(reader, torrents[0].file, watched,
                      name=f"mnt{seccomp:d}",
                      options=peers + ["seccomp"] * seccomp)
        print(check_locked(mount, seccomp))
        whole(mount, torrents[0])
        shutil.copy(torrents[1].file, lab.path("watched", "two.torrent"))
        whole(mount, torrents[1])
        daemon = mount.daemon()
        os.kill(daemon, signal.SIGKILL)
        until(lambda: mount.daemon() not in (0, daemon), 10, "a successor")
        shutil.copy(torrents[2].file, mount.at("three.torrent"))
        whole(mount, torrents[2])
        check_locked(mount, seccomp)
        assert mount.stop() == 0
        os.unlink(lab.path("watched", "two.torrent"))
    for words in ([torrents[0].file], [torrents[0].file, "-d"]):
        mount = Mount(reader, *words, name=f"off{len(words)}",
                      options=["nosandbox"] * (len(words) == 1))
        assert mount.status()["sandbox"] == "off"
        assert set(threads(mount.daemon(), "NoNewPrivs")) == {"0"}
        assert mount.stop() == 0
    for source in seeds:
        source.stop()


if __name__ == "__main__":
    run(scenario)
