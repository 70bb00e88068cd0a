"""Goal: a wrong command line or a broken torrent gets one line on standard
error that names the mistake, and mount(8)'s exit code; nothing is mounted.
Both in front and in the background."""

import os

from lab import run
from shoal import program
from swarm import make_torrent, write_blob

USAGE, SYSTEM, MOUNT = 1, 2, 32


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)
    return path


def cases(lab, torrent):
    """(arguments, exit code, a word that the line must have)"""
    mnt, full = lab.mkdir("mnt"), lab.mkdir("full")
    write(f"{full}/file", b"")
    with open(torrent.file, "rb") as whole:
        data = whole.read()
    text = write(lab.path("text.torrent"), b"not bencode at all\n")
    short = write(lab.path("short.torrent"), data[:len(data) // 2])
    empty = write(lab.path("empty.torrent"), b"")
    other = write(lab.path("other.torrent"), b"d4:infod4:name1:xee")
    good = torrent.file
    behind = lab.path("behind")
    os.symlink(mnt, behind)
    link = torrent.magnet()
    return [
        ([], USAGE, "MOUNTPOINT"),
        # A shell cuts an unquoted link at its first &.
        ([link.split("&")[0]], USAGE, "MOUNTPOINT"),
        (["magnet:?dn=film", mnt], USAGE, "magnet"),
        (["magnet:?xt=urn:btih:1234", mnt], USAGE, "magnet"),
        (["-o", "quotum=1G", good, mnt], USAGE, "quotum"),
        (["--nosuch", good, mnt], USAGE, "nosuch"),
        (["-x", good, mnt], USAGE, "-x"),
        (["-o", "port=70000", good, mnt], USAGE, "port=70000"),
        (["-o", "bind=203.0.113.99", good, mnt], SYSTEM, "203.0.113.99"),
        (["-o", "read_timeout=soon", good, mnt], USAGE, "read_timeout=soon"),
        ([lab.path("missing.torrent"), mnt], MOUNT, "missing.torrent"),
        (["/dev/null", mnt], MOUNT, "/dev/null"),
        ([text, mnt], MOUNT, "text.torrent"),
        ([short, mnt], MOUNT, "short.torrent"),
        ([empty, mnt], MOUNT, "empty.torrent"),
        ([other, mnt], MOUNT, "other.torrent"),
        ([good, lab.path("nowhere")], MOUNT, "nowhere"),
        ([good, full], MOUNT, "full"),
        # What the mount needs must not lie behind it.
        (["-o", f"store={mnt}", good, mnt], MOUNT, "in the mount"),
        (["-o", f"store={mnt}/not/yet", good, mnt], MOUNT, "in the mount"),
        (["-o", f"store={behind}/store", good, mnt], MOUNT, "in the mount"),
        ([mnt, mnt], MOUNT, "in the mount"),
        ([good, good], MOUNT, os.path.basename(good)),
    ]


def scenario(lab):
    host, = lab.hosts("host")
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), 100_000, 10))
    wrong = []
    home = {**os.environ, "XDG_DATA_HOME": lab.mkdir("data")}
    for arguments, code, word in cases(lab, torrent):
        for front in ([], ["-f"]):
            done = host.run([program(), *front, *arguments], env=home)
            lines = done.stderr.splitlines()
            if (done.returncode != code or len(lines) != 1
                    or word not in done.stderr or done.stdout):
                wrong.append((front, arguments, code, word, done.returncode,
                              done.stderr, done.stdout))
    for row in wrong:
        print(*row, sep="\n    ")
    assert not wrong
    with open("/proc/self/mountinfo") as table:
        assert "shoalfs" not in table.read()


if __name__ == "__main__":
    run(scenario)
