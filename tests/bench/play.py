"""Playback while seeds come and go: a reader of 20 Mbit/s with a buffer of two
seconds, eight seeds of 5 Mbit/s each, one of them killed every ten seconds.

The links: 50 ms round trip; each seed sends 5 Mbit/s, the reader receives 100.
A killed seed gets SIGKILL: it says no goodbye to anybody. Eight seeds do not
last for the 18 kills of three minutes, so each comes back --away seconds later
as a stranger: another process, another port, another peer id. It announces
itself to the tracker (opentracker), as the reader has, so that both may find
the other. With 20 s, two of the eight are away at any time, and 30 Mbit/s are
left: half more than the reader needs. The longest served goes first.

The reader takes 64 KiB at a time until two seconds are in its buffer, waits for
room, and goes on; the picture starts when the buffer is full for the first
time. An empty buffer is a stall: the picture stands until it is full again.
  start    from the process's start to the picture
  stalls   how often it stood; `stood` is for how long altogether
  slowest  the longest that one read took
  over     over-fetch: payload that came in, of what was read and the window. The
           window is what is held beyond the reader in the end; so it is what
           came twice, was thrown away, or is of no use to who reads on
  window   that, in MB
  wire     bytes at the reader's device, of what was read

Participants: shoalfs and btfs through pread, libtorrent through its piece
deadlines, those of the next --ahead megabytes set to when they are needed.
What btfs took in and holds is not known: it has `wire` only. The goals, no
stall and 110 %, are marked with ! when missed."""

import json
import os
import shutil
import signal
import threading
import time

import trial
from line import Device
from stream import Btfs, Libtorrent, Shoalfs, bytes_of
from lab import run
from swarm import (PEER_PORT, make_torrent, start_opentracker, start_seed,
                   tracker_url, write_blob)

SEEDS = 8
RATE = 20_000_000 // 8
BUFFER_SECONDS = 2
CHUNK = 64 << 10
LINK = {"delay": "12.5ms"}
READER = {**LINK, "up": "100M", "down": "100M"}
SEED = {**LINK, "up": "5M", "down": "100M"}


