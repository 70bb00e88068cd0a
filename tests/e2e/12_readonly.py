"""Goal: everything that would write into a torrent is refused with the errno
that a read-only file system gives, and what only looks is not; with `ro` and
without."""

import ctypes
import errno
import fcntl
import mmap
import os

from lab import run
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_tree

FS_IOC_GETFLAGS, FS_IOC_FIEMAP, FICLONE = 0x80086601, 0xc020660b, 0x40049409
libc = ctypes.CDLL(None, use_errno=True)


def answer(call):
    """0, or the errno that the call failed with."""
    try:
        call()
        return 0
    except OSError as error:
        return error.errno


def raw(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)


def opened(path, flags):
    return lambda: os.close(os.open(path, flags, 0o644))


def refusals(top, file):
    """What changes the tree: EROFS, unless the name itself decides."""
    new, sub = f"{top}/new", f"{top}/sub"
    erofs = {
        "mkdir": lambda: os.mkdir(new),
        "mknod": lambda: os.mknod(new),
        "mkfifo": lambda: os.mkfifo(new),
        "symlink": lambda: os.symlink("x", new),
        "link": lambda: os.link(file, new),
        "unlink": lambda: os.unlink(file),
        "unlink of what is not": lambda: os.unlink(new),
        "rmdir": lambda: os.rmdir(sub),
        "rename": lambda: os.rename(file, new),
        "truncate": lambda: os.truncate(file, 1),
        "open rdwr": opened(file, os.O_RDWR),
        "open trunc": opened(file, os.O_WRONLY | os.O_TRUNC),
        "open rdonly trunc": opened(file, os.O_RDONLY | os.O_TRUNC),
        "create": opened(new, os.O_WRONLY | os.O_CREAT),
        "tmpfile": opened(top, os.O_RDWR | os.O_TMPFILE),
        "chmod": lambda: os.chmod(file, 0o600),
        "chown": lambda: os.chown(file, 1, 1),
        "utime": lambda: os.utime(file, (1, 1)),
        "setxattr": lambda: os.setxattr(file, "user.x", b"1"),
        "removexattr": lambda: os.removexattr(file, "user.x"),
        "access": lambda: raw("access", file.encode(), os.W_OK),
    }
    rows = [(name, call, errno.EROFS) for name, call in erofs.items()]
    return rows + [
        ("mkdir over", lambda: os.mkdir(sub), errno.EEXIST),
        ("create over", opened(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
         errno.EEXIST),
        ("create of what is", opened(file, os.O_RDONLY | os.O_CREAT), 0),
    ]


def on_descriptor(fd, other):
    """What an open file refuses, and what it does not."""
    return [
        ("write", lambda: os.write(fd, b"x"), errno.EBADF),
        ("fallocate", lambda: raw("fallocate", fd, 0, ctypes.c_long(0),
                                  ctypes.c_long(1)), errno.EBADF),
        ("ftruncate", lambda: os.ftruncate(fd, 0), errno.EINVAL),
        ("map to write", lambda: mmap.mmap(fd, 1, mmap.MAP_SHARED,
                                           mmap.PROT_WRITE), errno.EACCES),
        ("getflags", lambda: fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)),
         errno.ENOTTY),
        ("fiemap", lambda: fcntl.ioctl(fd, FS_IOC_FIEMAP, bytes(32)),
         errno.EOPNOTSUPP),
        ("clone", lambda: fcntl.ioctl(other, FICLONE, fd), errno.EXDEV),
        ("copy range", lambda: os.copy_file_range(fd, other, 1),
         errno.EXDEV),
        ("getxattr", lambda: os.getxattr(fd, "user.none"), errno.ENODATA),
        ("data at the end", lambda: os.lseek(fd, os.fstat(fd).st_size,
                                             os.SEEK_DATA), errno.ENXIO),
        ("fsync", lambda: os.fsync(fd), 0),
        ("flock", lambda: fcntl.flock(fd, fcntl.LOCK_SH), 0),
        ("lockf", lambda: fcntl.lockf(fd, fcntl.LOCK_SH), 0),
    ]


def by_kernel():
    """What the kernel decides by itself where the root takes torrents: a file
    without a name is no request that libfuse knows, root may do all, and what is
    not there cannot be removed."""
    return {"tmpfile": errno.EOPNOTSUPP, "access": 0,
            "unlink of what is not": errno.ENOENT}


def matrix(lab, mount, torrent, ro):
    top = content_path(mount, torrent)
    file = f"{top}/tail.bin"
    fd = os.open(file, os.O_RDONLY)
    other = os.open(lab.path("other"), os.O_RDWR | os.O_CREAT)
    expected = {} if ro else by_kernel()
    rows = refusals(top, file) + on_descriptor(fd, other)
    wrong = [(name, errno.errorcode.get(got, got), errno.errorcode.get(want))
             for name, call, usual in rows
             if (got := answer(call)) != (want := expected.get(name, usual))]
    assert not wrong, wrong
    assert os.lseek(fd, 0, os.SEEK_HOLE) == os.fstat(fd).st_size
    assert bool(os.statvfs(top).f_flag & os.ST_RDONLY) == ro
    for descriptor in (fd, other):
        os.close(descriptor)


def scenario(lab):
    reader, seed = lab.hosts("reader", "seed")
    lab.link(reader, seed)
    torrent = make_torrent(write_tree(lab.path("c", "tree"), 12))
    source = start_seed(seed, torrent)
    for ro in (True, False):
        options = [f"peer={source.address}"] + ["ro"] * ro
        mount = Mount(reader, torrent.file, options=options)
        matrix(lab, mount, torrent, ro)
        assert mount.stop() == 0


if __name__ == "__main__":
    run(scenario)
