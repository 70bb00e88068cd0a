"""Fetching what nobody reads: `shoalctl pin` beside libtorrent's plain download,
in the same run and from the same seeds, over a veth pair, everything on tmpfs.

Seeds, each a fresh process that holds everything:
  own         shoalctl create --seed: files where the user has them
  libtorrent  in its settings for seeds
Leechers, each taking the whole torrent from one seed alone:
  shoalfs     a mount that nobody reads, told to pin the file
  libtorrent  a plain download
  ceiling     what does only what none can do without (ceiling_fetch.c, built
              on the spot): what this machine allows in this run. A ratio to it
              (x ceil) above 1 means that shoalfs is better

What is measured: MB/s until every piece was hashed and found right, from the
moment at which the leecher is told to go (shoalfs: it is connected then; dial
and handshakes take a millisecond) or from the first byte (libtorrent: it tries
an encrypted handshake first, which our seed does not speak, and waits a second
then); and processor seconds per GB of both processes, the leecher's
until its store has settled. The kernel's receive path of a veth runs on the
sender's account in part.

Every figure is the median over rounds; the order turns with each round.
Absolute figures of different runs do not compare. A goal that is missed is
marked with !: 700 MB/s from our own seed, libtorrent's own rate from its; 1.45
processor seconds per GB leeching, 0.65 seeding."""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time

from ceiling_fetch import Ceiling
from seed import PORT
from lab import run, until
from shoal import Mount, content_path, program
from stream import MB, RUN_SECONDS, bytes_of, cpu_seconds, filesystem, prewarm
from swarm import Torrent, start_leech, start_seed, write_blob

GOAL_MBPS, GOAL_LEECH, GOAL_SEED = 700, 1.45, 0.65
SETTLE = 1.3                # the store commits a second after the last piece


def parse():
    parser = argparse.ArgumentParser(
        prog="bench pin", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=bytes_of, default="1G",
                        help="of the file (%(default)s)")
    parser.add_argument("--piece", type=bytes_of, action="append",
                        help="this size of piece (repeatable; 256K 1M 4M 16M)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seed", action="append", choices=SEEDS)
    parser.add_argument("--leecher", "--only", action="append",
                        choices=LEECHERS, help="this one (repeatable; all)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--perf", metavar="FILE",
                        help="perf record of the pinning mount, into FILE")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    top = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(top, "build", "release", "cmd"))
    return options


class Own:
    """shoalctl create --seed."""

    def __init__(self, bench):
        host, torrent = bench.seed, bench.torrent
        self.address = f"{host.ip4}:{PORT}"
        self.proc = host.start(
            [program("shoalctl"), "create", "--v1", "--nodht", "-o",
             os.path.join(bench.lab.fresh_dir("own"), "torrent"), "--piece",
             torrent.piece_size, "--seed", "--bind", host.ip4, "--port", PORT,
             torrent.path], "own", stdout=subprocess.PIPE)
        link = self.proc.stdout.readline().decode()
        if torrent.v1 not in link:
            raise OSError(f"no link of shoalctl create: {link}")

    def stop(self):
        self.proc.stop()


def libtorrent_seed(bench):
    return start_seed(bench.seed, bench.torrent, "--no-tracker")


class Control:
    """The control socket of a mount."""

    def __init__(self, mount):
        path = os.getxattr(mount.path, "user.shoalfs.control").decode()
        self.line = socket.socket(socket.AF_UNIX)
        folder = os.open(os.path.dirname(path), os.O_PATH)
        self.line.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        os.close(folder)
        self.file = self.line.makefile("rw")

    def ask(self, **request):
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        answer = json.loads(self.file.readline())
        if "error" in answer:
            raise OSError(answer["error"])
        return answer

    def torrent(self):
        return self.ask(verb="ls")["torrents"][0]

    def close(self):
        self.file.close()
        self.line.close()


def shoalfs(bench, seed):
    """Seconds, and the leecher's processor seconds."""
    store = bench.lab.fresh_dir("leech")
    mount = Mount(bench.leech, bench.torrent.file, store=store,
                  options=[f"peer={seed.address}"])
    try:
        below = os.path.relpath(content_path(mount, bench.torrent), mount.path)
        with contextlib.closing(Control(mount)) as control:
            until(lambda: control.torrent()["seeds"], 10, "connected")
            watch = bench.perf(mount.daemon())
            bench.warm.close()
            cpu = cpu_seconds(mount.proc.pid)
            began = time.monotonic()
            control.ask(verb="pin", path=below)
            while True:
                now = control.torrent()
                if now["pieces_held"] == now["pieces"]:
                    break
                time.sleep(0.005)
            took = time.monotonic() - began
            if watch:
                watch.send_signal(2)
                watch.wait()
            time.sleep(SETTLE)
            return took, cpu_seconds(mount.proc.pid) - cpu
    finally:
        mount.stop()
        subprocess.run(["rm", "-rf", store], check=True)


