"""A sequential reader on a line: which part of it `dd` through the mount gets,
beside a plain download of libtorrent and beside plain TCP.

Links of 100 Mbit/s, round trip 50 ms, one seed of libtorrent (wan1) or four
(wan4), v1 pieces, TCP with cubic for all. Each time a fresh process, an empty
store, fresh seeds. Participants:
  shoalfs     dd bs=1M of the whole file through a mount
  libtorrent  a plain sequential download, no reader
  tcp         control: as many sockets as seeds, the same number of bytes:
              what this line carries at all

Everybody is measured at the same place, the receiver's device: time runs from
when 64 KiB have come in to the end (dd's, the download's, the last socket's),
so that finding and greeting peers is not in it, and is shown apart.
  rate      bytes of the file a second in that time
  of tcp    the same, of what plain TCP reached in this run
  start     from the process's start (tcp: the connect) to the first 64 KiB
  wire      bytes that came in over the device, of the file's size
  whole     rate over the time from dd's, the download's start
A goal that is missed is marked with !."""

import socket
import subprocess
import threading
import time

import trial
from stream import LINK, MB, bytes_of, prewarm
from lab import run
from shoal import Mount, content_path
from swarm import make_torrent, start_leech, start_seed, write_blob

SCENARIOS = {"wan1": 1, "wan4": 4}
PIECES = ("16K", "256K", "1M", "4M", "16M")
FIRST = 64 << 10
SECONDS = 240           # after that a participant is given up
TCP_PORT = 5201
TCP_NOTSENT_LOWAT = 25  # not in every socket module


def parse():
    parser = trial.arguments("line", __doc__, rounds=2)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append",
                        help="one seed or four (both)")
    parser.add_argument("--piece", action="append", choices=PIECES,
                        help="size of a piece (repeatable; all)")
    parser.add_argument("--size", type=bytes_of, default="128M",
                        help="of the file (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.size = 48 << 20
    return options


class Device:
    """When bytes came in at a host's device."""

    def __init__(self, host, name="wan0"):
        self.host, self.name = host, name
        self.began, self.base = time.monotonic(), self.count()
        self.first = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def count(self):
        with self.host.inside(), open("/proc/thread-self/net/dev") as table:
            for line in table:
                words = line.replace(":", " ").split()
                if words[0] == self.name:
                    return int(words[1])
        raise OSError(f"no {self.name} in {self.host.name}")

    def watch(self):
        while not self.over.wait(0.01):
            if self.count() - self.base >= FIRST:
                self.first = time.monotonic()
                return

    def stop(self, size):
        """The figures of a transfer of `size` bytes that ends now."""
        end, came = time.monotonic(), self.count() - self.base
        self.over.set()
        self.thread.join()
        return {"rate": size / MB / (end - self.first),
                "start": 1000 * (self.first - self.began),
                "wire": 100 * came / size,
                "whole": size / MB / (end - self.began)}


def dd(path, block="1M"):
    """Runs dd to the end of the file; an error of it is ours."""
    subprocess.run(["dd", f"if={path}", "of=/dev/null", f"bs={block}",
                    "status=none"], check=True, timeout=SECONDS)


class Bench:
    def __init__(self, lab, options, hosts, scenario, path, piece):
        self.lab, self.options = lab, options
        self.reader, *seeds = hosts
        self.seeds = seeds[:SCENARIOS[scenario]]
        self.torrent = make_torrent(path, piece=bytes_of(piece),
                                    file=lab.path(f"{piece}.torrent"))

    def one(self, name):
        prewarm(2 * self.options.size)
        return {"shoalfs": self.mounted, "libtorrent": self.raw,
                "tcp": self.tcp}[name]()

    def with_seeds(self, measure):
        peers = []
        store = self.lab.fresh_dir("store")
        try:
            for host in self.seeds:
                peers.append(start_seed(host, self.torrent, "--no-tracker"))
            return measure([peer.address for peer in peers], store)
        finally:
            for peer in peers:
                peer.stop()
            subprocess.run(["rm", "-rf", store], check=True)

    def mounted(self):
        def measure(addresses, store):
            device = Device(self.reader)
            mount = Mount(self.reader, self.torrent.file, store=store,
                          options=[f"peer={peer}" for peer in addresses])
            try:
                dd(content_path(mount, self.torrent))
                return device.stop(self.torrent.size)
            finally:
                device.over.set()
                mount.stop()
        return self.with_seeds(measure)

    def raw(self):
        def measure(addresses, store):
            device = Device(self.reader)
            leech = start_leech(self.reader, self.torrent, store,
                                "--sequential", "--no-tracker",
                                *(word for peer in addresses
                                  for word in ("--peer", peer)))
            try:
                leech.wait("complete", SECONDS)
                return device.stop(self.torrent.size)
            finally:
                device.over.set()
                leech.stop()
        return self.with_seeds(measure)

    def tcp(self):
        """The sockets take from one heap, so that none ends before others."""
        heap = Heap(self.torrent.size)
        doors = []
        for host in self.seeds:
            door = host.socket()
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((host.ip4, TCP_PORT))
            door.listen()
            doors.append(door)
        device = Device(self.reader)
        workers = [threading.Thread(target=give, args=(door, heap),
                                    daemon=True) for door in doors]
        workers += [threading.Thread(target=take, daemon=True,
                                     args=(self.reader, door.getsockname()))
                    for door in doors]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(SECONDS)
        return device.stop(self.torrent.size)


class Heap:
    """`size` bytes, of which one takes a part after the other."""
    PART = 64 << 10

    def __init__(self, size):
        self.left, self.lock = size, threading.Lock()

    def take(self):
        with self.lock:
            count = min(self.left, self.PART)
            self.left -= count
            return count


def give(door, heap):
    data = bytes(heap.PART)
    with door:
        line, _ = door.accept()
        with line:
            # What waits in a socket no other one can send.
            line.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, heap.PART)
            while count := heap.take():
                line.sendall(data[:count])


