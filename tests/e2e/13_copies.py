"""Goal: the programs that look for holes copy a file of which nothing is held
yet, and one of which a part is, byte for byte: cp, cp --sparse=always, tar -S,
bsdtar, rsync -S, dd conv=sparse. And lseek says that all of it is data."""

import os
import shutil

from lab import run, until
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_blob


def partly_held(reader, torrent, name, source):
    """Another mount, with an empty store, after reads here and there."""
    mount = Mount(reader, torrent.file, name=f"{name}-part",
                  options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    size = os.path.getsize(path)
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for at in (300_000, 1_500_000, size - 1):
        os.pread(fd, 1, at)
    for at in range(0, size, 100_000):
        assert os.lseek(fd, at, os.SEEK_DATA) == at
        assert os.lseek(fd, at, os.SEEK_HOLE) == size
    os.close(fd)
    until(lambda: 0 < mount.held(torrent.name) < size, 10, "a part is held")
    return mount


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    out = lab.mkdir("out")
    ways = {
        "cp": 'cp "$1" "$2"',
        "sparse": 'cp --sparse=always "$1" "$2"',
        "tar": 'cd "${1%/*}" && tar -cSf - "${1##*/}" | tar -xOf - > "$2"',
        "bsdtar": 'cd "${1%/*}" && bsdtar -cf - "${1##*/}" | '
                  'bsdtar -xOf - > "$2"',
        "rsync": 'rsync -S "$1" "$2"',
        "dd": 'dd if="$1" of="$2" bs=77777 conv=sparse',
    }
    for name in [name for name in ways if name in ("bsdtar", "rsync")]:
        if not shutil.which(name):
            print(f"without {name}, which is not installed")
            del ways[name]
    for number, (name, script) in enumerate(ways.items()):
        path = write_blob(lab.path(name, "film.bin"), 2_500_001, number)
        with open(path, "r+b") as film:     # a run of zeros, as films have
            film.seek(600_000)
            film.write(bytes(400_000))
        torrent = make_torrent(path)
        source = start_seed(seed, torrent)
        mount = Mount(reader, torrent.file, name=name,
                      options=[f"peer={source.address}"])
        whole = content_path(mount, torrent)
        for part in range(2):
            got = f"{out}/{name}{part}"
            done = reader.run(["sh", "-ec", script, "sh", whole, got])
            assert done.returncode == 0, done
            assert_same(got, path)
            assert mount.stop() == 0
            if part == 0:
                mount = partly_held(reader, torrent, name, source)
                whole = content_path(mount, torrent)
        source.stop()


if __name__ == "__main__":
    run(scenario)