def libtorrent(bench, seed):
    into = bench.lab.fresh_dir("leech")
    bench.warm.close()
    peer = start_leech(bench.leech, bench.torrent, into, "--no-tracker",
                       "--peer", seed.address)
    try:
        first = peer.wait("down", RUN_SECONDS)
        cpu = cpu_seconds(peer.proc.pid) * first["down"] / bench.torrent.size
        start = cpu_seconds(peer.proc.pid) - cpu
        last = peer.wait("complete", RUN_SECONDS)
        left = 1 - first["down"] / bench.torrent.size
        took = (last["seconds"] - first["seconds"]) / left
        return took, cpu_seconds(peer.proc.pid) - start
    finally:
        peer.stop()
        subprocess.run(["rm", "-rf", into], check=True)


def ceiling(bench, seed):
    into = bench.lab.fresh_dir("leech")
    peer = Ceiling(bench.leech, bench.torrent, seed.address, into)
    try:
        bench.warm.close()
        cpu = cpu_seconds(peer.proc.pid)
        peer.go()
        return peer.done(), cpu_seconds(peer.proc.pid) - cpu
    finally:
        peer.stop()
        subprocess.run(["rm", "-rf", into], check=True)


SEEDS = {"own": Own, "libtorrent": libtorrent_seed}
LEECHERS = {"shoalfs": shoalfs, "libtorrent": libtorrent, "ceiling": ceiling}


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.torrent = self.warm = None
        self.seed, self.leech = lab.hosts("seed", "leech")
        lab.link(self.seed, self.leech)
        self.path = write_blob(lab.path("content", "pin.bin"), options.size, 1)

    def use(self, piece):
        file = self.lab.path(f"{piece}.torrent")
        made = self.seed.run([program("shoalctl"), "create", "--v1", "-o", file,
                              "--piece", piece, self.path], RUN_SECONDS)
        if made.returncode:
            raise OSError(f"shoalctl create: {made.stderr}")
        self.torrent = Torrent(file, self.path)

    def perf(self, pid):
        if not self.options.perf:
            return None
        return subprocess.Popen(["perf", "record", "-q", "-g", "-o",
                                 self.options.perf, "-p", str(pid)])

    def one(self, seed, leecher):
        self.warm = prewarm(min(2 * self.options.size, 2 << 30))
        seed = SEEDS[seed](self)
        try:
            before = cpu_seconds(seed.proc.pid)
            took, cpu = LEECHERS[leecher](self, seed)
            seeding = cpu_seconds(seed.proc.pid) - before
        finally:
            seed.stop()
        size = self.torrent.size
        return {"MBps": size / MB / took, "leech": cpu / size * 1e9,
                "seed": seeding / size * 1e9}

    def rounds(self, seed, names):
        found = {name: {} for name in names}
        for turn in range(self.options.rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                print(f"{self.torrent.piece_size >> 10} KiB, {seed}, round "
                      f"{turn + 1}: {name}", file=sys.stderr, flush=True)
                for metric, value in self.one(seed, name).items():
                    found[name].setdefault(metric, []).append(value)
        return found


HEADINGS = (f"{'piece':>7} {'seed':11}{'leecher':11}{'MB/s':>8}{'x lt':>7}"
            f"{'x ceil':>8}{'leech s/GB':>12}{'x ceil':>8}{'seed s/GB':>11}")


def row(piece, seed, name, medians):
    found, rival = medians[name], medians.get("libtorrent")
    goal = GOAL_MBPS if seed == "own" else rival and rival["MBps"]
    ours = name == "shoalfs"
    slow = ours and goal and found["MBps"] < goal
    leech = ours and found["leech"] > GOAL_LEECH
    seeding = seed == "own" and found["seed"] > GOAL_SEED

    def ratio(other, metric):
        if not ours or other not in medians:
            return ""
        pair = found[metric], medians[other][metric]
        return format(pair[0] / pair[1] if metric == "MBps"
                      else pair[1] / pair[0], ".2f")
    return (f"{piece >> 10:>6}K {seed:11}{name:11}"
            f"{format(found['MBps'], '.0f') + '!' * bool(slow):>8}"
            f"{ratio('libtorrent', 'MBps'):>7}{ratio('ceiling', 'MBps'):>8}"
            f"{format(found['leech'], '.2f') + '!' * leech:>12}"
            f"{ratio('ceiling', 'leech'):>8}"
            f"{format(found['seed'], '.2f') + '!' * seeding:>11}").rstrip()


def main(options):
    report = {}

    def experiment(lab):
        bench = Bench(lab, options)
        names = options.leecher or list(LEECHERS)
        print(f"pin: unshaped veth, {options.size >> 20} MiB, "
              f"{options.rounds} round(s), files on "
              f"{filesystem(bench.lab.tmp)}, {os.cpu_count()} cpus, "
              f"{platform.release()}\n{HEADINGS}", flush=True)
        for piece in options.piece or [256 << 10, 1 << 20, 4 << 20, 16 << 20]:
            bench.use(piece)
            for seed in options.seed or SEEDS:
                results = bench.rounds(seed, names)
                medians = {name: {metric: statistics.median(values)
                                  for metric, values in found.items()}
                           for name, found in results.items()}
                for name in names:
                    print(row(piece, seed, name, medians), flush=True)
                report[f"{piece} {seed}"] = results
        if options.json:
            with open(options.json, "w") as out:
                json.dump(report, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
