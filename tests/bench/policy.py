#!/usr/bin/python3
"""Hit ratios of eviction policies, and of the store's, on four traces.
Deterministic: a number is a number, whatever else the machine does. The
traces and the policies are in tests/sim/policy*.c; the last column is
cache/evict.c."""
import argparse
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(
        prog="bench policy", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(TOP / "build/dev"),
                        help="a build directory of all (build/dev)")
    parser.add_argument("--seed", type=int, default=1, metavar="N",
                        help="of the traces (%(default)s)")
    args = parser.parse_args()
    found = list(pathlib.Path(args.bin).rglob("policysim"))
    if not found:
        parser.error(f"no policysim in {args.bin}")
    subprocess.run([str(found[0]), str(args.seed)], check=True)


if __name__ == "__main__":
    main()
