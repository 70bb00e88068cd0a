"""Reading a file of which all is held, through the mount and beside it.

The file was fetched once, over veth; then nothing is on the network. Who reads:
  native   a copy of the file, by its own path, where the store is
  blob     what the store has of it, by its own path
  through  the mount, where the kernel reads whole files by itself
  daemon   the mount with -o nopassthrough: the pages come from the daemon

What: `dd bs=1M` of the whole file and `fio` reads of 1 MiB in order, 64 KiB and
4 KiB at random. cold: nothing of the mount's own page cache is there (a fresh
mount); what the file itself consists of is in memory in every case, so that it
is not the disk that is measured. warm: the same once more.

The order turns with each round. The goals: `through` >= 0.95 of native,
`daemon` >= 2 GB/s in order; missed, they are marked with !."""

import json
import os
import re
import shutil
import statistics
import subprocess

import trial
from stream import MB, bytes_of, prewarm
from lab import run, until
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

GOAL_RATIO, GOAL_MBPS = 0.95, 2000
NAMES = ("native", "blob", "through", "daemon")
FIO = (("seq 1M", "read", "1M"), ("rand 64K", "randread", "64k"),
       ("rand 4K", "randread", "4k"))


def parse():
    parser = trial.arguments("complete", __doc__)
    parser.add_argument("--size", type=bytes_of, default="1G",
                        help="of the file (%(default)s)")
    parser.add_argument("--kind", choices=("v1", "v2", "hybrid"),
                        default="v1")
    parser.add_argument("--store", metavar="DIR",
                        help="where the store lies (the lab's tmpfs)")
    options = trial.parsed(parser)
    if options.quick:
        options.size = min(options.size, 256 << 20)
    return options


def dd(path):
    done = subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M"],
                          capture_output=True, text=True, check=True)
    size, seconds = re.search(r"^(\d+) bytes.*?, ([\d.e-]+) s,", done.stderr,
                              re.M).groups()
    return int(size) / float(seconds) / MB


def fio(path, how, block, seconds):
    done = subprocess.run(
        ["fio", "--name=x", f"--filename={path}", "--readonly", f"--rw={how}",
         f"--bs={block}", "--ioengine=psync", "--fadvise_hint=0",
         "--invalidate=0", "--time_based", f"--runtime={seconds}",
         "--output-format=json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["jobs"][0]["read"]["bw_bytes"] / MB


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.host, seed = lab.hosts("reader", "seed")
        lab.link(self.host, seed)
        self.torrent = make_torrent(
            write_blob(lab.path("c", "film.bin"), options.size, 7),
            options.kind, piece=1 << 20)
        self.store = options.store or lab.path("store")
        self.fill(start_seed(seed, self.torrent))
        blob, = [os.path.join(folder, name)
                 for folder, _, names in os.walk(self.store)
                 for name in names
                 if os.path.getsize(os.path.join(folder, name))
                 == options.size]
        self.files = {"native": self.store + ".film", "blob": blob}
        lab.defer(os.remove, self.files["native"])
        shutil.copyfile(blob, self.files["native"])

    def mount(self, *options):
        return Mount(self.host, self.torrent.file, store=self.store,
                     options=options)

    def fill(self, source):
        mount = self.mount(f"peer={source.address}")
        dd(content_path(mount, self.torrent))
        assert mount.stop() == 0
        source.stop()

    def read(self, path):
        found = {"dd cold": dd(path), "dd warm": dd(path)}
        seconds = 1 if self.options.quick else 2
        for name, how, block in FIO:
            found[name] = fio(path, how, block, seconds)
        return found

    def one(self, name):
        prewarm(2 * self.options.size)
        for path in self.files.values():
            dd(path)
        if name in self.files:
            return self.read(self.files[name])
        mount = self.mount(*(["nopassthrough"] if name == "daemon" else []))
        path = content_path(mount, self.torrent)
        os.close(os.open(path, os.O_RDONLY))  # the store opens it
        until(lambda: mount.status()["torrents"][0]["pieces_held"]
              == self.torrent.pieces, 10, "all held")
        file = os.open(path, os.O_RDONLY)
        passed = mount.status()["passthrough_files"]
        assert passed == (name == "through"), mount.status()["passthrough"]
        os.close(file)
        found = self.read(path)
        assert mount.stop() == 0
        return found


def report(found, options):
    names = list(found)
    print(f"{'MB/s':10}" + "".join(f"{name:>10}" for name in names)
          + f"{'through':>12}{'daemon':>11}")
    for metric in next(iter(found.values())):
        middle = {name: statistics.median(found[name][metric])
                  for name in names}
        line = f"{metric:10}" + "".join(f"{middle[name]:10.0f}"
                                        for name in names)
        for name in NAMES[2:]:
            if name not in found or "native" not in found:
                continue
            ratio = statistics.median(
                mine / other for mine, other in
                zip(found[name][metric], found["native"][metric]))
            is_missed = ratio < GOAL_RATIO if name == "through" else (
                metric in ("dd cold", "dd warm", "seq 1M")
                and middle[name] < GOAL_MBPS)
            line += f"{'x' + format(ratio, '.2f'):>10}" + (
                "!" if is_missed else " ")
        print(line.rstrip())


def bench(lab, options):
    setup = Bench(lab, options)
    names = trial.chosen(options, NAMES)
    found = trial.rounds("complete", names, options.rounds, setup.one)
    print(trial.title(options, f"complete {options.kind}, "
                      f"{options.size >> 20} MiB"))
    report(found, options)
    trial.save(options, found)


if __name__ == "__main__":
    OPTIONS = parse()
    run(lambda lab: bench(lab, OPTIONS))
