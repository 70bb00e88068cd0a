"""Goal: `shoalctl create` makes what libtorrent makes of the same files: equal
info-hashes and piece layers for twenty trees, each as v1, v2 and hybrid; and
its symlinks and executables come out of a mount as they went in."""

import os
import random
import subprocess

from lab import run, until
from shoal import Mount, program
from swarm import libtorrent

PIECE = 16384
KINDS = ("v1", "v2", "hybrid")
# Name → (piece size or 0 for the automatic, files). A file's size, "x" behind
# it for an executable; or a link's target from the top.
TREES = {
    "one file": (PIECE, 50000),
    "one file of three bytes": (PIECE, 3),
    "one executable": (PIECE, "40000x"),
    "one file, exactly a piece": (PIECE, PIECE),
    "one file, a piece and a byte": (PIECE, PIECE + 1),
    "one file, automatic": (0, 3000000),
    "one file of less than a large piece": (16 << 20, 5 << 20),
    "one file of large pieces": (16 << 20, (33 << 20) + 7),
    "a directory of one": (PIECE, {"a": 40000}),
    "a directory of one and nothing": (PIECE, {"a": 40000, "b": 0}),
    "many": (PIECE, {f"f{i:03}": i * 701 for i in range(150)}),
    "nested": (PIECE, {"a/b/c/d": 1, "a/b/c/e": 20000, "a/b/f": 99, "g/h": 5,
                       "a/b/c/z/y/x/w": 16385}),
    "order": (PIECE, {"a/c": 7, "a-b": 2, "a.x": 3, "a b": 1, "A": 9, "aa": 8,
                      "a0/x": 4, "Z/a": 5, "a/C/d": 40000, "a/B": 40001}),
    "empty files": (PIECE, {"a": 0, "b": 70000, "c": 0, "d": 1, "e": 0}),
    "exact pieces": (PIECE, {"a": PIECE, "b": 2 * PIECE, "c": PIECE + 1,
                             "d": PIECE - 1}),
    "executables": (PIECE, {"bin/run": "20000x", "bin/data": 500,
                            "empty.sh": "0x"}),
    "unicode": (PIECE, {"größe/東京 🐟.txt": 30000, "Ω": 5, "é": 6, "z": 7}),
    "equal files": (PIECE, {"a": 40000, "b": 40000, "c/a": 40000}),
    "symlinks": (PIECE, {"a/real": 20000, "link": "a/real", "dir": "a",
                         "gone": "not/there", "z": 3}),
    "symlinks below": (PIECE, {"a/b/real": 30000, "a/c/link": "a/b/real",
                               "a/b/side": "a/b/real", "x/y/top": "z", "z": 9}),
    "large pieces": (16 << 20, {"a": 5, "b": (16 << 20) + 1, "c/d": 100000}),
    "automatic": (0, {"a": 3000000, "b/c": 8000000, "d": 1}),
}


def write(path, size):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = str(size)
    data = random.Random(int(text.rstrip("x"))).randbytes(int(text.rstrip("x")))
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, 0o755 if text.endswith("x") else 0o644)


def is_link(what):
    return isinstance(what, str) and not what.rstrip("x").isdigit()


def make(top, name, files):
    path = os.path.join(top, name)
    if not isinstance(files, dict):
        write(path, files)
        return path
    for rel, what in files.items():
        full = os.path.join(path, rel)
        if is_link(what):
            os.makedirs(os.path.dirname(full), exist_ok=True)
            os.symlink(os.path.relpath(os.path.join(path, what),
                                       os.path.dirname(full)), full)
        else:
            write(full, what)
    return path


def theirs(path, files, piece, kind):
    """What libtorrent makes of it. The list is ours, sorted, for v1 keeps the
    order it is told, and 2.0.8 states targets from a link's own directory."""
    lt = libtorrent()
    name, made = os.path.basename(path), lt.file_storage()
    flag = lt.file_storage
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only,
             "hybrid": 0}[kind] | lt.create_torrent.symlinks
    if not isinstance(files, dict):
        files = {"": files}
    for rel, what in sorted(files.items(),
                            key=lambda item: os.fsencode(item[0]).split(b"/")):
        full = os.path.join(name, rel) if rel else name
        if is_link(what):
            made.add_file(full, 0, flag.flag_symlink | flag.flag_executable, 0,
                          what)
        else:
            is_exec = str(what).endswith("x")
            made.add_file(full, int(str(what).rstrip("x")),
                          flag.flag_executable if is_exec else 0, 0, "")
    torrent = lt.create_torrent(made, piece, flags)
    lt.set_piece_hashes(torrent, os.path.dirname(path))
    return lt.bencode(torrent.generate())


def ours(path, piece, kind, out):
    words = [program("shoalctl"), "create", f"--{kind}", "--symlinks",
             "-o", out, path]
    words += ["--piece", str(piece)] if piece else []
    subprocess.run(words, check=True, stdout=subprocess.PIPE, timeout=60)
    with open(out, "rb") as file:
        return file.read()


def compare(name, path, out):
    lt = libtorrent()
    piece, files = TREES[name]
    for kind in KINDS:
        got = lt.bdecode(ours(path, piece, kind, out))
        want = lt.bdecode(theirs(path, files, piece, kind))
        what = f"{name}, {kind}"
        for key in (b"info", b"piece layers"):
            assert got.get(key) == want.get(key), \
                f"{what}: {got.get(key)}\n{want.get(key)}"
        got, want = (lt.torrent_info(lt.bdecode(lt.bencode(each)))
                     .info_hashes() for each in (got, want))
        assert got.has_v1() == (kind != "v2"), what
        assert got.has_v2() == (kind != "v1"), what
        assert (got.v1, got.v2) == (want.v1, want.v2), what


def shown(lab, host, file, what):
    """Names, kinds and modes of a mount of it, against what was written."""
    store = lab.fresh_dir("store")
    mount = Mount(host, file, options=["umask=0002"], store=store)
    top = mount.wait_path(what)
    until(lambda: os.listdir(top), 10, "files")
    for rel, size in TREES[what][1].items():
        path = os.path.join(top, rel)
        entry, = (each for each in os.scandir(os.path.dirname(path))
                  if each.name == os.path.basename(rel))
        assert entry.is_symlink() == is_link(size), path
        mode = os.lstat(path).st_mode & 0o7777
        if not is_link(size):
            is_exec = str(size).endswith("x")
            assert mode == (0o555 if is_exec else 0o444), (path, oct(mode))
            continue
        text = os.readlink(path)
        aim = os.path.normpath(os.path.join(os.path.dirname(path), text))
        assert not text.startswith("/"), text
        assert aim == os.path.join(top, size), (path, text)
        assert os.lstat(path).st_size == len(os.fsencode(text)), path
    names = [name for _, dirs, found in os.walk(mount.path)
             for name in dirs + found]
    assert ".pad" not in names and not os.path.lexists(f"{top}/.pad")
    assert mount.stop() == 0


def scenario(lab):
    libtorrent()
    top, out = lab.mkdir("trees"), lab.path("t.torrent")
    paths = {name: make(top, name, files)
             for name, (_, files) in TREES.items()}
    assert len(paths) >= 20
    for name, path in paths.items():
        compare(name, path, out)
    host, = lab.hosts("reader")
    for name in ("executables", "symlinks", "symlinks below"):
        for kind in KINDS:
            with open(out, "wb") as file:
                file.write(theirs(paths[name], TREES[name][1], PIECE, kind))
            shown(lab, host, out, name)
            ours(paths[name], PIECE, kind, out)
            shown(lab, host, out, name)


if __name__ == "__main__":
    run(scenario)