def parse():
    parser = trial.arguments("play", __doc__, rounds=1)
    parser.add_argument("--minutes", type=float, default=3, metavar="M",
                        help="of playing (%(default)s)")
    parser.add_argument("--every", type=float, default=10, metavar="S",
                        help="seconds between two kills; 0: none (%(default)s)")
    parser.add_argument("--away", type=float, default=20, metavar="S",
                        help="until a seed is back (%(default)s)")
    parser.add_argument("--piece", type=bytes_of, default="1M",
                        help="size of a piece (%(default)s)")
    parser.add_argument("--ahead", type=int, default=16, metavar="MB",
                        help="of libtorrent's reader (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.minutes = 0.5
    return options


class Seeds:
    """Eight of them, and the one who kills them."""

    def __init__(self, hosts, torrent, options):
        self.torrent, self.options = torrent, options
        self.turn = list(hosts)         # the longest served first
        self.ports = {host: PEER_PORT for host in hosts}
        self.peers = {}
        for host in hosts:
            self.start(host)
        for peer in self.peers.values():
            peer.wait("announced", 20)
        self.over, self.kills = threading.Event(), 0
        self.thread = threading.Thread(target=self.kill_them, daemon=True)

    def start(self, host):
        self.peers[host] = start_seed(host, self.torrent,
                                      port=self.ports[host])

    def kill_them(self):
        """One after the other; who is due to come back comes back."""
        began = time.monotonic()
        due = []        # [when, what]
        if self.options.every:
            due.append((self.options.every, None))
        while due:
            due.sort(key=lambda entry: entry[0])
            when, host = due.pop(0)
            if self.over.wait(max(began + when - time.monotonic(), 0)):
                return
            if host is None:
                due.append((when + self.options.away, self.kill()))
                due.append((when + self.options.every, None))
            else:
                self.ports[host] += 1
                self.start(host)
                self.turn.append(host)

    def kill(self):
        host = self.turn.pop(0)
        peer = self.peers.pop(host)
        peer.proc.signal(signal.SIGKILL)
        peer.stop()
        self.kills += 1
        return host

    def stop(self):
        self.over.set()
        if self.thread.ident:
            self.thread.join()
        for peer in self.peers.values():
            peer.stop()


class Picture:
    """What a person sees. fill() tells of bytes that are in the buffer."""

    def __init__(self):
        self.got = 0
        self.shown_until = None         # bytes shown when `since` began
        self.since = None               # None: it stands
        self.first = None
        self.stalls, self.stood, self.stands = 0, 0.0, None

    def shown(self, now):
        if self.first is None:
            return 0
        if self.since is None:
            return self.shown_until
        return min(self.shown_until + (now - self.since) * RATE, self.got)

    def fill(self, count, now):
        shown = self.shown(now)
        if self.since is not None and shown == self.got:
            self.stalls += 1
            # It stood from when the last byte was shown.
            self.stands = self.since + (self.got - self.shown_until) / RATE
            self.since, self.shown_until = None, self.got
        self.got += count
        if self.since is None and self.got - shown >= RATE * BUFFER_SECONDS:
            if self.first is None:
                self.first = now
            elif self.stands is not None:
                self.stood += now - self.stands
                self.stands = None
            self.since, self.shown_until = now, shown

    def room_in(self, now):
        """Seconds until the buffer takes a chunk."""
        if self.since is None:
            return 0
        over = self.got + CHUNK - self.shown(now) - RATE * BUFFER_SECONDS
        return max(over / RATE, 0)

    def end(self, now):
        if self.stands is not None:
            self.stood += now - self.stands


class Played(Shoalfs):
    def took(self):
        """(payload that came in, what is held of the file)"""
        with open(os.path.join(self.path, ".shoalfs", "status.json")) as text:
            found = json.load(text)["torrents"][0]
        return found["down_bytes"], found["held_bytes"]


class Deadlines(Libtorrent):
    def __init__(self, host, torrent, store, ahead):
        super().__init__(host, torrent, store)
        self.ahead, self.piece, self.last = ahead, torrent.piece_size, -1

    def read(self, offset, length):
        if offset // self.piece != self.last:
            self.last = offset // self.piece
            self.ask(f"ahead {offset} {self.ahead} {RATE}")
        return super().read(offset, length)

    def took(self):
        found = self.ask("payload")
        return found["down"], found["held"]


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.reader, self.tracker, *self.seeds = hosts = lab.hosts(
            "reader", "tracker", *(f"seed{n}" for n in range(SEEDS)))
        lab.wan({host: SEED if host in self.seeds else READER
                 for host in hosts})
        size = int(options.minutes * 60 * RATE) + (64 << 20)
        path = write_blob(lab.path("content", "file.bin"), size, 1)
        self.torrent = make_torrent(path, piece=options.piece,
                                    trackers=[tracker_url(self.tracker)])

    def participant(self, name, store):
        if name == "libtorrent":
            return Deadlines(self.reader, self.torrent, store,
                             self.options.ahead << 20)
        return {"shoalfs": Played, "btfs": Btfs}[name](
            self.reader, self.torrent, store)

    def one(self, name):
        store = self.lab.fresh_dir("store")
        tracker = start_opentracker(self.tracker, [self.torrent.v1])
        seeds = participant = device = None
        try:
            seeds = Seeds(self.seeds, self.torrent, self.options)
            device = Device(self.reader)
            began = time.monotonic()
            participant = self.participant(name, store)
            return self.play(participant, seeds, device, began)
        finally:
            if device:
                device.over.set()
            if participant:
                participant.stop()
            if seeds:
                seeds.stop()
            tracker.stop()
            shutil.rmtree(store, ignore_errors=True)

    def play(self, participant, seeds, device, began):
        participant.open()
        seeds.thread.start()
        picture, slowest = Picture(), 0
        over = time.monotonic() + 60 * self.options.minutes
        # A participant that hangs must not hang the bench.
        guard = threading.Timer(60 * self.options.minutes + 60,
                                participant.proc.signal, [signal.SIGKILL])
        guard.daemon = True
        guard.start()
        try:
            while (now := time.monotonic()) < over:
                wait = picture.room_in(now)
                if wait:
                    time.sleep(wait)
                slowest = max(slowest, participant.read(picture.got, CHUNK))
                picture.fill(CHUNK, time.monotonic())
            now = time.monotonic()
            picture.end(now)
            return figures(participant, picture, slowest, device, began,
                           seeds.kills)
        finally:
            guard.cancel()


def figures(participant, picture, slowest, device, began, kills):
    read = picture.got
    found = {"start": (picture.first or time.monotonic()) - began,
             "stalls": picture.stalls, "stood": picture.stood,
             "slowest": 1000 * slowest, "kills": kills,
             "wire": 100 * (device.count() - device.base) / read}
    if hasattr(participant, "took"):
        came, held = participant.took()
        window = max(held - read, 0)
        found["window"] = window / 1e6
        found["over"] = 100 * came / (read + window)
    return found


ROWS = (trial.Row("start", "start s", "low", "{:.2f}"),
        trial.Row("stalls", "stalls", "low", "{:.0f}", 0),
        trial.Row("stood", "stood s", "low", "{:.1f}"),
        trial.Row("slowest", "slowest ms", "low", "{:.0f}"),
        trial.Row("over", "over %", "low", "{:.1f}", 110),
        trial.Row("window", "window MB", None, "{:.1f}"),
        trial.Row("wire", "wire %", "low", "{:.1f}"),
        trial.Row("kills", "kills", None, "{:.0f}"))
PARTICIPANTS = ("shoalfs", "libtorrent", "btfs")


def main(options):
    report = {}

    def experiment(lab):
        names = [name for name in trial.chosen(options, PARTICIPANTS)
                 if name != "btfs" or shutil.which("btfs")]
        bench = Bench(lab, options)
        print(trial.title(
            options, f"play: {options.minutes:g} min at 20 Mbit/s, 8 seeds of "
            f"5 Mbit/s, one killed every {options.every:g} s and away for "
            f"{options.away:g} s, 50 ms, pieces of {options.piece >> 10} KiB"),
            flush=True)
        found = trial.rounds("play", names, options.rounds, bench.one)
        middle = trial.medians(found)
        print(*trial.table(ROWS, middle), sep="\n", flush=True)
        report["play"] = {"rounds": found, "medians": middle}
        trial.save(options, report)
    run(experiment)


if __name__ == "__main__":
    main(parse())
