"""A library: what many torrents cost that nobody reads.

The store of a mount that remembers them is written here, as cache/FORMAT.md and
core/record.h have it; then the mount is started on it.

  ready     from exec until the root lists all of them, in one readdir
  stat      a file deep in a torrent that nobody looked into, the slowest of 20
  find      of everything, entries a second, by find(1), three times: it asks
            for the attributes of directories only
  ls -lR    of 300 torrents: attributes of all files, and extended ones
  RSS       of the daemon: after the first listing, after that, and its peak
  idle      processor time of the daemon, % of a core, over --idle seconds
  walk      as find, by a walker that does nothing but read directories and the
            attributes of all that is in them (walk.c, built on the spot), twice

With --awake `find` is also measured while CPUs are kept awake by the bench
(PM QoS, as the mount itself does while somebody walks), of all that is measured.
With --cold it is measured once more of a mount whose store is not in the page
cache, on the disk that $TMPDIR is on (root: drop_caches).
With --ceiling also a file system that does nothing but know the same names
(ceiling.c, built on the spot), for `find` to be seen beside.

Beside it libtorrent with the same torrents, paused, as a client keeps them:
seconds to add them, RSS, idle. With --files 1000000 --torrents 1 it is one
torrent that is large; with --held --torrents 500 --files 4 --pieces 1024 --piece
1048576 there are 500 GiB in the store."""

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MASK = (1 << 64) - 1
KEY = (0x73686f616c666967, 0x6c69627261727921)
# Of the pages of the index, which lie in its last 8 bytes.
SUM_KEY = (0x53686f616c667321, 0x696e646578)
PAGE = 4096


def siphash(data, key=KEY):
    """SipHash-2-4, as core/siphash.h."""
    k0, k1 = key
    v0, v1 = k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d
    v2, v3 = k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573
    tail = len(data) % 8
    words = list(struct.unpack(f"<{len(data) // 8}Q",
                               data[:len(data) - tail]))
    words.append(int.from_bytes(data[len(data) - tail:], "little")
                 | (len(data) & 0xff) << 56)
    for word in words + [None]:
        if word is None:
            v2 ^= 0xff
        else:
            v3 ^= word
        for _ in range(4 if word is None else 2):
            v0 = (v0 + v1) & MASK
            v1 = ((v1 << 13 | v1 >> 51) & MASK) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & MASK
            v2 = (v2 + v3) & MASK
            v3 = ((v3 << 16 | v3 >> 48) & MASK) ^ v2
            v0 = (v0 + v3) & MASK
            v3 = ((v3 << 21 | v3 >> 43) & MASK) ^ v0
            v2 = (v2 + v1) & MASK
            v1 = ((v1 << 17 | v1 >> 47) & MASK) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & MASK
        if word is not None:
            v0 ^= word
    return v0 ^ v1 ^ v2 ^ v3


def string(data):
    return b"%d:%s" % (len(data), data)


def torrent(number, n_files, n_pieces, piece):
    """A .torrent; its info dictionary, its size, its nodes, its directories."""
    parts = []
    length = n_pieces * piece // n_files
    for i in range(n_files):
        path = [b"file %06d.bin" % i]
        if i % 4 == 3:
            path.insert(0, b"extras")
        parts.append(b"d6:lengthi%de4:pathl%see" % (
            length, b"".join(map(string, path))))
    size = length * n_files
    count = (size + piece - 1) // piece
    hashes = random.randbytes(20 * count)
    info = (b"d5:filesl" + b"".join(parts) + b"e4:name" +
            string(b"torrent %07d" % number) +
            b"12:piece lengthi%de6:pieces" % piece + string(hashes) + b"e")
    whole = (b"d8:announce30:http://127.0.0.1:9/announce/xx"
             b"13:creation datei1700000000e4:info" + info + b"e")
    dirs = 1 if n_files > 3 else 0
    return whole, info, size, 1 + n_files + dirs, dirs


