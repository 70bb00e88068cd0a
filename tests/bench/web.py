"""Web seeds beside libtorrent: a torrent whose only source is an HTTP server,
read through shoalfs and by a reader made of libtorrent's piece deadlines, on
the same server in the same run.

One link of 100 Mbit/s, round trip 50 ms. `files` is a plain server of the file
(BEP 19), `pieces` a script that hands out pieces (BEP 17). What is measured,
each time in a fresh process with an empty store:
  first    process start to the first 64 KiB of the file
  seek     64 KiB at random places, never behind a piece that was read; one
           that took less than a round trip found its bytes fetched (hits)
  jump     64 KiB in another eighth of the file, after 4 MiB read in order:
           what was read ahead is on its way then (shoalfs; the reader made of
           libtorrent reads nothing ahead between two reads)
  whole    the whole file in order, nothing fetched before
  share    of the line: of what one plain download of the file reaches
           (`line`, measured in each round)

Every figure but p50 and p99, which are over the seeks and jumps of all rounds,
is the median over rounds; the order of the participants turns with each round."""

import argparse
import http.client
import itertools
import json
import os
import platform
import random
import shutil
import statistics
import sys
import time

from stream import FIRST, LINK, MB, SEEK, TOP, Libtorrent, Shoalfs, bytes_of, \
    prewarm
from lab import run
from swarm import (WEB_PORT, make_torrent, piece_map, start_web, web_url,
                   write_blob)

ROUND_TRIP = 0.050
KINDS = ("files", "pieces")
PARTICIPANTS = {kind.name: kind for kind in (Shoalfs, Libtorrent)}


def parse():
    parser = argparse.ArgumentParser(
        prog="bench web", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--size", type=bytes_of, default="128M")
    parser.add_argument("--piece", type=bytes_of, default="1M")
    parser.add_argument("--seeks", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", choices=PARTICIPANTS, action="append")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    return options


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.reader, self.web = lab.hosts("reader", "web")
        lab.wan({host: LINK for host in (self.reader, self.web)})
        path = write_blob(lab.path("content", "file.bin"), options.size, 1)
        self.torrents = {
            "files": make_torrent(path, piece=options.piece,
                                  file=lab.path("files"),
                                  web_seeds=[web_url(self.web, "file.bin")]),
            "pieces": make_torrent(path, piece=options.piece,
                                   file=lab.path("pieces"),
                                   http_seeds=[web_url(self.web, "seed")])}
        start_web(self.web, os.path.dirname(path),
                  "--pieces=" + piece_map(self.torrents["pieces"]))

    def places(self):
        """Where to seek to: never behind a piece that was read."""
        draw = random.Random(7)
        size, room = self.options.piece, max(self.options.piece - 2 * SEEK, 1)
        pieces = range(2, self.options.size // size - 1, 2)
        return [place * size + draw.randrange(room) // 4096 * 4096
                for place in draw.sample(pieces, min(self.options.seeks,
                                                     len(pieces)))]

    def line(self):
        """MB/s of one plain download."""
        with self.reader.inside():
            line = http.client.HTTPConnection(self.web.ip4, WEB_PORT)
            began = time.monotonic()
            line.request("GET", "/file.bin", headers={
                "Range": f"bytes=0-{self.options.size - 1}"})
        answer = line.getresponse()
        while answer.read(1 << 20):
            pass
        line.close()
        return self.options.size / MB / (time.monotonic() - began)

    def with_participant(self, kind, torrent, measure):
        prewarm(self.options.size)
        store = self.lab.fresh_dir(kind.name)
        participant = None
        try:
            began = time.monotonic()
            participant = kind(self.reader, torrent, store)
            participant.open()
            return measure(participant, began)
        finally:
            if participant:
                participant.stop()
            shutil.rmtree(store, ignore_errors=True)

    def seeks(self, participant, began):
        participant.read(0, FIRST)
        first = time.monotonic() - began
        took = [participant.read(place, SEEK) for place in self.places()]
        return {"first": first, "seeks": [t for t in took if t >= ROUND_TRIP],
                "hits": sum(t < ROUND_TRIP for t in took)}

    def jumps(self, participant, _):
        eighth, took = self.options.size // 8, []
        for number in (5, 2, 7, 0, 4, 1, 6, 3):
            place = number * eighth + 5 * SEEK
            took.append(participant.read(place, SEEK))
            for more in range(1, min(64, eighth // SEEK - 7)):
                participant.read(place + more * SEEK, SEEK)
        return {"jumps": took[1:]}

    def whole(self, participant, _):
        return {"whole": self.options.size / MB / participant.sequential()}

    def one(self, kind, participant):
        torrent = self.torrents[kind]
        found = self.with_participant(participant, torrent, self.seeks)
        for measure in (self.jumps, self.whole):
            found.update(self.with_participant(participant, torrent, measure))
        return found

    def rounds(self, kinds, names):
        """{(kind, participant): [what one() found, per round]}."""
        turns = list(itertools.product(kinds, names))
        results = {turn: [] for turn in turns}
        for number in range(self.options.rounds):
            line = self.line()
            for kind, name in turns if number % 2 == 0 else reversed(turns):
                print(f"round {number + 1}: {kind} {name}", file=sys.stderr,
                      flush=True)
                found = self.one(kind, PARTICIPANTS[name])
                results[kind, name].append(
                    {**found, "line": line, "share": found["whole"] / line})
        return results


HEADINGS = (f"{'':8}{'':12}{'first ms':>10}{'seek p50':>10}{'seek p99':>10}"
            f"{'hits':>6}{'jump p50':>10}{'jump p99':>10}"
            f"{'MB/s':>8}{'line':>8}{'share %':>9}")


def ms(times, share):
    times = sorted(times) or [0]
    return 1000 * times[int(len(times) * share)]


def row(kind, name, rounds):
    seeks, jumps = (list(itertools.chain.from_iterable(r[key] for r in rounds))
                    for key in ("seeks", "jumps"))
    middle = {key: statistics.median(r[key] for r in rounds)
              for key in ("first", "hits", "whole", "line", "share")}
    return (f"{kind:8}{name:12}{1000 * middle['first']:10.0f}"
            f"{ms(seeks, 0.5):10.0f}{ms(seeks, 0.99):10.0f}"
            f"{middle['hits']:6.0f}"
            f"{ms(jumps, 0.5):10.0f}{ms(jumps, 0.99):10.0f}"
            f"{middle['whole']:8.2f}{middle['line']:8.2f}"
            f"{100 * middle['share']:9.1f}")


def main(options):
    def experiment(lab):
        names = options.only or list(PARTICIPANTS)
        kinds = options.kind or list(KINDS)
        bench = Bench(lab, options)
        results = bench.rounds(kinds, names)
        print(f"100 Mbit/s, 50 ms, {options.size >> 20} MiB in "
              f"{options.piece >> 10} KiB pieces, {options.rounds} round(s) of "
              f"{options.seeks} seeks, {os.cpu_count()} cpus, "
              f"{platform.release()}\n{HEADINGS}")
        for (kind, name), rounds in results.items():
            print(row(kind, name, rounds), flush=True)
        if options.json:
            with open(options.json, "w") as out:
                json.dump({" ".join(turn): rounds
                           for turn, rounds in results.items()}, out, indent=1)
    run(experiment)


if __name__ == "__main__":
    main(parse())
