#!/usr/bin/python3
"""Each allocation and each operation on its disk fails, once and for ever.
test_faults, which ctest runs with a stride where there are many, without one
(docs/TESTING.md, "A drive that fails"); with SQLite's thousands, hours."""
import argparse
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(
        prog="bench faults", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(TOP / "build/dev"),
                        help="a build directory of all (build/dev)")
    parser.add_argument("--stride", type=int, default=1, metavar="N",
                        help="every so-many-th (%(default)s)")
    args = parser.parse_args()
    found = list(pathlib.Path(args.bin).rglob("test_faults"))
    if not found:
        parser.error(f"no test_faults in {args.bin}")
    subprocess.run([str(found[0]), str(args.stride)], check=True)


if __name__ == "__main__":
    main()
