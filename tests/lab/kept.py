"""What the index of a store says is held, in pieces (cache/FORMAT.md): those
that a torrent has for itself, and those all leaves of which are there."""

import contextlib
import glob
import os
import shutil
import sqlite3

from swarm import libtorrent

CHUNK = 4096
LEAF = 16384


def _bits(rows):
    """The numbers in (chunk, bits) rows."""
    return {chunk * CHUNK + at for chunk, bits in rows
            for at in range(len(bits) * 8) if bits[at // 8] & 0x80 >> at % 8}


def _files(tree):
    """(root, length) of each file of a tree that has a root, in order."""
    for name, node in tree.items():
        if name == b"" and b"pieces root" in node:
            yield node[b"pieces root"], node[b"length"]
        elif name != b"":
            yield from _files(node)


def _info(store, *hashes):
    for each in filter(None, hashes):
        path = os.path.join(store, "torrents", each.hex(), "info")
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return libtorrent().bdecode(file.read())
    return {}


def _shared(base, store, row, v1, v2, piece):
    """Pieces of files that are kept by their root; of a hybrid if they are
    agreed on."""
    found, first = set(), 0
    agreed = _bits(base.execute(
        "SELECT chunk, bits FROM agreed WHERE torrent = ?", (row,)))
    for root, size in _files(_info(store, v1, v2).get(b"file tree", {})):
        leaves = _bits(base.execute(
            "SELECT chunk, leaf.bits FROM leaf JOIN file ON file.id = leaf.file"
            " WHERE root = ? AND file.bytes = ?", (root, size)))
        for at in range(0, size, piece):
            end = min(at + piece, size)
            if leaves.issuperset(range(at // LEAF, -(-end // LEAF))):
                found.add(first + at // piece)
        first += -(-size // piece)
    return found & agreed if v1 else found


def _read(base, store):
    held = {}
    for row, v1, v2, piece in base.execute(
            "SELECT id, v1, v2, piece_bytes FROM torrent").fetchall():
        own = _bits(base.execute(
            "SELECT chunk, bits FROM held WHERE torrent = ?", (row,)))
        pieces = own | _shared(base, store, row, v1, v2, piece)
        if pieces:
            held[row] = pieces
    return held


def committed(store, folder):
    """{number of the torrent: its pieces}, from a copy, journal and all, in
    `folder`: the original stays as it was left. Of a running mount the copy may
    be torn, and says nothing then."""
    for path in glob.glob(os.path.join(store, "index.db*")):
        shutil.copy(path, folder)
    base = sqlite3.connect(os.path.join(folder, "index.db"))
    with contextlib.closing(base), \
            contextlib.suppress(sqlite3.DatabaseError):
        return _read(base, store)
    return {}
