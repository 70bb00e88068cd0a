"""Making torrents: `shoalctl create` beside `openssl speed`, in one run. No root.

What is made, from files on tmpfs, so that no disk is measured:
  large   one file
  small   the same bytes in files of 64 KiB
  tiny    files of 4 KiB: opening them costs more than hashing them
each as v1 (SHA-1), v2 (SHA-256) and hybrid (both).

What could be: `openssl speed -evp` of both algorithms, 16 KiB at a time, on all
cores; the time that it would take for the bytes that this torrent has hashed,
a hybrid's padding included. What is: the wall time of the whole command, from
its start to its end. `of openssl` is the one divided by the other; below 0.90
it is marked with !. `by cpu` is the same in processor seconds, which others on the
machine disturb less. openssl hashes the same 16 KiB over and over, from its
cache; whoever hashes files has to read them first. As many processes as there
are cores, that do nothing but read, say what that costs, and
`of ceiling` is the time of both, one after the other, divided by ours: neither
the reading nor the hashing can be done while the cores do the other. `of reading` is the time of the reading alone divided by ours. Every figure is the
median over rounds, which take turns.
`memory` is the command's peak."""

import argparse
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

from stream import MB, bytes_of
from shoal import program

import libtorrent as lt

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
GOAL = 0.9
KINDS = {"v1": (True, False), "v2": (False, True), "hybrid": (True, True)}
SETS = {"large": 0, "small": 64 << 10, "tiny": 4 << 10}
BLOCK, SECONDS = 16384, 1


def parse():
    parser = argparse.ArgumentParser(
        prog="bench create", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bytes_of, default=1 << 30,
                        help="of the content; tiny is a sixteenth (1G)")
    parser.add_argument("--set", action="append", choices=SETS)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--piece", action="append",
                        help="this size of piece (repeatable; as fits)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N",
                        help="keep to this many cores (all)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    return parser.parse_args()


def child(words):
    """What it said, its seconds by the clock and on processors, its peak."""
    begin = time.monotonic()
    proc = subprocess.Popen(words, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    told = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    assert status == 0, f"{words}: {status}"
    return told, time.monotonic() - begin, \
        usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def openssl(algorithm, n):
    """Bytes a second of `n` processes, and bytes a processor second."""
    told, _, cpu, _ = child(
        ["openssl", "speed", "-elapsed", "-evp", algorithm, "-bytes",
         str(BLOCK), "-seconds", str(SECONDS), "-multi", str(n), "-mr"])
    rate = float(re.search(r"^\+F:\d+:[^:]+:([0-9.]+)$", told, re.M)[1])
    return rate, rate * SECONDS / cpu


def read_all(files):
    """Read them, 256 KiB at a time."""
    buffer = bytearray(256 << 10)
    for path in files:
        file = os.open(path, os.O_RDONLY)
        while os.readv(file, [buffer]) > 0:
            pass
        os.close(file)


def reading(path, n):
    """Bytes a second that `n` processes read of files that are in memory."""
    files = [path] if os.path.isfile(path) else [
        os.path.join(folder, name) for folder, _, names in os.walk(path)
        for name in names]
    shares = [files[at::n] for at in range(n)] if len(files) > 1 \
        else [files] * n
    size = sum(os.path.getsize(file) for share in shares for file in share)
    begin = time.monotonic()
    procs = [multiprocessing.Process(target=read_all, args=(share,))
             for share in shares]
    for proc in procs:
        proc.start()
    for proc in procs:
        proc.join()
    return size / (time.monotonic() - begin)


def fill(path, size):
    chunk = os.urandom(min(size, 1 << 20))
    with open(path, "wb") as out:
        for at in range(0, size, len(chunk)):
            out.write(chunk[:size - at])


def make(top, name, size):
    path, each = os.path.join(top, name), SETS[name]
    if not each:
        fill(path, size)
        return path
    for i in range(size // each):
        folder = os.path.join(path, f"{i // 1000:03}")
        os.makedirs(folder, exist_ok=True)
        fill(os.path.join(folder, f"{i:06}"), each)
    return path


def hashed(file):
    """Bytes of the torrent that SHA-1 goes over, and SHA-256."""
    info = lt.torrent_info(file)
    files = info.files()
    content = sum(files.file_size(i) for i in range(files.num_files())
                  if not files.file_flags(i) & lt.file_storage.flag_pad_file)
    return files.total_size(), content, info.piece_length()


def could_take(file, kind, rates):
    """Seconds, by the clock and on processors, at the rates of openssl."""
    v1, content, _ = hashed(file)
    has_v1, has_v2 = KINDS[kind]
    return [has_v1 * v1 / sha1 + has_v2 * content / sha256
            for sha1, sha256 in zip(rates["sha1"], rates["sha256"])]


def round_of(args, paths, out, cells):
    rates = {name: openssl(name, args.threads)
             for name in ("sha1", "sha256")}
    for name, path in paths.items():
        rates[name] = reading(path, args.threads)
        for kind in args.kind or KINDS:
            for piece in args.piece or [None]:
                words = [program("shoalctl"), "create", f"--{kind}", "-o", out]
                words += ["--piece", piece] if piece else []
                _, took, cpu, peak = child(words + [path])
                could, could_cpu = could_take(out, kind, rates)
                _, content, piece_bytes = hashed(out)
                ceiling = could + content / rates[name]
                cells.setdefault((name, kind, piece_bytes), []).append(
                    (content / took / MB, content / could / MB, could / took,
                     ceiling / took, content / rates[name] / took,
                     could_cpu / cpu, peak / MB))
    return rates


def main():
    args = parse()
    os.environ["SHOALFS_BIN"] = os.path.abspath(
        args.bin or os.environ.get("SHOALFS_BIN", os.path.join(
            TOP, "build", "release", "cmd")))
    cores = sorted(os.sched_getaffinity(0))
    args.threads = min(args.threads or len(cores), len(cores))
    os.sched_setaffinity(0, cores[:args.threads])
    cells, rates = {}, []
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="create-") as top:
        paths = {name: make(top, name, args.size // (16 if name == "tiny"
                                                     else 1))
                 for name in args.set or SETS}
        for _ in range(args.rounds):
            rates.append(round_of(args, paths, os.path.join(top, "t"), cells))
    print(f"{platform.node()}, {args.threads} cores, {args.rounds} rounds; "
          f"MB/s of content")
    for name in ("sha1", "sha256"):
        print(f"openssl speed {name}: "
              f"{statistics.median(r[name][0] for r in rates) / MB:.0f}")
    for name in paths:
        print(f"reading {name}: "
              f"{statistics.median(r[name] for r in rates) / MB:.0f}")
    print(f"{'':8}{'':8}{'piece':>8}{'create':>9}{'openssl':>9}"
          f"{'of openssl':>12}{'of ceiling':>12}{'of reading':>12}"
          f"{'by cpu':>9}{'memory':>9}")
    for (name, kind, piece), rows in cells.items():
        rate, could, ratio, ceiling, reading_only, cpu, peak = map(
            statistics.median, zip(*rows))
        print(f"{name:8}{kind:8}{piece >> 10:>7}K{rate:>9.0f}{could:>9.0f}"
              f"{ratio:>12.2f}{' ' if ratio >= GOAL else '!'}"
              f"{ceiling:>11.2f}{reading_only:>12.2f}{cpu:>9.2f}"
              f"{peak:>8.0f}M")
    return 0


if __name__ == "__main__":
    sys.exit(main())
