"""Goal: `store=memory:` writes no file, by strace; reads more than there is
memory for, twice, byte-exact; takes no more than it was given; and seeds what it
has just now."""

import re

from lab import need, run, until
from rationed import read_all
from shoal import Mount, content_path, program
from swarm import make_torrent, start_seed, write_blob

MIB = 1 << 20
SIZE, ROOM = 64 * MIB, 24 * MIB
# What came last is also in the buffers that readers get it from.
RECENT = 8 * MIB
OPENS = "open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link"


def written(trace):
    """Opens of files to write to, and what makes names, in an strace."""
    for line in trace.splitlines():
        if " = -1 " in line or "unfinished" in line:
            continue
        made = re.search(r"\b(creat|mkdir\w*|rename\w*|link)\(", line)
        opened = re.search(r"O_(WRONLY|RDWR|CREAT)", line)
        if made or opened and not re.search(r'"/(dev|proc|sys)/', line):
            yield line


def traced(lab, reader, torrent, source):
    """A mount under strace, all of the torrent read from it."""
    path, trace = lab.fresh_dir("traced"), lab.path("trace")
    # A sanitizer's look for leaks wants to trace, too.
    proc = reader.start(
        ["strace", "-f", "-o", trace, "-e", f"trace={OPENS}", program(), "-f",
         "-o", f"nodht,store=memory:{ROOM},peer={source.address}",
         torrent.file, path], env={"ASAN_OPTIONS": "detect_leaks=0"})
    until(lambda: lab.mounted(path), 60, "mounted")
    name = torrent.name
    read_all(f"{path}/{name}/{name}", torrent.path, 1, 1, 100)
    reader.run(["fusermount3", "-u", path])
    assert proc.wait(20) == 0, proc.text()
    with open(trace) as text:
        found = list(written(text.read()))
    assert not found, found


def scenario(lab):
    need("strace")
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    for kind in "v1", "v2":
        torrent = make_torrent(
            write_blob(lab.path(kind, f"{kind}.bin"), SIZE, 35), kind, MIB)
        source = start_seed(seed, torrent)
        mount = Mount(reader, torrent.file, name=kind,
                      store=f"memory:{ROOM}",
                      options=[f"peer={source.address}"])
        read_all(content_path(mount, torrent), torrent.path, deadline=60)
        held = mount.status()["torrents"][0]["held_bytes"]
        assert 0 < held <= ROOM + RECENT, held
        assert mount.stop() == 0
        traced(lab, reader, torrent, source)
        source.stop()


if __name__ == "__main__":
    run(scenario)
