"""Goal: a torrent cannot make anything in the mount but directories, files and
links, none with a mode that gives rights: whatever its attributes say (set-uid,
device, writable, unknown letters, fields with xattrs and modes), and whether it
is v1, v2 or hybrid. The mount is nosuid and nodev even when asked otherwise,
and has no extended attributes but shoalfs's own."""

import os
import stat

from hostile import *
from lab import run
from shoal import Mount
from swarm import libtorrent, write_tree


def make_odd(lab, kind):
    """A torrent of which each file claims all it can."""
    torrent = make_torrent(write_tree(lab.path(kind, f"odd-{kind}"), 9), kind)
    lt = libtorrent()
    with open(torrent.file, "rb") as file:
        whole = lt.bdecode(file.read())
    claims = {b"attr": b"xhsS4267bcu", b"mode": 0o6777,
              b"mode string": b"-rwsrwsrwt", b"rdev": 0x801, b"uid": 0,
              b"user.evil": b"1", b"xattr": {b"security.capability": b"\1"}}

    def mark(node):
        if b"" in node:
            node[b""].update(claims)
            return
        for each in node.values():
            mark(each)

    for each in whole[b"info"].get(b"files", []):
        if b"p" not in each.get(b"attr", b""):
            each.update(claims)
    mark(whole[b"info"].get(b"file tree", {}))
    with open(torrent.file, "wb") as file:
        file.write(lt.bencode(whole))
    return torrent


def scenario(lab):
    host, = lab.hosts("victim")
    torrents = [make_odd(lab, kind) for kind in ("v1", "v2", "hybrid")]
    mount = Mount(host, *(torrent.file for torrent in torrents),
                  options=["suid", "dev"])
    seen = 0
    for torrent in torrents:
        top = mount.wait_path(torrent.name)
        for folder, folders, names in os.walk(top):
            for name in [*folders, *names]:
                path = os.path.join(folder, name)
                found = os.lstat(path)
                assert stat.S_ISREG(found.st_mode) \
                    or stat.S_ISDIR(found.st_mode), path
                assert found.st_mode & 0o7222 == 0, (path, found)
                assert all(each.startswith("user.shoalfs.")
                           for each in os.listxattr(path)), path
                seen += stat.S_ISREG(found.st_mode)
    assert seen == 3 * 7, seen
    with open(f"/proc/{mount.proc.pid}/mountinfo") as table:
        flags, = [line.split()[5].split(",") for line in table
                  if line.split()[4] == mount.path]
    assert "nosuid" in flags and "nodev" in flags, flags
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
