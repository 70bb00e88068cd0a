#!/usr/bin/python3
"""A process that fills a store is killed at any moment, again and again.
What it had said to be durable must be there at the next start, and whatever is
said to be held must have its bytes: test_store_crash, which ctest runs for
fifty kills."""
import argparse
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(
        prog="bench kills", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(TOP / "build/dev"),
                        help="a build directory of all (build/dev)")
    parser.add_argument("--rounds", type=int, default=500, metavar="N",
                        help="kills (%(default)s)")
    args = parser.parse_args()
    found = list(pathlib.Path(args.bin).rglob("test_store_crash"))
    if not found:
        parser.error(f"no test_store_crash in {args.bin}")
    subprocess.run([str(found[0]), "--kills", str(args.rounds)], check=True)


if __name__ == "__main__":
    main()