def take(host, address):
    with host.socket() as line:
        line.connect(address)
        room = bytearray(1 << 18)
        while line.recv_into(room):
            pass


ROWS = (trial.Row("rate", "rate MB/s", "high", "{:.2f}"),
        trial.Row("of_tcp", "of tcp %", "high", "{:.1f}", 95),
        trial.Row("start", "start ms", "low", "{:.0f}"),
        trial.Row("wire", "wire %", "low", "{:.1f}"),
        trial.Row("whole", "whole MB/s", "high", "{:.2f}"))
PARTICIPANTS = ("shoalfs", "libtorrent", "tcp")


def main(options):
    report = {}

    def experiment(lab):
        names = trial.chosen(options, PARTICIPANTS)
        scenarios = options.scenario or list(SCENARIOS)
        most = max(SCENARIOS[name] for name in scenarios)
        hosts = lab.hosts("reader", *(f"seed{n}" for n in range(most)))
        lab.wan({host: LINK for host in hosts})
        path = write_blob(lab.path("content", "file.bin"), options.size, 1)
        print(trial.title(options, "line: 100 Mbit/s, 50 ms, "
                          f"{options.size >> 20} MiB"), flush=True)
        for scenario in scenarios:
            for piece in options.piece or PIECES:
                label = f"{scenario}, pieces of {piece}"
                bench = Bench(lab, options, hosts, scenario, path, piece)
                found = trial.rounds(label, names, options.rounds, bench.one)
                middle = trial.medians(found)
                if "tcp" in middle:
                    for figures in middle.values():
                        figures["of_tcp"] = (100 * figures["rate"]
                                             / middle["tcp"]["rate"])
                print(f"\n{label}",
                      *trial.table(ROWS, middle, controls=("tcp",)),
                      sep="\n", flush=True)
                report[label] = {"rounds": found, "medians": middle}
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
