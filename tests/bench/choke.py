"""Is it fair, and does the swarm lose nothing by it? Swarms of a hundred in one
process and in virtual time (tests/sim): the real choker, picker, rates and
shares, beside models of what others do. No sockets, no root; the figures are
the same on every machine, and a run says by a hash of its trace that it was the
same run.

--goals is ours against what it must reach, --trace where one run's time goes.
`ours` has a limit set (up_limit), so that its weights hold; `ours, flat` has
none, and the line is shared equally by TCP."""

import os
import subprocess
import sys

import trial

USAGE = """bench choke [--seeds N] [SCENE...]
       bench choke --goals [--seeds N]
       bench choke --trace SCENE POLICY SEED"""
TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build", "sim")


def build():
    """The simulator without sanitizers: a table is minutes of work."""
    quiet = {"cwd": TOP, "stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(["cmake", "-S", TOP, "-B", BUILD, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                    "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O2 -g"], **quiet)
    subprocess.run(["cmake", "--build", BUILD, "--target", "swarmsim"], **quiet)
    return os.path.join(BUILD, "tests", "sim", "swarmsim")


if __name__ == "__main__":
    trial.helped("choke", USAGE, __doc__)
    sys.exit(subprocess.run([build()] + sys.argv[1:]).returncode)
