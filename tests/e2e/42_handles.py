"""Goal: what an NFS server keeps of a file, its handle, is good after the daemon was
replaced and after a new mount: it opens the same inode with the same bytes. One
that nothing was ever given for is stale."""

import ctypes
import errno
import os
import signal

from lab import Skip, run, until
from shoal import Mount, content_path
from swarm import digest, make_torrent, start_seed, write_tree

AT_FDCWD, HANDLE_BYTES = -100, 128
libc = ctypes.CDLL(None, use_errno=True)


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int),
                ("bytes", ctypes.c_ubyte * HANDLE_BYTES)]


def handle_of(path):
    handle, mount = Handle(size=HANDLE_BYTES), ctypes.c_int()
    if libc.name_to_handle_at(AT_FDCWD, path.encode(), ctypes.byref(handle),
                              ctypes.byref(mount), 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return handle


def open_handle(mount, handle, flags=os.O_RDONLY):
    top = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fd = libc.open_by_handle_at(top, ctypes.byref(handle), flags)
        number = ctypes.get_errno()
    finally:
        os.close(top)
    if fd < 0:
        raise OSError(number, os.strerror(number))
    return fd


def handles_below(top):
    """{path below top: (handle, inode)}"""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in [*folders, *names, "."]:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = (handle_of(path),
                                                 os.stat(path).st_ino)
    return found


def check(mount, torrent, handles):
    for name, (handle, inode) in handles.items():
        original = os.path.join(torrent.path, name)
        fd = open_handle(mount, handle)
        assert os.fstat(fd).st_ino == inode, name
        if os.path.isdir(original):
            assert sorted(os.listdir(fd)) == sorted(os.listdir(original)), name
        else:
            assert digest(f"/proc/self/fd/{fd}") == digest(original), name
        os.close(fd)


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 42))
    source = start_seed(seed, torrent)
    options = [f"peer={source.address}"]
    mount = Mount(reader, torrent.file, options=options)
    top = content_path(mount, torrent)
    try:
        handles = handles_below(top)
        check(mount, torrent, handles)
    except PermissionError as error:
        raise Skip(f"no right to open by handle: {error}") from error

    daemon = mount.daemon()
    os.kill(daemon, signal.SIGKILL)
    until(lambda: mount.daemon() not in (0, daemon), 10, "a successor")
    check(mount, torrent, handles)
    assert mount.stop() == 0

    # Nothing that the kernel knew is left; what is asked for comes by number.
    mount = Mount(reader, options=options)
    check(mount, torrent, handles)
    strange = Handle.from_buffer_copy(handles["tail.bin"][0])
    for index in range(8):
        strange.bytes[index] ^= 0x5a
    try:
        os.close(open_handle(mount, strange))
        raise AssertionError("a handle of nothing was opened")
    except OSError as error:
        assert error.errno == errno.ESTALE, error
    assert mount.stop() == 0
    source.stop()


if __name__ == "__main__":
    run(scenario)
