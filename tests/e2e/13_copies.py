"""Goal: the programs that look for holes copy a file of which nothing is held
yet byte for byte: cp, cp --sparse=always, tar -S, dd conv=sparse."""

from lab import run
from shoal import Mount, assert_same, content_path
from swarm import make_torrent, start_seed, write_blob


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    out = lab.mkdir("out")
    ways = {
        "cp": 'cp "$1" "$2"',
        "sparse": 'cp --sparse=always "$1" "$2"',
        "tar": 'cd "${1%/*}" && tar -cSf - "${1##*/}" | tar -xOf - > "$2"',
        "dd": 'dd if="$1" of="$2" bs=77777 conv=sparse',
    }
    for number, (name, script) in enumerate(ways.items()):
        path = write_blob(lab.path(name, "film.bin"), 2_500_001, number)
        with open(path, "r+b") as film:     # a run of zeros, as films have
            film.seek(600_000)
            film.write(bytes(400_000))
        torrent = make_torrent(path)
        source = start_seed(seed, torrent)
        mount = Mount(reader, torrent.file, name=name,
                      options=[f"peer={source.address}"])
        got = f"{out}/{name}"
        done = reader.run(["sh", "-ec", script, "sh",
                           content_path(mount, torrent), got])
        assert done.returncode == 0, done
        assert_same(got, path)
        assert mount.stop() == 0
        source.stop()


if __name__ == "__main__":
    run(scenario)
