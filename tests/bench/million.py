"""A torrent of a million files: what the daemon's memory comes to while it is
added, and how long others wait for a look-up meanwhile.

  cp        the .torrent is copied into the root
  ctl       shoalctl add
  source    it is a SOURCE of the command line
  restart   the mount that has it is started anew
  rename    copied under another name, then renamed

Each on a store of its own: seconds until a file of it can be named, RSS at that
moment and its peak (VmHWM), and of one who looks up names in the root all the
while the slowest look-up. Of source the process that keeps the mount counts
too: it has read the file."""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

from library import TOP, daemon_of, rss_mib

WAYS = "cp", "ctl", "source", "restart", "rename"

# Until its input ends; the slowest look-up, in ms.
LOOKER = """
import os, select, sys, time
slowest = at = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    begin = time.monotonic()
    try:
        os.stat(f"{sys.argv[1]}/no {at}")
    except OSError:
        pass
    slowest = max(slowest, time.monotonic() - begin)
    at += 1
    time.sleep(0.0005)
print(slowest * 1000)
"""


def string(data):
    return b"%d:%s" % (len(data), data)


def file_names(options):
    for i in range(options.files):
        yield (b"folder %04d" % (i // options.folder),
               b"a file with number %07d.bin" % i)


def v1_files(options):
    parts = [b"5:filesl"]
    for folder, name in file_names(options):
        parts.append(b"d6:lengthi%de4:pathl%s%see" % (
            options.size, string(folder), string(name)))
    return b"".join(parts) + b"e"


def v2_files(options):
    parts, last = [b"9:file treed"], None
    for folder, name in file_names(options):
        if folder != last:
            parts.append((b"e" if last else b"") + string(folder) + b"d")
            last = folder
        parts.append(b"%sd0:d6:lengthi%de11:pieces root32:%see" % (
            string(name[-options.v2_name:]), options.size,
            random.randbytes(32)))
    return b"".join(parts) + b"ee12:meta versioni2e"


def write_torrent(path, options):
    random.seed(4711)
    info = b"d" + (v2_files if options.v2 else v1_files)(options)
    info += b"4:name9:a million12:piece lengthi%de" % options.piece
    if not options.v2:
        total = options.files * options.size
        count = -(-total // options.piece)
        info += b"6:pieces" + string(random.randbytes(20 * count))
    info += b"e"
    with open(path, "wb") as out:
        out.write(b"d8:announce30:http://127.0.0.1:9/announce/xx"
                  b"13:creation datei1700000000e4:info" + info + b"e")
    return os.path.getsize(path)


class Mount:
    def __init__(self, options, work, name, sources=()):
        self.store = os.path.join(work, name)
        self.point = os.path.join(work, name + ".mnt")
        os.makedirs(self.point, exist_ok=True)
        self.proc = subprocess.Popen([
            os.path.join(options.bin, "shoalfs"), "-f", "-o",
            f"store={self.store},nodht,bind=127.0.0.1,noseed,quota=1T,"
            "min_free=0", *sources, self.point],
            stderr=None if options.verbose else subprocess.DEVNULL)
        while not os.path.ismount(self.point):
            if self.proc.poll() is not None:
                sys.exit("shoalfs ended")
            time.sleep(0.002)
        self.daemon = daemon_of(self.proc.pid)

    def wait(self):
        """Until a file of it can be named."""
        path = os.path.join(self.point, "a million")
        while True:
            try:
                folder = sorted(os.listdir(path))[0]
                os.stat(os.path.join(path, folder,
                                     os.listdir(os.path.join(path,
                                                             folder))[-1]))
                return
            except (OSError, IndexError):
                time.sleep(0.01)

    def end(self):
        self.proc.terminate()
        self.proc.wait(60)


def add(way, options, mount, torrent):
    if way == "cp":
        shutil.copyfile(torrent, os.path.join(mount.point, "x.torrent"))
    elif way == "rename":
        part = os.path.join(mount.point, "x.part")
        shutil.copyfile(torrent, part)
        os.rename(part, os.path.join(mount.point, "x.torrent"))
    elif way == "ctl":
        subprocess.run([os.path.join(options.bin, "shoalctl"), "-m",
                        mount.point, "add", torrent], check=True,
                       stdout=subprocess.DEVNULL)


def measure(way, options, work, torrent):
    if way == "restart":
        mount = Mount(options, work, way, [torrent])
        mount.wait()
        mount.end()
    begin = time.monotonic()
    mount = Mount(options, work, way, [torrent] if way == "source" else [])
    looker = subprocess.Popen([sys.executable, "-c", LOOKER, mount.point],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    try:
        if way not in ("source", "restart"):
            time.sleep(0.3)
            begin = time.monotonic()
        add(way, options, mount, torrent)
        mount.wait()
        took = time.monotonic() - begin
        slowest = float(looker.communicate("\n")[0])
        peak = rss_mib(mount.daemon, "VmHWM")
        now = rss_mib(mount.daemon)
        keeper = rss_mib(mount.proc.pid, "VmHWM")
        time.sleep(1.5)
        print(f"{way:9}{took:6.1f} s, RSS {now:.0f} MiB, "
              f"{rss_mib(mount.daemon):.0f} a second later, peak "
              f"{max(peak, rss_mib(mount.daemon, 'VmHWM')):.0f}, who keeps "
              f"the mount {keeper:.0f}, slowest look-up {slowest:.1f} ms",
              flush=True)
    finally:
        if looker.poll() is None:
            looker.communicate("\n")
        mount.end()
    shutil.rmtree(mount.store, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(
        prog="bench million", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", nargs="*", help="of these (default: all): "
                        + " ".join(WAYS))
    parser.add_argument("--files", type=int, default=1000000, metavar="N")
    parser.add_argument("--folder", type=int, default=1000, metavar="N",
                        help="files in a folder")
    parser.add_argument("--size", type=int, default=16384, metavar="BYTES")
    parser.add_argument("--piece", type=int, default=1 << 22, metavar="BYTES")
    parser.add_argument("--v2", action="store_true")
    parser.add_argument("--v2-name", type=int, default=11, metavar="N",
                        help="so much of a name's end (a .torrent has its "
                        "limit)")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    options = parser.parse_args()
    options.bin = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    for way in options.way:
        if way not in WAYS:
            parser.error(f"no way {way}")
    work = tempfile.mkdtemp(prefix="shoal-million-")
    try:
        torrent = os.path.join(work, "x.torrent")
        size = write_torrent(torrent, options)
        print(f"{options.files} files, {size >> 20} MiB of .torrent, "
              f"{'v2' if options.v2 else 'v1'}", flush=True)
        for way in options.way or WAYS:
            measure(way, options, work, torrent)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
