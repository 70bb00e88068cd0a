"""The store alone: pieces that lie in memory already are hashed, written to the
blobs, synced and committed, with the program's own code and two workers.

Two runs, each on a fresh store:
  fast  on tmpfs, pieces as fast as there is room for them: MB/s until all was
        committed, processor seconds per GB. Goal: 1200 MB/s.
  slow  each sync takes half a second longer, pieces come at 100 MB/s: how long
        the turns of the loop took, for the disk must not hold it up. Goal: none
        longer than 5 ms.
A turn is the time between two waits for events; another process that has the
processor meanwhile counts, too. So the longest turn in which the thread waited
for anything (a disk, a lock) is given as well."""

import json
import os
import statistics
import subprocess
import sys

import trial
from lab import run
from stream import MB, bytes_of, prewarm

GOAL_MBPS, GOAL_MS, SLOW_MS = 1200, 5, 500
BOUNDS = ("< 0.1", "< 0.5", "< 1", "< 2", "< 5", "< 10", ">= 10")


def parse():
    parser = trial.arguments("store", __doc__)
    parser.add_argument("--size", type=bytes_of, default="4G",
                        help="of what is kept in a fast run (%(default)s)")
    parser.add_argument("--piece", type=bytes_of, action="append",
                        help="this size of piece (repeatable; 1M)")
    parser.add_argument("--seconds", type=int, default=10,
                        help="of a slow run (%(default)s)")
    parser.add_argument("--rate", type=int, default=100, metavar="MBPS",
                        help="of a slow run (%(default)s)")
    options = trial.parsed(parser)
    if options.quick:
        options.size, options.seconds = min(options.size, 1 << 30), 4
    return options


def trial_of(lab, program, size, piece, sync_ms, rate):
    prewarm(2 * size)
    store = lab.fresh_dir("store")
    done = subprocess.run([program, store, str(size >> 20), str(piece >> 10),
                           str(sync_ms), str(rate)], check=True,
                          capture_output=True, text=True)
    subprocess.run(["rm", "-rf", store], check=True)
    return json.loads(done.stdout)


def mark(value, form, is_missed):
    return format(value, form) + "!" * is_missed


def measure(lab, program, options, piece):
    fast, slow = [], []
    for turn in range(options.rounds):
        print(f"{piece >> 10} KiB, round {turn + 1}", file=sys.stderr,
              flush=True)
        fast.append(trial_of(lab, program, options.size, piece, 0, 0))
        slow.append(trial_of(lab, program,
                             options.rate * options.seconds << 20, piece,
                             SLOW_MS, options.rate))
    speed = statistics.median(options.size / MB / one["seconds"]
                              for one in fast)
    cpu = statistics.median(one["cpu"] / options.size * 1e9 for one in fast)
    longest = max(one["longest_ms"] for one in slow)
    slept = max(one["longest_slept_ms"] for one in slow)
    print(f"{piece >> 10:>6}K  fast {mark(speed, '.0f', speed < GOAL_MBPS)} MB/s, "
          f"{cpu:.2f} processor seconds per GB; slow: the longest turn "
          f"{mark(longest, '.2f', longest > GOAL_MS)} ms, the longest that "
          f"waited for anything {slept:.2f} ms")
    for name, runs in ("fast", fast), ("slow", slow):
        counts = [sum(column) for column in zip(*(one["turns"]
                                                  for one in runs))]
        print(f"{'':8}turns, {name}: " + ", ".join(
            f"{bound} ms {count}" for bound, count in zip(BOUNDS, counts)))


def main(options):
    program = os.path.join(trial.tools("store_rate"), "lab", "store_rate")

    def experiment(lab):
        print(trial.title(options, f"store: {options.size >> 20} MiB"))
        for piece in options.piece or [1 << 20]:
            measure(lab, program, options, piece)
    run(experiment)


if __name__ == "__main__":
    main(parse())
