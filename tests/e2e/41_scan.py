"""Goal: programs that look through a library cost what they look at. While a
film plays, 200 torrents are walked, their attributes asked for, and the head and
the tail of each read, as `file`, thumbnailers and media servers do. The walk
fetches nothing and wakes nobody; the reads fetch the pieces that they touch;
the film never runs dry; no more torrents are awake than may be; and the same
once more, past the kernel's cache, fetches nothing."""

import os

from lab import SLOW, run
from player import Player, forget
from shoal import Mount, program
from swarm import make_torrent, start_seeds, write_blob

COUNT, AWAKE = 200, 64
PIECE, SIZE, LOOK = 65536, 512 << 10, 64 << 10
FILM_SIZE, FILM_BPS, BUFFER_SECONDS = 24 << 20, 400_000, 5


def look_at(path):
    """Head and tail; what was read must be what the file is."""
    with open(path, "rb", buffering=0) as file:
        head = file.read(LOOK)
        file.seek(-LOOK, os.SEEK_END)
        return head + file.read(LOOK)


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrents = [make_torrent(write_blob(lab.path("c", f"clip {n:03}.dat"), SIZE,
                                        n), piece=PIECE) for n in range(COUNT)]
    film = make_torrent(write_blob(lab.path("c", "film.dat"), FILM_SIZE, 999),
                        piece=PIECE)
    source = start_seeds(seed, [film, *torrents])
    mount = Mount(reader, options=[f"peer={source.address}"])
    for some in torrents[:100], torrents[100:], [film]:
        done = reader.run([program("shoalctl"), "-m", mount.path, "add",
                           *(t.file for t in some)])
        assert done.returncode == 0, done

    def payload():
        """Of all torrents but the film; those that fell asleep are gone from
        the status, so what is held is counted: nothing comes that is not
        kept."""
        return sum(mount.held(t.name) for t in torrents)

    def awake():
        return len(mount.status()["torrents"])

    assert os.path.getsize(mount.at(".trackerignore")) == 0
    assert ".trackerignore" in os.listdir(mount.path)
    player = Player(mount.at(film.name, film.name), FILM_BPS)
    player.start()

    # A walk: every name, every attribute.
    before = awake()
    for folder, _, names in os.walk(mount.path):
        for name in names:
            os.stat(os.path.join(folder, name))
            os.listxattr(os.path.join(folder, name))
    assert payload() == 0
    assert awake() <= before + 1, (before, awake())

    # Heads and tails: the kernel asks for twice as much as is read first.
    for torrent in torrents:
        with open(torrent.path, "rb") as file:
            want = file.read()
        got = look_at(mount.at(torrent.name, torrent.name))
        assert got == want[:LOOK] + want[-LOOK:], torrent.name
    first = payload()
    assert first <= COUNT * 2 * (LOOK + PIECE), first
    assert awake() <= AWAKE + 2, awake()

    # The same once more, from the store.
    for torrent in torrents:
        path = mount.at(torrent.name, torrent.name)
        forget(path)
        look_at(path)
    assert payload() == first, (payload(), first)
    assert awake() <= AWAKE + 2, awake()

    player.is_over.set()
    player.join(30)
    assert player.failed is None, player.failed
    assert player.dry < BUFFER_SECONDS * SLOW, player.dry
    print(f"{first / COUNT / 1024:.0f} KiB a torrent, the film was at most "
          f"{max(player.dry, 0):.2f} s late")
    source.stop()
    assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
