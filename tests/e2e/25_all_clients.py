"""Goal: everybody's client and shoalfs understand each other, both ways and to
the byte: libtorrent, Transmission, aria2, rTorrent and qBittorrent. A mount
reads from each of them alone; each completes from a mount alone; and of one
swarm in which all six begin with every sixth piece all end complete."""

import os
import shutil

from clients import ALL
from lab import run
from shoal import Mount, assert_same, content_path
from swarm import (PIECE, libtorrent, make_torrent, start_leech,
                   start_opentracker, tracker_url, tree_digest, write_blob,
                   write_tree)

PORT = 7010
SHARES = len(ALL) + 1
PATIENCE = 80       # some look for peers by a clock of their own


def write_content(root):
    write_tree(root, 25)
    write_blob(os.path.join(root, "sub", "film.bin"), 48 * PIECE + 777, 26)
    return root


def slices(torrent, piece):
    """(path below the content's parent, offset, length) of a piece."""
    info = libtorrent().torrent_info(torrent.file)
    for part in info.map_block(piece, 0, info.piece_size(piece)):
        yield info.files().file_path(part.file_index), part.offset, part.size


def write_share(torrent, into, share):
    """Files as long as they should be, with every SHARES-th piece in them."""
    files = libtorrent().torrent_info(torrent.file).files()
    for index in range(files.num_files()):
        path = os.path.join(into, files.file_path(index))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.truncate(files.file_size(index))
    for piece in range(share, torrent.pieces, SHARES):
        for name, offset, size in slices(torrent, piece):
            with open(os.path.join(torrent.parent, name), "rb") as source, \
                    open(os.path.join(into, name), "r+b") as out:
                source.seek(offset)
                out.seek(offset)
                out.write(source.read(size))
    return into


def assert_whole(folder, torrent):
    """Every byte; some clients make no empty files."""
    got = tree_digest(os.path.join(folder, torrent.name))
    want = tree_digest(torrent.path)
    assert got == want or got == {
        name: value for name, value in want.items()
        if os.path.getsize(os.path.join(torrent.path, name))}, got


def mount(host, torrent, *options, name="mnt", peers=()):
    return Mount(host, torrent.file, name=name, options=[
        f"port={PORT}", *options, *(f"peer={peer}" for peer in peers)])


def start_all(hosts, torrent, folder):
    """All clients at once, each with what folder(index) holds."""
    started = [kind(host, torrent, folder(index))
               for index, (kind, host) in enumerate(zip(ALL, hosts))]
    for client in started:
        client.wait_checked()
    return started


def stop_all(clients):
    for client in clients:
        client.stop()


def read_from_each(lab, reader, hosts, torrent):
    def seed_folder(index):
        into = lab.mkdir(f"seed-{index}")
        shutil.copytree(torrent.path, os.path.join(into, torrent.name))
        return into
    clients = start_all(hosts, torrent, seed_folder)
    for client in clients:
        assert client.is_complete(), client
        name = type(client).__name__
        where = mount(reader, torrent, name=name, peers=[client.address])
        assert_same(content_path(where, torrent), torrent.path)
        status = where.status()["torrents"][0]
        print(f"from {name}: {status['down_bytes']} bytes")
        assert where.stop() == 0
    stop_all(clients)


def serve_each(lab, reader, hosts, torrent):
    """The store of the last mount holds everything. It dials them: they know
    of nobody, and are not told of each other."""
    addresses = [f"{host.ip4}:7000" for host in hosts]
    where = mount(reader, torrent, "nopex", name=ALL[-1].__name__,
                  peers=addresses)
    folders = [lab.mkdir(f"leech-{index}") for index in range(len(ALL))]
    clients = start_all(hosts, torrent, folders.__getitem__)
    for client, folder in zip(clients, folders):
        client.wait_complete(PATIENCE)
        assert_whole(folder, torrent)
    status = where.status()["torrents"][0]
    assert status["up_bytes"] >= len(ALL) * torrent.size, status
    stop_all(clients)
    assert where.stop() == 0


def take_share(lab, reader, seed, torrent):
    """A mount that holds its share: it reads it from one who has no more."""
    source = start_leech(seed, torrent, write_share(
        torrent, lab.mkdir("share"), len(ALL)), "--no-tracker")
    where = mount(reader, torrent, name="part", peers=[source.address])
    root = os.path.dirname(content_path(where, torrent))
    for piece in range(len(ALL), torrent.pieces, SHARES):
        for name, offset, size in slices(torrent, piece):
            # Past the page cache, whose pages would reach into other pieces.
            data = os.open(os.path.join(root, name), os.O_RDONLY | os.O_DIRECT)
            assert len(os.pread(data, size, offset)) == size
            os.close(data)
    held = where.status()["torrents"][0]["pieces_held"]
    assert held == len(range(len(ALL), torrent.pieces, SHARES)), held
    assert where.stop() == 0
    source.stop()


def one_swarm(lab, reader, hosts, torrent):
    take_share(lab, reader, hosts[0], torrent)
    folders = [write_share(torrent, lab.mkdir(f"swarm-{index}"), index)
               for index in range(len(ALL))]
    clients = start_all(hosts, torrent, folders.__getitem__)
    where = mount(reader, torrent, name="part")
    assert_same(content_path(where, torrent), torrent.path)
    for client, folder in zip(clients, folders):
        client.wait_complete(PATIENCE)
        assert_whole(folder, torrent)
    status = where.status()["torrents"][0]
    print(f"swarm: {status['down_bytes']} down, {status['up_bytes']} up, "
          f"{status['waste_bytes']} in vain")
    stop_all(clients)
    assert where.stop() == 0


def scenario(lab):
    reader, tracker, *hosts = lab.hosts(
        "reader", "tracker", *(kind.__name__.lower() for kind in ALL))
    lab.link(reader, tracker, *hosts)
    content = write_content(lab.path("c", "tree"))
    alone = make_torrent(content)
    read_from_each(lab, reader, hosts, alone)
    serve_each(lab, reader, hosts, alone)
    together = make_torrent(content, trackers=[tracker_url(tracker)],
                            file=lab.path("c", "together.torrent"))
    start_opentracker(tracker, [together.v1])
    one_swarm(lab, reader, hosts, together)


if __name__ == "__main__":
    run(scenario)
