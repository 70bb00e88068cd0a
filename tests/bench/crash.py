#!/usr/bin/python3
"""The power is cut after each operation of a store, for as long as you like.
What the disk could show then is built, with other choices of what it had kept
in each pass, and the store is started over it: test_power, which ctest runs for
two passes (docs/TESTING.md, "A drive that fails")."""
import argparse
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(
        prog="bench crash", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(TOP / "build/dev"),
                        help="a build directory of all (build/dev)")
    parser.add_argument("--seconds", type=int, default=3600, metavar="N",
                        help="how long (%(default)s)")
    args = parser.parse_args()
    found = list(pathlib.Path(args.bin).rglob("test_power"))
    if not found:
        parser.error(f"no test_power in {args.bin}")
    subprocess.run([str(found[0]), str(args.seconds)], check=True)


if __name__ == "__main__":
    main()