def entry(number, digest, at, length, size, nodes, dirs):
    name = b"torrent %07d" % number
    body = (struct.pack(">BBBB", 1, 0, 1, len(name)) + digest + bytes(32) +
            struct.pack(">qqQQIII", 1700000000, 1700000000, size, at, length,
                        nodes, dirs) + name)
    return struct.pack(">IQ", 12 + len(body), siphash(body)) + body


class Held:
    """The index and sparse blobs of torrents of which all is held, as far as
    anybody can see who does not read it (cache/FORMAT.md)."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.base = sqlite3.connect(os.path.join(folder, "index.db"))

    def add(self, digest, info, size):
        place = os.path.join(self.folder, "torrents", digest.hex())
        pieces, piece = self.options.pieces, self.options.piece
        os.mkdir(place, 0o700)
        with open(os.path.join(place, "info"), "wb") as out:
            out.write(info)
        row = self.base.execute(
            "INSERT INTO torrent (v1, piece_bytes, n_pieces, total_bytes,"
            " added_s) VALUES (?, ?, ?, ?, ?)",
            (digest, piece, pieces, size, 1700000000)).lastrowid
        for chunk in range(-(-pieces // 4096)):
            n = min(4096, pieces - 4096 * chunk)
            bits = ((1 << n) - 1 << 4096 - n).to_bytes(512, "big")
            self.base.execute("INSERT INTO held VALUES (?, ?, ?, ?)",
                              (row, chunk, n * piece, bits))
        for i in range(self.options.files):
            path = os.path.join(place, str(i))
            with open(path, "wb") as blob:
                blob.truncate(size // self.options.files)
            os.chmod(path, 0o600)
            seen = os.stat(path)
            self.base.execute(
                "INSERT INTO own_stamp VALUES (?, ?, ?)",
                (row, i, struct.pack(">QQqq", seen.st_size, seen.st_ino,
                                     seen.st_mtime_ns, seen.st_ctime_ns)))

    def close(self):
        self.base.commit()
        self.base.close()
        with open(os.path.join(self.folder, "index.db"), "r+b") as index:
            while page := index.read(PAGE):
                index.seek(-8, 1)
                index.write(struct.pack(">Q", siphash(page[:-8], SUM_KEY)))


def write_store(folder, options):
    random.seed(4711)
    at = 0
    held = Held(folder, options) if options.held else None
    with open(os.path.join(folder, "sources"), "wb") as sources, \
            open(os.path.join(folder, "library"), "wb") as library:
        library.write(b"shoallib" + struct.pack(">II", 1, 0))
        for number in range(options.torrents):
            whole, info, size, nodes, dirs = torrent(
                number, options.files, options.pieces, options.piece)
            digest = hashlib.sha1(info).digest()
            if held:
                held.add(digest, info, size)
            sources.write(whole)
            library.write(entry(number, digest, at, len(whole), size, nodes,
                                dirs))
            at += len(whole)
    if held:
        held.close()
    return at


def rss_mib(pid, which="VmRSS"):
    with open(f"/proc/{pid}/status") as text:
        for line in text:
            if line.startswith(which):
                return int(line.split()[1]) / 1024
    return 0


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as text:
        fields = text.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(pid, seconds):
    before = cpu_s(pid)
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / seconds


def find(path):
    begin = time.monotonic()
    out = subprocess.run(["find", path], stdout=subprocess.PIPE, check=True)
    took = time.monotonic() - begin
    return out.stdout.count(b"\n"), took


def say_find(what, path):
    for which in "first", "second", "third":
        count, took = find(path)
        print(f"{what:10}{count} entries, {took:.1f} s, {count / took:.0f}/s, "
              f"{which} time", flush=True)


@contextlib.contextmanager
def awake():
    """No CPU sleeps meanwhile: /dev/cpu_dma_latency for as long as it is open."""
    with open("/dev/cpu_dma_latency", "wb", buffering=0) as demand:
        demand.write(struct.pack("=i", 0))
        yield


def build(work, name):
    program = os.path.join(work, name)
    subprocess.run(["cc", "-O2", "-o", program, os.path.join(
        TOP, "tests", "bench", f"{name}.c")], check=True)
    return program


def ceiling(options, work, what="ceiling"):
    point = os.path.join(work, f"{what}.mnt")
    os.mkdir(point)
    proc = subprocess.Popen([build(work, "ceiling"), str(options.torrents),
                             str(options.files), point],
                            stdout=subprocess.PIPE, text=True)
    try:
        while not os.path.ismount(point):
            if proc.poll() is not None:
                sys.exit("ceiling ended")
            time.sleep(0.005)
        say_find(what, point)
    finally:
        subprocess.run(["umount", "-l", point])
        print(f"{what:10}{proc.communicate(timeout=20)[0].strip()}")


def say_ls(point, names):
    """ls -l also asks for extended attributes, until it hears of none."""
    begin = time.monotonic()
    out = subprocess.run(["ls", "-lR", *names[:300]], cwd=point, check=True,
                         stdout=subprocess.PIPE).stdout
    took = time.monotonic() - begin
    count = sum(line[:1] in b"-dl" for line in out.splitlines() if line)
    print(f"ls -lR    {count} entries, {took:.2f} s, {count / took:.0f}/s, "
          f"of {len(names[:300])} torrents", flush=True)


def walk(walker, path):
    out = subprocess.run([walker, path], stdout=subprocess.PIPE,
                         check=True).stdout.split()
    return int(out[0]), float(out[1])


def daemon_of(pid):
    """Who serves: a child of the one that keeps the mount."""
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return int((children.read().split() or [pid])[0])


def start(options, store, point):
    proc = subprocess.Popen([
        os.path.join(options.bin, "shoalfs"), "-f", "-o",
        f"store={store},nodht,bind=127.0.0.1,noseed,quota=1T,min_free=0",
        point],
        stderr=subprocess.DEVNULL)
    while not os.path.ismount(point):
        if proc.poll() is not None:
            sys.exit("shoalfs ended")
        time.sleep(0.005)
    return proc


def measure(options, work):
    store, point = os.path.join(work, "store"), os.path.join(work, "mnt")
    walker = build(work, "walk")
    os.mkdir(point)
    proc = start(options, store, point)  # who makes its index
    proc.terminate()
    proc.wait(20)
    begin = time.monotonic()
    total = write_store(store, options)
    print(f"{options.torrents} torrents of {options.files} files, "
          f"{options.pieces} pieces of {options.piece >> 10} KiB"
          f"{', all held' if options.held else ''}: "
          f"{total >> 20} MiB of .torrent files, "
          f"written in {time.monotonic() - begin:.0f} s")
    begin = time.monotonic()
    proc = start(options, store, point)
    daemon = daemon_of(proc.pid)
    try:
        names = [name for name in os.listdir(point) if name[0] != "."]
        print(f"ready     {time.monotonic() - begin:.2f} s, {len(names)} names")
        print(f"RSS       {rss_mib(daemon):.1f} MiB after the listing")
        slowest = 0
        for _ in range(20):
            path = os.path.join(
                point, random.choice(names), "extras",
                f"file {4 * random.randrange(options.files // 4) + 3:06}.bin")
            begin = time.monotonic()
            os.stat(path)
            slowest = max(slowest, time.monotonic() - begin)
        print(f"stat      {slowest * 1000:.1f} ms, the slowest of 20")
        say_find("find", point)
        print(f"RSS       {rss_mib(daemon):.1f} MiB after that, "
              f"{rss_mib(daemon, 'VmHWM'):.1f} at most", flush=True)
        say_ls(point, names)
        print(f"idle      {idle(daemon, options.idle):.2f} %")
        for which in "first", "again":
            before = cpu_s(daemon)
            count, took = walk(walker, point)
            print(f"walk      {count} entries, {took:.1f} s, "
                  f"{count / took:.0f}/s, {which}; of the daemon "
                  f"{(cpu_s(daemon) - before) / took * 100:.0f} % of a core",
                  flush=True)
    finally:
        proc.terminate()
        proc.wait(20)


def find_awake(options, store, point):
    """Of a mount that has not been asked anything."""
    proc = start(options, store, point)
    try:
        os.listdir(point)
        with awake():
            say_find("awake", point)
    finally:
        proc.terminate()
        proc.wait(20)


def find_cold(options, store, point):
    """Of a mount that has not been asked anything, of a disk that was not read."""
    proc = start(options, store, point)
    try:
        os.listdir(point)
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("1")
        subprocess.run(["find", "--version"], stdout=subprocess.DEVNULL,
                       check=True)  # its own pages are no part of it
        count, took = find(point)
        print(f"cold      {count} entries, {took:.1f} s, {count / took:.0f}/s",
              flush=True)
    finally:
        proc.terminate()
        proc.wait(20)


LIBTORRENT = """
import os, sys, time
import libtorrent as lt
folder, count, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
def figures():
    with open("/proc/self/status") as text:
        rss = [l for l in text if l.startswith("VmRSS:")][0].split()[1]
    t = os.times()
    return int(rss) / 1024, t.user + t.system
s = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False,
                "enable_lsd": False, "enable_upnp": False,
                "enable_natpmp": False})
rss0 = figures()[0]
begin = time.monotonic()
with open(os.path.join(folder, "sources"), "rb") as data, \\
        open(os.path.join(folder, "library"), "rb") as log:
    log.seek(16)
    for i in range(count):
        head = log.read(4)
        e = head + log.read(int.from_bytes(head, "big") - 4)
        length = int.from_bytes(e[100:104], "big")
        p = lt.add_torrent_params()
        p.ti = lt.torrent_info(data.read(length))
        p.save_path = "/nonexistent"
        p.flags = lt.torrent_flags.paused
        s.async_add_torrent(p)
while len(s.get_torrents()) < count:
    time.sleep(0.1)
took = time.monotonic() - begin
rss, before = figures()
time.sleep(seconds)
print(f"libtorrent {lt.version}: {count} torrents added in {took:.1f} s, "
      f"RSS {rss:.1f} MiB, {(rss - rss0) * 1024 / count:.1f} KiB each, "
      f"idle {100 * (figures()[1] - before) / seconds:.2f} %", flush=True)
os._exit(0)
"""


def main():
    parser = argparse.ArgumentParser(
        prog="bench library", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torrents", type=int, default=100000, metavar="N")
    parser.add_argument("--files", type=int, default=20, metavar="N")
    parser.add_argument("--pieces", type=int, default=200, metavar="N")
    parser.add_argument("--piece", type=int, default=16384, metavar="BYTES")
    parser.add_argument("--held", action="store_true",
                        help="all of them, in sparse blobs with an index")
    parser.add_argument("--ceiling", action="store_true",
                        help="`find` also where there is nothing to do")
    parser.add_argument("--awake", action="store_true",
                        help="`find` also with CPUs that do not sleep")
    parser.add_argument("--cold", action="store_true",
                        help="`find` also of a disk that was not read")
    parser.add_argument("--idle", type=float, default=20, metavar="S")
    parser.add_argument("--rival", type=int, default=10000, metavar="N",
                        help="so many of them for libtorrent; 0: none")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    options = parser.parse_args()
    options.bin = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    work = tempfile.mkdtemp(prefix="shoal-library-")
    try:
        measure(options, work)
        if options.awake:
            find_awake(options, os.path.join(work, "store"),
                       os.path.join(work, "mnt"))
        if options.cold:
            find_cold(options, os.path.join(work, "store"),
                      os.path.join(work, "mnt"))
        if options.ceiling:
            ceiling(options, work)
        if options.ceiling and options.awake:
            with awake():
                ceiling(options, work, "awake too")
        if options.rival:
            subprocess.run([sys.executable, "-c", LIBTORRENT,
                            os.path.join(work, "store"),
                            str(min(options.rival, options.torrents)),
                            str(options.idle)], check=True)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
