"""One dd and sixteen random readers on the same file: what is left to the dd.

`dd bs=1M` reads the whole file in order. `beside`, sixteen jobs of fio read at
random places of the same file at the same time, 4 to 128 KiB each, one read at
a time each, from the mount's page cache where it has the bytes; they end when
the dd ends. `alone`, they do not. Each is a fresh process with an empty store.
  wan4  four seeds of libtorrent, 50 ms, 100 Mbit/s: the line is short
  lan   one seed of libtorrent, an unshaped veth pair: the processors are;
        fio reads what it can get
  paced the same, with fio held to 100 reads a second for each job
Figures
  alone, beside  MB/s of the dd
  keeps          the one of the other; the goal is 70 %, missed it is marked !
  fio p50, p99   the time of one of its reads
  fio /s         its reads a second, all jobs
  fetched        payload that came in beside, of the file's size

libtorrent's reader and btfs have no part: the one answers one reader at a time,
the other's dd alone is slower than ours beside (`bench stream`). The control
`file` is a dd of a plain file in memory beside the same fio on it: what the
scheduler of this machine leaves to one of seventeen processes. Its dd goes
over the file until it has read as many bytes as take a second alone."""

import contextlib
import json
import os
import subprocess
import time

import trial
from line import dd
from stream import LINK, MB, bytes_of, prewarm
from lab import need, run, until
from shoal import Mount, content_path
from swarm import make_torrent, start_seed, write_blob

#             seeds  links  reads a second of each job   size
SCENARIOS = {"wan4": (4, LINK, None, "64M"),
             "lan": (1, None, None, "512M"),
             "paced": (1, None, 100, "512M")}
JOBS = 16
SECONDS = 240


def parse():
    parser = trial.arguments("mixed", __doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="(repeatable; all)")
    parser.add_argument("--piece", type=bytes_of, default="1M",
                        help="size of a piece (%(default)s)")
    parser.add_argument("--size", type=bytes_of, help="of the file "
                        "(wan4 64M, else 512M)")
    options = trial.parsed(parser)
    if options.quick:
        options.size = 32 << 20
    return options


class Fio:
    """Sixteen random readers, until they are told to end."""

    def __init__(self, host, path, rate):
        words = [need("fio"), "--name=random", f"--filename={path}",
                 "--rw=randread", "--bsrange=4k-128k", f"--numjobs={JOBS}",
                 "--ioengine=psync", "--readonly", "--group_reporting",
                 "--invalidate=0", "--time_based", f"--runtime={SECONDS}",
                 "--allow_file_create=0", "--output-format=json",
                 "--randrepeat=1", "--thread"]
        if rate:
            words.append(f"--rate_iops={rate}")
        self.proc = host.start(words, "fio", stdout=subprocess.PIPE)
        until(self.reads, 20, "fio reads")

    def reads(self):
        """It lets its threads go all at once, when they are all there."""
        return len(os.listdir(f"/proc/{self.proc.pid}/task")) > JOBS

    def end(self):
        """Its figures."""
        self.proc.popen.terminate()
        text = self.proc.stdout.read().decode()
        self.proc.wait(60)
        found = json.loads(text[text.index("{"):])["jobs"][0]["read"]
        times = found["clat_ns"].get("percentile", {})
        return {"fio_p50": times.get("50.000000", 0) / 1e6,
                "fio_p99": times.get("99.000000", 0) / 1e6,
                "fio_iops": found["iops"]}


class Bench:
    """One scenario."""

    def __init__(self, lab, options, scenario):
        count, shape, self.rate, size = SCENARIOS[scenario]
        self.lab = lab
        self.reader, *self.seeds = hosts = lab.hosts(
            f"reader-{scenario}",
            *(f"seed{n}-{scenario}" for n in range(count)))
        if shape:
            lab.wan({host: shape for host in hosts})
        else:
            lab.link(*hosts)
        self.size = options.size or bytes_of(size)
        path = write_blob(lab.path(f"content-{scenario}", "file.bin"),
                          self.size, 1)
        self.torrent = make_torrent(path, piece=options.piece)

    def one(self, name):
        """The dd alone, then beside fio."""
        run_one = {"shoalfs": self.mounted, "file": self.plain}[name]
        found = {"alone": run_one(False)["rate"]}
        beside = run_one(True)
        found["beside"] = beside.pop("rate")
        found["keeps"] = 100 * found["beside"] / found["alone"]
        return {**found, **beside}

    def timed(self, path, with_fio, times=1):
        """dd's rate, and fio's figures."""
        fio = Fio(self.reader, path, self.rate) if with_fio else None
        try:
            began = time.monotonic()
            for _ in range(times):
                dd(path)
            seconds = time.monotonic() - began
        finally:
            found = fio.end() if fio else {}
        return {"rate": times * self.size / MB / seconds, **found}

    def mounted(self, with_fio):
        prewarm(2 * self.size)
        store = self.lab.fresh_dir("store")
        with contextlib.ExitStack() as undo:
            undo.callback(subprocess.run, ["rm", "-rf", store], check=True)
            peers = []
            for host in self.seeds:
                peers.append(start_seed(host, self.torrent, "--no-tracker"))
                undo.callback(peers[-1].stop)
            mount = Mount(self.reader, self.torrent.file, store=store,
                          options=[f"peer={peer.address}" for peer in peers])
            undo.callback(mount.stop)
            found = self.timed(content_path(mount, self.torrent), with_fio)
            if with_fio:
                came = mount.status()["torrents"][0]["down_bytes"]
                found["fetched"] = 100 * came / self.size
            return found

    def plain(self, with_fio):
        times = max(int(8e9 / self.size), 1)
        return self.timed(self.torrent.path, with_fio, times)


ROWS = (trial.Row("alone", "alone MB/s", None, "{:.1f}"),
        trial.Row("beside", "beside MB/s", None, "{:.1f}"),
        trial.Row("keeps", "keeps %", "high", "{:.0f}", 70),
        trial.Row("fio_p50", "fio p50 ms", None, "{:.3f}"),
        trial.Row("fio_p99", "fio p99 ms", None, "{:.1f}"),
        trial.Row("fio_iops", "fio /s", None, "{:.0f}"),
        trial.Row("fetched", "fetched %", None, "{:.1f}"))
PARTICIPANTS = ("shoalfs", "file")


def main(options):
    report = {}

    def experiment(lab):
        names = trial.chosen(options, PARTICIPANTS)
        print(trial.title(options, f"mixed: {JOBS} jobs, pieces of "
                          f"{options.piece >> 10} KiB"), flush=True)
        for scenario in options.scenario or SCENARIOS:
            bench = Bench(lab, options, scenario)
            here = [name for name in names
                    if name != "file" or scenario != "wan4"]
            if not here:
                continue
            found = trial.rounds(scenario, here, options.rounds, bench.one)
            middle = trial.medians(found)
            print(f"\n{scenario}, {bench.size >> 20} MiB",
                  *trial.table(ROWS, middle, controls=("file",)),
                  sep="\n", flush=True)
            report[scenario] = {"rounds": found, "medians": middle}
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
