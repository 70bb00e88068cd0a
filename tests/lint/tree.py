"""The source tree, as the lints see it."""
import pathlib
import sys

FOLDERS = ["core", "cache", "dht", "net", "fs", "cmd"]
SKIP = 77  # ctest's SKIP_RETURN_CODE in CMakeLists.txt

root = pathlib.Path(sys.argv[1])


def files(suffixes, folders=FOLDERS):
    """Every file of these folders, below them too, as paths from the root."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes:
                found.append(path.relative_to(root))
    return found


def lines(path):
    """(number, text) of each line."""
    text = (root / path).read_text(encoding="utf-8")
    return enumerate(text.split("\n"), 1)


def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)


def finish(problems):
    """One line each, and the exit code."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
