"""How soon does a search in the DHT find the first peers, and with how many
messages? Networks of up to a million nodes in one process and in virtual time
(tests/sim): the real dht/, beside models of what libtorrent and jech/dht do. No
sockets, no root; the figures are the same on every machine, and a run says by a
hash of its trace that it was the same run.

  bench dht                             all that follows
  bench dht large [ALIVE [SEARCHERS [SEED]]]   model nodes, half of all dead
  bench dht fresh [ALIVE [SEARCHERS [SEED]]]   … a new delay for each datagram
  bench dht real [ALIVE [SEARCHERS [SEED]]]    … real nodes only
  bench dht crowd [NODES [SEARCHERS [SEED]]]   churn, sybils, liars
  bench dht speed                              datagrams a second of wall time

Round trips are lognormal: 80 ms, sigma 0.6. `large` is of model nodes, which
answer from tables that are computed when they are looked at; those that search
and announce are real nodes that have lived an hour among them when half of the
network, their own contacts included, dies at once. `real` is the same with real
nodes only, to see that the models change nothing."""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build", "sim")

ALL = [
    ["large", "1000000", "1000"],
    ["fresh", "1000000", "500"],
    ["large", "5000", "500"],
    ["real", "5000", "500"],
    ["crowd", "10000"],
    ["speed"],
]


def build():
    """The simulator without sanitizers."""
    quiet = {"cwd": TOP, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(["cmake", "-S", TOP, "-B", BUILD, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g"], **quiet)
    subprocess.run(["cmake", "--build", BUILD, "--target", "dhtsim"], **quiet)
    return os.path.join(BUILD, "tests", "sim", "dhtsim")


def main():
    program = build()
    for args in [sys.argv[1:]] if len(sys.argv) > 1 else ALL:
        code = subprocess.run([program] + args).returncode
        if code != 0:
            return code
        print(flush=True)
    return 0


if __name__ == "__main__":
    if any(arg in ("-h", "--help") for arg in sys.argv[1:]):
        print(__doc__)
        sys.exit(0)
    sys.exit(main())
