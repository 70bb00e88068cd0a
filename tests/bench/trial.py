"""What the benches of several participants share: options, the order of the
rounds, medians, and the table of absolute figures, goals and ratios.

A trial is one figure-giving run of one participant; `one(name)` of a bench
makes it, and gives {metric: value}. All trials of a table happen in one run of
the command, turn by turn."""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
OURS = "shoalfs"


def arguments(name, doc, rounds=3):
    """A parser with the options that every bench has."""
    parser = argparse.ArgumentParser(
        prog=f"bench {name}", description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N")
    parser.add_argument("--quick", action="store_true",
                        help="one short round: a look, and no measurement")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="this participant (repeatable; all)")
    parser.add_argument("--bin", help="directory of shoalfs "
                        "(default: SHOALFS_BIN, then build/release/cmd)")
    parser.add_argument("--json", metavar="FILE")
    return parser


def helped(name, usage, doc):
    """Of a bench whose words are a simulator's own: --help, as all have it."""
    argparse.ArgumentParser(
        prog=f"bench {name}", usage=usage, description=doc, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_known_args()


def parsed(parser):
    """The options; the programs of shoalfs are found from then on."""
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    os.environ["SHOALFS_BIN"] = options.bin or os.environ.get(
        "SHOALFS_BIN", os.path.join(TOP, "build", "release", "cmd"))
    return options


def tools(*targets):
    """Programs of the tests, built without sanitizers: the directory in which
    they are built, folder by folder."""
    build = os.path.join(TOP, "build", "bench")
    quiet = {"cwd": TOP, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(["cmake", "-S", TOP, "-B", build, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g"], **quiet)
    subprocess.run(["cmake", "--build", build, "--target", *targets], **quiet)
    return os.path.join(build, "tests")


def chosen(options, names):
    return [name for name in names
            if not options.only or name in options.only]


def title(options, what):
    return (f"{time.strftime('%F')}, {what}, {options.rounds} round(s)"
            f"{', quick' if options.quick else ''}, {os.cpu_count()} cpus, "
            f"{platform.release()}")


def rounds(label, names, count, one):
    """{participant: {metric: [a value per round]}}; who begins turns."""
    found = {name: {} for name in names}
    for turn in range(count):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            print(f"{label} round {turn + 1}: {name}", file=sys.stderr,
                  flush=True)
            for metric, value in one(name).items():
                found[name].setdefault(metric, []).append(value)
    return found


def medians(found):
    return {name: {metric: statistics.median(values)
                   for metric, values in metrics.items()}
            for name, metrics in found.items()}


def percentile(values, percent):
    """By the nearest rank that exists."""
    values = sorted(values)
    return values[min(int(len(values) * percent / 100), len(values) - 1)]


@dataclasses.dataclass
class Row:
    """A line of the table. `better` is high, low, or None for what is no
    matter of better; `goal` is a bound on our figure in that direction."""
    metric: str
    heading: str
    better: str = None
    form: str = "{:.1f}"
    goal: float = None

    def missed(self, value):
        if self.goal is None:
            return False
        return value < self.goal if self.better == "high" \
            else value > self.goal

    def ratio(self, ours, other):
        """Above 1: shoalfs is better."""
        if self.better is None or not ours or not other:
            return None
        return ours / other if self.better == "high" else other / ours


def table(rows, middle, ours=OURS, controls=()):
    """Lines of text: absolute figures (! marks a goal that is missed), the
    goal, and shoalfs against each rival. A control is no rival."""
    names = list(middle)
    rivals = [name for name in names if name != ours and name not in controls]
    if ours not in names:
        rivals = []
    yield f"{'':18}" + "".join(f"{name:>12}" for name in names) + (
        f"{'goal':>10}") + "".join(f"{'x ' + name:>14}" for name in rivals)
    for row in rows:
        if not any(row.metric in middle[name] for name in names):
            continue
        line = f"{row.heading:18}"
        for name in names:
            value = middle[name].get(row.metric)
            text = "-" if value is None else row.form.format(value)
            if value is not None and name == ours and row.missed(value):
                text += "!"
            line += f"{text:>12}"
        goal = "" if row.goal is None else row.form.format(row.goal)
        line += f"{goal:>10}"
        for rival in rivals:
            ratio = row.ratio(middle[ours].get(row.metric),
                              middle[rival].get(row.metric))
            line += f"{'' if ratio is None else format(ratio, '.2f'):>14}"
        yield line.rstrip()


def save(options, report):
    if options.json:
        with open(options.json, "w") as out:
            json.dump(report, out, indent=1)
