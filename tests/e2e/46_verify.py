"""Goal: `shoalctl verify` hashes again what is held, of a path, of a torrent, of
all, and says what was wrong; that is fetched anew, the status counts it, and
readers have right bytes throughout. After a lost index it goes on by itself,
until nothing is doubtful any more."""

import glob
import json
import os

from lab import run, until
from shoal import Mount, assert_same, content_path, program
from swarm import PIECE, make_torrent, start_seed, write_blob

COUNT = 24
SIZE = COUNT * PIECE - 777


def blob(mount):
    found = [os.path.join(folder, name)
             for folder, _, names in os.walk(mount.store) for name in names
             if os.path.getsize(os.path.join(folder, name)) == SIZE]
    assert len(found) == 1, found
    return found[0]


def flip(path, *pieces):
    with open(path, "r+b") as file:
        for piece in pieces:
            file.seek(piece * PIECE + 5)
            byte = file.read(1)[0]
            file.seek(piece * PIECE + 5)
            file.write(bytes([byte ^ 1]))


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_blob(lab.path("c", "film.bin"), SIZE, 9))
    source = start_seed(seed, torrent)
    mount = Mount(reader, torrent.file, options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    assert_same(path, torrent.path)
    until(lambda: sum(map(len, mount.committed().values())) == COUNT, 20,
          "all to be committed")

    def verify(*words):
        done = reader.run([program("shoalctl"), "-m", mount.path, "verify",
                           *words, "--json"])
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["done"], answer
        return answer["pieces"], answer["bytes"], answer["bad"]

    whole = COUNT, SIZE, 0
    assert verify() == whole
    assert verify(path) == whole
    assert verify(torrent.name) == whole
    flip(blob(mount), 3, 17)
    assert verify(path) == (COUNT, SIZE, 2)
    now = mount.status()
    assert now["torrents"][0]["pieces_bad"] == 2, now
    assert now["pieces_bad"] == 2, now
    assert_same(path, torrent.path)
    assert verify()[2] == 0, "what is wrong is found once"
    assert mount.stop() == 0

    mount = Mount(reader, store=mount.store, name="anew",
                  options=[f"peer={source.address}"])
    path = content_path(mount, torrent)
    assert_same(path, torrent.path)
    until(lambda: verify() == whole, 20, "what was wrong to be there again")
    assert mount.stop() == 0
    source.stop()

    for name in glob.glob(os.path.join(mount.store, "index.db*")):
        os.unlink(name)
    flip(blob(mount), 5)
    again = Mount(reader, store=mount.store, name="again")
    until(lambda: again.status()["pieces_verified"] == COUNT, 20,
          "a round of its own")
    now = again.status()
    assert now["pieces_bad"] == 1, now
    assert now["torrents"][0]["pieces_held"] == COUNT - 1, now
    assert again.stop() == 0


if __name__ == "__main__":
    run(scenario)
